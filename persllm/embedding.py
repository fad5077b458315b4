"""Texts to vectors, nearest neighbours, near-duplicates.

The vectors are TF-IDF weights of character n-grams (2 to 4), which need no model, work in every language, and
give cosines that are high only for texts with the same wording. Limits: meaning in other words is not seen.

Pairs above a threshold are found without comparing all with all: candidates first, each then compared in full. Up to
`EXACT` texts the candidates are complete (prefix filtering: Bayardo, Ma and Srikant 2007, "Scaling up all pairs
similarity search"). Put the n-grams of every text in one order, rare ones first, and cut each unit vector where the
rest is shorter than the threshold. Two texts whose heads share no n-gram can only agree in what lies behind the later
of the two cuts, which is too short to reach the threshold. Beyond `EXACT` that grows too fast, and candidates are
texts that agree in one of many short random sketches (Moulton and Jiang 2018, "Maximally consistent sampling and the
Jaccard index of probability distributions"): time is near linear, and a pair is missed about once in ten thousand.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

MOST_OVERLAP = 0.6
"""An answer that shares more of its words than this with the right one is no wrong answer."""
BLOCK = 512
PAIRS = 200_000
"""Candidates that are compared in full at once."""
EXACT = 20_000
"""Texts up to which no pair at all may be missed."""
BANDS, PER_BAND = 12, 6
"""Sketches of a text, and n-grams in each: at a cosine of 0.95 about half of the sketches agree, else next to none."""
CROWD = 32
"""Where more texts than this have one sketch, all are compared with so many of the first alone."""
LEAST_HEAD = 0.35
"""Share of the squared length that a head holds at least: longer heads meet more often and tell more of the cosine."""
SLACK = 1e-4
"""How much longer heads are than they need be, and bounds looser: more than single precision can be wrong."""


class Vectors:
    """Vectors over the vocabulary of one corpus of texts."""

    def __init__(self, corpus: Sequence[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
        self.matrix = self.vectorizer.fit_transform(corpus) if corpus else None

    @cached_property
    def columns(self) -> Any:
        """The matrix with a row for each n-gram: so a text is compared with those alone that share one with it."""
        return self.matrix.T.tocsr()

    def of(self, texts: Sequence[str]) -> Any:
        """A sparse matrix of unit rows, (number of texts, vocabulary)."""
        return self.vectorizer.transform(texts)

    def similarities(self, texts: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """Blocks of (first row, dense cosines of shape (rows, corpus))."""
        for start in range(0, len(texts), BLOCK):
            yield start, (self.of(texts[start : start + BLOCK]) @ self.columns).toarray()

    def nearest(self, texts: Sequence[str]) -> list[tuple[int, float]]:
        """For each text the place of the most similar one of the corpus, and the cosine."""
        found: list[tuple[int, float]] = []
        for _, block in self.similarities(texts):
            places = block.argmax(axis=1)
            found += [(int(place), float(block[row, place])) for row, place in enumerate(places)]
        return found


def near_duplicates(texts: Sequence[str], threshold: float) -> dict[int, int]:
    """Place of each text that is as similar as `threshold` to an earlier kept one -> place of the first such."""
    if len(texts) < 2:
        return {}
    first: dict[str, int] = {}
    same = [first.setdefault(text.lower(), place) for place, text in enumerate(texts)]
    unique = list(first.values())
    earlier: dict[int, list[int]] = {}
    for left, right in similar_pairs(Vectors(texts).matrix[unique], threshold):
        low, high = sorted((unique[left], unique[right]))
        earlier.setdefault(high, []).append(low)
    dropped: dict[int, int] = {}
    for place, origin in enumerate(same):
        if place != origin:
            dropped[place] = dropped.get(origin, origin)
            continue
        kept = [other for other in earlier.get(place, ()) if other not in dropped]
        if kept:
            dropped[place] = min(kept)
    return dropped


def near_any(texts: Sequence[str], corpus: Sequence[str], threshold: float) -> set[int]:
    """Places of the texts that are as similar as `threshold` to some text of the corpus."""
    if not texts or not corpus:
        return set()
    vectors = Vectors(corpus)
    return {left for left, _ in similar_pairs(vectors.of(texts), threshold, vectors.matrix)}


def similar_pairs(matrix: Any, threshold: float, others: Any = None) -> Iterator[tuple[int, int]]:
    """(row, other row) of rows of two sparse matrices with a cosine of at least the threshold; rows have length 1 or 0.

    Without `others` within one matrix: each pair once, the later row first.
    """
    size = matrix.shape[0] + (0 if others is None else others.shape[0])
    candidates = met_in_heads(matrix, threshold, others) if size <= EXACT else met_in_sketches(matrix, others)
    fellows = matrix if others is None else others
    for left, right in candidates:
        for cut in range(0, len(left), PAIRS):
            one, other = left[cut : cut + PAIRS], right[cut : cut + PAIRS]
            reached = np.asarray(matrix[one].multiply(fellows[other]).sum(axis=1)).ravel() >= threshold
            yield from zip(one[reached].tolist(), other[reached].tolist(), strict=True)


def met_in_sketches(matrix: Any, others: Any = None) -> Iterator[tuple[Any, Any]]:
    """Candidates (rows, other rows) by sketches: those that agree in a band, all bands together, each pair once."""
    rows = sketches(matrix)
    fellows = rows if others is None else sketches(others)
    size = fellows.shape[1]
    found = [np.zeros(0, dtype=np.int64)]
    for band in range(BANDS):
        left, right = crowded(rows[band], None if others is None else fellows[band])
        found.append(np.unique(left * size + right))
    pairs = np.unique(np.concatenate(found))
    yield pairs // size, pairs % size


def sketches(matrix: Any) -> Any:
    """A number for each band and row, (bands, rows): rows alike in what weighs most have equal ones; empty rows have their own."""
    squares = np.square(matrix.data, dtype=np.float32)
    empty = np.diff(matrix.indptr) == 0
    full = np.flatnonzero(~empty)
    starts, counts = matrix.indptr[full], np.diff(matrix.indptr)[full]
    found = np.zeros((BANDS, matrix.shape[0]), dtype=np.uint64)
    found[:, empty] = np.arange(empty.sum(), dtype=np.uint64)
    for place in range(BANDS * PER_BAND):
        draw = np.random.default_rng(place).standard_exponential(matrix.shape[1], dtype=np.float32)
        when = draw[matrix.indices] / squares
        first = np.minimum.reduceat(when, starts) if len(full) else np.zeros(0, dtype=np.float32)
        winners = np.flatnonzero(when == np.repeat(first, counts))
        chosen = matrix.indices[winners[np.searchsorted(winners, starts)]].astype(np.uint64)
        found[place // PER_BAND, full] = (found[place // PER_BAND, full] ^ (chosen + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
    return found


def crowded(rows: Any, others: Any = None) -> tuple[Any, Any]:
    """Pairs with equal numbers: of each row with the first `CROWD` others that have its number; within one list the later first."""
    fellows = rows if others is None else others
    order = np.argsort(fellows, kind="stable")
    ranked = fellows[order]
    begin, end = np.searchsorted(ranked, rows, "left"), np.searchsorted(ranked, rows, "right")
    counts = np.minimum(end - begin, CROWD)
    left = np.repeat(np.arange(len(rows)), counts)
    right = order[np.repeat(begin - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
    if others is None:
        earlier = right < left
        left, right = left[earlier], right[earlier]
    return left.astype(np.int64), right.astype(np.int64)


def met_in_heads(matrix: Any, threshold: float, others: Any = None) -> Iterator[tuple[Any, Any]]:
    """Candidates (rows, other rows) by heads: all that can reach the threshold."""
    within = others is None
    frequency = np.bincount((matrix if within else others).indices, minlength=matrix.shape[1])
    rank = np.empty(matrix.shape[1], dtype=matrix.indices.dtype)
    rank[np.argsort(frequency, kind="stable")] = np.arange(matrix.shape[1], dtype=rank.dtype)
    rows = Heads(matrix, rank, threshold)
    fellows = rows if within else Heads(others, rank, threshold)
    columns = fellows.head.T.tocsr()
    for start in range(0, matrix.shape[0], BLOCK):
        met = (rows.head[start : start + BLOCK] @ columns).tocoo()
        left, right = met.row + start, met.col
        likely = bounds(rows, left, fellows, right, met.data) >= threshold - SLACK
        if within:
            likely &= right < left
        yield left[likely], right[likely]


class Heads:
    """Unit rows with their n-grams in one order, and the beginning of each: the rest is shorter than the threshold."""

    def __init__(self, matrix: Any, rank: Any, threshold: float):
        from scipy.sparse import csr_matrix

        whole = csr_matrix((matrix.data.copy(), rank[matrix.indices], matrix.indptr.copy()), shape=matrix.shape)
        whole.sort_indices()
        mass = np.concatenate([[0.0], np.cumsum(np.square(whole.data, dtype=np.float64))])
        starts, ends = whole.indptr[:-1], whole.indptr[1:]
        wanted = max(1.0 - threshold**2, LEAST_HEAD) + SLACK
        before = mass[:-1] - np.repeat(mass[starts], ends - starts)
        kept = before < wanted
        counts = np.concatenate([[0], np.cumsum(kept)])
        pointers = counts[whole.indptr]
        self.head = csr_matrix((whole.data[kept], whole.indices[kept], pointers), shape=matrix.shape)
        self.length = np.sqrt(np.minimum(1.0, mass[starts + np.diff(pointers)] - mass[starts])).astype(np.float32)
        """Length of each head."""
        self.cut = np.full(matrix.shape[0], -1)
        filled = np.diff(pointers) > 0
        self.cut[filled] = self.head.indices[pointers[1:][filled] - 1]
        """Where each head ends, in the order of the n-grams."""


def bounds(rows: Heads, left: Any, fellows: Heads, right: Any, met: Any) -> Any:
    """What the cosines of pairs can be at most, from the products of their heads.

    Up to the earlier of the two cuts both texts are known to the heads: `met` is all they have in common there. If `a`
    is the length of the head that is cut there, the other text is at least `met / a` long up to the cut, and
    behind it at most as long as what that leaves of 1.
    """
    first = rows.cut[left] <= fellows.cut[right]
    length = np.where(first, rows.length[left], fellows.length[right])
    share = np.minimum(1.0, met / np.maximum(length, 1e-6))
    return met + np.sqrt(np.maximum(0.0, 1.0 - length**2)) * np.sqrt(1.0 - share**2)


def overlap(words: Sequence[str], other: Sequence[str]) -> float:
    """Share of common words (Jaccard): 1 for the same set of words, 0 for nothing in common."""
    left, right = set(words), set(other)
    return len(left & right) / len(left | right) if left | right else 1.0
