"""The hand-labelled conversations as records; what the labels mean is told in `tests/labelled/README.md`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from persllm.materials import Folder, read_folder
from persllm.records import Conversation, Material, Message, Persona, Question

FOLDER = Path(__file__).parent / "labelled"
REASONS = (
    "format", "out_of_stage", "ungrounded", "premise_accepted", "truth_denied", "assistant_speak", "copied", "too_short",
    "too_long", "wrong_language",
)  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A conversation with what a careful reader says of it."""

    id: str
    persona: Persona
    materials: tuple[Material, ...]
    """All materials of the person, of every stage."""
    conversation: Conversation
    question: Question
    expected: frozenset[str]
    """Reasons for which it has to be rejected; empty for a good one."""
    debatable: frozenset[str]
    """Reasons that are neither right nor wrong here."""
    note: str


@cache
def labelled_set() -> tuple[Labelled, ...]:
    """All of them, in the order of the files."""
    return tuple(entry for file in sorted((FOLDER / "conversations").glob("*.jsonl")) for entry in read(file))


def read(file: Path) -> Iterator[Labelled]:
    """The conversations of one person."""
    folder = read_folder(FOLDER / "persons" / file.stem)
    for line in file.read_text(encoding="utf-8").splitlines():
        yield labelled(json.loads(line), folder)


def labelled(entry: dict[str, Any], folder: Folder) -> Labelled:
    """One line as records."""
    evidence = [titled(piece, folder) for piece in entry["evidence"]]
    same = {"persona": folder.persona.id, "stage": entry["stage"], "kind": entry["kind"], "form": entry.get("form", "")}
    question = Question(
        text=entry["ask"], material=evidence[0].identity if evidence else "", claim=entry.get("claim", ""), truth=entry.get("truth", ""),
        accepting=entry.get("rejected", ""), **same,
    )  # fmt: skip
    said = [*entry.get("before", ()), ("user", entry["ask"])]
    conversation = Conversation(
        messages=(
            *(Message(role=role, content=text) for role, text in said),
            Message(role="assistant", content=entry["answer"], thought=entry["thought"]),
        ),
        question=question.identity, evidence=tuple(material.identity for material in evidence),
        sources=tuple(f"{folder.persona.id}/{material.source}" for material in evidence), rejected=entry.get("rejected", ""), **same,
    )  # fmt: skip
    return Labelled(
        id=entry["id"], persona=folder.persona, materials=folder.materials, conversation=conversation, question=question,
        expected=frozenset(entry["expected"]), debatable=frozenset(entry.get("debatable", ())), note=entry.get("note", ""),
    )  # fmt: skip


def titled(piece: str, folder: Folder) -> Material:
    """The one material with this piece of title; ValueError if there is none, or more than one."""
    [material] = [material for material in folder.materials if piece in material.title]
    return material
