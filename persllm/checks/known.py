"""What a person can know at a stage, and what comes only later: read from the materials once, asked many times.

Known at a stage are the timeless materials, those of the stage and of earlier ones, the profile, and what
persona.yaml says of these stages. Later is what stands in materials of later stages and nowhere in the known ones, and
the phrases that persona.yaml names as unknown. Time and memory grow with materials times stages.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from persllm.checks import chinese, english
from persllm.checks.marks import Marks, marks
from persllm.records import Material, Persona, Stage

SPLIT = re.compile(r"\b(?:in|to|for|at|by|with|from|into|under|on)\b")


def tools_of(code: str) -> ModuleType:
    """What reads the claims of a language."""
    return chinese if code == "zh" else english


def runs(words: Sequence[str], length: int) -> set[int]:
    """The hashes of all runs of so many words."""
    return {hash(tuple(words[i : i + length])) for i in range(len(words) - length + 1)}


def longest_run(words: Sequence[str], given: Collection[int], length: int) -> tuple[int, int]:
    """(first word, number of words) of the longest run of words whose pieces of this length are all given."""
    best = start = now = 0
    for place in range(len(words) - length + 1):
        now = now + 1 if hash(tuple(words[place : place + length])) in given else 0
        if now > best:
            best, start = now, place - now + 1
    return start, best + length - 1 if best else 0


@dataclass(frozen=True)
class Digest:
    """What one text names."""

    words: frozenset[str]
    stems: frozenset[str]
    names: tuple[str, ...]
    capitals: frozenset[str]
    years: frozenset[int]
    days: frozenset[str]
    numbers: frozenset[tuple[int, str]]
    relatives: frozenset[str]
    runs: frozenset[int]
    lines: frozenset[str]
    """Its sentences, each as `flat` has it."""
    flat: str
    """The words with single blanks between and around them; Chinese without blanks."""

    def names_it(self, name: str, code: str) -> bool:
        """Whether the text has the name, whole or each of its words as a name of its own."""
        if code == "zh":
            return name in self.flat
        parts = [part.removesuffix("'s") for part in name.lower().replace("’", "'").split()]
        if len(parts) == 1:
            return parts[0] in self.words or parts[0] in self.capitals
        return f" {' '.join(parts)} " in self.flat or all(part in self.capitals for part in parts if len(part) > 3 or part not in LINKS)


LINKS = {"of", "the", "van", "von", "de"}


def own_names(persona: Persona) -> frozenset[str]:
    """The names of a person as `neutral` leaves them out: English in words, the longest Chinese forms whole."""
    names = (persona.name, *persona.aliases)
    return frozenset(names) if persona.language == "zh" else frozenset(word for name in names for word in english.words(name))


def digest(code: str, own: frozenset[str], *parts: str) -> Digest:
    """What a text of some parts names; `own` are the person's own names, which runs of words pass over."""
    tools, kin, text = tools_of(code), marks(code).kin, "\n".join(parts)
    words = frozenset(word.removesuffix("'s") for word in tools.words(text))
    return Digest(
        words=words,
        stems=frozenset(tools.stems(text)),
        names=tuple(tools.names(text)),
        capitals=frozenset(tools.capitals(text)),
        years=frozenset(tools.years(text)),
        days=frozenset(tools.days(text)),
        numbers=frozenset(tools.numbers(text)),
        relatives=frozenset(word for word in kin if word in text) if code == "zh" else words & kin,
        runs=frozenset(runs(tools.neutral(text, own), tools.RUN)),
        lines=frozenset(tools.flat(sentence) for part in parts for sentence in tools.sentences(part)),
        flat=tools.flat(text),
    )


def union(parts: Iterable[Digest]) -> Digest:
    """What several texts name together."""
    all_parts = list(parts)

    def joined(field: str) -> frozenset:
        return frozenset().union(*(getattr(part, field) for part in all_parts))

    sets = ("words", "stems", "capitals", "years", "days", "numbers", "relatives", "runs", "lines")
    names = tuple(dict.fromkeys(name for part in all_parts for name in part.names))
    return Digest(names=names, flat="\n".join(part.flat for part in all_parts), **{field: joined(field) for field in sets})


def told(material: Material) -> list[str]:
    """Everything that a material says: heading, date, situation, text; an exchange speaker by speaker."""
    spoken = [part for turn in material.turns for part in (turn.speaker, turn.to, turn.text)]
    return [part for part in (material.title, material.situation, material.date, *(spoken or (material.text,))) if part]


class Known:
    """What one person knows at one stage, and what comes only later."""

    def __init__(
        self, persona: Persona, stage: Stage, now: Digest, later: Digest, ages: Mapping[str, Digest], later_titles: tuple[str, ...] = ()
    ):
        self.persona, self.stage, self.now, self.later = persona, stage, now, later
        self.code, self.tools, self.own = persona.language, tools_of(persona.language), own_names(persona)
        self.ages, self.later_titles = ages, later_titles
        """Identity of a material -> what it names; headings of the later ones."""
        self.asked: dict[str, bool] = {}

    def has_name(self, name: str) -> bool:
        """Whether a name is known at the stage; each is looked for once."""
        if name not in self.asked:
            self.asked[name] = self.now.names_it(name, self.code)
        return self.asked[name]

    @cached_property
    def marks(self) -> Marks:
        """The marks of the person's language."""
        return marks(self.code)

    @cached_property
    def last_year(self) -> int | None:
        """The year after which nothing is known; None if the stages are undated."""
        found = re.match(r"\d{3,4}", self.stage.end)
        if found:
            return int(found[0])
        order = self.persona.order(self.stage.id)
        starts = [re.match(r"\d{3,4}", stage.start) for stage in self.persona.stages[order + 1 :]]
        return next((int(start[0]) - 1 for start in starts if start), None)

    @cached_property
    def later_names(self) -> dict[str, str]:
        """First word -> the names that only later materials or the `unknown` phrases have; the longest first."""
        found: dict[str, list[str]] = {}
        phrases = [name for phrase in self.stage.unknown for name in self.tools.names(f"of {phrase}" if self.code == "en" else phrase)]
        for name in sorted({*self.later.names, *phrases}, key=lambda name: (-len(name), name)):
            if not self.has_name(name):
                found.setdefault(name.lower().split()[0].removesuffix("'s") if self.code == "en" else name[0], []).append(name)
        return found

    @cached_property
    def counts(self) -> tuple[frozenset[int], frozenset[str]]:
        """All numbers that are known, and what they count."""
        return frozenset(value for value, _ in self.now.numbers), frozenset(what for _, what in self.now.numbers) - self.tools.UNCOUNTED

    @cached_property
    def later_runs(self) -> frozenset[int]:
        """The runs of words that only later materials have."""
        return self.later.runs - self.now.runs

    @cached_property
    def unknown_matters(self) -> list[tuple[str, frozenset[str]]]:
        """(phrase, what must stand together in a sentence) for what is named as unknown without a new name.

        English: stems; Chinese: pieces of the phrase.
        """
        pieces = self.pieces_of if self.code == "zh" else self.stems_of
        return [(phrase, needed) for phrase in self.stage.unknown if (needed := pieces(phrase))]

    def stems_of(self, phrase: str) -> frozenset[str]:
        """The stems of the head of an English phrase; none if a name stands for it, or a single known word."""
        if any(not self.has_name(name) for name in self.tools.names(f"of {phrase}")):
            return frozenset()
        needed = self.tools.stems(SPLIT.split(phrase)[0]) or self.tools.stems(phrase)
        return frozenset() if len(needed) == 1 and needed <= self.now.stems else needed

    def pieces_of(self, phrase: str) -> frozenset[str]:
        """The shortest end of a Chinese phrase that nothing known has, or else all its pieces."""
        pieces = [piece for piece in phrase.split("的") if piece]
        ends = (pieces[-1][-length:] for length in range(2, len(pieces[-1]) + 1))
        new = next((end for end in ends if end not in self.now.flat), "")
        return frozenset([new] if new else pieces)

    def is_said(self, needed: frozenset[str], text: str) -> bool:
        """Whether all pieces or stems of an unknown matter stand in a text."""
        return all(piece in text for piece in needed) if self.code == "zh" else needed <= self.tools.stems(text)


class Library:
    """The knowledge of all persons at all stages; each is worked out when first asked for."""

    def __init__(self, personas: Sequence[Persona], materials: Sequence[Material]):
        self.personas = {persona.id: persona for persona in personas}
        self.materials = {material.identity: material for material in materials}
        self.digests: dict[str, Digest] = {}
        self.knowns: dict[tuple[str, str], Known] = {}
        self.own: dict[str, list[Material]] = {}
        for material in self.materials.values():
            self.own.setdefault(material.persona, []).append(material)

    def digest(self, material: Material) -> Digest:
        """What a material names."""
        if material.identity not in self.digests:
            persona = self.personas[material.persona]
            self.digests[material.identity] = digest(persona.language, own_names(persona), *told(material))
        return self.digests[material.identity]

    def known(self, persona_id: str, stage_id: str) -> Known:
        """What a person knows at a stage; KeyError if there is no such person or stage."""
        key = (persona_id, stage_id)
        if key not in self.knowns:
            persona = self.personas[persona_id]
            stage, order = persona.stage(stage_id), persona.order(stage_id)
            own = self.own.get(persona_id, [])
            now = [m for m in own if m.stage is None or persona.order(m.stage) <= order]
            after = [m for m in own if m.stage is not None and persona.order(m.stage) > order]
            self.knowns[key] = Known(
                persona, stage, union([*map(self.digest, now), digest(persona.language, own_names(persona), *said_of(persona, order))]),
                union(map(self.digest, after)), self.digests, tuple(m.title or m.situation for m in after),
            )  # fmt: skip
        return self.knowns[key]


def said_of(persona: Persona, order: int) -> list[str]:
    """What persona.yaml says of a person up to a stage."""
    lines = [f"I am {persona.name}.", persona.profile, *(f"I am {alias}." for alias in persona.aliases)]
    for stage in persona.stages[: order + 1]:
        lines += [
            stage.title,
            stage.summary,
            f"{stage.start}, {stage.end}.",
            *stage.voice.affirm,
            *stage.voice.correct,
            *stage.voice.unknown,
        ]
    return lines
