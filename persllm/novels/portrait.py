"""One character of a novel that was heard: speech, experience and knowledge, in the order of the book.

Speech is what the character says, with the turns of others around it. Experience is narration in which the character is
named or, as the narrator, says I. Knowledge is narration without the character between two such stretches of one chapter:
what happens around somebody who is there. Narration elsewhere may be unknown to the character, and is marked as in doubt.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from persllm.novels.book import Character
from persllm.novels.voices import Heard
from persllm.passages import Passage

LONGEST_EPISODE = 900
"""Characters of an episode; the next paragraph begins another."""
PRESENT = 2
"""Episodes around one without the character in which the character must occur to have been there."""


class Episode(NamedTuple):
    """A stretch of narration of one chapter."""

    passages: tuple[Passage, ...]
    kind: Literal["experience", "knowledge"]
    doubt: str
    """Why it may be nothing that the character knows; empty if it is."""

    @property
    def text(self) -> str:
        """The paragraphs, a line each."""
        return "\n".join(passage.text for passage in self.passages)


class Chapter(NamedTuple):
    """What a chapter holds of the character."""

    heading: str
    episodes: tuple[Episode, ...]
    utterances: tuple[Passage, ...]
    """All turns, those of the character under the name asked for."""


def find_character(characters: Sequence[Character], forms: Sequence[str]) -> Character | None:
    """The character whom most of the forms of a name mean: whole names first, then the most frequent."""
    wanted = {form.casefold() for form in forms}
    found = [one for one in characters if wanted & {alias.casefold() for alias in one.aliases}]
    return max(found, key=lambda one: (len(wanted & {alias.casefold() for alias in one.aliases}), one.mentions), default=None)


def portrait(heard: Heard, character: Character, name: str, named_in: Callable[[str], bool]) -> Iterator[Chapter]:
    """The chapters of a novel as they concern a character, who is called `name`; `named_in` tells who a text is about."""
    for heading, run in groupby(heard.passages, key=lambda passage: passage.heading):
        passages = list(run)
        spoken = tuple(renamed(passage, character.name, name) for passage in passages if passage.form == "utterance")
        told = list(episodes([passage for passage in passages if passage.form == "prose"]))
        about = [any(named_in(passage.text) for passage in episode) for episode in told]
        yield Chapter(heading, tuple(judged(told, about, name)), spoken)


def renamed(passage: Passage, old: str, new: str) -> Passage:
    """An utterance with the character under another name."""
    to = tuple(new if one == old else one for one in passage.to)
    return passage.model_copy(update={"speaker": new if passage.speaker == old else passage.speaker, "to": to})


def episodes(passages: Sequence[Passage]) -> Iterator[tuple[Passage, ...]]:
    """Paragraphs of narration in groups of about a third of a page."""
    held: list[Passage] = []
    for passage in passages:
        if held and sum(len(one.text) for one in held) + len(passage.text) > LONGEST_EPISODE:
            yield tuple(held)
            held = []
        held.append(passage)
    if held:
        yield tuple(held)


def judged(told: Sequence[tuple[Passage, ...]], about: Sequence[bool], name: str) -> Iterator[Episode]:
    """Each episode with its kind."""
    for place, episode in enumerate(told):
        if about[place]:
            yield Episode(episode, "experience", "")
            continue
        there = any(about[max(0, place - PRESENT) : place]) and any(about[place + 1 : place + 1 + PRESENT])
        yield Episode(episode, "knowledge", "" if there else f"{name} is not in it: known to {name}, or only to the reader?")
