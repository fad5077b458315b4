"""Probes of time: one question asked at every stage, where the true answer depends on when it is asked.

A matter is a titled material of one stage, or a thing that persona.yaml names as `unknown`. Asked at its own stage it is
`present`, later it is `remembered`, earlier it lies in the `future`. What is named unknown at a stage is of the future if
the materials that tell of it, of whoever, mostly begin after the stage; if it has happened by then, the person missed it:
`absence`. The question is the same at every stage, in a wording that is reserved for tests.

Limits: whether something has happened is told by the dates of stages, or by their order where there are none. What a
person that missed it would say if it knew is taken from whoever tells of it; where nobody does, only the written answer is read.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from persllm.checks.marks import marks
from persllm.embedding import near_any
from persllm.facts import Facts, choose, pick
from persllm.languages import language
from persllm.materials import held_out_materials
from persllm.records import Conversation, Dropped, Material, Persona, Record, Stage, fingerprint
from persllm.trials import Trial
from persllm.wordings import fill, wordings

Kind = Literal["present", "remembered", "future", "absence"]
KNOWN: tuple[Kind, ...] = ("present", "remembered")
"""What must be known."""
SENTENCES = 2
"""Sentences of a knowing answer."""
SHARE = 2 / 3
"""A sentence tells of a named thing if it has more than this share of its words."""


class Probe(Trial):
    """A question about a matter, asked at a stage."""

    kind: Kind
    about: str
    """The stage of the matter; empty for a thing that is named unknown."""
    matter: str
    """Probes of one matter have the same."""
    topic: str
    knowing: str
    """What one who knows says; empty if nobody tells of it."""
    ignorant: str
    """What one who does not know says; `also_right` or `also_wrong` has the person's other words for it."""

    @property
    def ignorances(self) -> tuple[str, ...]:
        """All that the person says when it does not know."""
        return (self.ignorant, *(self.also_wrong if self.kind in KNOWN else self.also_right))


class Timeline(Record):
    """All probes, and what was left out."""

    probes: tuple[Probe, ...]
    dropped: tuple[Dropped, ...]


def plan(
    personas: Sequence[Persona],
    materials: Sequence[Material],
    trained: Sequence[Conversation],
    held_out: float,
    near: float,
    per_stage: int,
) -> Timeline:
    """Up to `per_stage` matters of every person and stage, and everything that is named unknown, asked at every stage."""
    held = held_out_materials(materials, held_out)
    probes: list[Probe] = []
    dropped: list[Dropped] = []
    for persona in personas:
        asker = Asker(persona, personas, materials, held)
        found = [*asker.lived(per_stage), *asker.named()]
        dropped += [] if found else [Dropped(item=persona.id, reason="no titled material and nothing named unknown")]
        for stage in persona.stages:
            own = [probe for probe in found if probe.stage == stage.id]
            known = [c.prompt[-1].content for c in trained if (c.persona, c.stage) == (persona.id, stage.id)]
            leaks = near_any([probe.turns[-1] for probe in own], known, near)
            dropped += [
                Dropped(item=own[n].identity, reason="probe near a training question", detail=own[n].turns[-1]) for n in sorted(leaks)
            ]
            probes += [probe for place, probe in enumerate(own) if place not in leaks]
    return Timeline(probes=tuple(probes), dropped=tuple(dropped))


class Asker:
    """Asks one person about its life."""

    def __init__(self, persona: Persona, personas: Sequence[Persona], materials: Sequence[Material], held: set[str]):
        self.persona, self.personas, self.all = persona, {one.id: one for one in personas}, materials
        self.own = [one for one in materials if one.persona == persona.id and one.kind != "speech" and one.identity not in held]
        others = [one for one in materials if one.persona != persona.id]
        self.facts = Facts(persona, [*(one for one in materials if one.persona == persona.id), *others])
        self.tools, self.words = language(persona.language), wordings(persona.language)

    def lived(self, per_stage: int) -> Iterator[Probe]:
        """Titled materials of one stage, each asked at every stage."""
        for about in self.persona.stages:
            titled = [one for one in self.own if one.stage == about.id and self.topic(one)]
            for material in choose(titled, per_stage, self.persona.id, about.id, "timeline"):
                told = [fact.sentence for fact in self.facts.of(material)[0]][:SENTENCES]
                for stage in self.persona.stages if told else ():
                    gap = self.persona.order(stage.id) - self.persona.order(about.id)
                    kind: Kind = "present" if gap == 0 else "remembered" if gap > 0 else "future"
                    knowing = self.tools.join(*told)
                    yield self.probe(stage, kind, about.id, self.topic(material), knowing, f"{self.persona.id}/{material.source}")

    def topic(self, material: Material) -> str:
        """What a material is about, as it can be asked for; empty if it has no such title."""
        return "" if self.tools.question_like(material.title) else self.tools.topic(material.title, self.facts.who)

    def named(self) -> Iterator[Probe]:
        """Everything that persona.yaml names as unknown, at the stage where it does."""
        for stage in self.persona.stages:
            for topic in stage.unknown:
                telling = self.telling(topic)
                kind: Kind = "absence" if self.happened(telling, stage) else "future"
                knowing = next((sentence for _, sentence in telling), "")
                yield self.probe(stage, kind, "", topic, knowing, f"{self.persona.id}/persona.yaml")

    def probe(self, stage: Stage, kind: Kind, about: str, topic: str, knowing: str, source: str) -> Probe:
        """A question at a stage, with what should be said there and what not."""
        matter = fingerprint([self.persona.id, about, topic])
        ignorant, *others = stage.voice.unknown or self.words.unknown
        right, wrong = (knowing, ignorant) if kind in KNOWN else (ignorant, knowing)
        also = {"also_wrong" if kind in KNOWN else "also_right": tuple(others)}
        return Probe(
            persona=self.persona.id, stage=stage.id, language=self.persona.language, source=source, kind=kind, about=about, matter=matter,
            turns=(fill(pick(self.words.topic.test, matter), topic=topic),), topic=topic, right=right, wrong=wrong, knowing=knowing,
            ignorant=ignorant, **also,
        )  # fmt: skip

    def telling(self, topic: str) -> list[tuple[Material, str]]:
        """Who tells of a named thing, and in which sentence: the fullest first, of these the person itself first."""
        wanted = self.content(topic)
        found: list[tuple[float, bool, Material, str]] = []
        for material in self.all:
            if material.kind == "speech" or self.personas[material.persona].language != self.persona.language:
                continue
            for sentence in self.sentences(material):
                share = len(wanted & self.content(sentence)) / len(wanted) if wanted else 0.0
                if share > SHARE:
                    found.append((-share, material.persona != self.persona.id, material, sentence))
        return [(material, sentence) for _, _, material, sentence in sorted(found, key=lambda one: one[:2])]

    def sentences(self, material: Material) -> list[str]:
        """The sentences of a material: the person's own in the first person, as far as they can be turned."""
        if material.persona == self.persona.id:
            return [fact.sentence for fact in self.facts.of(material)[0]]
        return list(self.tools.sentences(material.text))

    def content(self, text: str) -> set[str]:
        """The words of a text that have a matter of their own."""
        return set(self.tools.words(text)) - marks(self.persona.language).common

    def happened(self, telling: Sequence[tuple[Material, str]], stage: Stage) -> bool:
        """Whether a thing has happened by the end of a stage: at the last one always, else if most who tell of it do so from then."""
        if stage.id == self.persona.stages[-1].id:
            return True
        begun = [start for material, _ in telling if (start := self.begun(material))]
        return bool(stage.end) and 2 * sum(start <= stage.end for start in begun) > len(begun)

    def begun(self, material: Material) -> str:
        """When a material begins, or its stage; empty if nobody tells."""
        persona = self.personas[material.persona]
        return material.date[:10] or (persona.stage(material.stage).start if material.stage else "")
