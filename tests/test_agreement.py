"""Strengths and agreement as they were published."""

import sys

import pytest

from persllm.agreement import RESAMPLINGS, alpha, correlation, kappa, strengths
from persllm.errors import ConfigError

CLUBS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
WINS = (
    (0, 7, 9, 7, 7, 9, 11),
    (6, 0, 7, 5, 11, 9, 9),
    (4, 6, 0, 7, 7, 8, 12),
    (6, 8, 6, 0, 6, 7, 10),
    (6, 2, 6, 7, 0, 7, 12),
    (4, 4, 5, 6, 6, 0, 6),
    (2, 4, 1, 3, 1, 7, 0),
)
"""American League 1987: how often the club of the row beat that of the column (Agresti, Categorical Data Analysis)."""
PUBLISHED = {"Milwaukee": 1.58, "Detroit": 1.44, "Toronto": 1.29, "New York": 1.25, "Boston": 1.11, "Cleveland": 0.68}
"""Logarithms of the strengths against Baltimore, as published with these data."""
RATINGS = {
    "a": "1 2 3 3 2 1 4 1 2 . . .",
    "b": "1 2 3 3 2 2 4 1 2 5 . 3",
    "c": ". 3 3 3 2 3 4 2 2 5 1 .",
    "d": "1 2 3 3 2 4 4 1 2 5 1 .",
}
"""Four observers, twelve units (Krippendorff, Computing Krippendorff's alpha-reliability, 2011)."""


def table() -> dict[str, dict[str, float]]:
    units: dict[str, dict[str, float]] = {}
    for rater, line in RATINGS.items():
        for unit, value in enumerate(line.split()):
            if value != ".":
                units.setdefault(f"u{unit}", {})[rater] = float(value)
    return units


def test_bradley_terry_as_published() -> None:
    from math import log

    matches = [
        (one, other, 1.0)
        for one, row in zip(CLUBS, WINS, strict=True)
        for other, count in zip(CLUBS, row, strict=True)
        for _ in range(count)
    ]
    found = strengths(matches, CLUBS)
    assert sum(found.values()) == pytest.approx(1.0)
    for club, expected in PUBLISHED.items():
        assert log(found[club] / found["Baltimore"]) == pytest.approx(expected, abs=0.01)


def test_ties_are_half_a_win_for_each() -> None:
    assert strengths([("a", "b", 0.5)] * 4, ("a", "b")) == {"a": pytest.approx(0.5), "b": pytest.approx(0.5)}


@pytest.mark.parametrize(("distance", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorff_s_alpha_as_published(distance: str, expected: float) -> None:
    found = alpha(table(), distance)
    assert found.value == pytest.approx(expected, abs=0.001)
    assert found.low < found.value < found.high


def test_cohen_s_kappa_by_hand() -> None:
    pairs = [(1.0, 1.0)] * 20 + [(1.0, 0.0)] * 5 + [(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 15
    assert kappa(pairs).value == pytest.approx((0.7 - 0.5) / 0.5)
    assert kappa(pairs).draws == RESAMPLINGS == 1000
    assert kappa([(n / 2, n / 2) for n in range(8)], "quadratic").value == pytest.approx(1.0)


def test_what_cannot_be_told_is_none_and_never_zero() -> None:
    assert alpha({"u": {"a": 1.0}}) is None
    assert alpha({"u": {"a": 1.0, "b": 1.0}, "v": {"a": 1.0, "b": 1.0}}) is None
    assert kappa([]) is None
    assert kappa([(1.0, 0.0), (1.0, 1.0)]) is None, "one side says the same of all"
    assert correlation([(2.0, 1.0), (2.0, 3.0)]) is None
    assert correlation([(1.0, 10.0), (2.0, 20.0), (3.0, 21.0)]).value == pytest.approx(1.0)


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "evalica", None)
    with pytest.raises(ConfigError, match=r"pip install persllm\[study\]"):
        strengths([("a", "b", 1.0)], ("a", "b"))
