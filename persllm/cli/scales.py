"""The verb that puts a questionnaire to the persons of a run."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, RunArgument


def scales(
    run: RunArgument,
    scale: Annotated[str, typer.Option(help="`short`, a JSON file of a scale, or a folder with LANGUAGE/questions.json.")] = "short",
    taker: Annotated[
        Optional[list[str]], typer.Option(help="Who is asked, such as dpo; may be repeated. All of the run if not given.")
    ] = None,
    wording: Annotated[str, typer.Option(help="`interview` asks in plain talk, `survey` as the file has it.")] = "interview",
    labels: Annotated[Optional[Path], typer.Option(help="CSV of what people say: persona, stage, and domains, or item and answer.")] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Ask again what was asked before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a Big Five questionnaire to every person at every stage, and tell whether the scores mean anything."""
    from persllm.errors import ConfigError
    from persllm.roster import page_language, persons_of
    from persllm.scales.agreement import read_labels
    from persllm.scales.page import ends, number, sheet_of
    from persllm.scales.reading import read_scale
    from persllm.scales.result import folder_of, put_scale
    from persllm.sheets import write_sheet
    from persllm.store import Run

    if wording not in ("interview", "survey"):
        raise ConfigError(f'--wording {wording}: there are "interview" and "survey".')
    opened, chosen = Run.open(run), read_scale(scale)
    personas = persons_of(opened)
    given = read_labels(labels, chosen, personas) if labels else None
    with Display().bar("scales") as progress:
        found = put_scale(opened, chosen, wording, taker or (), given, redo, progress)
    sheet = sheet_of(found, page_language(personas))
    page = write_sheet(folder_of(opened, chosen, wording) / "result", sheet, found)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    for one in found.standings:
        print(
            f"{one.taker:10} alpha {number(one.alpha)}  retest {number(one.retest_r)}  order effect {number(one.order_effect)}  "
            f"spread {number(one.spread)}  stages that differ {one.certain} of {one.changes}"
        )
    for row in found.agreement:
        print(f"{row.taker:10} beside the labels: r {number(row.r)}, error {number(row.error)} {ends(row.low, row.high)}, guess {number(row.guess)}, n={row.n}")  # fmt: skip
    print(f"{sheet.verdict}\n{page}")
