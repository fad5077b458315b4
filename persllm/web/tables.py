"""Talks in progress: a table has seats, each seat is one agent, and every question goes to all of them.

What the page sends are the numbers of tables, seats and answers; persons, prompts and answers are kept here, so that a
correction is always about what was really said. In a blind comparison the page does not learn who sits where until it
asks for it, and what was judged before that is kept.
"""

import random
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from persllm.agent import Agent, Company
from persllm.corrections import Correction, add_correction
from persllm.errors import PersllmError
from persllm.evidence import Evidence
from persllm.listening import Refused
from persllm.records import Message, Piece, Record, Reply
from persllm.store import now

MOST_TABLES = 200
"""Talks that are kept in mind; the one not used for longest is forgotten first."""
MOST_SEATS = 6
LONGEST_QUESTION = 2000
"""Characters."""
EVIDENCE = 3
"""Passages shown beside an answer."""


class SeatWanted(Record):
    """Who is to sit at a table."""

    persona: str
    stage: str
    taker: str = ""
    """The best trained model if empty."""


class Given(Record):
    """An answer that was given, as long as it can be judged."""

    seat: int
    prompt: tuple[Message, ...]
    text: str


@dataclass
class Table:
    """One talk with everybody at a table."""

    id: str
    agents: list[Agent]
    takers: list[str]
    blind: bool
    answers: dict[str, Given] = field(default_factory=dict)
    busy: threading.Lock = field(default_factory=threading.Lock)

    def label(self, seat: int) -> dict[str, str]:
        """What the page is told of a seat: nothing but a letter while it is blind."""
        if self.blind:
            return {"letter": chr(ord("A") + seat)}
        agent = self.agents[seat]
        stage = agent.persona.stage(agent.stage)
        years = f"{stage.start}–{stage.end}" if stage.start or stage.end else ""
        return {
            "letter": chr(ord("A") + seat), "name": agent.persona.name, "persona": agent.persona.id, "stage": stage.id,
            "title": stage.title or stage.id, "years": years, "taker": self.takers[seat],
        }  # fmt: skip


class Tables:
    """All talks of a page with the persons of one run."""

    def __init__(self, company: Company):
        self.company = company
        self.tables: OrderedDict[str, Table] = OrderedDict()
        self.evidence: dict[str, Evidence] = {}
        self.model_turn = threading.Lock()
        """One answer is written at a time: a model in memory serves one after the other."""

    def open(self, seats: Sequence[SeatWanted], blind: bool) -> Table:
        """A new table; blind ones are shuffled. Refused with 404 for a person, stage or taker that is not there."""
        wanted = list(seats)
        if blind:
            random.SystemRandom().shuffle(wanted)
        try:
            agents = [self.company.agent(seat.persona, seat.stage, seat.taker) for seat in wanted]
        except PersllmError as error:
            raise Refused(404, str(error), "not_found") from None
        takers = [seat.taker or next(iter(self.takers(seat.persona)), "") for seat in wanted]
        table = Table(id=secrets.token_urlsafe(12), agents=agents, takers=takers, blind=blind)
        self.tables[table.id] = table
        while len(self.tables) > MOST_TABLES:
            self.tables.popitem(last=False)
        return table

    def takers(self, persona: str) -> list[str]:
        """Who can play a person, the best trained first."""
        return ["address"] if self.company.address else list(self.company.takers(persona))

    def table(self, name: str) -> Table:
        """A table by its id. Refused if it was forgotten."""
        if name not in self.tables:
            raise Refused(404, "this talk is no longer kept; begin a new one.", "not_found")
        self.tables.move_to_end(name)
        return self.tables[name]

    def say(self, table: Table, text: str, again: bool = False) -> Iterator[dict[str, object]]:
        """What each seat says, piece by piece: events with `seat` and `piece`, then one with the whole `answer`."""
        with table.busy:
            for seat, agent in enumerate(table.agents):
                parts = agent.stream_again() if again else agent.stream(text)
                with self.model_turn:
                    for part in parts:
                        if isinstance(part, Piece):
                            yield {"seat": seat, "piece": part.text}
                        else:
                            yield self.answered(table, seat, part)

    def answered(self, table: Table, seat: int, reply: Reply) -> dict[str, object]:
        """The event of a whole answer; it can be judged from now on."""
        if reply.finish == "error":
            return {"seat": seat, "error": reply.error or "no answer"}
        talk = table.agents[seat].talk
        number = secrets.token_urlsafe(9)
        table.answers[number] = Given(seat=seat, prompt=tuple(talk[:-1]), text=reply.text)
        return {"seat": seat, "answer": number, "text": reply.text, "thought": reply.thought, "cut": reply.finish == "length"}

    def nearest(self, table: Table, number: str) -> list[dict[str, object]]:
        """The trained passages nearest to an answer, with file and line."""
        agent = table.agents[self.given(table, number).seat]
        if table.blind:
            raise Refused(409, "who sits here is not told yet.", "blind")
        if agent.persona.id not in self.evidence:
            self.evidence[agent.persona.id] = Evidence.of_run(self.company.run, agent.persona.id)
        return [p.model_dump(mode="json") for p in self.evidence[agent.persona.id].nearest(table.answers[number].text, EVIDENCE)]

    def given(self, table: Table, number: str) -> Given:
        """An answer by its number. Refused if there is none."""
        if number not in table.answers:
            raise Refused(404, "there is no such answer in this talk.", "not_found")
        return table.answers[number]

    def judge(self, table: Table, number: str, kind: str, better: str = "") -> None:
        """Keep a thumb (`up`, `down`) or the user's own words (`edit`); for `prefer`, `better` is the number of the chosen answer."""
        given = self.given(table, number)
        chosen = self.given(table, better) if kind == "prefer" else None
        agent = table.agents[given.seat]
        if chosen and (chosen.prompt[-1] != given.prompt[-1] or self.place(table, chosen) != self.place(table, given)):
            raise Refused(409, "two answers can be compared if the same person was asked the same at the same stage.", "not_comparable")
        add_correction(self.company.run, Correction(
            at=now(), kind=kind, persona=agent.persona.id, stage=agent.stage, taker=table.takers[given.seat], prompt=given.prompt, answer=given.text,
            better=chosen.text if chosen else better, better_taker=table.takers[chosen.seat] if chosen else "",
        ))  # fmt: skip

    def place(self, table: Table, given: Given) -> tuple[str, str]:
        """Person and stage of an answer."""
        return table.agents[given.seat].persona.id, table.agents[given.seat].stage

    def reveal(self, table: Table) -> None:
        """End a blind comparison."""
        table.blind = False
