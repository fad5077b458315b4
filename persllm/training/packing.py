"""Batches without padding: the samples of a batch one after the other in a single row, each blind to the others.

That needs an attention kernel that is told where a sample begins: FlashAttention, on a GPU, in half precision. Elsewhere
samples of like length are brought together, which on persona data leaves few padding tokens; on a CPU a long row costs
more in attention than the padding did. The samples of a step are the same either way.
"""

from typing import Any

from persllm.config import SftSettings
from persllm.errors import TrainingError

KERNEL = "flash_attention_2"


def packed(model: Any, settings: SftSettings) -> bool:
    """Whether the batches are packed; the model is then given the kernel. TrainingError if it must be and cannot."""
    why_not = obstacle(model) if settings.packing != "off" else "off"
    if why_not and settings.packing == "on":
        raise TrainingError(
            f"sft.packing=on: {why_not}. Set sft.packing=auto (samples of like length come together instead), or train where this is given."
        )
    if why_not:
        return False
    model.set_attn_implementation(KERNEL)
    return True


def obstacle(model: Any) -> str:
    """What keeps a model from being trained on packed batches; empty if nothing does."""
    import torch
    from transformers.utils import is_flash_attn_2_available

    if not torch.cuda.is_available():
        return "packed samples are kept apart by FlashAttention, which needs a GPU; there is none here"
    if not is_flash_attn_2_available():
        return "packed samples are kept apart by FlashAttention; flash-attn is not installed (pip install flash-attn)"
    if model.dtype not in (torch.float16, torch.bfloat16):
        return f"FlashAttention takes half precision, the weights are {model.dtype} (sft.precision=bfloat16)"
    return "" if getattr(model, "_supports_flash_attn", False) else f"{type(model).__name__} has no FlashAttention"
