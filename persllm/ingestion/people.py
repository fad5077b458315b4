"""Who the person is in the sources: under which forms of the name, in which language, with which pronouns."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from persllm.languages import detect
from persllm.passages import Passage
from persllm.records import Persona

LOOKED_AT = 400
"""Characters of a passage by which its language is told."""
ENOUGH = 2000
"""Passages after which the language is known."""
PRONOUNS = re.compile(r"\b(he|him|his|she|her|hers)\b|([他她])", re.IGNORECASE)
SENTENCE_END = re.compile(r"[.!?。！？]")
NEAR = 120
"""Characters behind the name in which a pronoun is looked for, in the same sentence."""
FEWEST = 5
"""Pronouns below which nothing is said of them."""
SURE = 0.7
"""Share of pronouns near the name above which they are the person's."""


class Person:
    """The person and what the passages tell of them."""

    def __init__(self, name: str, aliases: tuple[str, ...], language: str):
        self.name, self.given = name, language
        self.forms = {folded(form): form for form in (name, *aliases)}
        self.learnt: dict[str, str] = {}
        """Other forms of the name that a novel was found to use."""
        self.languages: Counter[str] = Counter()
        self.pronouns: Counter[str] = Counter()
        self.mention = self.mentions()

    def mentions(self) -> re.Pattern[str]:
        """A pattern for all forms of the name."""
        return re.compile("|".join(mention(form) for form in sorted(self.forms.values(), key=len, reverse=True)))

    def also(self, forms: Iterable[str]) -> None:
        """Know the person by these forms of the name too."""
        for form in forms:
            if folded(form) not in self.forms:
                self.forms[folded(form)] = self.learnt[form] = form
        self.mention = self.mentions()

    def is_me(self, speaker: str) -> bool:
        """Whether a speaker is the person, whatever the case of the letters."""
        return folded(speaker) in self.forms

    def named_in(self, text: str) -> bool:
        """Whether a text names the person."""
        return bool(self.mention.search(text))

    @property
    def names(self) -> tuple[str, ...]:
        """The name, the aliases that were given, and those that were found."""
        return tuple(self.forms.values())

    def record(self) -> Persona:
        """The person as far as they are known."""
        return Persona(
            id="person", name=self.name, aliases=self.names[1:], pronouns=self.pronoun, language=self.language, profile="", stages=()
        )  # fmt: skip

    def see(self, passage: Passage) -> None:
        """Take note of the language and, where the person is named, of the pronouns."""
        if self.languages.total() < ENOUGH:
            self.languages[detect(passage.text[:LOOKED_AT])] += 1
        for named in () if passage.speaker else self.mention.finditer(passage.text):
            near = PRONOUNS.search(SENTENCE_END.split(passage.text[named.end() : named.end() + NEAR])[0])
            if near:
                self.pronouns["she" if near[0].lower() in ("she", "her", "hers", "她") else "he"] += 1

    @property
    def language(self) -> Literal["en", "zh"]:
        """As given, or that of most passages."""
        found = self.given or (self.languages.most_common(1)[0][0] if self.languages else "en")
        return "zh" if found == "zh" else "en"

    @property
    def pronoun(self) -> Literal["she", "he", "they"]:
        """`she` or `he` if nearly all pronouns beside the name say so, else `they`."""
        total = self.pronouns.total()
        if total >= FEWEST and self.pronouns["she"] >= SURE * total:
            return "she"
        return "he" if total >= FEWEST and self.pronouns["he"] >= SURE * total else "they"


def folded(form: str) -> str:
    """A name without case, outer dots and doubled spaces."""
    return re.sub(r"\s+", " ", form).strip(" .:").casefold()


def mention(form: str) -> str:
    """A pattern for a name in running text."""
    return rf"\b{re.escape(form)}\b" if form.isascii() else re.escape(form)
