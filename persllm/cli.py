"""The command `persllm`: each verb calls one function of the library and prints.

Exit codes: 0 done, 1 a fault of ours (with traceback), 2 something the user can mend (one clear line), 130
stopped by the user. `--json` prints for machines.
"""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from persllm.errors import PersllmError

app = typer.Typer(
    help="Put a person into a language model, and know whether it worked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled recipe such as `demo`.")]
RunArgument = Annotated[Path, typer.Argument(help="A run folder, such as runs/demo.")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]
SetOption = Annotated[Optional[list[str]], typer.Option("--set", help="Override a setting: --set sft.epochs=3. May be repeated.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


STOPPED = 130
"""Exit code of a command that the user stopped."""


def main() -> None:
    """Entry point: turns errors a user can act on into one line, and a stop into exit code 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stopped = app(standalone_mode=False)
        if stopped == STOPPED:  # Typer swallows Ctrl-C and returns the exit code
            raise KeyboardInterrupt
    except PersllmError as error:
        print(f"persllm: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BaseException as error:
        if not by_user(error):
            fail(error)
        print("persllm: stopped. What is finished is kept; the same command goes on from here.", file=sys.stderr)
        raise SystemExit(STOPPED) from None


def by_user(error: BaseException | None) -> bool:
    """Whether Ctrl-C is the cause, also where a library turned it into an error of its own."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or by_user(error.__cause__ or error.__context__))


def fail(error: BaseException) -> NoReturn:
    """Leave with one line about wrong words of the command, quietly if nobody reads on, else with the traceback."""
    if isinstance(error, BrokenPipeError):
        raise SystemExit(0) from None
    shown = getattr(error, "format_message", None)
    if shown is None:
        raise error
    print(f"persllm: {shown()}", file=sys.stderr)
    raise SystemExit(2) from None


@app.command()
def new(directory: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Write a persona folder that runs as it is, with a recipe beside it."""
    from persllm.starter import write_starter

    recipe = write_starter(directory)
    print(f"{directory}: a person to begin with. Try it: persllm run {recipe}")


@app.command()
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


@app.command()
def run(
    recipe: RecipeArgument,
    name: Annotated[str, typer.Option("--run", help="Name of the run folder; the recipe's name if not given.")] = "",
    runs: RunsOption = Path("runs"),
    settings: SetOption = None,
    redo: Annotated[str, typer.Option(help="Make this step and all later ones again.")] = "",
    until: Annotated[str, typer.Option(help="Stop after this step.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, show what would be done, change nothing.")] = False,
) -> None:
    """From materials to a trained, measured persona: all steps that are owed."""
    from persllm.pipeline import run_recipe

    wanted = recipe_of(recipe, [*(settings or []), *([f"name={json.dumps(name)}"] if name else [])])
    if dry_run:
        show_plan(wanted, runs)
        return
    say_where_text_goes(wanted)
    display = Display()
    made = run_recipe(wanted, runs, display.step, redo, until)
    display.table()
    if not until:
        print_result(made.path)


@app.command()
def show(
    run: RunArgument,
    step: Annotated[str, typer.Argument(help="A step, to see some of its records.")] = "",
    number: Annotated[int, typer.Option("-n", help="How many records.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """What a run has done so far; with a step, some of its records."""
    from persllm.show import sample_records, steps_of

    if step:
        print(sample_records(run, step, number, as_json))
        return
    rows = steps_of(run)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        print(f"{row['step']:14} {row['state']:10} {row['seconds'] or '':>8} {row['facts']}")


@app.command()
def evaluate(run: RunArgument, settings: SetOption = None) -> None:
    """Examine a trained run again, for instance with --set evaluation.items_per_set=200; then report."""
    redo_from(run, "8-evaluation", settings)


@app.command()
def report(run: RunArgument) -> None:
    """Write the report of a run again."""
    redo_from(run, "9-report", None)


@app.command()
def chat(
    run: RunArgument,
    persona: Annotated[str, typer.Option(help="Which person; needed if the run has several.")] = "",
    stage: Annotated[str, typer.Option(help="Which stage; the last one if not given.")] = "",
    analysis: Annotated[bool, typer.Option(help="Let the person think before the answer, and show it.")] = False,
    taker: Annotated[str, typer.Option(help="sft or dpo.")] = "",
) -> None:
    """Talk to a trained person. Answers are made by a model, not by a human being."""
    from persllm.agent import open_agent

    agent = open_agent(run, persona, stage, taker)
    print(f"You talk to a language model trained as {agent.title}. /stage {'|'.join(agent.stages)}, /again, /quit.")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return
        if line in ("/quit", "/exit"):
            return
        if line.startswith("/stage"):
            try:
                agent = agent.at(line.removeprefix("/stage").strip())
                print(f"[{agent.title}]")
            except PersllmError as error:
                print(error)
            continue
        if not line:
            continue
        reply = agent.again(analysis) if line == "/again" else agent.say(line, analysis)
        if reply.thought and analysis:
            print(f"[analysis] {reply.thought}")
        print(reply.text or f"[no answer: {reply.error or 'nothing but an end of turn'}]")


# What the verbs share ------------------------------------------------------------------------------------


def recipe_of(target: str, settings: list[str] | None):
    """The recipe a command names."""
    from persllm.config import read_recipe

    return read_recipe(target, tuple(settings or ()))


def redo_from(run: Path, step: str, settings: list[str] | None) -> None:
    """Make a late step of a run again, with other settings of the evaluation if wanted."""
    from persllm.config import Recipe, apply_override, parse
    from persllm.pipeline import run_recipe
    from persllm.store import Run

    tree = Run.open(run).recipe.model_dump(mode="json")
    for override in settings or []:
        apply_override(tree, override)
    display = Display()
    made = run_recipe(parse(Recipe, tree, f"{run}/config.json"), run.parent, display.step, redo=step)
    display.table()
    print_result(made.path)


def show_plan(recipe, runs: Path) -> None:
    """What `run` would do."""
    from persllm.pipeline import STEPS, read_folders
    from persllm.store import Run

    folders = read_folders(recipe)
    run = Run(runs / recipe.name)
    print(f"{run.path}: {recipe.mode}, base {recipe.base.model}, constructor {recipe.constructor.engine}")
    for folder in folders:
        print(f"  {folder.persona.name}: {', '.join(s.id for s in folder.persona.stages)}; {len(folder.materials)} materials")
    say_where_text_goes(recipe)
    for step in STEPS:
        print(f"  {step.folder:14} {'finished' if run.step(step.folder).finished else 'to do'}")


def say_where_text_goes(recipe) -> None:
    """Name the address that will receive text of the materials, before it does."""
    if recipe.constructor.engine == "llm":
        print(f"text of the materials will be sent to {recipe.constructor.api.url}", file=sys.stderr)


def print_result(run: Path) -> None:
    """The path of the report, the sentence it opens with, and three exchanges."""
    from persllm.report import closing_lines

    print(closing_lines(run))


class Display:
    """A progress bar with the time left for each step, and a table of times at the end."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def step(self, step) -> Iterator:
        """A bar for one step."""
        import time

        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        started = time.monotonic()
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            task = bars.add_task(step.title, total=None)
            if not console.is_terminal:
                print(f"{step.title} ...", file=sys.stderr, flush=True)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        self.times.append((step.title, time.monotonic() - started))

    def table(self) -> None:
        """The time of each step that was done now."""
        for title, seconds in self.times:
            print(f"{title:24} {seconds:7.1f} s")
        print(f"{'all steps':24} {sum(seconds for _, seconds in self.times):7.1f} s")


if __name__ == "__main__":
    main()
