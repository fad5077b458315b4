"""The arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated, Optional

import typer

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled recipe such as `demo`.")]
RunArgument = Annotated[Path, typer.Argument(help="A run folder, such as runs/demo.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]
SetOption = Annotated[Optional[list[str]], typer.Option("--set", help="Override a setting: --set sft.epochs=3. May be repeated.")]
LocalOnlyOption = Annotated[
    bool, typer.Option("--local-only", help="Refuse any address that is not on this machine, before anything is sent.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def changed_recipe(run, settings: list[str] | None):
    """The recipe of a run that is open, with other settings."""
    from persllm.config import Recipe
    from persllm.parsing import apply_override, parse

    tree = run.recipe.model_dump(mode="json")
    for override in settings or []:
        apply_override(tree, override)
    return parse(Recipe, tree, f"{run.path}/config.json")


def recipe_of(target: str, settings: list[str] | None):
    """The recipe a command names."""
    from persllm.config import read_recipe

    return read_recipe(target, tuple(settings or ()))
