"""The situation of an exchange in words: where, when, how long since the last message, what came right before."""

import datetime
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from persllm.languages import language
from persllm.parsing import Settings, parse, read_yaml

HERE = Path(__file__).parent
LONGEST_EXCERPT = 160
"""Characters of what came right before."""
UNITS = (("years", 365 * 24 * 60), ("months", 30 * 24 * 60), ("weeks", 7 * 24 * 60), ("days", 24 * 60), ("hours", 60), ("minutes", 1))
"""Lengths of time in minutes, the longest first."""


class Phrases(Settings):
    """Everything in a file of phrases."""

    comma: str
    chat_with: str
    chat_in: str
    night: str
    morning: str
    afternoon: str
    evening: str
    weekdays: tuple[str, ...]
    when: str
    when_day: str
    when_date: str
    since: str
    late: str
    before: str
    passed_on: str
    group: str
    minutes: tuple[str, str]
    hours: tuple[str, str]
    days: tuple[str, str]
    weeks: tuple[str, str]
    months: tuple[str, str]
    years: tuple[str, str]


@cache
def phrases(code: str) -> Phrases:
    """The phrases of a language: `en` or `zh`."""
    file = HERE / f"{code}.yaml"
    return parse(Phrases, read_yaml(file), str(file))


def moment(date: str) -> datetime.datetime | None:
    """A date with or without the time of day as a moment; None if it names no day."""
    try:
        return datetime.datetime.fromisoformat(date) if len(date) >= len("2024-05-04") else None
    except ValueError:
        return None


def minutes_between(earlier: str, later: str) -> float | None:
    """Minutes from one date to another; None if one is no moment or they run backwards."""
    first, second = moment(earlier), moment(later)
    if first is None or second is None or second < first:
        return None
    return (second - first).total_seconds() / 60


def when(date: str, code: str) -> str:
    """`Saturday evening, 4 May 2024`, as exact as the date is."""
    said, at = phrases(code), moment(date)
    spoken = language(code).spoken_date(date[:10])
    if at is None:
        return said.when_date.format(date=spoken) if date else ""
    words = {"date": spoken, "weekday": said.weekdays[at.weekday()], "part": part_of_day(at.hour, said)}
    return (said.when if "T" in date else said.when_day).format(**words)


def part_of_day(hour: int, said: Phrases) -> str:
    """Night until five, morning until noon, afternoon until six, evening until eleven."""
    return said.night if hour < 5 or hour >= 23 else said.morning if hour < 12 else said.afternoon if hour < 18 else said.evening


def span(minutes: float, code: str) -> str:
    """A length of time in its largest unit, `3 days`."""
    said = phrases(code)
    name, unit = next(((name, unit) for name, unit in UNITS if minutes >= unit), UNITS[-1])
    count = max(1, round(minutes / unit))
    one, many = getattr(said, name)
    return one if count == 1 else many.format(n=count)


def excerpt(text: str) -> str:
    """The end of a text on one line, short enough to stand in a situation."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_EXCERPT:
        return line
    cut = line[-LONGEST_EXCERPT:]
    return f"… {cut.partition(' ')[2] or cut}"


def told(parts: Sequence[str], code: str) -> str:
    """The parts of a situation as one sentence."""
    kept: list[str] = []
    for part in (part.strip().rstrip(".。") for part in parts):
        if part and not any(part in earlier for earlier in kept):
            kept.append(part)
    text = phrases(code).comma.join(kept)
    return text[:1].upper() + text[1:]
