"""Verbs that measure: put any model to any test; leave parts of the method out and compare."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.display import Display, say_where_text_goes
from persllm.cli.options import JsonOption, LocalOnlyOption, RecipeArgument, RunsOption, SetOption, recipe_of
from persllm.cli.runs import redo_from


def evaluate(
    model: Annotated[str, typer.Argument(help="A run folder; with --test also RUN:TAKER, a model folder, a name, or an address.")],
    test: Annotated[
        Optional[Path],
        typer.Option("--test", help="JSONL of test items or hand-written questions, a persona folder, or a run. Without it: the run's own examination again."),
    ] = None,
    manner: Annotated[str, typer.Option("--taker-manner", help="How the model learns who answers: plain, prompted, retrieval, trained.")] = "",
    persona: Annotated[Optional[list[Path]], typer.Option("--persona", help="Folder of a person who is asked. May be repeated.")] = None,
    served_as: Annotated[str, typer.Option("--model-name", help="The name by which an address knows the model.")] = "",
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder of the results; without it a new one below evaluations/.")] = None,
    settings: SetOption = None,
    local_only: LocalOnlyOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Examine a trained run again, or put any model to any test."""
    if test is None:
        redo_from(Path(model), "8-evaluation", settings, local_only)
        return
    from persllm.comparison import aligned, headline_rows
    from persllm.evaluation.one import entrant_of, put_to_test
    from persllm.statistics import Figure

    entrant = entrant_of(model, served_as)
    recipe = recipe_for(entrant.name, model, served_as, manner, settings or [])
    say_where_text_goes(recipe, local_only)
    with Display().bar("evaluation") as progress:
        folder, facts = put_to_test(entrant, test, recipe, persona or [], manner, out, progress)
    figures = folder.records(Figure, "figures.jsonl")
    if as_json:
        print(json.dumps({"folder": str(folder.path), **facts, "figures": [one.model_dump() for one in figures]}, ensure_ascii=False))
        return
    print(aligned(headline_rows(figures, [entrant.name])))
    if facts["near_trained"]:
        print(f"{facts['near_trained']} of {facts['items']} questions are nearly those of the training: near.jsonl names them.")
    print(f"{facts['unscored']} of {facts['scores']} scores could not be taken; reasons stand in {folder.path / 'scores.jsonl'}")


def recipe_for(name: str, model: str, served_as: str, manner: str, settings: list[str]):
    """The settings of an examination outside of a run, with the address as a model if there is one."""
    from persllm.config import Recipe
    from persllm.parsing import apply_override, parse

    tree: dict = {"name": name, "personas": ["-"]}
    if "://" in model:
        api = {"url": model, "model": served_as}
        tree["evaluation"] = {
            "models": {name: {"api": api, "manner": "prompted" if manner == "retrieval" else manner or "prompted"}},
            "takers": [name],
        }
    for override in settings:
        apply_override(tree, override)
    return parse(Recipe, tree, "--set")


def ablate(
    recipe: RecipeArgument,
    without: Annotated[
        Optional[list[str]], typer.Option("--without", help="A part to leave out, such as chain_of_thought; all parts if not given. May be repeated.")
    ] = None,
    name: Annotated[str, typer.Option("--run", help="Name of the full run; the recipe's name if not given.")] = "",
    runs: RunsOption = Path("runs"),
    settings: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which steps would be shared and which done, change nothing.")] = False,
    local_only: LocalOnlyOption = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """What each part of the method is worth: the run without it, beside the full one, on the same questions."""
    from persllm import ablation
    from persllm.comparison import ablation_rows, ablation_sheet, aligned
    from persllm.roster import page_language, persons_of
    from persllm.sheets import write_sheet
    from persllm.store import Run

    wanted = recipe_of(recipe, [*(settings or []), *([f"name={json.dumps(name)}"] if name else [])])
    parts = ablation.chosen(without or [])
    if dry_run:
        print_plan(ablation.plan(wanted, runs, parts), as_json)
        return
    say_where_text_goes(wanted, local_only)
    table = ablation.ablate(wanted, runs, parts, Display().step)
    page = write_sheet(runs / table.run / "ablations", ablation_sheet(table, page_language(persons_of(Run(runs / table.run)))), table)
    print(table.model_dump_json() if as_json else aligned(ablation_rows(table)))
    if not as_json:
        print(f"* certain after correction for {table.comparisons} comparisons (Holm, 5 %); one seed. {page}")


def print_plan(rows, as_json: bool) -> None:
    """Every step of every ablation."""
    if as_json:
        print(json.dumps([row.model_dump() for row in rows]))
        return
    for row in rows:
        print(f"{row.ablation:18} {row.step:14} {row.state:8}{f' about {row.seconds:.0f} s' if row.seconds else ''}")
    owed = [row for row in rows if row.state == "to do"]
    known = sum(row.seconds or 0 for row in owed)
    print(f"{len(owed)} steps to do{f', about {known / 60:.0f} minutes by the times of the full run' if known else ''}")
