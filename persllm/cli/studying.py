"""Verbs of a blind study: make one from a run, let raters in, read the results."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from persllm.cli.options import JsonOption, RunArgument

FolderArgument = Annotated[Path, typer.Argument(help="The study's folder.")]

study = typer.Typer(help="People judge blind which answers are better: make a study, serve it, read the results.", no_args_is_help=True)


@study.command()
def new(
    run: RunArgument,
    folder: FolderArgument,
    takers: Annotated[
        Optional[list[str]], typer.Option("--taker", help="A taker to compare; give two or more. Otherwise prompted and dpo.")
    ] = None,
    items: Annotated[int, typer.Option(help="Questions, spread over test sets, persons and stages.")] = 24,
    tasks: Annotated[
        Literal["pairs", "ratings", "both"], typer.Option(help="Two answers side by side, one on a scale, or both.")
    ] = "pairs",
    talk: Annotated[Literal["fixed", "free"], typer.Option(help="Fixed questions, or a talk of the rater's own.")] = "fixed",
    title: Annotated[str, typer.Option(help="What raters read at the head of each page.")] = "",
) -> None:
    """Make a study of a finished run: study.yaml to edit, and its items."""
    from persllm.study import new_study

    more = {"title": title} if title else {}
    settings, count = new_study(run, folder, takers or (), items, tasks=tasks, talk=talk, **more)
    print(f"{folder}: {count} items, {' against '.join(settings.takers)}. Complete the consent text in {folder}/study.yaml, then:")
    print(f"persllm study serve {folder}")


@study.command()
def serve(
    folders: Annotated[list[Path], typer.Argument(help="One study or several.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets the whole network in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8010,
) -> None:
    """Let raters in: prints the secret link of each study. Works without network on one laptop."""
    from persllm.agent import Company
    from persllm.listening import key_for, open_socket, run_server
    from persllm.study.app import open_studies, study_app

    studies = open_studies(folders, Company)
    key, _ = key_for(host)

    def ready(url: str) -> None:
        for opened in studies:
            print(f"{opened.settings.title}: {url}/s/{opened.key}/", flush=True)
        print("Give raters these links. Ctrl-C stops; nothing judged is lost.", file=sys.stderr, flush=True)

    with open_socket(host, port) as listener:
        run_server(study_app(studies, key), listener, ready)


@study.command()
def results(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Preferences, Bradley-Terry, agreement, with intervals; also as results.html and judgements.csv in the folder."""
    from persllm.study import write_results
    from persllm.study.page import number, share, summary

    found = write_results(folder)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    print(f"{found.began} raters began, {found.finished} finished, {found.left_out} left out; {found.judgements} judgements")
    print(summary(found))
    for p in found.preferences:
        print(f"  {p.dimension:14} {p.taker} against {p.other}: {share(p.share)}; {p.wins} won, {p.ties} tied, {p.losses} lost")
    for s in found.standings:
        print(f"  {s.dimension:14} {s.taker}: strength {number(s.strength)}, rating {number(s.rating)}")
    for a in found.agreements:
        print(f"  {a.dimension:14} agreement on {a.kind}s: {number(a.alpha)}")
    print(f"{folder / 'results.html'}")
