"""Verbs about a run: make it, look into it, report."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.display import Display, print_result, say_where_text_goes
from persllm.cli.options import (
    AddressOption,
    JsonOption,
    LaunchOption,
    LocalOnlyOption,
    MachineRankOption,
    MachinesOption,
    ProcessesOption,
    RecipeArgument,
    RunArgument,
    RunsOption,
    SetOption,
    changed_recipe,
    launch_of,
    recipe_of,
)


def run(
    recipe: RecipeArgument,
    name: Annotated[str, typer.Option("--run", help="Name of the run folder; the recipe's name if not given.")] = "",
    runs: RunsOption = Path("runs"),
    settings: SetOption = None,
    redo: Annotated[str, typer.Option(help="Make this step and all later ones again.")] = "",
    until: Annotated[str, typer.Option(help="Stop after this step.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, show what would be done, change nothing.")] = False,
    local_only: LocalOnlyOption = False,
    launch: LaunchOption = "",
    processes: ProcessesOption = None,
    machines: MachinesOption = None,
    machine_rank: MachineRankOption = None,
    address: AddressOption = "",
) -> None:
    """From materials to a trained, measured persona: all steps that are owed."""
    from persllm.pipeline import run_recipe

    wanted = recipe_of(recipe, [*(settings or []), *([f"name={json.dumps(name)}"] if name else [])])
    if dry_run:
        show_plan(wanted, runs, local_only)
        return
    say_where_text_goes(wanted, local_only)
    display = Display()
    made = run_recipe(wanted, runs, display.step, redo, until, launch=launch_of(launch, processes, machines, machine_rank, address))
    display.table()
    if not until:
        print_result(made.path)


def show(
    run: RunArgument,
    step: Annotated[str, typer.Argument(help="A step, to see some of its records.")] = "",
    number: Annotated[int, typer.Option("-n", help="How many records.")] = 5,
    trace: Annotated[str, typer.Option("--trace", help="Id of a sample (or its beginning): shows file and line of the original.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What a run has done so far; with a step, some of its records; with --trace, where a sample comes from."""
    from persllm import tracing
    from persllm.show import sample_records, steps_of

    if trace:
        found = tracing.trace(run, trace)
        print(found.model_dump_json(indent=2) if as_json else tracing.told(found))
        return
    if step:
        print(sample_records(run, step, number, as_json))
        return
    rows = steps_of(run)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        print(f"{row['step']:14} {row['state']:10} {row['seconds'] or '':>8} {row['facts']}")


def report(
    runs: Annotated[list[Path], typer.Argument(help="A run folder, to write its report again; or several, to compare them.")],
    out: Annotated[Optional[Path], typer.Option(help="Folder of a comparison; without it, one beside the first run.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run again, or put several runs on one page: what changed in the settings, and what came of it."""
    if len(runs) == 1:
        redo_from(runs[0], "9-report", None)
        return
    from persllm.report.comparing import told, write_comparison

    found, file = write_comparison(runs, out)
    print(found.model_dump_json(indent=2) if as_json else told(found, file))


def redo_from(run: Path, step: str, settings: list[str] | None, local_only: bool = False) -> None:
    """Make a late step of a run again, with other settings of the evaluation if wanted."""
    from persllm.pipeline import run_recipe
    from persllm.privacy import refuse_remote
    from persllm.store import Run

    wanted = changed_recipe(Run.open(run), settings)
    refuse_remote(wanted, local_only)
    display = Display()
    made = run_recipe(wanted, run.parent, display.step, redo=step)
    display.table()
    print_result(made.path)


def show_plan(recipe, runs: Path, local_only: bool = False) -> None:
    """What `run` would do."""
    from persllm.pipeline import STEPS, read_folders
    from persllm.store import Run

    folders = read_folders(recipe)
    run = Run(runs / recipe.name)
    print(f"{run.path}: {recipe.mode}, base {recipe.base.model}, constructor {recipe.constructor.engine}")
    for folder in folders:
        print(f"  {folder.persona.name}: {', '.join(s.id for s in folder.persona.stages)}; {len(folder.materials)} materials")
    say_where_text_goes(recipe, local_only)
    for step in STEPS:
        print(f"  {step.folder:14} {'finished' if run.step(step.folder).finished else 'to do'}")
