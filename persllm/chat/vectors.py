"""Texts to vectors at an address that serves `/v1/embeddings`, asked with the same retries, pace and breaker as a chat.

A call carries several texts, each as a message of its request; its reply carries their vectors as JSON, which is read here
and nowhere else. What a server refuses together is asked again one text at a time, so that one that is too long for it
costs no other its vector. A vector that cannot be compared (none came, no number in it, no length) is an error that says so.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, Protocol

from persllm.chat.address import Address, below
from persllm.chat.model import ApiModel
from persllm.chat.wire import Dialect, read_usage
from persllm.constructor_settings import AddressSettings
from persllm.records import Message, Record, Reply, Request, Sampling

NOTHING_WRITTEN = Sampling(max_tokens=0)


class Embedded(Record):
    """The vector of a text, or why there is none."""

    numbers: tuple[float, ...] = ()
    error: str = ""


class Encoder(Protocol):
    """What turns texts into vectors."""

    name: str
    """What its vectors are kept under: those of two encoders must never meet."""

    def vectors(self, texts: Sequence[str]) -> list[Embedded]:
        """The vectors of texts, in their order."""
        ...


class EmbeddingAddress(Address):
    """An address that is asked for vectors."""

    PATH = "embeddings"

    def body(self, request: Request, dialect: Dialect) -> dict[str, Any]:
        """The texts, and nothing else: what more servers know differs."""
        return {"model": self.model, "input": [message.content for message in request.messages]}

    def read(self, body: bytes, request: Request) -> Reply:
        """The vectors, in the order of the texts."""
        return read_embeddings(body, len(request.messages))


class EmbeddingModel(ApiModel):
    """An encoder behind an address."""

    ADDRESS = EmbeddingAddress

    def __init__(self, settings: AddressSettings, batch: int):
        super().__init__(settings, set_by=below("evaluation.embeddings.api"))
        self.batch, self.name = batch, f"{settings.model} at {settings.url}"

    def vectors(self, texts: Sequence[str]) -> list[Embedded]:
        """The vectors of texts, in their order. ModelError for what no further call could mend."""
        found: dict[int, Embedded] = {}
        owed = list(range(len(texts)))
        for size in dict.fromkeys((self.batch, 1)):
            groups = [owed[start : start + size] for start in range(0, len(owed), size)]
            owed = []
            for place, reply in self.replies(asking([texts[one] for one in group]) for group in groups):
                found |= zip(groups[place], embedded(reply, len(groups[place])), strict=True)
                owed += groups[place] if reply.finish == "error" and len(groups[place]) > 1 else []
            owed.sort()
        return [found[place] for place in range(len(texts))]


def asking(texts: Sequence[str]) -> Request:
    """A request for the vectors of these texts."""
    return Request(messages=tuple(Message(role="user", content=text) for text in texts), sampling=NOTHING_WRITTEN)


def read_embeddings(body: bytes, wanted: int) -> Reply:
    """The vectors in a server's answer as JSON, in the order of the texts; an error Reply if they are not as many as the texts."""
    try:
        answer = json.loads(body)
        usage = read_usage(answer.get("usage") or {})
        by_place = [(entry.get("index", place), entry["embedding"]) for place, entry in enumerate(answer["data"])]
        places = sorted(place for place, _ in by_place)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Reply(finish="error", error="what came back is not a list of embeddings")
    if places != list(range(wanted)):
        return Reply(finish="error", usage=usage, error=f"{len(places)} vectors came back for {wanted} texts, or not one for each")
    return Reply(text=json.dumps([vector for _, vector in sorted(by_place, key=lambda pair: pair[0])]), usage=usage)


def embedded(reply: Reply, wanted: int) -> list[Embedded]:
    """A vector for each of the texts, or the reason of the whole reply for each."""
    if reply.finish == "error":
        return [Embedded(error=reply.error)] * wanted
    return [checked(vector) for vector in json.loads(reply.text)]


def checked(vector: object) -> Embedded:
    """A vector of length 1, or why these are no numbers that could be compared."""
    if not isinstance(vector, list) or not vector:
        return Embedded(error="what came back is no vector")
    try:
        length = math.hypot(*vector)
    except (TypeError, OverflowError):
        length = math.nan
    if not math.isfinite(length):
        return Embedded(error="a vector came back that has something else than numbers in it")
    if not length:
        return Embedded(error="a vector came back that has no length")
    return Embedded(numbers=tuple(one / length for one in vector))
