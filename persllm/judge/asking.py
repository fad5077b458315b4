"""From questions and answers to what the judge is asked. It sees letters, never a taker's name.

Answers stand in the prompt as JSON strings, so that nothing in them can pass for another answer or for the end of it.
Where the order could tell, everything is asked in both orders. Takers that gave the same answer are shown as one.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from pydantic import Field

from persllm.annotation import schema
from persllm.judge.records import POINTS, Kind, Task
from persllm.judge_settings import JudgeSettings, Preset
from persllm.prompts import prompt
from persllm.records import Message, Persona, Record, Request, Sampling, TestItem, fingerprint

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PAPER_ASPECTS = ("knowledge", "attitude")
PROMPTS = (
    "judge_case", "judge_sort", "judge_score", "judge_compare", "judge_rank", "judge_knowledge", "judge_attitude", "judge_likeness",
)  # fmt: skip
"""The prompts of the judge, which change nothing in a run."""


class Sorted(Record):
    """The reply that sorts a question."""

    why: str
    matter: Literal["knowledge", "attitude", "neither"]


class Scored(Record):
    """The reply that gives points."""

    why: str
    points: int = Field(ge=0, le=POINTS)


class Compared(Record):
    """The reply that chooses between two answers."""

    why: str
    better: Literal["A", "B", "same"]


class Ranked(Record):
    """The reply that puts answers in order, the best first."""

    why: str
    order: tuple[str, ...]


FORMS: dict[Kind, type[Record]] = {"sort": Sorted, "score": Scored, "compare": Compared, "rank": Ranked}


class Bench:
    """All that questions are put from: items, persons, and who said what."""

    def __init__(
        self, settings: JudgeSettings, personas: Sequence[Persona], said: Mapping[tuple[str, str], str], takers: Sequence[str], seed: int
    ):
        self.settings, self.said, self.takers, self.seed = settings, said, takers, seed
        self.personas = {persona.id: persona for persona in personas}
        self.sampling = Sampling(temperature=settings.api.temperature, max_tokens=settings.api.max_tokens)

    def tasks(self, items: Sequence[TestItem]) -> list[Task]:
        """Everything that can be asked without knowing a verdict."""
        ways = {"pairs": self.pairs, "scores": self.scores, "paper_accuracy": self.sorting, "paper_rank": self.ranks}
        return [task for preset in dict.fromkeys(self.settings.presets) for item in items for task in ways[preset](item)]

    def pairs(self, item: TestItem) -> list[Task]:
        """Every two takers, in both orders; those with the same words are no question."""
        groups = combinations(self.voices(item), 2)
        orders = [order for pair in groups for order in (pair, pair[::-1])]
        return [self.task("pairs", "compare", item, aspect, order) for aspect in self.settings.aspects for order in orders]

    def scores(self, item: TestItem) -> list[Task]:
        """Every answer by itself."""
        return [self.task("scores", "score", item, aspect, (group,)) for aspect in self.settings.aspects for group in self.voices(item)]

    def sorting(self, item: TestItem) -> list[Task]:
        """What the question rests on."""
        return [self.task("paper_accuracy", "sort", item)]

    def accuracy(self, item: TestItem, aspect: str) -> list[Task]:
        """Every answer to a question that was sorted."""
        return [self.task("paper_accuracy", "score", item, aspect, (group,)) for group in self.voices(item)]

    def ranks(self, item: TestItem) -> list[Task]:
        """All answers at once, in a drawn order and in the reverse of it."""
        groups = self.voices(item)
        if len(groups) < 2:
            return []
        drawn = tuple(sorted(groups, key=lambda group: fingerprint([self.seed, item.id, group])))
        return [self.task("paper_rank", "rank", item, aspect, order) for aspect in PAPER_ASPECTS for order in (drawn, drawn[::-1])]

    def voices(self, item: TestItem) -> list[tuple[str, ...]]:
        """The takers that answered, those with the same words together."""
        by_text: dict[str, list[str]] = {}
        for taker in self.takers:
            text = self.said.get((taker, item.id), "")
            if text:
                by_text.setdefault(text, []).append(taker)
        return [tuple(group) for group in by_text.values()]

    def task(self, preset: Preset, kind: Kind, item: TestItem, aspect: str = "", shown: tuple[tuple[str, ...], ...] = ()) -> Task:
        """One call."""
        code = self.personas[item.persona].language
        answers = [json.dumps(self.said[group[0], item.id], ensure_ascii=False) for group in shown]
        words = {
            "sort": {},
            "score": {"answer": "".join(answers)},
            "compare": {"answers": lettered(answers)},
            "rank": {"answers": lettered(answers), "letters": " ".join(LETTERS[: len(answers)])},
        }[kind]
        judged = {"aspect": prompt(code, f"judge_{aspect}")} if aspect else {}
        text = f"{self.case(item)}\n\n{prompt(code, f'judge_{kind}', **words, **judged)}"
        request = Request(messages=(Message(role="user", content=text),), sampling=self.sampling, json_schema=schema(FORMS[kind]))
        return Task(preset=preset, kind=kind, item=item.id, aspect=aspect, shown=shown, request=request)

    def case(self, item: TestItem) -> str:
        """Who is asked what, and what the right answer is."""
        persona = self.personas[item.persona]
        stage = persona.stage(item.stage)
        years = f"{stage.start}\u2013{stage.end}" if stage.start or stage.end else ""
        said = "\n".join(f"{persona.name if message.role == 'assistant' else '-'}: {message.content}" for message in item.messages)
        told = "\n".join(line for line in (stage.title or stage.id, years, stage.summary) if line)
        return prompt(
            persona.language,
            "judge_case",
            name=persona.name,
            profile=persona.profile,
            stage=told,
            conversation=said,
            reference=item.reference,
        )


def lettered(answers: Sequence[str]) -> str:
    """The answers, one a line, behind their letters."""
    return "\n".join(f"{letter}: {answer}" for letter, answer in zip(LETTERS, answers, strict=False))


def chosen(items: Sequence[TestItem], settings: JudgeSettings, seed: int) -> list[TestItem]:
    """The questions that are judged: with a person and a reference, spread over sets, persons and stages."""
    places: dict[tuple[str, str, str], int] = {}
    ranked = []
    fit = [item for item in items if item.persona and item.reference and not item.prefill and item.set in settings.sets]
    for item in sorted(fit, key=lambda item: fingerprint([seed, item.id])):
        key = (item.set, item.persona, item.stage)
        places[key] = places.get(key, -1) + 1
        ranked.append(((places[key], settings.sets.index(item.set)), item))
    return [item for _, item in sorted(ranked, key=lambda entry: entry[0])[: settings.items]]
