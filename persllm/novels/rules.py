"""Who said it, without a model: rules and a small table of weights; what is not sure enough is left open."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from persllm.novels.book import Attribution, Character, Piece
from persllm.novels.features import SITUATIONS, FeatureMaker
from persllm.novels.ranking import Weights, rank, shipped_weights
from persllm.novels.scene import Scene
from persllm.novels.trust import calibrated, evidence
from persllm.novels.turns import Turn

SURE_ADDRESSEE = 0.8
"""Confidence in a neighbour's speaker from which on that one is taken as the addressee."""


class Reader(Protocol):
    """Whatever has read a novel: the rules of a language, or a model."""

    paragraphs: Sequence[str]
    answers: Mapping[int, Attribution]
    """Number of the quotation -> who said it."""

    @property
    def turns(self) -> list[Turn]:
        """What one person says at once, in order."""
        ...

    @property
    def characters(self) -> list[Character]:
        """Everybody who was found, the most frequent first."""
        ...


class Reading:
    """A novel read by the rules: characters, turns, and an answer for every quotation."""

    def __init__(
        self, paragraphs: Sequence[str], pieces: Sequence[Piece], known: Sequence[Sequence[str]] = (), weights: Weights | None = None
    ):
        self.weights = weights or shipped_weights()
        self.paragraphs = paragraphs
        self.scene = Scene(paragraphs, pieces, known)
        self.maker = FeatureMaker(self.scene)
        self.passes = rank(self.maker, self.weights)
        self.beliefs = self.passes.last
        for number in self.scene.by_strangers():
            if self.maker.views[number].cue.manner != "speech":  # somebody else is named as the speaker: none of the listed fits
                self.beliefs[number] = {}
        self.answers = {answer.quotation: answer for number in range(len(self.scene.turns)) for answer in self.turn_answers(number)}

    @property
    def turns(self) -> list[Turn]:
        """What one person says at once, in order."""
        return self.scene.turns

    @property
    def characters(self) -> list[Character]:
        """All characters, named ones first."""
        return self.scene.characters

    def turn_answers(self, number: int) -> list[Attribution]:
        """The answer for a turn, once for each quotation in it."""
        belief, view = self.beliefs[number], self.maker.views[number]
        situation = SITUATIONS[view.situation]
        quotations = dict.fromkeys(piece.quotation for piece in view.turn.pieces)
        if not belief:
            return [Attribution(quotation=quotation, basis=situation) for quotation in quotations]
        best = max(belief, key=lambda character: belief[character])
        confidence = calibrated(self.weights.calibration[situation], evidence(self.maker, number, self.passes))
        name = self.characters[best].name
        said = name if confidence >= self.weights.threshold else ""
        to = tuple(self.characters[one].name for one in self.addressees(number, best)) if said else ()
        basis = "conversation" if situation == "none" else situation
        return [
            Attribution(quotation=quotation, speaker=said, best=name, confidence=round(confidence, 4), basis=basis, to=to)
            for quotation in quotations
        ]

    def addressees(self, number: int, speaker: int) -> list[int]:
        """Who is spoken to: whoever is called by name, else the one who spoke before or speaks after, if that is sure."""
        view = self.maker.views[number]
        called = [character for character in view.called if character != speaker]
        if called:
            return called
        for step in (-1, 1):
            other, gap = self.maker.neighbour(number, step)
            if other < 0 or gap > 2:
                continue
            belief = self.beliefs[other]
            likely = max(belief, key=lambda character: belief[character], default=-1)
            if likely >= 0 and likely != speaker and belief[likely] >= SURE_ADDRESSEE:
                return [likely]
        return []
