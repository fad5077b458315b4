"""The wordings of the extractive constructor, one YAML file per language, read once and checked.

They are texts in files like the prompts, and part of a run's fingerprint like these.
"""

from functools import cache
from pathlib import Path

from persllm.parsing import Settings, parse, read_yaml
from persllm.records import fingerprint

HERE = Path(__file__).parent


class Forms(Settings):
    """Wordings of one question; those for the test sets are never trained on."""

    train: tuple[str, ...]
    test: tuple[str, ...]

    def all(self, held_out: bool) -> tuple[str, ...]:
        """The wordings for training, or those for the test sets."""
        return self.test if held_out else self.train


class Thoughts(Settings):
    """The analysis before an answer, by kind of question."""

    question: str
    control: str
    induction: str
    future: str
    exchange: str


class Wordings(Settings):
    """Everything in a wordings file."""

    topic: Forms
    how: Forms
    opinion: Forms
    follow: Forms
    year: Forms
    place: Forms
    name: Forms
    number: Forms
    gap: str
    gap_name: str
    letter: Forms
    letter_clause: str
    letter_truth: str
    spoken: str
    spoken_to: str
    situated: str
    bare: str
    bare_alone: str
    claims: dict[str, Forms]
    machine: Forms
    machine_truth: str
    machine_accepting: str
    affirm: tuple[str, ...]
    correct: tuple[str, ...]
    unknown: tuple[str, ...]
    thought: Thoughts


@cache
def wordings(language: str) -> Wordings:
    """The wordings of a language: `en` or `zh`."""
    file = HERE / f"{language}.yaml"
    return parse(Wordings, read_yaml(file), str(file))


def wordings_fingerprint() -> str:
    """Hash of all wordings files, for `made-with`."""
    return fingerprint([file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.yaml"))])


def fill(wording: str, **words: str) -> str:
    """Put words into a wording; `{Clause}` is `{clause}` with a capital. KeyError if one is missing."""
    capitals = {key.capitalize(): value[:1].upper() + value[1:] for key, value in words.items()}
    return wording.format_map(words | capitals)
