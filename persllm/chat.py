"""Models one can talk to, behind one small protocol: requests go in, replies come out as they are ready.

`ApiModel` talks to any OpenAI-compatible address, with many calls in flight, and keeps every good reply on
disk, so that nothing is paid for twice. A call that fails, also after its retries, becomes a Reply that says
why; it is never kept and never data. What every further call would meet as well (a refused key, an unknown
model or address) is a ModelError at once. When the caller stops, by Ctrl-C or by leaving the loop, all calls
in flight are cancelled and no further one is made.

A single request can also be streamed. Limits: what is streamed is not kept; the server's limits are met by
waiting, not foreseen.
"""

import asyncio
import os
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from persllm.config import ApiSettings
from persllm.errors import ModelError, RunError
from persllm.records import Piece, Record, Reply, Request, Usage, fingerprint

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
INLINE_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
"""How models write their reasoning into the content where the server does not part the two."""
ERROR_LENGTH = 300
"""Characters of a server's complaint that are kept."""


class ChatModel(Protocol):
    """A model one talks to."""

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index of the request, reply) for every request, in the order in which they are ready.

        A call that fails yields a Reply with finish `error`. Closing the iterator stops all work.
        """
        ...


def streamed(model: ChatModel, request: Request) -> Iterator[Piece | Reply]:
    """What a model writes as it writes it, then the whole reply; a model that cannot stream says all at once."""
    if hasattr(model, "stream"):
        yield from model.stream(request)
        return
    [(_, reply)] = list(model.replies([request]))
    if reply.text or reply.thought:
        yield Piece(text=reply.text, thought=reply.thought)
    yield reply


class ScriptedModel:
    """A model that says what it is told to: a list of replies, one for each request in turn, or a function."""

    def __init__(self, replies: Sequence[Reply | str] | Callable[[Request], Reply | str]):
        self.script = replies
        self.requests: list[Request] = []
        """What it was asked, in order."""

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """The scripted replies, in order; an error when the script is at its end."""
        for place, request in enumerate(requests):
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


class Tally(Record):
    """What talking to a model has come to so far."""

    calls: int = 0
    """Replies that were got from the server."""
    cached: int = 0
    """Replies that were taken from the disk."""
    failed: int = 0
    """Calls that failed for good."""
    usage: Usage = Usage()
    """Tokens that the server counted, also for failed calls; replies from the disk cost nothing."""


class ReplyCache:
    """Good replies on disk, found by what was asked; one SQLite file, safe against kills and several processes."""

    def __init__(self, folder: Path):
        self.file = folder / "replies.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.base = sqlite3.connect(self.file, timeout=60, isolation_level=None, check_same_thread=False)
            self.base.execute("PRAGMA synchronous = NORMAL")
            self.base.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")
        except (OSError, sqlite3.Error) as error:
            raise RunError(
                f"{self.file}: cannot keep replies here ({error}). Free space, mend the folder's rights, or remove the file."
            ) from error

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        row = self.guarded("SELECT reply FROM replies WHERE key = ?", (key,))
        return Reply.model_validate_json(row[0]) if row else None

    def keep(self, key: str, reply: Reply) -> None:
        """Keep a reply; a kill after this does not lose it."""
        self.guarded("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, reply.model_dump_json()))

    def guarded(self, statement: str, values: tuple[str, ...]) -> tuple[str] | None:
        """Run a statement; RunError that names the file if the disk is full or the file broken."""
        try:
            return self.base.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise RunError(f"{self.file}: {error}. Free space or remove the file, and run again; finished items are kept.") from error

    def close(self) -> None:
        """Let the file go."""
        self.base.close()


class ApiModel:
    """A model behind an OpenAI-compatible address.

    The key comes from the environment variable that the settings name and goes nowhere but to the server.
    `cache` is the folder in which good replies are kept. ModelError if the settings lack an address, a model,
    or a key that is needed.
    """

    def __init__(self, settings: ApiSettings, cache: Path | None = None):
        self.settings = settings
        for name in ("url", "model"):
            if not getattr(settings, name):
                raise ModelError(f"constructor.api.{name} is empty. Set it in the recipe, or with --set constructor.api.{name}=...")
        self.key = os.environ.get(settings.key_variable, "")
        if not self.key and not self.is_local:
            raise ModelError(
                f"{settings.url}: the environment variable {settings.key_variable}, which is to hold the key, is not set. "
                f"Set it, or name another in constructor.api.key_variable."
            )
        self.kept = ReplyCache(cache) if cache else None
        self.tally = Tally()

    @property
    def is_local(self) -> bool:
        """Whether the address is on this machine, so that nothing leaves it."""
        return urlsplit(self.settings.url).hostname in LOOPBACK

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """The replies as they come in; equal requests are asked once. ModelError for what no further call could mend."""
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(self.identity(request), []).append(place)
        owed = []
        for key, same in places.items():
            reply = self.kept.find(key) if self.kept else None
            if reply is None:
                owed.append((key, requests[same[0]]))
                continue
            self.tally = add(self.tally, cached=1)
            yield from ((place, reply) for place in same)
        if owed:
            with closing(Flight(self, owed).landed()) as landed:
                for key, reply in landed:
                    yield from ((place, reply) for place in places[key])

    def close(self) -> None:
        """Let the kept replies go; no calls after this."""
        if self.kept:
            self.kept.close()

    def identity(self, request: Request) -> str:
        """Under what a reply is kept: the model's name and all that is asked, but not the address."""
        asked = request.model_dump(mode="json")
        if not request.json_schema:  # replies that were kept before there was this field are still found
            del asked["json_schema"]
        return fingerprint({"model": self.settings.model, **asked})

    def scrub(self, text: str) -> str:
        """A text of the server's without the key, in one line and not too long."""
        clean = text.replace(self.key, "***") if self.key else text
        return re.sub(r"\s+", " ", clean).strip()[:ERROR_LENGTH]

    def stream(self, request: Request) -> Iterator[Piece | Reply]:
        """What is written as it is written, then the whole reply; nothing of it is kept on disk."""
        import openai

        direct = {"http_client": openai.DefaultHttpxClient(trust_env=False)} if self.is_local else {}
        text, finish = Piece(), "stop"
        try:
            with (
                openai.OpenAI(**self.connection(), **direct) as client,
                client.chat.completions.create(**payload(self.settings.model, request), stream=True) as chunks,
            ):
                for choice in (chunk.choices[0] for chunk in chunks if chunk.choices):
                    finish = choice.finish_reason or finish
                    thought = getattr(choice.delta, "reasoning_content", None) or getattr(choice.delta, "reasoning", None) or ""
                    piece = Piece(text=choice.delta.content or "", thought=thought)
                    if piece.text or piece.thought:
                        text = Piece(text=text.text + piece.text, thought=text.thought + piece.thought)
                        yield piece
        except openai.OpenAIError as error:
            yield Reply(finish="error", text=text.text, error=self.scrub(f"{type(error).__name__}: {error}"))
            return
        yield Reply(text=text.text.strip(), thought=text.thought.strip(), finish="length" if finish == "length" else "stop")

    def connection(self) -> dict[str, Any]:
        """What every client is made with: it retries what may pass, with back-off, and waits as `Retry-After` says."""
        settings = self.settings
        return {"base_url": settings.url, "api_key": self.key or "none", "timeout": settings.timeout, "max_retries": settings.retries}

    def client(self) -> Any:
        """The client for many calls at once."""
        import openai

        direct = {"http_client": openai.DefaultAsyncHttpxClient(trust_env=False)} if self.is_local else {}
        return openai.AsyncOpenAI(**self.connection(), **direct)

    async def ask(self, client: Any, request: Request) -> Reply:
        """One call; what goes wrong comes back as an error Reply, or as a ModelError if it would meet every call."""
        import openai

        try:
            completion = await client.chat.completions.create(**payload(self.settings.model, request))
            return read_completion(completion)
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise ModelError(
                f"{self.settings.url} refuses the key in {self.settings.key_variable}. Put a valid one into that variable and run again."
            ) from None
        except openai.NotFoundError as error:
            raise ModelError(
                f"{self.settings.url} knows no model {self.settings.model}, or is not the address of an API "
                f"({self.scrub(str(error))}). Correct constructor.api.url (it often ends in /v1) or constructor.api.model."
            ) from None
        except openai.APITimeoutError:
            return Reply(finish="error", error=f"no answer within {self.settings.timeout:g} s")
        except openai.APIConnectionError as error:
            return Reply(finish="error", error=self.scrub(f"connection failed: {error.__cause__ or error}"))
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError) as error:
            return Reply(finish="error", error=self.scrub(f"{type(error).__name__}: {error}"))


class Flight:
    """Calls under way in a thread of their own, which ends as soon as nobody waits for them any more."""

    def __init__(self, model: ApiModel, owed: Sequence[tuple[str, Request]]):
        self.model = model
        self.waiting = iter(owed)
        self.arrived: queue.SimpleQueue[tuple[str, Reply] | BaseException | None] = queue.SimpleQueue()
        self.loop = asyncio.new_event_loop()
        self.task: asyncio.Task[None] | None = None
        self.stopped = False

    def landed(self) -> Iterator[tuple[str, Reply]]:
        """Key and reply of each call as it ends."""
        thread = threading.Thread(target=self.run, name="calls", daemon=True)
        thread.start()
        try:
            while (entry := self.arrived.get()) is not None:
                if isinstance(entry, BaseException):
                    raise entry
                yield entry
        finally:
            self.stopped = True
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.cancel)
            thread.join()

    def cancel(self) -> None:
        """Give up all calls in flight; runs in the thread of the calls."""
        if self.task:
            self.task.cancel()

    def run(self) -> None:
        """The thread: all calls, then the end mark, whatever happened."""
        try:
            self.loop.run_until_complete(self.all_calls())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.arrived.put(error)
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.arrived.put(None)

    async def all_calls(self) -> None:
        """As many workers as calls may be in flight; the first error that no call could mend ends them all."""
        self.task = asyncio.current_task()
        async with self.model.client() as client:
            workers = [asyncio.ensure_future(self.work(client)) for _ in range(self.model.settings.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def work(self, client: Any) -> None:
        """One call after the other until none is left."""
        for key, request in self.waiting:
            if self.stopped:
                return
            reply = await self.model.ask(client, request)
            good = reply.finish != "error"
            if good and self.model.kept:
                self.model.kept.keep(key, reply)
            self.model.tally = add(self.model.tally, calls=int(good), failed=int(not good), usage=reply.usage)
            self.arrived.put((key, reply))


def add(tally: Tally, calls: int = 0, cached: int = 0, failed: int = 0, usage: Usage | None = None) -> Tally:
    """A tally with more on it."""
    used, more = tally.usage, usage or Usage()
    return Tally(
        calls=tally.calls + calls,
        cached=tally.cached + cached,
        failed=tally.failed + failed,
        usage=Usage(
            prompt_tokens=used.prompt_tokens + more.prompt_tokens, completion_tokens=used.completion_tokens + more.completion_tokens
        ),
    )


def payload(model: str, request: Request) -> dict[str, Any]:
    """The arguments of a call. Person, stage and analysis go to the server's chat template, if the request names any."""
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    extra: dict[str, Any] = {}
    if request.persona or request.stage or request.analysis:
        extra["chat_template_kwargs"] = {"persona": request.persona, "stage": request.stage, "analysis": request.analysis}
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
        extra |= {"continue_final_message": True, "add_generation_prompt": False}
    sampling = request.sampling.model_dump()
    return {"model": model, "messages": messages, **sampling, **({"extra_body": extra} if extra else {})}


def read_completion(completion: Any) -> Reply:
    """The first choice of a completion; an error Reply if there is nothing in it."""
    if not getattr(completion, "choices", None):
        return Reply(finish="error", error="what came back is not a chat completion")
    choice = completion.choices[0]
    usage = Usage(
        prompt_tokens=getattr(completion.usage, "prompt_tokens", 0) or 0,
        completion_tokens=getattr(completion.usage, "completion_tokens", 0) or 0,
    )
    text = choice.message.content or ""
    thought = getattr(choice.message, "reasoning_content", None) or getattr(choice.message, "reasoning", None) or ""
    inline = INLINE_THOUGHT.match(text)
    if inline:
        text, thought = text[inline.end() :], thought or inline[1].strip()
    if choice.finish_reason == "content_filter":
        return Reply(finish="error", usage=usage, error="refused by the server's content filter")
    if not text.strip():
        return Reply(finish="error", usage=usage, error="empty reply")
    return Reply(text=text, thought=thought, finish="length" if choice.finish_reason == "length" else "stop", usage=usage)
