"""What a Chinese text claims: names, years, days, numbers with what is counted, relatives; and its pairs of characters.

Limits: names are found by sure signs only (languages/zh.py), or by a surname before a verb of speaking.
"""

import re
from functools import lru_cache

from persllm.checks.marks import marks
from persllm.languages import zh
from persllm.languages.zh import CALLED, CITIES, HAN, NAME, NUMBER, NUMERALS, SURNAMES, tight

__all__ = [
    "RUN",
    "UNCOUNTED",
    "capitals",
    "days",
    "experiences",
    "flat",
    "names",
    "neutral",
    "numbers",
    "plain",
    "relatives",
    "sentences",
    "stems",
    "words",
    "years",
]

RUN = 10
"""Characters in a row that nobody writes twice by chance."""
DIGIT = {sign: place for place, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
SCALE = {"十": 10, "百": 100, "千": 1000, "万": 10000}
YEAR = re.compile(r"(?<!\d)(\d{3,4})年|([一二三四五六七八九〇零]{4})年")
DAY = re.compile(rf"(\d{{1,2}}|[{NUMERALS}]{{1,3}})月(\d{{1,2}}|[{NUMERALS}]{{1,3}})[日号]")
SPEAKER = re.compile(
    rf"(?:(?<=[，。！？；：、“和与跟同给对向])|^)([{SURNAMES}][{HAN}]{{1,2}})(?=说|问我|告诉|教我|对我|跟我|送我|带我|给我|请我|帮我)"
)
NO_SPEAKER = re.compile(
    "方才|何必|何况|任何|万一|白天|金钱|石头|钟声|高兴|马上|黄昏|江水|于是|向来|时常|林子|雷声|毛病|常常|田里|贺信|余下|后来|[的了着在是我你他她]"
)
UNCOUNTED = frozenset("年天岁里次句段间点步倍名位个条层场座")
"""What is counted so often in talk that a small number of it claims nothing."""
OWN = re.compile(rf"我(?:的|家|那|自己的|亲|大|小|死去的|过世的)*([{HAN}]{{2}})")
PLACE = re.compile(rf"{CITIES}|北平|香港|广州|杭州|苏州|南洋|日本|美国|英国|法国|德国|俄国")
PAST = re.compile("我[^。！？]{0,12}[了过]|我(?:当时|那年|那时|曾|曾经|从前|小时候)")


once = lru_cache(maxsize=4096)
"""Many conversations share an answer, and several checks read it: each text is read once."""


@once
def words(text: str) -> tuple[str, ...]:
    """The words of a text as the language cuts them."""
    return tuple(zh.words(text))


@once
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text as the language cuts them."""
    return tuple(zh.sentences(text))


@once
def plain(text: str) -> str:
    """A text as the marks are looked for in it: without blanks, half-width marks as full-width ones."""
    return tight(text).replace(" ", "").replace(",", "，").replace("!", "！").replace(";", "；")


@once
def flat(text: str) -> str:
    """The characters without signs, to look for one text in another."""
    return "".join(words(text))


def neutral(text: str, own: frozenset[str]) -> list[str]:
    """The characters as they are in every person: without 我, 他, 她, 你 and the person's own names."""
    bare = re.sub("|".join([*map(re.escape, sorted(own, key=len, reverse=True)), "[我他她你]们?"]), "", text)
    return list(words(bare))


@once
def stems(text: str) -> frozenset[str]:
    """The pairs of neighbouring characters that have a matter of their own."""
    common = marks("zh").common
    runs = re.findall(rf"[{HAN}]+", text)
    return frozenset(run[i : i + 2] for run in runs for i in range(len(run) - 1) if not set(run[i : i + 2]) & common)


@once
def names(text: str) -> list[str]:
    """The names and well-known places in a text, and titles of works."""
    flat = tight(text)
    found = [match[0] for match in NAME.finditer(flat)] + [match[1] for match in CALLED.finditer(flat)]
    found += [match[1] for match in SPEAKER.finditer(flat) if not NO_SPEAKER.search(match[1])]
    return found + PLACE.findall(flat) + re.findall("《([^》]{1,12})》", flat)


def capitals(text: str) -> set[str]:
    """Nothing: Chinese has no capitals."""
    return set()


@once
def years(text: str) -> set[int]:
    """The years in a text, in figures or in signs."""
    return {int(m[1]) if m[1] else int("".join(str(DIGIT[sign]) for sign in m[2])) for m in YEAR.finditer(text)}


def days(text: str) -> set[str]:
    """The days in a text, as `5月3日`."""
    return {f"{value(m[1])}月{value(m[2])}日" for m in DAY.finditer(text)}


@once
def numbers(text: str) -> list[tuple[int, str]]:
    """Every number of three and more with its measure word; years and days are none."""
    bare = DAY.sub("，", YEAR.sub("，", tight(text)))
    found = [(value(match[0].split(".")[0]), bare[match.end() : match.end() + 1]) for match in NUMBER.finditer(bare)]
    return [(number, what) for number, what in found if number > 2]


def value(sign: str) -> int:
    """The value of a number in figures or signs: `三百二十` is 320."""
    if sign.isdigit():
        return int(sign)
    if len(sign) > 1 and all(one in DIGIT for one in sign):
        return int("".join(str(DIGIT[one]) for one in sign))
    total = current = 0
    for one in sign:
        if one in SCALE:
            total, current = (total + current) * SCALE[one] if one == "万" else total + (current or 1) * SCALE[one], 0
        else:
            current = DIGIT.get(one, 0)
    return total + current


def relatives(text: str) -> set[str]:
    """The relatives that the speaker claims as own: `我丈夫`."""
    return {match[1] for match in OWN.finditer(text) if match[1] in marks("zh").kin}


@once
def experiences(text: str) -> list[str]:
    """The sentences in which the speaker tells what was done or met with."""
    return [sentence for sentence in sentences(text) if PAST.search(sentence)]
