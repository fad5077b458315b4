"""EPUB: the chapters in the order of the book, read from the archive without unpacking it.

Headings come from the pages; table of contents, cover, imprint and publisher's pages are passed over. A chapter that is
missing or damaged is dropped with its name. Books with copy protection cannot be read.
"""

import io
import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped, Record
from persllm.sources.archives import Archive, archive
from persllm.sources.blocks import blocks
from persllm.sources.bounded import UNREADABLE, decoded
from persllm.sources.xml_stream import events

name = "epub"
CONTAINER = "META-INF/container.xml"
RIGHTS = "META-INF/encryption.xml"
FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
LARGEST_PAGE = 16 << 20
PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")
PASSED_OVER = ("nav", "toc", "cover", "titlepage", "copyright", "colophon", "imprint")


class Chapter(Record):
    """A page of the book in the archive."""

    member: str
    passed_over: bool = False
    """It is a table of contents, a cover, an imprint."""


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name, or by the type that an EPUB names first in its archive."""
    return path.suffix.lower() == ".epub" or (head.startswith(b"PK") and b"application/epub+zip" in head[:200])


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The paragraphs of all chapters."""
    with archive(path) as book:
        refuse_protected(book)
        package = package_of(book)
        for chapter in chapters(book, package):
            if not chapter.passed_over:
                yield from paragraphs(book, chapter.member, path.name)


def refuse_protected(book: Archive) -> None:
    """MaterialError if the pages are encrypted; scrambled fonts are no hindrance."""
    if RIGHTS not in book.members:
        return
    for event in events(io.BytesIO(book.read(RIGHTS)), book.name):
        if event.kind == "start" and event.value == "EncryptionMethod" and event.attributes.get("Algorithm") not in FONT_SCRAMBLING:
            raise MaterialError(f"{book.name}: copy protection. Give a copy without it, if you have the right to one.")


def package_of(book: Archive) -> str:
    """The member that describes the book."""
    for event in events(io.BytesIO(book.read(CONTAINER)), book.name):
        if event.kind == "start" and event.value == "rootfile" and event.attributes.get("full-path"):
            return unquote(event.attributes["full-path"])
    raise MaterialError(f"{book.name}: {CONTAINER} names no book. The file is damaged or no EPUB.")


def chapters(book: Archive, package: str) -> Iterator[Chapter]:
    """The pages in reading order."""
    manifest: dict[str, tuple[str, str, str]] = {}
    spine: list[tuple[str, str]] = []
    for event in events(io.BytesIO(book.read(package)), f"{book.name}:{package}"):
        given = event.attributes
        if event.kind == "start" and event.value == "item":
            manifest[given.get("id", "")] = (given.get("href", ""), given.get("media-type", ""), given.get("properties", ""))
        elif event.kind == "start" and event.value == "itemref":
            spine.append((given.get("idref", ""), given.get("linear", "yes")))
    if not spine:
        raise MaterialError(f"{book.name}: {package} lists no pages. The file is damaged.")
    for identity, linear in spine:
        href, kind, properties = manifest.get(identity, ("", "", ""))
        member = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href)))
        stem = posixpath.splitext(posixpath.basename(member))[0].lower()
        aside = (
            "nav" in properties.split() or (linear == "no" and "note" not in stem) or stem in PASSED_OVER or identity.lower() in PASSED_OVER
        )
        yield Chapter(member=member if href else f"(page {identity})", passed_over=aside or (bool(kind) and kind not in PAGES))


def paragraphs(book: Archive, member: str, file: str) -> Iterator[Passage | Dropped]:
    """The paragraphs of one page, under its headings."""
    titles: dict[int, str] = {}
    try:
        found = list(blocks(decoded(book.read(member, LARGEST_PAGE), f"{file}:{member}"), f"{file}:{member}"))
    except MaterialError as error:
        yield Dropped(item=f"{file}:{member}", reason="unreadable chapter", detail=str(error))
        return
    for block in found:
        place = f"{file}:{member}:{block.line}"
        if UNREADABLE in block.text:
            yield Dropped(item=place, reason="unreadable characters", detail=block.text[:80])
        elif block.level:
            titles = {level: title for level, title in titles.items() if level < block.level} | {block.level: block.text}
        elif any(letter.isalnum() for letter in block.text):
            yield Passage(text=block.text, source=place, heading=" / ".join(titles.values()))
