"""Rank the candidates of every turn by small tables of weights, several times, so that neighbours inform each other.

The first pass looks at each turn alone; then a chain over the conversation says whose turn it is (`chain.py`); each
further pass reads what the chain and the pass before believed. Weights are kept by the kind of cue (`weights.json`, made
by scripts/fit_attribution.py).
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from persllm.novels.chain import Habits, take_turns
from persllm.novels.features import FAR_APART, NAMES, SITUATIONS, FeatureMaker
from persllm.novels.trust import EVIDENCE, Passes

PASSES = 4


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
