"""Another OpenAI-compatible server as the one who answers, vLLM for instance; a Backend.

It serves the merged model of a run. Who answers is told by the template's variables (`chat_template_kwargs`),
or by words where the server knows no such thing. Control tokens in what clients say are taken apart before they
get there, since that server's tokenizer may read them. The key for it is taken from the environment, and what it
says of its faults is not passed on.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from persllm.chat.address import Address, SetBy
from persllm.chat.streaming import END, read_chunk
from persllm.chat.wire import payload, read_usage
from persllm.constructor_settings import ApiSettings
from persllm.listening import Refused
from persllm.records import Piece, Reply, Usage
from persllm.serve.orders import Manners, Order
from persllm.writing import Writing

BY_OPTIONS = SetBy(url="--upstream", model="--upstream-model", key="--upstream-key")


class Upstream:
    """A server by address. ModelError if a key is needed and there is none."""

    def __init__(self, settings: ApiSettings, queue: int = 256):
        self.address, self.most = Address(settings, settings.model, BY_OPTIONS), settings.concurrency + queue
        self.manners: dict[str, Manners] = {}
        self.session: Any = None
        self.under_way = 0

    async def __aenter__(self) -> "Upstream":
        """Open connections that are kept."""
        self.session = self.address.session()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self.session.close()

    async def replying(self, order: Order) -> AsyncIterator[Piece | Reply]:
        """What the other server says. It is always asked to stream, so that a hang-up here ends the work there."""
        import aiohttp

        if self.under_way >= self.most:
            raise Refused(429, f"{self.most} requests are under way", "queue_full", {"retry-after": "1"})
        self.under_way += 1
        try:
            async with self.session.post(self.address.endpoint, json=self.body(order), headers=self.address.headers) as answer:
                if answer.status != 200:
                    raise refusal(answer.status, answer.headers.get("retry-after", ""))
                async for part in told(answer.content, order):
                    yield part
        except TimeoutError:
            raise Refused(504, "the server behind this one does not answer in time", "upstream_timeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Refused(502, f"the server behind this one fails ({type(error).__name__})", "upstream_failed") from None
        finally:
            self.under_way -= 1

    def body(self, order: Order) -> dict[str, Any]:
        """An order in the words of the API."""
        stops = {"stop": list(order.stops)} if order.stops else {}
        return {
            **payload(self.address.model, order.request, self.address.dialect),
            **stops,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def health(self) -> dict[str, object]:
        """How much is under way; whether the other server is well, its own health says."""
        return {"status": "ok", "under_way": self.under_way}


def refusal(status: int, wait: str) -> Refused:
    """What a refusal of the other server means here."""
    if status == 429:
        return Refused(429, "the server behind this one is busy", "upstream_busy", {"retry-after": wait if wait.isdecimal() else "1"})
    if status in (400, 413, 422):
        return Refused(400, "the server behind this one refuses the request; it may be too long", "upstream_refused")
    return Refused(502, f"the server behind this one answers with error {status}", "upstream_failed")


async def told(lines: AsyncIterator[bytes], order: Order) -> AsyncIterator[Piece | Reply]:
    """The events of a stream as pieces, then the reply; an analysis that stands in the text is parted from it."""
    writing, thought, finish, usage = Writing(stops=order.stops), "", "", Usage()
    async for line in lines:
        data = line.decode("utf-8", "replace").removeprefix("data:").strip() if line.startswith(b"data:") else ""
        if not data or data == END:
            continue
        event = json.loads(data)
        usage = read_usage(event["usage"]) if isinstance(event, dict) and event.get("usage") else usage
        part, said = read_chunk(event)
        if isinstance(part, Reply):
            raise Refused(502, "the server behind this one broke off", "upstream_failed")
        finish, thought = said or finish, thought + part.thought
        found = writing.add_text(part.text) or Piece()
        if order.streamed and (found.text or found.thought or part.thought):
            yield Piece(text=found.text, thought=part.thought + found.thought)
    if not finish:
        raise Refused(502, "the server behind this one broke off", "upstream_failed")
    found = writing.end()
    if order.streamed and found:
        yield found
    yield Reply(
        text=writing.told.text,
        thought=thought.strip() or writing.told.thought,
        finish="length" if finish == "length" else "stop",
        usage=usage,
    )
