"""What an audit finds."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from persllm.privacy import PersonalKind
from persllm.records import Message, Record
from persllm.statistics import rule_of_three

RESAMPLINGS = 1000


class Said(Record):
    """Something a taker said that is looked through."""

    taker: str
    where: str
    """`evaluation`, or the kind of a probe."""
    unit: str
    """The question it belongs to; several samples of one question are one unit."""
    persona: str
    language: str
    before: str = ""
    """Words put into the mouth of the taker, from which it went on."""
    asked: str = ""
    text: str
    error: str = ""
    """Why there is nothing; such an answer is counted and not scored."""


class Probe(Record):
    """A beginning that a model is to go on from."""

    kind: Literal["trained answers", "trained materials", "held-out materials"]
    persona: str
    stage: str
    messages: tuple[Message, ...]
    prefill: str
    """The beginning, put into the mouth of the model."""
    expected: tuple[str, ...]
    """The next words of the text."""
    source: str
    """`persona/file:line`."""


class Spread(Record):
    """How long the longest verbatim runs are in the answers of one taker."""

    taker: str
    where: str
    body: str
    """What the runs stand in: `materials` or `trained answers`."""
    language: str
    """`en` counts words, `zh` characters."""
    n: int
    unscored: int
    median: float
    ninetieth: float
    maximum: int
    share: float
    """Share of the answers that recite: with a run of the limit or longer."""
    low: float
    high: float


class Recital(Record):
    """A long run, shown."""

    taker: str
    where: str
    length: int
    run: str
    """The words of the run, as they are compared."""
    answer: str
    source: str
    """`persona/file:line` of the material in which it stands."""


class Extraction(Record):
    """How often one taker went on as the text does."""

    taker: str
    kind: str
    n: int
    unscored: int
    share: float
    low: float
    high: float
    longest: int
    """Most words of a text that came out unchanged from its beginning."""


class Exposure(Record):
    """How well one taker tells canaries from sentences that might have been ones, in bits."""

    taker: str
    n: int
    unscored: int
    alternatives: int
    mean: float
    low: float
    high: float
    chance: float
    """The mean for a model that never saw them."""
    most: float
    """The highest that so many alternatives can show."""
    first: int
    """Canaries that are likelier than all their alternatives."""


class Leak(Record):
    """A piece of personal data that came out."""

    taker: str
    where: str
    kind: PersonalKind
    shown: str
    """Its first letters; the whole is not written down once more."""
    digest: str
    """Equal for equal pieces."""
    origin: Literal["materials", "question", "invented"]
    source: str = ""
    """`persona/file:line` of the first material that has it."""


class Limit(Record):
    """One figure beside the limit of the settings."""

    setting: str
    value: float | None
    """None if it could not be measured."""
    base: float | None
    bound: float

    @property
    def over(self) -> bool:
        """Whether it is over the limit."""
        return self.value is not None and self.value > self.bound


class Audit(Record):
    """What the weights of a run keep."""

    run: str
    taker: str
    limits: tuple[Limit, ...]
    spreads: tuple[Spread, ...]
    recitals: tuple[Recital, ...]
    extractions: tuple[Extraction, ...]
    exposures: tuple[Exposure, ...]
    leaks: tuple[Leak, ...]
    leaks_searched: int
    """Texts of the takers that were looked through for personal data."""


def mean_interval(values: Sequence[float], units: Sequence[str], seed: int, share: bool) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval over units; shares of exactly 0 or 1 take the rule of three."""
    places = np.unique(list(units), return_inverse=True)[1]
    sums, counts = np.bincount(places, weights=values), np.bincount(places)
    mean = float(sums.sum() / counts.sum())
    if share and mean in (0.0, 1.0):
        return mean, *rule_of_three(mean, len(sums))
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLINGS)
    low, high = np.percentile((drawn @ sums) / (drawn @ counts), [2.5, 97.5])
    return round(mean, 4), round(float(low), 4), round(float(high), 4)
