"""From verdicts to figures. What two orders see differently is a tie; what has no verdict is unscored.

Every question is counted once for every taker. Who gave no answer is unscored there, and nobody else is: the others are
compared among themselves. A call that failed unscores those that it was about, until it is asked again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from persllm.agreement import Match, strengths
from persllm.judge.asking import LETTERS
from persllm.judge.records import POINTS, Position, Standing, Verdict
from persllm.records import Score, TestItem
from persllm.statistics import unit

RESAMPLINGS = 200
"""Resamplings behind the interval of a strength: each fits all strengths anew."""
METRIC = {"pairs": "judged_preference", "scores": "judged_points", "paper_accuracy": "paper_accuracy", "paper_rank": "paper_rank"}
"""Preset -> name of its metric."""
SHARES = frozenset({METRIC["pairs"], METRIC["paper_accuracy"]})
"""Metrics between 0 and 1: a mean of exactly one end means that all are there, and its interval is not without width."""

NO_ANSWER = "no answer"
OTHER_SILENT = "the other gave no answer"
ALL_SILENT = "nobody else gave an answer"

Duel = tuple[str, str, str, str]
"""Item, aspect, two takers in the order of their names."""


@dataclass(frozen=True)
class Docket:
    """What was to be judged by one preset."""

    preset: str
    aspects: Sequence[str]
    takers: Sequence[str]
    voices: Mapping[str, Sequence[tuple[str, ...]]]
    """Item -> the takers that answered it, those with the same words together."""

    def answered(self, item: str, taker: str) -> bool:
        """Whether a taker gave an answer."""
        return any(taker in group for group in self.voices[item])


def score_all(verdicts: Sequence[Verdict], dockets: Sequence[Docket]) -> list[Score]:
    """A score for each preset, aspect, taker and item that was wanted."""
    ways = {"pairs": preference_scores, "scores": point_scores, "paper_accuracy": point_scores, "paper_rank": rank_scores}
    return [score for docket in dockets for score in ways[docket.preset](of(verdicts, docket.preset), docket)]


def of(verdicts: Sequence[Verdict], preset: str) -> list[Verdict]:
    """Those of one preset."""
    return [verdict for verdict in verdicts if verdict.preset == preset]


# Points --------------------------------------------------------------------------------------------------


def point_scores(verdicts: Sequence[Verdict], docket: Docket) -> list[Score]:
    """Points of each answer; for `paper_accuracy` as a share of the most, and only for the aspect that the question rests on."""
    given = {(v.item, v.aspect, taker): v for v in verdicts if v.kind == "score" for taker in v.shown[0]}
    scale = POINTS if docket.preset == "paper_accuracy" else 1
    found = []
    for (item, aspect), taker in product(wanted(verdicts, docket), docket.takers):
        verdict = given.get((item, aspect, taker))
        value = float(verdict.value) / scale if verdict and verdict.value else None
        reason = "" if value is not None else verdict.reason if verdict else NO_ANSWER
        found.append(Score(metric=METRIC[docket.preset], detail=aspect, taker=taker, item=item, value=value, reason=reason))
    return found


def wanted(verdicts: Sequence[Verdict], docket: Docket) -> list[tuple[str, str]]:
    """Item and aspect of all that was to get points, answered or not; what was sorted as neither, or could not be sorted, is none."""
    if docket.preset != "paper_accuracy":
        return list(product(docket.voices, docket.aspects))
    return [(v.item, v.value) for v in verdicts if v.kind == "sort" and v.value in docket.aspects]


# Orders --------------------------------------------------------------------------------------------------


def preference_scores(verdicts: Sequence[Verdict], docket: Docket) -> list[Score]:
    """For each taker the mean of its duels on an item: 1 for a win, a half for a tie; and against each other taker by itself."""
    duels, found = all_duels(verdicts, docket), []
    for item, aspect, taker in seats(docket):
        own = {other: oriented(duels, docket, item, aspect, taker, other) for other in docket.takers if other != taker}
        mean, reason = mean_of(docket, item, taker, list(own.values()))
        blank = Score(metric=METRIC["pairs"], detail=aspect, taker=taker, item=item, value=mean, reason=reason, chance=0.5)
        found.append(blank)
        found += [
            blank.model_copy(update={"detail": f"{aspect} against {other}", "value": points, "reason": reason})
            for other, (points, reason) in own.items()
        ]
    return found


def rank_scores(verdicts: Sequence[Verdict], docket: Docket) -> list[Score]:
    """For each taker its rank on an item, 1 the best: one more for each that both orders put above it, a half for each tie.

    Where somebody is silent, the rank among the others is stretched to as many places as there are takers, so that the worst of
    two and the worst of three have the same.
    """
    duels, found = all_duels(verdicts, docket), []
    for item, aspect, taker in seats(docket):
        own = [oriented(duels, docket, item, aspect, taker, other) for other in docket.takers if other != taker]
        mean, reason = mean_of(docket, item, taker, own)
        value = None if mean is None else 1 + (1 - mean) * len(own)
        found.append(Score(
            metric=METRIC["paper_rank"], detail=aspect, taker=taker, item=item, value=value, reason=reason, chance=(len(docket.takers) + 1) / 2,
        ))  # fmt: skip
    return found


def mean_of(docket: Docket, item: str, taker: str, duels: Sequence[tuple[float | None, str]]) -> tuple[float | None, str]:
    """A taker's mean over its duels with those that answered too, or None with the reason."""
    if not docket.answered(item, taker):
        return None, NO_ANSWER
    fought = [(points, reason) for points, reason in duels if reason != OTHER_SILENT]
    failed = next((reason for points, reason in fought if points is None), "")
    if failed or not fought:
        return None, failed or ALL_SILENT
    values = [points for points, _ in fought if points is not None]
    return sum(values) / len(values), ""


def seats(docket: Docket) -> Iterator[tuple[str, str, str]]:
    """Every item, aspect and taker."""
    return product(docket.voices, docket.aspects, docket.takers)


def all_duels(verdicts: Sequence[Verdict], docket: Docket) -> dict[Duel, tuple[float | None, str]]:
    """Points of the first taker of each duel over both orders, or None with the reason; the same words are a tie."""
    seen: dict[Duel, list[float | None]] = defaultdict(list)
    reasons: dict[Duel, str] = {}
    for verdict in verdicts:
        for (one, other), points in single_duels(verdict):
            key = (verdict.item, verdict.aspect, one, other)
            seen[key].append(points)
            if points is None:
                reasons[key] = verdict.reason
    found: dict[Duel, tuple[float | None, str]] = {}
    for item, aspect, (one, other) in product(docket.voices, docket.aspects, combinations(sorted(docket.takers), 2)):
        key = (item, aspect, one, other)
        if key in seen:
            found[key] = settled(seen[key]), reasons.get(key, "")
        else:
            alike = any({one, other} <= set(group) for group in docket.voices[item])
            found[key] = (0.5, "") if alike else (None, NO_ANSWER)
    return found


def single_duels(verdict: Verdict) -> Iterator[tuple[tuple[str, str], float | None]]:
    """What one verdict says of every two takers that it saw, those in the order of their names."""
    place = {letter: number for number, letter in enumerate(verdict.value.split())} if verdict.kind == "rank" else {}
    for (a, group), (b, others) in combinations(zip(LETTERS, verdict.shown, strict=False), 2):
        if not verdict.value:
            points = None
        elif verdict.kind == "rank":
            points = float(place[a] < place[b])
        else:
            points = {"A": 1.0, "B": 0.0, "same": 0.5}[verdict.value]
        for one in group:
            for other in others:
                yield ((one, other), points) if one < other else ((other, one), None if points is None else 1 - points)


def settled(points: Sequence[float | None]) -> float | None:
    """The points of two orders: what they agree on, else a tie; None if one is missing."""
    if any(value is None for value in points):
        return None
    return points[0] if len(set(points)) == 1 else 0.5


def oriented(
    duels: Mapping[Duel, tuple[float | None, str]], docket: Docket, item: str, aspect: str, taker: str, other: str
) -> tuple[float | None, str]:
    """A duel as the taker sees it."""
    points, reason = duels[(item, aspect, *sorted((taker, other)))]
    if reason == NO_ANSWER and docket.answered(item, taker):
        reason = OTHER_SILENT
    return (points if taker < other or points is None else 1 - points), reason


# Beside the figures --------------------------------------------------------------------------------------


def positions(verdicts: Sequence[Verdict]) -> list[Position]:
    """How far the judge goes by the place of an answer."""
    found = []
    for preset, aspect in dict.fromkeys((v.preset, v.aspect) for v in verdicts if v.kind in ("compare", "rank")):
        own = [v for v in verdicts if (v.preset, v.aspect) == (preset, aspect) and v.asked]
        seen: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        first: Counter[bool] = Counter()
        for verdict in own:
            for (one, other), points in shown_duels(verdict):
                if points is not None:
                    seen[verdict.item, *sorted((one, other))].append(points if one < other else 1 - points)
                    if points != 0.5:
                        first[points == 1.0] += 1
        both = [points for points in seen.values() if len(points) == 2]
        found.append(Position(
            preset=preset, aspect=aspect, pairs=len(both),
            alike=round(sum(len(set(points)) == 1 for points in both) / len(both), 4) if both else None,
            first=round(first[True] / first.total(), 4) if first.total() else None,
        ))  # fmt: skip
    return found


def shown_duels(verdict: Verdict) -> list[tuple[tuple[str, str], float | None]]:
    """What one verdict says of every two answers, in the order in which they were shown."""
    one_each = verdict.model_copy(update={"shown": tuple((group[0],) for group in verdict.shown)})
    found = []
    for ((one, other), points), (a, b) in zip(single_duels(one_each), combinations(one_each.shown, 2), strict=True):
        turned = (one, other) != (a[0], b[0])
        found.append(((a[0], b[0]), 1 - points if turned and points is not None else points))
    return found


def standings(verdicts: Sequence[Verdict], docket: Docket, items: Sequence[TestItem], seed: int) -> list[Standing]:
    """Bradley-Terry strengths by aspect, with intervals by resampling questions."""
    units = {item.id: unit(item) for item in items}
    duels, takers, found = all_duels(of(verdicts, docket.preset), docket), docket.takers, []
    for aspect in docket.aspects:
        by_unit: dict[str, list[Match]] = defaultdict(list)
        for (item, named, one, other), (points, _) in duels.items():
            if named == aspect and points is not None:
                by_unit[units[item]].append((one, other, points))
        matches = [match for members in by_unit.values() for match in members]
        if not matches:
            continue
        whole, dice = strengths(matches, takers), np.random.default_rng([seed, 7])
        groups = list(by_unit.values())
        drawn = [
            strengths([match for place in dice.integers(0, len(groups), len(groups)) for match in groups[place]], takers)
            for _ in range(RESAMPLINGS)
        ]
        for taker in (name for name in takers if any(name in match[:2] for match in matches)):
            low, high = np.percentile([one[taker] for one in drawn], [2.5, 97.5])
            count = sum(taker in match[:2] for match in matches)
            found.append(Standing(
                aspect=aspect, taker=taker, value=round(whole[taker], 4), low=round(float(low), 4), high=round(float(high), 4), n=count,
            ))  # fmt: skip
    return found
