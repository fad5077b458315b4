"""HTML pages: the article in it, without menus, advertisements and footers, found by trafilatura."""

from collections.abc import Iterator
from pathlib import Path

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.blocks import Block, blocks
from persllm.sources.bounded import UNREADABLE, Line, decoded, whole
from persllm.sources.forms import FORMS

name = "html"
SUFFIXES = {".html", ".htm", ".xhtml"}
LARGEST = 32 << 20
ENOUGH = 0.25
"""Share of the page's words that the article must hold; else the page is all article and is taken whole."""
MOST_SOUGHT = 200_000
"""Beginnings and ends of elements beyond which a page is a book and is taken whole: to find its article would take minutes."""
WINDOW = 20_000
"""Characters of the article in which the next block is looked for."""


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name, or by the first words."""
    start = head[:1024].lstrip().lower()
    return not path.is_dir() and (path.suffix.lower() in SUFFIXES or start.startswith((b"<!doctype html", b"<html")))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Paragraphs of the article, or what is set out in another form."""
    text = decoded(whole(path, LARGEST), path.name).replace("\0", UNREADABLE)
    found = list(article(text, path.name))
    shown = [row for block in found[:400] for row in (block.text, "")]
    form = next((known for known in FORMS if known.fits(shown)), None)
    if form:
        rows = (Line(block.line, row) for block in found for row in (block.text, ""))
        yield from form.passages(rows, path.name)
        return
    if not found:
        yield Dropped(item=path.name, reason="no text in the page")
    titles: dict[int, str] = {}
    for block in found:
        if UNREADABLE in block.text:
            yield Dropped(item=f"{path.name}:{block.line}", reason="unreadable characters", detail=block.text[:80])
        elif block.level:
            titles = {level: title for level, title in titles.items() if level < block.level} | {block.level: block.text}
        else:
            yield Passage(text=block.text, source=f"{path.name}:{block.line}", heading=" / ".join(titles.values()))


def article(text: str, file: str) -> list[Block]:
    """The blocks of the page that belong to the article, with their lines."""
    try:
        import trafilatura
    except ImportError as error:
        raise MaterialError(f"{file}: reading HTML needs: pip install 'persllm[ingest]'") from error
    every = list(blocks(text, file))
    if text.count("<") > MOST_SOUGHT:
        return every
    try:
        extracted = trafilatura.extract(text, favor_recall=True, include_comments=False, include_tables=True, output_format="txt")
    except Exception:  # trafilatura passes on what lxml and its own rules raise; the page is then taken whole
        extracted = None
    chosen = extracted or ""
    size = sum(len(block.text) for block in every)
    if len(chosen) < ENOUGH * size:
        return every
    return among(every, squeezed(chosen))


def among(every: list[Block], flat: str) -> list[Block]:
    """The blocks that occur in a text without spaces, looked for from where the last one was found."""
    kept: list[Block] = []
    place = 0
    for block in every:
        words = squeezed(block.text)
        found = flat.find(words, place, place + len(words) + WINDOW)
        if found >= 0:
            kept.append(block)
            place = found + len(words)
    return kept


def squeezed(text: str) -> str:
    """A text without spaces, to find it again."""
    return "".join(text.split())
