"""Scores to figures: means with bootstrap intervals, and paired differences between takers.

What is drawn anew is the question, not the score: wordings of one question (a paraphrase group, a shared question
at its stages) are kept or left together, since they are not independent. All takers meet the same draws, so a
difference between two of them is paired. A share of exactly 0 or 1, or a difference that is the same on every question,
has no spread to resample; its interval is the rule of three (3 divided by the number of questions).

A difference also has a p-value, from turning the sign of each question's difference by chance, and the smallest true
difference that as many questions would show four times in five. Where several differences are named together as gains
or losses, their p-values are corrected by Holm (1979, Scand. J. Stat. 6): one false claim on a page is one too many, and
the sets share takers, so a way that holds under any dependence is owed. Tables of many figures are not corrected.

Limits: percentile intervals, which are a little too narrow below some twenty questions; p-values do not fall below one
divided by the number of resamplings.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from persllm.records import Record, Score, TestItem, fingerprint


class Figure(Record):
    """A mean over the scores of one taker on a group of items."""

    metric: str
    detail: str
    """What the scores rest on, such as the kind of the wrong answer; often empty."""
    taker: str
    group: str
    """Which items: `all`, `gold`, `constructed`, `gold/shared`, `person/tolk`, `family/flattery`, ..."""
    n: int
    """Items scored."""
    value: float | None
    """None if nothing could be scored."""
    low: float | None
    """Lower end of the 95 % interval."""
    high: float | None
    unscored: int
    """Items left unscored; they are in no mean."""
    chance: float | None = None
    """The mean of blind guessing."""


class Difference(Record):
    """One taker minus another, over the items that both were scored on."""

    metric: str
    detail: str
    group: str
    taker: str
    than: str
    n: int
    value: float
    low: float
    high: float
    p: float | None = None
    """Chance of a difference as large if signs were drawn, two-sided, not corrected; None in runs of earlier versions."""
    visible: float | None = None
    """The smallest true difference that these questions show in 80 % of cases, at 5 % two-sided; None without spread."""


VISIBLE = 1.96 + 0.8416
"""Standard errors of the smallest visible difference: normal quantiles of 97.5 % and 80 %."""
CERTAIN = 0.05
"""A corrected p-value below this is called certain."""
Key = tuple[str, str, str]
"""Metric, detail, taker."""


def labels(item: TestItem) -> list[str]:
    """The groups an item counts in."""
    found = ["all", item.origin, f"{item.origin}/{item.set}", f"set/{item.set}"]
    if item.persona:
        found += [f"person/{item.persona}", f"stage/{item.stage}", f"place/{item.persona}/{item.stage}"]
    if item.family:
        found.append(f"family/{item.family}")
    if item.set == "induction":
        seen = "families/trained" if item.trained_family else "families/unseen"
        found += [seen, f"{item.origin}/{seen}"]
    if item.changed is not None:
        found.append("changed" if item.changed else "unchanged")
    return found


def unit(item: TestItem) -> str:
    """What is drawn: the question with all its wordings."""
    return f"{item.persona}/{item.group}" if item.group else item.id


class Draws:
    """The items of a group, and how often each question is in each resampling."""

    def __init__(self, group: str, items: Sequence[TestItem], resamplings: int, seed: int):
        units = {name: place for place, name in enumerate(dict.fromkeys(map(unit, items)))}
        self.place = {item.id: units[unit(item)] for item in items}
        self.size = len(units)
        self.key = [seed, int(fingerprint(group)[:8], 16)]
        generator = np.random.default_rng(self.key)
        self.weights = generator.multinomial(self.size, np.full(self.size, 1 / self.size), size=resamplings).astype(float)

    def totals(self, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of the values by question, each of shape (questions,)."""
        places = np.array([self.place[item] for item in values], dtype=int)
        sums = np.bincount(places, weights=np.array(list(values.values()), dtype=float), minlength=self.size)
        return sums, np.bincount(places, minlength=self.size).astype(float)

    @cached_property
    def signs(self) -> np.ndarray:
        """Chance signs of the questions, of shape (resamplings, questions)."""
        return np.random.default_rng([*self.key, 1]).choice((-1.0, 1.0), size=self.weights.shape)

    def chances(self, sums: np.ndarray) -> np.ndarray:
        """Two-sided p-values of sums of differences, of shape (questions, columns), against signs drawn by chance."""
        reached = np.abs(self.signs @ sums) >= np.abs(sums.sum(axis=0)) - 1e-9
        return (1 + reached.sum(axis=0)) / (1 + len(self.signs))

    def intervals(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """95 % intervals of sum(above) / sum(below) for columns of shape (questions, columns)."""
        bottom = self.weights @ below
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(bottom > 0, (self.weights @ above) / bottom, np.nan)
        ends = np.nanpercentile if np.isnan(means).any() else np.percentile
        low, high = ends(means, [2.5, 97.5], axis=0)
        return low, high


def by_group(items: Iterable[TestItem]) -> dict[str, list[TestItem]]:
    """Group -> its items."""
    groups: dict[str, list[TestItem]] = defaultdict(list)
    for item in items:
        for label in labels(item):
            groups[label].append(item)
    return groups


def by_key(scores: Iterable[Score]) -> dict[Key, dict[str, Score]]:
    """(metric, detail, taker) -> item -> score."""
    table: dict[Key, dict[str, Score]] = defaultdict(dict)
    for score in scores:
        table[score.metric, score.detail, score.taker][score.item] = score
    return table


def figures(scores: Sequence[Score], items: Sequence[TestItem], resamplings: int, seed: int, shares: frozenset[str]) -> list[Figure]:
    """A figure for every metric, detail, taker and group that has scores. `shares` names the metrics of zeros and ones."""
    table, found = by_key(scores), []
    for group, members in by_group(items).items():
        present = {key: [own[item.id] for item in members if item.id in own] for key, own in table.items()}
        present = {key: own for key, own in present.items() if own}
        if present:
            found += figures_of_group(group, Draws(group, members, resamplings, seed), present, shares)
    return found


def figures_of_group(group: str, draws: Draws, present: Mapping[Key, Sequence[Score]], shares: frozenset[str]) -> list[Figure]:
    """The figures of one group; all columns are resampled at once."""
    values = {key: {score.item: score.value for score in own if score.value is not None} for key, own in present.items()}
    columns = [draws.totals(values[key]) for key in present]
    sums, counts = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
    scored = [place for place in range(len(columns)) if counts[:, place].any()]
    low, high = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
    if scored:
        low[scored], high[scored] = draws.intervals(sums[:, scored], counts[:, scored])
    found = []
    for place, ((metric, detail, taker), own) in enumerate(present.items()):
        n = len(values[metric, detail, taker])
        mean = float(sums[:, place].sum() / n) if n else None
        ends = (float(low[place]), float(high[place])) if n else (None, None)
        if n and metric in shares and mean in (0.0, 1.0):
            ends = rule_of_three(mean, int((counts[:, place] > 0).sum()))
        chances = [score.chance for score in own if score.value is not None and score.chance is not None]
        found.append(
            Figure(
                metric=metric,
                detail=detail,
                taker=taker,
                group=group,
                n=n,
                value=short(mean),
                low=short(ends[0]),
                high=short(ends[1]),
                unscored=len(own) - n,
                chance=short(sum(chances) / len(chances)) if n and len(chances) == n else None,
            )
        )
    return found


def rule_of_three(mean: float, questions: int) -> tuple[float, float]:
    """The 95 % interval of a share of exactly 0 or 1."""
    reach = min(1.0, 3 / questions)
    return (0.0, reach) if mean == 0.0 else (1.0 - reach, 1.0)


def differences(
    scores: Sequence[Score],
    items: Sequence[TestItem],
    pairs: Sequence[tuple[str, str]],
    resamplings: int,
    seed: int,
    shares: frozenset[str],
) -> list[Difference]:
    """Every pair of takers on every metric, detail and group, over the items both were scored on."""
    table, found = by_key(scores), []
    both = {
        (metric, detail, taker, than): paired(table[metric, detail, taker], table[metric, detail, than])
        for taker, than in pairs
        for metric, detail in dict.fromkeys((m, d) for m, d, _ in table)
        if (metric, detail, taker) in table and (metric, detail, than) in table
    }
    for group, members in by_group(items).items():
        present = {key: {item.id: own[item.id] for item in members if item.id in own} for key, own in both.items()}
        present = {key: own for key, own in present.items() if own}
        if present:
            found += differences_of_group(group, Draws(group, members, resamplings, seed), present, shares)
    return found


def differences_of_group(
    group: str, draws: Draws, present: Mapping[tuple[str, str, str, str], Mapping[str, float]], shares: frozenset[str]
) -> list[Difference]:
    """The differences of one group; all columns are resampled at once."""
    sums, counts = (np.stack(part, axis=1) for part in zip(*(draws.totals(own) for own in present.values()), strict=True))
    low, high = draws.intervals(sums, counts)
    chances = draws.chances(sums)
    found = []
    for place, ((metric, detail, taker, than), own) in enumerate(present.items()):
        mean, ends = sum(own.values()) / len(own), (float(low[place]), float(high[place]))
        if metric in shares and len(set(own.values())) == 1:
            reach = 3 / int((counts[:, place] > 0).sum())
            ends = max(-1.0, mean - reach), min(1.0, mean + reach)
        found.append(
            Difference(
                metric=metric, detail=detail, group=group, taker=taker, than=than, n=len(own),
                value=short(mean), low=short(ends[0]), high=short(ends[1]), p=short(float(chances[place])),
                visible=short(visible(sums[:, place], counts[:, place])),
            )
        )  # fmt: skip
    return found


def visible(sums: np.ndarray, counts: np.ndarray) -> float | None:
    """The smallest visible difference, from the spread of the questions' differences; `sums` and `counts` by question."""
    asked = counts > 0
    questions, total = int(asked.sum()), counts.sum()
    if questions < 2:
        return None
    rest = sums[asked] - counts[asked] * sums.sum() / total
    error = float(np.sqrt((rest**2).sum() * questions / (questions - 1)) / total)
    return VISIBLE * error or None


def holm(chances: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down way, in the order given."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    found, highest = [0.0] * len(chances), 0.0
    for step, place in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - step) * chances[place]))
        found[place] = highest
    return found


def paired(one: Mapping[str, Score], other: Mapping[str, Score]) -> dict[str, float]:
    """Item -> value of one minus value of the other."""
    return {
        item: score.value - other[item].value
        for item, score in one.items()
        if score.value is not None and item in other and other[item].value is not None
    }


def relative_changes(
    scores: Sequence[Score], items: Sequence[TestItem], metric: str, basis: tuple[str, str], name: str, resamplings: int, seed: int
) -> list[Figure]:
    """By how much the mean of a metric differs from that of `basis` (taker, detail): 0.03 is three per cent more."""
    table, found = by_key(scores), []
    ground = table.get((metric, basis[1], basis[0]), {})
    members = [item for item in items if item.id in ground]
    draws = Draws(name, members, resamplings, seed) if members else None
    for (own_metric, detail, taker), own in table.items():
        if own_metric != metric or draws is None:
            continue
        shared = [i for i in ground if i in own and ground[i].value is not None and own[i].value is not None]
        unscored = len(ground) - len(shared)
        if not shared:
            found.append(
                Figure(metric=name, detail=detail, taker=taker, group="all", n=0, value=None, low=None, high=None, unscored=unscored)
            )
            continue
        above, _ = draws.totals({item: own[item].value for item in shared})
        below, _ = draws.totals({item: ground[item].value for item in shared})
        low, high = draws.intervals(above[:, None], below[:, None])
        value, ends = above.sum() / below.sum() - 1, (low[0] - 1, high[0] - 1)
        found.append(
            Figure(
                metric=name,
                detail=detail,
                taker=taker,
                group="all",
                n=len(shared),
                value=short(float(value)),
                low=short(float(ends[0])),
                high=short(float(ends[1])),
                unscored=unscored,
            )
        )
    return found


def short(value: float | None) -> float | None:
    """Six digits after the point: what the reports need, the same on every run."""
    return None if value is None else round(value, 6)


def wilson(part: int, whole: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson (1927, J. Am. Stat. Assoc. 22): sound at few items and near 0 or 1. ValueError for none."""
    if whole <= 0:
        raise ValueError("a share of nothing has no interval")
    share, spread = part / whole, z * z / whole
    middle = (share + spread / 2) / (1 + spread)
    reach = z * np.sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))
