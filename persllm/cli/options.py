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

DEVICES = "Several devices (docs/distributed.md)"
LaunchOption = Annotated[
    str,
    typer.Option(
        "--launch", help="Train through Accelerate: fsdp2, zero2, zero3, multi_gpu, cpu, or a configuration file.", rich_help_panel=DEVICES
    ),
]
ProcessesOption = Annotated[
    Optional[int],
    typer.Option("--processes", min=1, help="Processes on all machines; one for each GPU if not given.", rich_help_panel=DEVICES),
]
MachinesOption = Annotated[Optional[int], typer.Option("--machines", min=1, help="Machines that train together.", rich_help_panel=DEVICES)]
MachineRankOption = Annotated[
    Optional[int], typer.Option("--machine-rank", min=0, help="Which of them this is, from 0.", rich_help_panel=DEVICES)
]
AddressOption = Annotated[str, typer.Option("--main-address", help="HOST:PORT of machine 0.", rich_help_panel=DEVICES)]


def launch_of(config: str, processes: int | None, machines: int | None, machine_rank: int | None, address: str):
    """The launch that the options name, checked; None without --launch. ConfigError for the others without it."""
    from persllm.errors import ConfigError
    from persllm.launching import Launch, plan

    if not config:
        if processes or machines or machine_rank is not None or address:
            raise ConfigError("--processes, --machines, --machine-rank and --main-address go with --launch.")
        return None
    launch = Launch(config=config, processes=processes, machines=machines, machine_rank=machine_rank, address=address)
    plan(launch)
    return launch


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
