"""Rank the candidates of every turn by small tables of weights, several times, so that neighbours inform each other.

The first pass looks at each turn alone; then a chain over the conversation says whose turn it is (`chain.py`); each
further pass reads what the chain and the pass before believed. Weights are kept by the kind of cue (`weights.json`, made
by scripts/fit_attribution.py).
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from persllm.novels.chain import Habits, take_turns
from persllm.novels.features import FAR_APART, NAMES, SITUATIONS, FeatureMaker

PASSES = 4
FARTHEST_ANCHOR = 10
"""Turns within which a verb of speech beside a name supports its neighbours."""
EVIDENCE = (
    "constant", "log_odds", "second", "two_anchors_agree", "an_anchor_disagrees", "no_anchor", "anchor_distance", "speaks_often",
    "described", "called_in_own_words", "length", "is_an_anchor", "voices", "rivals", "reacts",
    "alone", "alone_agrees", "chained", "chain_agrees", "entropy", "surest_neighbour", "least_sure_neighbour", "same_as_neighbour",
)  # fmt: skip


class Weights(NamedTuple):
    """The learnt numbers."""

    alone: np.ndarray
    """(situations, features): the pass that does not know its neighbours."""
    habits: Habits
    """How people take turns, for the chain."""
    first: np.ndarray
    """The same for the pass that knows the chain."""
    later: np.ndarray
    """The same for the passes that know the pass before."""
    calibration: dict[str, tuple[float, ...]]
    """Situation -> weights of the evidence (`EVIDENCE`) for the log odds of being right."""
    threshold: float
    """Calibrated confidence below which nothing is said."""


@cache
def shipped_weights() -> Weights:
    """The table that comes with persllm."""
    raw = json.loads((Path(__file__).parent / "weights.json").read_text(encoding="utf-8"))
    if (raw["features"], raw["situations"], raw["evidence"]) != (list(NAMES), list(SITUATIONS), list(EVIDENCE)):
        raise AssertionError("weights.json is of other features: run scripts/fit_attribution.py")
    calibration = {name: tuple(numbers) for name, numbers in raw["calibration"].items()}
    habits = Habits(tuple(tuple(row) for row in raw["habits"]))
    return Weights(np.array(raw["alone"]), habits, np.array(raw["first"]), np.array(raw["later"]), calibration, raw["threshold"])


class Passes(NamedTuple):
    """What was believed of every turn."""

    alone: list[dict[int, float]]
    """By what the turn itself and the narration around it tell."""
    chained: list[dict[int, float]]
    """Once the whole conversation is known."""
    last: list[dict[int, float]]
    """After all passes."""


def nothing(maker: FeatureMaker) -> list[dict[int, float]]:
    """Before anything is believed."""
    return [{} for _ in maker.views]


def chain(maker: FeatureMaker, beliefs: Sequence[dict[int, float]], habits: Habits) -> list[dict[int, float]]:
    """What is believed once whole conversations are known."""
    gaps = [maker.gap(number, number + 1) for number in range(len(beliefs) - 1)]
    return take_turns(beliefs, gaps, habits, FAR_APART + 2)


def believe(
    maker: FeatureMaker, beliefs: Sequence[dict[int, float]], chained: Sequence[dict[int, float]], weights: np.ndarray
) -> list[dict[int, float]]:
    """One pass: probabilities of the candidates of every turn."""
    found = []
    for number, view in enumerate(maker.views):
        if not view.candidates:
            found.append({})
            continue
        score = maker.rows(number, beliefs, chained) @ weights[view.situation]
        score = np.exp(score - score.max())
        score /= score.sum()
        found.append(dict(zip(view.candidates, score.tolist())))
    return found


def rank(maker: FeatureMaker, weights: Weights, passes: int = PASSES) -> Passes:
    """Probabilities of the candidates of every turn after all passes."""
    alone = believe(maker, nothing(maker), nothing(maker), weights.alone)
    chained = chain(maker, alone, weights.habits)
    beliefs = believe(maker, chained, chained, weights.first)
    for _ in range(passes - 1):
        beliefs = believe(maker, beliefs, chained, weights.later)
    return Passes(alone, chained, beliefs)


def evidence(maker: FeatureMaker, number: int, passes: Passes) -> np.ndarray:
    """What tells how far the best candidate of a turn can be trusted: the numbers named in `EVIDENCE`."""
    belief = passes.last[number]
    ranked = sorted(belief.values(), reverse=True)
    best = likeliest(belief)
    before, after = anchor(maker, number, -1), anchor(maker, number, 1)
    view, who = maker.views[number], maker.scene.characters[best]
    agree = [fits(best, at, speaker) for at, speaker in (before, after) if at]
    voices = voices_around(maker, number)
    genders = [maker.scene.characters[voice].gender for voice in voices - {best}]
    alone, chained = passes.alone[number], passes.chained[number]
    near = [passes.last[other] for other, gap in (maker.neighbour(number, -1), maker.neighbour(number, 1)) if other >= 0 and gap <= 2]
    sure = [max(other.values(), default=0.0) for other in near]
    return np.array(
        [
            1.0, log_odds(ranked[0]), ranked[1] if len(ranked) > 1 else 0.0, float(agree.count(True) == 2),
            float(False in agree), float(not agree), np.log1p(min([at for at, _ in (before, after) if at], default=12)),
            np.log1p(maker.speaking[best]) / 3, float(who.described), float(best in view.called), min(len(view.turn.voiced), 400) / 400,
            float(best in voices), np.log1p(len(voices)), np.log1p(sum("x" in (who.gender, other) or other == who.gender for other in genders)),
            float(view.cue.reacts),
            log_odds(alone.get(best, 0.0)), float(likeliest(alone) == best), log_odds(chained.get(best, 0.0)), float(likeliest(chained) == best),
            -sum(share * np.log(share + 1e-9) for share in ranked), max(sure, default=0.0), min(sure, default=0.0), sum(other.get(best, 0.0) for other in near),
        ]
    )  # fmt: skip


def likeliest(belief: Mapping[int, float]) -> int:
    """The likeliest candidate; -1 without any."""
    return max(belief, key=lambda one: belief[one], default=-1)


def log_odds(chance: float) -> float:
    """The logarithm of the odds, bounded."""
    bounded = min(max(chance, 1e-4), 1 - 1e-4)
    return float(np.log(bounded / (1 - bounded)))


def anchor(maker: FeatureMaker, number: int, step: int) -> tuple[int, int]:
    """(turns to the nearest one in this direction with a verb of speech beside a name, that name); (0, -1) without."""
    for distance in range(1, FARTHEST_ANCHOR + 1):
        other = number + step * distance
        if not 0 <= other < len(maker.views) or maker.gap(other - step, other) > FAR_APART:
            return 0, -1
        cue = maker.views[other].cue
        if cue.manner == "speech" and cue.subject == "name":
            return distance, cue.character
    return 0, -1


def voices_around(maker: FeatureMaker, number: int) -> set[int]:
    """Who is named beside a verb of speech in the conversation around a turn."""
    found = set()
    for step in (-1, 1):
        for distance in range(FARTHEST_ANCHOR + 1):
            other = number + step * distance
            if not 0 <= other < len(maker.views) or (distance and maker.gap(other - step, other) > FAR_APART):
                break
            cue = maker.views[other].cue
            if cue.manner == "speech" and cue.subject == "name":
                found.add(cue.character)
    return found


def fits(speaker: int, distance: int, other: int) -> bool:
    """Whether two speakers, so many turns apart, fit an exchange in which two alternate."""
    return (speaker == other) == (distance % 2 == 0)


def calibrated(weights: Weights, situation: str, proofs: np.ndarray) -> float:
    """The chance that the best candidate is right, given its evidence."""
    return float(1 / (1 + np.exp(-(proofs @ np.array(weights.calibration[situation])))))
