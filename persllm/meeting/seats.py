"""Seats with somebody in them: settings to agents, models loaded once, and what a person's materials are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from persllm.agent import SMALL_CONTEXT, Agent, Company, suiting
from persllm.chat import SetBy
from persllm.constructor_settings import ApiSettings
from persllm.errors import ConfigError
from persllm.meeting.scene import Scene, SeatSettings
from persllm.records import Material, Persona, Stage

PATIENCE = 1_000_000
"""A seat's memory is cut by the meeting, not by the agent."""
DESCRIBED = "described"
"""Id of a person who is described in words alone."""

OF_A_SEAT = SetBy(url="the seat's address", model="the seat's model", key="the seat's key_variable")


@dataclass(frozen=True, eq=False)
class Seat:
    """Somebody at the table."""

    name: str
    """How the others call them; unique at the table."""
    agent: Agent | None
    """Who answers; None for a human."""
    taker: str = ""
    """`dpo`, `sft`, `prompted`, `base`; empty for a human."""
    run: str = ""
    """The run the person comes from; empty for whoever comes from none."""
    materials: tuple[Material, ...] = ()
    """The person's own, of all stages."""
    told: bool = True
    """Whether goal and setting are in the system message."""

    @property
    def persona(self) -> str:
        """Id of the person; empty for whoever comes from no run."""
        return self.agent.persona.id if self.agent and self.run else ""

    @property
    def stage(self) -> str:
        """Id of the stage."""
        return self.agent.stage if self.agent else ""

    @cached_property
    def known(self) -> tuple[Material, ...]:
        """The person's materials up to the stage."""
        if not self.agent or not self.run:
            return ()
        order, now = self.agent.persona.order, self.agent.stage
        return tuple(m for m in self.materials if m.stage is None or order(m.stage) <= order(now))

    @cached_property
    def called(self) -> tuple[str, ...]:
        """Forms of the name, the longest first."""
        persona = self.agent.persona if self.agent and self.run else None
        return tuple(sorted({self.name, *((persona.name, *persona.aliases) if persona else ())}, key=lambda form: (-len(form), form)))

    def named_at(self, text: str) -> int:
        """Where a text first names whoever sits here; -1 if it does not."""
        places = [found.start() for form in self.called if (found := re.search(whole(form), text))]
        return min(places, default=-1)


def whole(form: str) -> str:
    """A pattern of a name as a whole word; Chinese has no blanks between words."""
    edge = r"\b" if form.isascii() else ""
    return f"{edge}{re.escape(form)}{edge}"


class Hall:
    """Where seats are filled: the runs that are open, each with its models, loaded once for all meetings."""

    def __init__(self, opener: Callable[[str], Any] | None = None):
        self.opener = opener or opened
        """Opens the model of a folder."""
        self.companies: dict[tuple[str, str, str], Company] = {}
        self.read: dict[str, list[Material]] = {}

    def company(self, run: str, seat: SeatSettings) -> Company:
        """The persons of a run, played by the run's models or at the seat's address."""
        key = (run, seat.address, seat.model)
        if key not in self.companies:
            api = ApiSettings(url=seat.address, model=seat.model, key_variable=seat.key_variable) if seat.address else None
            self.companies[key] = Company(Path(run), api, self.opener, OF_A_SEAT)
        return self.companies[key]

    def materials(self, run: str, persona: str) -> tuple[Material, ...]:
        """A person's materials."""
        if run not in self.read:
            self.read[run] = Company(Path(run)).run.step("1-materials").records(Material)
        return tuple(material for material in self.read[run] if material.persona == persona)

    def seats(self, scene: Scene) -> list[Seat]:
        """The seats of a scene, filled, with names that tell them apart. ConfigError for what cannot be."""
        seats = [self.fill(seat, scene) for seat in scene.seats]
        names = [seat.name for seat in seats]
        seats = [self.told_apart(seat) if names.count(seat.name) > 1 else seat for seat in seats]
        names = [seat.name for seat in seats]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f'two seats are called "{double}"; give one of them another name, stage or persona.')
        return seats

    def told_apart(self, seat: Seat) -> Seat:
        """The seat, called by stage too."""
        return replace(seat, name=f"{seat.name} ({seat.agent.persona.stage(seat.stage).title or seat.stage})") if seat.agent else seat

    def fill(self, seat: SeatSettings, scene: Scene) -> Seat:
        """One seat."""
        if seat.human:
            return Seat(name=seat.name, agent=None)
        run = seat.run or scene.run
        return self.person(seat, run) if seat.persona else self.described(seat, run, scene)

    def person(self, seat: SeatSettings, run: str) -> Seat:
        """A person of a run."""
        persona, _, stage = seat.persona.partition("@")
        company = self.company(run, seat)
        agent = company.agent(persona, stage, seat.taker)
        taker = seat.taker or ("address" if seat.address else next(iter(company.takers(persona))))
        named = seat.name or agent.persona.name
        return Seat(named, replace(agent, kept=PATIENCE), taker, run, self.materials(run, persona), told(seat, agent))

    def described(self, seat: SeatSettings, run: str, scene: Scene) -> Seat:
        """Somebody of whom only words tell: the run's untrained base, or a model at an address, with a prompt."""
        stage = Stage(id="now", title=seat.name)
        persona = Persona(id=DESCRIBED, name=seat.name, profile=seat.profile, language=scene.language, stages=(stage,))
        company = self.company(run, seat)
        folder = "" if seat.address else company.takers(next(iter(company.personas)))["prompted"]
        model = company.model(folder)
        agent = Agent(
            model=model, persona=persona, stage="now", sampling=suiting(model), manner="prompted", kept=PATIENCE, defuse=bool(seat.address)
        )
        return Seat(seat.name, agent, "prompted", told=told(seat, agent))


def opened(folder: str) -> Any:
    """The model of a folder, on one thread: a few rows at a time are too little for more, and threads that wait cost."""
    from persllm.shared_base import open_model

    return open_model(Path(folder), threads=1)


def told(seat: SeatSettings, agent: Agent) -> bool:
    """Whether the seat is told goal and setting: if not set, all but trained models that hold little."""
    small = getattr(agent.model, "context", 1 << 30) <= SMALL_CONTEXT
    return seat.told if seat.told is not None else not (small and agent.manner == "trained")


def models_of(seats: Sequence[Seat]) -> list[Any]:
    """The different models that play the seats."""
    return list({id(seat.agent.model): seat.agent.model for seat in seats if seat.agent}.values())
