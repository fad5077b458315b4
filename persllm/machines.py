"""What a training asks of a machine: memory and time, from the shape of the base and the tokens it will read.

Arithmetic instead of a trial: weights, gradients and the two moments of AdamW, activations per token, and six
floating-point operations per parameter and token (four where the base's weights stay as they are: Hoffmann et al. 2022,
appendix F). Machines are known by memory and dense bfloat16 rate (vendors' data sheets), of which `SHARE` is reached.

Limits: rough, within a factor of about two; small models are slower than their arithmetic. No machine is tried but this one's
matrix rate.
"""

import re
import time
from pathlib import Path

from persllm.config import BaseSettings, TrainingSettings
from persllm.records import Record
from persllm.small_base import SHIPPED, is_shipped

SHARE = 0.35
"""Share of a machine's matrix rate that a training reaches."""
START = 0.7
"""GB that Python and the libraries take before anything is loaded."""
ACTIVATIONS = 16
"""Values kept per token, layer and unit of width, for the way back."""


class Machine(Record):
    """A machine one can train on."""

    name: str
    memory: float
    """GB for weights and activations."""
    rate: float
    """Matrix multiplications in 10^12 floating-point operations a second."""


GPUS = (
    Machine(name="T4 16 GB", memory=16, rate=65),
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


def memory_needed(shape: Shape, bytes_per_weight: int, settings: TrainingSettings, tokens_per_sample: float) -> float:
    """GB that a training takes at its peak."""
    if settings.adapter == "full":
        states = shape.parameters * bytes_per_weight * 4
    else:
        adapter = settings.rank * shape.layers * shape.width * 19
        states = shape.parameters * bytes_per_weight + adapter * 16
    tokens = settings.batch * min(tokens_per_sample * 1.5, settings.max_length)
    kept = tokens * (shape.layers * shape.width * ACTIVATIONS * bytes_per_weight + shape.vocabulary * 8)
    return START + (states + kept) / 1e9


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
    return Machine(name=f"this machine ({threads} threads)", memory=physical_memory(), rate=measured_rate(torch, "cpu", torch.float32, 512))


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
