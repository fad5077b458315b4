"""What a judge is asked, what it says, and what comes of it."""

from typing import Literal

from persllm.agreement import Measure
from persllm.judge_settings import Preset
from persllm.records import Record, Request
from persllm.statistics import Difference, Figure

Kind = Literal["sort", "score", "compare", "rank"]
POINTS = 5
"""Most points of a score."""


class Task(Record):
    """One call to the judge."""

    preset: Preset
    kind: Kind
    item: str
    aspect: str = ""
    """What is judged; empty when a question is sorted."""
    shown: tuple[tuple[str, ...], ...] = ()
    """Who stands behind A, B, ...: several takers, if they gave the same answer. The judge does not see it."""
    request: Request

    @property
    def place(self) -> tuple[object, ...]:
        """What tells one task from another."""
        return self.preset, self.kind, self.item, self.aspect, self.shown


class Verdict(Record):
    """What the judge said to one task."""

    preset: Preset
    kind: Kind
    item: str
    aspect: str
    shown: tuple[tuple[str, ...], ...]
    value: str
    """`knowledge`, `4`, `A`, `same`, `B A C`; empty if there is no verdict."""
    why: str = ""
    """The judge's reason."""
    reason: str = ""
    """Why there is no verdict: such a one is unscored."""
    asked: str
    """Identity of the request; empty if nothing had to be asked, the answers being the same."""

    @property
    def place(self) -> tuple[object, ...]:
        """As the task's."""
        return self.preset, self.kind, self.item, self.aspect, self.shown


class Position(Record):
    """How far the judge goes by the place of an answer; the first thing to look at."""

    preset: Preset
    aspect: str
    pairs: int
    """Pairs with a verdict in both orders."""
    alike: float | None
    """Share of them judged alike in both orders; the others are ties. A judge that guesses reaches about a half."""
    first: float | None
    """Share of verdicts for what was shown first, among those that were no ties; a half is fair."""

    @property
    def biased(self) -> bool:
        """Whether the place decides more than the answer."""
        return self.alike is not None and self.alike < 0.5


class Standing(Record):
    """A taker's Bradley-Terry strength; those of all takers sum to 1."""

    aspect: str
    taker: str
    value: float
    low: float
    high: float
    n: int
    """Pairs behind it."""


class Agreement(Record):
    """How far the judge agrees with human labels."""

    preset: Preset
    aspect: str
    n: int
    """Labelled units that the judge has a verdict on."""
    unmatched: int
    """Labelled units without a verdict."""
    raters: int
    same: float | None
    """Share of units on which judge and humans say the same (pairs alone)."""
    alpha: Measure | None
    """Krippendorff's alpha over judge and humans."""
    humans: Measure | None
    """The same over the humans alone: what can be hoped for."""
    kappa: Measure | None
    """Cohen's kappa of the judge and the humans' middle; of points with quadratic weights."""
    correlation: Measure | None
    """Spearman's, for points."""

    @property
    def measures(self) -> list[tuple[str, Measure]]:
        """The measures that could be computed, by name."""
        named = (("alpha", self.alpha), ("kappa", self.kappa), ("correlation", self.correlation))
        return [(name, measure) for name, measure in named if measure is not None]


class Judged(Record):
    """All that came of a judging: judge.json."""

    model: str
    wrote_the_data: bool
    """Whether the judge is the model that made the training data: then it agrees with itself."""
    takers: tuple[str, ...]
    items: int
    presets: tuple[Preset, ...]
    verdicts: int
    """Verdicts wanted."""
    unscored: dict[str, int]
    """Reason -> verdicts that are missing; they are in no figure."""
    sorted: dict[str, int]
    """For `paper_accuracy`: how many questions rest on knowledge, attitude, neither, or could not be sorted."""
    positions: tuple[Position, ...]
    standings: tuple[Standing, ...]
    figures: tuple[Figure, ...]
    differences: tuple[Difference, ...]
    agreements: tuple[Agreement, ...]
    calls: int
    """Calls of this and all earlier attempts."""
    tokens: int
    money: float
    currency: str

    def agreement(self, preset: str, aspect: str) -> Agreement | None:
        """How far humans agree on what a figure rests on."""
        return next((one for one in self.agreements if (one.preset, one.aspect) == (preset, aspect)), None)


class Plan(Record):
    """What a judging would ask, told by a dry run."""

    model: str
    items: int
    takers: tuple[str, ...]
    calls: int
    """Calls at most."""
    kept: int
    """Of them, answered already and not asked again."""
    prompt_tokens: int
    """Estimate for the calls that are owed."""
    completion_tokens: int
    price: float | None
    """None if no price of the model is known."""
    price_at_most: float | None
    """If every reply were as long as allowed."""
    currency: str
    by_preset: dict[str, int]
