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
    from persllm.audit import audit as look
    from persllm.audit import write_audit
    from persllm.store import Run

    opened = Run.open(run)
    rules = changed_recipe(opened, settings).audit
    with Display().bar("audit") as progress:
        found = look(opened, taker, rules, progress)
    written = write_audit(opened, found)
    print(found.model_dump_json(indent=2) if as_json else f"{found.verdict}\n{written}")
