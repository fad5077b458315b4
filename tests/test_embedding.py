"""Near-duplicates without comparing all with all: the same as the plain scan, by both ways of finding candidates."""

import random

import numpy as np
import pytest

from persllm import embedding
from persllm.embedding import Vectors, near_any, near_duplicates, similar_pairs


def texts(count: int, code: str) -> list[str]:
    draw = random.Random(7)
    words = [f"w{i:x}{'aeiou'[i % 5]}n" for i in range(400)] if code == "en" else [chr(0x4E00 + i) for i in range(400)]
    made: list[str] = []
    for _ in range(count):
        parts = draw.choices(words, k=draw.randint(4, 25))
        if made and draw.random() < 0.4:
            parts = draw.choice(made).split(" " if code == "en" else "，")
            parts[draw.randrange(len(parts))] += draw.choice(("", "s", "x"))
        made.append((" " if code == "en" else "，").join(parts))
    return [*made, "", " ", made[0].upper()]


def scan(all_texts: list[str], threshold: float) -> dict[int, int]:
    """Every text against all earlier ones."""
    dropped: dict[int, int] = {}
    for start, block in Vectors(all_texts).similarities(all_texts):
        for row in range(block.shape[0]):
            earlier = np.flatnonzero(block[row, : start + row] >= threshold)
            kept = next((int(other) for other in earlier if int(other) not in dropped), None)
            if kept is not None:
                dropped[start + row] = kept
    return dropped


@pytest.mark.parametrize("code", ["en", "zh"])
@pytest.mark.parametrize("threshold", [0.95, 0.8, 0.5])
def test_nothing_is_missed_and_nothing_is_added(code: str, threshold: float) -> None:
    some = texts(700, code)
    expected = scan(some, threshold)
    assert len(expected) > 50
    found = near_duplicates(some, threshold)
    empty = {place for place, text in enumerate(some) if not text.strip()}
    assert {p: o for p, o in found.items() if p not in empty} == expected
    corpus, asked = some[:300], some[300:]
    near = {place for place, (_, cosine) in enumerate(Vectors(corpus).nearest(asked)) if cosine >= threshold}
    assert near_any(asked, corpus, threshold) == near


def test_sketches_find_nearly_all_of_it(monkeypatch) -> None:
    matrix = Vectors(texts(1500, "en")).matrix
    complete = set(similar_pairs(matrix, 0.95))
    monkeypatch.setattr(embedding, "EXACT", 0)
    sketched = set(similar_pairs(matrix, 0.95))
    assert sketched <= complete
    assert len(sketched) >= 0.995 * len(complete) > 100
