"""The section `improve` of a recipe."""

from typing import Literal

from pydantic import Field

from persllm.parsing import Settings

Matter = Literal["choice", "choice_pmi", "margin", "resistance", "false_denial", "leak", "stuck", "general_loss"]
"""What can be told by likelihood alone, without an answer being written."""


class ImproveSettings(Settings):
    """How `persllm improve` trains on corrections, and when the new version is kept."""

    repeat: int = Field(8, ge=1)
    """How often each new correction occurs among the pairs, so that a few of them weigh."""
    old: float = Field(1.0, ge=0.0)
    """Old pairs (of the run, and corrections learnt before) for each occurrence of a new correction; they keep what was learnt."""
    held_out: float = Field(0.25, ge=0.0, lt=1.0)
    """Share of the corrections never trained on: they tell whether more was learnt than the words; 0 trains on all."""
    held_out_from: int = Field(8, ge=2)
    """With fewer new corrections none is held out."""
    learning_rate: float = Field(0.0, ge=0.0)
    """Peak learning rate; 0 takes `dpo.learning_rate`."""
    epochs: float = Field(0.0, ge=0.0)
    """Passes over the mixture; 0 takes `dpo.epochs`."""
    matters: tuple[Matter, ...] = Field(("choice", "resistance", "false_denial", "leak", "general_loss"), min_length=1)
    """What must not fall, on the run's own test items."""
    fallen: Literal["interval", "mean"] = "interval"
    """A figure has fallen if the whole 95 % interval of the paired difference is worse than the tolerance, or (stricter) if its mean is."""
    tolerance: float = Field(0.0, ge=0.0)
    """How much worse a share may become."""
    loss_tolerance: float = Field(0.05, ge=0.0)
    """How much worse a loss or a margin may become, in nats per token."""
