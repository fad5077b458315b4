"""The paragraphs and headings of an HTML page, by the lenient parser of the standard library, with their lines.

For pages that are a book already (EPUB); pages of the web go through `web_page`, which finds the article in them.
"""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from persllm.errors import MaterialError
from persllm.sources.bounded import DEEPEST, LONGEST_LINE, UNREADABLE

BLOCKS = {
    "p",
    "div",
    "li",
    "blockquote",
    "td",
    "th",
    "dt",
    "dd",
    "pre",
    "section",
    "article",
    "body",
    "tr",
    "table",
    "ul",
    "ol",
    "figure",
    "center",
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
SKIPPED = {"script", "style", "head", "nav", "svg", "math", "template", "noscript", "sup", "audio", "video", "object", "aside", "rt", "rp"}
CLOSED_BY = {
    "p": BLOCKS | HEADINGS,
    "li": {"li"},
    "dt": {"dt", "dd"},
    "dd": {"dt", "dd"},
    "td": {"td", "th", "tr"},
    "th": {"td", "th", "tr"},
    "tr": {"tr"},
}
"""Elements whose end old pages leave out -> what begins where they end."""
BOUNDS = (BLOCKS | HEADINGS) - CLOSED_BY.keys()
"""Elements out of which nothing that begins inside ends anything."""
VOID = {"br", "img", "hr", "meta", "link", "input", "col", "area", "base", "embed", "source", "track", "wbr"}
BOILERPLATE = (
    "pg-boilerplate",
    "pgheader",
    "pg-header",
    "pg-footer",
    "pg-machine-header",
    "pgfooter",
    "copyright",
    "titlepage",
    "toc",
    "landmarks",
    "cover",
    "colophon",
)

MOST_MARKS = 1_000_000
"""Beginnings and ends of elements on a page, each of which takes memory; a page of 16 MiB has about half as many."""


class Block(NamedTuple):
    """A paragraph or a heading."""

    line: int
    level: int
    """1 to 6 for a heading, 0 for a paragraph."""
    text: str


class Page(HTMLParser):
    """Collects the blocks of a page."""

    def __init__(self, name: str):
        super().__init__(convert_charrefs=True)
        self.name = name
        self.found: list[Block] = []
        self.open: list[str] = []
        self.skipped_from = 0
        """Depth of the element that is passed over with all in it; 0 for none."""
        self.words: list[str] = []
        self.length = 0
        self.start = 1
        self.level = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag in VOID:
            self.words.append("\n" if tag == "br" else " ")
            if tag == "hr":
                self.flush()
            return
        self.end_before(tag)
        self.open.append(tag)
        if len(self.open) > DEEPEST:
            raise MaterialError(f"{self.name}: HTML nested deeper than {DEEPEST} levels. Not read any further.")
        if self.skipped_from:
            return
        marks = " ".join(value or "" for key, value in attrs if key in ("class", "id", "epub:type", "role")).lower().split()
        if tag in SKIPPED or any(mark in BOILERPLATE for mark in marks):
            self.flush()
            self.skipped_from = len(self.open)
        elif tag in BLOCKS or tag in HEADINGS:
            self.flush()
            self.level = int(tag[1]) if tag in HEADINGS else 0

    def end_before(self, tag: str) -> None:
        """End the elements that a page has left open and that another one ends by its beginning."""
        place = len(self.open) - 1
        while place >= 0 and self.open[place] not in BOUNDS:
            if tag in CLOSED_BY.get(self.open[place], ()):
                self.handle_endtag(self.open[place])
            place -= 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An empty element."""
        if tag in VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """An element ends; ends that nothing began are passed over."""
        if tag not in self.open:
            return
        if not self.skipped_from and (tag in BLOCKS or tag in HEADINGS):
            self.flush()
        while self.open.pop() != tag:
            pass
        if len(self.open) < self.skipped_from:
            self.skipped_from = 0

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Where a section such as `<![CDATA[` ends; what is none, on which the standard library gives up, is a comment."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def handle_data(self, data: str) -> None:
        """Words."""
        if self.skipped_from:
            return
        if not self.length and data.strip():
            self.start = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
        self.length += len(data.strip())
        self.words.append(data)

    def flush(self) -> None:
        """The block is over."""
        text = " ".join("".join(self.words).split())
        if text:
            self.found.append(Block(self.start, self.level, text))
        self.words, self.length, self.level = [], 0, 0


def blocks(text: str, name: str) -> Iterator[Block]:
    """The blocks of a page in order, a NUL as the mark of what is unreadable; MaterialError if it is nested too deep."""
    if text.count("<") > MOST_MARKS:
        raise MaterialError(f"{name}: a page of more than {MOST_MARKS} elements. Split it.")
    page = Page(name)
    page.feed(text.replace("\0", UNREADABLE))
    page.close()
    page.flush()
    for block in page.found:
        if len(block.text) <= LONGEST_LINE:
            yield block
