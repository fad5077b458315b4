"""Verbs about trained results: list them, look at one, name it, go back, merge adapters."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.options import JsonOption, RunArgument

models = typer.Typer(help="Every trained result of a run: its scores, data and weights; tags, the way back, merging.", no_args_is_help=True)
PersonaOption = Annotated[str, typer.Option(help="Which person, where each has a model of its own.")]
NameArgument = Annotated[str, typer.Argument(help="sft, dpo, a version such as v1, or a tag; the one in use if not given.")]


@models.command("list")
def list_results(
    targets: Annotated[Optional[list[Path]], typer.Argument(help="Run folders, or folders of runs; `runs` if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """All results, with weights, data and the main scores."""
    from persllm.registry import Registry, runs_below

    found = [result for run in runs_below(targets or [Path("runs")]) for result in Registry(run).results]
    if as_json:
        print(json.dumps([result.model_dump(mode="json") for result in found], ensure_ascii=False, indent=2))
        return
    for run in dict.fromkeys(result.run for result in found):
        own = [result for result in found if result.run == run]
        print(
            f"{run}: base {own[0].base}, {', '.join(f'{key}={value}' for key, value in own[0].settings.items()) or 'all settings as they are'}"
        )
        for result in own:
            print(row(result))
    print("* in use. Scores are over all test items, with the 95 % interval. persllm models show RUN NAME tells all of one.")


def row(result) -> str:
    """One result on two lines."""
    tags = f" [{', '.join(result.tags)}]" if result.tags else ""
    state = "" if result.kept else ", rejected"
    state += "" if result.standing else ", made before the run was trained anew"
    head = f"{'*' if result.in_use else ' '} {result.name}{tags}  {', '.join(result.persons)}; {result.adapter} on {result.parent}; {result.made}{state}"
    marks = f"weights {result.weights}, data {result.data or 'not there'}{changed(result.data_state)}"
    return f"{head}\n    {marks}\n    {scores(result)}"


def changed(state: str) -> str:
    """What there is to say about data."""
    return {"stale": " (changed since)", "by settings": " (not written down at the training)"}.get(state, "")


def scores(result, most: int = 4) -> str:
    """The first of the main scores in a line."""
    if result.scores_state == "stale":
        return "scores stale: the model is not the one that was examined. persllm evaluate RUN examines it."
    if not result.scores:
        return "never examined"
    chosen = [figure for figure in result.scores if figure.metric in ("choice", "resistance", "false_denial", "leak", "identified_stage")]
    checked = "" if result.scores_state == "checked" else " (weights not written down at the examination)"
    return "; ".join(f"{f.metric} {f.value:.3f} [{f.low:.3f}, {f.high:.3f}] n={f.n}" for f in chosen[:most]) + checked


@models.command("show")
def show_result(run: RunArgument, name: NameArgument = "", persona: PersonaOption = "", as_json: JsonOption = False) -> None:
    """One result: where it comes from, all main scores, and whether they are of the model that is there."""
    from persllm.registry import Registry

    result = Registry(run).find(name, persona)
    if as_json:
        print(result.model_dump_json(indent=2))
        return
    print(row(result).split("\n")[0].strip("* "))
    facts = {
        "folder": result.folder, "base": result.base, "trained from": result.parent, "weights": result.weights,
        "data": f"{result.data}{changed(result.data_state)}", "scores": {"checked": "measured on these weights"}.get(result.scores_state, result.scores_state),
    }  # fmt: skip
    for key, value in {**facts, **{f"--set {key}": value for key, value in result.settings.items()}}.items():
        print(f"  {key:34} {value}")
    for figure in result.scores:
        title = f"{figure.metric} {figure.detail}".strip()
        print(f"  {title:34} {figure.value:8.4f} [{figure.low:.4f}, {figure.high:.4f}]  n={figure.n}, unscored {figure.unscored}")


@models.command()
def tag(
    run: RunArgument,
    name: Annotated[str, typer.Argument(help="sft, dpo, v1, ..., or a tag.")],
    tag: Annotated[str, typer.Argument(help="The name to give.")],
    delete: Annotated[bool, typer.Option("--delete", help="Take this tag away instead.")] = False,
) -> None:
    """Give a result a name of your own, pinned to its weights; set again, it moves."""
    from persllm.registry import Registry

    registry = Registry(run)
    if delete:
        registry.untag(tag)
        print(f"{tag}: taken away")
        return
    registry.tag(name, tag)
    print(f"{tag}: {registry.tags[tag].result}, weights {', '.join(registry.tags[tag].weights.values())}")


@models.command()
def rollback(
    run: RunArgument,
    to: Annotated[str, typer.Argument(help="v1, a tag, or 0 for the run itself; the one before if not given.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Use an earlier version again; the same as `persllm improve RUN --back N`."""
    from persllm.registry import roll_back

    number = roll_back(run, to)
    print(json.dumps({"current": number}) if as_json else f"in use: {f'version {number}' if number else 'the run itself'}")


@models.command()
def merge(
    base: Annotated[Path, typer.Argument(help="A model folder: the stage base that the adapter was trained on.")],
    adapters: Annotated[list[Path], typer.Argument(help="Adapter folders, each trained upon the one before.")],
    out: Annotated[Path, typer.Option(help="A folder that is empty or not there.")],
) -> None:
    """Merge adapters into their base; `persllm export RUN --to merged` does it for a result of a run."""
    from persllm.release.adapter import merge as merge_adapters

    merge_adapters(base, adapters, out)
    print(f"{out}: {base} with {', '.join(map(str, adapters))}")
