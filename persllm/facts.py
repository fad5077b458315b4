"""What the sentences of a person's materials say, and how to make them false.

A fact is a sentence in the first person with the years, names, places and numbers in it. A false statement is a
fact with one of these swapped for another of the same kind from the same world. Which names are persons, places or
things is decided by how a name mostly stands in all materials.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from persllm.languages import Span, Who, language
from persllm.records import Dropped, Material, Persona, fingerprint
from persllm.wordings import Forms, Wordings


def pick(options: Sequence, *key: object):
    """One of the options, always the same for the same key."""
    return options[int(fingerprint([str(part) for part in key]), 16) % len(options)]


def choose(options: Sequence, count: int, *key: object) -> list:
    """Up to `count` different options in an order that depends on the key alone."""
    ranked = sorted(range(len(options)), key=lambda place: fingerprint([*map(str, key), place]))
    return [options[place] for place in ranked[:count]]


@dataclass(frozen=True)
class Fact:
    """A sentence of a material as the person would say it."""

    sentence: str
    spans: tuple[Span, ...]


class Facts:
    """Reads facts out of materials; knows every name of the world they come from."""

    def __init__(self, persona: Persona, materials: Sequence[Material]):
        """`materials` are all there are, those of other persons too: the swaps are taken from them."""
        self.persona, self.materials = persona.id, materials
        self.tools = language(persona.language)
        names = sorted({persona.name, *persona.aliases}, key=len, reverse=True)
        told = [material for material in materials if material.kind != "speech"]
        known = frozenset(name for material in told for name in self.tools.names_inside(material.text))
        self.who = Who(names=tuple(names), pronouns=persona.pronouns, known=known)

    @cached_property
    def pool(self) -> dict[str, list[str]]:
        """Kind -> all the years, names, places and numbers that a swap can put in."""
        found: dict[str, dict[str, None]] = {}
        for text, counts in self.kinds.items():
            found.setdefault(counts.most_common(1)[0][0], {})[text] = None
        return {kind: list(texts) for kind, texts in found.items()}

    @cached_property
    def kinds(self) -> dict[str, Counter[str]]:
        """How often each text stands as which kind of span: what is mostly a person is one everywhere."""
        found: dict[str, Counter[str]] = {}
        for material in self.materials:
            for sentence in self.tools.sentences(material.text) if material.kind != "speech" else ():
                for span in self.tools.spans(sentence, self.who):
                    text = self.tools.lowered(span.text) if span.kind in ("year", "number") else span.text
                    found.setdefault(text, Counter())[span.kind] += 1
        return found

    def spans(self, sentence: str) -> tuple[Span, ...]:
        """The spans of a sentence, each of the kind its text mostly is."""
        found = self.tools.spans(sentence, self.who)
        return tuple(
            span.model_copy(update={"kind": self.kinds[span.text].most_common(1)[0][0]}) if span.text in self.kinds else span
            for span in found
        )

    def of(self, material: Material) -> tuple[list[Fact], list[Dropped]]:
        """The sentences of a material in the first person; those that cannot be turned are dropped."""
        facts, dropped = [], []
        originals = self.tools.sentences(material.text)
        for original, sentence in zip(originals, self.tools.first_person(material.text, self.who), strict=True):
            if sentence is None:
                dropped.append(Dropped(item=f"{self.persona}/{material.source}", reason="not turned to the first person", detail=original))
            else:
                facts.append(Fact(sentence, self.spans(sentence)))
        return facts, dropped

    def swap(self, sentence: str, span: Span, *key: object) -> str | None:
        """The sentence with another text of the same kind in the span's place; None if there is no other."""
        options = [text for text in self.pool.get(span.kind, []) if text.lower() not in sentence.lower() and same_shape(text, span.text)]
        if not options:
            return None
        text = pick(options, sentence, span.text, *key)
        text = text[:1].upper() + text[1:] if span.start == 0 else text
        return sentence[: span.start] + text + sentence[span.end :]

    def gapped(self, sentence: str, span: Span, words: Wordings) -> tuple[str, Forms]:
        """The sentence with a gap for one of its spans, as it is said to the person, and the wordings that ask for what is missing."""
        gap = {"name": words.gap_name, "thing": words.gap_name, "number": words.gap}.get(span.kind, "")
        start = self.tools.before_gap(sentence, span) if not gap else span.start
        rest = sentence[:start].rstrip() + (f" {gap} " if gap else " ") + sentence[span.end :].lstrip()
        forms: Forms = words.name if span.kind == "thing" else getattr(words, span.kind)
        return self.tools.second_person(self.tools.tidy(rest)), forms


def same_shape(text: str, other: str) -> bool:
    """Whether a swap keeps the sentence in order: digits for digits, words for words, dates for dates of a kind."""
    if text.lower() == other.lower():
        return False
    digits = text.strip()[:1].isdigit() == other.strip()[:1].isdigit()
    return digits and (text.split(" ")[0].lower() == other.split(" ")[0].lower() if " 1" in other else len(text.split()) <= 3)
