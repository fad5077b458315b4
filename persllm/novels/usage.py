"""How a book uses its names, before any are joined: which meet in a sentence, after which it says `he`, which come late.

Limits: what is counted needs a few places; a name used twice tells nothing.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from persllm.novels.book import Gender
from persllm.novels.names import Form, Occurrence
from persllm.novels.persons import Parsed
from persllm.novels.words import english

PRONOUN = re.compile(r"\b(he|she|his|her|him|himself|herself)\b", re.IGNORECASE)
SHORTENED = "".join(rf"(?<!\b{title}\.)" for title in "Mrs Capt Col Lieut Sergt Prof Rev Mme Mlle Gen Maj Messrs Esq".split())
"""After these a dot ends no sentence."""
SENTENCE_END = re.compile(rf"(?<=[a-z]{{2}}[.!?;]){SHORTENED}[\"”’']*\s")
QUALIFIED = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Ee]lder|[Yy]ounger) (Mr\.? [A-Z][a-z]+)\b")
FEWEST_QUALIFIED = 3
"""`old Mr. X` or `young Mr. X` so often means that there are two of them."""
FEWEST_PRONOUNS = 3
"""Pronouns after a name below which its gender is not judged by them."""
LATE = 10
"""So often `Mr. X` is named before the first `Mr. Given X` if the two are father and son, or elder and younger brother."""
FEWEST_LATE = 5
"""So often `Mr. Given X` must be named to be another one."""


class Usage(NamedTuple):
    """What the book's use of its names tells."""

    together: Mapping[tuple[str, str], int]
    """Two forms, in alphabetical order -> sentences of the narration in which both stand."""
    several: frozenset[str]
    """Forms like `Mr. X` that are said of two: `old Mr. X`, `young Mr. X`."""
    genders: Mapping[str, Gender]
    """Given names, listed or not, after which the book says `he` or `she`."""
    younger: frozenset[str]
    """Forms like `Mr. Paul Dray` whose bearer is not the one meant by `Mr. Dray`."""


def usage_of(paragraphs: Sequence[str], forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> Usage:
    """The usage of one book."""
    qualified = Counter(match[1] for text in paragraphs for match in QUALIFIED.finditer(text))
    several = frozenset(form for form, count in qualified.items() if count >= FEWEST_QUALIFIED)
    together = sentences_together(paragraphs, occurrences)
    return Usage(together, several, genders(paragraphs, forms, occurrences), younger(forms, occurrences))


def sentences_together(paragraphs: Sequence[str], occurrences: Sequence[Occurrence]) -> Counter[tuple[str, str]]:
    """In how many sentences the narration uses two forms: those of one person hardly meet in one."""
    groups: dict[tuple[int, int], set[str]] = defaultdict(set)
    stops: dict[int, list[int]] = {}
    for at in occurrences:
        if not at.quoted:
            if at.paragraph not in stops:
                stops[at.paragraph] = [match.end() for match in SENTENCE_END.finditer(paragraphs[at.paragraph])]
            groups[at.paragraph, bisect_right(stops[at.paragraph], at.start)].add(at.text)
    return Counter(pair for forms in groups.values() for pair in combinations(sorted(forms), 2))


def pronoun_gender(paragraphs: Sequence[str], occurrences: Sequence[Occurrence], owner: Mapping[str, int]) -> dict[int, Counter[str]]:
    """For each person, how often `he` or `she` is the first pronoun after a mention before anybody else is named."""
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for number, at in enumerate(occurrences):
        if at.quoted or at.text not in owner:
            continue
        following = occurrences[number + 1] if number + 1 < len(occurrences) else None
        end = following.start if following and following.paragraph == at.paragraph else at.end + 120
        match = PRONOUN.search(paragraphs[at.paragraph], at.end, min(end, at.end + 120))
        if match:
            votes[owner[at.text]]["m" if match[1].lower() in {"he", "his", "him", "himself"} else "f"] += 1
    return votes


def genders(paragraphs: Sequence[str], forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> dict[str, Gender]:
    """Given names, listed or not, after which the book says `he` or `she`; a wife's name may be her husband's and does not count."""
    married = english().married
    parsed = [Parsed(form) for form in forms]
    own = [one for one in parsed if one.plain and not one.article and not one.of and not set(one.titles) & married]
    names = {one.plain[0]: place for place, one in enumerate(own)}
    owner = {one.form.text: names[one.plain[0]] for one in own if len(one.plain) > 1 or not one.titles}
    votes = pronoun_gender(paragraphs, [at for at in occurrences if at.text in owner], owner)
    found: dict[str, Gender] = {}
    for name, place in names.items():
        he, she = votes[place]["m"], votes[place]["f"]
        if he + she >= FEWEST_PRONOUNS and max(he, she) >= 2 * min(he, she):
            found[name] = "m" if he > she else "f"
    return found


def younger(forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> frozenset[str]:
    """Forms that are used steadily, but only after many of the same without the given name: the elder one needs none."""
    found = set()
    for form in forms:
        tokens = form.text.split()
        elder = f"{tokens[0]} {tokens[-1]}"
        if len(tokens) == 3 and tokens[0].lower() in english().titles and form.count >= FEWEST_LATE:
            first = next(place for place, at in enumerate(occurrences) if at.text == form.text)
            if sum(at.text == elder for at in occurrences[:first]) >= LATE:
                found.add(form.text)
    return frozenset(found | sons(forms, occurrences))


def sons(forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> set[str]:
    """Full names of men whom the narration calls by the given name, while it goes on with a `Mr. X` of whom it told long before."""
    told: dict[str, list[int]] = defaultdict(list)
    for place, at in enumerate(occurrences):
        if not at.quoted:
            told[at.text].append(place)
    found = set()
    for form in forms:
        tokens = form.text.split()
        elder, younger = told[f"Mr. {tokens[-1]}"], told[tokens[0]]
        if len(tokens) == 2 and "." not in tokens[0] and len(elder) >= 2 * LATE and len(younger) >= LATE:
            first = min(younger[0], told[form.text][0] if told[form.text] else younger[0])
            before = bisect_right(elder, first)
            if before >= FEWEST_LATE and len(elder) - before >= 2 * LATE:
                found.add(form.text)
    return found
