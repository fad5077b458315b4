"""How much memory a training takes, known before anything is loaded.

One step is gone through with tensors that have a shape and no content (PyTorch's fake tensors), on the very
architecture, adapter and head that will be trained, while the bytes alive are counted: so activations, gradients
and the matrices that PEFT copies for rows of tokens are counted, not estimated. Weights and the two moments of AdamW are added. Only
what malloc leaves in holes between tensors, in main memory, is a share that was measured.

Limits: one device; a GPU's allocator and kernels of its own (FlashAttention, TRL's tiled head) take less than what is
foreseen here; other optimizers than AdamW are not known.
"""

import ctypes
import os
import resource
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from persllm.config import TrainingSettings
from persllm.records import Record
from persllm.training.adapters import held_in, lora, precision_of

DEEP = 16
"""Models of more layers are gone through with half of this and with this many, and the rest is extended from there."""
GB = 1e9
HOLES = 0.6
"""Holes that glibc's malloc leaves between tensors in main memory, as a share of what comes and goes: 0.4 to 1.3 where it was
measured (docs/training.md). A freed tensor's place is seldom taken by the next one of its size, since tensors are asked for aligned."""
MMAP_THRESHOLD, AT_ONCE = -3, 1 << 18
"""A setting of malloc, and its value: bytes from which on memory goes back to the system when it is freed."""


class Load(Record):
    """The heaviest batch."""

    rows: int
    """Sequences; pairs count twice."""
    length: int
    """Tokens of the longest one."""
    answers: int
    """Tokens that are scored in all of them together."""


class Footprint(Record):
    """Memory of a training in GB."""

    start: float
    """What the process takes before the base is loaded."""
    loading: float
    """Weights as they are held, beside the file they come from; in main memory, also where a GPU trains."""
    weights: float
    """Weights as they are held while they are trained."""
    optimizer: float
    """The two moments of AdamW."""
    working: float
    """Activations, gradients and what comes and goes, at their highest together."""

    @property
    def training(self) -> float:
        """The most there is while it trains."""
        return self.start + self.weights + self.optimizer + self.working

    @property
    def least(self) -> float:
        """The most there is at one time in main memory if what is freed goes back at once."""
        return max(self.start + self.loading, self.training)

    @property
    def peak(self) -> float:
        """The most there is at one time where main memory is what it trains in."""
        return max(self.start + self.loading, self.training + HOLES * self.working)


class Living(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, and the most there were."""

    def __init__(self, known: Sequence[torch.Tensor]):
        super().__init__()
        self.now = self.most = 0
        self.seen = WeakIdKeyDictionary()
        for tensor in known:
            self.seen[tensor.untyped_storage()] = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked and count what came of it."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.seen:
                self.note(tensor.untyped_storage())
        return made

    def note(self, storage: Any) -> None:
        """Count a storage until it is gone."""
        size = storage.nbytes()
        self.seen[storage] = True
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.forget, size)

    def forget(self, size: int) -> None:
        """A storage is gone."""
        self.now -= size


def footprint(config: Any, settings: TrainingSettings, load: Load, tokens: int, start: float) -> Footprint:
    """What a training of a model with these settings takes for its heaviest batch; `tokens` is the number of control tokens."""
    depths = depths_of(config)
    found = [gone_through(shallow(config, depth), settings, load, tokens) for depth in depths]
    layers = config.get_text_config().num_hidden_layers
    weights, trained, working = (extended(depths, [one[place] for one in found], layers) for place in range(3))
    held = held_in(settings)
    stored = weights * (config.dtype or torch.float32).itemsize / held.itemsize
    if settings.adapter == "qlora":
        linear = weights - (2 - bool(config.tie_word_embeddings)) * config.vocab_size * config.hidden_size * held.itemsize
        weights -= linear * (1 - 0.52 / held.itemsize)
    return Footprint(
        start=start,
        loading=(weights + stored) / GB,
        weights=weights / GB,
        optimizer=2 * trained / GB,
        working=working / GB,
    )


def depths_of(config: Any) -> list[int]:
    """With how many layers the step is gone through."""
    layers = config.get_text_config().num_hidden_layers
    return [layers] if layers <= DEEP else [DEEP // 2, DEEP]


def extended(depths: Sequence[int], values: Sequence[float], layers: int) -> float:
    """A value for all layers, on the straight line through those that are known."""
    if len(values) == 1:
        return values[0]
    return values[0] + (values[1] - values[0]) / (depths[1] - depths[0]) * (layers - depths[0])


def shallow(config: Any, layers: int) -> Any:
    """The same architecture with so many layers."""
    text = config.get_text_config()
    changes: dict[str, Any] = {"num_hidden_layers": layers}
    if getattr(text, "layer_types", None):
        changes["layer_types"] = text.layer_types[:layers]
    return type(text)(**{**text.to_dict(), **changes})


def gone_through(config: Any, settings: TrainingSettings, load: Load, tokens: int) -> tuple[float, float, float]:
    """(bytes of the weights, bytes of those that are trained, bytes that a step takes beside them at most)."""
    from peft import get_peft_model
    from torch._subclasses.fake_tensor import FakeTensorMode
    from transformers import AutoModelForCausalLM

    held = held_in(settings)
    mixed = precision_of(settings) != "float32"
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=held)
        inner = model
        if settings.adapter != "full":
            model = get_peft_model(model, lora(model, range(tokens), settings.rank))
    model.train()
    if settings.gradient_checkpointing:
        inner.activation_checkpointing_enable({"use_reentrant": False})
    fake = FakeTensorMode()
    pretend(model, fake)
    with fake:
        weights = list(model.parameters())
        living = Living([*weights, *model.buffers()])
        with living, torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            step(inner, load)
        return sum(w.nbytes for w in weights), sum(w.nbytes for w in weights if w.requires_grad), living.most


def pretend(model: Any, fake: Any) -> None:
    """Give a model without content weights that say they are in main memory; tied ones stay tied."""
    from torch._subclasses.fake_tensor import FakeTensor

    known: dict[int, Any] = {}
    for module in model.modules():
        for kept, wrap in ((module._parameters, torch.nn.Parameter), (module._buffers, lambda tensor, requires_grad: tensor)):
            for name, tensor in kept.items():
                if tensor is not None:
                    if id(tensor) not in known:
                        known[id(tensor)] = wrap(FakeTensor(fake, tensor.detach(), torch.device("cpu")), requires_grad=tensor.requires_grad)
                    kept[name] = known[id(tensor)]


def step(model: Any, load: Load) -> None:
    """One step forth and back, with the head over the scored tokens alone."""
    ids = torch.zeros(load.rows, load.length, dtype=torch.long)
    hidden = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
    scored = hidden.reshape(-1, hidden.shape[-1])[: load.answers]
    logits = model.get_output_embeddings()(scored).float()
    targets = torch.zeros(load.answers, dtype=torch.long)
    torch.nn.functional.cross_entropy(logits, targets, reduction="none").sum().backward()


def scored_lengths(row: dict[str, Any]) -> list[tuple[int, int]]:
    """(tokens, scored tokens) of each sequence that a sample is read as."""
    if "input_ids" in row:
        return [(len(row["input_ids"]), sum(label != -100 for label in row["labels"]))]
    return [(len(row["prompt_ids"]) + len(row[f"{side}_ids"]), len(row[f"{side}_ids"])) for side in ("chosen", "rejected")]


def heaviest(samples: Sequence[Sequence[tuple[int, int]]], batch: int) -> Load:
    """The batch of the longest samples, which batches of like length come close to; each sample is its sequences as (tokens, scored tokens)."""
    longest = sorted(samples, key=lambda sample: max(tokens for tokens, _ in sample), reverse=True)[:batch]
    sequences = [sequence for sample in longest for sequence in sample]
    return Load(rows=len(sequences), length=max(n for n, _ in sequences), answers=sum(max(1, scored) for _, scored in sequences))


# What there is, and what is taken ------------------------------------------------------------------------


def needed(found: Footprint, there: float) -> float:
    """GB that a training takes here, of so many. In main memory that is too small, malloc is told to leave no holes: slower, but less."""
    if torch.cuda.is_available():
        return found.training
    return found.least if found.peak > there and give_back_at_once() else found.peak


def give_back_at_once() -> bool:
    """Let malloc give back to the system what a freed tensor took, from now on in this process; False if it is not glibc's.

    Every tensor is then paged in anew: measured, a step took half as much processor time again.
    """
    try:
        return ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, AT_ONCE) == 1
    except (AttributeError, OSError):
        return False


def resident() -> float:
    """GB that this process has in memory now."""
    pages = Path("/proc/self/statm")
    if pages.is_file():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / GB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB


def forget_peak() -> None:
    """Begin to measure the peak anew, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float:
    """GB at most since `forget_peak`: of the GPU's allocator, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / GB
    status = Path("/proc/self/status")
    if status.is_file():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / GB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GB


def room() -> float:
    """GB that a training may take here: the GPU's, else the machine's or what the container allows."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1] / GB
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        sizes.append(int(limit.read_text()))
    return min(sizes) / GB
