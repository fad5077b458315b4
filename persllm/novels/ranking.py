"""Rank the candidates of every turn by a small table of weights, twice or more, so that neighbours inform each other.

The first pass knows of the neighbours only what verbs of speech say beside a name; each further pass reads what the one
before believed. Weights are kept by the kind of cue (`weights.json`, made by scripts/fit_attribution.py).
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from persllm.novels.features import FAR_APART, NAMES, SITUATIONS, VAGUE, FeatureMaker

PASSES = 4
FARTHEST_ANCHOR = 10
"""Turns within which a verb of speech beside a name supports its neighbours."""
EVIDENCE = (
    "constant", "log_odds", "second", "two_anchors_agree", "an_anchor_disagrees", "no_anchor", "anchor_distance", "speaks_often",
    "described", "vague", "called_in_own_words", "length", "is_an_anchor", "voices", "rivals", "reacts",
)  # fmt: skip


class Weights(NamedTuple):
    """The learnt numbers."""

    first: np.ndarray
    """(situations, features): the pass that does not know its neighbours."""
    later: np.ndarray
    """The same for the passes after it."""
    calibration: dict[str, tuple[float, ...]]
    """Situation -> weights of the evidence (`EVIDENCE`) for the log odds of being right."""
    threshold: float
    """Calibrated confidence below which nothing is said."""


@cache
def shipped_weights() -> Weights:
    """The table that comes with persllm."""
    raw = json.loads((Path(__file__).parent / "weights.json").read_text(encoding="utf-8"))
    if raw["features"] != list(NAMES) or raw["situations"] != list(SITUATIONS):
        raise AssertionError("weights.json is of other features: run scripts/fit_attribution.py")
    calibration = {name: tuple(numbers) for name, numbers in raw["calibration"].items()}
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


def evidence(maker: FeatureMaker, number: int, belief: Mapping[int, float]) -> np.ndarray:
    """What tells how far the best candidate of a turn can be trusted: the numbers named in `EVIDENCE`."""
    ranked = sorted(belief.values(), reverse=True)
    best = max(belief, key=lambda one: belief[one])
    bounded = min(max(ranked[0], 1e-4), 1 - 1e-4)
    before, after = anchor(maker, number, -1), anchor(maker, number, 1)
    view, who = maker.views[number], maker.scene.characters[best]
    vague = who.described and who.name.split()[-1] in VAGUE
    agree = [fits(best, at, speaker) for at, speaker in (before, after) if at]
    voices = voices_around(maker, number)
    genders = [maker.scene.characters[voice].gender for voice in voices - {best}]
    return np.array(
        [
            1.0, np.log(bounded / (1 - bounded)), ranked[1] if len(ranked) > 1 else 0.0, float(agree.count(True) == 2),
            float(False in agree), float(not agree), np.log1p(min([at for at, _ in (before, after) if at], default=12)),
            np.log1p(maker.speaking[best]) / 3, float(who.described), float(vague), float(best in view.called), min(len(view.turn.voiced), 400) / 400,
            float(best in voices), np.log1p(len(voices)), np.log1p(sum("x" in (who.gender, other) or other == who.gender for other in genders)),
            float(view.cue.reacts),
        ]
    )  # fmt: skip


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
