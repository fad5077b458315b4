"""Word documents (DOCX): paragraphs and tables in order, headings by their styles."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.archives import Archive, archive
from persllm.sources.bounded import LARGEST_WHOLE, LONGEST_LINE, Line, seekable
from persllm.sources.forms import FORMS

name = "docx"
DOCUMENT = "word/document.xml"
LOOKED_AT = 400
LARGEST = 256 << 20
"""Bytes of a document after unpacking, its pictures among them."""
MOST_MARKS = 2_000_000
"""Elements and attributes of a document, roughly; each takes some hundred bytes of memory."""
BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
CHUNK = 1 << 16


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name and the mark of an archive."""
    return path.suffix.lower() == ".docx" and head.startswith(b"PK")


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Paragraphs under their headings, or what is set out in another form."""
    found = list(paragraphs(path))
    shown = [text for _, _, text in found[:LOOKED_AT] for text in (text, "")]
    form = next((known for known in FORMS if known.fits(shown)), None)
    if form:
        yield from form.passages(as_lines(found), path.name)
        return
    titles: dict[int, str] = {}
    for number, level, text in found:
        place = f"{path.name}:paragraph {number}"
        if len(text) > LONGEST_LINE:
            yield Dropped(item=place, reason="paragraph too long", detail=f"{len(text)} characters")
        elif level:
            titles = {above: title for above, title in titles.items() if above < level} | {level: text}
        elif any(letter.isalnum() for letter in text):
            yield Passage(text=plain_spaces(text), source=place, heading=" / ".join(titles.values()))


def as_lines(found: list[tuple[int, int, str]]) -> Iterator[Line]:
    """Paragraphs as lines with an empty one after each."""
    for number, _, text in found:
        for row in text.split("\n"):
            yield Line(f"paragraph {number}", row)
        yield Line(f"paragraph {number}", "")


def plain_spaces(text: str) -> str:
    """A text with single spaces."""
    return " ".join(text.split())


def paragraphs(path: Path) -> Iterator[tuple[int, int, str]]:
    """(number, level of a heading or 0, text) of each paragraph, those of tables too."""
    try:
        import docx
    except ImportError as error:
        raise MaterialError(f"{path.name}: reading DOCX needs: pip install 'persllm[ingest]'") from error
    with archive(path) as checked:
        check(checked)
    try:
        with seekable(path) as file:
            document = docx.Document(file)
        body = list(document.element.body.iter("{*}p"))
    except Exception as error:  # python-docx passes on what lxml, zipfile and its own parts raise
        raise MaterialError(f"{path.name}: damaged, or no Word document ({type(error).__name__}: {str(error)[:100]}).") from error
    levels = {style.style_id: heading_level(style.name or "") for style in document.styles}
    for number, element in enumerate(body, 1):
        text = "".join(text_of(element))
        if text.strip():
            style = element.find("{*}pPr/{*}pStyle")
            yield number, levels.get(next(iter(style.attrib.values()), "") if style is not None else "", 0), text.strip()


def check(document: Archive) -> None:
    """MaterialError if a document would take too much memory: python-docx holds all of it, and an element of XML takes many times its length."""
    if sum(info.file_size for info in document.members.values()) > LARGEST:
        document.refuse(f"unpacks to more than {LARGEST >> 20} MiB")
    document.read(DOCUMENT)
    marks = 0
    for member in document.members:
        with document.stream(member, LARGEST_WHOLE if member.endswith((".xml", ".rels")) else LARGEST) as part:
            marks += marks_of(part)
        if marks > MOST_MARKS:
            document.refuse(f"holds more than {MOST_MARKS} elements and attributes")


def marks_of(part: IO[bytes]) -> int:
    """Elements and attributes in a part of a document, roughly; none in a picture."""
    piece, marks = part.read(CHUNK), 0
    begun = piece.lstrip(BEFORE_XML)
    if begun and not begun.startswith(b"<"):
        return 0
    while piece:
        marks += piece.count(b"<") + piece.count(b"=")
        piece = part.read(CHUNK)
    return marks


def text_of(paragraph) -> Iterator[str]:
    """The words of a paragraph; deleted ones are not among them."""
    for element in paragraph.iter("{*}t", "{*}br", "{*}cr", "{*}tab"):
        kind = element.tag.rpartition("}")[2]
        yield element.text or "" if kind == "t" else " " if kind == "tab" else "\n"


def heading_level(style: str) -> int:
    """1 to 6 for the built-in styles of headings, else 0."""
    low = style.lower()
    if low == "title":
        return 1
    digits = low.removeprefix("heading ")
    return int(digits) if digits != low and digits.isdigit() and 1 <= int(digits) <= 6 else 0
