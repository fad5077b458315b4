"""Learning preferences: every loss and method that TRL has runs, the reference is right, and a model that is being destroyed is saved."""

import json
import logging
import re
from pathlib import Path
from typing import get_args

import pytest
from killed_training import SHORT
from safetensors.torch import load_file
from toy_base import build_toy, colour_pairs, colour_talk

from persllm.config import DpoLoss, DpoSettings, SftSettings
from persllm.errors import TrainingError
from persllm.training import facts_of, prefer, tune
from persllm.training.samples import real_share, sequence_lengths


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy(tmp_path_factory.mktemp("base") / "toy")


@pytest.fixture(scope="module")
def sft(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sft") / "sft"
    tune(base, colour_talk(), SftSettings(**{**SHORT, "learning_rate": 5e-3, "adapter": "full", "epochs": 3}), folder, threads=1)
    return folder


def settings(**changes: object) -> DpoSettings:
    return DpoSettings(**{**SHORT, "adapter": "full", **changes})


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict:
    return load_file(folder / "model" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return all((left[name] == right[name]).all() for name in left)


# What is real ----------------------------------------------------------------------------------------


def test_the_share_of_real_tokens_is_the_one_counted_by_hand() -> None:
    # [3, 5, 4 | 2, 6]: 12 of 15 and 8 of 12
    assert real_share([[3], [5], [4], [2], [6]], 3) == pytest.approx(20 / 27)
    # two pairs in one batch, every sequence padded to the longest of the four
    rows = [
        {"prompt_ids": [0] * 3, "chosen_ids": [0] * 2, "rejected_ids": [0] * 5},
        {"prompt_ids": [0] * 4, "chosen_ids": [0], "rejected_ids": [0]},
    ]
    assert real_share([sequence_lengths(row) for row in rows], 2) == pytest.approx((5 + 8 + 5 + 5) / 32)


def test_what_trl_pads_is_what_is_told(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from persllm.training.trainers import Tuner

    seen, plain = [], Tuner.compute_loss

    def counted(self, model, inputs, *rest, **more):
        seen.append((int(inputs["attention_mask"].sum()), inputs["input_ids"].numel()))
        return plain(self, model, inputs, *rest, **more)

    monkeypatch.setattr(Tuner, "compute_loss", counted)
    tune(base, colour_talk(), SftSettings(**SHORT), tmp_path / "sft", threads=1)
    facts = facts_of(tmp_path / "sft")
    real, computed = map(sum, zip(*seen, strict=True))
    assert facts["tokens"] == real
    assert facts["real_tokens"] == pytest.approx(real / computed, abs=1e-4)
    assert facts["real_tokens"] > 0.9


def test_packing_that_cannot_be_had_is_refused_and_auto_goes_without(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"sft.packing=on: .*GPU.* Set sft.packing=auto"):
        tune(base, colour_talk(8), SftSettings(**SHORT, packing="on"), tmp_path / "on", threads=1)
    tune(base, colour_talk(8), SftSettings(**SHORT, packing="auto"), tmp_path / "auto", threads=1)
    assert "packed" not in facts_of(tmp_path / "auto")


def test_a_batch_in_one_row_is_learnt_as_a_padded_one(base: Path, tmp_path: Path) -> None:
    """What packing does, in the attention of a CPU, which keeps samples apart too: the losses are those of padded batches."""
    common = {**SHORT, "adapter": "full", "batch": 5}
    for name, arguments in (("padded", {}), ("joined", {"padding_free": True})):
        tune(base, colour_talk(), SftSettings(**common, arguments=arguments), tmp_path / name, threads=1)
    losses = [[point["loss"] for point in curve(tmp_path / name)] for name in ("padded", "joined")]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


# Losses and methods ----------------------------------------------------------------------------------


def test_the_losses_that_can_be_named_are_those_of_trl(base: Path, sft: Path, tmp_path: Path) -> None:
    from trl import DPOConfig

    told = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"].partition("If multiple")[0]
    assert set(re.findall(r"'(\w+)'", told)) == set(get_args(DpoLoss))
    every = settings(loss=dict.fromkeys(get_args(DpoLoss), 0.5), sft_weight=0.0)
    prefer(base, sft, colour_pairs(8), every, tmp_path / "dpo", threads=1)
    assert len(curve(tmp_path / "dpo")) == 2
    assert not same(sft, tmp_path / "dpo")


@pytest.mark.parametrize("method", ["orpo", "cpo", "simpo"])
@pytest.mark.parametrize(("start", "adapter"), [("sft", "lora"), ("base", "full")])
def test_methods_without_a_reference_part_the_answers(base: Path, sft: Path, tmp_path: Path, method: str, start: str, adapter: str) -> None:
    chosen = settings(method=method, start=start, adapter=adapter, learning_rate=1e-2, epochs=4.0, beta=2.0, most_fall=0.0)
    prefer(base, sft, colour_pairs(), chosen, tmp_path / "one", threads=1)
    points = curve(tmp_path / "one")
    assert set(points[0]) == {"step", "loss", "margin", "accuracy", "chosen", "rejected", "fall"}
    assert points[0]["fall"] == pytest.approx(0.0, abs=1e-4), "before the first step the model is the one it started from"
    gaps = [point["chosen"] - point["rejected"] for point in points]
    assert sum(gaps[-4:]) > sum(gaps[:4]) + 0.2


def test_a_loss_that_trl_has_not_is_refused_by_the_recipe() -> None:
    with pytest.raises(ValueError, match="sigmoid"):
        DpoSettings(loss={"softplus": 1.0})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "base"}, "dpo.method to orpo"), ({"reference": "adapter"}, "dpo.adapter=lora"), ({"loss": {}}, "dpo.loss is empty"),
        ({"method": "orpo", "ld_alpha": 0.5}, "dpo.ld_alpha belong to dpo.method=dpo"),
        ({"method": "simpo", "loss": {"hinge": 1.0}}, "dpo.loss and dpo.ld_alpha belong"),
        ({"method": "orpo", "micro_batch": 1}, "dpo.micro_batch: the loss of orpo"),
        ({"loss": {"aot": 1.0}, "micro_batch": 1}, "dpo.micro_batch: the loss of aot"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together_are_refused(base: Path, sft: Path, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        prefer(base, sft, colour_pairs(8), settings(**changes), tmp_path / "dpo", threads=1)


# The reference ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [None, 0.3])
def test_a_reference_by_the_adapter_switched_off_equals_the_one_computed_before(
    base: Path, sft: Path, tmp_path: Path, tail: float | None
) -> None:
    points = {}
    for reference in ("precomputed", "adapter"):
        chosen = settings(adapter="lora", learning_rate=5e-3, epochs=1.0, reference=reference, ld_alpha=tail)
        prefer(base, sft, colour_pairs(), chosen, tmp_path / reference, threads=1)
        points[reference] = [value for point in curve(tmp_path / reference) for name, value in point.items() if name != "accuracy"]
    assert points["adapter"] == pytest.approx(points["precomputed"], abs=2e-4)


# The guard -------------------------------------------------------------------------------------------

DESTROYING = {"learning_rate": 0.3, "sft_weight": 0.0, "epochs": 6.0, "most_fall": 0.5, "warmup": 0}


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_a_rate_that_destroys_is_stopped_and_the_last_good_weights_stay(
    base: Path, sft: Path, tmp_path: Path, adapter: str, caplog: pytest.LogCaptureFixture
) -> None:
    slow_then_fast = settings(
        **{**DESTROYING, "adapter": adapter, "learning_rate": 0.05, "warmup": 50, "epochs": 62.5, "checkpoint_every": 1}
    )
    with caplog.at_level(logging.WARNING, "persllm"):
        prefer(base, sft, colour_pairs(), slow_then_fast, tmp_path / "dpo", threads=1)
    facts, points = facts_of(tmp_path / "dpo"), curve(tmp_path / "dpo")
    assert points[-1]["fall"] > 0.5 > points[-2]["fall"]
    assert facts["kept_step"] == points[-2]["step"] - 1 > 0, "the last weights that a later step found good"
    assert points[-1]["step"] < facts["steps"]
    assert "nats per token" in facts["stopped"]
    assert any("stopped: step" in record.message for record in caplog.records)
    again = prefer_still(base, tmp_path / "dpo", tmp_path / "again")
    assert again < 0.5, "the model that is kept still finds the chosen answers likely"


def prefer_still(base: Path, model: Path, folder: Path) -> float:
    """How much less likely the chosen answers are in a model than before its DPO, read off a training that changes nothing."""
    prefer(base, model, colour_pairs(), settings(learning_rate=0.0), folder, threads=1)
    likely = [point["chosen"] for point in curve(folder)]
    first = curve(model)[0]["chosen"]
    return first - sum(likely) / len(likely)


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_without_a_checkpoint_the_model_stays_as_it_was(base: Path, sft: Path, tmp_path: Path, adapter: str) -> None:
    prefer(base, sft, colour_pairs(), settings(**{**DESTROYING, "adapter": adapter, "checkpoint_every": 100}), tmp_path / "dpo", threads=1)
    assert facts_of(tmp_path / "dpo")["kept_step"] == 0
    assert same(sft, tmp_path / "dpo")
    assert (tmp_path / "dpo" / "adapter").is_dir() == (adapter == "lora")


def test_the_guard_can_be_switched_off(base: Path, sft: Path, tmp_path: Path) -> None:
    prefer(base, sft, colour_pairs(), settings(**{**DESTROYING, "most_fall": 0.0}), tmp_path / "dpo", threads=1)
    assert "stopped" not in facts_of(tmp_path / "dpo")
    assert curve(tmp_path / "dpo")[-1]["fall"] > 0.5


# What changes no result ---------------------------------------------------------------------------------


def test_a_batch_in_parts_is_learnt_as_in_one(base: Path, sft: Path, tmp_path: Path) -> None:
    """Also with the SFT term, which TRL averages over the tokens of a part; chosen answers of different lengths."""
    pairs = [
        pair.model_copy(update={"chosen": pair.chosen.model_copy(update={"content": pair.chosen.content * (1 + place % 4)})})
        for place, pair in enumerate(colour_pairs())
    ][:12]
    for name, micro in (("whole", 0), ("parts", 1)):
        prefer(base, sft, pairs, settings(batch=4, micro_batch=micro, sft_weight=1.0, most_fall=0.0), tmp_path / name, threads=1)
    whole, parts, before = weights(tmp_path / "whole"), weights(tmp_path / "parts"), weights(sft)
    moved = max((whole[name] - before[name]).abs().max().item() for name in whole)
    apart = max((whole[name] - parts[name]).abs().max().item() for name in whole)
    assert moved > 1e-4
    assert apart < moved * 0.01


def test_what_was_learnt_upon_the_base_is_put_together_upon_the_base(tmp_path: Path, base: Path) -> None:
    from persllm.adapters import adapters_of, chain_of
    from persllm.base import LocalModel
    from persllm.config import Recipe
    from persllm.records import Message, Request
    from persllm.shared_base import SharedModel
    from persllm.store import Run, replace_json

    run = tmp_path / "run"
    chosen = settings(method="orpo", start="base", adapter="lora", learning_rate=1e-2, epochs=3.0, most_fall=0.0)
    replace_json(run / "config.json", Recipe(name="r", mode="solo", personas=("ada",), dpo=chosen).model_dump(mode="json"))
    tune(base, colour_talk(), SftSettings(**{**SHORT, "adapter": "lora", "learning_rate": 1e-2}), run / "5-sft" / "ada", threads=1)
    prefer(base, run / "5-sft" / "ada", colour_pairs(), chosen, run / "7-dpo" / "ada", threads=1)
    assert chain_of(Run(run), "7-dpo/ada/model") == [run / "7-dpo" / "ada" / "adapter"]
    together = SharedModel.assemble(base, adapters_of(run / "7-dpo"), 1)
    request = Request(messages=(Message(role="user", content="What colour are your bees?"),), persona="ada", stage="early")
    [as_one] = LocalModel.load(run / "7-dpo" / "ada" / "model", threads=1).log_likelihoods([request], ["A green bee."])
    [as_parts] = together.log_likelihoods([request], ["A green bee."])
    assert as_parts.total == pytest.approx(as_one.total, abs=1e-3)


def test_weighted_preferences_run_on_a_processor_too(base: Path, sft: Path, tmp_path: Path) -> None:
    chosen = settings(arguments={"use_weighting": True}, sft_weight=0.0)  # TRL has no weights for its SFT term
    prefer(base, sft, colour_pairs()[:4], chosen, tmp_path / "wpo", threads=1)
    assert curve(tmp_path / "wpo")
