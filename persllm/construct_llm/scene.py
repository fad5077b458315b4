"""Who the work is about, and what every call to the model says of it."""

from collections.abc import Collection, Sequence

from persllm.constructor_settings import ConstructorSettings
from persllm.languages import language
from persllm.prompts import prompt
from persllm.records import Material, Message, Persona, Reply, Request, Sampling, Stage
from persllm.retrieval import Retriever

MOST_LATER = 20
"""Headings of later times that are named to a model that raises questions."""


class Scene:
    """One person with the materials, the settings, and the words in which a model is told of them."""

    def __init__(self, persona: Persona, materials: Sequence[Material], settings: ConstructorSettings, held_out: Collection[str] = ()):
        self.persona, self.settings = persona, settings
        self.code = persona.language
        self.materials = {material.identity: material for material in materials if material.persona == persona.id}
        self.held_out = frozenset(held_out)
        self.retriever = Retriever(self.materials.values(), self.code)
        self.sampling = Sampling(temperature=settings.api.temperature, max_tokens=settings.api.max_tokens)

    def say(self, prompt_name: str, **words: str) -> str:
        """A prompt in the person's language."""
        return prompt(self.code, prompt_name, **words)

    def request(self, *said: tuple[str, str]) -> Request:
        """A request from (role, text) pairs."""
        return Request(messages=tuple(Message(role=role, content=text) for role, text in said), sampling=self.sampling)

    def again(self, request: Request, reply: Reply, repair: str) -> Request:
        """The request to mend a reply that could not be read."""
        more = (Message(role="assistant", content=reply.text), Message(role="user", content=repair))
        return request.model_copy(update={"messages": (*request.messages, *more)})

    def told_stage(self, stage: Stage) -> str:
        """The stage in words: title, years, summary, and what is not known."""
        name, dates = self.persona.name, f"{stage.start}\u2013{stage.end}" if stage.start or stage.end else ""
        lines = [self.say("stage_title", name=name, title=(stage.title or stage.id).rstrip(".\u3002"))]
        if dates:
            lines.append(self.say("stage_dates", dates=dates))
        lines.append(stage.summary)
        if stage.unknown:
            comma = "\u3001" if self.code == "zh" else ", "
            lines.append(self.say("stage_unknown", name=name, unknown=comma.join(stage.unknown)))
        return "\n".join(line for line in lines if line)

    def told_material(self, material: Material) -> str:
        """A material with its kind, heading and date."""
        heading = [self.say(f"kind_{material.kind}"), *(part for part in dict.fromkeys((material.title, material.situation)) if part)]
        if material.date and material.date not in " ".join(heading):
            heading.append(material.date)
        return self.say("material", heading=" \u2013 ".join(heading), text=material.text)

    def told_later(self, stage: Stage) -> str:
        """The headings of what comes after a stage, for those who must not ask for it; empty if nothing does."""
        position, tools = self.persona.order(stage.id), language(self.code)
        later = [
            tools.topic(m.title)
            for m in self.materials.values()
            if m.kind == "experience" and m.stage and self.persona.order(m.stage) > position
        ]
        shown = self.comma.join([*dict.fromkeys(filter(None, later))][:MOST_LATER])
        return self.say("stage_later", name=self.persona.name, later=shown) if shown else ""

    @property
    def comma(self) -> str:
        """What stands between the parts of a list."""
        return "\u3001" if self.code == "zh" else "; "

    def is_first(self, material: Material, stage: Stage) -> bool:
        """Whether a material is the one to which what concerns the stage as a whole is tied."""
        return material.identity == next((m.identity for m in self.materials.values() if m.stage in (None, stage.id)), "")
