"""A test from anywhere: who is asked, the questions, and what is known of the training of those who sit it.

A test is a run folder (the questions of its examination), a persona folder or its gold.jsonl, or any JSONL file of test
items or of hand-written questions. Persons come from the folders that the caller names, from the run, from the
persona.yaml beside the file; else only their names and stages are known, from the questions.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from persllm.embedding import near_any
from persllm.errors import MaterialError, RunError
from persllm.gold import gold_items
from persllm.languages import detect
from persllm.materials import read_folder, read_persona
from persllm.records import Conversation, Dropped, Material, Persona, Stage, TestItem
from persllm.store import Run

NEAR = "test question near a training question"


@dataclass(frozen=True)
class Paper:
    """A test with its persons."""

    items: tuple[TestItem, ...]
    personas: tuple[Persona, ...]
    materials: tuple[Material, ...] = ()
    """What passages are looked up in; empty if nothing is known."""
    conversations: tuple[Conversation, ...] = ()
    """What was trained on: the classifier is fitted on it, and questions that are as good as trained ones are counted."""
    profiles: bool = True
    """Whether the persons' profiles are known, and not only their names."""


def read_paper(test: Path, folders: Sequence[Path] = (), run: Run | None = None) -> Paper:
    """The test at a path; `run` is that of the model, if it has one. MaterialError in one line if it cannot be used."""
    if not test.exists():
        raise MaterialError(f"{test}: no such test. Give a JSONL file, a persona folder with gold.jsonl, or a run folder.")
    own = Run(test) if (test / "config.json").is_file() else None
    home = run if own is None else own
    personas, materials, profiles = persons_for(test, folders, home)
    families = families_of(home) if home else set()
    items = items_of_run(own) if own else items_of_file(test, personas, families)
    if not personas:
        personas, profiles = persons_in(items), False
    check_persons(test, items, personas)
    trained = home.step("4-dataset").records(Conversation, "conversations.jsonl") if home else []
    return Paper(tuple(items), tuple(personas), tuple(materials), tuple(trained), profiles)


def persons_for(test: Path, folders: Sequence[Path], run: Run | None) -> tuple[list[Persona], list[Material], bool]:
    """Persons, their materials, and whether profiles are known: from the named folders, the run, or beside the file."""
    beside = test if test.is_dir() else test.parent
    if not folders and run is None and (beside / "persona.yaml").is_file():
        folders = [beside]
    if folders:
        with_materials = [read_folder(folder) for folder in folders if any((folder / "materials").rglob("*.*"))]
        found = {one.persona.id: one.persona for one in with_materials}
        personas = [found.get(folder.name) or read_persona(folder)[0] for folder in folders]
        return personas, [material for one in with_materials for material in one.materials], True
    if run:
        step = run.step("1-materials")
        return step.records(Persona, "personas.jsonl"), step.records(Material), True
    return [], [], False


def families_of(run: Run) -> set[str]:
    """Families of induction that a run trained on."""
    return {c.form for c in run.step("4-dataset").records(Conversation, "conversations.jsonl") if c.kind == "induction"}


def items_of_run(run: Run) -> list[TestItem]:
    """The questions of a run's examination, or those of its dataset if it had none yet."""
    folder = next((f for f in ("8-evaluation", "4-dataset") if (run.step(f).path / "test.jsonl").is_file()), "")
    if not folder:
        raise RunError(f"{run.path}: no test was made here yet. Finish the run with persllm run RECIPE.")
    return run.step(folder).records(TestItem, "test.jsonl")


def items_of_file(test: Path, personas: Sequence[Persona], families: Collection[str]) -> list[TestItem]:
    """The questions of a file or persona folder, as test items or hand-written; all complaints at once."""
    file = test / "gold.jsonl" if test.is_dir() else test
    if not file.is_file():
        raise MaterialError(f"{file}: no such file. Write one (docs/evaluation.md shows how), or give another test.")
    lines = [(number, line) for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1) if line.strip()]
    if not lines:
        raise MaterialError(f"{file}: no questions in it.")
    if "messages" not in first_keys(file, lines[0]):
        if len(personas) != 1:
            raise MaterialError(f"{file}: hand-written questions belong to one person, found {len(personas)}. Give --persona FOLDER once.")
        return gold_items([file], personas, families)
    items, complaints = [], []
    for number, line in lines:
        try:
            items.append(TestItem.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors()[0]
            complaints.append(f"{file}, line {number}: {'.'.join(map(str, problem['loc'])) or 'the line'}: {problem['msg']}.")
    counted: set[str] = set()
    for item in items:
        if item.id in counted:
            complaints.append(f"{file}: id {item.id} occurs twice. Give every question its own.")
        counted.add(item.id)
    if complaints:
        raise MaterialError("\n".join(complaints))
    return items


def first_keys(file: Path, line: tuple[int, str]) -> set[str]:
    """The keys of a line; MaterialError if it is no JSON object."""
    try:
        found = json.loads(line[1])
    except json.JSONDecodeError as error:
        raise MaterialError(f"{file}, line {line[0]}: not valid JSON ({error.msg} at character {error.pos + 1}).") from None
    if not isinstance(found, dict):
        raise MaterialError(f"{file}, line {line[0]}: expected a JSON object, found {type(found).__name__}.")
    return set(found)


def persons_in(items: Sequence[TestItem]) -> list[Persona]:
    """The persons that questions name: their ids and stages, in the order in which they are named; nothing else is known."""
    found: dict[str, dict[str, None]] = {}
    texts: dict[str, str] = {}
    for item in items:
        if item.persona:
            found.setdefault(item.persona, {})[item.stage] = None
            texts[item.persona] = f"{texts.get(item.persona, '')} {item.reference}"
    return [
        Persona(id=name, name=name, profile="", language=detect(texts[name]), stages=tuple(Stage(id=stage) for stage in stages))
        for name, stages in found.items()
    ]


def check_persons(test: Path, items: Iterable[TestItem], personas: Sequence[Persona]) -> None:
    """MaterialError if a question is put to somebody unknown, or at an unknown stage."""
    known = {(persona.id, stage.id) for persona in personas for stage in persona.stages}
    missing = sorted({f"{i.persona}/{i.stage}" for i in items if i.persona and (i.persona, i.stage) not in known})
    if missing:
        there = ", ".join(f"{person}/{stage}" for person, stage in sorted(known))
        raise MaterialError(f"{test}: questions to {', '.join(missing[:6])}, who are not known; known are {there}. Give --persona FOLDER.")


def near_trained(items: Sequence[TestItem], conversations: Sequence[Conversation], threshold: float) -> list[Dropped]:
    """The questions that are as good as one that the same person was trained on at the same stage."""
    found: list[Dropped] = []
    for place in sorted({(item.persona, item.stage) for item in items if item.persona}):
        asked = [item for item in items if (item.persona, item.stage) == place]
        trained = [c for c in conversations if (c.persona, c.stage) == place]
        if trained:
            texts = ["\n".join(message.content for message in item.messages) for item in asked]
            near = near_any(texts, ["\n".join(message.content for message in c.prompt) for c in trained], threshold)
            found += [Dropped(item=asked[row].id, reason=NEAR, detail=texts[row][:200]) for row in sorted(near)]
    return found
