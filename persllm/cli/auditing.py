"""The verb that asks what the weights of a run keep."""

from typing import Annotated

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, RunArgument, SetOption, changed_recipe


def audit(
    run: RunArgument,
    taker: Annotated[str, typer.Option(help="Who is audited, such as sft; the last trained one if not given.")] = "",
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the weights of a run keep: recited materials, planted canaries, personal data. A finding is no error."""
    from persllm.audit import FOLDER
    from persllm.audit import audit as look
    from persllm.audit.page import sheet_of
    from persllm.roster import page_language, persons_of
    from persllm.sheets import write_sheet
    from persllm.store import Run

    opened = Run.open(run)
    rules = changed_recipe(opened, settings).audit
    with Display().bar("audit") as progress:
        found = look(opened, taker, rules, progress)
    sheet = sheet_of(found, page_language(persons_of(opened)))
    page = write_sheet(opened.path / FOLDER / found.taker, sheet, found)
    print(found.model_dump_json(indent=2) if as_json else f"{sheet.verdict}\n{page}")
