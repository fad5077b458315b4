"""The date line of a letter: `Vienna, Nov. 16, 1800.`, `July 7.`, `Baden, Autumn of 1812`, `le 3. Febr. 1816`.

A line counts as one only if nothing stands in it but dates, times, seasons and capitalised names of places. A
year or month that is missing is taken from the letters before and after, if these leave no choice. Limit:
English month names and the commonest French and German ones; `3/5/1812` is not read, as it has two meanings.
"""

import re
from collections.abc import Sequence

from persllm.records import Record

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
FOREIGN = (
    "janvier januar", "fevrier février februar", "mars märz maerz", "avril", "mai", "juin juni", "juillet juilliet juli", "aout août",
    "septembre", "octobre oktober", "novembre", "decembre décembre dezember",
)  # fmt: skip
TIMES = set(
    "sunday monday tuesday wednesday thursday friday saturday spring summer autumn winter fall lent easter christmas the of in "
    "on at about late early end beginning middle last first day morning noon afternoon evening night midnight o'clock half past "
    "near immediate le den du a and between".split()
)
WORD = re.compile(r"\d+(?:st|nd|rd|th|d)?\b|[^\W\d_]+(?:['’-][^\W\d_]+)*")
ISO = re.compile(r"\b(\d{4})-(\d{2})(?:-(\d{2}))?\b")
LONGEST = 80
SLIP = 10
"""Years; 1841 among letters of 1814 is a slip, 1813 is not."""
PLACE_WORDS = 4


class Dating(Record):
    """What a date line says."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    place: str = ""

    @property
    def date(self) -> str:
        """As YYYY, YYYY-MM or YYYY-MM-DD; empty without a year."""
        if self.year is None:
            return ""
        parts = [f"{self.year:04}"] + ([f"{self.month:02}"] if self.month else []) + ([f"{self.day:02}"] if self.month and self.day else [])
        return "-".join(parts)


def read_dating(line: str) -> Dating | None:
    """What a line says as a date line; None if it is something else. A line may name a place or a time of day only."""
    text = re.sub(r"\([^)]*\)", "", line).strip().strip("[]")
    text = re.split(r"(?<=\d{4})\s*(?:--|—)", text)[0]
    if not text or len(text) > LONGEST or text.endswith(("!", "?", "--", "—", ":")):
        return None
    values: dict[str, int] = {}
    place: list[str] = []
    iso = ISO.search(text)
    if iso:
        values = {key: int(value) for key, value in zip(("year", "month", "day"), iso.groups()) if value}
        text = text.replace(iso[0], "")
    for part in text.split(","):
        names: list[str] = []
        if not all(take(word, values, names) for word in WORD.findall(part)) or len(names) > PLACE_WORDS:
            return None
        place = place or names
    if not 1 <= values.get("month", 1) <= 12 or not 1 <= values.get("day", 1) <= 31:
        return None
    return Dating(**values, place=" ".join(name.capitalize() if name.isupper() else name for name in place))


def take(word: str, values: dict[str, int], place: list[str]) -> bool:
    """Put one word of a date line where it belongs; False if no date line holds such a word."""
    if word[0].isdecimal():
        number = int(re.match(r"\d+", word)[0])  # type: ignore[index]
        key = "year" if len(word) == 4 and 1000 <= number < 2100 else "day"
        if key == "day" and not 1 <= number <= 31:
            return False
        values.setdefault(key, number)
        return True
    month = month_number(word)
    if month:
        values.setdefault("month", month)
    elif word.lower() not in TIMES:
        if not word[0].isupper():
            return False
        place.append(word)
    return True


def month_number(word: str) -> int | None:
    """1 to 12 for the name of a month or its beginning of three letters or more."""
    low = word.lower()
    for number, (name, others) in enumerate(zip(MONTHS, FOREIGN), 1):
        if len(low) >= 3 and any(full.startswith(low) for full in (name.lower(), *others.split())):
            return number
    return None


def resolve(datings: Sequence[Dating], first: int, last: int) -> list[Dating | None]:
    """The same datings with a year each; None where the letters around do not agree.

    A year outside `first`..`last` that is far from the one year of the letters around it is a slip of the pen and
    gives way to that. What is undated gets the year, and the month if it is the same before and after, of the
    letters around it.
    """
    sound = [d if d.year is not None and first <= d.year <= last else None for d in datings]
    known = [None if d.year is None else slip(d, *around(sound, i)) if sound[i] is None else d for i, d in enumerate(datings)]
    for months in (True, False):
        known = [d or (between(datings[i], *around(known, i)) if bool(datings[i].month) == months else None) for i, d in enumerate(known)]
    return known


def slip(dating: Dating, before: Dating | None, after: Dating | None) -> Dating:
    """A dating of an impossible year, with the year of its neighbours if it can only be a slip."""
    if before and after and before.year == after.year and abs((before.year or 0) - (dating.year or 0)) > SLIP:
        return dating.model_copy(update={"year": before.year})
    return dating


def around(known: Sequence[Dating | None], place: int) -> tuple[Dating | None, Dating | None]:
    """The nearest dated letters before and after a place."""
    return next((d for d in reversed(known[:place]) if d), None), next((d for d in known[place + 1 :] if d), None)


def between(dating: Dating, before: Dating | None, after: Dating | None) -> Dating | None:
    """A dating without a year, completed from its neighbours."""
    if before is None or after is None or before.year is None or after.year is None:
        return None
    year: int | None = before.year if before.year == after.year else None
    if dating.month is None:
        month = before.month if before.month == after.month else None
        return Dating(year=year, month=month, place=dating.place) if year else None
    if after.year - before.year == 1:
        later, earlier = dating.month >= (before.month or 1), dating.month <= (after.month or 12)
        year = before.year if later and not earlier else after.year if earlier and not later else None
    return dating.model_copy(update={"year": year}) if year else None


def spoken(date: str) -> str:
    """`1800-11-16` as `16 November 1800`."""
    year, month, day = [*map(int, date.split("-")), 0, 0][:3]
    return " ".join([*([str(day)] if day else []), *([MONTHS[month - 1]] if month else []), str(year)])


def inside(date: str, start: str, end: str) -> bool:
    """Whether all days of a date lie between two dates of any precision; an empty one sets no bound."""
    return bound(date, "-01") >= bound(start, "-01") and bound(date, "-31") <= (bound(end, "-31") if end else "9999")


def bound(date: str, fill: str) -> str:
    """The first or last day of a date of any precision, in a form that sorts."""
    year, *rest = date.split("-") if date else ["0"]
    months = {"-01": "-01", "-31": "-12"}
    return f"{int(year):04}" + (f"-{int(rest[0]):02}" if rest else months[fill]) + (f"-{int(rest[1]):02}" if len(rest) > 1 else fill)
