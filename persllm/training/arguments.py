"""The settings of a training in the words of TRL and PEFT."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persllm.config import DpoSettings, TrainingSettings
from persllm.errors import TrainingError
from persllm.trackers import tracker_arguments
from persllm.training.adapters import precision_of
from persllm.training.world import dealt, processes

MOST_LOGGED = 10
"""At most so many steps between two points of the curve."""
POINTS = 20
"""A short training has at least so many points, if it has so many steps."""
EXO_SMOOTHING = 1e-3
"""What the EXO paper recommends; its loss has no meaning without."""


def training_arguments(
    phase: str, settings: TrainingSettings, folder: Path, steps: int, seed: int, longest: int, further: Mapping[str, Any] | None = None
) -> Any:
    """TRL's settings of a training on samples of at most `longest` tokens, with `further` ones; `settings.arguments` has the last word.

    TrainingError if it names what TRL does not know.
    """
    import torch
    from trl import SFTConfig

    log_every = max(n for n in range(1, max(1, min(MOST_LOGGED, steps // POINTS)) + 1) if settings.checkpoint_every % n == 0)
    at_once, times = dealt(settings.batch, settings.micro_batch, phase)
    arguments: dict[str, Any] = {
        "output_dir": str(folder), "per_device_train_batch_size": at_once, "gradient_accumulation_steps": times,
        "num_train_epochs": 1, "train_sampling_strategy": "sequential",
        "learning_rate": settings.learning_rate, "warmup_steps": min(settings.warmup, steps // 5), "weight_decay": settings.weight_decay,
        "max_length": None, "seed": seed, "save_steps": settings.checkpoint_every, "save_total_limit": 2, "logging_steps": log_every,
        "logging_nan_inf_filter": False, "disable_tqdm": True,
        "activation_checkpointing": settings.gradient_checkpointing, "activation_checkpointing_kwargs": {"use_reentrant": False},
        "bf16": precision_of(settings) == "mixed", "use_cpu": not torch.cuda.is_available(), "dataloader_pin_memory": False,
    }  # fmt: skip
    arguments |= tracker_arguments(settings, folder.parent)
    if processes() > 1:
        arguments |= {"ddp_find_unused_parameters": False}
    if phase == "sft":
        arguments |= {"dataset_kwargs": {"skip_prepare_dataset": True}}
    kind, own = preference_arguments(settings, longest) if isinstance(settings, DpoSettings) else (SFTConfig, {})
    try:
        made = kind(**{**arguments, **own, **(further or {}), **settings.arguments})
    except TypeError as error:
        unknown = re.sub(r".*argument ", "", str(error))
        raise TrainingError(f"{phase}.arguments: TRL knows no {unknown}. See the parameters of its {kind.__name__}.") from None
    if processes() == 1 and made.n_gpu > 1:
        made._n_gpu = 1  # Transformers would take nn.DataParallel, which TRL refuses; several GPUs are for --launch
    return made


def preference_arguments(settings: DpoSettings, longest: int) -> tuple[Any, dict[str, Any]]:
    """(TRL's class of settings, what it is given) for a way to learn preferences."""
    if settings.method == "dpo":
        from trl import DPOConfig

        losses = {**settings.loss, **({"sft": settings.sft_weight} if settings.sft_weight > 0 else {})}
        smoothing = {"label_smoothing": EXO_SMOOTHING} if "exo_pair" in losses else {}
        return DPOConfig, {
            "beta": settings.beta, "precompute_ref_log_probs": settings.reference == "precomputed", "ld_alpha": settings.ld_alpha,
            "loss_type": list(losses), "loss_weights": list(losses.values()), **smoothing,
        }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.cpo import CPOConfig
        from trl.experimental.orpo import ORPOConfig
    common = {"beta": settings.beta, "max_length": longest, "remove_unused_columns": False}
    if settings.method == "orpo":
        return ORPOConfig, common
    return CPOConfig, {**common, "loss_type": "simpo" if settings.method == "simpo" else "sigmoid", "cpo_alpha": settings.sft_weight}
