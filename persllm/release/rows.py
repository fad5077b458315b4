"""The trained rows of control tokens, put into the embedding of the base that an exported adapter stands upon.

PEFT keeps such rows in the adapter, and servers that load adapters refuse them. A row is no difference: it stands in place of the
base's. So written into the base it needs no adapter, and what is left there are low-rank matrices, which every server of adapters takes.

Limits: the base's files must name its weights as PEFT does, as those that `save_pretrained` writes do.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from persllm.errors import BaseModelError
from persllm.shared_base import Part

ROWS = ".trainable_tokens_delta"
"""How the name of a weight ends in which PEFT keeps rows."""

Rows = dict[str, tuple[list[int], torch.Tensor]]
"""Name of a weight of the base -> (numbers of its rows, the rows)."""


def rows_of(adapter: Part) -> Rows:
    """The rows that an adapter holds beside its matrices."""
    settings, weights = adapter
    numbers = settings.get("trainable_token_indices") or {}
    found: Rows = {}
    for name, rows in weights.items():
        if name.endswith(ROWS):
            module = name.removeprefix("base_model.model.").removesuffix(ROWS).removesuffix(".token_adapter")
            found[f"{module}.weight"] = (numbers[module.rpartition(".")[2]], rows)
    return found


def without_rows(adapter: Part) -> Part:
    """The adapter with its matrices alone."""
    settings, weights = adapter
    kept = {name: weight for name, weight in weights.items() if not name.endswith(ROWS)}
    return {name: value for name, value in settings.items() if name != "trainable_token_indices"}, kept


def files_with(base: Path, rows: Rows) -> list[Path]:
    """The weight files of a base that rows belong into. BaseModelError if there is no place for one."""
    from safetensors import safe_open

    held: dict[str, Path] = {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            held |= dict.fromkeys(weights.keys(), file)
    missing = sorted(set(rows) - set(held))
    if missing:
        raise BaseModelError(
            f"{base}: no weight {missing[0]} in its files, so the rows of the stage tokens cannot be put there. Export it with --to merged."
        )
    return sorted({held[name] for name in rows})


def write_with_rows(source: Path, rows: Mapping[str, tuple[list[int], torch.Tensor]], file: Path) -> None:
    """Write a weight file of a base with rows in their places, in its own number format; all else as it is."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    weights = load_file(source)
    with safe_open(source, "pt") as opened:
        told = opened.metadata()
    for name in set(rows) & set(weights):
        numbers, values = rows[name]
        weights[name] = weights[name].clone()
        weights[name][numbers] = values.to(weights[name].dtype)
    save_file(weights, file, told)
