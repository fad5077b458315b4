"""Whose turn it is, over a whole conversation: forward and backward over all turns, two turns back.

What each turn tells by itself (`beliefs`) is joined by how people take turns: mostly the one before the last speaks
again. Exact for pairs of neighbouring turns with the likeliest few candidates each; a conversation ends where the
narration between two turns is long.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

MOST = 8
"""Candidates of a turn that are looked at, the likeliest."""
FLOOR = 1e-3
"""Added to each belief, so that no turn rules anybody out."""


class Habits(NamedTuple):
    """How likely, after so many paragraphs from the last turn, who speaks is the same one, the one before, or another."""

    by_gap: tuple[tuple[float, float, float], ...]
    """For 0, 1, 2, ... paragraphs; the last for all above."""

    def after(self, gap: int) -> tuple[float, float, float]:
        """The shares for a gap."""
        return self.by_gap[min(gap, len(self.by_gap) - 1)]


def take_turns(beliefs: Sequence[Mapping[int, float]], gaps: Sequence[int], habits: Habits, farthest: int) -> list[dict[int, float]]:
    """What is believed of every turn once its whole conversation is known: probabilities of its likeliest candidates.

    `gaps[i]` is the number of paragraphs between turn i and i + 1; above `farthest` a conversation ends.
    """
    found: list[dict[int, float]] = []
    for run in conversations(beliefs, gaps, farthest):
        found += marginals(beliefs[run.start : run.stop], gaps[run.start : run.stop - 1], habits)
    return found


def conversations(beliefs: Sequence[Mapping[int, float]], gaps: Sequence[int], farthest: int) -> Iterator[range]:
    """Runs of turns that hang together; a turn without candidates is one by itself."""
    start = 0
    for number in range(1, len(beliefs)):
        if gaps[number - 1] > farthest or not (beliefs[number - 1] and beliefs[number]):
            yield range(start, number)
            start = number
    if beliefs:
        yield range(start, len(beliefs))


def marginals(beliefs: Sequence[Mapping[int, float]], gaps: Sequence[int], habits: Habits) -> list[dict[int, float]]:
    """Forward and backward over the pairs of speakers of neighbouring turns."""
    if len(beliefs) < 2:
        return [dict(belief) for belief in beliefs]
    who = [np.array(sorted(belief, key=lambda one: -belief[one])[:MOST]) for belief in beliefs]
    says = [np.array([belief[one] for one in names]) + FLOOR for belief, names in zip(beliefs, who)]
    steps = [transition(who[max(0, n - 1)], who[n], who[n + 1], habits.after(gaps[n]), n == 0) for n in range(len(gaps))]
    forward = [says[0][:, None] * steps[0][0] * says[1][None, :]]
    forward[0] /= forward[0].sum()
    for n in range(1, len(gaps)):
        pair = np.einsum("ab,abc->bc", forward[-1], steps[n]) * says[n + 1][None, :]
        forward.append(pair / pair.sum())
    backward = [np.ones_like(forward[-1])]
    for n in range(len(gaps) - 1, 0, -1):
        pair = np.einsum("abc,bc->ab", steps[n], backward[0] * says[n + 1][None, :])
        backward.insert(0, pair / pair.sum())
    pairs = [f * b for f, b in zip(forward, backward)]
    shares = [pairs[0].sum(axis=1), *(pair.sum(axis=0) for pair in pairs)]
    return [dict(zip(names.tolist(), (share / share.sum()).tolist())) for names, share in zip(who, shares)]


def transition(before: np.ndarray, last: np.ndarray, next_one: np.ndarray, habit: tuple[float, float, float], first: bool) -> np.ndarray:
    """(before, last, next) -> how likely the next speaker is; `first` where there is no turn before the last."""
    same, again, other = habit
    rest = max(1, len(next_one) - 1)
    if first:
        again, other = 0.0, again + other
    table = np.full((len(before), len(last), len(next_one)), other / rest)
    if not first:
        table = np.where(before[:, None, None] == next_one[None, None, :], again, table)
    return np.where(last[None, :, None] == next_one[None, None, :], same, table)
