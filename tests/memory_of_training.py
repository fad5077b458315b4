"""Train a model with drawn weights and print the facts of the training; a script for test_footprint.

Usage: memory_of_training.py PHASE ADAPTER WIDTH LAYERS VOCABULARY BATCH LENGTH FOLDER; with ROOM=GB in the environment
as if the machine had no more.
"""

import json
import os
import sys
from pathlib import Path

import torch
from toy_base import ADA, said
from transformers import LlamaConfig, LlamaForCausalLM

import persllm.training.footprint
import persllm.training.trainers
from persllm.base import prepare_base
from persllm.config import BaseSettings, DpoSettings, SftSettings
from persllm.records import Message, PreferencePair
from persllm.small_base import build_tokenizer
from persllm.training import facts_of, prefer, tune

WORDS = "Ada keeps bees in a box by the sea and the wind is cold"


def build(folder: Path, width: int, layers: int, vocabulary: int) -> Path:
    """A base of a shape, its vocabulary as large as asked, with stage tokens."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer([WORDS], 300)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers, num_attention_heads=width // 64,
        max_position_embeddings=2048, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "raw")
    tokenizer.save_pretrained(folder / "raw")
    prepare_base(BaseSettings(model=str(folder / "raw")), [ADA], folder / "base", folder, threads=1)
    return folder / "base"


def main(phase: str, adapter: str, width: int, layers: int, vocabulary: int, batch: int, length: int, folder: Path) -> None:
    """One training of three steps."""
    base = folder / "base"
    base = base if base.is_dir() else build(folder, width, layers, vocabulary)
    question = f"{WORDS}? " * (length // 40)
    if phase == "sft":
        talk = [said(f"{n} {question}", question, "late") for n in range(3 * batch)]
        tune(base, talk, SftSettings(adapter=adapter, batch=batch, warmup=0), folder / "out", threads=1)
    else:
        (folder / "sft").mkdir()
        (folder / "sft" / "model").symlink_to(base)
        right, wrong = (Message(role="assistant", content=f"{word} {question}") for word in ("Yes,", "No,"))
        pairs = [
            PreferencePair(
                persona="ada", stage="late", prompt=(Message(role="user", content=f"{n} {question}"),), chosen=right, rejected=wrong,
                contrast="stage", chosen_from="",
            )
            for n in range(3 * batch)
        ]  # fmt: skip
        prefer(base, folder / "sft", pairs, DpoSettings(adapter=adapter, batch=batch, warmup=0), folder / "out", threads=1)
    print(json.dumps(facts_of(folder / "out")))


if __name__ == "__main__":
    if os.environ.get("ROOM"):
        persllm.training.footprint.room = lambda: float(os.environ["ROOM"])
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:8]), Path(sys.argv[8]))
