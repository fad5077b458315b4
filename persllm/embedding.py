"""Texts to vectors, nearest neighbours, near-duplicates.

The vectors are TF-IDF weights of character n-grams (2 to 4), which need no model, work in every language, and
give cosines that are high only for texts with the same wording. Limits: meaning in other words is not seen.
Memory is bounded by comparing in blocks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

BLOCK = 512


class Vectors:
    """Vectors over the vocabulary of one corpus of texts."""

    def __init__(self, corpus: Sequence[str]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
        self.matrix = self.vectorizer.fit_transform(corpus) if corpus else None

    def of(self, texts: Sequence[str]) -> Any:
        """A sparse matrix of unit rows, (number of texts, vocabulary)."""
        return self.vectorizer.transform(texts)

    def similarities(self, texts: Sequence[str]):
        """Blocks of (first row, dense cosines of shape (rows, corpus))."""
        for start in range(0, len(texts), BLOCK):
            block = self.of(texts[start : start + BLOCK])
            yield start, np.asarray((block @ self.matrix.T).todense())

    def nearest(self, texts: Sequence[str]) -> list[tuple[int, float]]:
        """For each text the place of the most similar one of the corpus, and the cosine."""
        found: list[tuple[int, float]] = []
        for _, block in self.similarities(texts):
            places = block.argmax(axis=1)
            found += [(int(place), float(block[row, place])) for row, place in enumerate(places)]
        return found


def near_duplicates(texts: Sequence[str], threshold: float) -> dict[int, int]:
    """Place of each text that is as similar as `threshold` to an earlier kept one -> place of that one."""
    if len(texts) < 2:
        return {}
    dropped: dict[int, int] = {}
    for start, block in Vectors(texts).similarities(texts):
        for row in range(block.shape[0]):
            place = start + row
            earlier = np.flatnonzero(block[row, :place] >= threshold)
            kept = next((int(other) for other in earlier if int(other) not in dropped), None)
            if kept is not None:
                dropped[place] = kept
    return dropped


def overlap(words: Sequence[str], other: Sequence[str]) -> float:
    """Share of common words (Jaccard): 1 for the same set of words, 0 for nothing in common."""
    left, right = set(words), set(other)
    return len(left & right) / len(left | right) if left | right else 1.0
