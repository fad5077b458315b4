"""What depends on the language of a person: counting, cutting, and turning a text to the first person.

One module per language with the same functions: `words`, `terms`, `sentences`, `first_person`, `second_person`,
`spans`, `topic`. Limits: rules, not parsing; what a rule cannot turn safely it returns as None, and the
caller drops it with a reason.
"""

import re
from importlib import import_module
from types import ModuleType

from persllm.records import Record

CHINESE = re.compile("[\u4e00-\u9fff]")


class Span(Record):
    """A piece of a sentence that can be asked for, or replaced by a false one."""

    start: int
    """First character."""
    end: int
    """One past the last."""
    kind: str
    """`year`, `number`, `name` (a person), `place`, or `thing` (any other name)."""
    text: str


class Who(Record):
    """How the materials speak of a person."""

    names: tuple[str, ...]
    """Name and aliases, the longest first."""
    pronouns: str = "they"
    known: frozenset[str] = frozenset()
    """Names seen inside sentences; a lone capitalised word that begins a sentence is a name only if it is among them."""


def language(code: str) -> ModuleType:
    """The module of a language: `en` or `zh`."""
    return import_module(f"persllm.languages.{code}")


def detect(text: str) -> str:
    """`zh` if more than a fifth of the letters are Chinese characters, else `en`."""
    letters = sum(map(str.isalpha, text))
    return "zh" if letters and len(CHINESE.findall(text)) / letters > 0.2 else "en"
