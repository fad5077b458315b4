"""A persona folder to a Persona and its Materials, or to complaints with file and line.

    persona.yaml                      who the person is, and the stages
    materials/<stage>/speech.jsonl    exchanges: {"date", "situation", "turns": [{"speaker", "to", "text"}]}
    materials/<stage>/experience.md   what the person lived: a `## Heading (date)` per episode; below it, if taken from
                                      a book or chat, `<!-- from: file:line -->` (in JSONL: "origin")
    materials/<stage>/knowledge.md    what the person knows: a `## Heading` per article
    materials/timeless/...            what holds at every stage
    sources: in persona.yaml          books of letters and the like, read by `persllm.sources.declared`

The kind is the beginning of the file's name, or `kind:` in its front matter; the stage is the folder, or
`stage:` in the front matter. Speech may also be Markdown with `Name: words` lines below each heading.
All complaints are collected, so that one reading names every line that must be mended.
"""

import datetime
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field, model_validator

from persllm.errors import MaterialError
from persllm.languages import detect, language
from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Dropped, Material, MaterialKind, Persona, Record, Stage, Turn, Voice, fingerprint
from persllm.sources.declared import SourceSettings, read_source

KINDS: tuple[MaterialKind, ...] = get_args(MaterialKind)
TIMELESS = "timeless"
SUFFIXES = (".txt", ".md", ".jsonl")
HEADING_DATE = re.compile(r"\(([^()]*\d{4}[^()]*|[^()]*\d{3,4}年[^()]*)\)\s*$")
ORIGIN_LINE = re.compile(r"^<!-- from: (.+?) -->[ \t]*(?:\n|$)", re.MULTILINE)
"""Below a heading: where the text was taken from."""
SPOKEN_LINE = re.compile(r"^([^:：]{1,40})[:：]\s*(\S.*)$")
EXCHANGE_TURNS = 5
"""Long exchanges are cut into segments of five turns (paper section 3.1)."""


class StageSettings(Settings):
    """A stage in persona.yaml."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = ""
    summary: str = ""
    start: str | int | datetime.date = Field("", alias="from")
    end: str | int | datetime.date = Field("", alias="to")
    unknown: tuple[str, ...] = ()
    voice: Voice = Voice()


class PersonaSettings(Settings):
    """The file persona.yaml."""

    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    pronouns: str = Field("they", pattern="^(she|he|they)$")
    language: str = Field("en", pattern="^(en|zh)$")
    profile: str = Field(min_length=1)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    sources: tuple[SourceSettings, ...] = ()

    @model_validator(mode="after")
    def unique_stages(self) -> "PersonaSettings":
        """Two stages of one id would share a token."""
        twice = [stage for stage, n in Counter(stage.id for stage in self.stages).items() if n > 1]
        if twice:
            raise ValueError(f"stage {twice[0]} occurs twice")
        return self


class Folder(Record):
    """What a persona folder holds."""

    persona: Persona
    materials: tuple[Material, ...]
    dropped: tuple[Dropped, ...] = ()
    """What a source holds but cannot be used, with the reason."""


def read_folder(path: Path) -> Folder:
    """Read a persona folder; MaterialError with one line per complaint if anything in it cannot be used."""
    file = path / "persona.yaml"
    if not path.is_dir():
        raise MaterialError(f"{path}: no such folder. `persllm new {path}` makes one that runs as it is.")
    if not file.is_file():
        raise MaterialError(f"{path}: persona.yaml is missing. `persllm new DIR` shows what it looks like.")
    settings = parse(PersonaSettings, read_yaml(file), str(file))
    persona = make_persona(path.name, settings)
    reader = Reader(path, persona)
    materials = [material for found in sorted((path / "materials").rglob("*")) if found.is_file() for material in reader.read(found)]
    dropped: list[Dropped] = []
    for source in settings.sources:
        found, lost = read_source(source, path, persona, reader.complaints)
        materials += found
        dropped += lost
    complaints = reader.complaints + lacking(persona, materials, path, reader.complaints)
    if complaints:
        raise MaterialError("\n".join(complaints))
    return Folder(persona=persona, materials=tuple(unique(materials)), dropped=tuple(dropped))


def folder_fingerprint(path: Path) -> str:
    """Hash of all that materials are made of: persona.yaml, materials/, and the files of its sources."""
    file = path / "persona.yaml"
    patterns = [source.files for source in parse(PersonaSettings, read_yaml(file), str(file)).sources]
    inside = [found for found in (path / "materials").rglob("*") if not found.name.startswith(".")]
    outside = [path / name for pattern in patterns for name in glob(pattern, root_dir=path, recursive=True)]
    files = sorted(found for found in {file, *inside, *outside} if found.is_file())
    names = [str(found.relative_to(path) if found.is_relative_to(path) else found.name) for found in files]
    return fingerprint([(name, sha256(found.read_bytes()).hexdigest()) for name, found in zip(names, files, strict=True)])


def make_persona(folder: str, settings: PersonaSettings) -> Persona:
    """The record of the person that persona.yaml describes."""
    stages = tuple(
        Stage(
            id=stage.id, title=stage.title, summary=stage.summary.strip(), start=str(stage.start), end=str(stage.end),
            unknown=stage.unknown, voice=stage.voice,
        )
        for stage in settings.stages
    )  # fmt: skip
    identity = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or f"person-{fingerprint(folder)[:6]}"
    values = settings.model_dump(exclude={"stages", "sources", "profile"})
    return Persona(id=identity, profile=settings.profile.strip(), stages=stages, **values)


def lacking(persona: Persona, materials: list[Material], path: Path, before: list[str]) -> list[str]:
    """Complaints about a person or a stage without any material."""
    if before:
        return []
    if not materials:
        return [f"{path / 'materials'}: no materials. Put speech.jsonl, experience.md or knowledge.md into materials/<stage>/."]
    have = {material.stage for material in materials}
    empty = [stage.id for stage in persona.stages if stage.id not in have]
    return [
        f'{path / "materials"}: stage "{stage}" of {persona.name} has no materials. Add some to materials/{stage}/ or remove the stage from persona.yaml.'
        for stage in empty
    ]


def unique(materials: list[Material]) -> list[Material]:
    """Materials without exact repetitions of text within a stage; the first stays."""
    seen: dict[tuple[str | None, str], Material] = {}
    for material in materials:
        seen.setdefault((material.stage, material.text), material)
    return list(seen.values())


class Reader:
    """Reads the files of one person and collects what cannot be used."""

    def __init__(self, root: Path, persona: Persona):
        self.root, self.persona = root, persona
        self.complaints: list[str] = []

    def complain(self, file: Path, line: int, text: str) -> None:
        """Keep a complaint with its place."""
        place = str(file.relative_to(self.root)) + (f", line {line}" if line else "")
        self.complaints.append(f"{self.root.name}/{place}: {text}")

    def read(self, file: Path) -> list[Material]:
        """The materials in one file."""
        if file.name.startswith(".") or file.name.lower() == "readme.md":
            return []
        if file.suffix.lower() not in SUFFIXES:
            self.complain(
                file,
                0,
                f"cannot read {file.suffix or 'a file without ending'}; known are {', '.join(SUFFIXES)}. Convert it or move it away.",
            )
            return []
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = file.read_bytes()[: error.start].count(b"\n") + 1
            self.complain(file, line, "not UTF-8. Save the file as UTF-8.")
            return []
        if "\0" in text:
            self.complain(file, text[: text.index("\0")].count("\n") + 1, "holds a NUL character: not a text file. Move it away.")
            return []
        if not text.strip():
            self.complain(file, 0, "the file is empty. Fill it or remove it.")
            return []
        return self.read_text(file, text)

    def read_text(self, file: Path, text: str) -> list[Material]:
        """The materials in the text of one file, marked by front matter, folder and name."""
        marks, body, first = self.front_matter(file, text)
        kind = marks.get("kind") or next((k for k in KINDS if file.stem.lower().startswith(k) or k in file.parent.name), None)
        inside = file.relative_to(self.root / "materials").parts
        stage = marks.get("stage") or next((part for part in inside[:-1] if part not in KINDS), None)
        known = [s.id for s in self.persona.stages]
        if kind not in KINDS:
            self.complain(file, 0, f"the kind is not clear. Name the file {', '.join(KINDS)}, or put `kind: ...` into its front matter.")
            return []
        if stage is None and len(known) == 1:
            stage = known[0]
        if stage not in [*known, TIMELESS]:
            found = f'stage "{stage}" is not a stage of' if stage else "no stage is given for"
            self.complain(
                file, 0, f"{found} {self.persona.name} ({', '.join(known)}, {TIMELESS}). Move the file or add the stage to persona.yaml."
            )
            return []
        mark = None if stage == TIMELESS else str(stage)
        if file.suffix == ".jsonl":
            return self.read_jsonl(file, body, kind, mark)
        return self.read_sections(file, body, kind, mark, first)

    def front_matter(self, file: Path, text: str) -> tuple[dict[str, Any], str, int]:
        """The marks between `---` lines at the head of a file, the rest, and the number of its first line."""
        head = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.DOTALL)
        if not head or file.suffix == ".jsonl":
            return {}, text, 1
        try:
            marks = yaml.safe_load(head[1])
        except yaml.YAMLError:
            marks = None
        if not isinstance(marks, dict):
            self.complain(file, 1, "the front matter is not `key: value` lines.")
            marks = {}
        return marks, text[head.end() :], head[0].count("\n") + 1

    def read_sections(self, file: Path, body: str, kind: MaterialKind, stage: str | None, first: int) -> list[Material]:
        """Markdown or text: one material per `## Heading`, or per paragraph where there are no headings."""
        found: list[Material] = []
        for line, title, text in sections(body, first):
            date, origin = HEADING_DATE.search(title), ORIGIN_LINE.search(text)
            text = ORIGIN_LINE.sub("", text).strip()
            if not text:
                continue
            turns = self.script(text) if kind == "speech" else ()
            found += self.cut(Material(
                persona=self.persona.id, kind=kind, stage=stage, title=title.strip(), text=text, turns=turns,
                date=date[1] if date else "", situation=title if turns else "", source=f"{file.relative_to(self.root)}:{line}",
                origin=origin[1] if origin else "",
            ))  # fmt: skip
        return found

    def script(self, text: str) -> tuple[Turn, ...]:
        """Turns from `Name: words` lines, if the text is made of them."""
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        matches = [SPOKEN_LINE.match(line) for line in lines]
        if len(lines) < 2 or not all(matches):
            return ()
        return tuple(Turn(speaker=match[1].strip(), text=match[2].strip()) for match in matches if match)

    def read_jsonl(self, file: Path, body: str, kind: MaterialKind, stage: str | None) -> list[Material]:
        """One material per line."""
        found: list[Material] = []
        for number, line in enumerate(body.split("\n"), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                material = self.entry_material(entry, kind, stage, f"{file.relative_to(self.root)}:{number}")
            except json.JSONDecodeError as error:
                self.complain(file, number, f"broken JSON: {error.msg} at column {error.colno}.")
                continue
            except (KeyError, TypeError, ValueError, AttributeError):
                self.complain(file, number, 'expected {"turns": [{"speaker": ..., "text": ...}]} or {"title": ..., "text": ...}.')
                continue
            found += self.cut(material)
        return found

    def entry_material(self, entry: dict[str, Any], kind: MaterialKind, stage: str | None, source: str) -> Material:
        """The material of one JSON line."""
        turns = tuple(Turn(**turn) for turn in entry.get("turns", ()))
        text = "\n".join(f"{turn.speaker}: {turn.text}" for turn in turns) or entry["text"]
        if not text.strip():
            raise ValueError("empty")
        return Material(
            persona=self.persona.id, kind=kind, stage=stage, title=entry.get("title", ""), text=text, turns=turns,
            date=str(entry.get("date", "")), situation=entry.get("situation", ""), source=source,
            origin=str(entry.get("origin", "")),
        )  # fmt: skip

    def cut(self, material: Material) -> list[Material]:
        """A long exchange in segments of about five turns, each beginning with another speaker than the person."""
        turns = material.turns
        if len(turns) <= EXCHANGE_TURNS + 1:
            return [material]
        pieces = [turns[i : i + EXCHANGE_TURNS] for i in range(0, len(turns), EXCHANGE_TURNS)]
        if len(pieces) > 1 and len(pieces[-1]) == 1:
            pieces[-2:] = [pieces[-2] + pieces[-1]]
        return [
            material.model_copy(update={"turns": piece, "text": "\n".join(f"{t.speaker}: {t.text}" for t in piece)}) for piece in pieces
        ]


def sections(body: str, first: int) -> list[tuple[int, str, str]]:
    """(line, heading, text) of each section; paragraphs where there are no headings."""
    lines = body.split("\n")
    marks = [i for i, line in enumerate(lines) if re.match(r"#{1,3} \S", line)]
    if not marks:
        blocks = re.finditer(r"(?:[^\n]*\S[^\n]*\n?)+", body)
        return [(first + body[: m.start()].count("\n"), "", m[0].strip()) for m in blocks]
    found = []
    for place, start in enumerate(marks):
        end = marks[place + 1] if place + 1 < len(marks) else len(lines)
        text = "\n".join(lines[start + 1 : end]).strip()
        if text:
            found.append((first + start, lines[start].lstrip("# ").strip(), text))
    return found


def held_out_materials(materials: Sequence[Material], share: float) -> set[str]:
    """Identities of the materials never trained on: a share of each person, stage and kind that has enough."""
    groups: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for material in materials:
        groups[material.persona, material.stage, material.kind].append(material.identity)
    chosen: set[str] = set()
    for members in groups.values():
        chosen |= set(sorted(members)[: int(len(members) * share + 0.5) if len(members) > 2 else 0])
    return chosen


class Doctor(Record):
    """What `persllm check` says about one person."""

    persona: str
    counts: dict[str, dict[str, int]]
    """Stage -> kind -> number of materials."""
    words: dict[str, dict[str, int]]
    """Stage -> kind -> words (Chinese: characters)."""
    warnings: tuple[str, ...]


THIN = 1000
"""Words of one stage below which `check` warns."""


def examine(folder: Folder) -> Doctor:
    """Count a person's materials and warn of what will make training weak."""
    persona, tools = folder.persona, language(folder.persona.language)
    counts: dict[str, Counter[str]] = {stage.id: Counter() for stage in persona.stages}
    words: dict[str, Counter[str]] = {stage.id: Counter() for stage in persona.stages}
    for material in folder.materials:
        key = material.stage or TIMELESS
        counts.setdefault(key, Counter())[material.kind] += 1
        words.setdefault(key, Counter())[material.kind] += len(tools.words(material.text))
    warnings = [
        f"stage {s} is thin: {sum(words[s].values())} words; under {THIN} little can be learnt"
        for s in words
        if s != TIMELESS and sum(words[s].values()) < THIN
    ]
    warnings += [f"stage {s} has no {kind}" for s in words if s != TIMELESS for kind in KINDS if not counts[s][kind]]
    if len(persona.stages) == 1:
        warnings.append("one stage only: no development can be trained or measured, and no preference pairs against another stage")
    names = {persona.name, *persona.aliases}
    unheard = [m for m in folder.materials if m.kind == "speech" and not any(turn.speaker in names for turn in m.turns)]
    if unheard:
        example = ", ".join(dict.fromkeys(turn.speaker for turn in unheard[0].turns)) or "no `Name: words` lines"
        warnings.append(
            f"{len(unheard)} pieces of speech are not by {persona.name}, such as {unheard[0].source} ({example}); add the form of the name to aliases"
        )
    spoken = {detect(material.text) for material in folder.materials}
    if persona.language not in spoken:
        warnings.append(f"language is {persona.language} but the materials look like {', '.join(sorted(spoken))}")
    return Doctor(
        persona=persona.id,
        counts={k: dict(v) for k, v in counts.items()},
        words={k: dict(v) for k, v in words.items()},
        warnings=tuple(warnings),
    )
