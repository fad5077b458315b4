"""Markdown: paragraphs under their headings, without marks, front matter and code."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import Line
from persllm.sources.plain import first_lines, is_plain, own_lines_of

name = "markdown"
SUFFIXES = {".md", ".markdown", ".mdown"}
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*")
ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(?=\S)|\s*\[\^[^\[\]\s]{1,40}\]:\s+")
"""The mark of a list item, with its box if it is a task, or of a footnote."""
ROW = re.compile(r"\s*\|.*\|\s*")
LINES_OF_TABLE = re.compile(r"[\s|:-]+")
IMAGE = re.compile(r"!\[[^\[\]]*\]\([^()\s]*(?:\s+\"[^\"]*\")?\)|!\[\[[^\[\]]*\]\]")
NOTE = re.compile(r"\[\^[^\[\]\s]{1,40}\]")
WIKI = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]+)\]\]")
LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
STRONG = re.compile(r"(\*\*|__|~~|\*|_|`)(?=\S)(.+?)(?<=\S)\1")
TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>]{0,200}>")
RULE = re.compile(r"\s*(?:[-*_]\s*){3,}")
LONGEST_FRONT_MATTER = 100
LONGEST_PARAGRAPH = 400


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name, or by two headings of the second level among the first lines of a plain text."""
    if path.is_dir():
        return False
    marked = is_plain(path) and sum(line.startswith("## ") for line in first_lines(path, head)) >= 2
    return path.suffix.lower() in SUFFIXES or marked


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Paragraphs and list items."""
    titles: dict[int, str] = {}
    block: list[Line] = []
    fence, fenced, front = "", 0, False
    for line in own_lines_of(path):
        if isinstance(line, Dropped):
            yield line
            continue
        text = line.text.strip()
        if front or (line.number == 1 and text == "---"):
            front = not (text == "---" and line.number != 1) and int(line.number) < LONGEST_FRONT_MATTER
        elif fence:
            if text.startswith(fence):
                yield Dropped(item=f"{path.name}:{fenced}", reason="code")
                fence = ""
        elif text.startswith(("```", "~~~")):
            yield from passage(block, path.name, titles)
            block, fence, fenced = [], text[:3], int(line.number)
        elif heading := HEADING.fullmatch(text):
            yield from passage(block, path.name, titles)
            block = []
            titles = {level: title for level, title in titles.items() if level < len(heading[1])} | {len(heading[1]): plain(heading[2])}
        elif not text or RULE.fullmatch(text):
            yield from passage(block, path.name, titles)
            block = []
        elif ROW.fullmatch(line.text) and LINES_OF_TABLE.fullmatch(text):
            continue
        elif ITEM.match(line.text) or ROW.fullmatch(line.text) or len(block) >= LONGEST_PARAGRAPH:
            yield from passage(block, path.name, titles)
            block = [line]
        else:
            block.append(line)
    yield from passage(block, path.name, titles)


def passage(block: Iterable[Line], file: str, titles: dict[int, str]) -> Iterator[Passage]:
    """The paragraph of some lines, if it holds any words."""
    lines = list(block)
    text = plain(" ".join(own_words(line.text) for line in lines))
    text = re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", text)
    if any(letter.isalnum() for letter in text):
        yield Passage(text=text, source=f"{file}:{lines[0].number}", heading=" / ".join(filter(None, titles.values())))


def own_words(line: str) -> str:
    """A line without the mark before it; the cells of a row of a table with commas between."""
    if ROW.fullmatch(line):
        return ", ".join(filter(None, (cell.strip() for cell in line.strip().strip("|").split("|"))))
    mark = ITEM.match(line)
    return (line[mark.end() :] if mark else line).strip().lstrip("> ")


def plain(text: str) -> str:
    """A text without pictures and the marks of links, notes, emphasis and tags."""
    text = WIKI.sub(r"\1", NOTE.sub("", IMAGE.sub("", text)))
    text = TAG.sub("", LINK.sub(r"\1", text))
    for _ in range(3):
        text = STRONG.sub(r"\2", text)
    return " ".join(text.split())
