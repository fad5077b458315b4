"""Times as exports write them, as one form: YYYY-MM-DDTHH:MM:SS, the time of day where the message was written.

An offset is left out, since what counts is whether it was evening there. Times that are bare seconds are read as UTC.
"""

import datetime
import re

HALF = {
    **dict.fromkeys(("am", "上午", "凌晨", "清晨", "早上", "半夜"), "am"),
    **dict.fromkeys(("pm", "下午", "晚上", "傍晚"), "pm"),
    "中午": "noon",
}
"""Words for the halves of the day."""
ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
EARLIEST, LATEST = 1970, 2100
"""Years that a count of seconds can mean."""


def timestamp(value: object) -> str:
    """A time from ISO 8601, `2024-05-04 20:15`, or seconds, milliseconds or microseconds since 1970; empty if it is none."""
    if isinstance(value, bool) or value is None:
        return ""
    text = str(value).strip()
    if re.fullmatch(r"\d{9,17}(\.\d+)?", text):
        return from_seconds(float(text))
    found = ISO.match(text)
    return composed(*(int(part or 0) for part in found.groups())) if found else ""


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
