"""Pieces wait on the disk until the stages are known: they come back as they were, and memory does not follow their number."""

import tracemalloc
from pathlib import Path

import pytest
from test_ingestion import STORY, asked, state

from persllm.ingestion import ingest, shelf
from persllm.ingestion.piece import Piece
from persllm.ingestion.plan import Plan
from persllm.ingestion.shelf import Shelf
from persllm.records import Turn


def piece(number: int) -> Piece:
    turns = (
        Turn(speaker="Karl", text=f"Is {number} enough?\u2028" + "so it goes " * 50),
        Turn(speaker="Ada", to="Karl", text="多得很。\n"),
    )
    return Piece(
        kind="speech", source="a.txt", origin=f"a.txt:{number}", turns=turns, date="1813-05-03", doubt="" if number % 2 else "why?"
    )


def test_pieces_come_back_as_they_were_as_often_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "IN_MEMORY", 1000)
    laid = Shelf()
    for number in range(50):
        laid.lay(piece(number))
    assert not any(one.origin == "a.txt:1" for one in laid if one.doubt)
    assert next(iter(laid)).origin == "a.txt:0", "one that is not gone through to its end disturbs no later one"
    assert list(laid) == list(laid) == [piece(number) for number in range(50)]
    assert laid.sure == 25
    laid.close()


def test_memory_does_not_follow_the_number_of_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shelf, "IN_MEMORY", 100_000)
    placed = piece(1).model_copy(update={"stage": "life"})
    peaks = []
    for count in (200, 4000):
        tracemalloc.start()
        laid = Shelf()
        for _ in range(count):
            laid.lay(placed)
        plan = Plan(tmp_path, {}, [], [])
        plan.stems["a.txt"] = "a"
        plan.write(tmp_path / str(count), laid)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        laid.close()
        assert len((tmp_path / str(count) / "materials" / "life" / "speech-a.jsonl").read_bytes().splitlines()) == count
    assert peaks[1] < 1.5 * max(peaks[0], 1 << 20)


def test_a_folder_is_the_same_whether_its_pieces_were_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, most in (("memory", 1 << 20), ("disk", 10)):
        monkeypatch.setattr(shelf, "IN_MEMORY", most)
        (tmp_path / name).mkdir()
        (tmp_path / name / "story.txt").write_text(STORY)
        ingest(asked(tmp_path / name / "story.txt", stages="early:1-1,late:2-"), tmp_path / name / "ada")
    assert state(tmp_path / "memory" / "ada") == state(tmp_path / "disk" / "ada")
