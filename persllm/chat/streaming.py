"""One answer as it is being written. What is streamed is not kept on disk and enters no accounts."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from persllm.chat.address import Address
from persllm.chat.protocol import ChatModel
from persllm.chat.wire import complaint_in, payload
from persllm.records import Piece, Reply, Request

END = "[DONE]"


def streamed(model: ChatModel, request: Request) -> Iterator[Piece | Reply]:
    """What a model writes as it writes it, then the whole reply; a model that cannot stream says all at once."""
    if hasattr(model, "stream"):
        yield from model.stream(request)
        return
    [(_, reply)] = list(model.replies([request]))
    if reply.text or reply.thought:
        yield Piece(text=reply.text, thought=reply.thought)
    yield reply


def stream_from(address: Address, request: Request) -> Iterator[Piece | Reply]:
    """The pieces of one answer from an address, then the whole reply; leaving the loop ends the call."""
    loop = asyncio.new_event_loop()
    pieces = pieces_from(address, request)
    whole, finish = Piece(), "stop"
    try:
        while True:
            try:
                piece, said = loop.run_until_complete(anext(pieces))
            except StopAsyncIteration:
                break
            finish = said or finish
            if isinstance(piece, Reply):
                yield piece.model_copy(update={"text": whole.text})
                return
            if piece.text or piece.thought:
                whole = Piece(text=whole.text + piece.text, thought=whole.thought + piece.thought)
                yield piece
        yield Reply(text=whole.text.strip(), thought=whole.thought.strip(), finish="length" if finish == "length" else "stop")
    finally:
        loop.run_until_complete(pieces.aclose())
        loop.close()


async def pieces_from(address: Address, request: Request) -> AsyncIterator[tuple[Piece | Reply, str]]:
    """(piece, how it ended if it did) for every event of the stream; an error Reply if it breaks."""
    import aiohttp

    body = payload(address.model, request, address.dialect) | {"stream": True}
    try:
        async with (
            address.session() as session,
            session.post(address.endpoint, json=body, headers=address.headers) as answer,
        ):
            if answer.status != 200:
                complaint = complaint_in(await answer.read())
                yield Reply(finish="error", error=address.scrub(f"error {answer.status}: {complaint}")), ""
                return
            async for line in answer.content:
                data = line.decode("utf-8", "replace").removeprefix("data:").strip() if line.startswith(b"data:") else ""
                if data and data != END:
                    yield read_chunk(json.loads(data))
    except TimeoutError:
        yield Reply(finish="error", error=f"no answer within {address.settings.timeout:g} s"), ""
    except (aiohttp.ClientError, OSError, ValueError) as error:
        yield Reply(finish="error", error=address.scrub(f"connection failed: {error or type(error).__name__}")), ""


def read_chunk(chunk: Any) -> tuple[Piece | Reply, str]:
    """What one event of a stream brings."""
    try:
        if chunk.get("error"):
            return Reply(finish="error", error=complaint_in(json.dumps(chunk).encode())), ""
        if not chunk.get("choices"):
            return Piece(), ""
        choice = chunk["choices"][0]
        delta = choice.get("delta") or {}
        thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
        return Piece(text=delta.get("content") or "", thought=thought), choice.get("finish_reason") or ""
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return Reply(finish="error", error="what came back is not a stream of a chat completion"), ""
