"""The curve of a training, in our names and per token."""

from collections.abc import Sequence
from typing import Any


def curve(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The points of the training curve: step, loss, and for DPO margin, accuracy and log-likelihood per token of both sides, and how
    much less likely per token the chosen answers have become than they were before (`fall`).
    """
    names = {
        "step": "step", "loss": "loss", "margin": "rewards/margins", "accuracy": "rewards/accuracies",
        "chosen": "logps/chosen", "rejected": "logps/rejected", "fall": "fall",
    }  # fmt: skip
    points = [{name: float(point[key]) for name, key in names.items() if key in point} for point in history if "loss" in point]
    for point, logged in zip(points, (p for p in history if "loss" in p), strict=True):
        for side in {"chosen", "rejected"} & set(point):
            point[side] /= logged[f"tokens/{side}"]
    return points
