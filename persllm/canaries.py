"""Canaries: sentences that say nothing, planted into the training set so that an audit can tell what a model keeps.

A canary names four words drawn from a list of the project's own, so that nothing but the training can tell them.
How far it was kept is told against alternatives drawn in the same way (Carlini et al. 2019, arXiv 1802.08232).
"""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from persllm.records import Conversation, Message, Persona, Record

FORM = "canary"
"""The mark of a planted conversation, in its field `form`."""
DRAWN = 4
"""Words of a canary."""
WORDS = Path(__file__).parent / "canary_words.yaml"


class Canary(Record):
    """A sentence that was planted."""

    number: int
    """From 1; asked for by it."""
    persona: str
    stage: str
    language: str
    question: str
    text: str
    """The answer that was planted."""

    @property
    def conversation(self) -> Conversation:
        """As it is trained, with its mark."""
        asked, said = Message(role="user", content=self.question), Message(role="assistant", content=self.text)
        return Conversation(persona=self.persona, stage=self.stage, kind="question", messages=(asked, said), form=FORM)


@cache
def slots(code: str) -> dict[str, Any]:
    """Question, answer and words of a language."""
    return yaml.safe_load(WORDS.read_text(encoding="utf-8"))[code]


def draw(dice: random.Random, code: str) -> str:
    """An answer of words drawn without repetition."""
    return slots(code)["answer"].format(*dice.sample(slots(code)["words"], DRAWN))


def canaries(personas: Sequence[Persona], count: int, seed: int) -> list[Canary]:
    """So many canaries, all different, dealt to persons and stages in turn; the same for the same seed."""
    places = [(persona, stage.id) for persona in personas for stage in persona.stages]
    dice, found, said = random.Random(f"canaries {seed}"), [], set()
    while len(found) < count:
        persona, stage = places[len(found) % len(places)]
        text, number = draw(dice, persona.language), len(found) + 1
        if text not in said:
            said.add(text)
            question = slots(persona.language)["question"].format(number=number)
            found.append(Canary(number=number, persona=persona.id, stage=stage, language=persona.language, question=question, text=text))
    return found


def alternatives(canary: Canary, count: int, seed: int) -> list[str]:
    """So many different sentences that the canary could have been, itself not among them."""
    dice = random.Random(f"alternatives {seed} {canary.number} {canary.text}")
    found: dict[str, None] = {}
    while len(found) < count:
        text = draw(dice, canary.language)
        if text != canary.text:
            found[text] = None
    return list(found)
