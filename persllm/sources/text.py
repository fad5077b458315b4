"""Plain text: paragraphs under the headings of its chapters, without the publisher's words.

A paragraph is what stands between empty lines, or each line where a text has none between. Hard line breaks inside a
paragraph are joined. Limit: a table of contents is known by headings without text between them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import chapters
from persllm.sources.bounded import Line
from persllm.sources.gutenberg import tidy
from persllm.sources.plain import own_lines_of

name = "text"
SUFFIXES = {".txt", ".text", ".asc", ""}
BREAK = re.compile(r"\s*(?:[*＊·•#=_—–-]\s*){3,}\s*")
"""A line of ornaments between scenes."""
LONGEST_PARAGRAPH = 400
"""Lines after which a paragraph is closed without an empty line."""
MARKS = ("[", "]", "_", "--")
HAN_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\s+(?=[\u3000-\u9fff\uff00-\uffef])")


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Paragraphs of prose."""
    return paragraphs(own_lines_of(path), path.name)


def paragraphs(found: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """Passages from lines; headings are kept until the first paragraph below them."""
    outer, inner = "", ""
    block: list[Line] = []
    for line in found:
        if isinstance(line, Dropped):
            yield line
            continue
        text = line.text.strip()
        level = chapters.level_of(text) if not block else None
        if level is not None:
            outer, inner = (text, "") if level == 1 else (outer, text)
        elif not text or BREAK.fullmatch(text):
            yield from passage(block, file, outer, inner)
            block = []
        elif (block and (indented(line.text) or chinese(text))) or len(block) >= LONGEST_PARAGRAPH:
            yield from passage(block, file, outer, inner)
            block = [line]
        else:
            block.append(line)
    yield from passage(block, file, outer, inner)


def indented(text: str) -> bool:
    """Whether a line begins a paragraph by its indent."""
    return text.startswith(("　　", "    ", "\t")) and bool(text.strip())


def chinese(text: str) -> bool:
    """Whether a line is Chinese: such texts set a paragraph on each line."""
    return "\u3000" <= text[:1] <= "\u9fff" or ("“" == text[:1] and "\u3400" <= text[1:2] <= "\u9fff")


def passage(block: list[Line], file: str, outer: str, inner: str) -> Iterator[Passage]:
    """The paragraph of some lines, if it holds any words."""
    text = clean(" ".join(line.text for line in block))
    if any(letter.isalnum() for letter in text):
        yield Passage(text=text, source=f"{file}:{block[0].number}", heading=" / ".join(filter(None, (outer, inner))))


def clean(text: str) -> str:
    """A paragraph on one line, without the editor's marks if there are any."""
    flat = " ".join(text.split())
    if any(mark in flat for mark in MARKS) or flat.startswith(("...", "*")):
        flat = tidy(flat)
    return flat if flat.isascii() else HAN_BREAK.sub("", flat)
