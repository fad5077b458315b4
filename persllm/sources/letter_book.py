"""Books of letters as publishers print them: numbers or headings `TO SOMEBODY.` above dated letters.

Wraps `letters`, which knows such books; missing years come from the letters around.
"""

from collections.abc import Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import letter_dates
from persllm.sources.bounded import UNREADABLE, decoded, whole
from persllm.sources.letters import Letter, read_letters
from persllm.sources.plain import first_lines, is_plain

name = "letters"
FEWEST = 3
SHARE = 0.5
MOST_LINES = 4000
"""Lines by which a book of letters is told; long tables of contents stand before the first letter."""
LAST_YEAR = 2099
FIRST_YEAR = 1000
RARE = 0.02
"""Share of the letters at each end of the years that may be slips of the pen, if the letters around agree on another year."""


def sure(letter: Letter) -> bool:
    """Whether a piece looks like a letter: a date, and somebody it is written to or by."""
    return bool((letter.dating.year or letter.dating.month) and (letter.to or letter.writer or letter.greeted or letter.signature))


def recognises(path: Path, head: bytes) -> bool:
    """By the first letters in it."""
    if not is_plain(path):
        return False
    found = read_letters("\n".join(first_lines(path, head, MOST_LINES)))
    return sum(map(sure, found)) >= max(FEWEST, SHARE * len(found))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Each letter with date, writer and addressee as far as the book tells."""
    text = decoded(whole(path), path.name)
    for number, line in enumerate(text.split("\n"), 1):
        if UNREADABLE in line:
            yield Dropped(item=f"{path.name}:{number}", reason="unreadable characters", detail=line.strip()[:80])
    letters = read_letters("\n".join("" if UNREADABLE in line else line for line in text.split("\n")))
    datings = letter_dates.resolve([letter.dating for letter in letters], *years([letter.dating.year for letter in letters]))
    for letter, dating in zip(letters, datings, strict=True):
        place = f"{path.name}:{letter.line}"
        if not letter.body:
            yield Dropped(item=place, reason="no words", detail=letter.heading)
            continue
        title = f"Letter to {letter.to}" if letter.to else "Letter"
        date = dating.date if dating else ""
        where = dating.place if dating else letter.dating.place
        yield Passage(
            text="\n".join(paragraph for _, paragraph in letter.body), source=place, form="letter", heading=title, date=date,
            speaker=letter.writer, to=(letter.to,) if letter.to else (), thread=path.name, situation=", ".join(filter(None, (title, where))),
        )  # fmt: skip


def years(found: list[int | None]) -> tuple[int, int]:
    """The first and last year in which the letters were written, single far years apart."""
    known = sorted(year for year in found if year)
    cut = int(RARE * len(known))
    return (known[cut], known[-1 - cut]) if known else (FIRST_YEAR, LAST_YEAR)
