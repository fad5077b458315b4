"""Near-duplicates among very many texts, in little memory: each text leaves a sketch of a hundred bytes.

A sketch holds the smallest of the hashes of all windows of a text's bytes (bottom-k minhash; Broder 1997). The share of
common hashes among the smallest of two sketches together estimates the Jaccard likeness of the two texts, whatever
their language. Limits: an estimate with a standard error of about 0.1 at this size; made to count, not to delete.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from persllm.packed import NOTHING, Rows, changes, parts, row_of

SIZE = 16
"""Hashes of a sketch."""
WINDOW = 12
"""Bytes of a window: about two English words, or four Chinese characters."""
KEYS = 4
"""By so many of its smallest hashes a sketch finds those that are like it."""
EMPTY = np.uint64(NOTHING)
BLANK = re.compile(r"\W+")


def sketch(text: str) -> np.ndarray:
    """The sketch of a text: (SIZE,) of uint64, sorted; case, blanks and punctuation do not count."""
    data = np.frombuffer(BLANK.sub(" ", text.lower()).strip().encode().ljust(WINDOW), dtype=np.uint8).astype(np.uint64)
    hashes = np.zeros(len(data) - WINDOW + 1, dtype=np.uint64)
    for place in range(WINDOW):
        hashes = hashes * np.uint64(0x100000001B3) + data[place : len(data) - WINDOW + 1 + place]
    hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    if len(hashes) > 8 * SIZE:
        hashes = np.partition(hashes, 4 * SIZE)[: 4 * SIZE]
    smallest = np.unique(hashes)[:SIZE]
    return np.pad(smallest, (0, SIZE - len(smallest)), constant_values=EMPTY)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Estimated Jaccard likeness of two texts from their sketches."""
    left, right = set(one.tolist()) - {int(EMPTY)}, set(other.tolist()) - {int(EMPTY)}
    common = left & right
    smallest = sorted(left | right)[:SIZE] if common else [0]
    return sum(value in common for value in smallest) / len(smallest) if left or right else 1.0


def like_earlier(bodies: Sequence[Rows], least: float = 0.8) -> Iterator[tuple[int, int]]:
    """(text, an earlier one) for each text that is at least so like an earlier one, once.

    The rows of the bodies, behind one another, are sketches; a text is named by the number of its row.
    """
    found = bytearray(sum(len(body) for body in bodies))
    for text, earlier in candidates(bodies):
        if not found[text] and likeness(row_of(bodies, text), row_of(bodies, earlier)) >= least:
            found[text] = True
            yield text, earlier


def candidates(bodies: Sequence[Rows]) -> Iterator[tuple[int, int]]:
    """(text, earlier text) that share one of the hashes that both are found by: with the first that has it, and with the one before."""
    for keys, texts in parts(bodies, KEYS):
        begins, first = changes(keys), 0
        for row in np.flatnonzero(~begins):
            text, before = int(texts[row]), int(texts[row - 1])
            first = before if begins[row - 1] else first
            yield text, first
            if before != first:
                yield text, before
