"""The part of benchmarks/training.py that needs a CUDA GPU: random weights of common shapes, our trainer, MFU."""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from persllm.config import SftSettings
from persllm.small_base import SHIPPED


class Shape(NamedTuple):
    """A Llama-architecture model."""

    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    batch: int
    """Samples a step."""


SHAPES = {
    "0.5B": Shape(896, 4864, 24, 14, 2, 151_936, 8),
    "1.7B": Shape(2048, 6144, 28, 16, 8, 151_936, 8),
    "8B": Shape(4096, 12_288, 36, 32, 8, 151_936, 4),
}
SIDE, PRODUCTS = 8192, 50


def compare(names: Sequence[str], tokens: int, steps: int) -> None:
    """Print a line for each shape, full and LoRA."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("benchmarks/training.py gpu: no CUDA GPU here. The part for two cores is `training.py cpu RUN`.")
    rate = matrix_rate()
    print(f"{torch.cuda.get_device_name()}: {rate / 1e12:.0f} TFLOP/s in bfloat16 products of {SIDE} x {SIDE}")
    print(f"{'shape':>6} {'adapter':>8} {'tokens/s':>10} {'MFU':>6} {'peak GiB':>9}")
    for name in names:
        for adapter in ("full", "lora"):
            try:
                speed, work, peak = train(SHAPES[name], adapter, tokens, steps)
                print(f"{name:>6} {adapter:>8} {speed:10.0f} {speed * work / rate:6.1%} {peak:9.1f}", flush=True)
            except torch.OutOfMemoryError:
                print(f"{name:>6} {adapter:>8} {'out of memory':>10}", flush=True)
            torch.cuda.empty_cache()


def matrix_rate() -> float:
    """Floating-point operations a second of bfloat16 matrix products."""
    import torch

    one = torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    for _ in range(5):
        one @ one
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(PRODUCTS):
        one @ one
    torch.cuda.synchronize()
    return PRODUCTS * 2 * SIDE**3 / (time.monotonic() - began)


def train(shape: Shape, adapter: str, tokens: int, steps: int) -> tuple[float, float, float]:
    """Tokens a second without the first two steps, operations a token, and peak memory in GiB."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback

    from persllm.training.adapters import adapter_settings
    from persllm.training.arguments import training_arguments
    from persllm.training.trainers import Tuner, mend_head

    torch.cuda.reset_peak_memory_stats()
    model, tokenizer = fresh(shape), AutoTokenizer.from_pretrained(SHIPPED)
    settings = SftSettings(
        batch=shape.batch, adapter=adapter, max_length=tokens, precision="bfloat16",
        checkpoint_every=10 * steps, arguments={"save_strategy": "no"},
    )  # fmt: skip
    ids = torch.randint(0, shape.vocabulary, (steps * shape.batch, tokens)).tolist()
    ended: list[float] = []

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            torch.cuda.synchronize()
            ended.append(time.monotonic())

    with TemporaryDirectory() as folder:
        trainer = Tuner(
            model=model, args=training_arguments("sft", settings, Path(folder), steps, 0, tokens), processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"input_ids": row, "labels": row} for row in ids]),
            peft_config=adapter_settings(model, tokenizer, settings.rank) if adapter == "lora" else None,
        )  # fmt: skip
        trainer.add_callback(Steps())
        mend_head(trainer.model)
        trainer.train()
    speed = shape.batch * tokens * (steps - 2) / (ended[-1] - ended[1])
    return speed, operations(shape, model, adapter, tokens), torch.cuda.max_memory_allocated() / 2**30


def fresh(shape: Shape) -> Any:
    """Random weights in bfloat16 on the GPU."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.inner, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, tie_word_embeddings=True, max_position_embeddings=4096,
    )  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)


def operations(shape: Shape, model: Any, adapter: str, tokens: int) -> float:
    """Floating-point operations a token: six a weight (four where the base stays as it is), and attention, half of it masked."""
    weights = sum(math.prod(weight.shape) for name, weight in model.named_parameters() if "lora_" not in name)
    passes = 6 if adapter == "full" else 4
    return passes * (weights + shape.layers * shape.width * tokens)
