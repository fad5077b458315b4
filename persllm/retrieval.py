"""The materials that a question calls for, within a budget of words.

What cannot be known at a stage is left out before anything is ranked, so that neither the answer nor the
weights of the words can be touched by the future: experiences and knowledge of the stage, of earlier ones and
timeless ones; speech of that very stage and timeless speech alone, because people change their manner of
speaking. The ranking is BM25 over the words of the language (Chinese: by jieba if installed, else pairs of characters). Limits: no meaning beyond shared words; materials
that share none follow in their given order until the budget is used up.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from persllm.languages import language
from persllm.records import Material, MaterialKind, Persona

OBJECTIVE: tuple[MaterialKind, ...] = ("experience", "knowledge")
"""What a person has lived and learnt: the scope of the answer."""
SUBJECTIVE: tuple[MaterialKind, ...] = ("speech",)
"""What a person has said: the manner of the answer."""


class Retriever:
    """Finds materials of persons who speak one language; keeps one index per person, stage and kinds."""

    def __init__(self, materials: Iterable[Material], language_code: str):
        self.materials = list(materials)
        self.tools = language(language_code)
        self.indexes: dict[tuple[str, str, tuple[str, ...]], tuple[list[Material], Any]] = {}

    def retrieve(self, query: str, stage: str, persona: Persona, kinds: Sequence[MaterialKind], budget_words: int) -> list[Material]:
        """The best materials of these kinds that can be known at the stage, the best first; the last may be cut.

        The budget counts words (Chinese: characters). KeyError if the person has no such stage.
        """
        return self.within(self.ranked(query, stage, persona, kinds), budget_words)

    def ranked(self, query: str, stage: str, persona: Persona, kinds: Sequence[MaterialKind]) -> list[Material]:
        """All materials of these kinds that can be known at the stage, whole, the best first."""
        known, index = self.index(stage, persona, tuple(kinds))
        terms = self.tools.terms(query)
        if index is None or not terms:
            return list(known)
        scores = index.get_scores(terms)
        return [known[place] for place in sorted(range(len(known)), key=lambda place: (-float(scores[place]), place))]

    def within(self, materials: Iterable[Material], budget_words: int) -> list[Material]:
        """The first of the materials, whole until the budget is used up; the one that does not fit is cut at a sentence's end."""
        found: list[Material] = []
        left = budget_words
        for material in materials:
            size = len(self.tools.words(material.text))
            if size > left:
                text = self.cut(material.text, left)
                return [*found, material.model_copy(update={"text": text, "turns": ()})] if text else found
            found.append(material)
            left -= size
        return found

    def cut(self, text: str, budget_words: int) -> str:
        """As many whole sentences from the beginning as the budget holds; lines stay lines."""
        lines: list[str] = []
        for line in text.split("\n"):
            kept: list[str] = []
            for sentence in self.tools.sentences(line):
                budget_words -= len(self.tools.words(sentence))
                if budget_words < 0:
                    return "\n".join([*lines, self.tools.join(*kept)]).strip()
                kept.append(sentence)
            lines.append(self.tools.join(*kept))
        return "\n".join(lines).strip()

    def index(self, stage: str, persona: Persona, kinds: tuple[str, ...]) -> tuple[list[Material], Any]:
        """The materials that can be known, and the BM25 index over them; None in its place if they hold no word."""
        key = (persona.id, stage, kinds)
        if key not in self.indexes:
            known = [material for material in self.materials if material.kind in kinds and can_know(material, stage, persona)]
            self.indexes[key] = known, self.build([self.tools.terms(f"{m.title} {m.situation} {m.text}") for m in known])
        return self.indexes[key]

    def build(self, texts: list[list[str]]) -> Any:
        """A BM25 index over texts given as words."""
        if not any(texts):
            return None
        import bm25s

        index = bm25s.BM25()
        index.index(texts, show_progress=False)
        return index


def can_know(material: Material, stage: str, persona: Persona) -> bool:
    """Whether the person has this material in mind, or speaks like it, at a stage. KeyError for a foreign stage."""
    own = persona.stage(stage)
    if material.persona != persona.id:
        return False
    if material.stage is None or material.stage == own.id:
        return True
    return material.kind != "speech" and persona.order(material.stage) < persona.order(own.id)
