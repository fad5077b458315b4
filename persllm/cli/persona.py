"""Verbs about a persona folder: begin one, look whether it will be enough."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.options import JsonOption, SetOption, recipe_of


def new(directory: Annotated[Path, typer.Argument(help="The folder to make.")]) -> None:
    """Write a persona folder that runs as it is, with a recipe beside it."""
    from persllm.starter import write_starter

    recipe = write_starter(directory)
    print(f"{directory}: a person to begin with. Try it: persllm run {recipe}")


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
    kind: Annotated[str, typer.Option(help="speech, experience or knowledge, if all sources are that.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, say what would be made, change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a persona folder of books, letters, chats or films; `persllm run` takes it as it is."""
    from persllm.cli.display import Display
    from persllm.cli.ingested import lines_of
    from persllm.ingestion import ingest as make
    from persllm.ingestion import request_of

    request = request_of(sources, person, alias or (), format_, language, stages, kind)
    with Display().bar("reading the sources") as progress:
        made = make(request, into, dry_run, progress)
    print(made.model_dump_json(indent=2) if as_json else "\n".join(lines_of(made)))


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
