"""Whether `3/4/2024` is in March or in April: found from all dates of a file.

A number above 12 tells it, else the order in which time does not run backwards, else the way of the country that
writes slashes and halves of the day; then it is in doubt.
"""

from collections import Counter
from typing import Literal

Order = Literal["dmy", "mdy"]


class DayOrder:
    """The dates of a file, seen one after the other."""

    def __init__(self) -> None:
        self.above: Counter[str] = Counter()
        self.backwards: Counter[str] = Counter()
        self.last = {"dmy": (0, 0, 0), "mdy": (0, 0, 0)}
        self.seen = self.dots = self.halves = self.slashes = False

    def see(self, a: int, b: int, year: int, mark: str, half: bool) -> None:
        """Take note of a date in figures; `half` if it is told whether it was before noon."""
        self.seen, self.dots = True, self.dots or mark == "."
        self.above["dmy"] += a > 12
        self.above["mdy"] += b > 12
        self.halves, self.slashes = self.halves or half, self.slashes or mark == "/"
        for order, day in (("dmy", (year, b, a)), ("mdy", (year, a, b))):
            self.backwards[order] += day < self.last[order]
            self.last[order] = day

    def found(self) -> tuple[Order, bool]:
        """The order, and whether it is in doubt."""
        if self.dots:
            return "dmy", False
        for counts, day_first in (
            (self.above, self.above["dmy"] > self.above["mdy"]),
            (self.backwards, self.backwards["dmy"] < self.backwards["mdy"]),
        ):
            if counts["dmy"] != counts["mdy"]:
                return "dmy" if day_first else "mdy", False
        return "mdy" if self.halves and self.slashes else "dmy", True
