"""What is watched while preferences are learnt: the likelihood of the chosen answers.

Margin and accuracy of the rewards rise also while a model is being destroyed: both answers become unlikely, the
rejected one more so. The chosen answers' own likelihood shows it. It is read at the points of the curve, which fall
together with the checkpoints, so that a training that was killed decides as an undisturbed one.

A point tells of the weights before its step, so a checkpoint is known to be good only by a point after it.

Limits: a model can spoil its other answers while the chosen ones stay likely; look at `forgetting` in the report.
"""

import logging
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

log = logging.getLogger("persllm")
WARNED_AT = 0.5
"""Share of the allowed fall from which on it is warned."""


class Guard(TrainerCallback):
    """Stops the training when the chosen answers have become less likely by more than `most` nats per token (0: never)."""

    def __init__(self, most: float):
        self.most = most
        self.stopped = ""
        """Why the training was stopped; empty if it was not."""
        self.warned = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Look at one point of the curve."""
        if not self.most or not logs or "fall" not in logs:
            return
        fall = logs["fall"]
        if not fall <= self.most:
            self.stopped = (
                f"{told(state.global_step, fall)}, at most {self.most} (dpo.most_fall). "
                "Lower dpo.learning_rate, or raise dpo.sft_weight or dpo.beta."
            )
            log.warning("stopped: %s", self.stopped)
            control.should_training_stop, control.should_save = True, False
        elif fall > WARNED_AT * self.most and not self.warned:
            self.warned = True
            log.warning("%s; the training stops at %s (dpo.most_fall)", told(state.global_step, fall), self.most)


def told(step: int, fall: float) -> str:
    """One point of the curve in words."""
    return f"step {step}: the chosen answers have become less likely by {fall:.2f} nats per token"


def proven(history: Sequence[dict[str, Any]], most: float) -> int:
    """The last step that showed a good model; checkpoints before it are good. 0 if there is none."""
    return max((int(point["step"]) for point in history if point.get("fall", most + 1) <= most), default=0)


def fallen(history: Sequence[dict[str, Any]], most: float) -> dict[str, Any]:
    """The largest fall of a training, and the first point that was worth a warning; from the whole curve, also of an interrupted one."""
    falls = [(int(point["step"]), point["fall"]) for point in history if "fall" in point]
    warned = next((told(step, fall) for step, fall in falls if most and fall > WARNED_AT * most), "")
    return {"fall": round(max((fall for _, fall in falls), default=0.0), 4), **({"warning": warned} if warned else {})}
