"""Diaries, English or Chinese: an entry under each line that is a date, or after a date that begins the line.

A year that stands alone above entries without one holds for them, and so does the year of the entry before.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import letter
from persllm.sources.bounded import Line
from persllm.sources.dates import FIGURES, date_line, shows_day_first
from persllm.sources.letter_dates import Dating
from persllm.sources.plain import first_lines, is_plain, own_lines_of

name = "diary"
RUN_IN = re.compile(r"(?P<date>[^。!?！？]{4,40}?)\s*(?:[.:：]?\s*[—–]+|\.--|[.:：]\s|　)\s*(?P<text>\S.{10,})")
YEAR = re.compile(r"\s*(?:\[?(?P<year>1\d{3}|20\d{2})\]?|(?P<chinese>(?:1\d{3}|20\d{2})年))[.:]?\s*")
LONGEST_PARAGRAPH_LINES = 400
FEWEST = 3


def entry(text: str, day_first: bool | None) -> tuple[Dating, str] | None:
    """The date and the words of a line that begins an entry; a date without a day begins none, but for `3/5/1813`, of which only the year is sure."""
    dating = date_line(text, day_first)
    if dating and (dating.day or FIGURES.search(text)):
        return dating, ""
    match = RUN_IN.fullmatch(text)
    dating = date_line(match["date"], day_first) if match else None
    return (dating, match["text"]) if match and dating and (dating.day or FIGURES.search(match["date"])) else None


def fits(lines: list[str]) -> bool:
    """At least three entries with days, and no greetings."""
    if any(letter.greeting(line) for line in lines):
        return False
    found = [place for place, line in enumerate(lines) if entry(line.strip(), None)]
    alone = sum(after - before == 1 and date_line(lines[before]) is not None for before, after in itertools.pairwise(found))
    return len(found) - alone >= FEWEST


def recognises(path: Path, head: bytes) -> bool:
    """By its lines."""
    return is_plain(path) and fits(first_lines(path, head))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The entries, a paragraph each."""
    return passages(own_lines_of(path), path.name)


def passages(lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """The entries of a diary; what stands before the first date is left out."""
    rest = iter(lines)
    first = list(itertools.islice(rest, LONGEST_PARAGRAPH_LINES))
    day_first = shows_day_first(line.text for line in first if isinstance(line, Line))
    year: int | None = None
    current: Dating | None = None
    block: list[str] = []
    held: list[str] = []
    place = ""
    for line in itertools.chain(first, rest):
        if isinstance(line, Dropped):
            yield line
            continue
        text = line.text.strip()
        alone = YEAR.fullmatch(text) if text else None
        begun = entry(text, day_first) if text and not alone else None
        if begun or alone:
            yield from written(held, block, current, place, file)
            held, block, current = [], [], None
        if alone:
            year = int((alone["year"] or alone["chinese"])[:4])
        elif begun:
            dating = begun[0] if begun[0].year else begun[0].model_copy(update={"year": year})
            year, current, place = dating.year, dating, f"{file}:{line.number}"
            block = [begun[1]] if begun[1] else []
        elif not text:
            held, block = [*held, letter.joined(block)] if block else held, []
        elif current is None:
            yield Dropped(item=f"{file}:{line.number}", reason="outside of the diary", detail=text[:80])
        else:
            block.append(text)
    yield from written(held, block, current, place, file)


def written(held: list[str], block: list[str], dating: Dating | None, place: str, file: str) -> Iterator[Passage]:
    """One entry, if it has a date and words."""
    text = "\n".join([*held, *([letter.joined(block)] if block else [])])
    if dating and text:
        yield Passage(text=text, source=place, form="diary", date=dating.date, thread=file, situation=dating.place)
