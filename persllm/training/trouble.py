"""What goes wrong in a training, in words that say which setting to change."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from persllm.config import TrainingSettings
from persllm.errors import TrainingError
from persllm.store import replace_json
from persllm.training.world import dealt

NAMED = 4
"""Samples named in a message; the file holds all."""
NO_MEMORY = ("DefaultCPUAllocator", "not enough memory", "out of memory", "can't allocate memory", "Cannot allocate memory", "bad alloc")
"""How Torch says that there is no memory, where it has no error of its own for it."""


def is_memory(error: BaseException) -> bool:
    """Whether memory was wanting: a GPU's or the machine's."""
    return isinstance(error, MemoryError) or (any(words in str(error) for words in NO_MEMORY) and isinstance(error, RuntimeError | OSError))


@contextlib.contextmanager
def memory_trouble(phase: str, settings: TrainingSettings, folder: Path) -> Iterator[None]:
    """Turn a want of memory into a TrainingError that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_memory(error):
            raise
        detail = str(error).strip().split("\n")[0][:160] or "MemoryError"
        raise TrainingError(f"{folder}: out of memory ({detail}). {ways_on(phase, settings)}") from None


def ways_on(phase: str, settings: TrainingSettings) -> str:
    """What to lower, the cheapest first."""
    at_once, _ = dealt(settings.batch, settings.micro_batch, phase)
    ways = [f"{phase}.micro_batch={at_once // 2} (now {at_once} samples at once; goes on from the last checkpoint)"] if at_once > 1 else []
    ways.append(
        f"a smaller {phase}.max_length (now {settings.max_length or 'what the base holds'}; longer samples are dropped and counted)"
    )
    if not settings.gradient_checkpointing:
        ways.append(f"{phase}.gradient_checkpointing=true (slower; the result stays the same)")
    if settings.adapter != "qlora":
        ways.append(f"{phase}.adapter={'lora' if settings.adapter == 'full' else 'qlora'}")
    return f"Ways on, each with --set: {'; '.join(ways)}; or spread the weights with --launch fsdp2. Complete checkpoints are kept."


def not_a_number(what: str, step: int, names: Sequence[str], folder: Path, checkpoint: Path | None) -> TrainingError:
    """The error for a loss or gradient that is no number; the samples of the step are in `not-a-number.json`."""
    file = folder / "not-a-number.json"
    replace_json(file, {"step": step, "what": what, "samples": list(names)})
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    kept = f"The last good checkpoint is kept: {checkpoint}" if checkpoint else "There was no checkpoint yet"
    return TrainingError(
        f"{folder}: step {step}: the {what} is not a number, on the samples {shown} ({file}). {kept}. "
        "Lower learning_rate, raise warmup, or look at these samples: persllm show RUN --trace ID."
    )
