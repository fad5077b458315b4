"""Which names are one person: titles, given names, surnames shared by a family, short forms; and who is he, who is she.

Full names come first, then names with titles, then single ones; a name is given to the one person it fits. Where it fits
several, how the book uses it decides: two names that the narration often uses in one paragraph are two persons, so
`Mr. Emerson` and `George Emerson` stay apart where father and son meet. Limits: a title that changes hands (a widow
who marries), disguises, and pet names that no list knows are not joined; the user may name them.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from persllm.novels.book import Character
from persllm.novels.called import same_persons
from persllm.novels.joining import Joiner
from persllm.novels.names import Form, Occurrence
from persllm.novels.otherwise import told_to_be_one
from persllm.novels.persons import Parsed, Person, fits
from persllm.novels.words import english

PRONOUN = re.compile(r"\b(he|she|his|her|him|himself|herself)\b", re.IGNORECASE)
MOST_TOGETHER = 1
"""Paragraphs of narration in which two names of one person may both stand."""
FEWEST_PRONOUNS = 3
"""Pronouns after a name below which its gender is not judged by them."""


SENTENCE_END = re.compile(r"(?<=[a-z]{2}[.!?;])[\"”’']*\s")
QUALIFIED = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Ee]lder|[Yy]ounger) (Mr\.? [A-Z][a-z]+)\b")
WITH_ADJECTIVE = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Pp]oor|[Ll]ittle) (?=[A-Z])")
LATE = 10
"""So often `Mr. X` is named before the first `Mr. Given X` if the two are father and son, or elder and younger brother."""
FEWEST_LATE = 5
"""So often `Mr. Given X` must be named to be another one."""
FEWEST_QUALIFIED = 3
"""`old Mr. X` or `young Mr. X` so often means that there are two of them."""


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


def one_under_two_names(
    paragraphs: Sequence[str], occurrences: Sequence[Occurrence], persons: Sequence[Person], together: Mapping[tuple[str, str], int]
) -> list[Person]:
    """The persons, those joined whom the talk calls by a given name and the narration by the surname, or whom the book says to be one."""
    owner = {text: place for place, person in enumerate(persons) for text in person.forms}

    def halves(one: int, other: int) -> bool:
        a, b = persons[one], persons[other]
        parts = bool(a.givens) != bool(a.surnames) and bool(b.givens) == bool(a.surnames) and bool(b.surnames) == bool(a.givens)
        both = sum(together.get((min(x, y), max(x, y)), 0) for x in a.forms for y in b.forms)
        return parts and fits(a, b.gender) and both <= MOST_TOGETHER

    told = told_to_be_one(paragraphs, occurrences, owner, lambda one, other: fits(persons[one], persons[other].gender))
    joined, place_of = list(persons), list(range(len(persons)))
    for one, other in [*told, *same_persons(paragraphs, occurrences, owner, halves)]:
        a, b = persons[place_of[one]], persons[place_of[other]]
        if a is not b and fits(a, b.gender):
            b.merge(a)
            joined.remove(a)
            place_of = [place_of[other] if place == place_of[one] else place for place in place_of]
    return joined


def men(paragraphs: Sequence[str], forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> set[str]:
    """Given names, listed or not, after which the book says `he`; names with a woman's title do not count."""
    parsed = [Parsed(form) for form in forms]
    own = [one for one in parsed if one.plain and one.gender != "f" and not one.article and not one.of]
    names = {one.plain[0]: place for place, one in enumerate(own)}
    owner = {one.form.text: names[one.plain[0]] for one in own if len(one.plain) > 1 or not one.titles}
    votes = pronoun_gender(paragraphs, [at for at in occurrences if at.text in owner], owner)
    return {name for name, place in names.items() if votes[place]["m"] >= FEWEST_PRONOUNS and votes[place]["m"] >= 2 * votes[place]["f"]}


def younger(forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> frozenset[str]:
    """Forms like `Mr. Paul Dray` that are used steadily, but only after many a `Mr. Dray`: the younger one, for the elder needs no given name."""
    count = Counter(at.text for at in occurrences)
    found = set()
    for form in forms:
        tokens = form.text.split()
        elder = f"{tokens[0]} {tokens[-1]}"
        if len(tokens) == 3 and tokens[0].lower() in english().titles and form.count >= FEWEST_LATE and count[elder] >= LATE:
            first = next(place for place, at in enumerate(occurrences) if at.text == form.text)
            if sum(at.text == elder for at in occurrences[:first]) >= LATE:
                found.add(form.text)
    return frozenset(found)


def add_adjectives(paragraphs: Sequence[str], persons: Sequence[Person]) -> None:
    """Give each person the forms with `old`, `young`, `poor` before a name; they count where the name itself counts."""
    owner = {text: person for person in persons for text in person.forms if not text.startswith("the ")}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for text in paragraphs:
        for match in WITH_ADJECTIVE.finditer(text):
            longest = max((form for form in owner if text.startswith(form, match.end())), key=len, default="")
            if longest and not text[match.end() + len(longest) :][:1].isalnum():
                found[longest][match[0].strip().lower()] += 1
    for form, words in found.items():
        if words["old"] and words["young"]:  # two of one name: the rarer word is the other one's
            del words[min("old", "young", key=lambda word: words[word])]
        owner[form].forms |= {f"{word} {form}": 0 for word in words}


def join_names(
    paragraphs: Sequence[str], forms: Sequence[Form], occurrences: Sequence[Occurrence], known: Sequence[Sequence[str]] = ()
) -> list[Character]:
    """The characters of a book, the most frequent first. `known` lists names that the user says are one person."""
    qualified = Counter(match[1] for text in paragraphs for match in QUALIFIED.finditer(text))
    several = {form for form, count in qualified.items() if count >= FEWEST_QUALIFIED}
    together = sentences_together(paragraphs, occurrences)
    persons = one_under_two_names(
        paragraphs,
        occurrences,
        Joiner(forms, together, several, men(paragraphs, forms, occurrences), younger(forms, occurrences)).persons_found(),
        together,
    )
    add_adjectives(paragraphs, persons)
    called: dict[int, str] = {}
    for names in known:
        same = [person for person in persons if set(names) & set(person.forms)]
        for other in same[1:]:
            same[0].forms |= other.forms
            same[0].gender = same[0].gender if same[0].gender != "x" else other.gender
            persons.remove(other)
        if not same and "I" in names:
            same = [Person()]
            persons.append(same[0])
        if same:
            same[0].forms |= {name: same[0].forms.get(name, 0) for name in names}
            called[id(same[0])] = names[0]
    owner = {text: place for place, person in enumerate(persons) for text in person.forms}
    votes = pronoun_gender(paragraphs, occurrences, owner)
    for place, person in enumerate(persons):
        he, she = votes[place]["m"], votes[place]["f"]
        titled = {english().titles[title] for title in person.titles} & {"m", "f"}
        if he + she >= FEWEST_PRONOUNS and max(he, she) >= 2 * min(he, she) and not titled:
            person.gender = "m" if he > she else "f"
    return [character(person, called.get(id(person), "")) for person in sorted(persons, key=lambda p: -p.count)]


def character(person: Person, called: str = "") -> Character:
    """The record of a person, under the name the user chose or the fullest one that is common enough."""
    ranked = sorted(person.forms, key=lambda text: (-person.forms[text], text))
    enough = [text for text in ranked if person.forms[text] >= min(2, 0.1 * person.count) and person.forms[text] >= 0.03 * person.count]
    name = called or max(enough or ranked[:1], key=lambda text: (len(text.removeprefix("the ").split()), person.forms[text]))
    described = all(text.startswith("the ") for text in ranked)
    return Character(name=name, aliases=tuple(ranked), gender=person.gender, mentions=person.count, described=described)
