"""A scale: statements, each keyed to a domain. The short inventory comes along; others are read by `persllm.scales.reading`."""

from typing import Literal

from pydantic import Field

from persllm.errors import ConfigError
from persllm.languages import language
from persllm.records import Record

SELF = {"en": ("I ", "I'", "My ", "Me "), "zh": ("我",)}
"""Language -> beginnings by which a statement names the person itself."""


class Statement(Record):
    """One item of a scale."""

    id: str
    domain: str
    """Such as E, A, C, N, O."""
    key: Literal[1, -1]
    """-1 where agreeing lowers the domain."""
    text: dict[str, str]
    """Language -> wording; "" serves every language. Where there is an opposite, the pole of the lowest option."""
    opposite: dict[str, str] = Field({})
    """The pole of the highest option, where an item sets two poles against each other."""

    def wording(self, code: str) -> str:
        """The statement in a language. ConfigError if there is none."""
        return worded(self.text, code, self.id)

    def poles(self, code: str) -> tuple[str, str]:
        """Lowest and highest pole of an item with two. ConfigError if one is missing."""
        return worded(self.text, code, self.id), worded(self.opposite, code, self.id)


class Scale(Record):
    """A questionnaire."""

    name: str
    items: tuple[Statement, ...]
    options: dict[str, tuple[str, ...]] = Field({})
    """Language -> the labels that the file itself gives to its options, the lowest first; used by the survey wording."""
    names: dict[str, dict[str, str]] = Field({})
    """Domain -> language -> its name."""
    fragments: bool = False
    """Whether English statements leave out the "I" ("Worry about things.")."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain once, in the order of the items."""
        return tuple(dict.fromkeys(item.domain for item in self.items))

    def of(self, domain: str) -> list[Statement]:
        """The items of a domain."""
        return [item for item in self.items if item.domain == domain]

    def title(self, domain: str, code: str) -> str:
        """The name of a domain, or its letter."""
        return self.names.get(domain, {}).get(code, domain)

    def sentence(self, item: Statement, code: str) -> str:
        """An item as a whole sentence in the first person."""
        text = item.wording(code).strip()
        if code == "zh":
            return text if text[-1:] in "。！？" else f"{text}。"
        if self.fragments:
            text = f"I {text[:1].lower()}{text[1:]}"
        return text if text[-1:] in ".!?" else f"{text}."

    def clause(self, item: Statement, code: str) -> str:
        """An item said to the person: "you worry about things"."""
        return said_to(self.sentence(item, code), code)


def said_to(sentence: str, code: str) -> str:
    """A sentence in the first person as a clause in the second, as `languages` turns it; a Chinese one that names nobody gets 你."""
    clause = language(code).second_person(sentence)
    return f"你{clause}" if code == "zh" and not ({"我", "你"} & set(f"{sentence}{clause}")) else clause


def worded(texts: dict[str, str], code: str, item: str) -> str:
    """A text in a language. ConfigError if there is none."""
    if found := texts.get(code) or texts.get(""):
        return found
    known = ", ".join(filter(None, texts)) or "none"
    raise ConfigError(f'item {item} has no wording in "{code}", only in {known}; give a scale in that language.')
