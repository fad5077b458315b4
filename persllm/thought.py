"""The analysis before an answer, as one text: `[Analysis] ... [Response] ...` (paper section 3.2), and back.

Limits: the marks are plain text; in the middle of a speech they stay what a model wrote.
"""

import re

from persllm.records import Message

MARKS = {"en": ("[Analysis]", "[Response]"), "zh": ("[分析]", "[回应]")}
"""How analysis and response are marked, by language."""
WRITTEN = re.compile(r"^\s*(?:\[Analysis\]|\[分析\])(?P<thought>.*?)(?:(?:\[Response\]|\[回应\])(?P<text>.*))?$", re.DOTALL)

STRAY = re.compile(r"^\s*(?:\[Response\]|\[回应\])")
"""The second mark at the head of a speech that no analysis stands before: no part of what is said."""


def written(message: Message, language: str = "en") -> str:
    """What the model writes for a message: the content alone, or the marked analysis before it."""
    if not message.thought:
        return message.content
    analysis, response = MARKS[language]
    return f"{analysis} {message.thought} {response} {message.content}"


def parted(text: str) -> tuple[str, str]:
    """(analysis, speech) of a written text; without marks all of it is speech, without the second mark nothing is."""
    found = WRITTEN.match(text)
    if not found:
        return "", STRAY.sub("", text).strip()
    return found["thought"].strip(), (found["text"] or "").strip()


def language_of(text: str) -> str:
    """The language whose marks a text gets."""
    return "zh" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "en"
