"""The characters of a book: names joined by their words (`joining.py`), then by what the book tells; who is he, who is she.

After the words themselves: the book says that two names are one person's (`otherwise.py`), a woman marries (`marriages.py`),
the talk calls somebody by another name than the narration (`called.py`). Limits: disguises of which the book says nothing,
and pet names that no list knows, are not joined; the user may name them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from persllm.novels.book import Character
from persllm.novels.called import same_persons
from persllm.novels.joining import Joiner
from persllm.novels.marriages import brides
from persllm.novels.names import Form, Occurrence
from persllm.novels.otherwise import told_to_be_one
from persllm.novels.persons import Person, fits
from persllm.novels.usage import FEWEST_PRONOUNS, pronoun_gender, usage_of
from persllm.novels.wives import may_be_wife, of_two_surnames, wives_of_scenes
from persllm.novels.words import english

MOST_TOGETHER = 1
"""Paragraphs of narration in which two names of one person may both stand."""
MEETINGS = 0.05
"""The same as a share of the rarer name's places, if one of the two is a description."""
WITH_ADJECTIVE = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Pp]oor|[Ll]ittle) (?=[A-Z])")


def is_described(person: Person) -> bool:
    """Whether a person has no names but descriptions: `the Jew`, `Jew`, `old Jew`."""
    return (
        not person.surnames
        and any(text.startswith("the ") for text in person.forms)
        and all(text.startswith("the ") or f"the {text}" in person.forms for text in person.forms)
    )


class MayBeOne:
    """Which two of some persons may be one, by their names and by how seldom these meet in a sentence."""

    def __init__(self, persons: Sequence[Person], together: Mapping[tuple[str, str], int]):
        self.persons, self.together = persons, together

    def meetings(self, a: Person, b: Person) -> int:
        """In how many sentences of the narration both are named."""
        return sum(self.together.get((min(x, y), max(x, y)), 0) for x in a.forms for y in b.forms)

    def any_two(self, one: int, other: int) -> bool:
        """Whether at least the genders do not contradict."""
        return fits(self.persons[one], self.persons[other].gender)

    def halves(self, one: int, other: int) -> bool:
        """Whether one has a given name alone, the other a surname alone."""
        a, b = self.persons[one], self.persons[other]
        parts = bool(a.givens) != bool(a.surnames) and bool(b.givens) == bool(a.surnames) and bool(b.surnames) == bool(a.givens)
        return parts and fits(a, b.gender) and self.meetings(a, b) <= MOST_TOGETHER

    def described(self, one: int, other: int) -> bool:
        """Whether one has a name, the other a description."""
        a, b = self.persons[one], self.persons[other]
        most = max(MOST_TOGETHER, MEETINGS * min(a.count, b.count))
        return not is_described(a) and is_described(b) and fits(a, b.gender) and self.meetings(a, b) <= most

    def wedded(self, one: int, other: int) -> bool:
        """Whether one is a woman with a given name, the other a `Mrs. X` of her family."""
        a, b = self.persons[one], self.persons[other]
        return (may_be_wife(a, b) or may_be_wife(b, a)) and self.meetings(a, b) <= MOST_TOGETHER


def one_under_two_names(
    paragraphs: Sequence[str], occurrences: Sequence[Occurrence], persons: Sequence[Person], together: Mapping[tuple[str, str], int]
) -> list[Person]:
    """The persons, those joined whom the book says to be one or who change their surname, then those whom others call by another name."""
    owner = {text: place for place, person in enumerate(persons) for text in person.forms}
    fitting = MayBeOne(persons, together)
    told = told_to_be_one(paragraphs, occurrences, owner, fitting.any_two)
    changed = [*brides(paragraphs, occurrences, persons, owner), *of_two_surnames(persons, fitting.meetings)]
    persons = merged(persons, [*told, *changed])
    owner = {text: place for place, person in enumerate(persons) for text in person.forms}
    fitting = MayBeOne(persons, together)
    wives = wives_of_scenes(paragraphs, occurrences, persons, owner, fitting.meetings)
    called = same_persons(paragraphs, occurrences, owner, fitting.halves, fitting.described, fitting.wedded)
    return merged(persons, [*wives, *called])


def merged(persons: Sequence[Person], pairs: Sequence[tuple[int, int]]) -> list[Person]:
    """The persons, the first of each pair joined to the second."""
    joined, place_of = list(persons), list(range(len(persons)))
    for one, other in pairs:
        a, b = persons[place_of[one]], persons[place_of[other]]
        if a is not b and fits(a, b.gender):
            b.merge(a)
            joined.remove(a)
            place_of = [place_of[other] if place == place_of[one] else place for place in place_of]
    return joined


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
    usage = usage_of(paragraphs, forms, occurrences)
    persons = one_under_two_names(paragraphs, occurrences, Joiner(forms, usage).persons_found(), usage.together)
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
