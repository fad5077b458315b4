"""The verb that attacks the persons of a run."""

from typing import Annotated, Optional

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, RunArgument


def attack(
    run: RunArgument,
    taker: Annotated[
        Optional[list[str]], typer.Option(help="Who is attacked, such as dpo; may be repeated. All of the run if not given.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="About so many attacks of each family, and as many true twins.")] = 24,
    redo: Annotated[bool, typer.Option("--redo", help="Attack again where it was done before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Press falsehoods about themselves upon the persons of a run, by family, over several turns; and the truth beside it."""
    from persllm.attacks.page import sheet_of
    from persllm.attacks.result import FOLDER
    from persllm.attacks.result import attack as carry_out
    from persllm.roster import page_language, persons_of
    from persllm.sheets import write_sheet
    from persllm.store import Run

    opened = Run.open(run)
    with Display().bar("attacks") as progress:
        found = carry_out(opened, taker or (), number, redo, progress)
    persons = persons_of(opened)
    sheet = sheet_of(found, {persona.id: persona.name for persona in persons}, page_language(persons))
    page = write_sheet(opened.path / FOLDER / "result", sheet, found)
    print(found.model_dump_json(indent=2) if as_json else f"{sheet.verdict}\n{page}")
