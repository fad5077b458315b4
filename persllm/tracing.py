"""From anything a model was trained on back to file and line: sample, materials, and where these were taken from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.errors import RunError
from persllm.records import Material, Record, fingerprint
from persllm.store import Run

LISTS = (
    ("4-dataset", "train.jsonl"), ("4-dataset", "conversations.jsonl"), ("4-dataset", "test.jsonl"), ("6-pairs", "records.jsonl"),
    ("3-answers", "records.jsonl"), ("2-questions", "records.jsonl"), ("1-materials", "records.jsonl"),
)  # fmt: skip
"""Where samples lie, those that are trained on first."""
SHORTEST_ID = 4


class Ground(Record):
    """A material that a sample rests on."""

    id: str
    place: str
    """`persona/file:line` in the persona's folder."""
    origin: str
    """`file:line` of the book or chat; empty if it was written in the folder."""
    text: str


class Trace(Record):
    """A sample and what it rests on."""

    id: str
    file: str
    """Step and file in which it stands."""
    kind: str
    persona: str
    stage: str
    said: tuple[str, ...]
    """`role: words` of its messages."""
    grounds: tuple[Ground, ...]


def identity_of(entry: dict[str, Any]) -> str:
    """The identity of a record as a line of a run has it."""
    return str(entry.get("id") or fingerprint({key: value for key, value in entry.items() if key != "origin"}))


def trace(path: Path, identity: str) -> Trace:
    """The sample of that id, or of the only one that begins so; RunError if there is none or several."""
    run = Run.open(path)
    if len(identity) < SHORTEST_ID:
        raise RunError(f"{identity}: give at least {SHORTEST_ID} characters of the id. `persllm show {path} 4-dataset` shows ids.")
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for step, name in LISTS:
        for entry in entries(run.path / step / name):
            whole = identity_of(entry)
            if whole.startswith(identity):
                found.setdefault(whole, (f"{step}/{name}", entry))
        if found:
            break
    if not found:
        raise RunError(f"{path}: nothing with the id {identity}. `persllm show {path} 4-dataset` shows ids.")
    if len(found) > 1:
        raise RunError(f"{identity}: begins {len(found)} ids, such as {', '.join(sorted(found)[:3])}. Give more of it.")
    [(whole, (file, entry))] = found.items()
    return traced(run, whole, file, entry)


def entries(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, one at a time; none if it is not there."""
    if file.is_file():
        with open(file, encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def traced(run: Run, identity: str, file: str, entry: dict[str, Any]) -> Trace:
    """A line of a run with its grounds."""
    wanted = grounds_of(run, entry, identity)
    materials = [
        material
        for line in entries(run.path / "1-materials" / "records.jsonl")
        if identity_of(line) in wanted
        for material in [Material(**line)]
    ]
    messages = [*(entry.get("messages") or entry.get("prompt") or ()), *([entry["chosen"]] if "chosen" in entry else [])]
    return Trace(
        id=identity, file=file, kind=str(entry.get("kind") or entry.get("contrast") or entry.get("set") or ""), persona=entry.get("persona", ""),
        stage=entry.get("stage") or "", said=tuple(f"{message['role']}: {message['content']}" for message in messages),
        grounds=tuple(Ground(id=m.identity, place=f"{m.persona}/{m.source}", origin=m.origin, text=m.text) for m in materials),
    )  # fmt: skip


def grounds_of(run: Run, entry: dict[str, Any], identity: str) -> set[str]:
    """Identities of the materials that a line rests on."""
    if "evidence" in entry:
        return set(entry["evidence"])
    if "material" in entry:
        return {entry["material"]}
    if "source" in entry and "text" in entry:
        return {identity}
    conversations = {entry.get("chosen_from"), entry.get("rejected_from"), entry.get("id")} - {None, ""}
    return {
        ground
        for line in entries(run.path / "3-answers" / "records.jsonl")
        if identity_of(line) in conversations
        for ground in line["evidence"]
    }


def told(found: Trace) -> str:
    """A trace for people."""
    lines = [f"{found.id}: {found.kind}, {found.persona} at {found.stage}, {found.file}", *(f"  {words}" for words in found.said)]
    for ground in found.grounds:
        lines.append(f"rests on {ground.place}" + (f", taken from {ground.origin}" if ground.origin else ""))
        lines.append(f"  {' '.join(ground.text.split())[:200]}")
    return "\n".join([*lines, *([] if found.grounds else ["rests on no material: general talk"])])
