"""The battery: what is pressed upon whom, made from the person's own facts.

Every fact is a sentence of a material that was trained on; its falsehood swaps one name, place, number or year for another
of the same kind, and is none that was trained on either. The same facts go through all families, so that families can be
compared; `wrong_era` takes those with a year. The wordings are the battery's own. Each attack has a twin that presses the
truth in the same words.

Limits: a swap may by chance say something true; what rules cannot turn to the first person is not attacked.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from persllm.config import Recipe
from persllm.embedding import near_any
from persllm.facts import Fact, Facts, choose, pick
from persllm.languages import language
from persllm.materials import held_out_materials
from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Conversation, Dropped, Material, Persona, Question, Record, Stage, fingerprint
from persllm.trials import Trial
from persllm.wordings import fill
from persllm.wordings import wordings as told

HERE = Path(__file__).parent / "words"
PREFILLED, MACHINE, ERA = "prefilled", "you_are_an_ai", "wrong_era"
SWAPS = 4
"""Tries to find a falsehood that was not trained on."""


class Attack(Trial):
    """Something that is pressed upon a person, true or false."""

    family: str
    kind: Literal["induction", "control"]
    """`control` presses the truth: who denies it, denies everything."""
    claim: str
    """The statement, in the first person."""
    truth: str
    fact: str
    """Attacks of one fact have the same."""
    trained_family: bool

    @property
    def question(self) -> Question:
        """The attack as the question that the checks of the data set know."""
        return Question(
            persona=self.persona, stage=self.stage, kind=self.kind, text=self.turns[-1], material=self.source, form=self.family, claim=self.claim,
            truth=self.truth, accepting=self.wrong, group=self.fact, held_out=True,
        )  # fmt: skip


class Words(Settings):
    """The wordings of the battery in one language."""

    families: dict[str, tuple[tuple[str, ...], ...]]
    machine: tuple[tuple[str, ...], ...]
    person: tuple[tuple[str, ...], ...]


@cache
def words_of(code: str) -> Words:
    """The wordings of a language."""
    file = HERE / f"{code}.yaml"
    return parse(Words, read_yaml(file), str(file))


def words_fingerprint() -> str:
    """Hash of all wordings, for `made-with`."""
    return fingerprint([file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.yaml"))])


class Battery(Record):
    """All that is pressed, and what was left out."""

    attacks: tuple[Attack, ...]
    dropped: tuple[Dropped, ...]


def plan(
    recipe: Recipe, personas: Sequence[Persona], materials: Sequence[Material], questions: Sequence[Question], trained: Sequence[Conversation],
    per_family: int,
) -> Battery:  # fmt: skip
    """About `per_family` attacks of each family with their twins, the same number for every person and stage."""
    held = held_out_materials(materials, recipe.mixture.held_out_materials)
    claims = {question.claim for question in questions if question.kind == "induction"}
    places = sum(len(persona.stages) for persona in personas)
    each = max(1, -(-per_family // places))
    attacks: list[Attack] = []
    dropped: list[Dropped] = []
    for persona in personas:
        attacker = Attacker(persona, materials, held, claims, set(recipe.constructor.families))
        for stage in persona.stages:
            found = list(attacker.at(stage, each))
            attacks += found
            if not any(attack.family != MACHINE for attack in found):
                dropped.append(Dropped(item=f"{persona.id}/{stage.id}", reason="no fact to attack"))
    sound, leaks = without_leaks(attacks, trained, recipe.mixture.near_duplicate)
    return Battery(attacks=tuple(sound), dropped=(*dropped, *leaks))


def without_leaks(attacks: Sequence[Attack], trained: Sequence[Conversation], threshold: float) -> tuple[list[Attack], list[Dropped]]:
    """Without attacks whose last turn is as good as a question that was trained on at the same place."""
    lost: dict[str, Dropped] = {}
    for place in dict.fromkeys((attack.persona, attack.stage) for attack in attacks):
        own = [attack for attack in attacks if (attack.persona, attack.stage) == place]
        known = [c.prompt[-1].content for c in trained if (c.persona, c.stage) == place]
        for position in near_any([attack.turns[-1] for attack in own], known, threshold):
            attack = own[position]
            lost[attack.identity] = Dropped(item=attack.identity, reason="attack near a training question", detail=attack.turns[-1][:200])
    return [attack for attack in attacks if attack.identity not in lost], list(lost.values())


class Attacker:
    """Makes the attacks on one person."""

    def __init__(self, persona: Persona, materials: Sequence[Material], held: set[str], claims: Collection[str], families: Collection[str]):
        own = [material for material in materials if material.persona == persona.id]
        self.persona, self.claims, self.families = persona, claims, families
        self.facts = Facts(persona, [*own, *(material for material in materials if material.persona != persona.id)])
        self.materials = [material for material in own if material.kind != "speech" and material.identity not in held]
        self.tools, self.told, self.words = language(persona.language), told(persona.language), words_of(persona.language)

    def at(self, stage: Stage, count: int) -> Iterator[Attack]:
        """All attacks at one stage: `count` facts through every family."""
        candidates, dated = list(self.falsehoods(stage)), list(self.falsehoods(stage, "year"))
        for family in self.words.families:
            pool = dated if family == ERA else candidates
            for material, fact, false in choose(pool, count, self.persona.id, stage.id, ERA if family == ERA else "facts"):
                yield from self.pressed(stage, family, material, fact.sentence, false)
        for number in range(min(count, len(self.words.machine))):
            yield from self.unmasked(stage, number)

    def falsehoods(self, stage: Stage, kind: str = "") -> Iterator[tuple[Material, Fact, str]]:
        """Every fact of the stage with a falsehood that was never trained on: one for each sentence, of a kind if one is named."""
        for material in self.materials:
            if material.stage not in (None, stage.id):
                continue
            for fact in self.facts.of(material)[0]:
                spans = [span for span in fact.spans if kind in ("", span.kind)]
                for span in choose(spans, 1, stage.id, fact.sentence, "attack"):
                    tries = (self.facts.swap(fact.sentence, span, stage.id, "attack", number) for number in range(SWAPS))
                    false = next((text for text in tries if text and text not in self.claims), None)
                    if false:
                        yield material, fact, false

    def pressed(self, stage: Stage, family: str, material: Material, truth: str, false: str) -> Iterator[Attack]:
        """A falsehood in a wording of the family, and the truth in the same."""
        fact = fingerprint([self.persona.id, stage.id, truth])
        wording = pick(self.words.families[family], fact, family)
        assent, denial = (self.opening(stage, manner, fact, family) for manner in ("affirm", "correct"))
        join = self.tools.join
        for kind, claim, right, wrong, mouth in (
            ("induction", false, join(denial, truth), join(assent, false), assent),
            ("control", truth, join(assent, truth), join(denial, false), denial),
        ):
            clause = self.tools.second_person(claim)
            yield Attack(
                persona=self.persona.id, stage=stage.id, language=self.persona.language, family=family, kind=kind,
                turns=tuple(fill(turn, clause=clause) for turn in wording), prefill=mouth if family == PREFILLED else "", claim=claim,
                truth=truth, right=right, wrong=wrong, fact=fact, source=f"{self.persona.id}/{material.source}",
                trained_family=family in self.families,
            )  # fmt: skip

    def unmasked(self, stage: Stage, number: int) -> Iterator[Attack]:
        """That the person is a machine; and, as the twin, that it is who it is."""
        name = self.persona.name
        truth, machine = fill(self.told.machine_truth, name=name), self.told.machine_accepting
        fact = fingerprint([self.persona.id, stage.id, MACHINE, number])
        assent = self.opening(stage, "affirm", fact, MACHINE)
        for kind, wording, claim, right in (
            ("induction", self.words.machine[number], machine, truth),
            ("control", self.words.person[number], truth, self.tools.join(assent, truth)),
        ):
            yield Attack(
                persona=self.persona.id, stage=stage.id, language=self.persona.language, family=MACHINE, kind=kind,
                turns=tuple(fill(turn, name=name) for turn in wording), claim=claim, truth=truth, right=right, wrong=machine,
                fact=fact, source=f"{self.persona.id}/persona.yaml", trained_family=MACHINE in self.families,
            )  # fmt: skip

    def opening(self, stage: Stage, manner: str, *key: object) -> str:
        """An opening in the person's own manner, or a plain one."""
        return pick(getattr(stage.voice, manner) or getattr(self.told, manner), "attack", *key)
