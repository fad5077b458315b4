"""Who is better and who agrees: Bradley-Terry strengths, Krippendorff's alpha, Cohen's kappa, rank correlation.

All come from libraries: evalica (strengths, alpha), scikit-learn (kappa), SciPy (Spearman). Intervals resample what was
judged RESAMPLINGS times, and every measure says how often. What cannot be computed, since too little was judged or everything
alike, is None and never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from persllm.errors import ConfigError
from persllm.records import Record

RESAMPLINGS = 1000
"""How often what was judged is drawn anew for the interval of a measure."""
FEWEST = 2
"""Units judged by at least two before agreement means anything."""

Match = tuple[str, str, float]
"""Two names and the points of the first: 1 for a win, 0 for a loss, a half for a tie."""


class Measure(Record):
    """A measure of agreement with its 95 % interval."""

    value: float
    low: float | None = None
    """None if nothing could be resampled."""
    high: float | None = None
    draws: int = 0
    """Resamplings behind the interval: those in which neither side says the same of all."""


def library() -> Any:
    """The library evalica; ConfigError that says how to get it."""
    try:
        import evalica
    except ImportError:
        raise ConfigError("strengths and alpha need the library evalica. Install it: pip install persllm[study].") from None
    return evalica


def strengths(matches: Sequence[Match], names: Sequence[str]) -> dict[str, float]:
    """Bradley-Terry strengths that sum to 1 (Bradley and Terry 1952, Biometrika 39); a tie is half a win for each."""
    evalica = library()
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    found = evalica.bradley_terry([m[0] for m in matches], [m[1] for m in matches], [winners[m[2]] for m in matches]).scores
    total = float(found.sum()) or 1.0
    return {name: float(found.get(name, 0.0)) / total for name in names}


def alpha(table: Mapping[str, Mapping[str, float]], distance: str = "ordinal") -> Measure | None:
    """Krippendorff's alpha of unit -> rater -> value over the units that two judged: 1 is full agreement, 0 what chance gives."""
    shared = {unit: values for unit, values in table.items() if len(values) >= FEWEST}
    if len(shared) < FEWEST or len({value for values in shared.values() for value in values.values()}) < FEWEST:
        return None
    evalica = library()
    import pandas as pd

    drawn = evalica.alpha_bootstrap(pd.DataFrame(shared), distance=distance, n_resamples=RESAMPLINGS, random_state=0)
    return Measure(value=float(drawn.alpha), low=float(drawn.low), high=float(drawn.high), draws=RESAMPLINGS)


def kappa(pairs: Sequence[tuple[float, float]], weights: str | None = None, seed: int = 0) -> Measure | None:
    """Cohen's kappa of two raters (1960, Educ. Psychol. Meas. 20); `quadratic` weights for points, where near is nearly right."""
    from sklearn.metrics import cohen_kappa_score

    halves = [(round(2 * one), round(2 * other)) for one, other in pairs]  # whole numbers, since the middle of two may be a half
    ends = [value for pair in halves for value in pair] or [0]
    names = list(range(min(ends), max(ends) + 1))
    return resampled(halves, lambda drawn: cohen_kappa_score(drawn[:, 0], drawn[:, 1], weights=weights, labels=names), seed)


def correlation(pairs: Sequence[tuple[float, float]]) -> Measure | None:
    """Spearman's rank correlation of two raters."""
    from scipy.stats import spearmanr

    return resampled(list(pairs), lambda drawn: spearmanr(drawn[:, 0], drawn[:, 1]).statistic)


def resampled(pairs: Sequence[tuple[float, float]], measure: Callable[[np.ndarray], float], seed: int = 0) -> Measure | None:
    """A measure of pairs with a bootstrap interval; None if a side says the same of all."""
    table = np.array(pairs, dtype=float).reshape(-1, 2)
    if len(table) < FEWEST or not told(table):
        return None
    dice = np.random.default_rng(seed)
    draws = (table[dice.integers(0, len(table), len(table))] for _ in range(RESAMPLINGS))
    values = [float(measure(drawn)) for drawn in draws if told(drawn)]
    low, high = np.percentile(values, [2.5, 97.5]) if values else (None, None)
    return Measure(value=float(measure(table)), low=low, high=high, draws=len(values))


def told(table: np.ndarray) -> bool:
    """Whether neither side says the same of all."""
    return bool((table.min(axis=0) < table.max(axis=0)).all())
