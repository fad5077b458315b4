"""A card to a persona folder, and a persona to a card.

    description, personality  -> profile             greetings, examples -> speech, the scenario as the situation
    scenario                  -> the stage's summary  book of knowledge   -> knowledge
    nickname                  -> alias                the card itself     -> card.json, for writing it out again

What a chat program is told about formatting (`system_prompt` and the like) is no matter of the person and not used.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from persllm.cards import Card, Entry, card_of, read_card, tree_of
from persllm.errors import MaterialError, RunError
from persllm.languages import detect
from persllm.records import Material, Persona, Record
from persllm.sources.bounded import parse_json
from persllm.starter import recipe_for
from persllm.store import disk_trouble, replace_text

STAGE = "life"
KEPT = "card.json"
MACRO = re.compile(r"\{\{\s*(char|user)\s*\}\}|<(char|bot|user)>", re.IGNORECASE)
LINE = re.compile(r"^\s*([^:：\n]{1,40})[:：]\s*(.*)$")
START = re.compile(r"^\s*<START>\s*$", re.IGNORECASE | re.MULTILINE)
MOST_EXAMPLES = 8
MOST_ENTRIES = 40


class Taken(Record):
    """What became of a card."""

    folder: str
    name: str
    exchanges: int
    knowledge: int
    ignored: tuple[str, ...]
    """Fields of the card that were not used."""


def card_to_folder(path: Path, directory: Path, user: str = "") -> Taken:
    """Make a persona folder of a card; `user` is the name for {{user}}. RunError if the folder is not empty."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunError(f"{directory}: exists and is not empty. Give another folder; nothing was changed.")
    card = read_card(path)
    code = detect(" ".join((card.description, card.personality, card.examples, *card.greetings)))
    other = user or ("访客" if code == "zh" else "A visitor")
    talks = list(exchanges_of(card, other))
    if not talks and not card.book and not card.description:
        raise MaterialError(f"{path.name}: the card has no description, no talk and no book: nothing to make a person of.")
    with disk_trouble(directory):
        replace_text(directory / "persona.yaml", persona_yaml(card, other, code))
        replace_text(directory / "recipe.yaml", recipe_for(directory.resolve().name))
        replace_text(directory / KEPT, json.dumps(tree_of(card), ensure_ascii=False, indent=2) + "\n")
        stage = directory / "materials" / STAGE
        if talks:
            lines = [json.dumps({**talk, "origin": path.name}, ensure_ascii=False) for talk in talks]
            replace_text(stage / "speech.jsonl", "".join(f"{line}\n" for line in lines))
        articles = [(entry.title, entry.content) for entry in card.book] or [(card.name, card.description or card.personality)]
        texts = [
            f"## {filled(title, card, other)}\n<!-- from: {path.name} -->\n{filled(text, card, other)}\n"
            for title, text in articles
            if text
        ]
        if texts:
            replace_text(stage / "knowledge.md", "\n".join(texts))
    return Taken(folder=str(directory), name=card.name, exchanges=len(talks), knowledge=len(card.book), ignored=card.ignored)


def filled(text: str, card: Card, user: str) -> str:
    """A text with the names in place of {{char}} and {{user}}."""
    return MACRO.sub(lambda found: user if (found[1] or found[2]).lower() == "user" else card.nickname or card.name, text)


def persona_yaml(card: Card, user: str, code: str) -> str:
    """persona.yaml of a card."""
    profile = "\n".join(filled(text, card, user) for text in (card.description, card.personality) if text) or card.name
    stage = {"id": STAGE, "summary": filled(card.scenario, card, user)}
    tree = {
        "name": card.name, "aliases": [card.nickname] if card.nickname and card.nickname != card.name else [], "language": code,
        "profile": profile, "stages": [{key: value for key, value in stage.items() if value}],
    }  # fmt: skip
    head = "# Made of a character card by `persllm new --card`. Add `pronouns`, and stages in order of time.\n"
    return head + yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=120)


def exchanges_of(card: Card, user: str) -> Iterator[dict]:
    """Greetings, and the example talks, as lines of speech."""
    situation = filled(card.scenario, card, user)
    for greeting in card.greetings:
        yield {"situation": situation or user, "turns": [{"speaker": card.name, "to": user, "text": filled(greeting, card, user)}]}
    for block in START.split(card.examples):
        turns = turns_of(filled(block, card, user), card, user)
        if any(turn["speaker"] == card.name for turn in turns):
            yield {"situation": situation, "turns": turns}


def turns_of(block: str, card: Card, user: str) -> list[dict[str, str]]:
    """The turns of one example; a line without a name goes on with the turn before."""
    names = {card.name.lower(): card.name, (card.nickname or card.name).lower(): card.name, user.lower(): user}
    turns: list[dict[str, str]] = []
    for line in block.split("\n"):
        found = LINE.match(line)
        speaker = names.get(found[1].strip().lower()) if found else None
        if speaker and found:
            turns.append({"speaker": speaker, "to": user if speaker == card.name else card.name, "text": found[2].strip()})
        elif turns and line.strip():
            turns[-1]["text"] = f"{turns[-1]['text']}\n{line.strip()}".strip()
    return [turn for turn in turns if turn["text"]]


def persona_to_card(persona: Persona, materials: Sequence[Material], stage_id: str = "", kept: Path | None = None) -> Card:
    """A card of a person at one stage (the last if none is given); `kept` is the card.json the person was made of."""
    known = [stage.id for stage in persona.stages]
    if stage_id and stage_id not in known:
        raise MaterialError(f'stage "{stage_id}" is not a stage of {persona.name}: {", ".join(known)}.')
    stage = persona.stage(stage_id or known[-1])
    own = [m for m in materials if m.persona == persona.id and m.stage in (None, stage.id)]
    names = {persona.name, *persona.aliases}
    talks = [m for m in own if m.kind == "speech" and any(turn.speaker in names for turn in m.turns)]
    opening = [m.turns[0].text for m in talks if m.turns[0].speaker in names]
    first = opening or [turn.text for m in talks for turn in m.turns if turn.speaker in names][:1]
    before = card_of(parse_json(kept.read_text(encoding="utf-8")), kept.name) if kept and kept.is_file() else Card(name=persona.name)
    return before.model_copy(update={
        "name": persona.name, "nickname": before.nickname or next(iter(persona.aliases), ""),
        "description": before.description or persona.profile,
        "scenario": before.scenario or " ".join(filter(None, (stage.title, stage.summary))), "greetings": before.greetings or tuple(first[:3]),
        "examples": before.examples or examples_of([m for m in talks if len(m.turns) > 1], names),
        "book": before.book or tuple(Entry(title=m.title, content=m.text, keys=(m.title,)) for m in own if m.kind != "speech" and m.title)[:MOST_ENTRIES],
        "tags": before.tags or ("persllm", persona.language),
    })  # fmt: skip


def examples_of(talks: Sequence[Material], names: set[str]) -> str:
    """Example talks, with macros for the names."""
    blocks = []
    for material in talks[:MOST_EXAMPLES]:
        lines = [f"{'{{char}}' if turn.speaker in names else '{{user}}'}: {turn.text}" for turn in material.turns]
        blocks.append("\n".join(["<START>", *lines]))
    return "\n".join(blocks)
