"""Verbs about a persona folder: begin one, look whether it will be enough."""

import json
from pathlib import Path
from typing import Annotated

import typer

from persllm.cli.options import JsonOption, SetOption, recipe_of


def new(directory: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Write a persona folder that runs as it is, with a recipe beside it."""
    from persllm.starter import write_starter

    recipe = write_starter(directory)
    print(f"{directory}: a person to begin with. Try it: persllm run {recipe}")


def check(
    target: Annotated[str, typer.Argument(help="A persona folder, a recipe file, or the name of a bundled recipe.")],
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the materials can be used, what there is of each kind and stage, and what is thin. Changes nothing."""
    from persllm.materials import examine, read_folder

    folders = [Path(target)] if Path(target).is_dir() else [Path(f) for f in recipe_of(target, settings).personas]
    findings = [examine(read_folder(folder)) for folder in folders]
    if as_json:
        print(json.dumps([finding.model_dump() for finding in findings], ensure_ascii=False, indent=2))
        return
    for finding in findings:
        print(f"{finding.persona}")
        for stage, kinds in finding.counts.items():
            parts = ", ".join(f"{count} {kind} ({finding.words[stage][kind]} words)" for kind, count in sorted(kinds.items()))
            print(f"  {stage}: {parts or 'nothing'}")
        for warning in finding.warnings:
            print(f"  note: {warning}")
