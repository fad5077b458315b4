"""Train the toy in a child process that kills itself in the middle, then go on in another; a script for test_training.

Usage: killed_training.py BASE OUT. Torch is loaded once; every training is a fork of this process, with one thread.
"""

import os
import signal
import sys
from pathlib import Path

import datasets  # noqa: F401
import peft  # noqa: F401
import torch
from toy_base import colour_pairs, colour_talk

import persllm.training.trainers  # noqa: F401
from persllm.config import DpoSettings, SftSettings
from persllm.training import prefer, tune

KILL_AT = 5
SHORT = {"batch": 4, "checkpoint_every": 2, "warmup": 2, "rank": 4, "learning_rate": 1e-3}


def train(phase: str, adapter: str, base: Path, out: Path, kill_at: int) -> None:
    """One training; the process dies at a step, or ends."""

    def watch(done: int, total: int) -> None:
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if phase == "sft":
        tune(base, colour_talk(), SftSettings(adapter=adapter, epochs=1, **SHORT), out, seed=1, threads=1, progress=watch)
    else:
        prefer(base, out.parent / "sft", colour_pairs(32), DpoSettings(adapter=adapter, **SHORT), out, seed=1, threads=1, progress=watch)


def in_child(*arguments: object) -> int:
    """Train in a fork; the signal that ended it, 0 if it ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            train(*arguments)
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"{arguments}: the training failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    base, out = Path(sys.argv[1]), Path(sys.argv[2])
    for adapter in ("full", "lora"):
        for phase in ("sft", "dpo"):
            whole, broken = out / adapter / "whole" / phase, out / adapter / "broken" / phase
            assert in_child(phase, adapter, base, whole, 0) == 0
            assert in_child(phase, adapter, base, broken, KILL_AT) == signal.SIGKILL
            kept = sorted((broken / "checkpoints").glob("checkpoint-*/complete"))
            assert [file.parent.name for file in kept] == ["checkpoint-2", "checkpoint-4"], kept
            torn = broken / "checkpoints" / "checkpoint-6"
            torn.mkdir()
            (torn / "model.safetensors").write_bytes(b"torn")
            (kept[-1].parent / "optimizer.pt").write_bytes(b"torn") if phase == "dpo" else None
            kept[-1].unlink() if phase == "dpo" else None
            assert in_child(phase, adapter, base, broken, 0) == 0
            assert not (broken / "checkpoints").exists()
            print(adapter, phase)
