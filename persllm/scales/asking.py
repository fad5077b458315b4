"""A scale put to takers: every statement with its options in both orders, in two wordings.

The model is not asked to write: each option is weighed by its log-likelihood as the answer. So an answer has no seed; the
retest is the other wording. Beside the statements stand a few that say nothing: what an option is worth after these is
what its length, its words and its place in the order are worth, and the scores take it off.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from persllm.errors import PersllmError
from persllm.languages import language
from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Message, Persona, Record, Request, fingerprint
from persllm.scales.inventory import Scale, Statement
from persllm.store import Outcome
from persllm.takers import Examinee, Opener, Taker

HERE = Path(__file__).parent
Wording = Literal["interview", "survey"]
ANYONE = ""
"""The person of a taker that is told of none: it is asked once for each language."""
NEUTRAL = "neutral-"
"""Ids of the statements that say nothing begin so."""


class Wordings(Settings):
    """How statements are asked in one language."""

    options: tuple[str, str, str, str, str]
    interview: tuple[str, str]
    survey: tuple[str, str]
    poles: tuple[str, str, str, str, str]
    two_poles: tuple[str, str]
    neutral: tuple[str, ...]


class Place(Record):
    """One person at one stage, asked in one wording with the options in one order."""

    taker: str
    persona: str
    """Empty for a taker that is told of no person."""
    stage: str
    language: Literal["en", "zh"]
    form: int
    """0, or 1 for the retest."""
    backwards: bool
    """Whether the options stood from the highest to the lowest (two poles: whether these were swapped)."""


class Answer(Record):
    """How likely the options are as the answer to one statement."""

    place: Place
    item: str
    """Id of the statement, or `neutral-1`, ... for one that says nothing."""
    totals: tuple[float, ...] = ()
    """Log-likelihood of every option, the lowest first."""
    error: str = ""
    """Why there are none."""


@cache
def wordings(code: str) -> Wordings:
    """The wordings of a language."""
    file = HERE / f"{code}.yaml"
    return parse(Wordings, read_yaml(file), str(file))


def wordings_fingerprint() -> str:
    """Hash of all wordings, for `made-with`."""
    return fingerprint([file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.yaml"))])


def places(taker: Taker, personas: Sequence[Persona]) -> list[Place]:
    """Where a taker is asked: every person at every stage, or just once where it is told of none."""
    if taker.manner == "plain":
        asked = [(ANYONE, "", code) for code in dict.fromkeys(persona.language for persona in personas)]
    else:
        asked = [(one.id, stage.id, one.language) for one in personas for stage in one.stages]
    return [
        Place(taker=taker.name, persona=persona, stage=stage, language=code, form=form, backwards=backwards)
        for persona, stage, code in asked for form in (0, 1) for backwards in (False, True)
    ]  # fmt: skip


def put(taker: Taker, scale: Scale, wording: Wording, owed: Sequence[Place], opener: Opener) -> Iterator[tuple[Place, Outcome]]:
    """Every place with its answers; a model is loaded once, one is in memory at a time."""
    by_model: dict[str, list[Place]] = {}
    for place in owed:
        by_model.setdefault(taker.models[place.persona or next(iter(taker.models))], []).append(place)
    for folder, members in by_model.items():
        model = opener(folder)
        for place in members:
            yield place, (answered(taker, scale, wording, place, model), [])


def answered(taker: Taker, scale: Scale, wording: Wording, place: Place, model: Examinee) -> list[Answer]:
    """All answers at one place, the neutral statements last. If the questions do not fit the model, each is tried alone."""
    asked = questions(scale, wording, place)
    requests = {item: request(taker, place, text) for item, (text, _) in asked.items()}
    pairs = [(requests[item], option) for item, (_, options) in asked.items() for option in options]
    try:
        totals = [found.total for found in model.log_likelihoods([one for one, _ in pairs], [option for _, option in pairs])]
    except PersllmError:
        return [alone(place, item, requests[item], options, model) for item, (_, options) in asked.items()]
    found, start = [], 0
    for item, (_, options) in asked.items():
        found.append(Answer(place=place, item=item, totals=rounded(totals[start : start + len(options)])))
        start += len(options)
    return found


def alone(place: Place, item: str, asked: Request, options: Sequence[str], model: Examinee) -> Answer:
    """One answer, or the reason why there is none."""
    try:
        found = model.log_likelihoods([asked] * len(options), list(options))
    except PersllmError as error:
        return Answer(place=place, item=item, error=str(error))
    return Answer(place=place, item=item, totals=rounded([one.total for one in found]))


def rounded(totals: Sequence[float]) -> tuple[float, ...]:
    """Six digits: the same on every run."""
    return tuple(round(total, 6) for total in totals)


def request(taker: Taker, place: Place, text: str) -> Request:
    """A question as this taker is asked it."""
    messages = (Message(role="user", content=text),)
    return taker.request(messages, place.persona, place.stage) if place.persona else Request(messages=messages)


def questions(scale: Scale, wording: Wording, place: Place) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Item -> the question and its options, the lowest first."""
    words = wordings(place.language)
    found = {item.id: posed(scale, item, wording, place) for item in scale.items}
    template = (words.interview if wording == "interview" else words.survey)[place.form]
    options = options_of(scale, wording, place.language)
    if any(item.opposite for item in scale.items):
        return found  # the swapped poles are their own balance
    for number, sentence in enumerate(words.neutral, 1):
        text = template.format(clause=language(place.language).second_person(sentence), statement=sentence, options=listed(options, place))
        found[f"{NEUTRAL}{number}"] = (text, options)
    return found


def posed(scale: Scale, item: Statement, wording: Wording, place: Place) -> tuple[str, tuple[str, ...]]:
    """One item as a question, and its options, the lowest first."""
    words, code = wordings(place.language), place.language
    if item.opposite:
        left, right = item.poles(code)[:: -1 if place.backwards else 1]
        text = words.two_poles[place.form].format(left=left, right=right, options=joined(words.poles, code))
        return text, words.poles[:: -1 if place.backwards else 1]
    options = options_of(scale, wording, code)
    template = (words.interview if wording == "interview" else words.survey)[place.form]
    sentence = scale.sentence(item, code)
    return template.format(clause=scale.clause(item, code), statement=sentence, options=listed(options, place)), options


def options_of(scale: Scale, wording: Wording, code: str) -> tuple[str, ...]:
    """The five answers: sentences in an interview, the file's own labels in a survey if it has any."""
    own = scale.options.get(code) or scale.options.get("")
    return own if wording == "survey" and own else wordings(code).options


def listed(options: Sequence[str], place: Place) -> str:
    """The options as they are shown."""
    return joined(options[:: -1 if place.backwards else 1], place.language)


def joined(options: Sequence[str], code: str) -> str:
    """Options in a row; those that are no sentences are parted."""
    if all(option[-1:] in ".。!?！？" for option in options):
        return (" " if code == "en" else "").join(options)
    return (", " if code == "en" else "、").join(options)
