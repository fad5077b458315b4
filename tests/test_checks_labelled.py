"""Precision and recall of each check on the hand-labelled set, which no check was tuned on: `make checks-table`."""

from dataclasses import dataclass
from functools import cache

from labelled_set import Labelled, labelled_set

from persllm.checks import CHECKS, Checker
from persllm.statistics import wilson

FLOORS = {
    "format": (0.92, 1.0), "wrong language": (1.0, 1.0), "too short": (0.9, 1.0), "too long": (1.0, 1.0), "assistant-speak": (1.0, 0.75),
    "copied": (0.9, 1.0), "premise accepted": (0.64, 0.6), "truth denied": (0.8, 0.8), "out of stage": (0.69, 0.6), "ungrounded": (0.68, 0.81),
    "any reason": (0.84, 0.89),
}  # fmt: skip
"""Precision and recall as measured, rounded down: no later check may be worse. `docs/checks.md` also tells the first measurement."""


@dataclass(frozen=True)
class Row:
    """How often a check was right, wrong, and silent where it had to speak."""

    name: str
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of what the check finds that is to be found."""
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of what is to be found that the check finds."""
        return self.right / (self.right + self.missed)

    def __str__(self) -> str:
        found, there = self.right + self.wrong, self.right + self.missed
        return f"{self.name:18} {share(self.right, found):34} {share(self.right, there)}"


def share(part: int, whole: int) -> str:
    """A share with its Wilson interval and number."""
    if not whole:
        return "-"
    low, high = wilson(part, whole)
    return f"{part / whole:.2f} [{low:.2f}, {high:.2f}] n={whole}"


def label(check: str) -> str:
    """The label that means a check."""
    return check.replace(" ", "_").replace("-", "_")


@cache
def found() -> tuple[tuple[Labelled, frozenset[str]], ...]:
    """Every labelled conversation with the labels that the checks give it."""
    checkers = {}
    for one in labelled_set():
        checkers.setdefault(one.persona.id, ([one.persona], one.materials, []))[2].append(one.question)
    made = {name: Checker(*parts) for name, parts in checkers.items()}
    return tuple((one, frozenset(label(name) for name, _ in made[one.persona.id].findings(one.conversation))) for one in labelled_set())


def rows(code: str = "") -> list[Row]:
    """A row for each check, and one for whether anything was found at all; for one language or for both."""
    judged = [(one, names) for one, names in found() if code in ("", one.persona.language)]
    made = []
    for check in CHECKS:
        name = label(check.name)
        clear = [(name in one.expected, name in names) for one, names in judged if name not in one.debatable]
        made.append(row(check.name, clear))
    return [
        *made,
        row("any reason", [(bool(one.expected), bool(names)) for one, names in judged if one.expected or not names & one.debatable]),
    ]


def row(name: str, clear: list[tuple[bool, bool]]) -> Row:
    """The row of (expected, found) pairs."""
    return Row(name, clear.count((True, True)), clear.count((False, True)), clear.count((True, False)))


def test_precision_and_recall_of_each_check(capsys) -> None:
    lines = []
    for code in ("", "en", "zh"):
        lines += ["", f"{code or 'both languages':18} {'precision':34} recall", *map(str, rows(code))]
    with capsys.disabled():
        print("\n".join(lines))
    measured = {row.name: (row.precision, row.recall) for row in rows()}
    assert set(measured) == set(FLOORS)
    worse = {name: pair for name, pair in measured.items() if any(now < floor for now, floor in zip(pair, FLOORS[name], strict=True))}
    assert not worse, worse
