"""Plain text: chapters, paragraphs, publisher's words, English and Chinese."""

from pathlib import Path

import pytest

from persllm.passages import Passage
from persllm.sources import read_path, recognise
from persllm.sources.chapters import level_of

BOOK = """A catalogue of the publisher.

*** START OF THE PROJECT GUTENBERG EBOOK OF THE HILL ***

PART ONE

CHAPTER I. The Mill

The mill stood
on the hill.[1]

"Who goes there?" said _Ada_.

CHAPTER II

    It rained.
    Nobody came.

*** END OF THE PROJECT GUTENBERG EBOOK OF THE HILL ***

Donations are welcome.
"""


def test_a_book_with_chapters(tmp_path: Path) -> None:
    (tmp_path / "hill.txt").write_text(BOOK)
    assert [(p.text, p.source, p.heading) for p in read_path(tmp_path / "hill.txt") if isinstance(p, Passage)] == [
        ("The mill stood on the hill.", "hill.txt:9", "PART ONE / CHAPTER I. The Mill"),
        ('"Who goes there?" said Ada.', "hill.txt:12", "PART ONE / CHAPTER I. The Mill"),
        ("It rained.", "hill.txt:16", "PART ONE / CHAPTER II"),
        ("Nobody came.", "hill.txt:17", "PART ONE / CHAPTER II"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_chinese_book(encoding: str, tmp_path: Path) -> None:
    text = "第一卷 山里\r\n\r\n第一回 磨坊\r\n\r\n　　山上有一座磨坊。\r\n　　磨坊里住着一位老人。\r\n\r\n第二回 下雨\r\n那天下雨了，没有人来。\r\n"
    (tmp_path / "书.txt").write_bytes(text.encode(encoding))
    assert [(p.text, p.source, p.heading) for p in read_path(tmp_path / "书.txt") if isinstance(p, Passage)] == [
        ("山上有一座磨坊。", "书.txt:5", "第一卷 山里 / 第一回 磨坊"),
        ("磨坊里住着一位老人。", "书.txt:6", "第一卷 山里 / 第一回 磨坊"),
        ("那天下雨了，没有人来。", "书.txt:9", "第一卷 山里 / 第二回 下雨"),
    ]


def test_text_is_recognised_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Words.")
    (tmp_path / "a.exe").write_text("Words.")
    found = recognise(tmp_path / "a.txt")
    assert found is not None
    assert found.format == "text"
    assert recognise(tmp_path / "a.exe") is None


HEADINGS = {
    "CHAPTER I": 2, "CHAPTER XXIV. The Storm": 2, "Chapter 12": 2, "Chapter Twenty-one": 2, "CHAPTER THE FIRST": 2, "Chapter 3: Home": 2,
    "PART TWO": 1, "BOOK I": 1, "Volume 2": 1, "PROLOGUE": 2, "第一回 灵根育孕源流出": 2, "第12章": 2, "第三卷": 1, "楔子": 2,
    "Chapter and verse were given,": None, "Part of it was lost.": None, "Letter after letter came": None, "第一次见到他的时候，我还小。": None,
    "第一章里写的事情我都忘了，后来才想起来。": None, "A plain sentence.": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize("line", HEADINGS)
def test_headings(line: str) -> None:
    assert level_of(line) == HEADINGS[line]


def test_every_chapter_of_the_real_chinese_novel(shared: Path) -> None:
    headings = [p.heading for p in read_path(shared / "novels" / "chinese" / "西游记.txt") if isinstance(p, Passage)]
    assert len([h for h in dict.fromkeys(headings) if h.startswith("第")]) == 100
