"""Which address the next call goes to, and when.

Among the addresses that may be asked now, the one that is furthest behind its weight. Calls wait in the order in
which they came; when no address will take any more, they are told so.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from persllm.chat.address import Address, Outcome
from persllm.chat.limits import Begun

SLACK = 0.002
"""Seconds after the due time at which is looked again."""


class NobodyAnswers(Exception):
    """Every address has been left alone for long enough to take it for gone."""


@dataclass(frozen=True)
class Place:
    """A call's place at an address."""

    address: Address
    entry: Begun
    """What it counts for in the pace."""
    probe: bool


class Switchboard:
    """Connects waiting calls with addresses; belongs to one event loop."""

    def __init__(self, addresses: Sequence[Address]):
        self.addresses = addresses
        self.waiting: deque[tuple[asyncio.Future[Place], int, Address | None]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    async def take(self, tokens: int, failed: Address | None = None) -> Place:
        """A place for a call of so many tokens, to be given back with what came of it. A call that has `failed` at an
        address goes to another one if it can: it shall not be the probe of what just failed it.

        NobodyAnswers if all addresses are gone; their ModelError if all have refused.
        """
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self.waiting.append((future, tokens, failed))
        self.look()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give(future.result(), None)
            raise

    def give(self, place: Place, outcome: Outcome | None) -> None:
        """Give a place back; None for a call that was cancelled."""
        place.address.end(place.entry, place.probe, outcome)
        self.look()

    def look(self) -> None:
        """Connect the calls that can be; set a timer for the next one."""
        while self.waiting:
            future, tokens, failed = self.waiting[0]
            address = None if future.done() else self.free(tokens, failed)
            if address is None and not future.done():
                break
            self.waiting.popleft()
            if address:
                future.set_result(Place(address, *address.begin(tokens)))
        self.tell_hopeless()
        self.set_timer()

    def free(self, tokens: int, failed: Address | None) -> Address | None:
        """The address for a call of so many tokens, if one may be asked now."""
        now = time.monotonic()
        ready = [address for address in self.addresses if address.wait(tokens, now) <= 0]
        ready = [address for address in ready if address is not failed] or ready
        return min(ready, key=lambda address: (address.begun + 1) / address.settings.weight, default=None)

    def tell_hopeless(self) -> None:
        """Tell all waiting calls if no address will take them."""
        left = [address for address in self.addresses if not address.refusal]
        if not all(address.breaker.gone and address.breaker.open for address in left):
            return
        why = NobodyAnswers() if left else self.addresses[0].refusal
        while self.waiting:
            future, _, _ = self.waiting.popleft()
            if not future.done():
                future.set_exception(why or NobodyAnswers())

    def set_timer(self) -> None:
        """Look again when the first waiting call may begin."""
        self.close()
        if self.waiting:
            now, tokens = time.monotonic(), self.waiting[0][1]
            wait = min(address.wait(tokens, now) for address in self.addresses)
            if wait < float("inf"):
                self.timer = asyncio.get_running_loop().call_later(wait + SLACK, self.look)

    def close(self) -> None:
        """No timer any more."""
        if self.timer:
            self.timer.cancel()
            self.timer = None
