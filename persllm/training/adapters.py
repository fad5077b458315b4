"""How a base is held in memory and changed while it is trained: number formats, LoRA with rows of tokens, QLoRA, all weights.

| adapter | held | trained |
| --- | --- | --- |
| `full` | float32, or as `precision` says | every weight |
| `lora` | frozen, bfloat16 where `precision` allows it | low-rank matrices on all linear layers, and the rows of the control tokens |
| `qlora` | linear layers in 4 bits (NF4, Dettmers et al. 2023), the rest as for `lora` | the same |

What is saved is in the number format in which the base is stored. An adapter is merged into weights that are at least
as exact as those: where the base was held in fewer bits, it is read again.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from persllm.base import LocalModel, context_of, load_config, load_model, load_tokenizer
from persllm.config import TrainingSettings
from persllm.errors import TrainingError
from persllm.templates import tokens_of
from persllm.training.world import device

Precision = Literal["float32", "mixed", "bfloat16"]


def precision_of(settings: TrainingSettings) -> Precision:
    """The precision that `auto` stands for on this machine: mixed where a GPU has bfloat16, else float32."""
    if settings.precision != "auto":
        return settings.precision
    return "mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def held_in(settings: TrainingSettings) -> torch.dtype:
    """Number format of the base's weights in memory: float32, unless nothing of them is trained or all is to be bfloat16."""
    precision = precision_of(settings)
    trained = settings.adapter == "full"
    return torch.float32 if precision == "float32" or (precision == "mixed" and trained) else torch.bfloat16


def longest_sample(settings: TrainingSettings, folder: Path | str, phase: str) -> int:
    """Tokens of the longest sample that is trained on: `max_length`, or the context of the model for 0.

    Only config.json is read. TrainingError if the model holds less than `max_length`.
    """
    context = context_of(load_config(str(folder)))
    if settings.max_length > context:
        raise TrainingError(
            f"{phase}.max_length {settings.max_length}: the base holds {context} tokens. "
            f"Set {phase}.max_length=0 to take what the base holds, or a smaller number."
        )
    return settings.max_length or context


def check_quantisation(settings: TrainingSettings, phase: str) -> None:
    """TrainingError with the ways on if `qlora` is wanted and its library is not there."""
    from importlib.util import find_spec

    if settings.adapter == "qlora" and find_spec("bitsandbytes") is None:
        raise TrainingError(
            f"{phase}.adapter qlora: bitsandbytes is not installed. pip install 'persllm[qlora]', or set {phase}.adapter=lora."
        )


def four_bits(held: torch.dtype) -> Any:
    """The quantisation of QLoRA: NF4 with quantised constants."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=held)


def never_repacked(model: Any) -> Any:
    """The model, whose 4-bit layers keep one form. On processors with bfloat16 arithmetic bitsandbytes would repack a layer when it is first
    read without gradients, as the reference of DPO is: some shapes it refuses, and the reference would be rounded otherwise than what is trained.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


class Trainable:
    """A base on its way to be trained; it is loaded when it is first asked for, and the tokenizer alone before."""

    def __init__(self, folder: Path, settings: TrainingSettings, phase: str):
        self.folder, self.settings, self.phase = folder, settings, phase
        check_quantisation(settings, phase)
        self.longest = longest_sample(settings, folder, phase)
        """Tokens of the longest sample that is trained on."""

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return load_tokenizer(str(self.folder))

    @cached_property
    def model(self) -> Any:
        """The model, held as the settings say."""
        return self.held(self.folder)

    def held(self, folder: Path | str) -> Any:
        """The model of a folder, held as the settings say."""
        held = held_in(self.settings)
        if self.settings.adapter == "qlora":
            return never_repacked(load_model(str(folder), held, quantization_config=four_bits(held), device_map={"": device()}))
        return load_model(str(folder), held)

    def speaking(self) -> LocalModel:
        """The base before it is trained, as it is held."""
        return LocalModel(self.model if self.settings.adapter == "qlora" else self.model.to(device()), self.tokenizer)

    def footprint(self, load: Any) -> Any:
        """What a training takes whose heaviest batch is this load. The peak is measured from here on."""
        from persllm.training.footprint import footprint, forget_peak, resident

        tokens = len(tokens_of(self.tokenizer.chat_template))
        start = 0.0 if torch.cuda.is_available() else resident()
        found = footprint(load_config(str(self.folder)), self.settings, load, tokens, start)
        forget_peak()
        return found

    def adapter(self) -> Any:
        """The LoRA on all linear layers, with the rows of the control tokens; None if all weights are trained."""
        return None if self.settings.adapter == "full" else adapter_settings(self.model, self.tokenizer, self.settings.rank)

    def restored(self, checkpoint: str | None) -> Any:
        """The model of a checkpoint, or as it was at the start."""
        from peft import PeftModel, get_peft_model

        if self.settings.adapter == "full":
            return self.held(checkpoint or self.folder)
        fresh = self.held(self.folder)
        return (
            PeftModel.from_pretrained(fresh, checkpoint, is_trainable=True)
            if checkpoint
            else get_peft_model(fresh, adapter_settings(fresh, self.tokenizer, self.settings.rank))
        )

    def whole(self, trained: Any, adapter: Path) -> Any:
        """The trained model without adapter, in the number format of its base; an adapter is written to a folder before."""
        stored = stored_in(self.folder)
        if self.settings.adapter != "full":
            trained.save_pretrained(adapter, save_embedding_layers=False)
            (adapter / "README.md").unlink(missing_ok=True)
            trained = self.merged(trained, adapter, stored)
        trained.__dict__.pop("forward", None)
        return trained.to(stored)

    def merged(self, trained: Any, adapter: Path, stored: torch.dtype) -> Any:
        """The adapter in weights that are at least as exact as those of the folder."""
        if self.settings.adapter == "lora" and held_in(self.settings).itemsize >= stored.itemsize:
            return trained.merge_and_unload()
        from peft import PeftModel

        return PeftModel.from_pretrained(load_model(str(self.folder), stored), str(adapter)).merge_and_unload()


def stored_in(folder: Path) -> torch.dtype:
    """The number format that the config.json of a folder names; float32 if none."""
    return load_config(str(folder)).dtype or torch.float32


def adapter_settings(model: Any, tokenizer: Any, rank: int) -> Any:
    """A LoRA on all linear layers, with the rows of the control tokens of a tokenizer."""
    return lora(model, sorted(tokenizer.convert_tokens_to_ids(tokens_of(tokenizer.chat_template))), rank)


def lora(model: Any, tokens: Sequence[int], rank: int) -> Any:
    """A LoRA on all linear layers, with the rows of tokens; those of the output too where it is not tied."""
    from peft import LoraConfig

    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    rows = {names[id(model.get_input_embeddings())]: list(tokens)}
    if not model.config.tie_word_embeddings:
        rows[names[id(model.get_output_embeddings())]] = list(tokens)
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM", trainable_token_indices=rows if tokens else None
    )
