"""What the result of a step depends on, in the terms of the recipe; what may change within a run is left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from persllm import judge, materials
from persllm.checks.marks import marks_fingerprint
from persllm.config import TRAINING_WAYS, Recipe
from persllm.constructor_settings import AddressSettings
from persllm.prompts import prompts_fingerprint
from persllm.records import fingerprint
from persllm.wordings import wordings_fingerprint

WAYS: dict[str, Any] = {
    "audit": True,
    "budget": True,
    "improve": True,
    "judge": True,
    "privacy": {"local_only": True},
    "sft": TRAINING_WAYS,
    "dpo": TRAINING_WAYS,
    "checks": {"verify": {"api": set(AddressSettings.model_fields) - {"model"}}},
    "evaluation": {"embeddings": {"batch": True, "api": set(AddressSettings.model_fields) - {"model"}}},
    "constructor": {"apis": True, "runner": True, "shards": True, "api": set(AddressSettings.model_fields) - {"model"}},
}
"""Settings that say where, how fast and for how much the annotator, and what gives vectors, are asked, how versions are made later, and those of audit and judge, and how a training is dealt out: they change no result and may change within a run."""


def constructor_settings(recipe: Recipe) -> dict[str, Any]:
    """Settings and wordings of the constructor; where the annotator stands and how fast it is asked changes nothing."""
    constructor = recipe.constructor.model_dump(mode="json", exclude=WAYS["constructor"])
    extractive = recipe.constructor.engine == "extractive"
    texts = wordings_fingerprint()
    if not extractive:
        texts = fingerprint([texts, prompts_fingerprint(without=("prompted", "remembered", "classify", "verify", *judge.PROMPTS))])
    talk = [*recipe.mixture.general_files, *dump("mixture")(recipe)["mixture"]["general_datasets"]] if recipe.constructor.stylised else []
    content = general_content(recipe) if recipe.constructor.stylised else {}
    held_out = None if extractive else recipe.mixture.held_out_materials
    masks = {} if extractive else {"privacy": recipe.privacy.model_dump(mode="json", exclude=WAYS["privacy"])}
    return {"constructor": constructor, "texts": texts, "held_out": held_out, "general": talk, **content, **masks}


def dataset_settings(recipe: Recipe) -> dict[str, Any]:
    """Settings of checks and mixture, and the texts that the checks look for and ask with."""
    settings = recipe.checks.model_dump(mode="json", exclude=WAYS["checks"])
    texts = [marks_fingerprint(), prompts_fingerprint(names=("assistant_speak", *(("verify",) if recipe.checks.verify.share else ())))]
    tokens = {"tokenizer": recipe.base.model_dump(mode="json")} if recipe.mixture.general_by == "tokens" else {}
    return {**dump("mixture")(recipe), **general_content(recipe), **tokens, "checks": {**settings, "texts": texts}}


def general_content(recipe: Recipe) -> dict[str, Any]:
    """What the files and dataset folders of general talk hold; of a dataset on the hub its revision says it, as a setting."""
    files = [Path(file) for file in recipe.mixture.general_files]
    folders = [Path(wanted.name) for wanted in recipe.mixture.general_datasets]
    files += [file for folder in folders if folder.is_dir() for file in sorted(folder.rglob("*")) if not file.name.startswith(".")]
    found = {str(file): materials.digest(file) for file in files if file.is_file()}
    return {"general_content": fingerprint(found)} if found else {}


def folders_settings(recipe: Recipe) -> dict[str, Any]:
    """The content of the persona folders."""
    return {"folders": {Path(folder).name: materials.folder_fingerprint(Path(folder)) for folder in recipe.personas}}


def evaluation_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings of the examination and the content of the hand-written questions."""
    files = [Path(folder) / "gold.jsonl" for folder in recipe.personas]
    gold = (
        {file.parent.name: fingerprint(file.read_text(encoding="utf-8")) for file in files if file.is_file()}
        if recipe.evaluation.gold
        else {}
    )
    masks = {"privacy": recipe.privacy.model_dump(mode="json", exclude=WAYS["privacy"])} if recipe.evaluation.embeddings.api.url else {}
    texts = prompts_fingerprint(names=("prompted", "remembered"))
    return {"evaluation": recipe.evaluation.deciding(), "seed": recipe.seed, "gold": gold, "prompt": texts, **masks}


def dump(section: str) -> Callable[[Recipe], dict[str, Any]]:
    """The settings of one section of the recipe."""
    return lambda recipe: {section: getattr(recipe, section).model_dump(mode="json", exclude=WAYS.get(section)), "seed": recipe.seed}
