"""How likely a model finds given texts, many at once: prompts read once, padding kept small, the head where it is needed.

Equal prompts are read once, and so is what all prompts begin with (`generation.read`). The texts then go through the
model in rows of like length upon copies of what was read, and logits are computed only where a text has a token: with
a small model and a large vocabulary they are most of the work.

Limits: sums move in their last digits with the company a text is in.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from persllm.generation import positions_of, read

ROWS_ON_CPU = 16
"""Texts that go through the model together on a CPU, where padding costs more than another call."""
HEAD_SCALES = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
"""Settings by which some architectures change the logits after the head."""


@torch.inference_mode()
def totals(model: Any, prompts: Sequence[list[int]], endings: Sequence[list[int]], fill: int) -> list[float]:
    """Summed log-likelihood (nats) of each ending after its prompt; `fill` pads."""
    unique = list(dict.fromkeys(map(tuple, prompts)))
    row_of = {prompt: row for row, prompt in enumerate(unique)}
    past, mask, first = read(model, [list(prompt) for prompt in unique], fill)
    together = ROWS_ON_CPU if mask.device.type == "cpu" else len(endings)
    order = sorted(range(len(endings)), key=lambda place: -len(endings[place]))
    found = [0.0] * len(endings)
    for start in range(0, len(order), together):
        places = order[start : start + together]
        last = start + together >= len(order)
        rows = torch.tensor([row_of[tuple(prompts[place])] for place in places], device=mask.device)
        sums = after(model, past if last else copy.deepcopy(past), mask[rows], first[rows], rows, [endings[place] for place in places])
        for place, total in zip(places, sums, strict=True):
            found[place] = total
    return found


def after(model: Any, past: Any, mask: torch.Tensor, first: torch.Tensor, rows: torch.Tensor, endings: Sequence[list[int]]) -> list[float]:
    """The totals of some endings; `past` is used up. `mask` and `first` are of shape (endings, tokens) and (endings, vocabulary)."""
    longest = max(map(len, endings))
    targets = torch.tensor([ending + [0] * (longest - len(ending)) for ending in endings], device=mask.device)
    own = torch.tensor([[True] * len(ending) + [False] * (longest - len(ending)) for ending in endings], device=mask.device)
    found = torch.zeros(targets.shape, dtype=torch.float64, device=mask.device)
    found[:, 0] = likelihoods(first, targets[:, 0])
    if longest > 1:
        past.batch_select_indices(rows)
        seen = torch.cat([mask, own[:, :-1].to(mask.dtype)], 1)
        positions = positions_of(seen)[:, mask.shape[1] :]
        logits = logits_at(
            model, own[:, 1:], input_ids=targets[:, :-1], attention_mask=seen, position_ids=positions, past_key_values=past, use_cache=True
        )
        found[:, 1:][own[:, 1:]] = likelihoods(logits, targets[:, 1:][own[:, 1:]])
    return found.sum(1).tolist()


def likelihoods(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-likelihood of each target, from logits (targets, vocabulary), in double precision."""
    wanted = logits.float()
    return (wanted.gather(1, targets.unsqueeze(1)).squeeze(1) - wanted.logsumexp(1)).double()


def logits_at(model: Any, wanted: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Logits at the wanted positions alone, row after row: (positions, vocabulary)."""
    if has_plain_head(model):
        return model.get_output_embeddings()(model.base_model(**inputs).last_hidden_state[wanted])
    return model(**inputs).logits[wanted]


def has_plain_head(model: Any) -> bool:
    """Whether logits are the output embedding of the last hidden states and nothing else."""
    settings = model.config.get_text_config()
    scaled = any(getattr(settings, name, None) is not None for name in HEAD_SCALES)
    return not hasattr(model, "peft_config") and not scaled and hasattr(model, "base_model")
