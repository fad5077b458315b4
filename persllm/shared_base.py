"""One base in memory for several adapters, of persons, phases and versions; one forward pass for rows of all of them.

The preference phase of a person starts from the tuned model, so its adapter stands upon the tuned one: both are
put together into one of the summed rank, and the rows of the control tokens are the later ones. Figures are those
of the merged models but for the last digits of sums.

Limits: adapters only (a run that trains all weights has whole models); persons of one run, because the base of
another run has other control tokens. PEFT copies the embedding for each adapter in a batch at every step, which a
large vocabulary makes dear.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from persllm.adapters import PHASES, Assembly, adapters_of
from persllm.base import LocalModel, LogLikelihood, load_parts
from persllm.errors import BaseModelError
from persllm.generation import Batch
from persllm.records import Request
from persllm.store import Progress, silent


def open_source(source: Assembly, threads: int = 2) -> LocalModel:
    """A model, or a base with adapters."""
    if not source.adapters:
        return LocalModel.load(Path(source.base), threads=threads)
    return SharedModel.assemble(Path(source.base), {name: [Path(one) for one in chain] for name, chain in source.adapters.items()}, threads)


def open_model(source: Path, threads: int = 2) -> LocalModel:
    """The model of a model folder; or, of the folder of a training step, the base with the adapters of all persons."""
    if source.name in PHASES:
        return SharedModel.assemble(source.parent / "0-base" / "model", adapters_of(source), threads)
    return LocalModel.load(source, threads=threads)


class SharedModel(LocalModel):
    """A base with several adapters. Each request is answered through the one named like its person, or another that is named with it."""

    @classmethod
    def assemble(cls, base: Path, adapters: Mapping[str, Sequence[Path]], threads: int = 2) -> "SharedModel":
        """The base of a folder with the adapters of each person. BaseModelError if there are none or they do not fit."""
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

        if not adapters:
            raise BaseModelError(f"{base}: no adapters to load over this base. Train with adapter lora, or load the whole models.")
        torch.set_num_threads(threads)
        tokenizer, model = load_parts(str(base), "auto")
        for name, folders in adapters.items():
            settings, weights = together([part(folder) for folder in folders])
            if isinstance(model, torch.nn.Module) and hasattr(model, "peft_config"):
                model.add_adapter(name, LoraConfig(**settings))
            else:
                model = get_peft_model(model, LoraConfig(**settings), adapter_name=name)
            set_peft_model_state_dict(model, weights, adapter_name=name)
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)

    def batch(self) -> Batch:
        """An empty batch whose rows go through the adapters of their persons."""
        return Batch(self.model, self.stops, self.tokenizer.pad_token_id or 0, lambda request: request.persona)

    def log_likelihoods(
        self, requests: Sequence[Request], answers: Sequence[str], batch: int = 64, progress: Progress = silent
    ) -> list[LogLikelihood]:
        """As for one model, person after person."""
        found: dict[int, LogLikelihood] = {}
        for persona, places in by_person(requests):
            self.model.set_adapter(persona)
            scored = super().log_likelihoods([requests[p] for p in places], [answers[p] for p in places], batch)
            found |= dict(zip(places, scored, strict=True))
            progress(len(found), len(requests))
        return [found[place] for place in range(len(requests))]


def by_person(requests: Sequence[Request]) -> Iterator[tuple[str, list[int]]]:
    """(person, positions of the requests to that person)."""
    for persona in dict.fromkeys(request.persona for request in requests):
        yield persona, [place for place, request in enumerate(requests) if request.persona == persona]


Part = tuple[dict[str, Any], dict[str, torch.Tensor]]
"""Settings and weights of an adapter."""


def part(folder: Path) -> Part:
    """The adapter in a folder."""
    from safetensors.torch import load_file

    return json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")), load_file(folder / "adapter_model.safetensors")


def together(parts: Sequence[Part]) -> Part:
    """Adapters trained one upon the other as one of the summed rank; what is no LoRA matrix is taken from the last."""
    weights = dict(parts[-1][1])
    for name in weights:
        if ".lora_A." in name:
            weights[name] = torch.cat([one[name] for _, one in parts])
        elif ".lora_B." in name:
            weights[name] = torch.cat([one[name] * settings["lora_alpha"] / settings["r"] for settings, one in parts], 1)
    rank = sum(settings["r"] for settings, _ in parts)
    last = parts[-1][0]
    return {
        "r": rank, "lora_alpha": rank, "target_modules": last["target_modules"], "task_type": last["task_type"],
        "trainable_token_indices": last.get("trainable_token_indices"), "inference_mode": True,
    }, weights  # fmt: skip
