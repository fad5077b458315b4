"""Everything a report rests on, read from a run folder once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from persllm.checks.verify import Agreement
from persllm.config import Recipe
from persllm.judge import Judged, judgements
from persllm.metrics.identification import Confusion
from persllm.parsing import flatten
from persllm.records import Answer, Persona, Record, Score, TestItem
from persllm.report.words import Words
from persllm.statistics import Difference, Figure
from persllm.store import Run, read_lines

EVALUATION = "8-evaluation"
TRAINING = ("5-sft", "7-dpo")
REFERENCE = "reference"
"""The name under which the hand-written references are scored; nobody sat by it."""
TOLD_ELSEWHERE = {"seconds", "dropped", "peak_memory_mb", "verified", "finished", "sentence", "goals_reached", "goals_measured"}
"""Facts of a step that the page has in a place of their own."""


class StepRow(Record):
    """One finished step."""

    folder: str
    seconds: float
    dropped: dict[str, int]
    """Reason -> number of what was left out."""
    peak_memory_mb: int = 0
    verified: Agreement | None = None
    """How far a second model agrees with the checks, if one looked through a sample."""
    facts: dict[str, str] = {}  # noqa: RUF012 - a field of a record, not a class attribute
    """What else the step tells of itself, such as samples, tokens or the share of real ones."""


class Point(Record):
    """One point of a training curve."""

    step: float
    values: dict[str, float]
    """`loss`, and for DPO `margin`, `accuracy`, `chosen`, `rejected`."""


@dataclass(frozen=True)
class Evidence:
    """A finished evaluation with all that is asked about it."""

    path: Path
    recipe: Recipe
    personas: Mapping[str, Persona]
    items: Mapping[str, TestItem]
    takers: Sequence[str]
    """Who sat, in the order of the recipe."""
    answers: Mapping[tuple[str, str, int], Answer]
    """(taker, item, sample) -> answer."""
    scores: Mapping[tuple[str, str, str, str], Score]
    """(metric, detail, taker, item) -> score."""
    figures: Mapping[tuple[str, str, str, str], Figure]
    """(metric, detail, taker, group) -> figure."""
    differences: Mapping[tuple[str, str, str, str, str], Difference]
    """(metric, detail, group, taker, than) -> difference."""
    confusion: Sequence[Confusion]
    steps: Sequence[StepRow]
    curves: Mapping[str, Sequence[Point]]
    """`5-sft/cast` -> points."""
    provenance: Mapping[str, Any]
    judged: Sequence[Judged] = ()
    """What judges said, one for each that was asked."""

    @cached_property
    def words(self) -> Words:
        """The language of the page: Chinese if all persons speak it."""
        return Words("zh" if self.personas and all(person.language == "zh" for person in self.personas.values()) else "en")

    def figure(self, metric: str, taker: str, group: str = "all", detail: str = "") -> Figure | None:
        """A figure that has a value, or None."""
        found = self.figures.get((metric, detail, taker, group))
        return found if found is not None and found.value is not None else None

    def difference(self, metric: str, taker: str, than: str, group: str = "all", detail: str = "") -> Difference | None:
        """A difference, or None."""
        return self.differences.get((metric, detail, group, taker, than))

    def value(self, metric: str, taker: str, item: str, detail: str = "") -> float | None:
        """The value of one score, or None."""
        found = self.scores.get((metric, detail, taker, item))
        return found.value if found else None

    def text(self, taker: str, item: str) -> str:
        """The greedy answer; empty if there is none."""
        found = self.answers.get((taker, item, 0))
        return found.text.strip() if found and not found.error else ""

    @property
    def final(self) -> str:
        """The taker that stands at the end of the training: dpo, else sft; empty if nothing trained sat."""
        return next((name for name in ("dpo", "sft") if name in self.takers), "")

    @property
    def rival(self) -> str:
        """The untrained taker to be beaten: prompted, else base; empty if none sat."""
        return next((name for name in ("prompted", "base") if name in self.takers), "")

    @property
    def rivals(self) -> list[str]:
        """The takers that a trained one is to beat."""
        return [name for name in ("prompted", "retrieval", "stylised") if name in self.takers] or ([self.rival] if self.rival else [])

    @property
    def main_group(self) -> str:
        """Which items the main figure is taken over: the hand-written ones, if there are any."""
        return "gold" if any(item.origin == "gold" for item in self.items.values()) else "all"


def read_evidence(recipe: Recipe, run: Run) -> Evidence:
    """The evidence of a run; RunError if its evaluation is not there."""
    folder = run.step(EVALUATION)
    figures = folder.records(Figure, "figures.jsonl")
    sat = {one.taker for one in figures}
    answers, scores = folder.records(Answer, "answers.jsonl"), folder.records(Score, "scores.jsonl")
    return Evidence(
        path=run.path,
        recipe=placeless(recipe),
        personas={persona.id: persona for persona in run.step("1-materials").records(Persona, "personas.jsonl")},
        items={item.id: item for item in folder.records(TestItem, "test.jsonl")},
        takers=[*(taker for taker in recipe.evaluation.takers if taker in sat), *sorted(sat - {*recipe.evaluation.takers, REFERENCE})],
        answers={(one.taker, one.item, one.sample): one for one in answers},
        scores={(one.metric, one.detail, one.taker, one.item): one for one in scores},
        figures={(one.metric, one.detail, one.taker, one.group): one for one in figures},
        differences={
            (one.metric, one.detail, one.group, one.taker, one.than): one for one in folder.records(Difference, "differences.jsonl")
        },
        confusion=folder.records(Confusion, "confusion.jsonl"),
        steps=read_steps(run),
        curves=read_curves(run),
        provenance=read_json(run.path / "provenance.json"),
        judged=judgements(run.path),
    )


def placeless(recipe: Recipe) -> Recipe:
    """A recipe as a page may show it: folders and files by their name, since where they lie on a machine is nobody's business."""
    return Recipe.model_validate(named(recipe.model_dump(mode="json")))


def named(value: Any) -> Any:
    """A value in which every absolute path is its last part."""
    if isinstance(value, dict):
        return {key: named(one) for key, one in value.items()}
    if isinstance(value, list):
        return [named(one) for one in value]
    return Path(value).name or value if isinstance(value, str) and Path(value).is_absolute() else value


def read_steps(run: Run) -> list[StepRow]:
    """The finished steps in order."""
    folders = sorted(file.parent for file in run.path.glob("*/step.json"))
    rows = []
    for folder in folders:
        summary = read_json(folder / "step.json")
        row = {key: summary[key] for key in ("seconds", "dropped", "peak_memory_mb", "verified") if key in summary}
        rows.append(StepRow(folder=folder.name, facts=facts_of(summary), **{"seconds": 0.0, "dropped": {}, **row}))
    return rows


def facts_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """What a step tells of itself besides time, memory and losses: numbers and words by their path, such as `training.cast.tokens`."""
    flat = flatten({key: value for key, value in summary.items() if key not in TOLD_ELSEWHERE})
    return {key: f"{value:,}" if isinstance(value, int) else str(value) for key, value in flat.items() if is_fact(value)}


def is_fact(value: object) -> bool:
    """Whether a value is a number, or a few words."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or (isinstance(value, str) and value != "")


def read_curves(run: Run) -> dict[str, list[Point]]:
    """The training curves, by step and model."""
    files = [file for step in TRAINING for file in sorted((run.path / step).glob("*/curve.jsonl"))]
    return {f"{file.parts[-3]}/{file.parts[-2]}": [point(json.loads(line)) for line in read_lines(file)] for file in files}


def point(entry: dict[str, float]) -> Point:
    """One line of a curve."""
    return Point(step=entry["step"], values={name: value for name, value in entry.items() if name != "step"})


def read_json(file: Path) -> dict[str, Any]:
    """The JSON of a file, empty if it is not there."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
