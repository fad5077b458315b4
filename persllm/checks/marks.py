"""Marks of denial, of assent, of an assistant: regular expressions, one YAML file per language, read once.

They are data like the wordings and prompts, and part of the fingerprint of the step that uses them.
"""

import re
from functools import cache, cached_property
from pathlib import Path

from persllm.parsing import Settings, parse, read_yaml
from persllm.records import fingerprint

HERE = Path(__file__).parent / "marks"


class Marks(Settings):
    """Everything in a marks file."""

    unknowing: tuple[str, ...]
    """Says that it knows nothing of the matter."""
    denial: tuple[str, ...]
    """Contradicts, anywhere and however weakly."""
    strong_denial: tuple[str, ...]
    """Contradicts beyond doubt."""
    negation: tuple[str, ...]
    """A word that negates."""
    affirmation: tuple[str, ...]
    """Confirms, at the beginning of an answer."""
    task: tuple[str, ...]
    """Talks about the task instead of doing it."""
    assistant: tuple[str, ...]
    """Falls out of the role."""
    attributed: tuple[str, ...]
    """Stands before words that are somebody else's, or denied."""
    relatives: str
    function_words: str

    @cached_property
    def kin(self) -> frozenset[str]:
        """Names of relatives."""
        return frozenset(self.relatives.split())

    @cached_property
    def common(self) -> frozenset[str]:
        """Words without a matter of their own."""
        return frozenset(self.function_words.split())

    @cached_property
    def patterns(self) -> dict[str, re.Pattern[str]]:
        """Each list of marks as one pattern."""
        lists = ("unknowing", "denial", "negation", "strong_denial", "affirmation", "task", "assistant", "attributed")
        return {name: re.compile("|".join(f"(?:{mark})" for mark in getattr(self, name))) for name in lists}

    def find(self, name: str, text: str) -> re.Match[str] | None:
        """The first mark of a list in a text that was made `plain`."""
        return self.patterns[name].search(text)


@cache
def marks(code: str) -> Marks:
    """The marks of a language: `en` or `zh`."""
    file = HERE / f"{code}.yaml"
    return parse(Marks, read_yaml(file), str(file))


def marks_fingerprint() -> str:
    """Hash of all marks files, for `made-with`."""
    return fingerprint([file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.yaml"))])
