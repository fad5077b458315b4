"""A run folder that looks finished, with an untrained toy model in it: enough to talk to, in a second or two."""

import shutil
from pathlib import Path

from toy_base import ADA, BO, TOY, build_toy, colour_talk

from persllm.config import Recipe
from persllm.records import Material
from persllm.store import replace_json, replace_records

RECIPE = Recipe(name="toy", mode="cast", personas=("ada", "bo"), threads=1, base=TOY)


def build_run(folder: Path, **changes: object) -> Path:
    """The run `folder/run` of Ada and Bo, its trained model being the toy base itself."""
    run, recipe = folder / "run", RECIPE.model_copy(update=changes)
    model = build_toy(folder / "toy")
    replace_json(run / "config.json", recipe.model_dump(mode="json"))
    shutil.copytree(model, run / "0-base" / "model")
    for group in ("cast",) if recipe.mode == "cast" else ("ada", "bo"):
        shutil.copytree(model, run / "5-sft" / group / "model")
    replace_records(run / "1-materials" / "personas.jsonl", [ADA, BO])
    replace_records(run / "1-materials" / "records.jsonl", materials())
    trained = [talk.model_copy(update={"sources": ("ada/m.md:1" if talk.stage == "early" else "ada/m.md:9",)}) for talk in colour_talk()]
    replace_records(run / "4-dataset" / "conversations.jsonl", trained)
    return run


def materials() -> list[Material]:
    """What Ada lived through."""
    lived = (("early", "m.md:1", "Ada saw red bees."), ("late", "m.md:9", "Ada saw black bees."))
    return [Material(persona="ada", kind="experience", stage=stage, text=text, source=source) for stage, source, text in lived]
