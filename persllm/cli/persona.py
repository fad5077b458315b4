"""Verbs about a persona folder: begin one, look whether it will be enough."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.options import JsonOption, LocalOnlyOption, RunsOption, SetOption, recipe_of


def new(
    directory: Annotated[Path, typer.Argument(help="The folder to make.")],
    card: Annotated[Optional[Path], typer.Option(help="A character card (V1, V2, V3; JSON, PNG or CHARX) to make it of.")] = None,
    user: Annotated[str, typer.Option(help="With --card: who talks to the character, in place of {{user}}.")] = "",
) -> None:
    """Write a persona folder that runs as it is, with a recipe beside it; or make one of a character card."""
    if card is None:
        from persllm.starter import write_starter

        recipe = write_starter(directory)
        print(f"{directory}: a person to begin with. Try it: persllm run {recipe}")
        return
    from persllm.cards.folder import card_to_folder

    made = card_to_folder(card, directory, user)
    print(
        f"{directory}: {made.name}, {made.exchanges} exchanges, {made.knowledge} articles. Try it: persllm run {directory / 'recipe.yaml'}"
    )
    if made.ignored:
        print(f"not used, since it tells a chat program what to do: {', '.join(made.ignored)}")


def ingest(
    sources: Annotated[list[Path], typer.Argument(help="Files and folders: books, letters, chats, films, in any known format.")],
    person: Annotated[str, typer.Option("--person", help="The person's name, as the sources have it.")],
    into: Annotated[Path, typer.Option("--into", help="The persona folder to make, or to add to.")],
    alias: Annotated[Optional[list[str]], typer.Option("--alias", help="Another form of the name. May be repeated.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format of all sources; recognised if not given.")] = "",
    language: Annotated[str, typer.Option(help="en or zh; told by the text if not given.")] = "",
    stages: Annotated[
        str, typer.Option(help="chapter, file, propose, or ranges: early:1800-1810,late:1811- (years, or chapters 1-20).")
    ] = "",
    columns: Annotated[
        str, typer.Option("--map", help="Columns of CSV or JSONL: speaker=from,text=body,date=ts,thread=chat,reply_to=parent.")
    ] = "",
    kind: Annotated[str, typer.Option(help="speech, experience or knowledge, if all sources are that.")] = "",
    address: Annotated[str, typer.Option(help="An OpenAI-compatible address, to be asked where the rules are not sure.")] = "",
    model: Annotated[str, typer.Option(help="With --address: the model's name there.")] = "",
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="With --address: --set api.concurrency=4, --set budget.tokens=100000. May be repeated."),
    ] = None,
    budget_calls: Annotated[
        int, typer.Option("--budget-calls", min=0, help="With --address: at most so many calls, as --set budget.calls; 0 for no limit.")
    ] = 0,
    local_only: LocalOnlyOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, say what would be made, change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a persona folder of books, letters, chats or films; `persllm run` takes it as it is."""
    from persllm.cli.display import Display
    from persllm.cli.ingested import lines_of
    from persllm.ingestion import ingest as make
    from persllm.ingestion import request_of

    request = request_of(sources, person, alias or (), format_, language, stages, kind, columns)
    settings = [*(settings or []), *([f"budget.calls={budget_calls}"] if budget_calls else [])]
    with annotator_at(address, model, settings, dry_run, local_only) as annotator, Display().bar("reading the sources") as progress:
        if annotator and not dry_run:
            annotator.progress = progress.beside("asking the model")
        made = make(request, into, dry_run, progress, annotator)
    print(made.model_dump_json(indent=2) if as_json else "\n".join(lines_of(made)))


@contextlib.contextmanager
def annotator_at(address: str, model: str, settings: list[str], dry_run: bool, local_only: bool) -> Iterator:
    """The model at an address, named to the user before anything goes there; None without an address."""
    if not address:
        if model or settings:
            raise typer.BadParameter(
                "--model, --set and --budget-calls say how to ask the model at --address. Give --address, or leave them out."
            )
        yield None
        return
    from persllm.ingestion import Annotator, AnnotatorSettings
    from persllm.parsing import apply_override, parse
    from persllm.pipeline import default_cache
    from persllm.privacy import say

    tree: dict = {"api": {"url": address, "model": model}}
    for override in settings:
        apply_override(tree, override)
    wanted = parse(AnnotatorSettings, tree, "--set")
    annotator = Annotator(wanted, default_cache() / "calls", dry_run, local_only)
    if not dry_run:
        print(say(wanted.receiver, wanted.privacy), file=sys.stderr)
    with contextlib.closing(annotator):
        yield annotator


def forget(
    directory: Annotated[Path, typer.Argument(help="The persona folder.")],
    source: Annotated[
        str,
        typer.Option(
            "--source", help="Name of a source, as ingest.json has it, or of the archive or folder it lies in, with all that is in it."
        ),
    ],
    runs: RunsOption = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and which runs hold it; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove all that came from one source, and tell which runs and models still hold it."""
    from persllm.forgetting import forget as take_out
    from persllm.forgetting import told

    found = take_out(directory, source, runs, dry_run)
    print(found.model_dump_json(indent=2) if as_json else "\n".join(told(found)))


def check(
    target: Annotated[str, typer.Argument(help="A persona folder, a recipe file, or the name of a bundled recipe.")],
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """The doctor: what there is of each kind and stage, what is thin, what training can reach. Changes nothing."""
    from persllm.cli.display import reading
    from persllm.doctor import examined, overlaps
    from persllm.forecast import forecast_of
    from persllm.outlook import outlook

    recipe = recipe_for(Path(target), settings) if Path(target).is_dir() else recipe_of(target, settings)
    folders = [Path(folder) for folder in recipe.personas]
    with reading() as progress:
        examinations = [examined(folder, progress) for folder in folders]
    findings = [examination.diagnosis(recipe.doctor) for examination in examinations]
    shared = overlaps(examinations)
    ahead, calls = outlook(recipe, examinations), forecast_of(recipe)
    if as_json:
        found = {"persons": dump(findings), "overlaps": dump(shared), "outlook": ahead.model_dump(mode="json")}
        found |= {"forecast": calls.model_dump(mode="json")} if calls else {}
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for finding in findings:
        print(told(finding))
    for overlap in shared:
        if overlap.share:
            print(f"note: {overlap.share:.0%} of the smaller of {overlap.one} and {overlap.other} is much like something of the other")
    print(told_ahead(ahead))
    if calls:
        print("\n".join(calls.lines()))


def recipe_for(folder: Path, settings: list[str] | None):
    """The recipe of a folder alone: the defaults, and what --set says."""
    from persllm.config import Recipe
    from persllm.parsing import apply_override, parse

    tree: dict = {"name": "check", "personas": [str(folder)]}
    for override in settings or []:
        apply_override(tree, override)
    return parse(Recipe, tree, "--set")


def dump(records) -> list[dict]:
    """Records for machines."""
    return [record.model_dump(mode="json") for record in records]


def told(finding) -> str:
    """What the doctor found, for people."""
    unit = "characters" if finding.language == "zh" else "words"
    lines = [f"{finding.name} ({finding.persona}): {finding.verdict}", *(f"  - {reason}" for reason in finding.reasons)]
    for stage in finding.stages:
        kinds = sorted(stage.materials)
        parts = [f"{stage.materials[kind]} {kind} ({stage.words[kind]} {unit}, about {stage.tokens[kind]} tokens)" for kind in kinds]
        lines.append(f"  {stage.stage}: {', '.join(parts) or 'nothing'}")
        if stage.turns:
            lines.append(f"    {stage.turns} turns of the person, {stage.usable_turns} usable, in {stage.situations} situations")
    if finding.turns:
        lines.append(f"  one-word replies: {finding.one_word_replies:.0%} of {finding.turns} turns")
    lines.append(f"  near-duplicates: {finding.near_duplicates} of {finding.materials} materials")
    lines.append(f"  languages: {', '.join(f'{code} {share:.0%}' for code, share in finding.languages.items())}")
    lines += [f"  left out: {count} {reason}" for reason, count in finding.dropped.items()]
    lines += [f"  note: {warning}" for warning in finding.warnings]
    return "\n".join(lines)


def told_ahead(ahead) -> str:
    """What the recipe will make and need, for people."""
    made = f"{ahead.conversations} conversations, {ahead.samples} samples of {ahead.tokens / max(ahead.samples, 1):.0f} tokens"
    lines = [f"outlook: about {made} ({ahead.tokens / 1e6:.1f} million tokens a pass), at most {ahead.pairs} pairs; base {ahead.base}"]
    for machine in ahead.machines:
        minutes = 60 * machine.hours
        time = "under a minute" if minutes < 1 else f"about {minutes:.0f} min" if minutes < 120 else f"about {machine.hours:.0f} h"
        needs = f"{machine.needed:.1f} GB" if machine.fits else f"{machine.needed:.1f} GB, which it has not"
        lines.append(f"  {machine.machine}: {time}, {needs}")
    return "\n".join([*lines, *(f"  ({assumption})" for assumption in ahead.assumptions)])
