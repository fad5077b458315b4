"""Times as exports write them, as one form: YYYY-MM-DDTHH:MM:SS, the time of day where the message was written; the day alone if no time is told.

An offset is left out, since what counts is whether it was evening there. Times that are bare seconds are read as UTC.
Tables have them as their country writes them: `13.2.2024 20:15`, `2/13/2024, 8:15 PM`, `Tue, 13 Feb 2024 20:15`.
"""

import datetime
import re

from persllm.sources.dates import date_line
from persllm.sources.day_order import Order

HALF = {
    **dict.fromkeys(("am", "上午", "凌晨", "清晨", "早上", "半夜"), "am"),
    **dict.fromkeys(("pm", "下午", "晚上", "傍晚"), "pm"),
    "中午": "noon",
}
"""Words for the halves of the day."""
HALVES = "|".join(word for word in HALF if not word.isascii())
CLOCK = rf"(?P<before>{HALVES})?\s?(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:[.,]\d+)?(?:[\s\u202f]*(?P<after>[AaPp]\.?\s?[Mm]\b\.?))?"
ISO = re.compile(rf"(?P<year>\d{{4}})[-/.年](?P<month>\d{{1,2}})[-/.月](?P<day>\d{{1,2}})日?(?:[T ,]*{CLOCK})?")
FIGURES = re.compile(rf"(?P<a>\d{{1,2}})(?P<mark>[./-])(?P<b>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d\d)(?:[T ,]+(?:{CLOCK})|(?!\S))")
"""A day and a month of which either may stand first, alone or with the time of day."""
TIME = re.compile(rf"[\s,]*\b{CLOCK}(?:\s*(?:[+-]\d\d:?\d\d|UTC|GMT|Z)\b(?:\s*\([A-Z]+\))?)?")
LONGEST = 80
"""Characters of a time."""
EARLIEST, LATEST = 1970, 2100
"""Years that a count of seconds can mean."""


def timestamp(value: object) -> str:
    """A time from ISO 8601, `2024-05-04 20:15`, or seconds, milliseconds or microseconds since 1970; empty if it is none."""
    if isinstance(value, bool) or value is None:
        return ""
    text = str(value).strip()[:LONGEST]
    if re.fullmatch(r"\d{9,17}(\.\d+)?", text):
        return from_seconds(float(text))
    found = ISO.match(text)
    return at(found, int(found["year"]), int(found["month"]), int(found["day"])) if found else ""


def told_in(value: object, order: Order) -> str:
    """The same, and times with figures in this order of day and month, or with the name of the month."""
    text = str("" if value is None else value).strip()[:LONGEST]
    if known := timestamp(value):
        return known
    if found := FIGURES.fullmatch(text):
        day, month = (int(found["a"]), int(found["b"])) if order == "dmy" or found["mark"] == "." else (int(found["b"]), int(found["a"]))
        return at(found, int(found["year"]) + (2000 if len(found["year"]) == 2 else 0), month, day)
    time = TIME.search(text)
    dating = date_line(text[: time.start()] + text[time.end() :] if time else text)
    if not dating or not dating.year or not dating.month or not dating.day:
        return ""
    return at(time, dating.year, dating.month, dating.day) if time else composed(dating.year, dating.month, dating.day)[: len("2024-05-04")]


def at(found: re.Match[str], year: int, month: int, day: int) -> str:
    """A day with the time of day that was found, the day alone if none was; empty if there is no such moment."""
    if found["hour"] is None:
        return composed(year, month, day)[: len("2024-05-04")]
    hour = hour_of_day(int(found["hour"]), found["before"] or found["after"] or "")
    return composed(year, month, day, hour, int(found["minute"]), int(found["second"] or 0))


def from_seconds(seconds: float) -> str:
    """A count since 1970; its length says whether it is seconds or a fraction of them."""
    while seconds > 1e11:
        seconds /= 1000
    moment = datetime.datetime(EARLIEST, 1, 1) + datetime.timedelta(seconds=int(seconds))
    return moment.isoformat() if moment.year < LATEST else ""


def composed(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> str:
    """The written form of a moment; empty if there is no such day or time."""
    try:
        return datetime.datetime(year, month, day, hour, minute, second).isoformat()
    except ValueError:
        return ""


def hour_of_day(hour: int, half: str) -> int:
    """The hour from 0 to 23 of an hour with `am`, `p. m.`, 下午 and the like; unchanged if the half is unknown."""
    kind = HALF.get(re.sub(r"[.\s\u202f]", "", half).lower(), "")
    if kind == "am":
        return hour % 12 if hour == 12 else hour
    if kind == "pm" and hour < 12:
        return hour + 12
    return hour + 12 if kind == "noon" and hour < 11 else hour
