"""Live curves that really arrive: what trackers hold after two trainings in one process is what `curve.jsonl` holds."""

import json
import sqlite3
from pathlib import Path

import pytest
from toy_base import build_toy, colour_pairs, colour_talk

from persllm.config import DpoSettings, SftSettings
from persllm.training import prefer, tune

SHORT = {"batch": 4, "warmup": 0, "rank": 4}


def trained(folder: Path, tracker: str) -> dict[str, list[float]]:
    """Name of each training -> its losses, as `curve.jsonl` has them."""
    base, run = build_toy(folder / "toy"), folder / "run"
    steps = {"5-sft": (tune, colour_talk(24), SftSettings), "7-dpo": (prefer, colour_pairs(12), DpoSettings)}
    for step, (train, samples, settings) in steps.items():
        before = (base,) if step == "5-sft" else (base, run / "5-sft" / "ada")
        train(*before, samples, settings(**SHORT, report_to=(tracker,)), run / step / "ada", threads=1)
    curves = {step: (run / step / "ada" / "curve.jsonl").read_text().splitlines() for step in steps}
    return {f"run/{step}/ada": [json.loads(line)["loss"] for line in lines] for step, lines in curves.items()}


def test_trackio_holds_a_run_for_each_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))  # read when it is imported
    pytest.importorskip("trackio", reason="pip install 'persllm[curves]'")
    losses = trained(tmp_path, "trackio")
    with sqlite3.connect(tmp_path / "kept" / "persllm.db") as kept:
        rows = [(name, json.loads(told)) for name, told in kept.execute("SELECT run_name, metrics FROM metrics ORDER BY id")]
    for name, wanted in losses.items():
        found = [told["train/loss"] for run, told in rows if run == name and "train/loss" in told]
        assert found == pytest.approx(wanted), name
    assert all("bee" not in text for text in map(str, rows)), "figures, and no text of a person"


def test_wandb_gets_a_run_for_each_training_and_nothing_of_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    trained(tmp_path, "wandb")
    runs = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    held = [file.read_bytes() for file in runs]
    assert len(runs) == 2
    assert all(b"train/loss" in one for one in held)
    assert sum(b"rewards/margins" in one for one in held) == 1
    assert not list((tmp_path / "wandb").rglob("output.log"))
