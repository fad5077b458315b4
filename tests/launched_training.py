"""Train the toy on two processes and be killed in the middle; a script for test_launching. Usage: launched_training.py BASE OUT KILL_AT."""

import os
import signal
import sys
from pathlib import Path

from killed_training import SHORT
from toy_base import colour_talk

from persllm import launching
from persllm.config import SftSettings
from persllm.launching import Launch
from persllm.training import tune

TALK = colour_talk(38)
"""Ten steps of four, the last one of two: the processes share it with rows that count nothing."""
SETTINGS = SftSettings(adapter="lora", epochs=1, **SHORT)


if __name__ == "__main__":
    base, out, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

    def watch(done: int, total: int) -> None:
        if done >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    launching.POLL = 0.01  # a step of the toy takes less than the usual time between two looks
    tune(base, TALK, SETTINGS, out, seed=1, threads=1, progress=watch, launch=Launch(config="cpu"))
