"""The processes that train together: how many, which one this is, and what each of them does alone.

Limits: the numbers are those that torchrun and Accelerate's launcher put into the environment.
"""

import os
from collections.abc import Sequence
from typing import Any

from persllm.errors import TrainingError


def processes() -> int:
    """Processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Which of them this is; 0 alone writes."""
    return int(os.environ.get("RANK") or 0)


def device() -> str:
    """The device of this process."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK') or 0}" if torch.cuda.is_available() else "cpu"


def wait_for_all() -> None:
    """Go on when every process has come so far."""
    if processes() > 1:
        state().wait_for_everyone()


def state() -> Any:
    """Accelerate's view of the processes, which are joined at the first call."""
    from accelerate import PartialState

    return PartialState(cpu=device() == "cpu")


def own_share(items: Sequence[Any]) -> list[Any]:
    """The items that fall to this process: every n-th."""
    return list(items[rank() :: processes()])


def from_all(shares: Sequence[Any], total: int) -> list[Any]:
    """What `own_share` dealt out, worked on by each process and brought back into one row, at every process."""
    if processes() == 1:
        return list(shares)
    from accelerate.utils import gather_object

    state()
    every = gather_object([list(shares)])
    return [every[place % processes()][place // processes()] for place in range(total)]


def dealt(batch: int, micro_batch: int, phase: str) -> tuple[int, int]:
    """(samples that a process takes at once, times it does so before a step), so that a step has the same samples on any number of processes."""
    if batch % processes():
        raise TrainingError(
            f"{phase}.batch {batch}: a step's samples cannot be dealt evenly to {processes()} processes. Take a multiple of {processes()}."
        )
    share = batch // processes()
    at_once = max(n for n in range(1, share + 1) if share % n == 0 and n <= (micro_batch or share))
    return at_once, share // at_once
