"""What readers of plain text share: which files are plain text, their first lines, and the author's own lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.records import Dropped
from persllm.sources.bounded import Line, head_of, lines, text_of_head
from persllm.sources.gutenberg import END, START

SUFFIXES = {".txt", ".text", ".asc", ".md", ".markdown", ".fountain", ""}
LOOKED_AT = 400


def is_plain(path: Path) -> bool:
    """Whether the ending of the name is one of plain text."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def first_lines(path: Path, head: bytes, most: int = LOOKED_AT) -> list[str]:
    """Up to `most` first lines of the author; none if the file is not text."""
    found = text_of_head(head).splitlines()
    start = next((number for number, line in enumerate(found, 1) if START.search(line)), 0)
    return found[start : start + most]


def own_lines_of(path: Path) -> Iterator[Line | Dropped]:
    """The lines of a file that are the author's: those after the publisher's mark of the start, up to that of the end."""
    return own(lines(path), any(START.search(line) for line in head_of(path).decode("ascii", "ignore").splitlines()))


def own(found: Iterable[Line | Dropped], marked: bool) -> Iterator[Line | Dropped]:
    """The same of any lines; `marked` says that a mark of the start will come."""
    inside = not marked
    for line in found:
        if not isinstance(line, Line):
            yield line
        elif not inside:
            inside = bool(START.search(line.text))
        elif END.search(line.text):
            return
        else:
            yield line
