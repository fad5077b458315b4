"""The verb that asks what is known when."""

from typing import Annotated, Optional

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, RunArgument


def timeline(
    run: RunArgument,
    taker: Annotated[
        Optional[list[str]], typer.Option(help="Who is asked, such as dpo; may be repeated. All of the run if not given.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="At most so many matters of each person and stage, asked at every stage.")] = 8,
    redo: Annotated[bool, typer.Option("--redo", help="Ask again what was asked before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What the persons of a run know at every stage: the present, the past, and nothing of the future or of what they missed."""
    from persllm.roster import page_language, persons_of
    from persllm.sheets import write_sheet
    from persllm.store import Run
    from persllm.timeline.page import sheet_of
    from persllm.timeline.result import FOLDER
    from persllm.timeline.result import timeline as ask

    opened = Run.open(run)
    with Display().bar("timeline") as progress:
        found = ask(opened, taker or (), number, redo, progress)
    sheet = sheet_of(found, page_language(persons_of(opened)))
    page = write_sheet(opened.path / FOLDER / "result", sheet, found)
    print(found.model_dump_json(indent=2) if as_json else f"{sheet.verdict}\n{page}")
