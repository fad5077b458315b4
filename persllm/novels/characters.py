"""Which names are one person: titles, given names, surnames shared by a family, short forms; and who is he, who is she.

Full names come first, then names with titles, then single ones; a name is given to the one person it fits. Where it fits
several, how the book uses it decides: two names that the narration often uses in one paragraph are two persons, so
`Mr. Emerson` and `George Emerson` stay apart where father and son meet. Limits: a title that changes hands (a widow
who marries), disguises, and pet names that no list knows are not joined; the user may name them.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from itertools import combinations

from persllm.novels.book import Character, Gender
from persllm.novels.called import same_persons
from persllm.novels.names import Form, Occurrence
from persllm.novels.words import english

PRONOUN = re.compile(r"\b(he|she|his|her|him|himself|herself)\b", re.IGNORECASE)
APART = 0.1
"""Two names are two persons' if so many of one's places in the narration are in a sentence with the other."""
FEWEST_TOGETHER = 2
APART_ALONE = 0.3
"""The same for `Miss X` where only one unmarried woman of the name is known."""
RARE_MAN = 5
"""A bare surname is the man's of the family, unless the women are named so many times more often."""
MOST_TOGETHER = 1
"""Paragraphs of narration in which two names of one person may both stand."""
FEWEST_PRONOUNS = 3
"""Pronouns after a name below which its gender is not judged by them."""


class Parsed:
    """A form taken apart."""

    def __init__(self, form: Form):
        words = english()
        self.form = form
        self.article = form.text.startswith("the ")
        tokens = form.text.removeprefix("the ").split()
        self.titles: list[str] = []
        while tokens and tokens[0].lower() in words.titles and (len(tokens) > 1 or tokens[0].lower() in words.bare_titles | words.kin):
            self.titles.append(tokens.pop(0).lower())
        self.rest = tokens
        self.of = "of" in tokens
        self.plain = tokens if not self.of else tokens[: tokens.index("of")]

    @property
    def gender(self) -> Gender:
        """By title or given name."""
        words = english()
        for title in self.titles:
            found = words.titles[title]
            if found in ("m", "f"):
                return "m" if found == "m" else "f"
        given = words.given.get(self.rest[0], "x") if self.rest else "x"
        if given == "x" and self.rest and (full := words.short_forms.get(self.rest[0])):
            genders = {words.given.get(name, "x") for name in full}
            given = genders.pop() if len(genders) == 1 else "x"
        return "m" if given == "m" else "f" if given == "f" else "x"


class Person:
    """A character while the names are being joined."""

    def __init__(self) -> None:
        self.forms: dict[str, int] = {}
        self.givens: set[str] = set()
        self.surnames: set[str] = set()
        self.husbands: set[str] = set()
        """Given names of the husband by which a wife is called: Mrs. Peter Blewett."""
        self.titles: set[str] = set()
        self.gender: Gender = "x"

    @property
    def count(self) -> int:
        """How often the names stand in the book."""
        return sum(self.forms.values())

    def add(self, parsed: Parsed) -> None:
        """Give the person a name."""
        self.forms[parsed.form.text] = parsed.form.count
        self.titles.update(parsed.titles)
        if self.gender == "x":
            self.gender = parsed.gender

    def merge(self, other: "Person") -> None:
        """Take over all names of another, who is the same."""
        self.forms |= other.forms
        self.givens |= other.givens
        self.surnames |= other.surnames
        self.titles |= other.titles
        if self.gender == "x":
            self.gender = other.gender


def fits(person: Person, gender: Gender) -> bool:
    """Whether a gender does not contradict a person's."""
    return "x" in (person.gender, gender) or person.gender == gender


SENTENCE_END = re.compile(r"(?<=[a-z]{2}[.!?;])[\"”’']*\s")
QUALIFIED = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Ee]lder|[Yy]ounger) (Mr\.? [A-Z][a-z]+)\b")
WITH_ADJECTIVE = re.compile(r"\b(?:[Oo]ld|[Yy]oung|[Pp]oor|[Ll]ittle) (?=[A-Z])")
SHORTEST_PREFIX = 3
"""A name of so many letters with which one given name of the book begins is short for it: Gil, Gilbert."""
FEWEST_QUALIFIED = 3
"""`old Mr. X` or `young Mr. X` so often means that there are two of them."""


RARE_SPELLING = 2
"""A name with a title so rare may be another one misspelt: Mr. Browlow, Mr. Brownlow."""
SHORTEST_MISSPELT = 6


def spelt_alike(one: str, other: str) -> bool:
    """Whether two long names differ by one letter left out or put in."""
    short, long = sorted((one, other), key=len)
    inserted = any(long[:place] + long[place + 1 :] == short for place in range(1, len(long)))
    return len(short) >= SHORTEST_MISSPELT and len(long) == len(short) + 1 and inserted


class Joiner:
    """Joins the forms of one book to persons."""

    def __init__(
        self, forms: Sequence[Form], together: Mapping[tuple[str, str], int], several: Container[str] = (), men: Container[str] = ()
    ):
        self.words, self.men = english(), men
        self.together, self.several = together, several
        self.parsed = [Parsed(form) for form in forms]
        self.persons: list[Person] = []
        full = [p for p in self.parsed if len(p.plain) > 1 and not p.article]
        self.given_names = {p.plain[0] for p in full}
        self.surnames = {p.plain[-1] for p in full if p.plain[-1] not in self.given_names & set(self.words.given)} | {
            p.rest[0] for p in self.parsed if len(p.rest) == 1 and set(p.titles) & {"mr.", "mr", "mrs.", "mrs"}
        }

    def persons_found(self) -> list[Person]:
        """All persons, from full names down to single ones."""
        steps: list[tuple[Callable[[Parsed], bool], Callable[[Parsed], Person | None]]] = [
            (lambda p: len(p.plain) > 1 and not p.article and not p.of, self.by_full_name),
            (lambda p: bool(p.titles) and len(p.rest) == 1 and not self.title_of_given(p), self.by_titled_surname),
            (lambda p: not p.titles and len(p.rest) == 1 and not p.article, self.by_single_name),
            (lambda p: bool(p.titles) and len(p.rest) == 1, self.by_single_name),
            (lambda p: True, self.by_article),
        ]
        done: set[str] = set()
        for chosen, find in steps:
            for parsed in self.parsed:
                if parsed.form.text in done or not chosen(parsed):
                    continue
                done.add(parsed.form.text)
                person = find(parsed)
                if person is None:
                    person = Person()
                    self.persons.append(person)
                self.put(person, parsed)
        return self.persons

    def put(self, person: Person, parsed: Parsed) -> None:
        """Add a form, and what it tells of given name and surname."""
        person.add(parsed)
        if parsed.article or parsed.of or not parsed.rest:
            return
        if len(parsed.plain) > 1:
            (person.husbands if self.by_husband(parsed) else person.givens).add(parsed.plain[0])
            person.surnames.add(parsed.plain[-1])
        elif parsed.titles and not self.title_of_given(parsed):
            person.surnames.add(parsed.plain[0])
        elif not person.surnames:
            person.givens.add(parsed.plain[0])

    def by_husband(self, parsed: Parsed) -> bool:
        """Whether a wife is called by her husband's given name: Mrs. Peter Blewett. No list needs to know him if the book says `he`."""
        given = self.words.given.get(parsed.plain[0], "m" if parsed.plain[0] in self.men else "x")
        return bool(set(parsed.titles) & self.words.married) and given == "m"

    def title_of_given(self, parsed: Parsed) -> bool:
        """Whether a title stands before a given name: Lord Henry, Miss Rose."""
        name = parsed.rest[0] if parsed.rest else ""
        if not set(parsed.titles) & self.words.ranks_of_given_names:
            return False
        known = name in self.given_names or name in self.words.given or name in self.words.short_forms
        return (name not in self.surnames and known) or (
            name in self.given_names and name not in {p.plain[-1] for p in self.parsed if len(p.plain) > 1}
        )  # fmt: skip

    def apart(self, person: Person, parsed: Parsed, share: float = APART) -> bool:
        """Whether the narration uses a form beside the person's names as that of somebody else."""
        others = [form for form in {*person.forms, *person.givens} if not set(form.split()) & set(parsed.rest)]
        both = sum(self.together.get(pair, 0) for form in others for pair in [(min(form, parsed.form.text), max(form, parsed.form.text))])
        least = min(parsed.form.told, sum(self.told(form) for form in others))
        return both >= FEWEST_TOGETHER and both >= share * max(least, 1)

    def told(self, text: str) -> int:
        """How often the narration uses a form."""
        return next((p.form.told for p in self.parsed if p.form.text == text), 0)

    def same_given(self, one: str, other: str) -> bool:
        """Whether two given names can be one: equal, a short form, an initial."""
        short = self.words.short_forms
        full_one, full_other = short.get(one, frozenset()) | {one}, short.get(other, frozenset()) | {other}
        return bool(full_one & full_other)

    def by_full_name(self, parsed: Parsed) -> Person | None:
        """The person of the same surname and given name."""
        given, surname = parsed.plain[0], parsed.plain[-1]
        wife = self.by_husband(parsed)
        for person in self.persons:
            if surname in person.surnames and fits(person, parsed.gender):
                if wife and person.titles & self.words.married:
                    return person
                if not wife and any(self.same_given(given, other) for other in person.givens):
                    return person
        return None

    def by_titled_surname(self, parsed: Parsed) -> Person | None:
        """The one of a family whom `Mr. X`, `Mrs. X` or `Miss X` can mean."""
        titles = set(parsed.titles)
        gender: Gender = "m" if parsed.gender == "x" else parsed.gender
        own = [p for p in self.persons if parsed.rest[0] in p.surnames and fits(p, gender)]
        if titles & self.words.married:
            own = [p for p in own if p.titles & self.words.married]
        elif titles & self.words.unmarried:
            own = [p for p in own if not p.titles & self.words.married]
        share = APART_ALONE if len(own) == 1 and titles & self.words.unmarried else APART
        fitting = [p for p in own if not self.apart(p, parsed, share)]
        if parsed.form.text in self.several:
            return None
        if not own and parsed.form.count <= RARE_SPELLING:
            own = fitting = [p for p in self.persons if p.titles & titles and any(spelt_alike(parsed.rest[0], name) for name in p.surnames)]
        same_title = [p for p in fitting if p.titles & titles]
        if len(same_title) == 1:
            return same_title[0]
        if len(own) > 1 and titles & {"mr.", "mr"} and len(fitting) != 1:
            return None
        return max(fitting, key=lambda p: p.count, default=None)

    def by_single_name(self, parsed: Parsed) -> Person | None:
        """The person of whom a word is the given name, the surname, or a short form."""
        name, gender = parsed.rest[0], parsed.gender
        wives = [p for p in self.persons if name in p.husbands] if set(parsed.titles) & self.words.married else []
        if len(wives) == 1:
            return wives[0]
        givens = [p for p in self.persons if name in p.givens and fits(p, gender)]
        surnames = [p for p in self.persons if name in p.surnames and p.gender != "f" and not parsed.titles]
        women = [p for p in self.persons if name in p.surnames and not parsed.titles and p.gender == "f"]
        if women and sum(p.count for p in women) > RARE_MAN * sum(p.count for p in surnames):
            surnames = women
        short = [p for p in self.persons if any(self.same_given(name, other) for other in p.givens) and fits(p, gender)]
        if not short and not parsed.titles and len(name) >= SHORTEST_PREFIX:
            short = [p for p in self.persons if any(other.startswith(name) for other in p.givens)]
            short = short if len(short) == 1 else []
        for found in (givens, surnames, [p for p in short if not self.apart(p, parsed)]):
            if found and not (found is surnames and len(found) > 1 and self.apart(max(found, key=lambda p: p.count), parsed)):
                return max(found, key=lambda p: p.count)
        return None

    def by_article(self, parsed: Parsed) -> Person | None:
        """The one whose name ends alike: `the Dodger`, `the Artful Dodger`; or the only one of a rank."""
        tail = parsed.rest[-1] if parsed.rest else ""
        if not parsed.rest or (parsed.of and parsed.titles):
            rank = set(parsed.titles)
            found = [p for p in self.persons if p.titles & rank]
            found = [p for p in found if not parsed.of or not p.surnames]
            return max(found, key=lambda p: p.count) if len(found) == 1 else None
        if parsed.article or parsed.of:
            whole = parsed.form.text.removeprefix("the ")
            for person in self.persons:
                texts = {text.removeprefix("the ") for text in person.forms}
                if whole in texts or (
                    parsed.article and any(text.split()[-1] == tail and len(text.split()) != len(whole.split()) for text in texts)
                ):
                    return person
        return None


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
    """The persons, those joined whom the talk calls by a given name and the narration by the surname, or the other way round."""
    owner = {text: place for place, person in enumerate(persons) for text in person.forms}

    def may_be(one: int, other: int) -> bool:
        a, b = persons[one], persons[other]
        halves = bool(a.givens) != bool(a.surnames) and bool(b.givens) == bool(a.surnames) and bool(b.surnames) == bool(a.givens)
        both = sum(together.get((min(x, y), max(x, y)), 0) for x in a.forms for y in b.forms)
        return halves and fits(a, b.gender) and both <= MOST_TOGETHER

    joined = list(persons)
    for one, other in same_persons(paragraphs, occurrences, owner, may_be):
        a, b = persons[one], persons[other]
        if a in joined and b in joined:
            b.merge(a)
            joined.remove(a)
    return joined


def men(paragraphs: Sequence[str], forms: Sequence[Form], occurrences: Sequence[Occurrence]) -> set[str]:
    """Given names, listed or not, after which the book says `he`; names with a woman's title do not count."""
    parsed = [Parsed(form) for form in forms]
    own = [one for one in parsed if one.plain and one.gender != "f" and not one.article and not one.of]
    names = {one.plain[0]: place for place, one in enumerate(own)}
    owner = {one.form.text: names[one.plain[0]] for one in own if len(one.plain) > 1 or not one.titles}
    votes = pronoun_gender(paragraphs, [at for at in occurrences if at.text in owner], owner)
    return {name for name, place in names.items() if votes[place]["m"] >= FEWEST_PRONOUNS and votes[place]["m"] >= 2 * votes[place]["f"]}


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
        paragraphs, occurrences, Joiner(forms, together, several, men(paragraphs, forms, occurrences)).persons_found(), together
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
    name = called or max(enough or ranked[:1], key=lambda text: (len(text.split()), person.forms[text]))
    described = all(text.startswith("the ") for text in ranked)
    return Character(name=name, aliases=tuple(ranked), gender=person.gender, mentions=person.count, described=described)
