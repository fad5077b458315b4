"""Rank the candidates of every turn by a small table of weights, twice or more, so that neighbours inform each other.

The first pass knows of the neighbours only what verbs of speech say beside a name; each further pass reads what the one
before believed. Weights are kept by the kind of cue (`weights.json`, made by scripts/fit_attribution.py).
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from persllm.novels.features import NAMES, SITUATIONS, FeatureMaker

PASSES = 4


class Weights(NamedTuple):
    """The learnt numbers."""

    first: np.ndarray
    """(situations, features): the pass that does not know its neighbours."""
    later: np.ndarray
    """The same for the passes after it."""
    calibration: dict[str, tuple[float, float]]
    """Situation -> (slope, offset) that turn the log odds of the best candidate into those of being right."""
    threshold: float
    """Calibrated confidence below which nothing is said."""


@cache
def shipped_weights() -> Weights:
    """The table that comes with persllm."""
    raw = json.loads((Path(__file__).parent / "weights.json").read_text(encoding="utf-8"))
    if raw["features"] != list(NAMES) or raw["situations"] != list(SITUATIONS):
        raise AssertionError("weights.json is of other features: run scripts/fit_attribution.py")
    calibration = {name: (pair[0], pair[1]) for name, pair in raw["calibration"].items()}
    return Weights(np.array(raw["first"]), np.array(raw["later"]), calibration, raw["threshold"])


def first_beliefs(maker: FeatureMaker) -> list[dict[int, float]]:
    """What is known at once: the subjects of verbs of speech."""
    return [
        {view.cue.character: 1.0} if view.cue.manner == "speech" and view.cue.character >= 0 and view.cue.subject == "name" else {}
        for view in maker.views
    ]


def believe(maker: FeatureMaker, beliefs: Sequence[dict[int, float]], weights: np.ndarray) -> list[dict[int, float]]:
    """One pass: probabilities of the candidates of every turn."""
    found = []
    for number, view in enumerate(maker.views):
        if not view.candidates:
            found.append({})
            continue
        score = maker.rows(number, beliefs) @ weights[view.situation]
        score = np.exp(score - score.max())
        score /= score.sum()
        found.append(dict(zip(view.candidates, score.tolist())))
    return found


def rank(maker: FeatureMaker, weights: Weights, passes: int = PASSES) -> list[dict[int, float]]:
    """Probabilities of the candidates of every turn after all passes."""
    beliefs = believe(maker, first_beliefs(maker), weights.first)
    for _ in range(passes - 1):
        beliefs = believe(maker, beliefs, weights.later)
    return beliefs


def calibrated(weights: Weights, situation: str, probability: float) -> float:
    """The chance that a best candidate of this probability is right."""
    slope, offset = weights.calibration[situation]
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    odds = slope * np.log(bounded / (1 - bounded)) + offset
    return float(1 / (1 + np.exp(-odds)))
