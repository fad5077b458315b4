"""A line that is a date, in English or Chinese and in figures: `Monday, 3 May 1813`, `1813年5月3日 星期一 晴`, `3.5.1813`.

Builds on the date lines of letters. In `3/5/1813` day and month cannot be told apart by themselves: `day_first` says
how, and if a text does not show it only the year is taken.
"""

import re
from collections.abc import Iterable

from persllm.sources.letter_dates import ISO, Dating, read_dating

LONGEST = 60
NUMERALS = {numeral: value for value, numeral in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0, "Ｏ": 0, "两": 2, "元": 1}
CHINESE = re.compile(
    r"(?:(?P<era>民国|民國)?(?P<year>[〇零○一二三四五六七八九十元]{1,4}|\d{2,4})\s*年)?\s*"
    r"(?:(?P<month>[正一二三四五六七八九十冬腊]{1,3}|\d{1,2})\s*月)?\s*(?:(?P<day>初?[一二三四五六七八九十廿卅]{1,3}|\d{1,2})\s*[日号號]?)?"
)
REST = re.compile(
    r"[\s,，、.。（(）)]*(?:(?:星期|周|週|礼拜|禮拜)[一二三四五六日天末]|[阴陰晴雨雪云雲多小大中阵陣雷转轉有风風霧雾夜晨晚早午上下间清凌深前后後热熱冷暖]{1,6}|[于在][\u4e00-\u9fff]{1,6}|[\s,，、.。（(）)])*"
)
FIGURES = re.compile(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})\b")
YEAR_FIRST = re.compile(r"(?P<year>\d{4})[./](?P<month>\d{1,2})[./](?P<day>\d{1,2})\b")
IN_FIGURES = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{4}-\d{2}")
PLACED = re.compile(r"(?P<place>[^\W\d_a-z][^\W\d_]+(?:[ -][^\W\d_]+){0,3})\s*[,，]\s*(?:the |den |le )?(?P<date>\d\S*)")
"""A place and a date in figures."""
WEATHER = re.compile(
    r"[\s,.;—–-]*\b(?:fine|rain|rainy|sunny|cloudy|cold|warm|hot|snow|windy|fog|foggy|clear|overcast|showers)\b\.?$", re.IGNORECASE
)
WEEKDAY = re.compile(
    r"^(?:(?:mon|tues?|wed(?:nes)?|thurs?|fri|sat(?:ur)?|sun)(?:day)?\.?[\s,]+)|[\s,]+(?:mon|tues?|wednes|thurs|fri|satur|sun)day\.?$",
    re.IGNORECASE,
)
FIRST_YEAR_OF_REPUBLIC = 1911


def date_line(line: str, day_first: bool | None = None) -> Dating | None:
    """What a line says as a date; None if it is no date or holds more than one."""
    text = line.strip().strip("*_#[]").strip()
    if not 2 < len(text) <= LONGEST or not any(letter.isdecimal() or letter in NUMERALS or letter == "十" for letter in text):
        return None
    if IN_FIGURES.search(text):
        return figures(text, day_first)
    return chinese(text) or spelled(text)


def figures(text: str, day_first: bool | None) -> Dating | None:
    """`1813/5/3`, `3.5.1813`, `3/5/1813`, ISO; alone, with a weekday, or after a place (`Riga, 3.5.1813`)."""
    bare = WEEKDAY.sub("", WEATHER.sub("", text)).strip(" ,.:")
    if placed := PLACED.fullmatch(bare):
        found = figures(placed["date"], day_first)
        return found and found.model_copy(update={"place": placed["place"]})
    if iso := ISO.fullmatch(bare):
        return checked(int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None)
    if match := YEAR_FIRST.fullmatch(bare):
        return checked(int(match["year"]), int(match["month"]), int(match["day"]))
    match = FIGURES.fullmatch(bare)
    return ordered(int(match["a"]), int(match["b"]), int(match["year"]), True if match["mark"] == "." else day_first) if match else None


def ordered(a: int, b: int, year: int, day_first: bool | None) -> Dating | None:
    """Two figures as day and month; only the year if it is not clear which is which."""
    if a > 12 or (day_first and b <= 12):
        return checked(year, b, a)
    if b > 12 or day_first is False:
        return checked(year, a, b)
    return Dating(year=year) if a != b else checked(year, a, b)


def chinese(text: str) -> Dating | None:
    """A Chinese date, with a weekday and the weather behind it."""
    match = CHINESE.match(text)
    if not match or not match[0] or ("月" not in match[0] and "年" not in match[0]) or not REST.fullmatch(text[match.end() :]):
        return None
    year = value(match["year"], digits=True)
    if match["era"] and year is not None:
        year += FIRST_YEAR_OF_REPUBLIC
    if year is not None and year < 1000:
        return None
    return checked(year, value(match["month"]), value((match["day"] or "").removeprefix("初") or None))


def value(numeral: str | None, digits: bool = False) -> int | None:
    """The value of Chinese or Arabic figures; `digits` for a year written figure by figure."""
    if not numeral:
        return None
    if numeral.isdigit():
        return int(numeral)
    if numeral in ("正", "冬", "腊"):
        return {"正": 1, "冬": 11, "腊": 12}[numeral]
    if digits and "十" not in numeral:
        return int("".join(str(NUMERALS[letter]) for letter in numeral))
    tens, mark, ones = numeral.replace("廿", "二十").replace("卅", "三十").partition("十")
    if not mark:
        return NUMERALS.get(tens)
    return NUMERALS.get(tens, 1) * 10 + NUMERALS.get(ones, 0)


def spelled(text: str) -> Dating | None:
    """A date with the name of the month; a place may stand before it."""
    found = read_dating(WEATHER.sub("", text))
    if found is None or (found.month is None and found.year is None):
        return None
    return found if checked(found.year, found.month, found.day) else None


def checked(year: int | None, month: int | None, day: int | None) -> Dating | None:
    """A dating, if there is such a day."""
    if not (1 <= (month or 1) <= 12 and 1 <= (day or 1) <= 31 and (year is None or 1000 <= year < 2100)) or (
        year is None and month is None
    ):
        return None
    return Dating(year=year, month=month, day=day)


def shows_day_first(lines: Iterable[str]) -> bool | None:
    """Whether dates such as `13/5/1813` put the day first; None if no line shows it."""
    for line in lines:
        if (match := FIGURES.search(line)) and match["mark"] != ".":
            if int(match["a"]) > 12 >= int(match["b"]):
                return True
            if int(match["b"]) > 12 >= int(match["a"]):
                return False
    return None
