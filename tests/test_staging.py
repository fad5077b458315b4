"""Stages proposed from the material: a planted change is found where it is, and none where there is none."""

import random

import pytest

from persllm.passages import Passage
from persllm.staging import propose

YOUNG = "the harbour was loud and I ran with the boys to see ships come in from the south with figs and rope and parrots".split()
OLD = "the archive is quiet and my hand shakes when I write in the ledger of winters and debts and the names of the dead".split()


def passages(*parts: tuple[list[str], int], dates: bool = True, seed: int = 0) -> list[Passage]:
    """Passages of 30 words drawn from each part's words, ten a year from 1800 on."""
    dice = random.Random(seed)
    found = []
    for words, count in parts:
        for _ in range(count):
            number = len(found)
            text = " ".join(dice.choices(words + ["and", "the", "of", "so"] * 4, k=30))
            date = f"{1800 + number // 10}-{number % 10 + 1:02d}-15" if dates else ""
            found.append(
                Passage(text=text, source=f"letters.txt:{number}", date=date, heading="" if dates else f"Chapter {number // 10 + 1}")
            )
    return found


def test_a_planted_change_is_found_with_its_reasons() -> None:
    found = propose(passages((YOUNG, 120), (OLD, 90)))
    [change] = found.changes
    assert abs(int(change.begins[:4]) - 1812) <= 1
    assert change.chance < 0.05
    told = " ".join(change.reasons)
    assert "words that go: " in told
    assert any(word in told for word in ("harbour", "boys", "ships"))
    assert [stage.id for stage in found.stages] == ["stage-1", "stage-2"]
    assert found.stages[0].start == "1800-01-15"
    assert found.stages[0].end < found.stages[1].start == change.begins


def test_chapters_take_the_place_of_dates() -> None:
    found = propose(passages((YOUNG, 100), (OLD, 100), dates=False))
    assert found.rule == "chapters"
    assert 10 <= int(found.changes[0].begins) <= 12
    assert (found.stages[0].start, found.stages[1].end) == ("1", "20")


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_changes_there_is_one_stage(seed: int) -> None:
    found = propose(passages((YOUNG + OLD, 220), seed=seed))
    assert len(found.stages) == 1 or found.changes[0].chance > 0.02, found.changes
    assert len(found.changes) <= 1


def test_too_little_is_said_to_be_too_little() -> None:
    found = propose(passages((YOUNG, 12)))
    assert "too little" in found.note
    assert len(found.stages) == 1
    assert propose([]).stages == ()


def test_a_long_silence_is_named() -> None:
    late = [p.model_copy(update={"date": f"1850-{n % 12 + 1:02d}-01"}) for n, p in enumerate(passages((OLD, 100), seed=3))]
    [change] = propose([*passages((YOUNG, 100)), *late], most=2).changes
    assert change.begins.startswith("1850")
    assert any("a silence of" in reason for reason in change.reasons)
