"""One file of a persona folder to materials, as a stream: a line, or a section, is in memory at a time.

The kind is the beginning of the file's name, or `kind:` in its front matter; the stage is the folder, or `stage:`
in the front matter. What cannot be used is a complaint with file and line; all complaints are collected, so that
one reading names everything that must be mended.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml

from persllm.records import Material, MaterialKind, Persona, Turn

KINDS: tuple[MaterialKind, ...] = get_args(MaterialKind)
TIMELESS = "timeless"
SUFFIXES = (".txt", ".md", ".jsonl")
HEADING = re.compile(r"#{1,3} \S|\s*第[\d〇零一二两三四五六七八九十百千]{1,6}[回章节卷](?:[ \u3000:：]+[^。！？]{1,30})?\s*$")
"""A heading of Markdown, or a line of its own that begins a chapter of a Chinese text, such as 第三回 夜渡."""
HEADING_DATE = re.compile(r"[(（]([^()（）]*(?:\d{4}|[\d〇零一二三四五六七八九十元]年)[^()（）]*)[)）]\s*$")
ORIGIN_LINE = re.compile(r"^<!-- from: (.+?) -->[ \t]*(?:\n|$)", re.MULTILINE)
"""Below a heading: where the text was taken from."""
SPOKEN_LINE = re.compile(r"^([^:：]{1,40})[:：]\s*(\S.*)$")
EXCHANGE_TURNS = 5
"""Long exchanges are cut into segments of five turns (paper section 3.1)."""
LONGEST_LINE = 16_000_000
"""Bytes of one line; a longer one is no text a person wrote."""
LONGEST_FRONT_MATTER = 100
"""Lines."""

Line = tuple[int, str]
"""Number and text of a line."""


class MaterialReader:
    """Reads the files of one person and collects what cannot be used."""

    def __init__(self, root: Path, persona: Persona):
        self.root, self.persona = root, persona
        self.complaints: list[str] = []

    def complain(self, file: Path, line: int, text: str) -> None:
        """Keep a complaint with its place."""
        place = str(file.relative_to(self.root)) + (f", line {line}" if line else "")
        self.complaints.append(f"{self.root.name}/{place}: {text}")

    def read_all(self) -> Iterator[Material]:
        """The materials of all files below `materials/`, in the order of their names."""
        for file in sorted((self.root / "materials").rglob("*")):
            if file.is_file():
                yield from self.read(file)

    def read(self, file: Path) -> Iterator[Material]:
        """The materials in one file."""
        if file.name.startswith(".") or file.name.lower() == "readme.md":
            return
        if file.suffix.lower() not in SUFFIXES:
            ending = file.suffix or "a file without ending"
            self.complain(
                file,
                0,
                f"cannot read {ending}; known are {', '.join(SUFFIXES)}. Bring it in with `persllm ingest`, convert it, or move it away.",
            )
            return
        lines = self.lines(file)
        first = next((line for line in lines if line[1].strip()), None)
        if first is None:
            if not self.complaints or str(file.relative_to(self.root)) not in self.complaints[-1]:
                self.complain(file, 0, "the file is empty. Fill it or remove it.")
            return
        marks, body = self.front_matter(file, first, lines)
        place = self.place_of(file, marks)
        if place:
            read = self.read_jsonl if file.suffix == ".jsonl" else self.read_sections
            yield from read(file, body, *place)

    def lines(self, file: Path) -> Iterator[Line]:
        """The lines of a file; ends with a complaint at one that is no text. Cuts at newline only."""
        with open(file, "rb") as handle:
            number = 0
            while raw := handle.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    return self.complain(file, number, f"longer than {LONGEST_LINE // 1_000_000} million bytes. Break it up or remove it.")
                if b"\0" in raw:
                    return self.complain(file, number, "holds a NUL character: not a text file. Move it away.")
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    return self.complain(file, number, "not UTF-8. Save the file as UTF-8.")
                yield number, text.rstrip("\r\n")

    def front_matter(self, file: Path, first: Line, lines: Iterator[Line]) -> tuple[dict[str, Any], Iterator[Line]]:
        """The marks between `---` lines at the head of a file, and the lines after them."""
        if file.suffix == ".jsonl" or first[0] != 1 or first[1].rstrip() != "---":
            return {}, chained([first], lines)
        head = []
        for line in lines:
            if line[1].rstrip() == "---":
                return self.marks(file, head), lines
            head.append(line)
            if len(head) > LONGEST_FRONT_MATTER:
                break
        return {}, chained([first, *head], lines)

    def marks(self, file: Path, head: list[Line]) -> dict[str, Any]:
        """The values of the front matter."""
        try:
            marks = yaml.safe_load("\n".join(text for _, text in head))
        except yaml.YAMLError:
            marks = None
        if isinstance(marks, dict):
            return marks
        self.complain(file, 1, "the front matter is not `key: value` lines.")
        return {}

    def place_of(self, file: Path, marks: dict[str, Any]) -> tuple[MaterialKind, str | None] | None:
        """Kind and stage of a file, marked by front matter, folder and name; None and a complaint if either is not clear."""
        kind = marks.get("kind") or next((k for k in KINDS if file.stem.lower().startswith(k) or k in file.parent.name), None)
        inside = file.relative_to(self.root / "materials").parts
        stage = marks.get("stage") or next((part for part in inside[:-1] if part not in KINDS), None)
        known = [s.id for s in self.persona.stages]
        if kind not in KINDS:
            self.complain(file, 0, f"the kind is not clear. Name the file {', '.join(KINDS)}, or put `kind: ...` into its front matter.")
            return None
        if stage is None and len(known) == 1:
            stage = known[0]
        if stage not in [*known, TIMELESS]:
            found = f'stage "{stage}" is not a stage of' if stage else "no stage is given for"
            self.complain(
                file, 0, f"{found} {self.persona.name} ({', '.join(known)}, {TIMELESS}). Move the file or add the stage to persona.yaml."
            )
            return None
        return kind, None if stage == TIMELESS else str(stage)

    def read_sections(self, file: Path, lines: Iterator[Line], kind: MaterialKind, stage: str | None) -> Iterator[Material]:
        """Markdown or text: one material per `## Heading`, or per paragraph where there are no headings."""
        for line, title, text in sections(lines):
            date, origin = HEADING_DATE.search(title), ORIGIN_LINE.search(text)
            text = ORIGIN_LINE.sub("", text).strip()
            if not text:
                continue
            turns = script(text) if kind == "speech" else ()
            yield from cut(Material(
                persona=self.persona.id, kind=kind, stage=stage, title=title.strip(), text=text, turns=turns,
                date=date[1] if date else "", situation=title if turns else "", source=f"{file.relative_to(self.root)}:{line}",
                origin=origin[1] if origin else "",
            ))  # fmt: skip

    def read_jsonl(self, file: Path, lines: Iterator[Line], kind: MaterialKind, stage: str | None) -> Iterator[Material]:
        """One material per line."""
        for number, line in lines:
            if not line.strip():
                continue
            try:
                material = self.entry_material(json.loads(line), kind, stage, f"{file.relative_to(self.root)}:{number}")
            except json.JSONDecodeError as error:
                self.complain(file, number, f"broken JSON: {error.msg} at column {error.colno}.")
            except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
                self.complain(file, number, 'expected {"turns": [{"speaker": ..., "text": ...}]} or {"title": ..., "text": ...}.')
            else:
                yield from cut(material)

    def entry_material(self, entry: dict[str, Any], kind: MaterialKind, stage: str | None, source: str) -> Material:
        """The material of one JSON line."""
        turns = tuple(Turn(**turn) for turn in entry.get("turns", ()))
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns) or entry["text"]
        if not text.strip():
            raise ValueError("empty")
        return Material(
            persona=self.persona.id, kind=kind, stage=stage, title=entry.get("title", ""), text=text, turns=turns,
            date=str(entry.get("date", "")), situation=entry.get("situation", ""), source=source, origin=str(entry.get("origin", "")),
        )  # fmt: skip


def chained(first: list[Line], rest: Iterator[Line]) -> Iterator[Line]:
    """Lines already taken, then the rest."""
    yield from first
    yield from rest


def sections(lines: Iterator[Line]) -> Iterator[tuple[int, str, str]]:
    """(line, heading, text) of each section; paragraphs where there are no headings, and before the first."""
    start, title, held, headed = 0, "", list[str](), False
    for number, line in lines:
        if HEADING.match(line):
            if headed and (text := "\n".join(held).strip()):
                yield start, title, text
            start, title, held, headed = number, line.lstrip("# ").strip(), [], True
        elif headed or line.strip():
            start = start if headed or held else number
            held.append(line)
        elif held:
            yield start, "", "\n".join(held).strip()
            held = []
    if text := "\n".join(held).strip():
        yield start, title, text


def script(text: str) -> tuple[Turn, ...]:
    """Turns from `Name: words` lines, if the text is made of them."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    matches = [SPOKEN_LINE.match(line) for line in lines]
    if len(lines) < 2 or not all(matches):
        return ()
    return tuple(Turn(speaker=match[1].strip(), text=match[2].strip()) for match in matches if match)


def cut(material: Material) -> list[Material]:
    """A long exchange in segments of about five turns."""
    turns = material.turns
    if len(turns) <= EXCHANGE_TURNS + 1:
        return [material]
    pieces = [turns[i : i + EXCHANGE_TURNS] for i in range(0, len(turns), EXCHANGE_TURNS)]
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [material.model_copy(update={"turns": piece, "text": "\n".join(f"{t.speaker}: {t.text}" for t in piece)}) for piece in pieces]
