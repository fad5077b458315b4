"""What the page says, in English or Chinese: the English words are the key, `zh.yaml` has the Chinese ones.

A page speaks Chinese if all its persons do. What has no translation stays English; a test looks for such places.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml

Language = Literal["en", "zh"]
FILE = Path(__file__).parent / "zh.yaml"


class Words:
    """The words of one language."""

    def __init__(self, language: Language = "en"):
        self.language = language

    def __call__(self, english: str, /, **places: object) -> str:
        """A sentence in the language of the page, its `{places}` filled."""
        text = chinese().get(english, english) if self.language == "zh" else english
        return text.format(**{name: str(value) for name, value in places.items()}) if places else text

    def listed(self, names: list[str]) -> str:
        """`a, b and c`."""
        *rest, last = names
        if self.language == "zh":
            return "、".join(names)
        return f"{', '.join(rest)} and {last}" if rest else last


@cache
def chinese() -> dict[str, str]:
    """English words -> Chinese ones."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


ENGLISH = Words()
