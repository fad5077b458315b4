"""Figures of a result by name, and as words: what every sheet prints of a share."""

from collections.abc import Iterable

from persllm.statistics import Figure

NONE = "-"
"""What stands where there is no figure."""


class Figures:
    """The figures of a result by metric, taker and group."""

    def __init__(self, figures: Iterable[Figure]):
        self.table = {(one.metric, one.taker, one.group): one for one in figures}

    def get(self, metric: str, taker: str, group: str = "all") -> Figure | None:
        """A figure that has a value; None if there is none."""
        one = self.table.get((metric, taker, group))
        return one if one and one.value is not None else None

    def share(self, metric: str, taker: str, group: str = "all", none: str = NONE) -> str:
        """A share in per cent with its interval."""
        one = self.get(metric, taker, group)
        return share(one.value, one.low, one.high, none=none) if one else none

    def counted(self, metric: str, taker: str, group: str = "all") -> str:
        """A share as a count: 3 of 24."""
        one = self.get(metric, taker, group)
        return counted(one.value, one.n) if one else NONE


def share(value: float | None, low: float | None, high: float | None, digits: int = 0, none: str = NONE) -> str:
    """`80 % [72, 88]`."""
    if value is None or low is None or high is None:
        return none
    return f"{100 * value:.{digits}f} % [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def counted(value: float | None, n: int) -> str:
    """`3/24`."""
    return NONE if value is None else f"{round(value * n)}/{n}"
