"""Work on many items side by side over one line to a model.

A job asks for replies, gets them all, asks again or returns what was made. An item is yielded as soon as all its
calls are done. Items with a failed call come last, after one more try, so that a run stopped by a failing server
owes them again.
"""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Generic, TypeVar

from persllm.chat import ChatModel
from persllm.errors import ModelError
from persllm.records import Dropped, Record, Reply, Request

Item = TypeVar("Item", bound=Record)
Made = tuple[list, list[Dropped]]
"""The records made of one item, and what was dropped on the way."""
Job = Generator[list[Request], list[Reply], Made]
"""The work on one item: asks for replies, gets them all, asks again or returns."""
CALL_FAILED = "call failed"
WINDOW = 256
"""Items under way at once: bounds the memory that their prompts take."""
STRIKES = 25
"""So many failed calls in a row mean that the server is gone, not that the calls are bad."""


def carry_out(model: ChatModel, items: Sequence[Item], start: Callable[[Item], Job]) -> Iterator[tuple[Item, Made]]:
    """Do the job of every item and yield it when it is done; those with failed calls last, after one more try.

    ModelError if not a single call succeeds, or `STRIKES` in a row fail.
    """
    line = Line(model)
    failed: list[Item] = []
    for item, made in line.done(items, start):
        if any(entry.reason == CALL_FAILED for entry in made[1]):
            failed.append(item)
        else:
            yield item, made
    again = list(line.done(failed, start))
    if line.last_error and not line.succeeded:
        raise ModelError(
            f"not one of the calls succeeded; the last failed with: {line.last_error}. Mend the server or constructor.api and run again."
        )
    yield from again


class Running(Generic[Item]):
    """A job under way: what it asks for, and what has come."""

    def __init__(self, item: Item, job: Job):
        self.item, self.job = item, job
        self.got: dict[int, Reply] = {}
        self.made: Made | None = None
        self.asked: list[Request] = []
        try:
            self.asked = next(job)
        except StopIteration as end:  # a job that has nothing to ask for
            self.made = end.value

    @property
    def waits(self) -> bool:
        """Whether a reply is missing."""
        return self.made is None and len(self.got) < len(self.asked)

    def go_on(self) -> None:
        """Hand all replies to the job: it asks for more, or ends with `made`."""
        replies, self.got = [self.got[number] for number in range(len(self.asked))], {}
        try:
            self.asked = self.job.send(replies)
        except StopIteration as end:
            self.made = end.value


class Shift(Generic[Item]):
    """The jobs of many items: at most `WINDOW` under way, a new one begun as one ends."""

    def __init__(self, items: Iterable[Item], start: Callable[[Item], Job]):
        self.coming, self.start = iter(items), start
        self.under_way = 0
        self.to_ask: deque[tuple[Running[Item], int]] = deque()
        self.places: dict[int, tuple[Running[Item], int]] = {}
        """Place of a request -> the job that asked, and which of its requests it is."""
        self.ended: deque[tuple[Item, Made]] = deque()

    def requests(self) -> Iterator[Request | None]:
        """What the jobs ask for, as there is room; None while all of them wait for replies."""
        for place in itertools.count():
            self.begin_jobs()
            if self.to_ask:
                running, number = self.places[place] = self.to_ask.popleft()
                yield running.asked[number]
            elif self.under_way:
                yield None
            else:
                return

    def begin_jobs(self) -> None:
        """Begin jobs until one asks for something."""
        while not self.to_ask and self.under_way < WINDOW:
            item = next(self.coming, None)
            if item is None:
                return
            self.under_way += 1
            self.follow(Running(item, self.start(item)))

    def arrived(self, place: int, reply: Reply) -> None:
        """Bring a reply to its job."""
        running, number = self.places.pop(place)
        running.got[number] = reply
        if not running.waits:
            running.go_on()
            self.follow(running)

    def follow(self, running: Running[Item]) -> None:
        """Take up what a job asks for, or what it has made."""
        while running.made is None and not running.asked:
            running.go_on()
        if running.made is None:
            self.to_ask.extend((running, number) for number in range(len(running.asked)))
        else:
            self.under_way -= 1
            self.ended.append((running.item, running.made))


class Line:
    """A line to the model, on which many jobs are carried out side by side."""

    def __init__(self, model: ChatModel):
        self.model = model
        self.succeeded, self.strikes, self.last_error = False, 0, ""

    def done(self, items: Iterable[Item], start: Callable[[Item], Job]) -> Iterator[tuple[Item, Made]]:
        """Every item with what its job returned, in the order in which the jobs end."""
        shift = Shift(items, start)
        with closing(self.model.replies(shift.requests())) as replies:
            for place, reply in replies:
                self.count(reply)
                shift.arrived(place, reply)
                while shift.ended:
                    yield shift.ended.popleft()
        yield from shift.ended

    def count(self, reply: Reply) -> None:
        """Keep the score of failures."""
        if reply.finish != "error":
            self.succeeded, self.strikes = True, 0
            return
        self.strikes, self.last_error = self.strikes + 1, reply.error
        if self.strikes >= STRIKES:
            raise ModelError(
                f"{self.strikes} calls in a row failed, the last with: {reply.error}. Finished items are kept: "
                f"mend the server or constructor.api and run again."
            )
