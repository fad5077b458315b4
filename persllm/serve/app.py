"""The routes: chat completions with and without streaming, the list of models, health.

Who answers is settled by the model's name. The client's messages are the whole talk; nothing is kept here. A
client that hangs up is noticed while its answer is being written, and its place is free at once.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from persllm.agent import Agent
from persllm.listening import ErrorBody, Guard, Limits, Refused, error_body, make_app
from persllm.records import Piece, Reply, Sampling
from persllm.serve import shapes
from persllm.serve.names import Directory, Folder
from persllm.serve.orders import Backend, Order

EVERYTHING = 1 << 30
"""The server does not shorten a talk: what a client sends is read, or refused as too long."""


@dataclass(frozen=True)
class Front:
    """What the routes need: the persons, who answers, and how long it may take."""

    directory: Directory
    backend: Backend
    longest: int = 1024
    """Most tokens of an answer; who asks for more gets so many and `finish_reason` `length`."""
    seconds: float = 300.0
    """Longest time for an answer, waiting included."""

    def agent(self, asked: shapes.Asked) -> Agent:
        """Who is to answer; Refused if there is no such person or stage."""
        given = asked.chat_template_kwargs or shapes.TemplateVariables()
        name = self.directory.named(asked.model, given.stage) if given.stage else asked.model
        agent = self.directory.agent(name)
        if agent is None or given.persona not in ("", agent.persona.id):
            wrong = name if agent is None else f"{name} with the persona {given.persona}"
            raise Refused(404, f"no model {wrong!r:.200}; GET /v1/models lists all", "model_not_found")
        return replace(agent, kept=EVERYTHING)

    def order(self, asked: shapes.Asked) -> Order:
        """What the backend is asked."""
        agent = self.agent(asked)
        model = agent.model if isinstance(agent.model, Folder) else Folder("")
        messages = [said.message() for said in asked.messages]
        if messages[-1].role != "user":
            raise Refused(400, "the last message must be the user's", "invalid_request")
        request = agent.request(messages, asked.thinks, self.sampling(asked, model.path, agent))
        return Order(folder=model.path, adapter=model.adapter, request=request, stops=asked.stops, streamed=bool(asked.stream))

    def sampling(self, asked: shapes.Asked, folder: str, agent: Agent) -> Sampling:
        """As the client says, and where it is silent as suits the model; without a seed each answer has its own luck."""
        manners = self.backend.manners.get(folder)
        suits = manners.sampling if manners else agent.sampling
        return Sampling(
            temperature=suits.temperature if asked.temperature is None else asked.temperature,
            top_p=suits.top_p if asked.top_p is None else asked.top_p,
            max_tokens=min(self.longest, asked.longest or suits.max_tokens),
            seed=random.getrandbits(48) if asked.seed is None else asked.seed,
        )

    async def parts(self, order: Order, request: Any) -> AsyncIterator[Piece | Reply]:
        """What the backend says, until the client hangs up or the time is over; Refused if the reply is an error."""
        end = time.monotonic() + self.seconds
        gone = asyncio.ensure_future(hung_up(request))
        async with aclosing(self.backend.replying(order)) as parts:
            try:
                while True:
                    coming = asyncio.ensure_future(anext(parts))
                    await asyncio.wait({coming, gone}, timeout=max(0.0, end - time.monotonic()), return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                        raise (
                            Refused(499, "the client hung up")
                            if gone.done()
                            else Refused(504, f"no answer within {self.seconds:g} s", "timeout")
                        )
                    part = coming.result()
                    if isinstance(part, Reply) and part.finish == "error":
                        raise refusal_of(part)
                    yield part
                    if isinstance(part, Reply):
                        return
            finally:
                gone.cancel()


async def hung_up(request: Any) -> None:
    """Returns when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def refusal_of(reply: Reply) -> Refused:
    """An error reply as a refusal: too long or not to be rendered is the client's matter, all else ours."""
    if "the model holds" in reply.error:
        return Refused(400, reply.error, "context_length_exceeded")
    if "chat template refuses" in reply.error:
        return Refused(400, reply.error, "invalid_request")
    return Refused(502, reply.error, "model_error")


def serve_app(front: Front, key: str = "", limits: Limits | None = None) -> Guard:
    """The application, guarded. The backend must be entered around it: `run_server(app, ..., around=front.backend)`."""
    from fastapi import Request, Response
    from fastapi.responses import JSONResponse, StreamingResponse

    errors = {code: {"model": ErrorBody} for code in (400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504)}
    app, guard = make_app("persllm", key, limits)

    @app.get("/health")
    async def health() -> Response:
        """Whether requests can be answered."""
        state = front.backend.health()
        return JSONResponse(state, 200 if state["status"] == "ok" else 503)

    @app.get("/v1/models", responses={401: errors[401]})
    async def models() -> shapes.ModelList:
        """All persons at all stages."""
        return shapes.ModelList(data=[shapes.ModelCard(id=name) for name in front.directory.names])

    @app.get("/v1/models/{name:path}", responses={code: errors[code] for code in (400, 401, 404)})
    async def model(name: str) -> shapes.ModelCard:
        """One of them."""
        if name not in front.directory.names:
            raise Refused(404, "no such model; GET /v1/models lists all", "model_not_found")
        return shapes.ModelCard(id=name)

    @app.post(
        "/v1/chat/completions",
        response_model=shapes.Completion,
        responses={**errors, 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def chat_completions(asked: shapes.Asked, request: Request) -> Response:
        """An answer of a person, whole or as it is written."""
        parts = front.parts(front.order(asked), request)
        first = await anext(parts)  # what is refused is refused before the stream begins
        if asked.stream:
            return StreamingResponse(events(asked, first, parts), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        async with aclosing(parts):
            return JSONResponse(shapes.completion(asked.model, first, asked.thinks).model_dump())

    return guard


async def events(asked: shapes.Asked, first: Piece | Reply, parts: AsyncIterator[Piece | Reply]) -> AsyncIterator[str]:
    """A streamed answer as server-sent events."""
    chunks = shapes.Chunks(asked.model, bool(asked.stream_options and asked.stream_options.include_usage))
    async with aclosing(parts):
        yield event(chunks.delta({"role": "assistant", "content": ""}))
        part: Piece | Reply | None = first
        try:
            while isinstance(part, Piece):
                if chunk := chunks.piece(part, asked.thinks):
                    yield event(chunk)
                part = await anext(parts)
        except Refused as refusal:
            yield event(error_body(refusal.status, refusal.message, refusal.code))
            return
        for chunk in chunks.last(part):
            yield event(chunk)
        yield "data: [DONE]\n\n"


def event(value: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"
