"""The command `persllm`: each verb calls one function of the library and prints.

Exit codes: 0 done, 1 a fault of ours (with traceback), 2 something the user can mend (one clear line), 130
stopped by the user. `--json` prints for machines.
"""

import signal
import sys
from typing import NoReturn

import typer

from persllm.cli import (
    attacking,
    auditing,
    exports,
    improve,
    judging,
    laboratory,
    meeting,
    models,
    persona,
    runs,
    scales,
    serving,
    studying,
    talk,
    timeline,
)
from persllm.errors import PersllmError

VERBS = (
    persona.new,
    persona.ingest,
    persona.forget,
    exports.export,
    persona.check,
    runs.run,
    runs.show,
    laboratory.evaluate,
    laboratory.ablate,
    runs.report,
    auditing.audit,
    judging.judge,
    attacking.attack,
    scales.scales,
    timeline.timeline,
    talk.chat,
    improve.improve,
    meeting.meet,
    serving.serve,
    serving.web,
)
"""Every verb, in the order in which `--help` shows them."""

app = typer.Typer(
    help="Put a person into a language model, and know whether it worked.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in VERBS:
    app.command()(verb)
app.add_typer(studying.study, name="study")
app.add_typer(models.models, name="models")

STOPPED = 130
"""Exit code of a command that the user stopped."""


def main() -> None:
    """Entry point: turns errors a user can act on into one line, and a stop into exit code 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stopped = app(standalone_mode=False)
        if stopped == STOPPED:  # Typer swallows Ctrl-C and returns the exit code
            raise KeyboardInterrupt
    except PersllmError as error:
        print(f"persllm: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BaseException as error:
        if not by_user(error):
            fail(error)
        print("persllm: stopped. What is finished is kept; the same command goes on from here.", file=sys.stderr)
        raise SystemExit(STOPPED) from None


def by_user(error: BaseException | None) -> bool:
    """Whether Ctrl-C is the cause, also where a library turned it into an error of its own."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or by_user(error.__cause__ or error.__context__))


def fail(error: BaseException) -> NoReturn:
    """Leave with one line about wrong words of the command, quietly if nobody reads on, else with the traceback."""
    if isinstance(error, BrokenPipeError):
        raise SystemExit(0) from None
    shown = getattr(error, "format_message", None)
    if shown is None:
        raise error
    print(f"persllm: {shown().replace('Value error, ', '')}", file=sys.stderr)  # Typer names Pydantic's kind of error
    raise SystemExit(2) from None
