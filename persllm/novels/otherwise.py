"""Which persons are one because the book says so: `Mr. John Dale, otherwise the Fox`, `Ann Reed, now Mrs. Holt`.

Limits: only where both names stand side by side; a narrator who lies is believed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from persllm.novels.names import Occurrence

CALLED = r"(?:known|called|named|nicknamed|surnamed|christened|addressed|distinguished|spoken of)"
ADVERBS = r"(?:better |otherwise |also |afterwards |commonly |generally |usually |once |always )*"
BETWEEN = re.compile(
    r"(?:[\s,;:—(“\"'‘-]*[,;:—(-][\s“\"'‘]*(?:otherwise|alias|née|nee|formerly|late|now|afterwards|erst|erstwhile|whose real name (?:was|is)"
    rf"|(?:who (?:is|was|were|had been) )?{ADVERBS}{CALLED}(?: to \w+ \w+| in \w+ \w+)?(?: as| by the name of)?)"
    r"|\s(?:alias|née|nee)|(?:,? who)?\s(?:(?:had|has|have) become|became)"
    rf"|(?:, (?:who|that))?\s(?:was|is|were|had been) (?:once|formerly|now|really|no other than|none other than|{ADVERBS}{CALLED}(?: as| by the name of)?))"
    r"(?: the)?[\s,:—(“\"'‘-]*(?:old |young )?"
)
"""What stands between two names of one person."""
LONGEST = 60
"""Characters between two names that are said to be one person's."""


def told_to_be_one(
    paragraphs: Sequence[str],
    occurrences: Sequence[Occurrence],
    owner: Mapping[str, int],
    may_be: Callable[[int, int], bool],
) -> list[tuple[int, int]]:
    """Pairs of persons whose names the book puts side by side as one's, for all of whom `may_be` is true."""
    found = []
    for one, other in pairwise(occurrences):
        same_place = one.paragraph == other.paragraph and 0 < other.start - one.end <= LONGEST
        if not same_place or owner[one.text] == owner[other.text]:
            continue
        if BETWEEN.fullmatch(paragraphs[one.paragraph][one.end : other.start]) and may_be(owner[one.text], owner[other.text]):
            found.append((owner[one.text], owner[other.text]))
    return found
