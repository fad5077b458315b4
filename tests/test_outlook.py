"""The outlook: counts as the pipeline then makes them, memory and time by arithmetic that can be done by hand."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from persllm.config import BaseSettings, Recipe, SftSettings
from persllm.doctor import examined
from persllm.machines import GPUS, Machine, Shape, architecture, hours, operations, shape_of
from persllm.outlook import footprints, outlook
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
    assert shape_of(BaseSettings(pretraining_tokens=1000)).parameters == 4096 * 128 + 4 * 12 * 128**2
    shipped = shape_of(BaseSettings())
    assert (shipped.width, shipped.layers, shipped.source) == (192, 4, "the shipped base")
    named = shape_of(BaseSettings(model="someone/Model-1.7B-Instruct"))
    assert (named.parameters, named.layers) == (1.7e9, 28)
    assert shape_of(BaseSettings(model="someone/model")) is None


def test_time_by_hand() -> None:
    shape = Shape(parameters=1e9, width=1000, layers=10, vocabulary=100_000, source="")
    assert operations(shape, "full", 1e6) == 6e15
    assert operations(shape, "lora", 1e6) == 4e15
    assert hours(0.35 * 100e12 * 3600, Machine(name="", memory=1, rate=100)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["small", "someone/Model-1.7B", "someone/model-8B", "someone/model-70B"])
def test_a_shape_stands_for_a_model_of_its_size(name: str) -> None:
    settings = BaseSettings(model=name)
    shape = shape_of(settings)
    config = architecture(settings, shape)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(shape.parameters, rel=0.02)


def test_memory_by_hand_where_the_states_outweigh_all_else() -> None:
    recipe = Recipe(name="x", personas=("x",), base={"model": "someone/model-8B"}, dpo={"pairs": 0})
    shape, found = shape_of(recipe.base), {}
    for adapter in ("full", "lora", "qlora"):
        settings = SftSettings(adapter=adapter, batch=1, max_length=8)
        [found[adapter]] = footprints(recipe.model_copy(update={"sft": settings}), shape, 100, 2, bfloat16=True)
    copies = 2 * (8 - 151_936 * 4096 / 1e9)
    assert found["full"].training == pytest.approx(4 * 4 * 8 + copies, rel=0.03), (
        "weight, gradient, two moments in float32; copies in bfloat16"
    )
    assert found["full"].loading == pytest.approx((4 + 2) * 8, rel=0.03)
    assert found["lora"].weights == pytest.approx(2 * 8, rel=0.03)
    assert found["lora"].optimizer < 0.5
    assert found["qlora"].weights < 0.4 * found["lora"].weights


def test_an_unknown_base_is_said_to_be_unknown(starter: Path) -> None:
    ahead = outlook(recipe_of(starter, base={"model": "someone/model"}), [examined(starter)])
    assert ahead.machines == ()
    assert any("nothing tells it" in assumption for assumption in ahead.assumptions)


def test_a_large_base_does_not_fit_a_small_card(starter: Path) -> None:
    ahead = outlook(recipe_of(starter, base={"model": "someone/model-70B", "dtype": "bfloat16"}), [examined(starter)])
    fits = {machine.machine: machine.fits for machine in ahead.machines}
    assert not any(fits[gpu.name] for gpu in GPUS)
