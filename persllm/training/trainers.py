"""TRL's trainers as they are used here, with what keeps them exact and quick on a CPU.

Samples come in as token ids, in the order in which they are to be trained: nothing is tokenised, shuffled or cut
again, so a run that goes on from a checkpoint sees what it would have seen. On a CPU TRL scores every position of
a batch; `compact_head` scores the answers alone, with the same results. Nothing is sent anywhere.
"""

import math
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import DPOTrainer, SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from persllm.errors import TrainingError
from persllm.scoring import HEAD_SCALES
from persllm.store import Progress, noted
from persllm.training.checkpoints import Mark, all_numbers, write_mark
from persllm.training.world import wait_for_all


class Careful:
    """What both trainers do otherwise: no telemetry, no model cards, a stop at a loss or gradient that is no number."""

    names: Sequence[str] = ()
    """The sample behind each row."""
    trouble: Callable[[str, int, Sequence[str]], TrainingError]
    """Makes the error for (what is no number, step, names)."""

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A checkpoint is no model to be shown."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        """The samples are tokens already."""
        return dataset

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """The trainer's loss; TrainingError if it is not a number."""
        result = super().compute_loss(*args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        if not torch.isfinite(loss):
            raise self.trouble("loss", self.state.global_step + 1, self.names)
        return result

    def _clip_grad_norm(self, model: Any) -> Any:
        """The length of the gradient before it is shortened; TrainingError if it is no number, before it reaches the weights."""
        norm = super()._clip_grad_norm(model)
        if norm is not None and not math.isfinite(float(norm)) and not self.args.fp16:
            raise self.trouble("gradient", self.state.global_step + 1, self.names)
        return norm


class Tuner(Careful, SFTTrainer):
    """SFT on rows of `input_ids` and `labels`."""


class Preferrer(Careful, DPOTrainer):
    """DPO on rows of `prompt_ids`, `chosen_ids`, `rejected_ids`, `ref_chosen_logps` and `ref_rejected_logps`."""

    usual: float = 0.0
    """Tokens of the chosen answers in a part of this step, on average over its parts and the processes."""

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """The parts of a step. Their chosen tokens are counted: TRL's SFT loss is a mean over the tokens of a part, so the mean
        over parts would not be that of the step.
        """
        parts, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        tokens = sum(part["completion_mask"].chunk(2)[0].sum().item() for part in parts) / max(1, len(parts))
        self.usual = self.accelerator.gather(torch.tensor([float(tokens)], device=device)).mean().item()
        return parts, count

    def _precompute_ref_logps(self, dataset: Any, *_: Any, **__: Any) -> Any:
        """The reference is in the rows already."""
        return dataset

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        """TRL's loss; the lengths of the answers are logged too, so that their likelihoods can be told per token."""
        own = inputs["completion_mask"].sum(1).float()
        weights, part = self.loss_weights, own.chunk(2)[0].sum().item()
        share = part / self.usual if self.model.training and self.usual else 1.0
        if self.ld_alpha is not None:  # TRL weighs what goes beyond the shorter answer; a token counts here as it counts there
            shared = torch.minimum(*own.chunk(2)).repeat(2)
            own = shared + self.ld_alpha * (own - shared)
        chosen, rejected = (self.accelerator.gather(side).mean().item() for side in own.chunk(2))
        self.loss_weights = [w * share if kind == "sft" else w for kind, w in zip(self.loss_types, weights, strict=True)]
        try:
            result = super()._compute_loss(model, inputs, return_outputs)
        finally:
            self.loss_weights = weights
        logged = self._metrics["train" if self.model.training else "eval"]
        logged["tokens/chosen"].append(chosen)
        logged["tokens/rejected"].append(rejected)
        logged["fall"].append(-logged["rewards/chosen"][-1] / (self.beta * chosen))
        return result


class Watch(TrainerCallback):
    """Tells how far the training is, and marks a checkpoint complete when all of it is on the disk."""

    def __init__(self, mark: Mark, progress: Progress):
        self.mark, self.progress = mark, progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the step."""
        self.progress(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Report the loss."""
        if logs and "loss" in logs:
            noted(self.progress, f"loss {float(logs['loss']):.3f}")

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Mark the checkpoint, unless a weight is no number: the next step says so."""
        wait_for_all()
        if state.is_world_process_zero and all_numbers(model):
            write_mark(Path(args.output_dir) / f"checkpoint-{state.global_step}", self.mark)


def mend_head(model: Any, compact: bool = True) -> None:
    """Make TRL's fused head fit: give a wrapped head the `bias` it reads, and let it score only answers on a CPU.

    `compact` is False for a training that reads more of the head than the likelihoods.
    """
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.register_parameter("bias", None)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    settings = inner.config.get_text_config()
    scaled = any(getattr(settings, name, None) is not None for name in HEAD_SCALES)
    if compact and inner.device.type == "cpu" and not scaled and not getattr(settings, "output_router_logits", False):
        compact_head(inner)


def compact_head(model: Any) -> None:
    """Let the fused head compute only the positions that have a label.

    Entropy and mean logits, which TRL only logs, come back as zeros.
    """
    fused = model.forward

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return fused(*args, labels=labels, **kwargs)
        kwargs.pop("num_items_in_batch", None)
        hidden = self.base_model(*args, **kwargs).last_hidden_state[:, :-1]
        mask = labels[:, 1:] != -100
        targets = labels[:, 1:][mask]
        logits = self.get_output_embeddings()(hidden[mask]).float()
        chosen = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        hits = logits.detach().argmax(1) == targets
        return FusedCausalLMOutput(
            log_probs=chosen.new_zeros(mask.shape).masked_scatter(mask, chosen),
            is_top1=torch.zeros_like(mask).masked_scatter(mask, hits),
            entropy=chosen.new_zeros(mask.shape),
            mean_logits=chosen.new_zeros(mask.shape),
            label_mask=mask,
        )

    model.forward = types.MethodType(forward, model)
