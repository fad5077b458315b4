"""What the front asks of a backend, and what it gets: orders in, pieces and a reply out, or a refusal."""

from collections.abc import AsyncIterator
from typing import Protocol

from persllm.records import Piece, Record, Reply, Request, Sampling


class Order(Record):
    """One request to a model."""

    folder: str
    """Folder of the model that is to answer; of a base with adapters, the folder of its run."""
    request: Request
    adapter: str = ""
    """The adapter that is to answer, where the model is a base that carries several."""
    stops: tuple[str, ...] = ()
    """Texts at which the answer ends; they are not part of it."""
    streamed: bool = False
    """Whether pieces are wanted, or only the whole reply."""


class Manners(Record):
    """What a model is like."""

    context: int
    """Tokens it holds."""
    sampling: Sampling
    """The sampling that suits it."""


class Backend(Protocol):
    """Who answers orders. An async context: entered, it can be asked; left, it has let everything go."""

    manners: dict[str, Manners]
    """What each folder's model is like; known once entered."""

    async def __aenter__(self) -> "Backend": ...

    async def __aexit__(self, *_: object) -> None: ...

    def replying(self, order: Order) -> AsyncIterator[Piece | Reply]:
        """Pieces if they are wanted, then the reply. Closing it frees the place. `Refused` if there will be no reply."""
        ...

    def health(self) -> dict[str, object]:
        """`status` (`ok`, or why not) and how many requests are under way."""
        ...
