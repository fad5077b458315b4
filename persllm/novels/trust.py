"""How far the likeliest speaker of a turn can be trusted: numbers that tell it, and the chance of being right they add up to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from persllm.novels.features import FAR_APART, FeatureMaker

FARTHEST_ANCHOR = 10
"""Turns within which a verb of speech beside a name supports its neighbours."""
EVIDENCE = (
    "constant", "log_odds", "second", "two_anchors_agree", "an_anchor_disagrees", "no_anchor", "anchor_distance", "speaks_often",
    "described", "called_in_own_words", "length", "is_an_anchor", "voices", "rivals", "reacts",
    "alone", "alone_agrees", "chained", "chain_agrees", "entropy", "surest_neighbour", "least_sure_neighbour", "same_as_neighbour",
)  # fmt: skip


class Passes(NamedTuple):
    """What was believed of every turn."""

    alone: list[dict[int, float]]
    """By what the turn itself and the narration around it tell."""
    chained: list[dict[int, float]]
    """Once the whole conversation is known."""
    last: list[dict[int, float]]
    """After all passes."""


def evidence(maker: FeatureMaker, number: int, passes: Passes) -> np.ndarray:
    """What tells how far the best candidate of a turn can be trusted: the numbers named in `EVIDENCE`."""
    values = {"constant": 1.0} | of_beliefs(maker, number, passes) | of_the_book(maker, number, likeliest(passes.last[number]))
    return np.array([values[name] for name in EVIDENCE])


def of_beliefs(maker: FeatureMaker, number: int, passes: Passes) -> dict[str, float]:
    """What the passes believe of a turn and of its neighbours."""
    belief, alone, chained = passes.last[number], passes.alone[number], passes.chained[number]
    ranked, best = sorted(belief.values(), reverse=True), likeliest(belief)
    near = [passes.last[other] for other, gap in (maker.neighbour(number, -1), maker.neighbour(number, 1)) if other >= 0 and gap <= 2]
    sure = [max(other.values(), default=0.0) for other in near]
    return {
        "log_odds": log_odds(ranked[0]),
        "second": ranked[1] if len(ranked) > 1 else 0.0,
        "entropy": -sum(share * float(np.log(share + 1e-9)) for share in ranked),
        "alone": log_odds(alone.get(best, 0.0)),
        "alone_agrees": float(likeliest(alone) == best),
        "chained": log_odds(chained.get(best, 0.0)),
        "chain_agrees": float(likeliest(chained) == best),
        "surest_neighbour": max(sure, default=0.0),
        "least_sure_neighbour": min(sure, default=0.0),
        "same_as_neighbour": sum(other.get(best, 0.0) for other in near),
    }


def of_the_book(maker: FeatureMaker, number: int, best: int) -> dict[str, float]:
    """What stands around a turn: who is named beside the words of others, and how the best candidate fits in."""
    view, who = maker.views[number], maker.scene.characters[best]
    anchors = [(at, speaker) for at, speaker in (anchor(maker, number, -1), anchor(maker, number, 1)) if at]
    agree = [fits(best, at, speaker) for at, speaker in anchors]
    voices = voices_around(maker, number)
    genders = [maker.scene.characters[voice].gender for voice in voices - {best}]
    return {
        "two_anchors_agree": float(agree.count(True) == 2),
        "an_anchor_disagrees": float(False in agree),
        "no_anchor": float(not agree),
        "anchor_distance": float(np.log1p(min([at for at, _ in anchors], default=12))),
        "speaks_often": float(np.log1p(maker.speaking[best])) / 3,
        "described": float(who.described),
        "called_in_own_words": float(best in view.called),
        "length": min(len(view.turn.voiced), 400) / 400,
        "is_an_anchor": float(best in voices),
        "voices": float(np.log1p(len(voices))),
        "rivals": float(np.log1p(sum("x" in (who.gender, other) or other == who.gender for other in genders))),
        "reacts": float(view.cue.reacts),
    }


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


def calibrated(weights: Sequence[float], proofs: np.ndarray) -> float:
    """The chance that the best candidate is right, given its evidence."""
    return float(1 / (1 + np.exp(-(proofs @ np.array(weights)))))
