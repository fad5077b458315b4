"""What a model one talks to is, and one that says what a script tells it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from persllm.records import Record, Reply, Request, Usage


class ChatModel(Protocol):
    """A model one talks to."""

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """(place of the request, reply) for every request, in the order in which they are ready.

        Requests are taken from the iterable as there is room for them, in the thread of the caller, so that what
        is asked next may depend on the replies so far. None among them says: nothing to ask before the next reply
        has come; it counts as a place. A call that fails yields a Reply with finish `error`. Closing the iterator
        stops all work.
        """
        ...


class ScriptedModel:
    """A model that says what it is told to: a list of replies, one for each request in turn, or a function."""

    def __init__(self, replies: Sequence[Reply | str] | Callable[[Request], Reply | str]):
        self.script = replies
        self.requests: list[Request] = []
        """What it was asked, in order."""

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """The scripted replies, in order; an error when the script is at its end."""
        for place, request in enumerate(requests):
            if request is None:
                continue
            said = self.next_reply(request)
            self.requests.append(request)
            yield place, said if isinstance(said, Reply) else Reply(text=said)

    def next_reply(self, request: Request) -> Reply | str:
        """What the script has for this request."""
        if callable(self.script):
            return self.script(request)
        if len(self.requests) < len(self.script):
            return self.script[len(self.requests)]
        return Reply(finish="error", error="the script is at its end")


class Silent:
    """A model that is never asked: what would be is only counted or measured."""

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """Nothing."""
        yield from ()


class Tally(Record):
    """What talking to a model has come to so far."""

    calls: int = 0
    """Replies that were got from a server."""
    cached: int = 0
    """Replies that were taken from the disk."""
    failed: int = 0
    """Calls that failed for good."""
    retried: int = 0
    """Tries that failed and were made again."""
    usage: Usage = Usage()
    """Tokens that the servers counted, also for failed calls; replies from the disk cost nothing."""

    def more(self, calls: int = 0, cached: int = 0, failed: int = 0, retried: int = 0, usage: Usage | None = None) -> "Tally":
        """A tally with more on it."""
        used, added = self.usage, usage or Usage()
        return Tally(
            calls=self.calls + calls,
            cached=self.cached + cached,
            failed=self.failed + failed,
            retried=self.retried + retried,
            usage=Usage(
                prompt_tokens=used.prompt_tokens + added.prompt_tokens,
                completion_tokens=used.completion_tokens + added.completion_tokens,
            ),
        )
