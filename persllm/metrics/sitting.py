"""Everything one taker left at the examination: what the metrics look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal

from persllm.languages import language
from persllm.records import Answer, Persona, Record, Score, TestItem

Given = Literal["question", "nothing", "plain", "first"]
Said = Literal["answer", "other"]


class Likelihood(Record):
    """How likely a taker found one text of an item."""

    taker: str
    item: str
    place: int
    """0 is the reference, 1, 2, ... the candidates in their order."""
    given: Given
    """After the question as the taker is asked it, after an empty prompt without person or question, (general items
    only) after the question without the person, or (items of several turns) after what the user said first alone."""
    total: float = 0.0
    """Summed natural log-likelihood over the text's tokens, the end of the turn included."""
    tokens: int = 0
    error: str = ""
    """Why there is no likelihood; what rests on it stays unscored."""


class Cosine(Record):
    """How near the reference of an item is to another text, by the vectors of an encoder."""

    taker: str
    item: str
    said: Said
    """The other text: the greedy answer, or the reference of another question."""
    value: float | None = None
    """Cosine, -1 to 1; None if there is none."""
    error: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class Sitting:
    """One taker's answers and likelihoods, with the items they belong to."""

    taker: str
    items: Mapping[str, TestItem]
    personas: Mapping[str, Persona]
    answers: Mapping[tuple[str, int], Answer]
    """(item, sample) -> answer; sample 0 is the greedy one."""
    likelihoods: Mapping[tuple[str, int, Given], Likelihood]
    """(item, place, given) -> likelihood."""
    cosines: Mapping[tuple[str, Said], Cosine] = field(default_factory=dict)
    """(item, said) -> cosine; empty if no encoder was asked."""

    def language(self, item: TestItem) -> ModuleType:
        """The language module of the person asked."""
        return language(self.code(item))

    def code(self, item: TestItem) -> str:
        """`en` or `zh`."""
        return self.personas[item.persona].language

    def per_token(self, item: TestItem, place: int, given: Given = "question") -> float | None:
        """Mean log-likelihood per token; None if there is none."""
        found = self.likelihoods.get((item.id, place, given))
        return None if found is None or found.error or not found.tokens else found.total / found.tokens

    def text(self, item: TestItem, sample: int = 0) -> str:
        """What was answered; empty if nothing usable was."""
        found = self.answers.get((item.id, sample))
        return "" if found is None or found.error else found.text.strip()

    def why_silent(self, item: TestItem, sample: int = 0) -> str:
        """Why there is no text to score."""
        found = self.answers.get((item.id, sample))
        return "not asked" if found is None else found.error or "empty answer"

    def score(
        self, metric: str, item: TestItem, value: float | bool | None, reason: str = "", detail: str = "", chance: float | None = None
    ) -> Score:
        """A score of this taker."""
        number = None if value is None else round(float(value), 6)
        return Score(metric=metric, taker=self.taker, item=item.id, value=number, reason=reason, detail=detail, chance=chance)
