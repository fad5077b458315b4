"""What verbs print: progress bars, tables of times, results, and where text goes."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LINE_EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal for a bar, as in the log of a cluster."""
ENOUGH = 0.02
"""Share of the work after which the time left is told: what comes first also loads the model."""


def say_where_text_goes(recipe, local_only: bool = False) -> None:
    """Name each address that will receive text of the materials, and what is masked, before it does; refuse those that may not."""
    from persllm.privacy import receivers, refuse_remote, say
    from persllm.trackers import check_trackers

    refuse_remote(recipe, local_only)
    check_trackers(recipe, local_only)
    for receiver in receivers(recipe):
        print(say(receiver, recipe.privacy), file=sys.stderr)


def print_result(run: Path) -> None:
    """The path of the report, the sentence it opens with, and three exchanges."""
    from persllm.report import closing_lines

    print(closing_lines(run))


@contextlib.contextmanager
def reading() -> Iterator:
    """A counter of materials while folders are read; shows itself in a terminal alone."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with console.status("reading ...") as status:
        yield lambda done, total: status.update(f"reading ... {done} materials")


class Bar:
    """A Progress with a place for words, such as the loss."""

    def __init__(self, bars, task, title: str) -> None:
        self.bars, self.task, self.title, self.words = bars, task, title, ""
        self.begun = self.told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """So far."""
        self.bars.update(self.task, completed=done, total=total)
        now = time.monotonic()
        if self.bars.disable and done and now - self.told >= LINE_EVERY:
            self.told = now
            known = done >= ENOUGH * total
            left = f", about {(now - self.begun) * (total - done) / done / 60:.0f} min left" if known else ""
            print(f"{self.title}: {done} of {total}{self.words}{left}", file=sys.stderr, flush=True)

    def beside(self, title: str) -> "Later":
        """The Progress of other work that may begin while this goes on; it shows itself from then on."""
        return Later(self.bars, title)

    def note(self, note: str) -> None:
        """Words behind the title."""
        self.words = f", {note}"
        self.bars.update(self.task, description=f"{self.title}{self.words}")


class Later:
    """A Progress that gets a bar of its own when it is first called."""

    def __init__(self, bars, title: str) -> None:
        self.bars, self.title = bars, title
        self.bar: Bar | None = None

    def __call__(self, done: int, total: int) -> None:
        """So far."""
        if self.bar is None:
            self.bar = Bar(self.bars, self.bars.add_task(self.title, total=None), self.title)
        self.bar(done, total)


class Display:
    """A progress bar with the time left for each step, and a table of times at the end."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def step(self, step) -> Iterator:
        """A bar for one step."""
        with self.bar(step.title) as progress:
            yield progress

    @contextlib.contextmanager
    def bar(self, title: str) -> Iterator:
        """A bar for a piece of work with that title; gives its Progress."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        started = time.monotonic()
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            task = bars.add_task(title, total=None)
            if not console.is_terminal:
                print(f"{title} ...", file=sys.stderr, flush=True)
            yield Bar(bars, task, title)
        self.times.append((title, time.monotonic() - started))

    def table(self) -> None:
        """The time of each step that was done now."""
        for title, seconds in self.times:
            print(f"{title:24} {seconds:7.1f} s")
        print(f"{'all steps':24} {sum(seconds for _, seconds in self.times):7.1f} s")
