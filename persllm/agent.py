"""A persona in role: a model, a person, a stage, and what was said so far.

Chat, serving, the page, meetings and studies share this one class; the examination shares its way of telling a
model who answers (`takers.in_role`). The model is anything with `replies`: a folder in memory, or an address.
What users type has no effect on who answers: control tokens stay plain text in a model in memory, and are
parted by a blank on the way to an address. The analysis is split from what is said.

Retrieval puts materials that the person can know at the stage into the system message; memory puts exchanges
of earlier talks with the same user before this one. Both are off unless asked for: a small base was not
trained to read them.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from persllm.chat import ApiModel, ChatModel, SetBy, streamed
from persllm.constructor_settings import ApiSettings
from persllm.errors import ConfigError, RunError
from persllm.memory import Memory
from persllm.records import Material, Message, Persona, Piece, Reply, Request, Sampling
from persllm.retrieval import Retriever
from persllm.store import Run
from persllm.takers import MANNERS, TRAINED, Manner, in_role, players, remembered
from persllm.templates import defused

KEPT_MESSAGES = 8
"""How much of the talk the model sees again; the small base knows no longer ones."""
RECALLED = 2
"""Exchanges of earlier talks that are recalled."""
SAMPLING = Sampling(temperature=0.3, max_tokens=96)
"""How a person answers whose model says nothing of its own: the small base is at its best near the likeliest."""
LONG = 512
"""Longest answer of a model that says itself how it likes to be sampled."""
SMALL_CONTEXT = 2048
"""A model that holds no more than this sees only the last KEPT_MESSAGES; a larger one five times as many."""


@dataclass(frozen=True)
class Agent:
    """One person at one stage, with the talk so far."""

    model: ChatModel
    persona: Persona
    stage: str
    sampling: Sampling = SAMPLING
    talk: list[Message] = field(default_factory=list)
    manner: Manner = "trained"
    kept: int = KEPT_MESSAGES
    """Messages of the talk that the model sees again."""
    retriever: Retriever | None = None
    """Where materials are looked up; None for none."""
    memory: Memory | None = None
    """What is remembered of earlier talks; None for nothing."""
    defuse: bool = False
    """Whether control tokens must be taken apart here, because the model's tokenizer is out of reach."""
    session: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def title(self) -> str:
        """Name, stage and years, for people."""
        stage = self.persona.stage(self.stage)
        years = f", {stage.start} to {stage.end}" if stage.start else ""
        return f"{self.persona.name}, {stage.title or stage.id}{years}"

    @property
    def stages(self) -> list[str]:
        """The stages that can be chosen."""
        return [stage.id for stage in self.persona.stages]

    def at(self, stage: str) -> "Agent":
        """The same person at another stage, with a fresh talk."""
        if stage not in self.stages:
            raise ConfigError(f'stage "{stage}" is not a stage of {self.persona.name} ({", ".join(self.stages)}).')
        memory = replace(self.memory, stage=stage) if self.memory else None
        return replace(self, stage=stage, talk=[], memory=memory, session=uuid.uuid4().hex)

    def say(self, text: str, analysis: bool = False) -> Reply:
        """Answer an utterance and remember both."""
        self.talk.append(Message(role="user", content=text))
        return self.answer(analysis)

    def again(self, analysis: bool = False) -> Reply:
        """Answer the last utterance another time."""
        return self.other_try().answer(analysis) if self.step_back() else nothing_said()

    def answer(self, analysis: bool = False) -> Reply:
        """What the person says to the talk so far."""
        [(_, reply)] = list(self.model.replies([self.request(analysis=analysis)]))
        self.remember(reply)
        return reply

    def stream(self, text: str, analysis: bool = False) -> Iterator[Piece | Reply]:
        """`say`, piece by piece as it is written; the whole reply comes last."""
        self.talk.append(Message(role="user", content=text))
        yield from self.stream_answer(analysis)

    def stream_again(self, analysis: bool = False) -> Iterator[Piece | Reply]:
        """`again`, piece by piece."""
        if self.step_back():
            yield from self.other_try().stream_answer(analysis)
        else:
            yield nothing_said()

    def stream_answer(self, analysis: bool = False) -> Iterator[Piece | Reply]:
        """`answer`, piece by piece. An answer that is not waited for is not remembered."""
        for part in streamed(self.model, self.request(analysis=analysis)):
            if isinstance(part, Reply):
                self.remember(part)
            yield part

    def step_back(self) -> bool:
        """Take back the last answer; False if nothing was said yet."""
        if self.talk and self.talk[-1].role == "assistant":
            self.talk.pop()
        return bool(self.talk)

    def other_try(self) -> "Agent":
        """The same agent and talk with other luck: a new seed, and some warmth if there was none."""
        warmth = self.sampling.temperature or SAMPLING.temperature
        return replace(
            self, sampling=self.sampling.model_copy(update={"seed": self.sampling.seed + len(self.talk) + 1, "temperature": warmth})
        )

    def request(self, messages: list[Message] | None = None, analysis: bool = False, sampling: Sampling | None = None) -> Request:
        """What the model is asked: the end of the talk, or other messages, with what is retrieved and remembered."""
        said = list(self.talk if messages is None else messages)
        head, said = (said[:1], said[1:]) if said and said[0].role == "system" else ([], said)
        recent = said[-self.kept + 1 :]
        recent = recent[1:] if recent and recent[0].role == "assistant" and len(recent) > 1 else recent
        query = recent[-1].content if recent else ""
        asked = self.within_context([*head, *self.remembered(query), *self.recalled(query), *recent])
        return in_role(asked, self.persona, self.stage, self.manner, analysis=analysis, sampling=sampling or self.sampling)

    def within_context(self, messages: list[Message]) -> list[Message]:
        """One system message at most, and harmless words where the tokenizer is out of reach."""
        system = "\n".join(message.content for message in messages if message.role == "system")
        rest = [message for message in messages if message.role != "system"]
        merged = [Message(role="system", content=system), *rest] if system else rest
        return [message.model_copy(update={"content": defused(message.content)}) for message in merged] if self.defuse else merged

    def remembered(self, query: str) -> list[Message]:
        """The materials that a question calls for, as a system message."""
        if self.retriever is None or not query:
            return []
        text = remembered(self.retriever, self.persona, self.stage, query)
        return [Message(role="system", content=text)] if text else []

    def recalled(self, query: str) -> list[Message]:
        """Exchanges of earlier talks that a question calls for."""
        found = self.memory.recall(query, RECALLED, self.session) if self.memory and query else []
        return [message for exchange in found for message in exchange.messages]

    def remember(self, reply: Reply) -> None:
        """Keep an answer in the talk, and in the memory if there is one; a failure is no answer."""
        if reply.finish == "error":
            return
        question = self.talk[-1].content if self.talk and self.talk[-1].role == "user" else ""
        self.talk.append(Message(role="assistant", content=reply.text, thought=reply.thought))
        if self.memory and question and reply.text:
            self.memory.keep(self.session, question, reply.text)


def nothing_said() -> Reply:
    """The reply where there is nothing to answer."""
    return Reply(finish="error", error="nothing was said yet")


BY_OPTIONS = SetBy(url="--address", model="--model")
"""Most commands that let an address play the persons have it from these."""


class Company:
    """The persons of a run and the models that play them, each loaded once and when first needed."""

    def __init__(
        self, path: Path, address: ApiSettings | None = None, opener: Callable[[str], Any] | None = None, set_by: SetBy = BY_OPTIONS
    ):
        self.run = Run.open(path)
        self.recipe = self.run.recipe
        self.address, self.set_by = address, set_by
        """Where the persons are played, if not here: an OpenAI-compatible address, and what it is set by."""
        self.personas = {p.id: p for p in self.run.step("1-materials").records(Persona, "personas.jsonl")}
        self.opener = opener
        """Opens the model of a folder; None loads it into memory."""
        self.models: dict[str, Any] = {}

    def persona(self, name: str = "") -> Persona:
        """A person by id; without one the only person. ConfigError if there is no such, or a choice."""
        chosen = name or (next(iter(self.personas)) if len(self.personas) == 1 else "")
        if chosen not in self.personas:
            found = f'no person "{name}"' if name else "several persons"
            raise ConfigError(f"{self.run.path}: {found}; choose one with --persona: {', '.join(self.personas)}.")
        return self.personas[chosen]

    def takers(self, persona: str) -> dict[str, str]:
        """Name of each taker that can play a person -> folder of its model; the version in use, or else the best trained one, first."""
        return players(self.run, self.recipe.mode, list(self.personas.values()), persona)

    def agent(self, persona: str = "", stage: str = "", taker: str = "", retrieval: bool = False, user: str = "") -> Agent:
        """A person, by default at the last stage and played by the best trained model; `user` names whose talks are remembered."""
        person = self.persona(persona)
        name, folder = self.chosen(person.id, taker)
        model = self.model(self.source(name, folder))
        agent = Agent(
            model=model, persona=person, stage=person.stages[-1].id, sampling=suiting(model), manner=MANNERS.get(name, "trained"),
            kept=KEPT_MESSAGES * (5 if getattr(model, "context", 1 << 30) > SMALL_CONTEXT else 1),
            retriever=self.retriever(person) if retrieval else None,
            memory=Memory(self.run.path / "talks" / "memory.sqlite", person.id, person.stages[-1].id, user, person.language) if user else None,
            defuse=self.address is not None,
        )  # fmt: skip
        return agent.at(stage) if stage else agent

    def chosen(self, persona: str, taker: str = "") -> tuple[str, str]:
        """Name of the taker that plays a person, the one in use if none is named, and the folder of its model; RunError if there is none."""
        if self.address:
            return taker or "dpo", ""
        found = self.takers(persona)
        name = taker or next((name for name in found if name not in MANNERS), "")
        if name not in found:
            wanted = f" named {taker}" if taker else ""
            raise RunError(
                f"{self.run.path}: no trained model of {persona}{wanted}. Finish the run with persllm run, or see persllm models list."
            )
        return name, found[name]

    def source(self, taker: str, folder: str) -> str:
        """Where a taker's model is loaded from: its own folder, or that of the step if its persons are adapters of one base."""
        step = self.run.path / TRAINED[taker] if taker in TRAINED else None
        shared = step is not None and self.recipe.mode == "solo" and len(list(step.glob("*/adapter"))) > 1
        return str(step) if shared else folder

    def model(self, folder: str) -> Any:
        """The model of a folder, or the one at the address."""
        if folder not in self.models:
            if self.address:
                self.models[folder] = ApiModel(self.address, set_by=self.set_by)
            elif self.opener:
                self.models[folder] = self.opener(folder)
            else:
                from persllm.shared_base import open_model

                self.models[folder] = open_model(Path(folder), self.recipe.threads)
        return self.models[folder]

    def retriever(self, persona: Persona) -> Retriever:
        """The materials of a person."""
        materials = self.run.step("1-materials").records(Material)
        return Retriever([material for material in materials if material.persona == persona.id], persona.language)


def suiting(model: Any) -> Sampling:
    """The sampling that suits a model: as its own generation config says if that draws, else near the likeliest."""
    own = getattr(getattr(model, "model", None), "generation_config", None)
    if own is None or not own.do_sample:
        return SAMPLING
    return Sampling(temperature=own.temperature or 1.0, top_p=own.top_p or 1.0, max_tokens=LONG)


def open_agent(path: Path, persona: str = "", stage: str = "", taker: str = "", retrieval: bool = False, user: str = "") -> Agent:
    """The agent of a finished run: the DPO model if there is one, else the SFT model."""
    return Company(path).agent(persona, stage, taker, retrieval, user)
