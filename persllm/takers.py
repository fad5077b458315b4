"""Takers: the models that sit the examination, and how each learns who is to answer.

`base` is the untrained model, told nothing of a person. `prompted` is the same weights with the profile and the
stage in words, in the system message. `sft` and `dpo` are the trained models, told by the template's variables.
All get the same questions and the same sampling.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from persllm.config import Recipe
from persllm.prompts import prompt
from persllm.records import Message, Persona, Reply, Request, Sampling
from persllm.store import Run
from persllm.versions import current_number, version_models

TRAINED = {"sft": "5-sft", "dpo": "7-dpo"}
"""Trained taker -> the step that makes it."""

Manner = Literal["plain", "prompted", "trained"]
"""How a model learns who answers: not at all, by words, by the template's variables."""
MANNERS: dict[str, Manner] = {"base": "plain", "prompted": "prompted"}
"""Taker -> its manner; all others are trained."""


class Examinee(Protocol):
    """A model that can answer and say how likely it finds an answer, such as `persllm.base.LocalModel`."""

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index of the request, reply), in any order."""

    def log_likelihoods(self, requests: Sequence[Request], answers: Sequence[str]) -> Sequence[Any]:
        """For each answer a record with `total`, the summed log-likelihood, and `tokens`."""


Opener = Callable[[str], Examinee]
"""Loads the model of that folder."""


@dataclass(frozen=True)
class Taker:
    """One who sits the examination."""

    name: str
    manner: Manner
    personas: Mapping[str, Persona]
    models: Mapping[str, str]
    """Id of a person -> folder of the model that answers for that person; a person may be missing."""

    def request(
        self, messages: Sequence[Message], persona: str, stage: str, prefill: str = "", sampling: Sampling | None = None
    ) -> Request:
        """A question to a person at a stage, as this taker is asked it."""
        return in_role(messages, self.personas[persona], stage, self.manner, prefill=prefill, sampling=sampling or Sampling())


def in_role(messages: Sequence[Message], persona: Persona, stage: str, manner: Manner, **others: Any) -> Request:
    """A question to a person at a stage, told in that manner who is to answer; `others` are further fields of the request."""
    known = {"persona": persona.id, "stage": stage} if manner == "trained" else {}
    asked = prompted(messages, persona, stage) if manner == "prompted" else tuple(messages)
    return Request(messages=asked, **known, **others)


def prompted(messages: Sequence[Message], persona: Persona, stage_id: str) -> tuple[Message, ...]:
    """The messages with the person and the stage in words before them."""
    stage = persona.stage(stage_id)
    title = (stage.title or stage.id).rstrip(".。")
    text = prompt(persona.language, "prompted", name=persona.name, profile=persona.profile, title=title, summary=stage.summary)
    if messages and messages[0].role == "system":
        return (Message(role="system", content=f"{text}\n{messages[0].content}"), *messages[1:])
    return (Message(role="system", content=text), *messages)


def takers_of(recipe: Recipe, run: Run, personas: Sequence[Persona]) -> list[Taker]:
    """The takers of a run, as the recipe names them; one that was never trained is left out."""
    found = [taker_named(name, recipe.mode, run, personas) for name in recipe.evaluation.takers]
    return [taker for taker in found if taker.models]


def taker_named(name: str, mode: str, run: Run, personas: Sequence[Persona]) -> Taker:
    """A taker of a run, with as many models as were trained."""
    by_id = {persona.id: persona for persona in personas}
    if name in TRAINED:
        folders = {p: run.path / TRAINED[name] / ("cast" if mode == "cast" else p) / "model" for p in by_id}
        models = {p: str(folder) for p, folder in folders.items() if folder.is_dir()}
    else:
        models = {p: str(run.path / "0-base" / "model") for p in by_id}
    return Taker(name=name, manner=MANNERS.get(name, "trained"), personas=by_id, models=models)


def players(run: Run, mode: str, personas: Sequence[Persona], persona: str) -> dict[str, str]:
    """Name of each taker that can play a person -> folder of its model: the version in use, the run's own models, the best
    first, then other versions (`v1`, `v2`, ...) and the base.
    """
    own = [taker_named(name, mode, run, personas) for name in (*reversed(TRAINED), *MANNERS)]
    models = {taker.name: taker.models[persona] for taker in own if persona in taker.models}
    made, in_use = version_models(run, persona), f"v{current_number(run)}"
    first = {in_use: made[in_use]} if in_use in made else {}
    trained = {name: folder for name, folder in models.items() if name in TRAINED}
    return {**first, **trained, **made, **models}


def open_local(folder: str, threads: int) -> Examinee:
    """The model of a folder, in memory."""
    from persllm.base import LocalModel

    return LocalModel.load(Path(folder), threads=threads)
