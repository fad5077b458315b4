"""Who speaks next: in turn, whoever was named, whoever the rule picks, whoever most wants to.

All of it is a function of the scene, the seed and the turns so far. Nobody speaks twice in a row, but in a round.
Limits: being named is read from the words of the name; relevance is nearness of wording, not of meaning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from persllm.embedding import Vectors
from persllm.languages import language
from persllm.meeting.seats import Seat
from persllm.records import fingerprint

if TYPE_CHECKING:
    from persllm.meeting.course import Meeting


@dataclass(frozen=True)
class Choice:
    """Who speaks next, and why."""

    seat: int
    why: str


class Relevance:
    """How near utterances are to what each seat knows: the largest cosine to one of the known materials, 0 to 1."""

    def __init__(self, seats: Sequence[Seat]):
        self.seats = seats
        self.heard: dict[str, list[float]] = {}

    @cached_property
    def vectors(self) -> tuple[Vectors, list[slice]]:
        """The materials of all seats, and which rows belong to which seat."""
        texts, slices = [], []
        for seat in self.seats:
            own = [material.text for material in seat.known]
            slices.append(slice(len(texts), len(texts) + len(own)))
            texts += own
        return Vectors(texts), slices

    def of(self, text: str) -> list[float]:
        """One figure for each seat; 0 for whoever has no materials."""
        if text not in self.heard:
            vectors, slices = self.vectors
            row = next(iter(vectors.similarities([text])))[1][0] if text.strip() and vectors.matrix is not None else np.zeros(0)
            self.heard[text] = [float(max(row[own], default=0.0)) for own in slices]
        return self.heard[text]


def choose(meeting: "Meeting") -> Choice:
    """Who speaks next by the scene's policy, where no agent moderates."""
    policies = {"round": in_turn, "named": whoever_was_named, "moderator": least_said, "urge": most_urged}
    return policies[meeting.scene.policy](meeting)


def in_turn(meeting: "Meeting") -> Choice:
    """Seat after seat."""
    return Choice(len(meeting.turns) % len(meeting.seats), "round")


def whoever_was_named(meeting: "Meeting") -> Choice:
    """The first whom the last utterance names; else who has waited longest."""
    last = meeting.turns[-1] if meeting.turns else None
    text = last.text if last else meeting.scene.opening
    named = {place: at for place in others(meeting) if (at := meeting.seats[place].named_at(text)) >= 0}
    if named:
        return Choice(min(named, key=named.get), "named")
    return Choice(max(others(meeting), key=lambda place: (waited(meeting, place), -place)), "waited longest")


def least_said(meeting: "Meeting", why: str = "said least") -> Choice:
    """Who has said the fewest words."""
    words = language(meeting.scene.language).words
    said = {place: sum(len(words(turn.text)) for turn in meeting.turns if turn.seat == place) for place in others(meeting)}
    return Choice(min(said, key=lambda place: (said[place], -waited(meeting, place), place)), why)


def most_urged(meeting: "Meeting") -> Choice:
    """Who most wants to speak: relevance, waiting, being named, and a little luck."""
    weights = meeting.scene.urge
    text = meeting.turns[-1].text if meeting.turns else meeting.scene.opening
    relevance = meeting.relevance.of(text)
    urges = {
        place: weights.relevance * relevance[place]
        + weights.waiting * waited(meeting, place) / len(meeting.seats)
        + weights.named * (meeting.seats[place].named_at(text) >= 0)
        + weights.chance * luck(meeting, place)
        for place in others(meeting)
    }
    best = max(urges, key=lambda place: (urges[place], -place))
    return Choice(best, f"urge {urges[best]:.3f}")


def luck(meeting: "Meeting", place: int) -> float:
    """A number in [0, 1) that only seed, turn and place decide."""
    return int(fingerprint(["urge", meeting.seed, len(meeting.turns), place])[:12], 16) / 16**12


def others(meeting: "Meeting") -> list[int]:
    """All places but the last speaker's."""
    last = meeting.turns[-1].seat if meeting.turns else -1
    return [place for place in range(len(meeting.seats)) if place != last]


def waited(meeting: "Meeting", place: int) -> int:
    """Turns since somebody's last one; all turns for whoever has not spoken."""
    return next((back for back, turn in enumerate(reversed(meeting.turns)) if turn.seat == place), len(meeting.turns))
