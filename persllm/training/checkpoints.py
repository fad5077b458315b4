"""Checkpoints: complete or absent, of this very training, and with weights that are numbers.

The mark is written last, when every process has written its part. It says what the checkpoint was made with and how
the weights lay: copies can be taken up by any number of processes, shards of FSDP by any number with FSDP, those of
DeepSpeed only by as many as wrote them.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

from persllm.errors import TrainingError
from persllm.records import Record
from persllm.store import replace_text

log = logging.getLogger("persllm")
COMPLETE = "complete"
"""The file that is written last into a checkpoint."""


class Mark(Record):
    """What a complete checkpoint says of itself."""

    made_with: str
    """Fingerprint of settings and samples."""
    spread: str = "copies"
    """`copies` of the weights on each process, shards of `fsdp` or of `deepspeed`."""
    processes: int = 1
    """How many wrote it."""


def spread_of(accelerator: Any) -> str:
    """How the weights lie on the processes."""
    return {"FSDP": "fsdp", "DEEPSPEED": "deepspeed"}.get(accelerator.distributed_type.name, "copies")


def write_mark(checkpoint: Path, mark: Mark) -> None:
    """Call a checkpoint complete."""
    replace_text(checkpoint / COMPLETE, mark.model_dump_json())


def read_mark(checkpoint: Path) -> Mark | None:
    """The mark of a checkpoint; None if it is not complete."""
    try:
        return Mark.model_validate_json((checkpoint / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def complete(folder: Path, made_with: str) -> list[Path]:
    """The complete checkpoints of a training, the oldest first."""
    marked = [(read_mark(checkpoint), checkpoint) for checkpoint in folder.glob("checkpoint-*")]
    return sorted((checkpoint for mark, checkpoint in marked if mark and mark.made_with == made_with), key=step_of)


def remove_others(folder: Path, made_with: str) -> list[str]:
    """Remove torn checkpoints and those of other settings or samples; a word about each."""
    words = []
    own = complete(folder, made_with)
    for checkpoint in sorted(folder.glob("checkpoint-*")):
        if checkpoint not in own:
            reason = "was made with other settings or samples" if read_mark(checkpoint) else "is not complete"
            words.append(f"{checkpoint} {reason}: removed")
            log.warning(words[-1])
            shutil.rmtree(checkpoint, ignore_errors=True)
    return words


def check_spread(checkpoint: Path, spread: str, processes: int) -> None:
    """TrainingError if these processes cannot take a checkpoint up."""
    mark = read_mark(checkpoint)
    if mark and (mark.spread != spread or (spread == "deepspeed" and mark.processes != processes)):
        raise TrainingError(
            f"{checkpoint}: was written by {mark.processes} processes with {mark.spread}; {processes} with {spread} cannot go on from it. "
            f"Launch it as before, or remove {checkpoint.parent} to begin this training again."
        )


def all_numbers(model: Any) -> bool:
    """Whether every trained weight is a number."""
    import torch

    own = (getattr(weight, "to_local", lambda weight=weight: weight)() for weight in model.parameters() if weight.requires_grad)
    return all(bool(torch.isfinite(weight).all()) for weight in own)
