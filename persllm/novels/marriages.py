"""Which woman a `Mrs. X` was before: the book speaks of her, of Mr. X and of a marriage in one sentence, more often than of any other.

Her maiden name must end where the new name begins: a friend who is talked of for him keeps hers. Limits: a marriage nobody
speaks of, a bride of whom the book knows no surname, and one who marries on the last pages are not found.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

from persllm.novels.names import Occurrence
from persllm.novels.persons import Person
from persllm.novels.usage import SENTENCE_END
from persllm.novels.words import english

MARRIAGE = re.compile(r"\b(?:marr(?:y|ied|iage|ies|ying)|wedding|wedded|bride|wife|husband|engaged|engagement|honeymoon)\b", re.IGNORECASE)
FEWEST = 3
"""Sentences of a marriage in which the two must stand."""
LEAD = 2
"""So many times more than any other woman with him."""
FEWEST_WIFE = 5
"""Places of `Mrs. X` in the book below which she is not looked for."""
BEGUN = 3
"""So many places of `Mrs. X` in the narration after which the maiden name must have ended."""
MOST_AFTER = 0.33
"""Share of the places of the maiden name in the narration that may come later: memories."""


def brides(
    paragraphs: Sequence[str], occurrences: Sequence[Occurrence], persons: Sequence[Person], owner: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Pairs (woman under her maiden name, the same as `Mrs. X`)."""
    married = english().married
    wives = [
        place for place, one in enumerate(persons) if one.titles & married and not one.givens and one.surnames and one.count >= FEWEST_WIFE
    ]
    spoken_of = sentences_of_marriage(paragraphs, occurrences, owner)
    found = []
    for wife in wives:
        family = {place for place, one in enumerate(persons) if one.surnames & persons[wife].surnames}
        grooms = {place for place in family if persons[place].gender != "f"}
        score = Counter(
            one
            for sentence in spoken_of
            if sentence & grooms
            for one in sentence - family
            if persons[one].gender != "m" and name_ends(occurrences, maiden_names(persons[one]), set(persons[wife].forms))
        )
        ranked = score.most_common(2)
        if not ranked or ranked[0][1] < FEWEST or (len(ranked) > 1 and ranked[0][1] < LEAD * ranked[1][1]):
            continue
        found.append((ranked[0][0], wife))
    return found


def sentences_of_marriage(paragraphs: Sequence[str], occurrences: Sequence[Occurrence], owner: Mapping[str, int]) -> list[set[int]]:
    """The persons of each sentence, narrated or spoken, that has a word of marriage and names somebody."""
    groups: dict[tuple[int, int], set[int]] = defaultdict(set)
    stops: dict[int, list[int]] = {}
    for at in occurrences:
        text = paragraphs[at.paragraph]
        if at.paragraph not in stops:
            stops[at.paragraph] = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
        groups[at.paragraph, bisect_right(stops[at.paragraph], at.start)].add(owner[at.text])
    return [
        people for (paragraph, place), people in groups.items()
        if MARRIAGE.search(paragraphs[paragraph], stops[paragraph][place - 1], stops[paragraph][min(place, len(stops[paragraph]) - 1)])
    ]  # fmt: skip


def maiden_names(person: Person) -> set[str]:
    """The names of a woman that hold her surname."""
    return {text for text in person.forms if text.split()[-1] in person.surnames}


def name_ends(occurrences: Sequence[Occurrence], maiden: set[str], wife: set[str]) -> bool:
    """Whether the narration hardly uses the maiden name once it has begun with the new one."""
    told = [at.text for at in occurrences if not at.quoted]
    begun = next(islice((place for place, text in enumerate(told) if text in wife), BEGUN - 1, None), None)
    places = [place for place, text in enumerate(told) if text in maiden]
    return begun is not None and bool(places) and sum(place > begun for place in places) <= MOST_AFTER * len(places)
