"""The front's side of the worker process: hands orders over, passes on what comes back, and starts it again if it dies.

If the worker dies, everybody who waits gets an error at once, new requests get one until the next worker is up,
and a worker that dies again and again is given up. Nobody waits for a dead process.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from persllm.adapters import Assembly
from persllm.errors import BaseModelError
from persllm.listening import Refused
from persllm.records import Piece, Reply
from persllm.serve.orders import Manners, Order

log = logging.getLogger("persllm")

LINE = 1 << 24
"""Longest line from the worker in bytes."""
STEADY = 30.0
"""A worker that lived for so many seconds is started again at once; one that did not counts as a failed try."""
TRIES = 3
"""So many failed tries in a row, and no further one is made."""


class Worker:
    """A worker process with the models of some folders; a Backend."""

    def __init__(self, sources: Mapping[str, Assembly], threads: int = 2, rows: int = 64, queue: int = 256):
        self.settings = {"sources": {name: one.model_dump() for name, one in sources.items()}, "threads": threads, "rows": rows}
        self.most = rows + queue
        """Orders that may be under way or waiting; further ones are refused."""
        self.manners: dict[str, Manners] = {}
        self.status = "starting"
        self.process: asyncio.subprocess.Process | None = None
        self.numbers = itertools.count()
        self.waiting: dict[int, asyncio.Queue[Piece | Reply | Refused]] = {}
        self.keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Worker":
        """Start the worker and wait until its models are loaded; BaseModelError if they cannot be."""
        await self.start()
        self.keeper = asyncio.create_task(self.keep_alive())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the worker's input and wait for its end."""
        self.status = "stopping"
        self.give_up("the server is stopping")
        if self.keeper:
            self.keeper.cancel()
            await asyncio.gather(self.keeper, return_exceptions=True)
        await self.end()

    async def end(self) -> None:
        """Let the process go, gently and then not."""
        if self.process is None:
            return
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 3)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def start(self) -> None:
        """A fresh process, up to where it says what its models are like."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "persllm.serve.worker")
        self.process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE, start_new_session=True)
        try:
            self.send(self.settings)
            first = await self.process.stdout.readline()
            said = json.loads(first) if first else {"failed": "the worker process died while it loaded the models; see above"}
        except BaseException:
            await self.end()
            raise
        if "failed" in said:
            await self.end()
            raise BaseModelError(said["failed"])
        self.manners = {folder: Manners.model_validate(found) for folder, found in said["manners"].items()}
        self.status = "ok"

    async def keep_alive(self) -> None:
        """Pass on what the worker says; when it dies, tell everybody and start another."""
        failed = 0
        while True:
            started = time.monotonic()
            await self.listen()
            self.status = "restarting"
            code = await self.process.wait()
            log.error("the worker process died (exit code %s)", code)
            self.give_up("the worker process died; another one is being started")
            failed = 0 if time.monotonic() - started > STEADY else failed + 1
            while failed <= TRIES:
                try:
                    await asyncio.sleep(0.2 * failed)
                    await self.start()
                    break
                except (BaseModelError, OSError) as error:
                    log.error("the worker process could not be started again: %s", error)
                    failed += 1
            else:
                self.status = "down"
                self.give_up("the worker process died too often")
                return

    async def listen(self) -> None:
        """Until the worker's output ends."""
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await self.process.stdout.readline():
                for number, kind, entry in json.loads(line)["events"]:
                    if number in self.waiting:
                        part = Reply.model_validate(entry) if kind == "reply" else Piece.model_construct(**entry)
                        self.waiting[number].put_nowait(part)

    def give_up(self, why: str) -> None:
        """Tell everybody who waits that nothing will come."""
        for waiting in self.waiting.values():
            waiting.put_nowait(Refused(503, why, "worker_unavailable", {"retry-after": "2"}))

    def send(self, entry: dict[str, Any]) -> None:
        """One line to the worker; lost if it is dead, which `keep_alive` notices."""
        with contextlib.suppress(OSError, RuntimeError):
            self.process.stdin.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    async def replying(self, order: Order) -> AsyncIterator[Piece | Reply]:
        """Pieces if they are wanted, then the reply; whoever stops listening leaves the batch."""
        if self.status != "ok":
            raise Refused(503, f"the worker process is {self.status}", "worker_unavailable", {"retry-after": "2"})
        if len(self.waiting) >= self.most:
            raise Refused(429, f"{self.most} requests are under way or waiting", "queue_full", {"retry-after": "1"})
        number, arrived = next(self.numbers), asyncio.Queue()
        self.waiting[number] = arrived
        whole = False
        self.send({"number": number, "order": order.model_dump(mode="json")})
        try:
            while not whole:
                part = await arrived.get()
                whole = isinstance(part, Reply | Refused)
                if isinstance(part, Refused):
                    raise part
                yield part
        finally:
            del self.waiting[number]
            if not whole:
                self.send({"leave": number})

    def health(self) -> dict[str, object]:
        """State of the worker and number of orders with it."""
        return {"status": self.status, "under_way": len(self.waiting)}
