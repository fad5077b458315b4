"""Work on many items side by side over one line to a model.

A job asks for replies, gets them all, asks again or returns what was made. An item is yielded as soon as all its
calls are done. Items with a failed call come last, after one more try, so that a run stopped by a failing server
owes them again.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import TypeVar

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
    for window in windows(items):
        for item, made in line.done(window, start):
            if any(entry.reason == CALL_FAILED for entry in made[1]):
                failed.append(item)
            else:
                yield item, made
    again: list[tuple[Item, Made]] = []
    for window in windows(failed):
        again += line.done(window, start)
    if line.last_error and not line.succeeded:
        raise ModelError(
            f"not one of the calls succeeded; the last failed with: {line.last_error}. Mend the server or constructor.api and run again."
        )
    yield from again


def windows(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in pieces that are worked on together."""
    return (items[place : place + WINDOW] for place in range(0, len(items), WINDOW))


class Line:
    """A line to the model, on which many jobs are carried out side by side."""

    def __init__(self, model: ChatModel):
        self.model = model
        self.succeeded, self.strikes, self.last_error = False, 0, ""

    def done(self, items: Sequence[Item], start: Callable[[Item], Job]) -> Iterator[tuple[Item, Made]]:
        """Every item with what its job returned, in the order in which the jobs end."""
        jobs = [(item, start(item)) for item in items]
        asked = {place: next(job) for place, (_, job) in enumerate(jobs)}
        while asked:
            coming, asked = asked, {}
            for place, replies in self.answers(coming):
                item, job = jobs[place]
                try:
                    asked[place] = job.send(replies)
                except StopIteration as end:
                    yield item, end.value

    def answers(self, asked: dict[int, list[Request]]) -> Iterator[tuple[int, list[Reply]]]:
        """(job, all its replies) as soon as the last of them is there."""
        places = [(job, number) for job, requests in asked.items() for number in range(len(requests))]
        got: dict[int, dict[int, Reply]] = {job: {} for job in asked}
        requests = [asked[job][number] for job, number in places]
        with closing(self.model.replies(requests)) as replies:
            for place, reply in replies:
                self.count(reply)
                job, number = places[place]
                got[job][number] = reply
                if len(got[job]) == len(asked[job]):
                    yield job, [got[job][n] for n in range(len(asked[job]))]

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
