"""What the annotating model sends back: read strictly, judged by rule, and refused with a reason.

Inputs come as one JSON object, answers as sections behind marks in brackets. A reply that cannot be read gets
one chance of repair from the caller. Limits: the rules see form, language and stock phrases of assistants;
whether an answer is true to the material they cannot see.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from pydantic import ValidationError

from persllm.constructor_settings import Angle, Stance
from persllm.languages import detect, language
from persllm.prompts import prompt_lines
from persllm.records import Record
from persllm.thought import MARKS

R = TypeVar("R", bound=Record)
FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
MISTAKEN = {"en": "[Mistaken]", "zh": "[误答]"}
"""How the wrong answer is marked that comes with the right one, by language."""
LEAST_COPIED = 4
"""A question of fewer words than this may well come back in an answer."""
MOST_REPEATED = 3
"""A sentence that comes so often in one answer is a model running in circles."""


class PlainInput(Record):
    """An ordinary question."""

    angle: Angle
    text: str


class OpinionInput(Record):
    """An opinion voiced before the person."""

    stance: Stance
    text: str


class InductionInput(Record):
    """An input that rests on something false, with its true twin."""

    family: str
    text: str
    claim: str
    """The false statement."""
    truth: str
    """What the material says, in the first person."""
    control: str
    """The twin that rests on the truth."""
    pressing: tuple[str, ...] = ()
    """What is said after each contradiction; for the family `pressure` alone."""
    control_pressing: tuple[str, ...] = ()
    """The same for the twin."""


class FutureInput(Record):
    """An input about what the person does not know yet."""

    text: str
    topic: str
    """What it is about."""
    leak: str
    """An answer that knows it."""


class NextInput(Record):
    """What the other one says next in a conversation."""

    text: str


class PlainInputs(Record):
    """The reply that brings questions."""

    inputs: tuple[PlainInput, ...]


class OpinionInputs(Record):
    """The reply that brings opinions."""

    inputs: tuple[OpinionInput, ...]


class InductionInputs(Record):
    """The reply that brings inductions and controls."""

    inputs: tuple[InductionInput, ...]


class FutureInputs(Record):
    """The reply that brings inputs about what is not known yet."""

    inputs: tuple[FutureInput, ...]


class NextInputs(Record):
    """The reply that brings the next word of the other one."""

    inputs: tuple[NextInput, ...]


Inputs = PlainInputs | OpinionInputs | InductionInputs | FutureInputs | NextInputs
FORMS: dict[str, type[Inputs]] = {
    "question": PlainInputs, "opinion": OpinionInputs, "induction": InductionInputs,
    "future": FutureInputs, "unknown": FutureInputs, "follow": NextInputs,
}  # fmt: skip


class Restyled(Record):
    """The reply that brings a general answer in the person's voice."""

    known: bool
    """Whether the person could know it."""
    text: str


def schema(kind: type[Record]) -> str:
    """The JSON schema of a reply, strict: every field is owed, nothing else is allowed."""
    tree = kind.model_json_schema()
    for part in (tree, *tree.get("$defs", {}).values()):
        if "properties" in part:
            part["required"] = list(part["properties"])
            for field in part["properties"].values():
                field.pop("default", None)
    return json.dumps(tree, sort_keys=True)


def read_json(text: str, kind: type[R]) -> R:
    """The record in a reply, which is one JSON object, at most in a code fence; ValueError in one line if it is not."""
    fenced = FENCE.fullmatch(text)
    try:
        return kind.model_validate_json(fenced[1] if fenced else text.strip())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def read_inputs(text: str, kind: str, families: Sequence[str] = ()) -> Inputs:
    """The inputs in a reply; ValueError in one line if it does not have the form.

    `families` are the ones asked for; an induction of another is refused.
    """
    found = read_json(text, FORMS[kind])
    if not found.inputs:
        raise ValueError("inputs: empty")
    for entry in found.inputs:
        if isinstance(entry, InductionInput) and entry.family not in families:
            raise ValueError(f"family: {entry.family!r} is none of {', '.join(families)}")
    return found


def marks(code: str, mistaken: bool) -> tuple[str, ...]:
    """The marks of analysis and response in a language, and of the mistaken answer if one is wanted."""
    return (*MARKS[code], MISTAKEN[code]) if mistaken else MARKS[code]


def read_sections(text: str, wanted: Sequence[str]) -> dict[str, str]:
    """Mark -> what stands behind it, for the wanted marks that occur once and in order; bold or full-width marks count.

    A mark that is missing, doubled or out of order is left out; one with nothing behind it has an empty text.
    """
    names = "|".join(re.escape(mark.strip("[]")) for mark in wanted)
    found = list(re.finditer(rf"[*#_ ]*[\[【［]\s*({names})\s*[\]】］][*_:：]*", text, re.IGNORECASE))
    order = [f"[{match[1]}]".lower() for match in found]
    expected = [mark.lower() for mark in wanted]
    if not found or order != [mark for mark in expected if mark in order]:
        return {}
    ends = [*(match.start() for match in found[1:]), len(text)]
    behind = {mark: text[match.end() : end].strip() for mark, match, end in zip(order, found, ends, strict=True)}
    return {mark: behind[mark.lower()] for mark in wanted if mark.lower() in behind}


def fault_of_input(text: str, code: str) -> str:
    """Why an input cannot be used; empty if it can."""
    if not text.strip():
        return "empty"
    return "wrong language" if is_foreign(text, code) else ""


def fault_of_answer(text: str, asked: str, code: str) -> str:
    """Why an answer cannot be used; empty if it can."""
    if not text.strip():
        return "empty"
    if is_foreign(text, code):
        return "wrong language"
    plain = text.lower().replace("\u2019", "'")
    squeezed = plain.replace(" ", "") if code == "zh" else plain
    if any(phrase in squeezed for phrase in assistant_speak(code)):
        return "assistant-speak"
    if copies(text, asked, code):
        return "copies the question"
    counts = Counter(sentence.lower() for sentence in language(code).sentences(text))
    return "repeats itself" if max(counts.values()) >= MOST_REPEATED else ""


def is_foreign(text: str, code: str) -> bool:
    """Whether a text is clearly not in the language; one without letters is in any."""
    return any(letter.isalpha() for letter in text) and detect(text) != code


def copies(text: str, asked: str, code: str) -> bool:
    """Whether all words of the question stand in the answer in one run."""
    words = language(code).words
    run, whole = words(asked), words(text)
    if len(run) < LEAST_COPIED:
        return False
    return any(whole[start : start + len(run)] == run for start in range(len(whole) - len(run) + 1))


@cache
def assistant_speak(code: str) -> tuple[str, ...]:
    """Stock phrases, in lower case, by which an assistant falls out of the role."""
    return prompt_lines(code, "assistant_speak")
