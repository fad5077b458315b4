"""Preference training without a reference model: TRL's experimental ORPO and CPO trainers, the latter also for SimPO.

They take text and tokenize it in a way of their own; here they get the same tokens as DPO. ORPO's likelihood term
covers question and answer, as in its paper; the odds are of the answers alone.
"""

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

from persllm.training.trainers import Careful


class OneStage(Careful):
    """Rows that are tokens already, and the same curve as DPO."""

    def tokenize_row(self, feature: Any, model: Any = None) -> Any:
        """The row is tokens already."""
        return feature

    def get_batch_loss_metrics(self, model: Any, batch: dict[str, Any], train_eval: str = "train") -> Any:
        """TRL's loss; lengths of the answers and the fall of the chosen ones' likelihood are logged too."""
        loss, metrics = super().get_batch_loss_metrics(model, batch, train_eval)
        lengths = [(batch[f"{side}_labels"] != -100).sum(1).float().mean().item() for side in ("chosen", "rejected")]
        averaged = getattr(self, "loss_type", "orpo") in ("orpo", "simpo", "ipo")
        for side, length in zip(("chosen", "rejected"), lengths, strict=True):
            metrics[f"tokens/{side}"] = 1.0 if averaged else length
        before = batch["ref_chosen_logps"].to(self.accelerator.device)
        own = (batch["chosen_labels"] != -100).sum(1).to(before.device)
        reference = self.accelerator.gather(before / own if averaged else before).mean().item()
        metrics["fall"] = (reference - metrics["logps/chosen"]) / metrics["tokens/chosen"]
        return loss, metrics


class OddsRatio(OneStage, ORPOTrainer):
    """ORPO."""


class Contrastive(OneStage, CPOTrainer):
    """CPO, and SimPO as its loss."""
