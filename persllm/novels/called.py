"""Which persons are one because the talk calls them by another name than the narration: Charlotte is Miss Bartlett.

The narration may have two names itself, if one is a description: where Simon is called, the Smith answers.

Whoever is called by name is somebody who is there: one of those who speak or act right before or after. If one name is
hardly ever told of, and the one who is there when it is called is nearly always the same, the two are one person.
Limits: somebody called who never answers and is never told of passes for the one who stands beside.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from persllm.novels.names import Occurrence, beside_speech

END = re.compile(r"\s*[,!?.;:…—-]|\s*$|['\"’”]")
BEFORE = re.compile(
    r"(?:^|[,!?.;:—\"“‘-]\s*|(?:^|[\s\"“‘'])'|\b(?:my dear|dear|my|oh|Oh|O|yes|no|sir|well|Well|poor|old|and|Yes|No|Good night|Good-bye|Come|Thank you),?\s*)$"
)
REACH = 2
"""Paragraphs before and after a call within which the one called is looked for."""
MOST_TOLD = 0.34
"""Share of a name's places in the narration above which it is a name of its own."""
FEWEST_CALLS = 2
SHARE = 0.5
"""Of the calls, those at which the one must be there."""
FEWEST_DESCRIBED = 4
"""The same for one whom the narration also calls by a description; he need not be rare in it under his name."""
SHARE_DESCRIBED = 0.3
"""The share for one who is also called by a description, or `Mrs. X`."""
LEAD = 2.0
"""So many times more often than the next one."""


ITSELF = 0.2
"""Calls for each at which the one is there, up to which it may seem to call itself: two may speak in one paragraph."""


class Presence(NamedTuple):
    """Who is there when somebody is called."""

    calls: Counter[int]
    """Person -> how often called."""
    there: dict[int, Counter[int]]
    """Person -> who is named beside words or acts nearest to a call, how often."""
    callers: dict[int, Counter[int]]
    """Person -> who calls so, as far as a verb of speech tells."""


def is_call(text: str, at: Occurrence) -> bool:
    """Whether a name in spoken words calls somebody: `Come, Rose!`"""
    return at.quoted and bool(END.match(text, at.end) and BEFORE.search(text[max(0, at.start - 30) : at.start]))


def presence(paragraphs: Sequence[str], occurrences: Sequence[Occurrence], owner: Mapping[str, int]) -> Presence:
    """Who is there at each call."""
    speaking: dict[int, list[int]] = defaultdict(list)
    told: dict[int, list[int]] = defaultdict(list)
    for at in occurrences:
        if not at.quoted:
            told[at.paragraph].append(owner[at.text])
            if beside_speech(paragraphs[at.paragraph], at):
                speaking[at.paragraph].append(owner[at.text])
    found = Presence(Counter(), defaultdict(Counter), defaultdict(Counter))
    for at in occurrences:
        if not is_call(paragraphs[at.paragraph], at):
            continue
        person = owner[at.text]
        found.calls[person] += 1
        callers = set(speaking[at.paragraph])
        found.callers[person].update(callers)
        near = {one for step in (-1, 1) for one in speaking[at.paragraph + step]} - callers
        if not near:
            near = {one for step in (-1, 0, 1) for one in told[at.paragraph + step]} - callers
        if not near:
            near = {one for step in (-REACH, REACH) for one in speaking[at.paragraph + step]} - callers
        found.there[person].update(near - {person})
    return found


def same_persons(
    paragraphs: Sequence[str],
    occurrences: Sequence[Occurrence],
    owner: Mapping[str, int],
    may_be: Callable[[int, int], bool],
    described: Callable[[int, int], bool],
    wedded: Callable[[int, int], bool],
) -> list[tuple[int, int]]:
    """(person under the name of the talk, the same under that of the narration).

    `may_be` is true of a name and another that may be one person's, `described` of a name and a description that may (Simon, the Smith),
    `wedded` of a woman's name and a `Mrs. X` of her family that may.
    """
    found = presence(paragraphs, occurrences, owner)
    places: Counter[int] = Counter(owner[at.text] for at in occurrences)
    told: Counter[int] = Counter(owner[at.text] for at in occurrences if not at.quoted)
    same = []
    for person, calls in found.calls.items():
        there = found.there[person].most_common()
        if there and there[0][1] >= max(FEWEST_DESCRIBED, SHARE_DESCRIBED * calls) and described(person, there[0][0]):
            ranked, fewest = there, FEWEST_DESCRIBED
        elif calls >= FEWEST_CALLS and (wives := [(one, number) for one, number in there if wedded(person, one)]):
            ranked, fewest = wives, max(FEWEST_CALLS, SHARE_DESCRIBED * calls)
        elif calls < FEWEST_CALLS or told[person] > MOST_TOLD * places[person]:
            continue
        else:
            ranked, fewest = [(one, number) for one, number in there if may_be(person, one)], max(FEWEST_CALLS, SHARE * calls)
        if not ranked:
            continue
        best, number = ranked[0]
        second = ranked[1][1] if len(ranked) > 1 else 0
        itself = found.callers[person][best]
        if number >= fewest and number >= LEAD * second and itself <= ITSELF * number:
            same.append((person, best))
    return same
