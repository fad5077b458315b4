"""Find what is spoken in a novel: quotation marks of all usual kinds, nested, re-opened in each paragraph, or dashes.

A book keeps to one convention, so the marks are counted first. A quotation that is interrupted (`"Yes," he said,
"but ..."`) is several pieces of one quotation; so is a speech whose next paragraph opens the marks again without having
closed them. Words in marks inside a sentence of the narration (a title, a word that is doubted) are not speech.
Limits: where straight single quotes serve as apostrophes too, a dropped first letter can be taken for an opening.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from persllm.novels.book import Piece

ELISIONS = (
    "tis|twas|twere|twill|em|im|er|is|ere|e|ave|as|at|ow|ome|un|ud|ll|way|round|bout|nuff|cause|gainst|midst|neath|til|cos|ead|and|ouse|arf"
)
DASH = re.compile(r"\s*(?:--|—|–|―)\s*(?=\S)")
SPOKEN_END = (",", ".", "!", "?", ";", ":", "-", "—", "–", "…", "。", "！", "？", "，", "；")
CLAUSE = re.compile(r"(?<=[,.!?;—-])\s+(?=(?:said|asked|cried|answered|replied|murmured|whispered|exclaimed) |(?:he|she|I|they|[A-Z][\w']+(?: [A-Z][\w']+)?) (?:said|asked|cried|answered|replied|murmured)\b)")  # fmt: skip
"""Where the words after a dash give way to who said them."""


class Marks(NamedTuple):
    """The quotation marks of a book."""

    opening: str
    closing: str


STYLES = (
    Marks("“", "”"),
    Marks('"', '"'),
    Marks("‘", "’"),
    Marks("'", "'"),
    Marks("«", "»"),
    Marks("„", "“"),
    Marks("「", "」"),
    Marks("『", "』"),
)
LONGEST_OPEN = 12
"""Paragraphs over which a speech may go on without new marks."""
DASHES = Marks("—", "")


def book_marks(paragraphs: Sequence[str]) -> Marks:
    """The marks by which most is opened at the head of a paragraph or after a blank; dashes where there are next to none."""
    counts: Counter[Marks] = Counter()
    for text in paragraphs:
        for marks in STYLES:
            if marks.opening in text:
                counts[marks] += len(
                    re.findall(
                        rf"(?:^|(?<=[\s(\[—–:：，。-])){re.escape(marks.opening)}(?=[^\s\W]|[A-Z_¡¿(\[\"'‘“「『]|\.\.\.|…|--|—)", text
                    )
                )
                counts[marks] += text.startswith(marks.opening)
    dashes = sum(bool(DASH.match(text)) for text in paragraphs)
    best = max(STYLES, key=lambda marks: counts[marks])
    return DASHES if dashes > 4 * counts[best] else best


def find_pieces(paragraphs: Sequence[str]) -> list[Piece]:
    """All spoken pieces of a book in order."""
    marks = book_marks(paragraphs)
    found: list[Piece] = []
    quotation = -1
    open_before = False
    for place, text in enumerate(paragraphs):
        spans, left_open = dashed(text) if marks == DASHES else quoted(text, marks)
        if marks.opening in "“‘" and not spans and '"' in text:
            spans, left_open = quoted(text, Marks('"', '"'))
        if open_before and (end := closed_first(paragraphs, place, marks)):
            spans, left_open = [(0, end), *[span for span in spans if span[0] > end]], left_open and end < len(text)
        goes_on = open_before and bool(spans) and not text[: spans[0][0]].strip(marks.opening + " _(")
        for number, (start, end) in enumerate(spans):
            if not (number == 0 and goes_on) and not (number and interrupted(text, spans[number - 1], start)):
                quotation += 1
            found.append(Piece(place, start, end, quotation))
        if spans or text.strip():
            open_before = left_open or (open_before and bool(spans) and spans[0] == (0, len(text)))
    return found


def closed_first(paragraphs: Sequence[str], place: int, marks: Marks) -> int:
    """Where a speech left open ends that goes on without new marks (verses): 0 if it does not; the end if later."""
    if marks.opening == marks.closing or marks.closing in "'’":
        return 0
    for ahead in range(place, min(place + LONGEST_OPEN, len(paragraphs))):
        text = paragraphs[ahead]
        opening, closing = text.find(marks.opening), text.find(marks.closing)
        if opening >= 0 and (closing < 0 or opening < closing):
            return 0
        if closing >= 0:
            return closing if ahead == place else len(paragraphs[place])
    return 0


def interrupted(text: str, before: tuple[int, int], start: int) -> bool:
    """Whether a piece goes on with the one before it: the narration between is short. Chinese leads in each speech anew."""
    between = text[before[1] : start].strip("\"“”‘’'「」『』 ")
    chinese = text[start : start + 1] >= "\u2e80" or between[:1] >= "\u2e80"
    return len(between) < 160 and not (chinese and between.rstrip("：:；").endswith(("道", "曰", "说", "问", "云", "叫", "回", "言")))


def quoted(text: str, marks: Marks) -> tuple[list[tuple[int, int]], bool]:
    """The spans between marks that are speech, and whether the last was not closed."""
    spans: list[tuple[int, int]] = []
    at = 0
    left_open = False
    while (opening := next_opening(text, at, marks)) >= 0:
        closing = next_closing(text, opening + 1, marks)
        left_open = closing < 0
        end = len(text.rstrip()) if left_open else closing
        start = opening + 1
        if end > start and is_speech(text, opening, start, end):
            spans.append((start, end))
        at = end + 1
        if left_open:
            break
    return spans, left_open


def next_opening(text: str, at: int, marks: Marks) -> int:
    """Where the next quotation opens; -1 if nowhere."""
    while (found := text.find(marks.opening, at)) >= 0:
        before, after = text[found - 1 : found], text[found + 1 : found + 2]
        single = marks.opening in "'‘"
        fits = after and not after.isspace() and not (before.isalnum() and marks.opening in "\"'‘" and ord(before) < 0x2E80)
        if fits and single and re.match(rf"(?:{ELISIONS})\b(?!['’])", text[found + 1 : found + 12], re.IGNORECASE):
            fits = found == 0
        if fits and marks.opening == marks.closing and before in {",", ".", "!", "?"} and after.isspace():
            fits = False
        if fits:
            return found
        at = found + 1
    return -1


def next_closing(text: str, at: int, marks: Marks) -> int:
    """Where a quotation closes; -1 if it does not in this paragraph."""
    single = marks.closing in "'’"
    loose = -1
    for found in range(at, len(text)):
        letter = text[found]
        if letter == marks.closing:
            before, after = text[found - 1 : found], text[found + 1 : found + 2]
            if not single:
                return found
            if not after.isalnum():
                if before in SPOKEN_END or before == "_":
                    return found
                loose = found if before.isalnum() else loose
    return loose


def is_speech(text: str, opening: int, start: int, end: int) -> bool:
    """Whether words in marks are spoken, and not a title or a doubted word inside a sentence."""
    words = text[start:end].strip(" _'’‘“”")
    if not words:
        return False
    before = text[:opening].rstrip(" _(")
    inside = bool(before) and (before[-1].isalnum() or before[-1] in "'’") and ord(before[-1]) < 0x2E80
    if ord(words[0]) >= 0x2E80:
        told = before.endswith(("：", ":", "道", "曰", "，", "。", "！", "？", "”", "」")) or not before
        return told or words[-1] in "。！？，…；"
    ends_as_speech = words[-1] in ",.!?;—-…" and not (words[-1] in ",." and inside and words[:1].islower())
    if inside and not ends_as_speech:
        return False
    lower_short = words[:1].islower() and len(words.split()) <= 3 and not ends_as_speech
    return not (lower_short and before)


def dashed(text: str) -> tuple[list[tuple[int, int]], bool]:
    """The spoken spans of a paragraph in a book that marks speech by a dash at its head."""
    head = DASH.match(text)
    if not head:
        return [], False
    cut = CLAUSE.search(text, head.end())
    end = cut.start() if cut else len(text.rstrip())
    spans = [(head.end(), end)]
    if cut and (resumed := re.compile(r"[.,]\s+(?=[A-Z])|, ").search(text, cut.end() + 1)):
        rest = text[resumed.end() :].rstrip()
        if rest:
            spans.append((resumed.end(), resumed.end() + len(rest)))
    return spans, False
