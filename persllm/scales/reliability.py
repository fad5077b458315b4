"""How far the scores of a scale can be relied upon, and one sentence about it made by rule.

The respondents are the persons at their stages. Alpha and split-half ask whether the items of a domain move together over
these; with fewer than three they are not defined. Order effect and retest are
given in points of the scale, so that they can be set beside `spread`, by how much persons and stages differ at all: a
score that the order of the options moves further than a life does is no measure of it.
"""

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from persllm.records import Record
from persllm.scales.inventory import Scale
from persllm.scales.scoring import MIDDLE, Change, Sat, keyed

ENOUGH = 0.7
"""Alpha, and correlation at the retest, from which scores are called reliable, as is usual."""
FEWEST = 3
"""Respondents without which no correlation over persons is taken."""


class Reliability(Record):
    """One domain of one taker; None where nothing varies or too little is there."""

    taker: str
    domain: str
    respondents: int
    """Persons and stages."""
    alpha: float | None
    """Cronbach's alpha; negative where items of one domain go against each other."""
    split_half: float | None
    """Odd against even items, after Spearman-Brown where they correlate at all."""
    order_effect: float | None
    """Mean absolute difference of an answer between the two orders of the options, in points."""
    retest: float | None
    """The same between the two wordings."""
    retest_r: float | None
    """Correlation of the answers in the two wordings, over items, persons and stages."""
    spread: float | None
    """Standard deviation of the domain score over persons and stages, in points."""
    acquiescence: float | None
    """Mean plain answer over oppositely keyed items alike, minus 3; None if all are keyed one way."""


def alpha(table: np.ndarray) -> float | None:
    """Cronbach's alpha of a table (respondents, items); None if it is not defined."""
    count = table.shape[1]
    if count < 2 or table.shape[0] < 2 or (whole := table.sum(axis=1).var(ddof=1)) < 1e-12:
        return None
    return float(count / (count - 1) * (1 - table.var(axis=0, ddof=1).sum() / whole))


def split_half(table: np.ndarray) -> float | None:
    """Correlation of the odd with the even items, stepped up by Spearman-Brown if it is positive; None if it is not defined."""
    if table.shape[1] < 2 or table.shape[0] < 2:
        return None
    found = correlation(table[:, ::2].mean(axis=1), table[:, 1::2].mean(axis=1))
    return found if found is None or found <= 0 else 2 * found / (1 + found)


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Pearson's r; None where one of the two does not vary."""
    if len(one) < FEWEST - 1 or min(one.var(), other.var()) < 1e-12:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def reliabilities(scale: Scale, sat: Sequence[Sat]) -> list[Reliability]:
    """Every domain of every taker."""
    takers = dict.fromkeys(one.taker for one in sat)
    return [of_domain(scale, domain, taker, [one for one in sat if one.taker == taker]) for taker in takers for domain in scale.domains]


def of_domain(scale: Scale, domain: str, taker: str, sat: Sequence[Sat]) -> Reliability:
    """One domain of one taker."""
    value = np.stack([keyed(scale, domain, one.value) for one in sat])  # (places, wordings, orders, items)
    whole = ~np.isnan(value).any(axis=(0, 1, 2))
    value = value[..., whole]
    table = value.mean(axis=(1, 2)) if len(sat) >= FEWEST else np.empty((0, 0))
    wordings = value.mean(axis=2)
    return Reliability(
        taker=taker, domain=domain, respondents=len(sat),
        alpha=short(alpha(table)), split_half=short(split_half(table)), order_effect=gap(value[:, :, 0], value[:, :, 1]),
        retest=gap(wordings[:, 0], wordings[:, 1]), retest_r=short(correlation(wordings[:, 0].ravel(), wordings[:, 1].ravel())),
        spread=short(float(value.mean(axis=(1, 2, 3)).std(ddof=1))) if len(sat) > 1 and value.size else None,
        acquiescence=acquiescence(scale, domain, sat, whole),
    )  # fmt: skip


def gap(one: np.ndarray, other: np.ndarray) -> float | None:
    """Mean absolute difference."""
    return round(float(np.abs(one - other).mean()), 4) if one.size else None


def acquiescence(scale: Scale, domain: str, sat: Sequence[Sat], whole: np.ndarray) -> float | None:
    """How far a person agrees with a statement and with its opposite."""
    columns = [place for place, item in enumerate(scale.items) if item.domain == domain]
    kept = [place for place, there in zip(columns, whole, strict=True) if there]
    plus = np.array([scale.items[place].key == 1 for place in kept])
    if not len(plus) or plus.all() or not plus.any():
        return None
    plain = np.stack([one.plain[..., kept] for one in sat])
    return short(float(plain[..., plus].mean() + plain[..., ~plus].mean()) / 2 - MIDDLE)


def short(value: float | None) -> float | None:
    """Four digits."""
    return None if value is None else round(value, 4)


# The sentence --------------------------------------------------------------------------------------------


class Standing(Record):
    """What the reliabilities of one taker come to; None where they are not defined."""

    taker: str
    reliable: bool
    alpha: float | None
    """Median over the domains."""
    retest_r: float | None
    """Median over the domains."""
    order_effect: float | None
    """Mean over the domains, in points."""
    retest: float | None
    spread: float | None
    changes: int
    """Differences of stages that were tested."""
    certain: int
    """Of these, beyond chance after correction."""


def standing(taker: str, found: Sequence[Reliability], moved: Sequence[Change]) -> Standing:
    """Reliable: the items move together (if that is defined), another wording says the same, and persons differ by more than the order of the options does."""
    own = [one for one in found if one.taker == taker]
    alphas, retests = ([v for v in (getattr(one, name) for one in own) if v is not None] for name in ("alpha", "retest_r"))
    orders, others, spreads = (
        [v for v in (getattr(one, name) for one in own) if v is not None] for name in ("order_effect", "retest", "spread")
    )
    mine = [one for one in moved if one.taker == taker]
    good = bool(retests and spreads) and min(median(alphas or [1.0]), median(retests)) >= ENOUGH and fmean(spreads) > fmean(orders)
    return Standing(
        taker=taker, reliable=good, alpha=short(median(alphas)) if alphas else None, retest_r=short(median(retests)) if retests else None,
        order_effect=short(fmean(orders)) if orders else None, retest=short(fmean(others)) if others else None,
        spread=short(fmean(spreads)) if spreads else None, changes=len(mine), certain=sum(one.certain for one in mine),
    )  # fmt: skip
