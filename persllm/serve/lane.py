"""The requests of one model, advanced together: some join, some leave, all others go on."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from persllm.errors import PersllmError
from persllm.generation import Row
from persllm.records import Piece, Reply
from persllm.rendering import prompts_to_ids
from persllm.serve.orders import Order
from persllm.writing import Writing

Event = tuple[int, Piece | Reply]
"""Number of the order, and what is to be told about it."""


class Seat:
    """An order that is being answered."""

    def __init__(self, number: int, order: Order, prompt_tokens: int, row: Row, writing: Writing):
        self.number, self.order, self.prompt_tokens, self.row, self.writing = number, order, prompt_tokens, row, writing


class Lane:
    """One model with its batch and those who wait for a place in it."""

    def __init__(self, model: Any, rows: int):
        self.model, self.rows = model, rows
        """`rows` is how many requests are answered at the same time."""
        self.batch = model.batch()
        self.waiting: deque[tuple[int, Order]] = deque()
        self.seats: dict[int, Seat] = {}

    @property
    def busy(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.waiting or self.seats)

    def leave(self, number: int) -> None:
        """Give an order up; its place is free from the next step on."""
        self.waiting = deque(entry for entry in self.waiting if entry[0] != number)
        seat = self.seats.pop(number, None)
        if seat:
            seat.row.left = True

    def step(self) -> Iterator[Event]:
        """Let in who waits, as far as there is room, and write one token for everybody."""
        yield from self.admit()
        if not self.seats:
            return
        grown = {id(row) for row in self.batch.step()}
        for seat in list(self.seats.values()):
            if id(seat.row) in grown:
                yield from self.told(seat)

    def admit(self) -> Iterator[Event]:
        """Let in as many as there is room for; who cannot be answered is told so."""
        if not self.waiting or not self.batch.joinable:
            return
        joining: list[tuple[int, Order, list[int]]] = []
        while self.waiting and len(self.seats) + len(joining) < self.rows:
            number, order = self.waiting.popleft()
            try:
                [prompt] = prompts_to_ids(self.model.tokenizer, [order.request])
            except PersllmError as error:
                yield number, Reply(finish="error", error=str(error))
                continue
            room = self.model.context - len(prompt)
            if room < 1:
                yield number, Reply(finish="error", error=f"the messages have {len(prompt)} tokens; the model holds {self.model.context}")
                continue
            joining.append((number, fitting(order, room), prompt))
        adapters = [order.adapter for _, order, _ in joining]
        rows = self.batch.admit(
            [prompt for _, _, prompt in joining], [order.request for _, order, _ in joining], adapters if any(adapters) else ()
        )
        for (number, order, prompt), row in zip(joining, rows, strict=True):
            self.seats[number] = Seat(number, order, len(prompt), row, Writing(self.model.tokenizer, order.stops))

    def told(self, seat: Seat) -> Iterator[Event]:
        """What the newest token of an answer makes known."""
        token = seat.row.written[-1]
        piece = seat.writing.add(token) if token not in self.model.stops else None
        if seat.writing.stopped:
            seat.row.left = True
        if not seat.row.finished:
            if piece and seat.order.streamed:
                yield seat.number, piece
            return
        last = seat.writing.end()
        for found in (piece, last):
            if found and seat.order.streamed:
                yield seat.number, found
        reply = self.model.reply(seat.row.written, seat.prompt_tokens)
        told = seat.writing.told
        finish = "stop" if seat.writing.stopped else reply.finish
        yield seat.number, reply.model_copy(update={"text": told.text, "thought": told.thought, "finish": finish})
        del self.seats[seat.number]


def fitting(order: Order, room: int) -> Order:
    """The order with an answer that is no longer than there is room for."""
    sampling = order.request.sampling
    if sampling.max_tokens <= room:
        return order
    request = order.request.model_copy(update={"sampling": sampling.model_copy(update={"max_tokens": room})})
    return order.model_copy(update={"request": request})
