"""The longest verbatim run that a text shares with a body of texts, exactly, and where it stands.

All words of the body become one row of numbers, a border of its own after each text, and a suffix array is sorted
over it by doubling (Manber and Myers 1993): about n log n in numpy, 24 bytes a word. A run that begins at a word of
the query is longest at one of the two neighbours of the place where it would be sorted in.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from persllm.records import Record

WIDTH = 4
"""Bytes of a word's number; big end first, so that bytes compare as numbers do."""


class Overlap(Record):
    """A run of words that stands in both."""

    length: int
    """Words; Chinese characters count one each."""
    start: int = 0
    """First word of it in the query."""
    text: int = -1
    """Which text of the body; -1 if nothing is shared."""
    place: int = 0
    """First word of it in that text."""


class OverlapIndex:
    """A body of texts, each a row of words."""

    def __init__(self, texts: Sequence[Sequence[str]]):
        self.numbers = {word: place for place, word in enumerate(dict.fromkeys(word for text in texts for word in text))}
        row: list[int] = []
        starts: list[int] = []
        for place, text in enumerate(texts):
            starts.append(len(row))
            row += [self.numbers[word] for word in text]
            row.append(len(self.numbers) + 1 + place)
        self.starts = np.array(starts, dtype=np.int64)
        body = np.array(row, dtype=np.int64)
        self.order = suffix_order(body)
        self.bytes = body.astype(">u4").tobytes()

    def longest(self, words: Sequence[str]) -> Overlap:
        """The longest run of the words that stands in one of the texts; the first of several in the words."""
        unknown = len(self.numbers)
        query = np.array([self.numbers.get(word, unknown) for word in words], dtype=np.int64).astype(">u4").tobytes()
        best, where = Overlap(length=0), -1
        for start in range(len(words)):
            if len(words) - start <= best.length:
                break
            length, place = self.match(query[start * WIDTH :])
            if length > best.length:
                best, where = Overlap(length=length, start=start), place
        if where < 0:
            return best
        text = int(np.searchsorted(self.starts, where, side="right")) - 1
        return best.model_copy(update={"text": text, "place": where - int(self.starts[text])})

    def match(self, query: bytes) -> tuple[int, int]:
        """Length in words and place in the row of the longest beginning of the query that stands in the row."""
        place = bisect_left(self.order, query, key=lambda at: self.bytes[at * WIDTH : at * WIDTH + len(query)])
        found = [(0, -1)]
        for neighbour in self.order[max(place - 1, 0) : place + 1]:
            at = int(neighbour)
            found.append((common(query, self.bytes[at * WIDTH : at * WIDTH + len(query)]), at))
        return max(found)


def common(one: bytes, other: bytes) -> int:
    """Words with which both begin."""
    size = min(len(one), len(other)) // WIDTH
    same = np.frombuffer(one, ">u4", size) == np.frombuffer(other, ">u4", size)
    return int(np.argmin(same)) if not same.all() else size


def suffix_order(row: np.ndarray) -> np.ndarray:
    """Places of a row of numbers in the order of what begins there."""
    if not len(row):
        return np.zeros(0, dtype=np.int64)
    rank, step = np.unique(row, return_inverse=True)[1].astype(np.int64) + 1, 1
    while True:
        after = np.zeros_like(rank)
        after[: max(len(row) - step, 0)] = rank[step:]
        key = rank * (len(row) + 2) + after
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        rank = np.empty_like(rank)
        rank[order] = np.concatenate([[1], 1 + np.cumsum(ordered[1:] != ordered[:-1])])
        if rank.max() == len(row):
            return order
        step *= 2
