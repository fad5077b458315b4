"""What a study asks: its settings, and the items that raters judge."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, field_validator

from persllm.errors import ConfigError, RunError
from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Answer, Message, Persona, Record, TestItem, fingerprint
from persllm.store import Run, read_records, replace_records, replace_text
from persllm.takers import players

Dimension = Literal["naturalness", "likeness", "knowledge", "consistency", "engagement"]
DIMENSIONS: tuple[Dimension, ...] = ("naturalness", "likeness", "knowledge", "consistency", "engagement")
QUESTION_SETS = ("shared", "attitude", "knowledge", "generalisation", "recall", "induction")
"""Test sets that a study takes its questions from, in turn."""
CONSENT = {
    "en": (
        "You will read questions and answers and say which answers you find better. The answers were written by language models, "
        "not by human beings. We keep your judgements and how long they took, under a random code, and nothing else: no name, no address. "
        "You can stop at any time by closing the page."
    ),
    "zh": (
        "您将阅读一些问题和回答，并说明您认为哪个回答更好。这些回答由语言模型生成，不是真人所写。"
        "我们只以随机编号保存您的判断和所用时间，不保存姓名、地址等任何其他信息。您可以随时关闭页面退出。"
    ),
}
"""The consent text a new study begins with; the user completes it in study.yaml."""


class StudySettings(Settings):
    """The file study.yaml."""

    title: str = Field(min_length=1)
    """What raters read at the head of every page."""
    language: Literal["en", "zh"] = "en"
    """Language of the pages, until a rater chooses the other."""
    run: str
    """The run folder the takers come from."""
    takers: tuple[str, ...] = Field(min_length=2)
    """Who is compared; raters never see these names."""
    tasks: Literal["pairs", "ratings", "both"] = "pairs"
    """Two answers side by side, single answers on a scale of five, or both in turn."""
    talk: Literal["fixed", "free"] = "fixed"
    """Answers to fixed questions, or a talk of the rater's own with both at once."""
    turns: int = Field(3, ge=1, le=20)
    """In a free talk: messages after which the rater can judge."""
    dimensions: tuple[Dimension, ...] = Field(DIMENSIONS, min_length=1)
    """What is judged, each by itself."""
    raters: int = Field(30, ge=1)
    """So many take part; after that the study is full."""
    tasks_per_rater: int = Field(12, ge=1)
    """Judgements of one rater, attention checks not counted."""
    attention_checks: int = Field(2, ge=0)
    """Tasks that say what is to be chosen; who fails one is left out of the results."""
    idle_minutes: int = Field(60, ge=1)
    """After so long without a judgement a rater's place is given to another."""
    show_facts: bool = True
    """Show who the person is and what the right answer would hold."""
    consent: dict[Literal["en", "zh"], str] = Field(default_factory=lambda: dict(CONSENT))
    """What a rater agrees to before anything is asked."""
    seed: int = 0
    """Seed of what is drawn."""

    @field_validator("takers")
    @classmethod
    def different(cls, takers: tuple[str, ...]) -> tuple[str, ...]:
        """A taker is not compared with itself."""
        if len(set(takers)) < len(takers):
            raise ValueError("the same taker twice")
        return takers


class StudyItem(Record):
    """One question, with what every taker answered."""

    id: str
    persona: str
    """Id of the person."""
    name: str
    stage: str
    """Id of the stage."""
    about: str
    """Who the person is at this stage, for the rater."""
    messages: tuple[Message, ...] = ()
    """The talk up to the question; empty in a free talk."""
    reference: str = ""
    """What the right answer would hold."""
    answers: dict[str, str] = {}  # noqa: RUF012 - a field of a record, not a class attribute
    """Taker -> answer; empty in a free talk."""


def new_study(run: Path, folder: Path, takers: Sequence[str] = (), items: int = 24, **settings: object) -> tuple[StudySettings, int]:
    """Write study.yaml and items.jsonl for a finished run; the settings, and how many items there are.

    ConfigError if the folder is taken; RunError if the run's examination lacks the takers.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: exists and is not empty. Give another folder, or remove it.")
    source = Run.open(run)
    personas = source.step("1-materials").records(Persona, "personas.jsonl")
    answers = source.step("8-evaluation").records(Answer, "answers.jsonl")
    present = list(dict.fromkeys(answer.taker for answer in answers))
    in_use = [name for name in list(players(source, source.recipe.mode, personas, personas[0].id))[:1] if settings.get("talk") == "free"]
    ranked = dict.fromkeys(("prompted", *in_use, "dpo", "sft", "base"))
    chosen = tuple(takers) or tuple(name for name in ranked if name in (*present, *in_use))[:2]
    missing = [name for name in chosen if name not in present]
    if missing and settings.get("talk") != "free":
        raise RunError(f"{run}: no answers of {', '.join(missing)}. Its examination has {', '.join(present) or 'none'}.")
    made = parse(
        StudySettings,
        {
            "title": f"Which answer is more like {joined(personas)}?",
            "language": personas[0].language,
            "run": str(run.resolve()),
            "takers": chosen,
            **settings,
        },
        "study",
    )
    questions = source.step("8-evaluation").records(TestItem, "test.jsonl")
    found = talks(personas) if made.talk == "free" else asked(questions, answers, personas, made, items)
    if not found:
        raise RunError(f"{run}: no question that all of {', '.join(chosen)} answered.")
    replace_records(folder / "items.jsonl", found)
    replace_text(folder / "study.yaml", yaml.safe_dump(made.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=100))
    (folder / "items.jsonl").chmod(0o600)
    return made, len(found)


def joined(personas: Sequence[Persona]) -> str:
    """The names of the persons, for a title."""
    names = [persona.name for persona in personas]
    return names[0] if len(names) == 1 else "the person" if personas[0].language == "en" else "本人"


def talks(personas: Sequence[Persona]) -> list[StudyItem]:
    """For free talks: every person at every stage."""
    return [
        StudyItem(id=f"{persona.id}-{stage.id}", persona=persona.id, name=persona.name, stage=stage.id, about=about(persona, stage.id))
        for persona in personas
        for stage in persona.stages
    ]


def asked(
    questions: Sequence[TestItem], answers: Sequence[Answer], personas: Sequence[Persona], settings: StudySettings, most: int
) -> list[StudyItem]:
    """Questions that every taker answered, spread over test sets, persons and stages."""
    said = {(answer.taker, answer.item): answer.text.strip() for answer in answers if not answer.sample and not answer.error}
    by_id = {persona.id: persona for persona in personas}
    whole = [
        item
        for item in questions
        if item.persona in by_id and item.set in QUESTION_SETS and not item.prefill and all(said.get((t, item.id)) for t in settings.takers)
    ]
    places: dict[tuple[str, str, str], int] = {}
    ranked = []
    for item in sorted(whole, key=lambda item: fingerprint([settings.seed, item.id])):
        key = (item.set, item.persona, item.stage)
        places[key] = places.get(key, -1) + 1
        ranked.append((places[key], QUESTION_SETS.index(item.set), item))
    chosen = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])[:most]]
    return [
        StudyItem(
            id=item.id, persona=item.persona, name=by_id[item.persona].name, stage=item.stage, about=about(by_id[item.persona], item.stage),
            messages=item.messages, reference=item.reference, answers={taker: said[taker, item.id] for taker in settings.takers},
        )
        for item in chosen
    ]  # fmt: skip


def about(persona: Persona, stage_id: str) -> str:
    """Who the person is at a stage."""
    stage = persona.stage(stage_id)
    years = f" ({stage.start}–{stage.end})" if stage.start or stage.end else ""
    return "\n".join(part for part in (persona.profile, f"{stage.title}{years}", stage.summary) if part.strip())


def read_study(folder: Path) -> tuple[StudySettings, list[StudyItem]]:
    """Settings and items of a study; ConfigError if there is none."""
    if not (folder / "study.yaml").is_file():
        raise ConfigError(f"{folder}: no study here (study.yaml is missing). `persllm study new RUN {folder}` makes one.")
    settings = parse(StudySettings, read_yaml(folder / "study.yaml"), str(folder / "study.yaml"))
    items = read_records(folder / "items.jsonl", StudyItem)
    for item in items:
        lacking = [taker for taker in settings.takers if settings.talk == "fixed" and taker not in item.answers]
        if lacking:
            raise ConfigError(
                f"{folder}/items.jsonl: item {item.id} has no answer of {lacking[0]}. Make the study again with these takers."
            )
    return settings, items


def secret() -> str:
    """The part of a study's address that nobody can guess."""
    return secrets.token_urlsafe(12)
