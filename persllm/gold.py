"""A person's hand-written examination, `gold.jsonl`, as test items.

One JSON object a line: id, set, stage, question, reference, wrong (kind -> text), facts, group, family, earlier
(turns before the question, user and assistant in alternation), prefill, changed. Only the first five are needed.
Questions of the set `shared` are put to everybody at every stage: their wrong answers are what the same person
says at another stage, where the truth has changed, and what the others say at the same one.

Limits: whether a reference is true, nobody can check but who wrote it. All complaints come at once, each with
file and line.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persllm.constructor_settings import InductionFamily
from persllm.errors import MaterialError
from persllm.records import Candidate, Message, Persona, TestItem, fingerprint

GoldSet = Literal["shared", "knowledge", "attitude", "paraphrase", "induction", "control", "future", "past"]
WrongKind = Literal["confusion", "opposite", "accepting", "denying", "leak", "stuck", "generic"]
NEEDED: Mapping[str, WrongKind] = {
    "knowledge": "confusion", "attitude": "opposite", "paraphrase": "opposite", "induction": "accepting",
    "control": "denying", "future": "leak", "past": "stuck",
}  # fmt: skip
"""The wrong answer without which a question of a set measures nothing."""


class GoldLine(BaseModel):
    """One line of gold.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    set: GoldSet
    stage: str
    question: str = Field(min_length=1)
    reference: str = Field(min_length=1)
    wrong: dict[WrongKind, str] = {}
    facts: tuple[str, ...] = ()
    group: str | None = None
    family: InductionFamily | None = None
    earlier: tuple[str, ...] = ()
    prefill: str | None = None
    changed: bool | None = None


def read_gold(folder: Path, persona: Persona) -> list[GoldLine]:
    """The lines of a person's gold.jsonl, or of another file; none if there is no such file.

    MaterialError with file and line for each complaint.
    """
    file = folder if folder.is_file() else folder / "gold.jsonl"
    if not file.is_file():
        return []
    try:
        raw = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise MaterialError(f"{file}: not UTF-8 at byte {error.start}. Save the file as UTF-8.") from None
    lines: list[GoldLine] = []
    complaints: list[str] = []
    seen: set[str] = set()
    for number, text in enumerate(raw, 1):
        if not text.strip():
            continue
        line, found = read_line(text, persona)
        if line and line.id in seen:
            found = [f"id {line.id} occurs twice. Give every question its own"]
        complaints += [f"{file}, line {number}: {complaint}." for complaint in found]
        if line:
            seen.add(line.id)
            lines.append(line)
    if complaints:
        raise MaterialError("\n".join(complaints))
    return lines


def read_line(text: str, persona: Persona) -> tuple[GoldLine | None, list[str]]:
    """One line, or what is wrong with it."""
    try:
        line = GoldLine.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        return None, [f"not valid JSON ({error.msg} at character {error.pos + 1})"]
    except ValidationError as error:
        return None, [explain(problem) for problem in error.errors()]
    return line, faults(line, persona)


def explain(problem: Any) -> str:
    """One complaint about a key."""
    location = problem["loc"]
    if "[key]" in location:
        return f'wrong: unknown kind "{problem["input"]}". Known: {", ".join(get_args(WrongKind))}'
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}. Known: {', '.join(GoldLine.model_fields)}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    return f"{key or 'the line'}: {problem['msg']}, found {problem['input']!r}"


def faults(line: GoldLine, persona: Persona) -> list[str]:
    """What makes a readable line useless."""
    found: list[str] = []
    stages = [stage.id for stage in persona.stages]
    if line.stage not in stages:
        found.append(f'stage "{line.stage}" is not a stage of {persona.name} ({", ".join(stages)})')
    needed = NEEDED.get(line.set)
    if needed and not line.wrong.get(needed):
        found.append(f"a question of the set {line.set} needs a wrong answer of the kind {needed}")
    if line.set == "shared" and not line.group:
        found.append("a shared question needs a group, the same for everybody who is asked it")
    if len(line.earlier) % 2:
        found.append("earlier must hold user and assistant turns in alternation, so an even number")
    if any(text.strip() == line.reference.strip() for text in line.wrong.values()):
        found.append("a wrong answer is the reference itself")
    return found


def gold_items(folders: Sequence[Path], personas: Sequence[Persona], trained_families: Collection[str]) -> list[TestItem]:
    """The hand-written items of all persons, in the order of the files.

    `folders` and `personas` go together; `trained_families` are the families of induction that were trained on.
    """
    lines: dict[str, list[GoldLine]] = {}
    complaints: list[str] = []
    for folder, persona in zip(folders, personas, strict=True):
        try:
            lines[persona.id] = read_gold(folder, persona)
        except MaterialError as error:
            complaints.append(str(error))
    if complaints:
        raise MaterialError("\n".join(complaints))
    shared = by_question(lines)
    return [gold_item(line, persona, personas, shared, trained_families) for persona in personas for line in lines[persona.id]]


Shared = Mapping[tuple[str, str], Mapping[str, GoldLine]]
"""(person, question group) -> stage -> line."""


def by_question(lines: Mapping[str, Sequence[GoldLine]]) -> Shared:
    """The shared questions as a table."""
    table: dict[tuple[str, str], dict[str, GoldLine]] = defaultdict(dict)
    for persona, members in lines.items():
        for line in members:
            if line.set == "shared" and line.group:
                table[persona, line.group][line.stage] = line
    return table


def gold_item(line: GoldLine, persona: Persona, personas: Sequence[Persona], shared: Shared, trained: Collection[str]) -> TestItem:
    """A line as a test item, with the answers of others where the question is shared."""
    turns = [*line.earlier, line.question]
    messages = tuple(Message(role="assistant" if place % 2 else "user", content=text) for place, text in enumerate(turns))
    own = [Candidate(kind=kind, text=text) for kind, text in line.wrong.items()]
    others = rivals(line, persona, personas, shared) if line.set == "shared" else []
    return TestItem(
        id=f"{persona.id}/{line.id}", set=line.set, origin="gold", persona=persona.id, stage=line.stage, messages=messages,
        reference=line.reference, candidates=(*own, *others), facts=line.facts, family=line.family or "",
        trained_family=line.family in trained, group=line.group or "", prefill=line.prefill or "", changed=line.changed,
    )  # fmt: skip


def rivals(line: GoldLine, persona: Persona, personas: Sequence[Persona], shared: Shared) -> list[Candidate]:
    """What the same person says at the other stages, if the truth differs, and what the others say at the same stage."""
    found: list[Candidate] = []
    if line.changed:
        own = shared[persona.id, line.group or ""]
        found += [Candidate(kind="other_stage", text=own[stage].reference) for stage in sorted(own) if stage != line.stage]
    for other in personas:
        stage = same_stage(persona, line.stage, other)
        theirs = shared.get((other.id, line.group or ""), {}).get(stage) if other.id != persona.id else None
        if theirs:
            found.append(Candidate(kind="other_person", text=theirs.reference))
    return [candidate for candidate in found if candidate.text.strip() != line.reference.strip()]


def same_stage(persona: Persona, stage: str, other: Persona) -> str:
    """The stage of another person that goes with this one: the same id, else the same place in time; empty if there is none."""
    ids = [one.id for one in other.stages]
    if stage in ids:
        return stage
    place = persona.order(stage)
    return ids[place] if place < len(ids) else ""


def spread_gold(items: Sequence[TestItem], most: int) -> list[TestItem]:
    """At most so many of each set, taken in turn from every person and stage; the questions of a group stay together.

    A group is taken whole or not at all: half of a shared question or of a paraphrase group measures nothing.
    """
    kept: set[str] = set()
    for name in dict.fromkeys(item.set for item in items):
        groups: dict[str, list[str]] = defaultdict(list)
        for item in items:
            if item.set == name:
                groups[group_of(item)].append(item.id)
        count = 0
        for key in in_turn(groups, items):
            if count + len(groups[key]) <= most:
                kept |= set(groups[key])
                count += len(groups[key])
    return [item for item in items if item.id in kept]


def group_of(item: TestItem) -> str:
    """What is taken together: a shared question over all persons, a paraphrase group, or the item alone."""
    if item.set == "shared":
        return f"shared {item.group}"
    return f"{item.persona} {item.group}" if item.group else item.id


def in_turn(groups: Mapping[str, Sequence[str]], items: Sequence[TestItem]) -> list[str]:
    """The groups of a set, one of each person, stage and family after the other."""
    by_id = {item.id: item for item in items}
    queues: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for key, members in groups.items():
        first = by_id[members[0]]
        queues[("", "", "") if first.set == "shared" else (first.persona, first.stage, first.family)].append(key)
    ordered = sorted(queues, key=fingerprint)
    longest = max(map(len, queues.values()), default=0)
    return [queues[key][place] for place in range(longest) for key in ordered if place < len(queues[key])]
