"""What has to be kept of each of very many things, in few bytes: a set of numbers, and rows of numbers on the disk.

Rows that do not fit in memory are gone through in parts: all keys between two borders at a time, so that equal keys
meet in one part. Memory: 12 to 24 bytes for each number of a set (36 while it grows); of rows a few megabytes in all
up to six million keys, then less than a byte a key; but all rows with one and the same key are in memory at once, with some
40 bytes each. There may be four thousand million rows.
"""

import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from persllm.store import disk_trouble

NOTHING = 0xFFFFFFFFFFFFFFFF
"""The key that stands for none. No hash of Python is this number."""
IN_MEMORY = 1 << 20
"""Bytes of rows up to which nothing goes to the disk."""
FRESH = 1 << 16
"""Bytes that are collected before they are written."""
BLOCK = 1 << 19
"""Bytes that are read at once."""
AT_ONCE = 1 << 16
"""Keys of one part."""
MOST_PARTS = 100
"""Parts at most, since all rows are read for each."""
SAMPLED = 1 << 12
"""Rows by whose keys the borders are set, spread evenly."""


class NumberSet:
    """A set of whole numbers of 64 bits with a sign, eight bytes a place (open addressing), a third to two thirds of them taken."""

    def __init__(self) -> None:
        self.places = array("q", bytes(8 << 10))
        """Zero: nothing is there. Zero itself is kept as one, as if the two were the same."""
        self.size = 0

    def add(self, number: int) -> bool:
        """Take a number in; False if it was there already."""
        number, last = number or 1, len(self.places) - 1
        place = number & last
        while there := self.places[place]:
            if there == number:
                return False
            place = (place + 1) & last
        self.places[place] = number
        self.size += 1
        if self.size * 3 > len(self.places) * 2:
            self.grow()
        return True

    def grow(self) -> None:
        """Make room for twice as many."""
        before, self.places, self.size = self.places, array("q", bytes(16 * len(self.places))), 0
        for number in before:
            if number:
                self.add(number)


class Rows:
    """Rows of so many numbers of 64 bits without a sign, in the order in which they were added; numbered from 0."""

    def __init__(self, width: int):
        self.width, self.written = width, 0
        self.fresh = bytearray()
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY)
        """Without a name on the disk, so that nothing of it stays after a kill."""
        weakref.finalize(self, self.file.close)

    def __len__(self) -> int:
        return (self.written + len(self.fresh)) // (8 * self.width)

    def add(self, rows: np.ndarray) -> None:
        """Put a row, or several behind one another, behind the others."""
        self.fresh += rows.astype(np.uint64, copy=False).tobytes()
        if len(self.fresh) >= FRESH:
            self.write()

    def write(self) -> None:
        """Move what was collected to the file."""
        with disk_trouble(Path(tempfile.gettempdir()), "TMPDIR=DIR"):
            self.file.seek(self.written)
            self.file.write(self.fresh)
        self.written += len(self.fresh)
        self.fresh.clear()

    def row(self, number: int) -> np.ndarray:
        """One row: (width,)."""
        return self.read(number, 1)[0]

    def read(self, first: int, count: int) -> np.ndarray:
        """Rows from the first on, fewer if there are no more: (rows, width)."""
        if self.fresh:
            self.write()
        self.file.seek(8 * self.width * first)
        return np.frombuffer(self.file.read(8 * self.width * count), dtype=np.uint64).reshape(-1, self.width)


def row_of(bodies: Sequence[Rows], number: int) -> np.ndarray:
    """One row of several bodies behind one another."""
    for body in bodies:
        if number < len(body):
            return body.row(number)
        number -= len(body)
    raise IndexError(number)


def blocks(bodies: Sequence[Rows]) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first row, rows) of several bodies behind one another, piece by piece."""
    before = 0
    for body in bodies:
        size = BLOCK // (8 * body.width)
        for first in range(0, len(body), size):
            yield before + first, body.read(first, size)
        before += len(body)


def rows_of(bodies: Sequence[Rows], numbers: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of these numbers, in the order of the bodies, piece by piece."""
    numbers = np.sort(numbers)
    for first, block in blocks(bodies):
        begin, end = np.searchsorted(numbers, (first, first + len(block)))
        yield block[numbers[begin:end] - first]


def parts(bodies: Sequence[Rows], keys: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(keys, numbers of their rows) of all rows, sorted by key and then by row; equal keys come in one part.

    The first so many numbers of a row are keys; NOTHING is passed over.
    """
    for low, high in pairwise((0, *borders(bodies, keys), NOTHING)):
        found, numbers = [], []
        for first, block in blocks(bodies):
            values = block[:, :keys]
            inside = (values >= np.uint64(low)) & (values < np.uint64(high))
            found.append(values[inside])
            numbers.append((np.nonzero(inside)[0] + first).astype(np.uint32))
        if found:
            values, places = np.concatenate(found), np.concatenate(numbers)
            del found, numbers
            order = np.argsort(values, kind="stable")
            values, places = values[order], places[order]
            del order
            yield values, places


def changes(keys: np.ndarray) -> np.ndarray:
    """Whether each of some sorted keys is another than the one before it: (keys,) of bool, the first is."""
    return np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=bool)


def borders(bodies: Sequence[Rows], keys: int) -> list[int]:
    """Keys between which parts of about one size lie, told by a sample."""
    rows = sum(len(body) for body in bodies)
    wanted = min(MOST_PARTS, -(-rows * keys // AT_ONCE))
    if wanted < 2:
        return []
    step = -(-rows // SAMPLED)
    sample = np.sort(np.concatenate([block[-first % step :: step, :keys].ravel() for first, block in blocks(bodies)]))
    sample = sample[sample < np.uint64(NOTHING)]
    chosen = {int(sample[len(sample) * part // wanted]) for part in range(1, wanted)} if len(sample) else set()
    return sorted(chosen - {0})
