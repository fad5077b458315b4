"""The outlook: counts as the pipeline then makes them, memory and time by arithmetic that can be done by hand."""

from pathlib import Path

import pytest

from persllm.config import BaseSettings, Recipe, SftSettings
from persllm.doctor import examined
from persllm.machines import GPUS, Machine, Shape, hours, memory_needed, operations, shape_of
from persllm.outlook import outlook
from persllm.pipeline import run_recipe
from persllm.records import Conversation
from persllm.store import Run


def recipe_of(starter: Path, **settings) -> Recipe:
    return Recipe(name="ada", personas=(str(starter),), **settings)


def test_counts_are_those_of_the_dataset_step(starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(starter)
    ahead = outlook(recipe, [examined(starter)])
    monkeypatch.setattr(
        "persllm.pipeline.STEPS", tuple(step for step in __import__("persllm.pipeline").pipeline.STEPS if step.folder != "0-base")
    )
    run_recipe(recipe, tmp_path / "runs", until="4-dataset")
    step = Run(tmp_path / "runs" / "ada").step("4-dataset")
    assert ahead.conversations == len(step.records(Conversation, "conversations.jsonl"))
    assert ahead.samples == len(step.records(Conversation, "train.jsonl"))
    assert "on all materials" in ahead.assumptions[0]


def test_shapes_by_settings_and_name() -> None:
    assert shape_of(BaseSettings()).parameters == 4096 * 128 + 4 * 12 * 128**2
    named = shape_of(BaseSettings(model="someone/Model-1.7B-Instruct"))
    assert (named.parameters, named.layers) == (1.7e9, 28)
    assert shape_of(BaseSettings(model="someone/model")) is None


def test_memory_and_time_by_hand() -> None:
    shape = Shape(parameters=1e9, width=1000, layers=10, vocabulary=100_000, source="")
    full = SftSettings(adapter="full", batch=10, max_length=100)
    per_token = 10 * 1000 * 16 * 2 + 100_000 * 8
    assert memory_needed(shape, 2, full, 1000) == pytest.approx(0.7 + (8e9 + 10 * 100 * per_token) / 1e9)
    lora = memory_needed(shape, 2, full.model_copy(update={"adapter": "lora", "rank": 16}), 1000)
    assert lora == pytest.approx(0.7 + (2e9 + 16 * 10 * 1000 * 19 * 16 + 10 * 100 * per_token) / 1e9)
    assert operations(shape, "full", 1e6) == 6e15
    assert operations(shape, "lora", 1e6) == 4e15
    assert hours(0.35 * 100e12 * 3600, Machine(name="", memory=1, rate=100)) == pytest.approx(1.0)


def test_an_unknown_base_is_said_to_be_unknown(starter: Path) -> None:
    ahead = outlook(recipe_of(starter, base={"model": "someone/model"}), [examined(starter)])
    assert ahead.machines == ()
    assert any("nothing tells it" in assumption for assumption in ahead.assumptions)


def test_a_large_base_does_not_fit_a_small_card(starter: Path) -> None:
    ahead = outlook(recipe_of(starter, base={"model": "someone/model-70B", "dtype": "bfloat16"}), [examined(starter)])
    fits = {machine.machine: machine.fits for machine in ahead.machines}
    assert not any(fits[gpu.name] for gpu in GPUS)
