"""Agreement with the labels of people, where the user has some: a CSV of domain scores, or of answers to items.

The table has `persona` and `stage` (empty: every stage), and either a column for each domain, or `item` and `answer`; all
on the scale from 1 to 5. Beside every taker stands the blind guess, which says the mean of the labels to everything.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from persllm.errors import ConfigError
from persllm.records import Persona, Record
from persllm.scales.inventory import Scale
from persllm.scales.reliability import correlation, short
from persllm.scales.scoring import DomainScore, Sat, interval

LARGEST = 20_000_000
"""Bytes of a table that are read at most."""


class Label(Record):
    """What a person who knows says."""

    persona: str
    stage: str
    """Empty for all stages together."""
    what: str
    """A domain, or the id of an item."""
    value: float


class Agreement(Record):
    """One taker beside the labels."""

    taker: str
    kind: str
    """`domains` or `items`."""
    n: int
    missing: int
    """Labels for which the taker has no score."""
    r: float | None
    """Pearson's r; None where one side does not vary or fewer than three are there."""
    error: float | None
    """Mean absolute difference, in points."""
    low: float | None
    high: float | None
    guess: float | None
    """The same for the mean of the labels said to everything."""


def read_labels(file: Path, scale: Scale, personas: Sequence[Persona]) -> tuple[str, list[Label]]:
    """The labels with their kind. ConfigError with file and line for what cannot be read."""
    try:
        if file.stat().st_size > LARGEST:
            raise ConfigError(f"{file}: larger than {LARGEST:,} bytes.")
        rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file}: not a table that can be read ({error}).") from None
    heads = set(rows[0]) if rows else set()
    by_item, domains = {"item", "answer"} <= heads, [domain for domain in scale.domains if domain in heads]
    if "persona" not in heads or not (by_item or domains):
        wanted = ", ".join(scale.domains)
        raise ConfigError(
            f"{file}: needs columns persona, stage, and either {wanted}, or item and answer; has {', '.join(sorted(heads)) or 'none'}."
        )
    stages = {persona.id: [stage.id for stage in persona.stages] for persona in personas}
    known = {item.id for item in scale.items}
    found: list[Label] = []
    for number, row in enumerate(rows, 2):
        persona, stage = (row.get("persona") or "").strip(), (row.get("stage") or "").strip()
        if persona not in stages or (stage and stage not in stages[persona]):
            raise ConfigError(
                f"{file}, line {number}: no {persona} at the stage {stage or 'any'} in this run; there are {', '.join(stages)}."
            )
        if by_item and row["item"].strip() not in known:
            raise ConfigError(f"{file}, line {number}: the scale has no item {row['item'].strip()}.")
        cells = {row["item"].strip(): row["answer"]} if by_item else {domain: row[domain] for domain in domains}
        filled = {what: text for what, text in cells.items() if (text or "").strip()}
        found += [Label(persona=persona, stage=stage, what=what, value=points(text, file, number)) for what, text in filled.items()]
    return "items" if by_item else "domains", found


def points(text: str, file: Path, number: int) -> float:
    """A label as a number from 1 to 5."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 5:
        raise ConfigError(f"{file}, line {number}: {text.strip()!r} is no number from 1 to 5.")
    return value


def agreement(kind: str, labels: Iterable[Label], scale: Scale, sat: Sequence[Sat], scored: Sequence[DomainScore]) -> list[Agreement]:
    """Every taker beside the labels; one that is told of no person answers for all alike."""
    listed = list(labels)
    values = of_items(scale, sat) if kind == "items" else {(s.taker, s.persona, s.stage, s.domain): s.value for s in scored}
    return [beside(taker, kind, listed, values) for taker in dict.fromkeys(one.taker for one in sat)]


def of_items(scale: Scale, sat: Sequence[Sat]) -> dict[tuple[str, str, str, str], float | None]:
    """(taker, person, stage, item) -> the answer, not turned by the key."""
    return {
        (one.taker, one.persona, one.stage, item.id): None if np.isnan(tick) else float(tick)
        for one in sat
        for item, tick in zip(scale.items, one.by_item, strict=True)
    }


def beside(taker: str, kind: str, labels: Sequence[Label], values: Mapping[tuple[str, str, str, str], float | None]) -> Agreement:
    """One taker beside the labels."""
    pairs = [(label.value, said_of(taker, label, values)) for label in labels]
    given, said = (np.array(side, dtype=float) for side in zip(*[p for p in pairs if p[1] is not None] or [((), ())], strict=True))
    if not given.size:
        return Agreement(taker=taker, kind=kind, n=0, missing=len(labels), r=None, error=None, low=None, high=None, guess=None)
    off, guess = np.abs(given - said), np.abs(given - given.mean())
    low, high = interval(off)
    found = correlation(given, said) if len(given) > 2 else None
    return Agreement(
        taker=taker, kind=kind, n=len(given), missing=len(labels) - len(given), r=short(found), error=short(float(off.mean())),
        low=short(low), high=short(high), guess=short(float(guess.mean())),
    )  # fmt: skip


def said_of(taker: str, label: Label, values: Mapping[tuple[str, str, str, str], float | None]) -> float | None:
    """What a taker says where the label stands: the mean over the stages it is for, or over what is said of nobody."""
    own = [
        value for (who, persona, stage, what), value in values.items()
        if (who, what) == (taker, label.what) and persona in (label.persona, "") and (not label.stage or stage in (label.stage, ""))
    ]  # fmt: skip
    known = [value for value in own if value is not None]
    return sum(known) / len(known) if known else None
