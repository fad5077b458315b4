"""Sets of numbers and rows on the disk: what plain sets and sorting find, whatever the size of the parts."""

import random
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

from persllm import packed, sketches
from persllm.packed import NOTHING, NumberSet, Rows, parts, row_of, rows_of


def test_a_set_of_numbers_is_a_set() -> None:
    dice = random.Random(1)
    numbers = [dice.randrange(-(1 << 63), 1 << 63) for _ in range(5_000)] + [dice.randrange(-900, 900) for _ in range(5_000)]
    ours, plain = NumberSet(), set[int]()
    for number in numbers:
        number = number or 1
        assert ours.add(number) == (number not in plain)
        plain.add(number)
    assert ours.size == len(plain)
    assert 3 * ours.size <= 2 * len(ours.places) < 6 * ours.size, "eight bytes a place, at least a third of them taken"


@pytest.fixture(params=[(1 << 16, 100), (64, 100), (64, 3)], ids=["one part", "many parts", "three parts"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes to the disk in little pieces, and comes back in parts of different sizes."""
    at_once, most = request.param
    sizes = {"IN_MEMORY": 500, "FRESH": 100, "BLOCK": 300, "SAMPLED": 50, "AT_ONCE": at_once, "MOST_PARTS": most}
    for name, value in sizes.items():
        monkeypatch.setattr(packed, name, value)


def bodies_of(table: np.ndarray, *cuts: int) -> list[Rows]:
    """A table cut into bodies of rows, some added one by one."""
    found = []
    for piece in np.split(table, cuts):
        body = Rows(table.shape[1])
        for row in piece[:9]:
            body.add(row)
        body.add(piece[9:])
        found.append(body)
    return found


@pytest.mark.usefixtures("small")
def test_parts_hold_every_key_once_in_order_and_equal_ones_together() -> None:
    table = np.random.default_rng(3).integers(0, 400, (1_000, 3), dtype=np.uint64)
    table[::7, 1] = NOTHING
    table[500:700, 0] = 1 << 63
    bodies = bodies_of(table, 0, 330, 331)
    assert [len(body) for body in bodies] == [0, 330, 1, 669]
    found = list(parts(bodies, 2))
    expected = sorted((key, row) for row, keys in enumerate(table[:, :2].tolist()) for key in keys if key != NOTHING)
    assert [pair for keys, rows in found for pair in zip(keys.tolist(), rows.tolist(), strict=True)] == expected
    for (one, _), (other, _) in pairwise(found):
        assert not set(one.tolist()) & set(other.tolist())
    assert (row_of(bodies, 330) == table[330]).all()
    assert (row_of(bodies, 999) == table[999]).all()
    wanted = np.array([998, 0, 330, 331])
    assert (np.concatenate(list(rows_of(bodies, wanted))) == table[np.sort(wanted)]).all()


@pytest.mark.usefixtures("small")
def test_no_rows_have_no_parts() -> None:
    assert list(parts([Rows(2)], 1)) == []
    assert list(sketches.like_earlier([Rows(sketches.SIZE)])) == []


@pytest.mark.usefixtures("small")
def test_near_duplicates_are_those_of_all_pairs_that_share_a_key() -> None:
    dice = random.Random(4)
    texts = [" ".join(dice.choices("abcdefghij", k=30)) for _ in range(60)]
    texts += [f"{dice.choice(texts)} {dice.choice('xyz')}" for _ in range(80)] + ["no", "yes"]
    table = np.array([sketches.sketch(text) for text in texts])
    holders = defaultdict(list)
    for text, keys in enumerate(table[:, : sketches.KEYS].tolist()):
        for key in keys:
            holders[key].append(text)
    like = {
        text
        for key, those in holders.items()
        for before, text in pairwise(those)
        for earlier in (those[0], before)
        if key != NOTHING and sketches.likeness(table[text], table[earlier]) >= 0.8
    }
    found = list(sketches.like_earlier(bodies_of(table, 50)))
    assert len(like) > 40
    assert sorted(text for text, _ in found) == sorted(like)
    assert all(earlier < text for text, earlier in found)
