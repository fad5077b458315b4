"""Calls under way in a thread of their own, which ends as soon as nobody waits for them any more."""

import asyncio
import queue
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from persllm.chat.address import Address, Outcome
from persllm.chat.kept import Keeper
from persllm.chat.ledger import Accounts, likely_tokens, most_prompt_tokens
from persllm.chat.protocol import Tally
from persllm.chat.switchboard import NobodyAnswers, Switchboard
from persllm.errors import ModelError
from persllm.records import Reply, Request, Usage

BACK_OFF = 0.5
"""Seconds before the second try, twice as many before each further one, with chance in them."""
LONGEST_BACK_OFF = 30.0
LOOK_AGAIN = 0.05
"""Seconds after which is looked again for what another process or call holds."""
GRACE = 30.0
"""Seconds that a claim outlives the longest time that its call can take."""
SOON = 0.001
"""Seconds: where one address has refused the key or the model, another is tried at once."""

Landed = tuple[str, Reply, bool]
"""Key, reply, and whether it was taken from the disk."""


class Flight:
    """Takes requests, hands out their replies; `aloft` opens and closes it."""

    def __init__(self, addresses: Sequence[Address], kept: Keeper | None, accounts: Accounts | None):
        self.addresses, self.kept, self.accounts = addresses, kept, accounts
        self.tally, self.last_error = Tally(), ""
        self.arrived: queue.SimpleQueue[Landed | BaseException] = queue.SimpleQueue()
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.calls: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """How many requests may be under way: those in flight, and as many again ready to go."""
        return 2 * sum(address.settings.concurrency for address in self.addresses)

    @contextmanager
    def aloft(self) -> Iterator[None]:
        """The thread, from its start to its end; leaving cancels what is in flight."""
        thread = threading.Thread(target=self.run, name="calls", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.stop.set)
            thread.join()

    def send(self, key: str, request: Request) -> None:
        """Hand in a request; its reply comes out of `landed` under this key."""
        self.loop.call_soon_threadsafe(self.begin, key, request)

    def landed(self) -> Landed:
        """The next reply; raises what no further call could mend."""
        entry = self.arrived.get()
        if isinstance(entry, BaseException):
            raise entry
        return entry

    def run(self) -> None:
        """The thread."""
        try:
            self.loop.run_until_complete(self.all_calls())
        except BaseException as error:
            self.arrived.put(error)
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def all_calls(self) -> None:
        """The sessions and the switchboard, until the stop; then everything is cancelled."""
        self.board = Switchboard(self.addresses)
        self.sessions = {address: address.session() for address in self.addresses}
        try:
            await self.stop.wait()
        finally:
            for call in self.calls:
                call.cancel()
            await asyncio.gather(*self.calls, return_exceptions=True)
            self.board.close()
            for session in self.sessions.values():
                await session.close()

    def begin(self, key: str, request: Request) -> None:
        """Begin a call; runs in the thread."""
        if self.stop.is_set():
            return
        call = self.loop.create_task(self.one_call(key, request))
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)

    async def one_call(self, key: str, request: Request) -> None:
        """A call from the claim to the reply."""
        try:
            self.arrived.put(await self.claimed(key, request))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.arrived.put(error)

    async def claimed(self, key: str, request: Request) -> Landed:
        """The reply of another process that makes the same call, or our own, kept if it is good."""
        if self.kept is None:
            return key, await self.tried(request), False
        while not self.kept.claim(key, self.longest):
            reply = self.kept.find(key)
            if reply:
                return key, reply, True
            await asyncio.sleep(LOOK_AGAIN)
        kept = False
        try:
            reply = await self.tried(request)
            if reply.finish != "error":
                self.kept.keep(key, reply)
                kept = True
            return key, reply, False
        finally:
            if not kept:
                self.kept.release(key)

    @property
    def longest(self) -> float:
        """Seconds after which a claim is void."""
        return GRACE + max(a.settings.timeout * (a.settings.retries + 1) + LONGEST_BACK_OFF * a.settings.retries for a in self.addresses)

    async def tried(self, request: Request) -> Reply:
        """As many tries as it takes and is allowed; each may go to another address."""
        tokens = sum(likely_tokens(message.content) for message in request.messages) + request.sampling.max_tokens
        tries, failed = 0, None
        while True:
            try:
                outcome, failed = await self.once(request, tokens, failed)
            except NobodyAnswers:
                return Reply(finish="error", error=f"no address answers any more; the last said: {self.last_error}")
            self.tally = self.tally.more(usage=outcome.usage)
            self.last_error = outcome.reply.error or self.last_error
            tries += 1
            retries = len(self.addresses) if failed.refusal else failed.settings.retries
            if not outcome.may_pass or tries > retries:
                return outcome.reply
            self.tally = self.tally.more(retried=1)
            if not outcome.wait:
                await asyncio.sleep(min(LONGEST_BACK_OFF, BACK_OFF * 2 ** (tries - 1)) * random.uniform(0.75, 1.25))

    async def once(self, request: Request, tokens: int, failed: Address | None) -> tuple[Outcome, Address]:
        """One try, and the address that it went to: another than the one where it has failed, if it can be."""
        place = await self.board.take(tokens, failed)
        address, outcome = place.address, None
        try:
            number = await self.entered(address, request)
            try:
                outcome = await address.ask(self.sessions[address], request)
            except ModelError:
                outcome = Outcome(reply=Reply(finish="error"), may_pass=True, wait=SOON, usage=Usage())
                if all(other.refusal for other in self.addresses):
                    raise
            finally:
                if self.accounts and number is not None:
                    self.accounts.settle(number, outcome.usage if outcome else None)
        finally:
            self.board.give(place, outcome)
        return outcome, address

    async def entered(self, address: Address, request: Request) -> int | None:
        """The number of the call in the accounts, when the budget has room for it."""
        if self.accounts is None:
            return None
        worst = most_prompt_tokens(request), request.sampling.max_tokens
        while (number := self.accounts.begin(address.model, *worst, address.settings.timeout + GRACE)) is None:
            await asyncio.sleep(LOOK_AGAIN)
        return number
