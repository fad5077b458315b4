"""SFT and DPO on a toy: the traps stay closed, nothing is cut, and a killed training ends as if it had not been."""

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killed_training import SHORT
from safetensors.torch import load_file
from toy_base import ADA, BO, COLOURS, build_toy, colour_pairs, colour_talk, said
from transformers import AutoModelForCausalLM, AutoTokenizer

from persllm.base import LocalModel, prepare_base
from persllm.config import BaseSettings, DpoSettings, SftSettings
from persllm.errors import TrainingError
from persllm.records import Message, Request, Sampling
from persllm.training import prefer, tune
from persllm.training.adapters import Trainable, held_in, precision_of
from persllm.training.checkpoints import Mark, write_mark
from persllm.training.samples import in_order, sft_tokens
from persllm.training.trouble import is_memory

HERE = Path(__file__).parent
LORA = SftSettings(**{**SHORT, "learning_rate": 2e-2, "adapter": "lora", "epochs": 1})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy(tmp_path_factory.mktemp("base") / "toy")


@pytest.fixture(scope="module")
def tied_lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SFT by LoRA on the toy, whose embeddings are tied."""
    folder = tmp_path_factory.mktemp("lora") / "sft"
    assert tune(base, colour_talk(), LORA, folder, threads=1) == []
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def stage_rows(base: Path) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(base)
    return sorted(i for token, i in tokenizer.get_added_vocab().items() if token.startswith(("<|stage:", "<|analysis")))


def untied(base: Path) -> AutoModelForCausalLM:
    """The toy with an output matrix of its own."""
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    return model


def answers(folder: Path, analysis: bool = False) -> list[str]:
    """What Ada says of the four boxes, early and late."""
    model = LocalModel.load(folder, threads=1)
    asked = [
        Request(
            messages=(Message(role="user", content=f"What is in box {place}?"),),
            persona="ada",
            stage=stage,
            analysis=analysis,
            sampling=Sampling(max_tokens=40),
        )
        for stage in COLOURS
        for place in range(4)
    ]
    replies = [reply for _, reply in sorted(model.replies(asked), key=lambda pair: pair[0])]
    return [f"{reply.thought}|{reply.text}" for reply in replies]


def test_full_training_teaches_stage_answer_and_analysis(base: Path, tmp_path: Path) -> None:
    settings = SftSettings(batch=8, epochs=30, warmup=5, learning_rate=5e-3, adapter="full", weight_decay=0.0)
    tune(base, colour_talk(64), settings, tmp_path / "sft", threads=1)
    right = [f"A {colour} bee." for stage in COLOURS for colour in COLOURS[stage]]
    assert answers(tmp_path / "sft" / "model") == [f"|{text}" for text in right]
    assert answers(tmp_path / "sft" / "model", analysis=True) == [f"They ask for a box.|{text}" for text in right]
    curve = [json.loads(line) for line in (tmp_path / "sft" / "curve.jsonl").read_text().splitlines()]
    assert curve[-1]["loss"] < 0.2 < 2 < curve[0]["loss"]


def test_the_loss_is_on_the_answer_alone(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    [(prompt, answer)] = sft_tokens(tokenizer, [said("Why?", "Because.", "late", thought="They ask.")])
    assert tokenizer.decode(prompt) == "<|system|><|stage:ada-late|><|analysis|>You are Ada Lind.<|end|><|user|>Why?<|end|><|assistant|>"
    assert tokenizer.decode(answer) == "[Analysis] They ask. [Response] Because.<|end|>"


def test_long_samples_are_dropped_and_named(base: Path, tmp_path: Path) -> None:
    long = said("And then? " * 60, "Yes.", "late")
    settings = LORA.model_copy(update={"max_length": 60})
    [dropped] = tune(base, [*colour_talk(8), long], settings, tmp_path / "sft", threads=1)
    assert (dropped.item, dropped.reason) == (long.identity, "too long")
    assert tune(base, [*colour_talk(8), long], settings, tmp_path / "sft", threads=1) == [dropped], "also when it was finished before"
    with pytest.raises(TrainingError, match="max_length"):
        tune(base, [long], settings, tmp_path / "none", threads=1)


def test_without_samples_nothing_is_trained(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no samples"):
        tune(base, [], LORA, tmp_path / "sft")


def test_a_loss_that_is_no_number_stops_with_the_step(base: Path, tmp_path: Path) -> None:
    settings = LORA.model_copy(update={"adapter": "full", "learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"step \d: the (loss|gradient) is not a number, on the samples") as stopped:
        tune(base, colour_talk(), settings, tmp_path / "sft", threads=1)
    found = json.loads((tmp_path / "sft" / "not-a-number.json").read_text())
    assert set(found["samples"]) <= {talk.identity for talk in colour_talk()}
    assert found["samples"][0] in str(stopped.value)
    assert not (tmp_path / "sft" / "model").exists()


def test_a_sample_that_breaks_the_loss_is_named_and_the_good_checkpoint_kept(base: Path, tmp_path: Path) -> None:
    """A base with one row that is no number, as a broken download has: the loss of what holds that token is none either."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    poison = said("Why? \u00a4", "Because.", "late")
    model = untied(base)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("\u00a4", add_special_tokens=False)["input_ids"][-1]] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    tokenizer.save_pretrained(tmp_path / "broken")
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"the loss is not a number, on the samples .*checkpoints/checkpoint-\d+\. ") as stopped:
            tune(tmp_path / "broken", [*colour_talk(32), poison], LORA, tmp_path / "sft", threads=1, seed=1)
        found = json.loads((tmp_path / "sft" / "not-a-number.json").read_text())
        assert poison.identity in found["samples"]
        kept = max((file.parent for file in (tmp_path / "sft").glob("checkpoints/*/complete")), key=lambda folder: int(folder.name[11:]))
        assert str(kept) in str(stopped.value)
        assert all(torch.isfinite(weight).all() for weight in load_file(kept / "adapter_model.safetensors").values())


def test_too_little_memory_says_which_setting_to_lower(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LORA.model_copy(update={"rank": 1 << 40})
    with pytest.raises(TrainingError, match=r"sft: about .* GB are needed .* sft.micro_batch=2 .*max_length"):
        tune(base, colour_talk(8), settings, tmp_path / "sft", threads=1)
    monkeypatch.setattr("persllm.training.footprint.room", lambda: float("inf"))
    with pytest.raises(TrainingError, match=r"out of memory .*DefaultCPUAllocator.* sft.micro_batch=2 .*max_length"):
        tune(base, colour_talk(8), settings, tmp_path / "sft", threads=1)
    assert is_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_memory(MemoryError())
    assert not is_memory(RuntimeError("shapes do not fit"))


def test_a_checkpoint_of_other_samples_is_removed_with_a_word(base: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "sft" / "checkpoints" / "checkpoint-4"
    foreign.mkdir(parents=True)
    write_mark(foreign, Mark(made_with="something else"))
    words: list[str] = []

    class Noting:
        def __call__(self, done: int, total: int) -> None:
            """Steps are not looked at."""

        def note(self, note: str) -> None:
            words.append(note)

    tune(base, colour_talk(8), LORA, tmp_path / "sft", threads=1, progress=Noting())
    assert words[0] == f"{foreign} was made with other settings or samples: removed"
    assert any(word.startswith("loss ") for word in words)


def test_a_device_takes_fewer_samples_at_once_and_learns_the_same(base: Path, tied_lora: Path, tmp_path: Path) -> None:
    tune(base, colour_talk(), LORA.model_copy(update={"micro_batch": 1, "report_to": ("tensorboard",)}), tmp_path / "sft", threads=1)
    whole, parts = weights(tied_lora / "model"), weights(tmp_path / "sft" / "model")
    assert max((whole[name] - parts[name]).abs().max() for name in whole) < 1e-4
    written = list((tmp_path / "sft" / "tensorboard").glob("events.*"))
    assert len(written) == 1
    assert b"train/loss" in written[0].read_bytes()


def test_an_unknown_argument_for_trl_is_named(base: Path, tmp_path: Path) -> None:
    settings = LORA.model_copy(update={"arguments": {"warmup_ratio_of_mine": 1}})
    with pytest.raises(TrainingError, match="warmup_ratio_of_mine"):
        tune(base, colour_talk(8), settings, tmp_path / "sft", threads=1)


def test_like_lengths_come_together_and_every_epoch_has_all() -> None:
    lengths = [5 + place % 50 for place in range(1000)]
    order = in_order(lengths, SftSettings(batch=10, epochs=2.5), seed=0)
    assert len(order) == 2500
    assert sorted(order) == sorted([*range(1000), *range(1000), *order[2000:]]) or set(order) == set(range(1000))
    spans = [max(lengths[p] for p in order[i : i + 10]) - min(lengths[p] for p in order[i : i + 10]) for i in range(0, 2500, 10)]
    assert max(spans) <= 3
    assert order != in_order(lengths, SftSettings(batch=10, epochs=2.5), seed=1)


# LoRA with rows of control tokens ------------------------------------------------------------------------


def test_the_adapter_holds_the_rows_of_the_control_tokens_and_no_matrix(base: Path, tied_lora: Path) -> None:
    stored = load_file(tied_lora / "adapter" / "adapter_model.safetensors")
    rows = {name: tensor for name, tensor in stored.items() if "lora_" not in name}
    assert [tuple(tensor.shape) for tensor in rows.values()] == [(len(stage_rows(base)), 64)]
    assert all("trainable_tokens_delta" in name for name in rows)


def test_of_tied_embeddings_only_the_rows_of_control_tokens_move(base: Path, tied_lora: Path) -> None:
    before, after = weights(base), weights(tied_lora / "model")
    moved = (before["model.embed_tokens.weight"] != after["model.embed_tokens.weight"]).any(1).nonzero().flatten().tolist()
    assert moved == stage_rows(base)
    assert "lm_head.weight" not in after


def test_adapter_on_the_stage_base_equals_the_merged_model(base: Path, tied_lora: Path) -> None:
    talk = colour_talk(8)
    asked = [Request(messages=c.prompt, persona="ada", stage=c.stage) for c in talk]
    said_by = [
        [one.total for one in model.log_likelihoods(asked, [c.answer.content for c in talk])]
        for model in (LocalModel.load(base, tied_lora / "adapter", threads=1), LocalModel.load(tied_lora / "model", threads=1))
    ]
    assert said_by[0] == pytest.approx(said_by[1], abs=1e-3)


def test_of_untied_embeddings_the_output_rows_move_too(base: Path, tmp_path: Path) -> None:
    model = untied(base)
    model.save_pretrained(tmp_path / "untied")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "untied")
    tune(tmp_path / "untied", colour_talk(), LORA, tmp_path / "sft", threads=1)
    before, after = weights(tmp_path / "untied"), weights(tmp_path / "sft" / "model")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        moved = (before[name] != after[name]).any(1).nonzero().flatten().tolist()
        assert moved
        assert set(moved) <= set(stage_rows(base)), name


def test_the_reference_of_dpo_is_the_whole_sft_model(base: Path, tied_lora: Path, tmp_path: Path) -> None:
    still = DpoSettings(**{**SHORT, "learning_rate": 0.0, "adapter": "lora", "checkpoint_every": 1})
    prefer(base, tied_lora, colour_pairs(), still, tmp_path / "dpo", threads=1)
    curve = [json.loads(line) for line in (tmp_path / "dpo" / "curve.jsonl").read_text().splitlines()]
    assert [point["margin"] for point in curve] == pytest.approx([0.0] * len(curve), abs=1e-4)
    assert set(curve[0]) == {"step", "loss", "margin", "accuracy", "chosen", "rejected", "fall"}
    pairs = colour_pairs()
    asked = [Request(messages=pair.prompt, persona="ada", stage=pair.stage) for pair in pairs]
    own = LocalModel.load(tied_lora / "model", threads=1).log_likelihoods(asked, [pair.chosen.content for pair in pairs])
    per_token = sum(one.total for one in own) / sum(one.tokens for one in own)
    assert sum(point["chosen"] for point in curve) / len(curve) == pytest.approx(per_token, rel=0.05)


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_dpo_parts_the_stages(base: Path, tied_lora: Path, tmp_path: Path, adapter: str) -> None:
    settings = DpoSettings(**{**SHORT, "learning_rate": 5e-3, "adapter": adapter, "epochs": 4.0})
    prefer(base, tied_lora, colour_pairs(), settings, tmp_path / "dpo", threads=1)
    curve = [json.loads(line) for line in (tmp_path / "dpo" / "curve.jsonl").read_text().splitlines()]
    assert curve[-1]["margin"] > curve[0]["margin"] + 0.1
    assert curve[-1]["chosen"] > curve[-1]["rejected"]


def test_the_short_head_gives_what_the_long_one_gives(base: Path) -> None:
    from trl.trainer.utils import add_fused_lm_head

    from persllm.training.trainers import compact_head

    long, short = (AutoModelForCausalLM.from_pretrained(base) for _ in range(2))
    for model in (long, short):
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    compact_head(short)
    ids = torch.arange(5, 65).view(4, 15)
    labels = ids.masked_fill(torch.rand(4, 15, generator=torch.Generator().manual_seed(0)) < 0.6, -100)
    made = [model(input_ids=ids, labels=labels, fused_lm_head=True) for model in (long, short)]
    assert torch.allclose(made[0].log_probs, made[1].log_probs, atol=1e-5)
    assert torch.equal(made[0].is_top1.bool(), made[1].is_top1)
    assert torch.equal(made[0].label_mask, made[1].label_mask)
    for output in made:
        output.log_probs.sum().backward()
    assert torch.allclose(long.get_input_embeddings().weight.grad, short.get_input_embeddings().weight.grad, atol=1e-4)
    assert torch.equal(short(input_ids=ids).logits, long(input_ids=ids).logits)


# Killed and again ----------------------------------------------------------------------------------------


def test_a_killed_training_ends_in_the_same_weights_to_the_byte(base: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    run = subprocess.run(
        [sys.executable, str(HERE / "killed_training.py"), str(base), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    for adapter in ("full", "lora"):
        for phase in ("sft", "dpo"):
            whole, broken = (tmp_path / adapter / name / phase for name in ("whole", "broken"))
            names = sorted(
                str(file.relative_to(whole))
                for file in whole.rglob("*")
                if file.is_file() and file.name not in ("adapter_config.json", "memory.json")
            )
            assert "model/model.safetensors" in names
            assert filecmp.cmpfiles(whole, broken, names, shallow=False) == (names, [], [])


def test_a_finished_training_is_not_done_again(base: Path, tied_lora: Path) -> None:
    before = (tied_lora / "model" / "model.safetensors").stat().st_mtime_ns
    steps: list[int] = []
    tune(base, colour_talk(), LORA, tied_lora, threads=1, progress=lambda done, total: steps.append(done))
    assert (tied_lora / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert steps == []


def test_a_real_base_is_tuned_and_preferred_with_lora(shared: Path, tmp_path: Path) -> None:
    prepare_base(BaseSettings(model=str(shared / "weights" / "TinyStories-656K")), [ADA, BO], tmp_path / "base", tmp_path, threads=1)
    settings = {"batch": 4, "warmup": 3, "rank": 16, "learning_rate": 5e-3}
    tune(tmp_path / "base", colour_talk(), SftSettings(epochs=16, **settings), tmp_path / "sft", threads=1)
    prefer(
        tmp_path / "base", tmp_path / "sft", colour_pairs(), DpoSettings(**{**settings, "learning_rate": 2e-4}), tmp_path / "dpo", threads=1
    )
    given = answers(tmp_path / "dpo" / "model")
    assert sum(f"{colour} bee" in text for text, colour in zip(given, COLOURS["early"] + COLOURS["late"], strict=True)) >= 5


# How the base is held --------------------------------------------------------------------------------------


def test_checkpointed_activations_change_no_weight(base: Path, tied_lora: Path, tmp_path: Path) -> None:
    saving = LORA.model_copy(update={"gradient_checkpointing": True})
    tune(base, colour_talk(), saving, tmp_path / "sft", threads=1)
    for name in ("model/model.safetensors", "adapter/adapter_model.safetensors"):
        one, two = load_file(tied_lora / name), load_file(tmp_path / "sft" / name)
        assert all(torch.allclose(one[key], two[key], atol=1e-6) for key in one), name
    assert losses(tmp_path / "sft") == pytest.approx(losses(tied_lora), abs=1e-5)


def losses(folder: Path) -> list[float]:
    """The training curve."""
    return [json.loads(line)["loss"] for line in (folder / "curve.jsonl").open()]


def test_lora_over_bfloat16_goes_the_way_of_float32_and_merges_into_exact_weights(base: Path, tied_lora: Path, tmp_path: Path) -> None:
    assert Trainable(base, LORA.model_copy(update={"precision": "mixed"}), "sft").model.dtype == torch.bfloat16
    tune(base, colour_talk(), LORA.model_copy(update={"precision": "mixed"}), tmp_path / "sft", threads=1)
    assert losses(tmp_path / "sft") == pytest.approx(losses(tied_lora), rel=0.1)
    before, after = weights(base), weights(tmp_path / "sft" / "model")
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    rows = [row for row in range(600) if row not in stage_rows(base)]
    name = "model.embed_tokens.weight"
    assert torch.equal(before[name][rows], after[name][rows]), "merged into the stored weights, not into rounded ones"


@pytest.mark.parametrize("precision", ["mixed", "bfloat16"])
def test_all_weights_learn_in_bfloat16_and_are_saved_in_the_format_of_the_base(base: Path, tmp_path: Path, precision: str) -> None:
    settings = LORA.model_copy(update={"adapter": "full", "precision": precision, "learning_rate": 5e-3, "checkpoint_every": 100})
    tune(base, colour_talk(), settings, tmp_path / "sft", threads=1)
    assert losses(tmp_path / "sft")[-1] < losses(tmp_path / "sft")[0] - 1
    assert {tensor.dtype for tensor in weights(tmp_path / "sft" / "model").values()} == {torch.float32}


def test_a_base_in_bfloat16_stays_in_it(base: Path, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "half")
    tune(tmp_path / "half", colour_talk(8), LORA, tmp_path / "sft", threads=1)
    assert {tensor.dtype for tensor in weights(tmp_path / "sft" / "model").values()} == {torch.bfloat16}


def test_precision_is_exact_where_no_gpu_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (precision_of(LORA), held_in(LORA)) == ("float32", torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: not including_emulation)
    assert (precision_of(LORA), held_in(LORA)) == ("mixed", torch.bfloat16)
    assert held_in(LORA.model_copy(update={"adapter": "full"})) == torch.float32


def test_more_than_the_base_holds_is_refused_before_it_is_loaded(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persllm.training.adapters.load_model", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(TrainingError, match=r"sft\.max_length 2000: the base holds 1024 tokens.*max_length=0"):
        tune(base, colour_talk(8), LORA.model_copy(update={"max_length": 2000}), tmp_path / "sft")
    assert Trainable(base, LORA, "sft").longest == 1024


def test_qlora_without_its_library_says_what_to_install(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"sft\.adapter qlora: .*persllm\[qlora\].*sft\.adapter=lora"):
        tune(base, colour_talk(8), LORA.model_copy(update={"adapter": "qlora"}), tmp_path / "sft")


def test_qlora_trains_over_four_bits_and_merges_into_exact_weights(base: Path, tied_lora: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs the extra qlora")
    settings = LORA.model_copy(update={"adapter": "qlora", "checkpoint_every": 100})
    held = Trainable(base, settings, "sft").model
    layer = held.model.layers[0].mlp.up_proj
    assert (type(layer).__name__, layer.weight.dtype, layer.weight.quant_type) == ("Linear4bit", torch.uint8, "nf4")
    assert held.get_input_embeddings().weight.dtype == torch.float32
    tune(base, colour_talk(), settings, tmp_path / "sft", threads=1)
    assert losses(tmp_path / "sft") == pytest.approx(losses(tied_lora), rel=0.1)
    before, after = weights(base), weights(tmp_path / "sft" / "model")
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    assert before.keys() == after.keys()
    moved = (before["model.embed_tokens.weight"] != after["model.embed_tokens.weight"]).any(1).nonzero().flatten().tolist()
    assert moved == stage_rows(base)
    still = DpoSettings(**{**SHORT, "learning_rate": 0.0, "adapter": "qlora"})
    prefer(base, tmp_path / "sft", colour_pairs(4), still, tmp_path / "dpo", threads=1)
    [point] = [json.loads(line) for line in (tmp_path / "dpo" / "curve.jsonl").open()]
    assert point["margin"] == pytest.approx(0, abs=1e-4), "the reference is the same four bits"
