"""One of the processes of a launched training: reads the job, trains its part, says how it went.

Started by a launcher as `python -m persllm.training.process JOB`; see `persllm.launching`.
"""

import json
import os
import sys
import threading
from pathlib import Path

from persllm.config import DpoSettings, SftSettings, TrainingSettings
from persllm.errors import PersllmError
from persllm.launching import FAILED, SAMPLES, TOLD
from persllm.records import Conversation, PreferencePair
from persllm.store import read_records, replace_json, silent
from persllm.training import prefer, tune
from persllm.training.adapters import precision_of
from persllm.training.world import rank

MIXED = "ACCELERATE_MIXED_PRECISION"
"""The variable by which a launcher tells Transformers in what to compute."""


class Teller:
    """A Progress that appends to a file."""

    def __init__(self, file: Path):
        self.file, self.words = file, ""

    def __call__(self, done: int, total: int) -> None:
        """So far, with the last words."""
        with open(self.file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"done": done, "total": total, "note": self.words}) + "\n")

    def note(self, note: str) -> None:
        """Words for the next line."""
        self.words = note


def end_with_parent() -> None:
    """End this process when the pipe that it reads as standard input closes: whoever started the launcher is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def compute_as_set(settings: TrainingSettings) -> None:
    """The precision of the recipe in place of that in the launcher's configuration; under `auto` its fp16 and fp8, which no recipe knows, stay."""
    if settings.precision != "auto" or os.environ.get(MIXED, "") not in ("fp16", "fp8"):
        os.environ[MIXED] = "bf16" if precision_of(settings) == "mixed" else "no"


def work(file: Path) -> None:
    """Train what the job says, in its folder."""
    job = json.loads(file.read_text(encoding="utf-8"))
    progress = Teller(file.with_name(TOLD)) if rank() == 0 else silent
    start, samples, how = Path(job["start"]), file.with_name(SAMPLES), (job["seed"], job["threads"], progress)
    settings = (SftSettings if job["phase"] == "sft" else DpoSettings).model_validate(job["settings"])
    compute_as_set(settings)
    if isinstance(settings, SftSettings):
        tune(start, read_records(samples, Conversation), settings, file.parent, *how)
    else:
        prefer(Path(job["base"]), start, read_records(samples, PreferencePair), settings, file.parent, *how)


def main() -> None:
    """Entry point; a reason that a user can act on goes to a file."""
    end_with_parent()
    # Each process reads all weights: without it those of all but the first would be empty until FSDP takes over, also for the reference.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    file = Path(sys.argv[1])
    try:
        work(file)
    except PersllmError as error:
        replace_json(file.with_name(FAILED.format(rank())), {"error": str(error)})
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
