"""A base with the rows of the stage tokens and one adapter on it; and the way back: an adapter merged into its base.

A result of several phases has an adapter for each, trained upon the one before; they are put together into one of the
summed rank (`persllm.shared_base`). The base is part of the export: its chat template knows the persons, and its
vocabulary their stage tokens, so the adapter does not fit the base as it is on the hub. The trained rows of those tokens
are written into that base too, so the adapter is a LoRA and nothing else.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from persllm.adapters import chain_of
from persllm.errors import BaseModelError
from persllm.release import Contents, Release
from persllm.release.merged import files_of, template_of
from persllm.release.model_card import model_card
from persllm.release.rows import files_with, rows_of, without_rows, write_with_rows
from persllm.shared_base import Part, part, together
from persllm.store import replace_text, whole_folder

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for --max-lora-rank (its `LoRAConfig`)."""
USE = """\
`base` is the stage base with the trained rows of its stage tokens, `adapter` a plain LoRA on it. In this folder:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, base = AutoTokenizer.from_pretrained("base"), AutoModelForCausalLM.from_pretrained("base", dtype="auto")
model = PeftModel.from_pretrained(base, "adapter").eval()
words = tokenizer.apply_chat_template([{{"role": "user", "content": "{question}"}}], persona="{persona}", stage="{stage}", add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**words, max_new_tokens=60)[0, words["input_ids"].shape[1]:], skip_special_tokens=True))
```

Servers that load adapters take it as it is; for vLLM, which was not run where these files were made:

```console
vllm serve base --enable-lora --max-lora-rank {rank} --lora-modules {name}=adapter
```

`persllm models merge base adapter --out FOLDER` makes one model of both.
"""


def contents(release: Release) -> Contents:
    """Base, adapter, card. BaseModelError if all weights were trained, or the rows of the stage tokens have no place in the base."""
    chain = chain_of(release.registry.run, release.result.folder)
    if not chain:
        raise BaseModelError(
            f"{release.model}: trained with all weights, so there is no adapter. Export it with --to merged, or train with --set sft.adapter=lora."
        )
    base = release.run / "0-base" / "model"
    whole = together([part(one) for one in chain])
    rows = rows_of(whole)
    changed = files_with(base, rows)
    size = sum((folder / "adapter_model.safetensors").stat().st_size for folder in chain)
    return Contents(
        texts={
            "README.md": model_card(release, use(release, whole[0]["r"]), "peft"),
            **{f"base/{name}": text for name, text in template_of(base).items()},
        },
        copies={f"base/{name}": file for name, file in files_of(base).items() if file not in changed},
        made={
            **{f"base/{file.relative_to(base)}": (file.stat().st_size, partial(write_with_rows, file, rows)) for file in changed},
            "adapter/adapter_model.safetensors": (size, lambda file: write_adapter(without_rows(whole), file.parent, "base")),
        },
    )


def use(release: Release, rank: int) -> str:
    """How to load it, for the card."""
    person = release.personas[0]
    return USE.format(
        question="你是谁？" if person.language == "zh" else "Who are you?", persona=person.id, stage=person.stages[-1].id,
        name=release.name, rank=next((most for most in RANKS if most >= rank), rank),
    )  # fmt: skip


def write_adapter(adapter: Part, folder: Path, base: str) -> None:
    """An adapter in PEFT's form."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    settings, weights = adapter
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / "adapter_model.safetensors", {"format": "pt"})
    LoraConfig(**settings, base_model_name_or_path=base).save_pretrained(str(folder))


def merge(base: Path, adapters: Sequence[Path], out: Path) -> None:
    """One model of a base and adapters, each trained upon the one before. BaseModelError if they do not fit."""
    from persllm.base import save_whole

    for folder in adapters:
        if not (folder / "adapter_config.json").is_file():
            raise BaseModelError(f"{folder}: no adapter here (adapter_config.json is missing). Give the folder that PEFT wrote.")
    with whole_folder(out) as fresh:
        model, tokenizer = merged_model(base, adapters)
        save_whole(model, tokenizer, fresh / "model")
        for file in (fresh / "model").iterdir():
            file.rename(fresh / file.name)
        (fresh / "model").rmdir()
        replace_text(fresh / "README.md", f"A base and {len(adapters)} adapter{'s' * (len(adapters) > 1)}, merged with persllm.\n")


def merged_model(base: Path, adapters: Sequence[Path]) -> tuple[Any, Any]:
    """Model and tokenizer of a base with adapters merged into it."""
    from persllm.shared_base import SharedModel

    try:
        shared = SharedModel.assemble(base, {"merged": adapters})
    except (RuntimeError, ValueError, KeyError) as error:
        raise BaseModelError(
            f"{adapters[-1]}: does not fit {base} ({str(error).splitlines()[0][:160]}). Merge it into the stage base it was trained on."
        ) from error
    return shared.model.merge_and_unload(), shared.tokenizer
