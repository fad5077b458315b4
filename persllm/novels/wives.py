"""Which `Mrs. X` is the woman whom the book also calls `Given X`, or by her given name alone.

A mother, a niece or a daughter has the same surname, so more is needed than that nobody calls her Miss. Either the talk
says it: where Joan is called, Mrs. Gray is there (`called.py`). Or the scenes do: both names stand in many of them, close
together, but hardly ever in one sentence, and where both are in one paragraph it does not speak of mother, daughter, aunt.
Limits: a wife named only a few times stays apart.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from persllm.novels.names import Occurrence
from persllm.novels.persons import Person
from persllm.novels.words import english

REACH = 2
"""Paragraphs within which two names stand in one scene."""
FEWEST_SCENES = 10
"""Paragraphs that tell of `Mrs. X` near one that tells of the given name."""
MOST_TOGETHER = 1
"""Sentences of the narration in which both may stand all the same."""
FEWEST_BARE = 30
"""So often a woman is named by her given name alone, if a rare surname with it is hers too: as a girl, married, or on the stage."""
FEWEST_OTHER = 2
OTHER_SURNAME = 0.1
"""Share of the given name's places up to which the surname is rare."""
RARELY = 0.06
"""Share of a woman's names that may have a title in jest: Lady Clara."""
KIN = re.compile(r"\b(?:mother|mamma|mama|daughter|niece|aunt|sister-in-law|daughter-in-law|mother-in-law|grandmother|stepmother)\b")
MOST_KIN = 0.5
"""Share of the paragraphs with both names that may speak of mother and daughter or the like."""


def may_be_wife(woman: Person, wife: Person) -> bool:
    """Whether a woman with a given name may be the `Mrs. X` of whom none is known: of the same family, never Miss nor married otherwise."""
    words = english()
    otherwise = sum(woman.titled[title] for title in words.married) > RARELY * woman.count
    named = bool(woman.givens) and not woman.titles & words.unmarried and not otherwise and woman.gender == "f"
    return named and bool(wife.titles & words.married) and not wife.givens and bool(woman.surnames & wife.surnames)


def wives_of_scenes(
    paragraphs: Sequence[str],
    occurrences: Sequence[Occurrence],
    persons: Sequence[Person],
    owner: Mapping[str, int],
    meetings: Callable[[Person, Person], int],
) -> list[tuple[int, int]]:
    """Pairs (woman by her given name, the same as `Mrs. X`); `meetings` says in how many sentences two persons' names both stand."""
    told: dict[int, set[int]] = defaultdict(set)
    for at in occurrences:
        if not at.quoted:
            told[owner[at.text]].add(at.paragraph)
    found = []
    for wife, as_wife in enumerate(persons):
        near = [
            woman
            for woman, one in enumerate(persons)
            if may_be_wife(one, as_wife)
            and scenes(told[wife], told[woman]) >= FEWEST_SCENES
            and meetings(one, as_wife) <= MOST_TOGETHER
            and kin(paragraphs, told[wife] & told[woman]) <= MOST_KIN
        ]
        if len(near) == 1:
            found.append((near[0], wife))
    return found


def of_two_surnames(persons: Sequence[Person], meetings: Callable[[Person, Person], int]) -> list[tuple[int, int]]:
    """Pairs (woman under a surname that is rarely used, the same as she is mostly named, by the given name alone)."""
    women = [(place, one) for place, one in enumerate(persons) if one.gender == "f" and one.givens]
    found = []
    for woman, one in women:
        mostly = [
            (other, bare)
            for other, her in women
            if other != woman and (bare := max((her.forms.get(given, 0) for given in one.givens & her.givens), default=0)) >= FEWEST_BARE
            and FEWEST_OTHER <= one.count <= OTHER_SURNAME * bare and not meetings(one, her)
        ]  # fmt: skip
        if len(mostly) == 1:
            found.append((woman, mostly[0][0]))
    return found


def scenes(one: set[int], other: set[int]) -> int:
    """How many paragraphs of one name have the other near them."""
    return sum(any(place + step in other for step in range(-REACH, REACH + 1)) for place in one)


def kin(paragraphs: Sequence[str], both: set[int]) -> float:
    """The share of some paragraphs that speak of women's kinship."""
    return sum(bool(KIN.search(paragraphs[place])) for place in both) / max(1, len(both))
