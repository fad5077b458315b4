"""What a training asks of a machine: memory and time, from the shape of the base and the tokens it will read.

Memory is counted by `training.footprint` on the architecture that stands for the base here. Time is arithmetic: six
floating-point operations per parameter and token (four where the base's weights stay as they are: Hoffmann et al. 2022,
appendix F). Machines are known by memory and dense bfloat16 rate (vendors' data sheets), of which `SHARE` is reached.

Limits: time within a factor of about two; small models are slower than their arithmetic. No machine is tried but this one's
matrix rate.
"""

import re
import time
from pathlib import Path
from typing import Any

from persllm.config import BaseSettings
from persllm.records import Record
from persllm.small_base import SHIPPED, is_shipped

SHARE = 0.35
"""Share of a machine's matrix rate that a training reaches."""
START = 0.7
"""GB that Python and the libraries take before anything is loaded; on a GPU the context takes about as much."""


class Machine(Record):
    """A machine one can train on."""

    name: str
    memory: float
    """GB for weights and activations."""
    rate: float
    """Matrix multiplications in 10^12 floating-point operations a second."""
    bfloat16: bool = True
    """Whether it computes in it."""
    gpu: bool = True


GPUS = (
    Machine(name="T4 16 GB", memory=16, rate=65, bfloat16=False),
    Machine(name="RTX 3060 12 GB", memory=12, rate=51),
    Machine(name="L4 24 GB", memory=24, rate=121),
    Machine(name="RTX 4090 24 GB", memory=24, rate=165),
    Machine(name="A100 80 GB", memory=80, rate=312),
    Machine(name="H100 80 GB", memory=80, rate=989),
)


class Shape(Record):
    """The size of a base model."""

    parameters: float
    width: int
    layers: int
    vocabulary: int
    source: str
    """How it is known."""


LARGE = 6e9
"""Models of so many parameters have embeddings of their own for the output."""
TYPICAL = (
    Shape(parameters=0.5e9, width=896, layers=24, vocabulary=151_936, source=""),
    Shape(parameters=1.7e9, width=2048, layers=28, vocabulary=151_936, source=""),
    Shape(parameters=4e9, width=2560, layers=36, vocabulary=151_936, source=""),
    Shape(parameters=8e9, width=4096, layers=36, vocabulary=151_936, source=""),
    Shape(parameters=14e9, width=5120, layers=40, vocabulary=151_936, source=""),
    Shape(parameters=32e9, width=5120, layers=64, vocabulary=151_936, source=""),
    Shape(parameters=70e9, width=8192, layers=80, vocabulary=128_256, source=""),
)
"""Shapes of common families, for bases that are known by name alone."""


def shape_of(settings: BaseSettings) -> Shape | None:
    """The shape of a base: from the settings, from its config.json, or from its name; None if nothing tells."""
    if settings.model == "small" and is_shipped(settings, {"en"}):
        return shape_of_folder(str(SHIPPED)).model_copy(update={"source": "the shipped base"})
    if settings.model == "small":
        width, layers = settings.hidden_size, settings.layers
        parameters = settings.vocabulary * width + layers * 12 * width**2
        return Shape(parameters=parameters, width=width, layers=layers, vocabulary=settings.vocabulary, source="the recipe")
    if (Path(settings.model) / "config.json").is_file():
        return shape_of_folder(settings.model)
    named = re.search(r"(\d+(?:\.\d+)?)\s*([bBmM])(?![a-zA-Z])", settings.model)
    if not named:
        return None
    size = float(named[1]) * (1e9 if named[2] in "bB" else 1e6)
    like = min(TYPICAL, key=lambda shape: abs(shape.parameters - size))
    return like.model_copy(update={"parameters": size, "source": "its name, and the usual shape of that size"})


def shape_of_folder(folder: str) -> Shape:
    """The shape that the config.json of a local model names; nothing is loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    return Shape(
        parameters=sum(weight.numel() for weight in model.parameters()), width=text.hidden_size, layers=text.num_hidden_layers,
        vocabulary=text.vocab_size, source=f"{folder}/config.json",
    )  # fmt: skip


def architecture(settings: BaseSettings, shape: Shape) -> Any:
    """The base's own config.json where it is at hand, else a Llama of its shape."""
    from transformers import AutoConfig, LlamaConfig

    if (Path(settings.model) / "config.json").is_file():
        return AutoConfig.from_pretrained(settings.model, local_files_only=True)
    head = 128 if shape.width >= 1024 else 32
    heads = max(1, shape.width // head)
    shared = min(heads, 8) if shape.width >= 1024 else heads
    tied = shape.parameters < LARGE
    layer = (shape.parameters - (1 if tied else 2) * shape.vocabulary * shape.width) / shape.layers
    inner = max(shape.width, round((layer - 2 * shape.width**2 - 2 * shape.width * shared * head) / (3 * shape.width)))
    return LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=inner, num_hidden_layers=shape.layers, num_attention_heads=heads,
        num_key_value_heads=shared, head_dim=head, tie_word_embeddings=tied, bos_token_id=None, eos_token_id=None,
        dtype="float32" if settings.model == "small" else "bfloat16",
    )  # fmt: skip


def operations(shape: Shape, adapter: str, tokens: float) -> float:
    """Floating-point operations of a training that reads so many tokens, on the way forth and back."""
    return (6 if adapter == "full" else 4) * shape.parameters * tokens


def hours(work: float, machine: Machine) -> float:
    """Hours that so many operations take on a machine."""
    return work / (machine.rate * 1e12 * SHARE) / 3600


def this_machine(threads: int) -> Machine:
    """The machine it runs on: its GPU if torch finds one, else its memory and a matrix rate measured in half a second."""
    import torch

    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return Machine(
            name=f"this machine ({card.name})", memory=card.total_memory / 1e9, rate=measured_rate(torch, "cuda", torch.bfloat16, 4096)
        )
    torch.set_num_threads(threads)
    rate = measured_rate(torch, "cpu", torch.float32, 512)
    return Machine(name=f"this machine ({threads} threads)", memory=physical_memory(), rate=rate, bfloat16=False, gpu=False)


def physical_memory() -> float:
    """GB of memory of this machine."""
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def measured_rate(torch, device: str, dtype, size: int) -> float:
    """10^12 floating-point operations a second of square matrix products: the best of half a second, so that a busy neighbour counts little."""
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    best, end = float("inf"), time.perf_counter() + 0.5
    while time.perf_counter() < end:
        started = time.perf_counter()
        matrix @ matrix
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e12
