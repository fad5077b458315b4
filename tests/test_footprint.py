"""Memory foreseen before a base is loaded, against what its training then takes in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import LlamaConfig

from persllm.config import SftSettings
from persllm.errors import TrainingError
from persllm.training.footprint import HOLES, Footprint, Load, footprint, heaviest, needed, scored_lengths
from persllm.training.job import Job

HERE = Path(__file__).parent
SMALL = LlamaConfig(
    vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, tie_word_embeddings=True
)
LOAD = Load(rows=4, length=50, answers=80)


def measured(folder: Path, *arguments: object, room: str = "") -> dict[str, int]:
    """The facts of a training in a process of its own, on a machine of so many GB."""
    command = [sys.executable, str(HERE / "memory_of_training.py"), *map(str, arguments), str(folder)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths, "ROOM": room}, capture_output=True, text=True, timeout=1800, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    facts = json.loads(run.stdout.splitlines()[-1])
    print(*arguments, f"foreseen {facts['memory_foreseen_mb']} MB, taken {facts['memory_measured_mb']} MB")
    return facts


SIZES = [("sft", "full", 512, 8, 4096, 8, 160), ("sft", "lora", 512, 8, 4096, 8, 160), ("dpo", "lora", 256, 4, 16_000, 4, 160)]
MORE = [("sft", "full", 768, 12, 32_000, 4, 240), ("sft", "lora", 768, 12, 32_000, 4, 240), ("dpo", "full", 512, 8, 4096, 4, 160)]


@pytest.mark.skipif("PERSLLM_MEMORY" not in os.environ, reason="minutes of training in processes of their own: make check-memory")
@pytest.mark.parametrize("size", [*SIZES, *MORE], ids=lambda size: "-".join(map(str, size)))
def test_what_is_foreseen_is_within_a_fifth_of_what_is_taken(tmp_path: Path, size: tuple[object, ...]) -> None:
    facts = measured(tmp_path, *size)
    assert facts["memory_foreseen_mb"] == pytest.approx(facts["memory_measured_mb"], rel=0.2)


@pytest.mark.skipif("PERSLLM_MEMORY" not in os.environ, reason="minutes of training in processes of their own: make check-memory")
def test_where_memory_is_short_malloc_leaves_no_holes(tmp_path: Path) -> None:
    facts = measured(tmp_path, *SIZES[1], room="1.3")
    assert facts["memory_measured_mb"] < 1300, "on a larger machine the same training takes more"
    assert facts["memory_foreseen_mb"] == pytest.approx(facts["memory_measured_mb"], rel=0.1)


def test_holes_are_counted_in_main_memory_unless_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Footprint(start=0.5, loading=0.2, weights=0.1, optimizer=0.2, working=1.0)
    told: list[int] = []
    monkeypatch.setattr("persllm.training.footprint.give_back_at_once", lambda: told.append(1) or True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert (needed(found, 100.0), told) == (pytest.approx(1.8 + HOLES), [])
    assert (needed(found, 2.0), told) == (pytest.approx(1.8), [1])
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert (needed(found, 2.0), told) == (pytest.approx(1.8), [1])


def test_parts_by_hand() -> None:
    layer = 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64
    weights = 4 * (500 * 64 + 2 * layer + 64)
    full = footprint(SMALL, SftSettings(adapter="full"), LOAD, 3, start=0.5)
    assert full.weights * 1e9 == weights
    assert full.optimizer * 1e9 == 2 * weights
    assert full.working * 1e9 > weights + 80 * 500 * 4, "gradients and logits"
    assert full.training == pytest.approx(0.5 + 3 * weights / 1e9 + full.working)
    lora = footprint(SMALL, SftSettings(adapter="lora", rank=4), LOAD, 3, start=0.0)
    matrices = 2 * 4 * (4 * (64 + 64) + 3 * (64 + 128))
    assert lora.optimizer * 1e9 == 2 * 4 * (matrices + 3 * 64), "LoRA on every linear layer, and three rows of tokens"


def test_every_setting_that_is_said_to_save_memory_saves_it() -> None:
    plain = SftSettings(adapter="full")
    most = footprint(SMALL, plain, LOAD, 3, 0.0).training
    for changes in ({"gradient_checkpointing": True}, {"precision": "bfloat16"}, {"adapter": "lora"}):
        assert footprint(SMALL, plain.model_copy(update=changes), LOAD, 3, 0.0).training < most, changes
    assert footprint(SMALL, plain, LOAD.model_copy(update={"rows": 2, "answers": 40}), 3, 0.0).training < most


def test_deep_models_are_extended_along_a_line() -> None:
    deep = LlamaConfig(**{**SMALL.to_dict(), "num_hidden_layers": 24})
    found = [footprint(LlamaConfig(**{**SMALL.to_dict(), "num_hidden_layers": n}), SftSettings(), LOAD, 3, 0.0) for n in (12, 14)]
    step = (found[1].working - found[0].working) / 2
    assert footprint(deep, SftSettings(), LOAD, 3, 0.0).working == pytest.approx(found[0].working + 12 * step, rel=0.02)


def test_the_heaviest_batch_has_the_longest_samples() -> None:
    rows = [{"input_ids": [0] * n, "labels": [-100] * (n - 2) + [1, 1]} for n in (5, 9, 7)]
    assert heaviest([scored_lengths(row) for row in rows], 2) == Load(rows=2, length=9, answers=4)
    pair = {"prompt_ids": [0] * 3, "chosen_ids": [1] * 4, "rejected_ids": [1]}
    assert heaviest([scored_lengths(pair)], 2) == Load(rows=2, length=7, answers=5)


class Giant:
    """A base that needs more than any machine has."""

    phase = "sft"

    def __init__(self, need: float):
        self.need = need

    def footprint(self, load: Load) -> Footprint:
        """All of it weights."""
        return Footprint(start=0.0, loading=0.0, weights=self.need, optimizer=0.0, working=0.0)


def test_what_cannot_fit_is_refused_with_the_settings_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr("persllm.training.footprint.room", lambda: 10.0)
    rows = [{"input_ids": [0] * 9, "labels": [1] * 9}]
    job = Job(tmp_path / "sft", SftSettings(), "", tmp_path)
    with pytest.raises(
        TrainingError, match=r"sft: about 20\.0 GB .* there are 10\.0\..*sft\.micro_batch=8.*gradient_checkpointing=true.*qlora"
    ):
        job.foresee(Giant(20.0), rows)
    job.foresee(Giant(11.0), rows)
    assert "11.0 GB" in caplog.text, "within the error of the forecast: a word, no refusal"
    assert job.memory == {"memory_foreseen_mb": 11_000}
    caplog.clear()
    job.foresee(Giant(9.0), rows)
    assert not caplog.text
