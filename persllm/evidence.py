"""What of the training an answer goes back to: the trained answers that are nearest to it, with file and line.

Nearness is the cosine of character n-grams, so it finds an answer's wording, not its meaning: a passage with a
high figure was probably reproduced or altered in a word, one with a low figure is only the least unlike. It
shows where an answer could come from; it does not prove that it came from there.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from persllm.embedding import Vectors
from persllm.records import Conversation, Material, Record
from persllm.store import Run


class TrainedPassage(Record):
    """A passage that was trained on, as near as it is to an answer."""

    likeness: float
    """Cosine to the answer, 0 to 1."""
    stage: str
    source: str
    """`person/file:line` of the material."""
    question: str
    """What the person was asked in the training."""
    answer: str
    """What the person was to answer."""
    material: str
    """The text of the material itself."""


class Evidence:
    """The trained answers of one person."""

    def __init__(self, conversations: Sequence[Conversation], materials: Sequence[Material]):
        self.conversations = [conversation for conversation in conversations if conversation.sources]
        self.texts = {f"{material.persona}/{material.source}": material.text for material in materials}

    @classmethod
    def of_run(cls, run: Run, persona: str) -> "Evidence":
        """What a person of a run was trained on."""
        trained = run.step("4-dataset").records(Conversation, "conversations.jsonl")
        materials = run.step("1-materials").records(Material)
        return cls([c for c in trained if c.persona == persona and not c.held_out], [m for m in materials if m.persona == persona])

    @cached_property
    def vectors(self) -> Vectors:
        """The trained answers as vectors; made when first needed."""
        return Vectors([conversation.answer.content for conversation in self.conversations])

    def nearest(self, answer: str, most: int = 3) -> list[TrainedPassage]:
        """The passages nearest to an answer, each material once, the nearest first; those with nothing in common are left out."""
        if not answer.strip() or not self.conversations:
            return []
        [(_, block)] = list(self.vectors.similarities([answer]))
        found: dict[str, TrainedPassage] = {}
        for place in np.argsort(-block[0], kind="stable"):
            likeness = float(block[0, place])
            if len(found) == most or likeness <= 0:
                break
            passage = self.passage(self.conversations[int(place)], likeness)
            found.setdefault(passage.source, passage)
        return list(found.values())

    def passage(self, conversation: Conversation, likeness: float) -> TrainedPassage:
        """A trained conversation as a passage."""
        source = conversation.sources[0]
        return TrainedPassage(
            likeness=round(min(likeness, 1.0), 3),
            stage=conversation.stage,
            source=source,
            question=conversation.prompt[-1].content if conversation.prompt else "",
            answer=conversation.answer.content,
            material=self.texts.get(source, ""),
        )
