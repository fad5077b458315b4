"""PDF: the text page by page, without running heads and page numbers, hyphens at line ends joined.

A page that cannot be read, or holds only a picture, is dropped with its number. Limits: text in columns comes in the
order in which the file has it; scanned books need OCR first.
"""

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import LONGEST_LINE, Line, whole
from persllm.sources.forms import read_lines

name = "pdf"
LARGEST = 512 << 20
MOST_PAGES = 20_000
LARGEST_PAGE = 2_000_000
"""Characters of one page."""
SEEN = 40
"""Pages by which running heads are told."""
REPEATED = 0.3
"""Share of these pages on which a line at the edge must stand to be a running head."""
NUMBER = re.compile(r"\s*(?:[Pp]age|第)?\s*[-–—]?\s*(?:\d{1,5}|[ivxlc]{1,7})\s*(?:页|[-–—])?(?:\s*(?:of|/)\s*\d{1,5})?\s*")
HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]$")
SHORT = 0.7
"""Share of the usual length below which a line that ends a sentence ends its paragraph."""


def recognises(path: Path, head: bytes) -> bool:
    """By its first bytes."""
    return b"%PDF-" in head[:1024]


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Paragraphs, or what is set out in another form."""
    return read_lines(lines(path), path.name)


def lines(path: Path) -> Iterator[Line | Dropped]:
    """Paragraphs as lines with an empty one between, their place the page."""
    held: list[tuple[int, list[str]]] = []
    edges: Counter[str] = Counter()
    for number, page in pages(path):
        if isinstance(page, Dropped):
            yield page
            continue
        rows = [row.rstrip() for row in page.split("\n")]
        edges.update({key(row) for row in edge(rows)})
        held.append((number, rows))
        if len(held) > SEEN:
            yield from body(*held.pop(0), edges, SEEN)
    seen = len(held)
    for number, rows in held:
        yield from body(number, rows, edges, max(seen, 1))


def pages(path: Path) -> Iterator[tuple[int, str | Dropped]]:
    """(number, text) of each page."""
    try:
        import pypdf
    except ImportError as error:
        raise MaterialError(f"{path.name}: reading PDF needs: pip install 'persllm[ingest]'") from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    content = whole(path, LARGEST)
    try:
        book = pypdf.PdfReader(io.BytesIO(content))
        if book.is_encrypted and not book.decrypt(""):
            raise MaterialError(f"{path.name}: locked with a password. Unlock it first.")
        count = len(book.pages)
    except MaterialError:
        raise
    except Exception as error:  # pypdf raises nearly anything on damaged files
        raise MaterialError(f"{path.name}: damaged, or no PDF ({type(error).__name__}: {str(error)[:100]}).") from error
    if count > MOST_PAGES:
        raise MaterialError(f"{path.name}: more than {MOST_PAGES} pages. Split it.")
    for number in range(1, count + 1):
        yield number, page_text(book, number, path.name)


def page_text(book, number: int, file: str) -> str | Dropped:
    """The text of a page, or why there is none."""
    place = f"{file}:page {number}"
    try:
        text = book.pages[number - 1].extract_text()
    except Exception as error:  # the same: a damaged page must not end the book
        return Dropped(item=place, reason="unreadable page", detail=f"{type(error).__name__}: {str(error)[:100]}")
    if len(text) > LARGEST_PAGE:
        return Dropped(item=place, reason="page too long", detail=f"{len(text)} characters")
    if not text.strip():
        return Dropped(item=place, reason="page without text", detail="a picture? OCR makes text of it")
    return text.replace("\0", "\ufffd")


def edge(rows: list[str]) -> list[str]:
    """The first and last two lines of a page that hold anything."""
    full = [row for row in rows if row.strip()]
    return [*full[:2], *full[-2:]]


def key(row: str) -> str:
    """A line at the edge without its figures."""
    return re.sub(r"\d+", "0", row.strip().casefold())


def body(number: int, rows: list[str], edges: Counter[str], seen: int) -> Iterator[Line]:
    """The lines of a page joined to paragraphs, an empty line after each."""
    margins = set(map(id, edge(rows)))
    kept = [
        row for row in rows if not (id(row) in margins and (NUMBER.fullmatch(row) or (seen > 3 and edges[key(row)] >= REPEATED * seen)))
    ]
    usual = sorted(len(row) for row in kept if row.strip())
    width = usual[int(0.8 * (len(usual) - 1))] if usual else 0
    broken = ""
    for row in kept:
        text = broken + row.strip()[:LONGEST_LINE]
        broken = HYPHEN.sub("", text) if HYPHEN.search(text) and len(text) < LONGEST_LINE else ""
        if broken:
            continue
        yield Line(f"page {number}", text)
        if text and len(text) < SHORT * width and re.search(r"[.!?。！？\"”」]$", text):
            yield Line(f"page {number}", "")
    if broken:
        yield Line(f"page {number}", f"{broken}-")
