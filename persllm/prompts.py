"""Prompts are texts in files, `prompts/<language>/<name>.txt`, filled strictly.

`{word}` is a place to fill; a word that is missing, or that the text has no place for, is an error. Other
braces, such as those of JSON, stay as they are, and what is filled in is never read for places again.
Limits: no conditions and no loops; a text that is not always there is a prompt of its own.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from persllm.errors import ConfigError
from persllm.records import fingerprint

PROMPTS = Path(__file__).parent / "prompts"
PLACE = re.compile(r"\{([a-z][a-z_]*)\}")


def prompt(language: str, prompt_name: str, /, **words: str) -> str:
    """The prompt of that name with its places filled; ConfigError if the words and the places differ."""
    text = prompt_text(language, prompt_name)
    places = set(PLACE.findall(text))
    wrong = [f"no word for {{{place}}}" for place in sorted(places - set(words))]
    wrong += [f"no place for {word}" for word in sorted(set(words) - places)]
    if wrong:
        known = ", ".join(sorted(places)) or "none"
        raise ConfigError(f"{prompt_file(language, prompt_name)}: {'; '.join(wrong)}. The places of this prompt: {known}.")
    return PLACE.sub(lambda match: words[match[1]], text)


@cache
def prompt_text(language: str, prompt_name: str) -> str:
    """The text of a prompt as it is in its file, without blanks at the end; ConfigError if there is none."""
    file = prompt_file(language, prompt_name)
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        known = ", ".join(sorted(other.stem for other in file.parent.glob("*.txt"))) or f"none in {language}"
        raise ConfigError(f"{file}: no such prompt. Known are: {known}.") from None


def prompt_lines(language: str, prompt_name: str) -> tuple[str, ...]:
    """The lines of a text that is a list, without empty ones."""
    return tuple(line.strip() for line in prompt_text(language, prompt_name).split("\n") if line.strip())


def prompt_file(language: str, prompt_name: str) -> Path:
    """Where a prompt is kept."""
    return PROMPTS / language / f"{prompt_name}.txt"


def prompts_fingerprint(language: str = "", names: Iterable[str] = (), without: Iterable[str] = ()) -> str:
    """Hash of the texts of these prompts, or of all but some, for `made-with`: other wording, other data."""
    chosen, spared = set(names), set(without)
    files = sorted(PROMPTS.glob(f"{language or '*'}/*.txt"))
    return fingerprint(
        {
            f"{f.parent.name}/{f.stem}": prompt_text(f.parent.name, f.stem)
            for f in files
            if f.stem not in spared and (not chosen or f.stem in chosen)
        }
    )
