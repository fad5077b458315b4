"""Meetings to figures: bleed, drift, consistency of opinion, and what each brings from the own field.

| metric | asks of every utterance of a person of a run |
| --- | --- |
| identified, identified_stage | does a classifier fitted on training answers hear the person (of all the run's), and the stage? |
| bleed | does it hear another person who sits at this table? |
| foreign_fact | does it use a name, place, thing or year that stands only in another's materials, before anybody else said it? |
| likeness | cosine to the nearest trained answer of the person |
| own_terms | how many terms that only the own materials have are said for the first time? |
| repeated | was the very same said before in the meeting? |
| silent | was nothing said? |
| opinion_kept | chrF between what is answered to questions of the examination before the meeting and after it |
| opinion_shift | by how much chrF to the reference is greater after the meeting |

Drift is the mean of the second half of the turns less that of the first. Intervals are bootstrap ones, over meetings
if there are at least FEWEST_MEETINGS, else over utterances; a share of exactly 0 or 1 has the rule of three.

Limits: the classifier hears manner and vocabulary; facts are read by their words; likeness rewards parroting, so
read it beside `repeated`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from persllm.meeting.course import Meeting
from persllm.meeting.ground import Field, Grounds
from persllm.meeting.seats import Seat
from persllm.records import Record
from persllm.statistics import rule_of_three

SHARES = frozenset({"identified", "identified_stage", "bleed", "foreign_fact", "repeated", "silent"})
DRIFTING = ("identified", "identified_stage", "likeness")
FEWEST_MEETINGS = 5
"""Fewer than these are no sample to draw from."""
RESAMPLINGS = 1000
PARTS = 4
"""Into so many parts a meeting is cut for figures by turn."""


class Mark(Record):
    """One figure for one utterance, or for one question asked before and after."""

    metric: str
    variant: str
    seed: int
    """Which meeting of the variant."""
    turn: int
    """Number of the turn; 0 for a question outside the meeting."""
    part: int = -1
    """Which part of the meeting the turn is in, from 0."""
    value: float


class MeetingFigure(Record):
    """A mean with its interval."""

    metric: str
    variant: str
    value: float
    low: float
    high: float
    n: int
    """Utterances or questions."""
    meetings: int
    over: str
    """What is drawn anew for the interval: `meetings` or `utterances`."""
    chance: float | None = None
    """What blind guessing would have in the mean."""


class MeetingDifference(Record):
    """One variant less another on one metric, on the same seeds."""

    metric: str
    variant: str
    than: str
    value: float
    low: float
    high: float
    meetings: int
    over: str


def marks_of(meetings: Sequence[Meeting], grounds: Grounds) -> list[Mark]:
    """The marks of every utterance of every person of a run."""
    found: list[Mark] = []
    fields: dict[tuple[int, int], Field] = {}
    for meeting in meetings:
        for place, seat in enumerate(meeting.seats):
            if seat.persona:
                key = (id(meeting.seats), place)
                if key not in fields:
                    fields[key] = Field(seat, meeting.seats, grounds.of(seat.run))
                found += marks_of_seat(meeting, place, seat, fields[key], grounds)
    return found


def marks_of_seat(meeting: Meeting, place: int, seat: Seat, field: Field, grounds: Grounds) -> list[Mark]:
    """The marks of one seat in one meeting."""
    ground = grounds.of(seat.run)
    own = [turn for turn in meeting.turns if turn.seat == place]
    texts = {turn.number: turn.text for turn in own if turn.text}
    values: dict[str, dict[int, float]] = defaultdict(dict)
    values["silent"] = {turn.number: float(not turn.text) for turn in own}
    if ground.classifier and texts:
        values |= heard_as(dict(zip(texts, ground.classifier.name(list(texts.values())), strict=True)), meeting, seat)
    values["likeness"] = dict(zip(texts, ground.likeness(seat.persona, list(texts.values())), strict=True))
    values |= said_first(meeting, place, field)
    last = len(meeting.turns)
    return [
        Mark(
            metric=metric, variant=meeting.variant, seed=meeting.seed, turn=turn, part=(turn - 1) * PARTS // last, value=round(float(value), 6)
        )
        for metric, by_turn in values.items()
        for turn, value in by_turn.items()
    ]  # fmt: skip


def heard_as(named: Mapping[int, tuple[str, tuple[str, str]]], meeting: Meeting, seat: Seat) -> dict[str, dict[int, float]]:
    """Whom the classifier hears at each turn, as marks."""
    others = {other.persona for other in meeting.seats if other.persona} - {seat.persona}
    found = {
        "identified": {turn: float(person == seat.persona) for turn, (person, _) in named.items()},
        "identified_stage": {turn: float(heard == (seat.persona, seat.stage)) for turn, (_, heard) in named.items()},
    }
    if others:
        found["bleed"] = {turn: float(person in others) for turn, (person, _) in named.items()}
    return found


def said_first(meeting: Meeting, place: int, field: Field) -> dict[str, dict[int, float]]:
    """What a seat says that nobody said before: terms of the own field, facts of others; and what is repeated word by word."""
    found: dict[str, dict[int, float]] = {"foreign_fact": {}, "own_terms": {}, "repeated": {}}
    scene = meeting.scene
    given = f"{scene.goal} {scene.setting} {scene.opening}"
    terms, facts, said = field.terms(given), field.ground.facts(given, field.code), set()
    for turn in meeting.turns:
        if turn.seat == place and turn.text:
            found["foreign_fact"][turn.number] = float(bool(field.foreign(turn.text) - facts))
            found["own_terms"][turn.number] = float(len(field.terms(turn.text) - terms))
            found["repeated"][turn.number] = float(turn.text in said)
        terms |= field.terms(turn.text)
        facts |= field.ground.facts(turn.text, field.code) if turn.seat != place else set()
        said.add(turn.text)
    return found


def figures_of(marks: Sequence[Mark], chances: Mapping[str, float], seed: int = 0) -> list[MeetingFigure]:
    """A figure for every metric and variant, and the drift of some."""
    found = []
    for (_, metric), own in grouped(marks, lambda mark: (mark.variant, mark.metric)).items():
        found.append(figure(own, metric, mean_of, seed, chances.get(metric)))
        if metric in DRIFTING and {half(mark) for mark in own} == {0, 1}:
            found.append(figure(own, f"drift of {metric}", second_less_first, seed))
    return found


def grouped(marks: Iterable[Mark], key: Callable[[Mark], tuple]) -> dict[tuple, list[Mark]]:
    """Marks by a key, in their order."""
    found: dict[tuple, list[Mark]] = defaultdict(list)
    for mark in marks:
        found[key(mark)].append(mark)
    return found


def half(mark: Mark) -> int:
    """In which half of the meeting a mark is."""
    return int(mark.part >= PARTS // 2)


def sums_of(marks: Sequence[Mark], units: Mapping[tuple, int]) -> np.ndarray:
    """Sum and number of the values by unit and half of the meeting: (units, halves, 2)."""
    table = np.zeros((len(units), 2, 2))
    for place, mark in enumerate(marks):
        table[units[unit(mark, place, units)], half(mark)] += (mark.value, 1)
    return table


def unit(mark: Mark, place: int, units: Mapping[tuple, int]) -> tuple:
    """What a mark is drawn with: its meeting, or itself alone."""
    return (mark.seed,) if (mark.seed,) in units else ("utterance", place)


def mean_of(table: np.ndarray) -> np.ndarray:
    """Means of sums and numbers (..., halves, 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return table[..., 0].sum(-1) / table[..., 1].sum(-1)


def second_less_first(table: np.ndarray) -> np.ndarray:
    """Mean of the second half less that of the first."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = table[..., 0] / table[..., 1]
    return means[..., 1] - means[..., 0]


def units_of(marks: Sequence[Mark]) -> dict[tuple, int]:
    """The meetings, if they are enough, else every mark by itself."""
    meetings = dict.fromkeys((mark.seed,) for mark in marks)
    keys = meetings if len(meetings) >= FEWEST_MEETINGS else [("utterance", place) for place in range(len(marks))]
    return {key: place for place, key in enumerate(keys)}


def drawn(units: int, seed: int) -> np.ndarray:
    """How often each unit is in each resampling: (resamplings, units)."""
    return np.random.default_rng([seed, units]).multinomial(units, np.full(units, 1 / units), size=RESAMPLINGS).astype(float)


def figure(marks: Sequence[Mark], metric: str, value_of: Callable, seed: int, chance: float | None = None) -> MeetingFigure:
    """A figure with its interval."""
    units = units_of(marks)
    table = sums_of(marks, units)
    value = float(value_of(table.sum(0)))
    resampled = value_of(np.tensordot(drawn(len(units), seed), table, 1))
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    if metric in SHARES and value in (0.0, 1.0):
        low, high = rule_of_three(value, len(units))
    return MeetingFigure(
        metric=metric, variant=marks[0].variant, value=round(value, 6), low=round(float(low), 6), high=round(float(high), 6),
        n=len(marks), meetings=len({mark.seed for mark in marks}), over=over(units), chance=chance,
    )  # fmt: skip


def over(units: Mapping[tuple, int]) -> str:
    """What the units are."""
    return "utterances" if ("utterance", 0) in units else "meetings"


def differences_of(marks: Sequence[Mark], variant: str, than: str, seed: int = 0) -> list[MeetingDifference]:
    """Variant less the other, on every metric that both have; drawn by seeds that both have, so that it is paired."""
    table = grouped(marks, lambda mark: (mark.variant, mark.metric))
    metrics = [metric for own, metric in table if own == variant and (than, metric) in table]
    return [difference(table[variant, metric], table[than, metric], metric, seed) for metric in metrics]


def difference(ours: Sequence[Mark], theirs: Sequence[Mark], metric: str, seed: int) -> MeetingDifference:
    """One difference of means with its interval."""
    shared = sorted({mark.seed for mark in ours} & {mark.seed for mark in theirs})
    ours, theirs = ([mark for mark in marks if mark.seed in shared] for marks in (ours, theirs))
    units = [units_of(marks) for marks in (ours, theirs)]
    if over(units[0]) == over(units[1]) == "meetings":
        units = [{(one,): place for place, one in enumerate(shared)}] * 2
        draws = [drawn(len(shared), seed)] * 2
    else:
        draws = [drawn(len(own), seed + place) for place, own in enumerate(units)]
    tables = [sums_of(marks, own) for marks, own in zip((ours, theirs), units, strict=True)]
    value = float(mean_of(tables[0].sum(0)) - mean_of(tables[1].sum(0)))
    resampled = [mean_of(np.tensordot(weights, table, 1)) for weights, table in zip(draws, tables, strict=True)]
    low, high = np.nanpercentile(resampled[0] - resampled[1], [2.5, 97.5])
    return MeetingDifference(
        metric=metric, variant=ours[0].variant, than=theirs[0].variant, value=round(value, 6),
        low=round(float(low), 6), high=round(float(high), 6), meetings=len(shared), over=over(units[0]),
    )  # fmt: skip


def by_part(marks: Sequence[Mark], metrics: Sequence[str] = DRIFTING) -> dict[str, list[float | None]]:
    """`variant/metric` -> its mean in each part of the meeting, in order."""
    found = {}
    for (variant, metric), own in grouped(marks, lambda mark: (mark.variant, mark.metric)).items():
        if metric in metrics:
            parts = [[mark.value for mark in own if mark.part == part] for part in range(PARTS)]
            found[f"{variant}/{metric}"] = [round(sum(values) / len(values), 4) if values else None for values in parts]
    return found
