"""Which names are of places: those that nobody speaks by and that mostly follow `in`, `at`, `to`, `from`.

A person stands after such a word in one place of ten or four, a place in every second one. Limits: a place named fewer
than four times, or hardly ever after a preposition, passes for a person if something else speaks for it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from persllm.novels.words import english

WITHIN = re.compile(r"\b(?:in|into|near|throughout|outside|round)\s$", re.IGNORECASE)
SOMEWHERE = re.compile(
    r"\b(?:in|into|near|throughout|outside|round|at|to|from|of|through|towards?|about|for|over|beyond|"
    r"leave|leaves|left|leaving|reach|reached|reaching|visit|visited|enter|entered|entering|quit|quitted|quitting)\s$",
    re.IGNORECASE,
)
POSSESSIVE = re.compile(r"['’]s?\b|['’](?=\s)")
FEWEST = 4
"""Occurrences below which nothing is judged."""
SHARE = 0.45
"""Share of the occurrences after words of `SOMEWHERE` from which on a name is a place's."""
SHARE_OF_GIVEN = 0.6
"""The same for a common given name (Florence), which must also follow `in` or the like."""
WITHIN_OF_GIVEN = 0.1
MOST_SPEECH = 0.05
"""Share of the occurrences beside a verb of speech above which a name is a person's all the same."""


class Whereabouts(NamedTuple):
    """How often a form stands where a place would."""

    count: int
    within: int
    """After `in` or the like, which hardly stands before a person."""
    somewhere: int
    """After any preposition that may lead to a place."""


def whereabouts(places: Iterable[tuple[str, int, int]]) -> Whereabouts:
    """Of the (text, start, end) at which one form stands; a possessive is nobody's whereabouts: `in Ann's room`."""
    count = within = somewhere = 0
    for text, start, end in places:
        count += 1
        if not POSSESSIVE.match(text, end):
            before = text[max(0, start - 12) : start]
            within += bool(WITHIN.search(before))
            somewhere += bool(SOMEWHERE.search(before))
    return Whereabouts(count, within, somewhere)


def is_place(form: str, speaks: int, found: Whereabouts) -> bool:
    """Whether a form without a title is a place's name."""
    words = english()
    first, last = form.split()[0], form.split()[-1]
    given = first in words.given or first in words.short_forms
    if last in words.place_nouns and " " in form and first.lower() not in words.titles and first != "the" and not given:
        return True
    if found.count < FEWEST or first.lower() in words.titles or first == "the" or speaks > MOST_SPEECH * found.count + 1:
        return False
    if given:
        return found.somewhere >= SHARE_OF_GIVEN * found.count and found.within >= WITHIN_OF_GIVEN * found.count
    return found.somewhere >= SHARE * found.count
