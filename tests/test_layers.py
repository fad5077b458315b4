"""The repository tests itself: imports go down, files stay short, light commands stay light, recipes parse."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from persllm.config import RECIPES, read_recipe

PACKAGE = Path(__file__).parent.parent / "persllm"
LAYERS = """
errors
parsing
config privacy_settings audit_settings constructor_settings evaluation_settings improve_settings judge_settings records passages
chat embedding sources prompts store languages wordings general thought templates rendering nursery generation scoring writing
materials machines corrections versions weights adapters material_files packed sketches facts spoken retrieval exchanges staging classification novels checks privacy base encoder marking shared_base small_base gold statistics agreement provenance tracing annotation leading launching trackers memory overlap canaries drawing sheets
agent evidence cards talks test_sets metrics starter takers mixture roster doctor scales judge
listening
construct_extractive construct_llm verification ingestion serve web study meeting dataset negatives pairs training evaluation report audit
trials
cluster styling step_settings attacks timeline
construction forecast baselines
pipeline
show ablation improve outlook forgetting exporting
published comparison registry
release
cli
__main__
"""
"""From the bottom to the top, one layer a line."""
FREE_BELOW = "construct_extractive"
"""Modules of one layer do not know each other from the layer of this one on; below it they may."""
HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "aiohttp",
    "phonenumbers",
    "ray",
    "matplotlib",
    "sklearn",
    "sacrebleu",
    "rouge_score",
    "bm25s",
    "accelerate",
    "fastapi",
    "uvicorn",
}
SIDEWAYS = {("pairs", "dataset"), ("negatives", "dataset"), ("pairs", "negatives")}
"""Allowed within a layer, with the reason: pairs are mined from the dataset by the same search for rivals, and from sampled answers."""


def layer(name: str) -> int:
    """The layer of a module; every module must be in one."""
    for place, members in enumerate(LAYERS.split("\n")):
        if name in members.split():
            return place
    raise AssertionError(f"persllm.{name} is in no layer: add it to tests/test_layers.py and to AGENTS.md")


def imports(file: Path) -> list[tuple[str, bool]]:
    """(module, whether at the top of the file) of every import."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"persllm.{alias.name}" for alias in node.names] if node.module == "persllm" else [node.module]
            found += [(name, id(node) in top) for name in names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
    return found


FILES = sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file: Path) -> None:
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, _ in imports(file):
        other = module.removeprefix("persllm.").split(".")[0]
        if module.startswith("persllm.") and not other.startswith("__") and other != own:
            assert layer(other) < layer(own) or (own, other) in SIDEWAYS or layer(own) == layer(other) < layer(FREE_BELOW), (
                f"{own} imports {other}"
            )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_stay_short(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").count("\n")
    assert lines <= 420, f"{file.name} has {lines} lines: which idea is missing?"


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, persllm.cli; found = {HEAVY!r} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_parses(recipe: Path) -> None:
    assert read_recipe(recipe).name == recipe.stem
