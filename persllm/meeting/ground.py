"""What a meeting is measured against: each person's training answers, field, and facts."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from persllm.evidence import Evidence
from persllm.facts import Facts
from persllm.languages import language
from persllm.meeting.seats import Seat
from persllm.metrics.identification import Classifier, fit
from persllm.records import Conversation, Material, Persona
from persllm.store import Run

FACT_KINDS = frozenset({"year", "name", "place", "thing"})
"""Bare numbers are in everybody's mouth."""


class Ground:
    """One run, as its persons' utterances are measured against it."""

    def __init__(self, run: str):
        self.run = Run.open(Path(run))
        self.personas = {p.id: p for p in self.run.step("1-materials").records(Persona, "personas.jsonl")}
        self.materials = self.run.step("1-materials").records(Material)
        self.evidence: dict[str, Evidence] = {}

    @cached_property
    def classifier(self) -> Classifier | None:
        """Tells the run's persons and stages by their training answers."""
        trained = self.run.step("4-dataset").records(Conversation, "conversations.jsonl")
        return fit([conversation for conversation in trained if not conversation.held_out])

    @cached_property
    def readers(self) -> dict[str, Facts]:
        """Reads facts, one reader for each language."""
        return {p.language: Facts(p, self.materials) for p in self.personas.values()}

    def likeness(self, persona: str, texts: Sequence[str]) -> list[float]:
        """Cosine of each text to the nearest trained answer of a person; 0 where nothing is shared."""
        if persona not in self.evidence:
            self.evidence[persona] = Evidence.of_run(self.run, persona)
        found = [self.evidence[persona].nearest(text, most=1) for text in texts]
        return [passages[0].likeness if passages else 0.0 for passages in found]

    def facts(self, text: str, code: str) -> set[str]:
        """Names, places, things and years that a text speaks of, in lower case."""
        reader = self.readers.get(code) or next(iter(self.readers.values()))
        spans = (span for sentence in language(code).sentences(text) for span in reader.spans(sentence))
        return {span.text.lower() for span in spans if span.kind in FACT_KINDS}


class Field:
    """What one seat has that nobody else at the table has: terms and facts of the own materials."""

    def __init__(self, seat: Seat, seats: Sequence[Seat], ground: Ground):
        code = seat.agent.persona.language
        rivals = [other for other in seats if other is not seat and other.known]
        terms = lambda texts: {term for text in texts for term in language(code).terms(text)}  # noqa: E731 - two uses, one line
        self.code, self.ground = code, ground
        self.own_terms = terms(words_of(seat.known)) - terms(text for other in rivals for text in words_of(other.known))
        own_facts = self.facts_in(words_of(seat.known)) | terms([seat.agent.persona.profile])
        self.foreign_facts = self.facts_in(text for other in rivals for text in words_of(other.known)) - own_facts

    def facts_in(self, texts: Iterable[str]) -> set[str]:
        """All facts of some texts."""
        return {fact for text in texts for fact in self.ground.facts(text, self.code)}

    def terms(self, text: str) -> set[str]:
        """The terms of the own field in a text."""
        return set(language(self.code).terms(text)) & self.own_terms

    def foreign(self, text: str) -> set[str]:
        """Facts of others, and not of the own materials, in a text."""
        return self.ground.facts(text, self.code) & self.foreign_facts


def words_of(materials: Iterable[Material]) -> list[str]:
    """The texts with their titles."""
    return [f"{material.title}\n{material.text}" for material in materials]


class Grounds:
    """The grounds of all runs that seats come from; opened once."""

    def __init__(self) -> None:
        self.opened: dict[str, Ground] = {}

    def of(self, run: str) -> Ground:
        """The ground of a run."""
        if run not in self.opened:
            self.opened[run] = Ground(run)
        return self.opened[run]
