"""Live curves besides `curve.jsonl`: TensorBoard, Trackio, Weights & Biases, through Transformers.

Figures and settings of the training go there, no text of a person. TensorBoard and Trackio stay on this machine; W&B sends
to its server, unless its own `WANDB_MODE=offline` is set, and is refused where nothing may leave the machine.
"""

import contextlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from persllm.config import Recipe, TrainingSettings
from persllm.errors import TrainingError
from persllm.privacy.receivers import LOCAL_ONLY_VARIABLE

PROJECT = "persllm"
TENSORBOARD = "TENSORBOARD_LOGGING_DIR"
"""The variable by which Transformers learns where TensorBoard's files go."""
QUIET = ("offline", "disabled", "dryrun")
"""Values of WANDB_MODE with which W&B sends nothing."""


def check_trackers(recipe: Recipe, local_only: bool = False) -> None:
    """TrainingError if a tracker is not installed, or would send where nothing may leave the machine."""
    local_only = local_only or recipe.privacy.local_only or os.environ.get(LOCAL_ONLY_VARIABLE, "") not in ("", "0")
    for phase in ("sft", "dpo"):
        for name in getattr(recipe, phase).report_to:
            if find_spec(name) is None:
                extra = "'persllm[curves]'" if name != "wandb" else "wandb"
                raise TrainingError(f"{phase}.report_to: {name} is not installed. pip install {extra}, or leave it out.")
            if name == "wandb" and local_only and os.environ.get("WANDB_MODE", "") not in QUIET:
                raise TrainingError(
                    f"{phase}.report_to: wandb sends the curve to its server, but nothing may leave this machine. "
                    "Set WANDB_MODE=offline, or take tensorboard or trackio."
                )


def tracker_arguments(settings: TrainingSettings, folder: Path) -> dict[str, Any]:
    """What Transformers is told about trackers; the run is named after run, step and model."""
    if not settings.report_to:
        return {"report_to": "none"}
    name = "/".join(folder.parts[-3:])
    return {"report_to": list(settings.report_to), "run_name": name, "project": PROJECT, "trackio_static_space_id": False}


@contextlib.contextmanager
def tensorboard_beside(folder: Path) -> Iterator[None]:
    """TensorBoard's files go to `folder/tensorboard`, unless the user named a place."""
    given = os.environ.get(TENSORBOARD)
    os.environ[TENSORBOARD] = given or str(folder / "tensorboard")
    try:
        yield
    finally:
        if given is None:
            del os.environ[TENSORBOARD]


@contextlib.contextmanager
def own_run(settings: TrainingSettings) -> Iterator[None]:
    """A training that is a run of its own in W&B, which would go on into the next one, and that shows W&B nothing of the console.

    A run that was open before is the user's, and stays open.
    """
    if "wandb" not in settings.report_to:
        yield
        return
    os.environ.setdefault("WANDB_PROJECT", PROJECT)
    os.environ.setdefault("WANDB_CONSOLE", "off")
    import wandb

    ours = wandb.run is None
    try:
        yield
    finally:
        if ours:
            wandb.finish()
