"""How far the judge agrees with human beings: a CSV of their labels against its verdicts.

The columns are those of `judgements.csv`, which every study writes: `kind` (`pair` or `rating`), `item`, `left`, `right`,
`dimension`, `value` (`left`, `right`, `same`, or a number), and if there are such `rater` and `passed_checks`.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from persllm.agreement import FEWEST, alpha, correlation, kappa
from persllm.errors import ConfigError
from persllm.judge.records import POINTS, Agreement
from persllm.judge.scoring import METRIC
from persllm.records import Record, Score

MOST = 100.0
"""No rating is farther from zero."""
COLUMNS = ("kind", "item", "left", "dimension", "value")
PAIR = {"left": 1.0, "same": 0.5, "right": 0.0}
JUDGE = " judge"
"""The judge among the raters; no human label can have this name, since names are stripped."""


class Label(Record):
    """What a human being said."""

    kind: str
    """`pair` or `rating`."""
    item: str
    aspect: str
    left: str
    """The taker on the left, or the only one."""
    right: str = ""
    value: float
    """Points of the left one (1, a half, 0), or of the rating."""
    rater: str


def read_labels(file: Path) -> list[Label]:
    """The labels of a file; those of raters who failed an attention check are left out. ConfigError with line and what was found."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as UTF-8 text ({getattr(error, 'strerror', '') or error}).") from None
    table = csv.DictReader(io.StringIO(text))
    missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"{file}: no column {', '.join(missing)}. Owed are {', '.join(COLUMNS)}; found {', '.join(table.fieldnames or ())}."
        )
    found = [label_of(row, f"{file}, line {table.line_num}") for row in table if counts(row)]
    if not found:
        raise ConfigError(f"{file}: no label of kind `pair` or `rating`. Owed are lines with {', '.join(COLUMNS)}.")
    return found


def counts(row: Mapping[str, str | None]) -> bool:
    """Whether a line is a label: neither an attention check nor by somebody who failed one."""
    return row["kind"] in ("pair", "rating") and (row.get("passed_checks") or "1") not in ("0", "false", "no")


def label_of(row: Mapping[str, str | None], place: str) -> Label:
    """A line; ConfigError if its value is none of those owed."""
    words = {name: (row.get(name) or "").strip() for name in (*COLUMNS, "right", "rater")}
    value = PAIR.get(words["value"]) if words["kind"] == "pair" else number(words["value"])
    if value is None:
        owed = "left, right or same" if words["kind"] == "pair" else f"a number from {-MOST:g} to {MOST:g}"
        raise ConfigError(f"{place}: value {words['value']!r}. A {words['kind']} takes {owed}.")
    return Label(
        kind=words["kind"], item=words["item"], aspect=words["dimension"], left=words["left"], right=words["right"], value=value,
        rater=words["rater"] or "human",
    )  # fmt: skip


def number(text: str) -> float | None:
    """A number that a rating can be, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= MOST else None


def agreements(labels: Sequence[Label], scores: Sequence[Score], presets: Sequence[str]) -> list[Agreement]:
    """The agreement on every aspect that both humans and judge speak of."""
    found = []
    for preset in dict.fromkeys(presets):
        if preset == "paper_rank":
            continue  # nobody labels the order of all answers
        kind = "pair" if preset == "pairs" else "rating"
        own = [label for label in labels if label.kind == kind]
        said = dict(judged_units(preset, scores))
        for aspect in dict.fromkeys(label.aspect for label in own):
            if any(unit[0] == aspect for unit in said):
                found.append(agreement(preset, aspect, [label for label in own if label.aspect == aspect], said))
    return found


Unit = tuple[str, ...]
"""Aspect, item, takers in the order of their names."""


def judged_units(preset: str, scores: Sequence[Score]) -> Iterator[tuple[Unit, float]]:
    """What the judge says of each unit that humans may have labelled."""
    for score in scores:
        if score.metric != METRIC[preset] or score.value is None:
            continue
        aspect, _, other = score.detail.partition(" against ")
        if preset != "pairs":
            yield (aspect, score.item, score.taker), score.value * (POINTS if preset == "paper_accuracy" else 1)
        elif other and score.taker < other:
            yield (aspect, score.item, score.taker, other), score.value


def unit_of(label: Label) -> tuple[Unit, float]:
    """The unit of a label, and its value from the side of the taker named first."""
    if label.kind == "rating":
        return (label.aspect, label.item, label.left), label.value
    turned = label.right < label.left
    return (label.aspect, label.item, *sorted((label.left, label.right))), 1 - label.value if turned else label.value


def agreement(preset: str, aspect: str, labels: Sequence[Label], said: Mapping[Unit, float]) -> Agreement:
    """Judge against humans on one aspect."""
    by_unit: dict[Unit, dict[str, float]] = defaultdict(dict)
    for label in labels:
        unit, value = unit_of(label)
        by_unit[unit][label.rater] = value
    matched = {unit: values for unit, values in by_unit.items() if unit in said}
    pairs = [(said[unit], middle(values.values(), preset)) for unit, values in matched.items()]
    together = {" ".join(unit): {**values, JUDGE: said[unit]} for unit, values in matched.items()}
    raters = {label.rater for label in labels}
    alone = {name: {rater: value for rater, value in values.items() if rater != JUDGE} for name, values in together.items()}
    return Agreement(
        preset=preset, aspect=aspect, n=len(matched), unmatched=len(by_unit) - len(matched), raters=len(raters),
        same=sum(one == other for one, other in pairs) / len(pairs) if pairs and preset == "pairs" else None,
        alpha=alpha(together), humans=alpha(alone) if len(raters) >= FEWEST else None,
        kappa=kappa(pairs, None if preset == "pairs" else "quadratic"),
        correlation=correlation(pairs) if preset != "pairs" else None,
    )  # fmt: skip


def middle(values: Iterable[float], preset: str) -> float:
    """What the humans say together: the median, for pairs rounded to a side or a tie."""
    value = median(values)
    return value if preset != "pairs" or value in PAIR.values() else 0.5
