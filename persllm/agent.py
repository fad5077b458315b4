"""A persona in role: a trained model, a person, a stage, and what was said so far.

Chat, serving and meetings share this one class. Stage tokens typed by the user stay plain text. The analysis is
split from what is said and shown only when asked for.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from persllm.errors import ConfigError, RunError
from persllm.records import Message, Persona, Reply, Request, Sampling
from persllm.store import Run

KEPT_MESSAGES = 8
"""How much of the talk the model sees again; the small base knows no longer ones."""

SAMPLING = Sampling(temperature=0.3, max_tokens=96)
"""How a person answers unless told otherwise."""


@dataclass(frozen=True)
class Agent:
    """One person at one stage, with the talk so far."""

    model: Any
    """Anything with `replies(requests)`."""
    persona: Persona
    stage: str
    sampling: Sampling = SAMPLING
    talk: list[Message] = field(default_factory=list)

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
        return replace(self, stage=stage, talk=[])

    def say(self, text: str, analysis: bool = False) -> Reply:
        """Answer an utterance and remember both."""
        self.talk.append(Message(role="user", content=text))
        return self.answer(analysis)

    def again(self, analysis: bool = False) -> Reply:
        """Answer the last utterance another time."""
        if self.talk and self.talk[-1].role == "assistant":
            self.talk.pop()
        if not self.talk:
            return Reply(text="", error="nothing was said yet", finish="error")
        return replace(self, sampling=self.sampling.model_copy(update={"seed": self.sampling.seed + 1})).answer(analysis)

    def answer(self, analysis: bool = False) -> Reply:
        """What the person says to the talk so far."""
        recent = self.talk[-KEPT_MESSAGES + 1 :]
        recent = recent[1:] if recent and recent[0].role == "assistant" else recent
        request = Request(messages=tuple(recent), persona=self.persona.id, stage=self.stage, analysis=analysis, sampling=self.sampling)
        [(_, reply)] = list(self.model.replies([request]))
        if reply.finish != "error":
            self.talk.append(Message(role="assistant", content=reply.text))
        return reply


def open_agent(path: Path, persona: str = "", stage: str = "", taker: str = "") -> Agent:
    """The agent of a finished run: the DPO model if there is one, else the SFT model."""
    from persllm.base import LocalModel

    run = Run.open(path)
    personas = {p.id: p for p in run.step("1-materials").records(Persona, "personas.jsonl")}
    chosen = persona or (next(iter(personas)) if len(personas) == 1 else "")
    if chosen not in personas:
        raise ConfigError(f"{path}: choose a person with --persona: {', '.join(personas)}.")
    group = "cast" if run.recipe.mode == "cast" else chosen
    folders = {"dpo": run.path / "7-dpo" / group / "model", "sft": run.path / "5-sft" / group / "model"}
    found = [folder for name, folder in folders.items() if taker in ("", name) and folder.is_dir()]
    if not found:
        raise RunError(f"{path}: no trained model of {chosen}{f' named {taker}' if taker else ''}. Finish the run with persllm run.")
    person = personas[chosen]
    agent = Agent(model=LocalModel.load(found[0], threads=run.recipe.threads), persona=person, stage=person.stages[-1].id)
    return agent.at(stage) if stage else agent
