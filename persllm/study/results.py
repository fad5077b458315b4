"""What raters said: preferences, Bradley-Terry, means, agreement, each with interval and n, per dimension.

Raters who failed an attention check are left out, and counted. Intervals of shares and means come from resampling raters
(the judgements of one rater hang together); Bradley-Terry and Krippendorff's alpha from `persllm.agreement`.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from persllm.agreement import alpha, strengths
from persllm.errors import ConfigError
from persllm.records import Record
from persllm.store import replace_text
from persllm.study.design import StudySettings, read_study
from persllm.study.storage import Judgement, Storage

RESAMPLINGS = 1000
FEWEST_BOTH = 2
"""Raters who must have judged the same thing before agreement means anything."""
POINTS = {"left": 1.0, "same": 0.5, "right": 0.0}
"""What a judgement on a pair gives to the taker on the left."""


class Estimate(Record):
    """A figure with its 95 % interval."""

    value: float | None
    """None if it cannot be computed."""
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Judgements behind it."""
    note: str = ""
    """Why there is no value, or what to know about it."""


class Preference(Record):
    """One taker against another on one dimension."""

    dimension: str
    taker: str
    other: str
    wins: int
    ties: int
    losses: int
    share: Estimate
    """Share of judgements for the taker; a tie counts half."""


class Standing(Record):
    """One taker on one dimension."""

    dimension: str
    taker: str
    strength: Estimate
    """Bradley-Terry strength; those of all takers sum to 1."""
    rating: Estimate
    """Mean rating, 1 to 5."""


class Agreement(Record):
    """How far raters agree."""

    dimension: str
    kind: str
    """`pair` or `rating`."""
    alpha: Estimate
    """Krippendorff's alpha: 1 is full agreement, 0 what chance gives."""


class Results(Record):
    """All that came out of a study."""

    title: str
    began: int
    finished: int
    left_out: int
    """Raters who failed an attention check."""
    judgements: int
    """Judgements that count."""
    preferences: tuple[Preference, ...]
    standings: tuple[Standing, ...]
    agreements: tuple[Agreement, ...]


def results(folder: Path) -> Results:
    """The results of a study so far. ConfigError if nobody has judged anything."""
    settings, _ = read_study(folder)
    if not (folder / "study.sqlite").is_file():
        raise ConfigError(f"{folder}: nobody has taken part yet. `persllm study serve {folder}` lets raters in.")
    storage = Storage(folder)
    everything = storage.judgements()
    failed = inattentive(everything)
    counted = [judgement for judgement in everything if judgement.rater not in failed and judgement.task.kind != "check"]
    pairs = [judgement for judgement in counted if judgement.task.kind == "pair"]
    ratings = [judgement for judgement in counted if judgement.task.kind == "rating"]
    return Results(
        title=settings.title, **storage.counts(), left_out=len(failed), judgements=len(counted),
        preferences=tuple(p for d in settings.dimensions for p in preferences(d, of(pairs, d), settings)),
        standings=tuple(s for d in settings.dimensions for s in standings(d, of(pairs, d), of(ratings, d), settings)),
        agreements=tuple(
            Agreement(dimension=d, kind=kind, alpha=agreement(of(found, d), kind))
            for d in settings.dimensions
            for kind, found in (("pair", pairs), ("rating", ratings))
            if found
        ),
    )  # fmt: skip


def of(judgements: Sequence[Judgement], dimension: str) -> list[Judgement]:
    """Those of one dimension."""
    return [judgement for judgement in judgements if judgement.dimension == dimension]


def inattentive(judgements: Sequence[Judgement]) -> set[str]:
    """Raters who did not choose what an attention check asked for."""
    return {j.rater for j in judgements if j.task.kind == "check" and j.value != j.task.expected}


def points(judgement: Judgement, taker: str) -> float:
    """1 if a pair went to the taker, 0 if to the other, a half for a tie."""
    if judgement.value == "same":
        return 0.5
    return float((judgement.task.left if judgement.value == "left" else judgement.task.right) == taker)


def preferences(dimension: str, judgements: Sequence[Judgement], settings: StudySettings) -> list[Preference]:
    """Every two takers against each other."""
    found = []
    for taker, other in combinations(settings.takers, 2):
        scored = [(j.rater, points(j, taker)) for j in judgements if {j.task.left, j.task.right} == {taker, other}]
        values = [value for _, value in scored]
        found.append(Preference(
            dimension=dimension, taker=taker, other=other, wins=values.count(1.0), ties=values.count(0.5), losses=values.count(0.0),
            share=mean_by_rater(scored),
        ))  # fmt: skip
    return found


def standings(dimension: str, pairs: Sequence[Judgement], ratings: Sequence[Judgement], settings: StudySettings) -> list[Standing]:
    """Every taker on one dimension."""
    strengths = bradley_terry(pairs, settings.takers)
    return [
        Standing(
            dimension=dimension, taker=taker, strength=strengths[taker],
            rating=mean_by_rater([(j.rater, float(j.value)) for j in ratings if j.task.left == taker]),
        )
        for taker in settings.takers
    ]  # fmt: skip


def mean_by_rater(scored: Sequence[tuple[str, float]]) -> Estimate:
    """A mean with an interval by resampling raters."""
    if not scored:
        return Estimate(value=None, note="nothing judged")
    by_rater: dict[str, list[float]] = defaultdict(list)
    for rater, value in scored:
        by_rater[rater].append(value)
    sums, counts = np.array([sum(values) for values in by_rater.values()]), np.array([len(values) for values in by_rater.values()])
    value = float(sums.sum() / counts.sum())
    if len(by_rater) < FEWEST_BOTH:
        return Estimate(value=value, n=len(scored), note="one rater: no interval")
    drawn = np.random.default_rng(0).integers(0, len(by_rater), (RESAMPLINGS, len(by_rater)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high), n=len(scored))


def bradley_terry(judgements: Sequence[Judgement], takers: Sequence[str]) -> dict[str, Estimate]:
    """Strength of each taker (Bradley and Terry 1952; ties half), with intervals by resampling raters."""
    raters = sorted({judgement.rater for judgement in judgements})
    if not judgements:
        return {taker: Estimate(value=None, note="nothing judged") for taker in takers}
    whole = strengths_of(judgements, takers)
    by_rater = {rater: [j for j in judgements if j.rater == rater] for rater in raters}
    dice = np.random.default_rng(0)
    drawn = [
        strengths_of([j for place in dice.integers(0, len(raters), len(raters)) for j in by_rater[raters[place]]], takers)
        for _ in range(RESAMPLINGS // 5 if len(raters) >= FEWEST_BOTH else 0)
    ]
    found = {}
    for taker in takers:
        values = [one[taker] for one in drawn]
        low, high = np.percentile(values, [2.5, 97.5]) if values else (None, None)
        found[taker] = Estimate(value=whole[taker], low=low, high=high, n=len(judgements), note="" if values else "one rater: no interval")
    return found


def strengths_of(judgements: Sequence[Judgement], takers: Sequence[str]) -> dict[str, float]:
    """Bradley-Terry strengths that sum to 1."""
    return strengths([(j.task.left, j.task.right, POINTS[j.value]) for j in judgements], takers)


def agreement(judgements: Sequence[Judgement], kind: str) -> Estimate:
    """Krippendorff's alpha over what at least two raters judged; ordinal, since a tie lies between, and a 3 between 2 and 4."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for judgement in judgements:
        first = min(judgement.task.left, judgement.task.right)
        value = points(judgement, first) if kind == "pair" else float(judgement.value)
        table[" ".join(judgement.task.unit)][judgement.rater] = value
    shared = [values for values in table.values() if len(values) >= FEWEST_BOTH]
    count = sum(map(len, shared))
    if len(shared) < FEWEST_BOTH:
        return Estimate(value=None, n=count, note="too little was judged by two")
    found = alpha(table)
    if found is None:
        return Estimate(value=None, n=count, note="all judged alike: alpha is not defined")
    return Estimate(value=found.value, low=found.low, high=found.high, n=count)


# Files ---------------------------------------------------------------------------------------------------


def write_results(folder: Path) -> Results:
    """Write results.json, judgements.csv and results.html into the study's folder."""
    from persllm.study.page import results_page

    found = results(folder)
    settings, items = read_study(folder)
    stages = {item.id: (item.persona, item.stage) for item in items}
    replace_text(folder / "results.json", found.model_dump_json(indent=2) + "\n")
    replace_text(folder / "judgements.csv", as_csv(Storage(folder).judgements(), stages))
    replace_text(folder / "results.html", results_page(found, settings))
    return found


def as_csv(judgements: Sequence[Judgement], stages: Mapping[str, tuple[str, str]]) -> str:
    """One line for each judgement, checks and failed raters included."""
    failed, file = inattentive(judgements), io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(
        ["rater", "place", "kind", "item", "persona", "stage", "left", "right", "dimension", "value", "seconds", "passed_checks"]
    )
    for j in judgements:
        row = [
            j.rater,
            j.place,
            j.task.kind,
            j.task.item,
            *stages.get(j.task.item, ("", "")),
            j.task.left,
            j.task.right,
            j.dimension,
            j.value,
        ]
        table.writerow([*map(harmless, map(str, row)), "" if j.seconds is None else round(j.seconds, 1), int(j.rater not in failed)])
    return file.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
