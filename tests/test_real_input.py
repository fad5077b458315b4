"""The pipeline on real input: a real person's letters, and a real pretrained base with LoRA. Skipped where the data are not."""

import json
import shutil
from pathlib import Path

import pytest

from persllm.config import RECIPES, read_recipe
from persllm.pipeline import run_recipe
from persllm.records import Conversation, Dropped, Material, PreferencePair
from persllm.store import Run

SMALL = (
    "base.hidden_size=32", "base.layers=1", "base.vocabulary=512", "base.pretraining_tokens=20480", "mixture.repeat=1", "sft.epochs=0.2",
    "mixture.test_items_per_set=10", "dpo.pairs=12", "evaluation.items_per_set=4", "evaluation.max_tokens=8", "evaluation.bootstrap=100",
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def beethoven(shared: Path, cache: Path, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("beethoven")
    shutil.copytree(RECIPES.parent.parent / "personas" / "beethoven", folder / "beethoven", ignore=shutil.ignore_patterns("letters"))
    (folder / "beethoven" / "letters").mkdir()
    for book in (shared / "real_persons").glob("beethoven_letters_*.txt"):
        (folder / "beethoven" / "letters" / book.name).symlink_to(book)
    recipe = read_recipe("beethoven", SMALL).model_copy(update={"personas": (str(folder / "beethoven"),)})
    return run_recipe(recipe, folder / "runs", cache=cache)


def test_beethoven_has_three_stages_of_letters_and_no_publisher(beethoven: Run) -> None:
    materials = beethoven.step("1-materials").records(Material)
    assert {m.stage for m in materials} == {"early", "middle", "late"}
    assert len(materials) > 400
    text = "\n".join(m.text for m in materials)
    assert "Gutenberg" not in text
    assert "[Footnote" not in text
    for material in materials:
        assert material.source.startswith("letters/")
        assert material.date[:3] in ("178", "179", "180", "181", "182")
    assert {d.reason for d in beethoven.step("1-materials").records(Dropped, "dropped.jsonl")}


def test_beethoven_is_trained_contrasted_and_reported(beethoven: Run) -> None:
    conversations = beethoven.step("4-dataset").records(Conversation, "conversations.jsonl")
    assert {c.kind for c in conversations} >= {"question", "induction", "control", "future"}
    pairs = beethoven.step("6-pairs").records(PreferencePair)
    assert {pair.contrast for pair in pairs} >= {"stage", "induction", "control", "future"}
    assert (beethoven.path / "7-dpo" / "beethoven" / "model" / "model.safetensors").is_file()
    report = json.loads((beethoven.path / "9-report" / "report.json").read_text())
    assert report


def test_a_real_base_is_tuned_with_lora(shared: Path, cache: Path, starter: Path, tmp_path: Path) -> None:
    weights = shared / "weights" / "TinyStories-656K"
    real = (*SMALL, f"base.model={weights}", "sft.adapter=lora", "dpo.adapter=lora", "sft.rank=4", "dpo.rank=4", "sft.epochs=1")
    run = run_recipe(read_recipe(starter / "recipe.yaml", real), tmp_path / "runs", cache=cache)
    from persllm.base import LocalModel
    from persllm.records import Message, Request, Sampling

    for step in ("5-sft", "7-dpo"):
        folder = run.path / step / "hanne"
        assert (folder / "adapter" / "adapter_model.safetensors").stat().st_size < 400_000
        model = LocalModel.load(folder / "model")
        assert model.tokenizer.convert_tokens_to_ids("<|stage:young|>") != model.tokenizer.unk_token_id
        request = Request(
            messages=(Message(role="user", content="Who are you?"),), persona="hanne", stage="old", sampling=Sampling(max_tokens=8)
        )
        [(_, reply)] = list(model.replies([request]))
        assert reply.finish in ("stop", "length")
    losses = [json.loads(line)["loss"] for line in (run.path / "5-sft" / "hanne" / "curve.jsonl").read_text().split("\n") if line]
    assert losses[-1] < losses[0]
