"""The stage base and one adapter on it; and the way back: an adapter merged into its base.

A result of several phases has an adapter for each, trained upon the one before; they are put together into one of the
summed rank (`persllm.shared_base`). The stage base is part of the export: its chat template knows the persons, and its
vocabulary their stage tokens, so the adapter does not fit the base as it is on the hub.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.adapters import chain_of
from persllm.errors import BaseModelError
from persllm.release import Contents, Release
from persllm.release.merged import files_of, template_of
from persllm.release.model_card import model_card
from persllm.shared_base import part, together
from persllm.store import replace_text, whole_folder

USE = """\
`base` is the stage base, `adapter` a LoRA on it. In this folder:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer, base = AutoTokenizer.from_pretrained("base"), AutoModelForCausalLM.from_pretrained("base", dtype="auto")
model = PeftModel.from_pretrained(base, "adapter").eval()
words = tokenizer.apply_chat_template([{{"role": "user", "content": "{question}"}}], persona="{persona}", stage="{stage}", add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**words, max_new_tokens=60)[0, words["input_ids"].shape[1]:], skip_special_tokens=True))
```

`persllm models merge base adapter --out FOLDER` makes one model of both. vLLM does not load adapters with token rows: serve it merged.
"""


def contents(release: Release) -> Contents:
    """Stage base, adapter, card. BaseModelError if all weights were trained."""
    chain = chain_of(release.registry.run, release.result.folder)
    if not chain:
        raise BaseModelError(
            f"{release.model}: trained with all weights, so there is no adapter. Export it with --to merged, or train with --set sft.adapter=lora."
        )
    base = release.run / "0-base" / "model"
    size = sum((folder / "adapter_model.safetensors").stat().st_size for folder in chain)
    person = release.personas[0]
    question = "你是谁？" if person.language == "zh" else "Who are you?"
    use = USE.format(question=question, persona=person.id, stage=person.stages[-1].id)
    return Contents(
        texts={"README.md": model_card(release, use, "peft"), **{f"base/{name}": text for name, text in template_of(base).items()}},
        copies={f"base/{name}": file for name, file in files_of(base).items()},
        made={"adapter/adapter_model.safetensors": (size, lambda file: write_adapter(chain, file.parent, "base"))},
    )


def write_adapter(chain: Sequence[Path], folder: Path, base: str) -> None:
    """The adapters of a chain as one, in PEFT's form."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    settings, weights = together([part(one) for one in chain])
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
