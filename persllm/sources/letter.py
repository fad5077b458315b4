"""Letters in a plain text, one or many, English or Chinese: a date line, a greeting, the words, a closing.

A letter begins at a date line or at a greeting. A date behind the closing belongs to the letter above it. Books of
letters with numbers or headings (`TO SOMEBODY.`) are read by `letter_book`.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import chapters
from persllm.sources.bounded import Line, head_of
from persllm.sources.dates import date_line, shows_day_first
from persllm.sources.letter_dates import Dating
from persllm.sources.plain import first_lines, is_plain, own_lines_of

name = "letter"
GREETING = re.compile(
    r"(?:(?:My |Our )?(?:[Vv]ery |[Mm]ost |own )?(?:dear(?:est)?|Dear(?:est)?|Beloved|Honou?red|Esteemed)\b(?P<to>[^.!?;:]{0,50}?)|(?P<sir>Sir|Sirs|Madam|Gentlemen))\s*[,:!—-]{1,3}\s*(?P<rest>.*)"
)
GREETING_ZH = re.compile(
    r"(?:(?:亲爱的|親愛的|尊敬的|敬爱的|最爱的|我的)\s*(?P<to>[^，,。：:！!]{1,14})|(?P<who>[^\s，,。：:！!]{1,6}(?:兄|弟|姊|姐|妹|先生|女士|吾儿|吾妻|仁兄|贤弟|大人|同志|老师|师)))\s*[：:，,！!]\s*(?P<rest>.*)"
)
TO_LINE = re.compile(r"(?:To|TO|致|Letter to)[:：]?\s+(?P<to>[A-Z\u4e00-\u9fff][^.!?。]{1,50})\.?")
CLOSING = re.compile(
    r"(?:(?:I am|I remain|Believe me|Ever|Yours?|Your|With (?:love|best|kind|warm)|Love|Sincerely|Affectionately|Best|Kind regards|Adieu|Farewell|In haste)\b[^.!?]{0,60}[,.—-]*"
    r"|(?:此致|敬礼|敬禮|祝[^。]{0,12}|即颂[^。]{0,8}|顺颂[^。]{0,8}|顺祝[^。]{0,8}|专此|余不一一|匆匆|谨上|敬上|顿首|上)[。！!]?)"
)
POSTSCRIPT = re.compile(r"(?:P\.? ?S\b\.?|又及|附言)[:：,.]?\s*\S")
SIGNATURE_WORDS = 5
SIGNATURE_CHARACTERS = 8
FEWEST_DATED = 1
NOT_NAMES = re.compile(r"^\s*(?:and\s+)?(?:sir|sirs|madam|friend|friends|all|one|reader)?\s*$", re.IGNORECASE)


def greeting(line: str) -> tuple[str, str] | None:
    """(to whom, what follows on the line) of a greeting."""
    text = line.strip()
    match = GREETING.fullmatch(text) or GREETING_ZH.fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    to = (found.get("to") or found.get("who") or "").strip(" ,")
    return ("" if NOT_NAMES.fullmatch(to) else to), found["rest"].strip()


def fits(lines: list[str]) -> bool:
    """A greeting at the head of the text, with a date or a closing; or several of them."""
    full = [line for line in lines if line.strip()]
    greeted = [place for place, line in enumerate(full) if greeting(line) and len(line) < 400]
    dated = [place for place, line in enumerate(full) if date_line(line)]
    closed = any(CLOSING.fullmatch(line.strip()) for line in full)
    near = [g for g in greeted if any(0 < g - d <= 4 for d in dated)]
    return bool(greeted) and ((greeted[0] < 8 and (closed or bool(near) or bool(dated and dated[-1] >= len(full) - 3))) or len(near) > 2)


def recognises(path: Path, head: bytes) -> bool:
    """By its lines."""
    return is_plain(path) and fits(first_lines(path, head))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The letters."""
    found = first_lines(path, head_of(path))
    return passages(own_lines_of(path), path.name, shows_day_first(found))


class Writing:
    """The letter that is being read."""

    def __init__(self) -> None:
        self.place, self.dating, self.to, self.heading = "", None, "", ""
        self.greeted, self.ended = False, False
        self.blocks: list[str] = []
        self.block: list[str] = []

    def end_block(self) -> None:
        """A paragraph is over."""
        if self.block:
            self.blocks.append(joined(self.block))
            self.block = []

    def end(self) -> None:
        """Take closing and signature away from what was written so far."""
        self.end_block()
        while self.blocks and self.place and is_end(self.blocks[-1], len(self.blocks) > 1):
            self.blocks.pop()

    @property
    def begun(self) -> bool:
        """Whether anything of the letter was written."""
        return bool(self.blocks or self.block)

    def passage(self, file: str) -> Iterator[Passage]:
        """The letter, without closing and signature."""
        self.end()
        text = "\n".join(self.blocks)
        if text and self.place and (self.greeted or self.dating):
            dating = self.dating or Dating()
            yield Passage(
                text=text, source=self.place, form="letter", heading=self.heading, date=dating.date, to=(self.to,) if self.to else (),
                thread=file, situation=", ".join(filter(None, (f"Letter to {self.to}" if self.to.isascii() and self.to else "", dating.place))),
            )  # fmt: skip


def joined(lines: list[str]) -> str:
    """The lines of a paragraph; no space between Chinese ones."""
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", " ".join(line.strip() for line in lines))


def is_end(block: str, more: bool) -> bool:
    """Whether a last paragraph is a closing or a signature."""
    short = len(block) <= SIGNATURE_CHARACTERS if block[:1] > "\u2e7f" else len(block.split()) <= SIGNATURE_WORDS
    return bool(CLOSING.fullmatch(block)) or (more and short and block[-1:] not in "?!？！。" and not block.endswith("."))


def passages(lines: Iterable[Line | Dropped], file: str, day_first: bool | None = None) -> Iterator[Passage | Dropped]:
    """Each letter with its date and addressee; what stands before the first is left out.

    Where a date stood above a greeting once, a date below a letter without one belongs to the next.
    """
    writing, heading, headed = Writing(), "", False
    for line in lines:
        if isinstance(line, Dropped):
            yield line
            continue
        text = line.text.strip()
        place = f"{file}:{line.number}"
        dating = date_line(text, day_first) if text else None
        greeted = greeting(text) if text and not writing.block else None
        if not text:
            writing.end_block()
        elif chapters.level_of(text) is not None:
            yield from writing.passage(file)
            writing, heading = Writing(), text
        elif dating and writing.begun and writing.greeted and not (writing.dating or headed):
            writing.dating = dating
            yield from writing.passage(file)
            writing = Writing()
        elif dating:
            if writing.begun or writing.dating:
                yield from writing.passage(file)
                writing = Writing()
            writing.dating, writing.place, writing.heading = dating, place, heading
        elif greeted:
            headed = headed or bool(writing.dating and not writing.begun)
            if writing.greeted:
                yield from writing.passage(file)
                writing = Writing()
            writing.greeted, writing.to, writing.heading = True, greeted[0] or writing.to, heading
            writing.place = writing.place or place
            writing.block = [greeted[1]] if greeted[1] else []
        elif not writing.begun and (to := TO_LINE.fullmatch(text)):
            writing.to = to["to"].strip()
        elif not writing.place:
            yield Dropped(item=place, reason="outside of the letters", detail=text[:80])
        elif POSTSCRIPT.match(text) and writing.begun:
            writing.end()
            writing.block = [text]
        elif line.text.startswith(("　　", "    ")) or "\u3400" <= text[0] <= "\u9fff":
            writing.end_block()
            writing.block = [text]
        else:
            writing.block.append(text)
    yield from writing.passage(file)
