"""Several machines at one run: machine 0 shows in `leading.json` of the run that it is at work, and why it failed; the others end with it.

Limits: all machines see the run folder under the same path. If another machine fails, machine 0 has only torch's own timeouts.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from persllm.errors import PersllmError, TrainingError
from persllm.records import Record
from persllm.store import replace_json

LEADING = "leading.json"
"""Written by machine 0 into the run folder while it is at work there; gone when all went well."""
BEAT = 10.0
"""Seconds between two signs of machine 0 that it is at work."""
SILENCE = 600.0
"""Seconds without a sign after which other machines give up: so long may machine 0 start later than they."""


class Sign(Record):
    """What machine 0 tells the others of itself."""

    id: str = ""
    """Tells one command from another."""
    beat: int = 0
    """Counts on as long as the command is at work."""
    failed: str = ""
    """Why it ended, if not well."""


def sign_of(run: Path) -> Sign:
    """The last sign of machine 0 in a run folder; an empty one if there is none."""
    try:
        return Sign.model_validate_json((run / LEADING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Sign()


@contextlib.contextmanager
def leading(run: Path) -> Iterator[None]:
    """On machine 0: give a sign every few seconds; at the end none is left, or the reason of a failure."""
    identity, over = f"{time.time_ns()}", threading.Event()

    def give(beat: int, failed: str = "") -> None:
        replace_json(run / LEADING, Sign(id=identity, beat=beat, failed=failed).model_dump())

    def beat() -> None:
        count = 0
        while not over.wait(BEAT):
            count += 1
            with contextlib.suppress(OSError, PersllmError):  # a sign that could not be written is followed by the next one
                give(count)

    give(0)
    beats = threading.Thread(target=beat, daemon=True)
    beats.start()
    try:
        yield
    except BaseException as error:
        stop(beats, over)
        with contextlib.suppress(OSError, PersllmError):  # the reason that counts is the one that is raised
            give(-1, str(error) or type(error).__name__)
        raise
    stop(beats, over)
    (run / LEADING).unlink(missing_ok=True)


def stop(thread: threading.Thread, over: threading.Event) -> None:
    """Let a thread end."""
    over.set()
    thread.join()


class Listener:
    """Another machine's ear for machine 0."""

    def __init__(self, run: Path):
        self.run = run
        first = sign_of(run)
        self.earlier = first.id if first.failed else ""
        """A command that had failed before this machine began to listen: machine 0 is still to start again."""
        self.last, self.heard = first, time.monotonic()

    def check(self) -> None:
        """TrainingError if machine 0 failed, or gave no sign for SILENCE seconds."""
        sign = sign_of(self.run)
        if sign.failed and sign.id != self.earlier:
            raise TrainingError(f"{self.run}: machine 0 failed: {sign.failed}")
        if sign != self.last:
            self.last, self.heard = sign, time.monotonic()
        if time.monotonic() - self.heard > SILENCE:
            before = f" Its last command had failed: {sign.failed}" if sign.failed else ""
            raise TrainingError(
                f"{self.run}: no sign of machine 0 for {SILENCE:.0f} s. Look whether its command still runs, on the same run folder, and "
                f"give both commands again; what is finished is kept.{before}"
            )
