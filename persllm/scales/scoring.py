"""Answers to domain scores by person and stage, with intervals, and the differences of neighbouring stages.

An answer is the mean of the options 1 to 5 under their likelihoods, each divided by what the option is worth after a
statement that says nothing (contextual calibration, Zhao et al. 2021). So a model that does not read the statement gets 3,
not the option that it finds likeliest; `plain` is the score without this. Intervals are bootstraps over the items of the
domain. A difference is tested by turning the signs of the items' differences (a permutation test, exact up to 13 items),
and corrected for the number of differences of the taker (Benjamini and Hochberg 1995).

Limits: with few items an interval is rough, and the smallest p of n items is 2 in 2**n.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from persllm.records import Record
from persllm.scales.asking import NEUTRAL, Answer
from persllm.scales.inventory import Scale

MIDDLE, RESAMPLINGS, SEED = 3.0, 2000, 7


class DomainScore(Record):
    """A domain of a person at a stage."""

    taker: str
    persona: str
    """Empty for a taker that is told of no person."""
    stage: str
    language: str
    domain: str
    n: int
    """Items scored."""
    unscored: int
    value: float | None
    """1 to 5; None if nothing could be scored."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    plain: float | None
    """The score without calibration."""


class Change(Record):
    """A domain at a stage less the same at the stage before."""

    taker: str
    persona: str
    domain: str
    stage: str
    than: str
    n: int
    value: float
    low: float
    high: float
    p: float
    adjusted: float
    """The same, corrected for the number of differences of this taker."""

    @property
    def certain(self) -> bool:
        """Whether it is beyond chance after the correction."""
        return self.adjusted < 0.05


@dataclass(frozen=True)
class Sat:
    """What one person ticked at one stage: arrays (wordings, orders, items), nan where there is no answer."""

    taker: str
    persona: str
    stage: str
    language: str
    plain: np.ndarray
    value: np.ndarray

    @property
    def by_item(self) -> np.ndarray:
        """The ticks by item, over both wordings and orders; an item that lacks one of them is left out."""
        return self.value.mean(axis=(0, 1))


def sat_of(scale: Scale, answers: Iterable[Answer]) -> list[Sat]:
    """What was ticked by every taker, person and stage, turned by no key."""
    column = {item.id: place for place, item in enumerate(scale.items)}
    neutral = neutral_of(answers := list(answers))
    found: dict[tuple[str, str, str, str], Sat] = {}
    for answer in answers:
        place = answer.place
        key = (place.taker, place.persona, place.stage, place.language)
        if key not in found:
            blank = np.full((2, 2, len(column)), np.nan)
            found[key] = Sat(*key, plain=blank.copy(), value=blank)
        if answer.totals and answer.item in column:
            at = (place.form, int(place.backwards), column[answer.item])
            totals = np.array(answer.totals)
            found[key].plain[at] = expected(totals)
            found[key].value[at] = expected(totals - neutral.get(place.identity, 0.0))
    return list(found.values())


def neutral_of(answers: Sequence[Answer]) -> dict[str, np.ndarray]:
    """Place -> what each option is worth there after statements that say nothing."""
    gathered: dict[str, list[tuple[float, ...]]] = {}
    for answer in answers:
        if answer.item.startswith(NEUTRAL) and answer.totals:
            gathered.setdefault(answer.place.identity, []).append(answer.totals)
    return {place: np.mean(rows, axis=0) for place, rows in gathered.items()}


def expected(totals: np.ndarray) -> float:
    """The mean option, 1 to 5, under log-likelihoods normed to one."""
    weights = np.exp(totals - totals.max())
    return float(np.arange(1, len(totals) + 1) @ weights / weights.sum())


def keyed(scale: Scale, domain: str, ticks: np.ndarray) -> np.ndarray:
    """The columns of a domain, turned so that more is more of it."""
    columns = [place for place, item in enumerate(scale.items) if item.domain == domain]
    turned = np.array([scale.items[place].key == -1 for place in columns])
    return np.where(turned, 2 * MIDDLE - ticks[..., columns], ticks[..., columns])


def scores(scale: Scale, sat: Sequence[Sat]) -> list[DomainScore]:
    """Every domain of every taker, person and stage."""
    found = []
    for one in sat:
        for domain in scale.domains:
            items, plain = keyed(scale, domain, one.by_item), keyed(scale, domain, one.plain.mean(axis=(0, 1)))
            there = ~np.isnan(items)
            low, high = interval(items[there])
            found.append(
                DomainScore(
                    taker=one.taker, persona=one.persona, stage=one.stage, language=one.language, domain=domain, n=int(there.sum()), unscored=int((~there).sum()),
                    value=mean(items[there]), low=low, high=high, plain=mean(plain[there]),
                )
            )  # fmt: skip
    return found


def changes(scale: Scale, sat: Sequence[Sat]) -> list[Change]:
    """Neighbouring stages of a person, by taker and domain, over the items that both have."""
    from scipy.stats import false_discovery_control

    by_taker: dict[str, list[Change]] = {}
    for before, after in pairwise(sat):
        if not after.persona or (before.taker, before.persona) != (after.taker, after.persona):
            continue
        for domain in scale.domains:
            moved = keyed(scale, domain, after.by_item) - keyed(scale, domain, before.by_item)
            moved = moved[~np.isnan(moved)]
            if len(moved):
                p, (low, high) = sign_flip(moved), interval(moved)
                by_taker.setdefault(after.taker, []).append(
                    Change(
                        taker=after.taker, persona=after.persona, domain=domain, stage=after.stage, than=before.stage, n=len(moved),
                        value=mean(moved) or 0.0, low=low or 0.0, high=high or 0.0, p=p, adjusted=1.0,
                    )
                )  # fmt: skip
    found = []
    for members in by_taker.values():
        adjusted = false_discovery_control([one.p for one in members])
        found += [one.model_copy(update={"adjusted": round(float(p), 6)}) for one, p in zip(members, adjusted, strict=True)]
    return found


def sign_flip(moved: np.ndarray) -> float:
    """Two-sided p of a mean difference of 0, by turning signs."""
    from scipy.stats import permutation_test

    if not np.ptp(moved) and not moved.any():
        return 1.0
    tested = permutation_test(
        (moved, np.zeros_like(moved)), lambda one, other, axis: np.mean(one - other, axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(SEED),
    )  # fmt: skip
    return round(float(tested.pvalue), 6)


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """The 95 % bootstrap interval of a mean over items; None for none."""
    if not len(values):
        return None, None
    drawn = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLINGS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return round(float(low), 6), round(float(high), 6)


def mean(values: np.ndarray) -> float | None:
    """The mean; None for none."""
    return round(float(values.mean()), 6) if len(values) else None
