"""The shipped small base and the script that made it: small, with a card, loaded without a network, made alike twice."""

import gzip
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors import safe_open
from toy_base import ADA, TOY
from transformers import AutoModelForCausalLM, AutoTokenizer

from persllm.base import LocalModel, prepare_base
from persllm.config import BaseSettings
from persllm.machines import shape_of
from persllm.records import Message, Request, Sampling
from persllm.small_base import SHIPPED, TEMPLATE, is_shipped, small_base

SCRIPT = Path(__file__).parent.parent / "scripts" / "pretrain_small_base.py"


# What is shipped -----------------------------------------------------------------------------------------


def test_the_weights_are_small_and_in_bf16() -> None:
    with safe_open(SHIPPED / "model.safetensors", "pt") as file:
        weights = [file.get_tensor(name) for name in file.keys()]
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    count = sum(weight.numel() for weight in weights)
    assert f"{count:,} parameters" in (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert (SHIPPED / "model.safetensors").stat().st_size < 5_500_000


@pytest.mark.parametrize("said", ["## Data and licence", "BSD 3-Clause", "public domain", "steps", "## Held out", "bits per byte"])
def test_the_card_says(said: str) -> None:
    assert said in (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_it_writes_any_text_and_its_roles_are_single_tokens() -> None:
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    assert tokenizer.chat_template == TEMPLATE
    for text in ("In 1147, „so“ — said she.", "你是谁？", "a  b\n\tc 🜚"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "a"}], add_generation_prompt=True)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|user|>", "a", "<|end|>", "<|assistant|>"]


def test_it_is_taken_for_english_persons_unless_another_is_asked_for(tmp_path: Path) -> None:
    assert small_base(BaseSettings(), {"en"}, tmp_path) == SHIPPED
    assert not is_shipped(BaseSettings(), {"zh"})
    assert not is_shipped(BaseSettings(), {"en", "zh"})
    assert not is_shipped(BaseSettings(layers=5), {"en"})
    built = small_base(TOY, {"en"}, tmp_path, threads=1)
    assert built.parent == tmp_path
    assert built != SHIPPED


def test_a_stage_base_is_made_of_it_without_a_network_and_it_answers(tmp_path: Path) -> None:
    prepare_base(BaseSettings(), [ADA], tmp_path / "model", tmp_path / "cache", threads=1)
    assert not (tmp_path / "cache").exists()
    model = LocalModel.load(tmp_path / "model", threads=1)
    question = Request(
        messages=(Message(role="user", content="How are you?"),), persona="ada", stage="late", sampling=Sampling(max_tokens=20)
    )
    [(_, reply)] = model.replies([question])
    assert len(reply.text.split()) > 2


def test_the_forecast_knows_its_shape() -> None:
    shape = shape_of(BaseSettings())
    weights = AutoModelForCausalLM.from_pretrained(SHIPPED)
    assert shape is not None
    assert shape.parameters == sum(weight.numel() for weight in weights.parameters())


# How it is made ------------------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with little to read and a smaller shape."""
    spec = importlib.util.spec_from_file_location("pretrain_small_base", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    small = {
        "SHAPE": TOY,
        "NURSERY": 20,
        "GENERAL_PASSES": 1,
        "SAVE_EVERY": 2,
        "MEASURE_EVERY": 2,
        "HELD_NOVELS": ("b",),
        "HELD_DIALOGUE": 4,
    }
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of two little novels and a file of dialogues."""
    novel = "“Where is the boat?” asked Ann.\n\n“On the sand,” said\nPeter, “where we left it.”\n\nThey went -- slowly --\ndown to the shore.\n\nPART II\n\n"
    (tmp_path / "novels").mkdir()
    for name, times in (("a", 30), ("b", 10)):
        (tmp_path / "novels" / f"{name}.txt").write_text(novel * times, encoding="utf-8")
    talks = [{"turns": [f"do you like number {place}?", "i do", "so do i"]} for place in range(12)]
    (tmp_path / "talk.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(talk) + "\n" for talk in talks).encode()))
    return tmp_path / "novels", tmp_path / "talk.jsonl.gz"


def school(script: ModuleType, shelf: tuple[Path, Path], work: Path) -> Any:
    """A schooling in a folder of its own."""
    torch.set_num_threads(1)
    work.mkdir(exist_ok=True)
    return script.Schooling(script.Corpus(*shelf, 0), work, 0)


def test_novels_are_read_as_prose_and_as_talk(script: ModuleType, shelf: tuple[Path, Path]) -> None:
    text = script.paragraphs((shelf[0] / "a.txt").read_text(encoding="utf-8"))
    assert "PART II" not in text
    assert "They went - slowly - down to the shore." in text
    assert next(script.spoken(text)) == "<|user|>Where is the boat?<|end|><|assistant|>On the sand, where we left it.<|end|>"
    pieces = list(script.prose(text))
    assert any(piece.startswith("<|user|>") for piece in pieces)
    assert any(not piece.startswith("<|user|>") for piece in pieces)
    assert all(piece.endswith("<|end|>") for piece in pieces)


def test_held_out_novels_and_dialogues_are_not_read(script: ModuleType, shelf: tuple[Path, Path]) -> None:
    corpus = script.Corpus(*shelf, 0)
    assert "<|user|>Do you like number 4?<|end|><|assistant|>I do.<|end|>" in corpus.held["dialogues"]
    assert corpus.held["novels"]
    assert not set(corpus.held["dialogues"]) & set(corpus.main + corpus.fall)
    assert sum("Do you like number" in text for text in corpus.main + corpus.fall) == 9


def test_one_seed_gives_one_model_and_a_killed_run_ends_in_it_too(script: ModuleType, shelf: tuple[Path, Path], tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die(entry: dict[str, Any]) -> None:
        if entry["step"] == 4:
            raise Killed

    school(script, shelf, tmp_path / "straight").run(5)
    broken = school(script, shelf, tmp_path / "broken")
    broken.log = die
    with pytest.raises(Killed):
        broken.run(5)
    assert torch.load(tmp_path / "broken" / "checkpoint.pt", weights_only=True)["step"] == 2
    school(script, shelf, tmp_path / "broken").run(5)
    for name in ("model.safetensors", "tokenizer.json", "MODEL_CARD.md"):
        assert (tmp_path / "straight" / "model" / name).read_bytes() == (tmp_path / "broken" / "model" / name).read_bytes()
