"""Takers: the models that sit the examination, and how each learns who is to answer.

`base` is the untrained model, told nothing of a person. `prompted` is the same weights with the profile and the
stage in words, in the system message; `retrieval` has besides, in the system message, the passages of the materials
that the question calls for. `stylised` is the base tuned on general talk in the person's voice alone; `sft` and `dpo`
are the trained models: all three are told by the template's variables. Further models come by path or address. All
get the same questions and the same sampling.

Limits: passages are found by shared words (`persllm.retrieval`), from all materials of the person that can be known at
the stage, those held out of the training included; so many words of them as an agent gets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from persllm.chat import ApiModel, ChatModel, SetBy, below
from persllm.config import Recipe
from persllm.constructor_settings import ApiSettings
from persllm.errors import ModelError
from persllm.evaluation_settings import TakerSettings
from persllm.prompts import prompt
from persllm.records import Material, Message, Persona, Reply, Request, Sampling
from persllm.retrieval import OBJECTIVE, Retriever
from persllm.store import Run
from persllm.templates import defused
from persllm.versions import current_number, tags_of, version_models
from persllm.weights import Known

TRAINED = {"sft": "5-sft", "dpo": "7-dpo"}
"""Trained taker -> the step that makes it."""

Manner = Literal["plain", "prompted", "trained"]
"""How a model learns who answers: not at all, by words, by the template's variables."""
MANNERS: dict[str, Manner] = {"base": "plain", "prompted": "prompted"}
"""Taker that needs no training and no materials -> its manner."""
RETRIEVAL, STYLISED = "retrieval", "stylised"
BASELINES = "baselines"
"""Folder of a run for models that are trained to be compared with, and for nothing else."""
NO_LIKELIHOODS = "the model at an address tells no likelihoods"
RETRIEVED_WORDS = 120
"""Budget of retrieved materials, in words (Chinese: characters)."""


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
    """Id of a person -> folder of the model that answers for that person, or its address; a person may be missing."""
    retrievers: Mapping[str, Retriever] | None = None
    """Id of a person -> where passages are looked up; None for a taker that gets none."""
    api: ApiSettings | None = None
    """The address, for a model that is not here; it tells no likelihoods."""

    def request(
        self, messages: Sequence[Message], persona: str, stage: str, prefill: str = "", sampling: Sampling | None = None
    ) -> Request:
        """A question to a person at a stage, as this taker is asked it."""
        person = self.personas[persona]
        if self.retrievers and messages:
            messages = with_passages(messages, self.retrievers[persona], person, stage)
        return in_role(messages, person, stage, self.manner, prefill=prefill, sampling=sampling or Sampling())


def in_role(messages: Sequence[Message], persona: Persona, stage: str, manner: Manner, **others: Any) -> Request:
    """A question to a person at a stage, told in that manner who is to answer; `others` are further fields of the request."""
    known = {"persona": persona.id, "stage": stage} if manner == "trained" else {}
    asked = prompted(messages, persona, stage) if manner == "prompted" else tuple(messages)
    return Request(messages=asked, **known, **others)


def remembered(retriever: Retriever, persona: Persona, stage: str, query: str) -> str:
    """The passages that a question calls for, as they stand in a system message; empty if there are none."""
    found = retriever.retrieve(query, stage, persona, OBJECTIVE, RETRIEVED_WORDS)
    return prompt(persona.language, "remembered", memories="\n".join(material.text for material in found)) if found else ""


def with_passages(messages: Sequence[Message], retriever: Retriever, persona: Persona, stage: str) -> tuple[Message, ...]:
    """The messages with what the last of them calls for at the end of the system message."""
    text = remembered(retriever, persona, stage, messages[-1].content)
    head, rest = (messages[:1], messages[1:]) if messages[0].role == "system" else ((), messages)
    system = "\n".join([*(message.content for message in head), *([text] if text else [])])
    return (*([Message(role="system", content=system)] if system else []), *rest)


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
    models = recipe.evaluation.models
    found = [
        foreign_taker(name, models[name], run, personas) if name in models else taker_named(name, recipe.mode, run, personas)
        for name in recipe.evaluation.takers
    ]
    return [taker for taker in found if taker.models]


def taker_named(name: str, mode: str, run: Run, personas: Sequence[Persona]) -> Taker:
    """A taker of a run, with as many models as were trained."""
    by_id = {persona.id: persona for persona in personas}
    trained = {**{name: run.path / step for name, step in TRAINED.items()}, STYLISED: run.path / BASELINES / STYLISED}
    if name in trained:
        folders = {p: trained[name] / ("cast" if mode == "cast" else p) / "model" for p in by_id}
        models = {p: str(folder) for p, folder in folders.items() if folder.is_dir()}
        return Taker(name=name, manner="trained", personas=by_id, models=models)
    models = {p: str(run.path / "0-base" / "model") for p in by_id}
    if name == RETRIEVAL:
        return Taker(name=name, manner="prompted", personas=by_id, models=models, retrievers=retrievers_of(run, personas))
    return Taker(name=name, manner=MANNERS.get(name, "trained"), personas=by_id, models=models)


def foreign_taker(name: str, settings: TakerSettings, run: Run, personas: Sequence[Persona]) -> Taker:
    """A model from elsewhere, which answers for every person."""
    source = settings.path or f"{settings.api.model} at {settings.api.url}"
    return Taker(
        name=name, manner=settings.manner, personas={persona.id: persona for persona in personas}, models={p.id: source for p in personas},
        retrievers=retrievers_of(run, personas) if settings.retrieval else None, api=None if settings.path else settings.api,
    )  # fmt: skip


def retrievers_of(run: Run, personas: Sequence[Persona]) -> dict[str, Retriever]:
    """Where the passages of each person are looked up."""
    materials = run.step("1-materials").records(Material)
    return {p.id: Retriever([one for one in materials if one.persona == p.id], p.language) for p in personas}


def players(run: Run, mode: str, personas: Sequence[Persona], persona: str) -> dict[str, str]:
    """Name of each taker that can play a person -> folder of its model: the version in use, the run's own models, the best
    first, then other versions (`v1`, `v2`, ...), the base, and tags.
    """
    own = [taker_named(name, mode, run, personas) for name in (*reversed(TRAINED), *MANNERS)]
    models = {taker.name: taker.models[persona] for taker in own if persona in taker.models}
    made, in_use = version_models(run, persona), f"v{current_number(run)}"
    first = {in_use: made[in_use]} if in_use in made else {}
    trained = {name: folder for name, folder in models.items() if name in TRAINED}
    found = {**first, **trained, **made, **models}
    return {**found, **{tag: found[name] for tag, name in tags_that_hold(run).items() if name in found}}


def tags_that_hold(run: Run) -> dict[str, str]:
    """Tag -> the result it names, of those tags whose models are still the ones that were tagged."""
    known, pins = Known(run.path), tags_of(run)
    return {tag: pin.result for tag, pin in pins.items() if all(known.weights(folder) == one for folder, one in pin.weights.items())}


def open_local(folder: str, threads: int) -> Examinee:
    """The model of a folder, in memory."""
    from persllm.base import LocalModel

    return LocalModel.load(Path(folder), threads=threads)


def opener_of(takers: Sequence[Taker], threads: int, guard: Callable[[ChatModel, str], ChatModel] = lambda model, url: model) -> Opener:
    """Opens what these takers name: an address, or else the model of a folder. `guard` puts masks before an address."""
    addresses = {source: (taker.api, set_by(taker.name)) for taker in takers if taker.api for source in taker.models.values()}

    def opened(source: str) -> Examinee:
        if source not in addresses:
            return open_local(source, threads)
        api, names = addresses[source]
        return FarModel(guard(ApiModel(api, set_by=names), api.url))

    return opened


def set_by(taker: str) -> SetBy:
    """By what the address of a taker is set. How long its replies may be is set by whoever asks."""
    return below(f"evaluation.models.{taker}.api").model_copy(update={"longest": ""})


class FarModel:
    """A model at an address, as an examinee."""

    def __init__(self, model: ChatModel):
        self.model = model

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply), as they come in. Control tokens in what is asked are taken apart: the tokenizer is out of reach."""
        return self.model.replies([harmless(request) for request in requests])

    def log_likelihoods(self, requests: Sequence[Request], answers: Sequence[str]) -> Sequence[Any]:
        """ModelError: a chat completion does not tell how likely a given text is."""
        raise ModelError(NO_LIKELIHOODS)


def harmless(request: Request) -> Request:
    """The request with control tokens in its messages parted by a blank."""
    return request.model_copy(update={"messages": tuple(m.model_copy(update={"content": defused(m.content)}) for m in request.messages)})
