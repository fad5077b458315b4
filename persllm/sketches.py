"""Near-duplicates among very many texts, in little memory: each text leaves a sketch of a hundred bytes.

A sketch holds the smallest of the hashes of all windows of a text's bytes (bottom-k minhash; Broder 1997). The share of
common hashes among the smallest of two sketches together estimates the Jaccard likeness of the two texts, whatever
their language. Limits: an estimate with a standard error of about 0.1 at this size; made to count, not to delete.
"""

import re
from collections.abc import Iterator

import numpy as np

SIZE = 16
"""Hashes of a sketch."""
WINDOW = 12
"""Bytes of a window: about two English words, or four Chinese characters."""
KEYS = 4
"""By so many of its smallest hashes a sketch finds those that are like it."""
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
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


def like_earlier(sketches: np.ndarray, least: float = 0.8) -> dict[int, int]:
    """Place of each text that is at least so like an earlier one -> place of that one; `sketches` is (texts, SIZE)."""
    found: dict[int, int] = {}
    for place, earlier in candidates(sketches):
        if place not in found and likeness(sketches[place], sketches[earlier]) >= least:
            found[place] = earlier
    return found


def candidates(sketches: np.ndarray) -> Iterator[tuple[int, int]]:
    """(text, earlier text) that share one of the hashes that both are found by."""
    if not len(sketches):
        return
    keys = sketches[:, :KEYS].ravel()
    places = np.repeat(np.arange(len(sketches)), KEYS)
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    first, before = places[0], places[0]
    for row in range(1, len(keys)):
        if keys[row] != keys[row - 1]:
            first = before = places[row]
            continue
        if keys[row] != EMPTY and places[row] != first:
            yield int(places[row]), int(first)
            if before not in (first, places[row]):
                yield int(places[row]), int(before)
        before = places[row]
