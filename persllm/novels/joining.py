"""Which forms of names are one person, by titles, given names and surnames alone.

Full names come first, then names with titles, then single ones; each goes to the one person it fits.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence, Set

from persllm.novels.book import Gender
from persllm.novels.names import Form
from persllm.novels.persons import Parsed, Person, fits
from persllm.novels.usage import Usage
from persllm.novels.words import english

APART = 0.1
"""Two names are two persons' if so many of one's places in the narration are in a sentence with the other."""
FEWEST_TOGETHER = 2
APART_ALONE = 0.3
"""The same for `Miss X` where only one unmarried woman of the name is known."""
PLAIN_WIVES = frozenset({"mrs."})
PLAIN_MEN = frozenset({"mr."})
KNIGHTS = frozenset({"sir", "lord"})
"""Titles of men who are not called `Mr.`"""
OFFICERS = frozenset("captain colonel major general lieutenant admiral squire".split())
CROWNED = frozenset({"king", "queen", "emperor", "empress"})
FEWEST_OF_RANK = 5
"""Places in the narration from which on a title is somebody's own."""
RARE_MAN = 5
"""A bare surname is the man's of the family, unless the women are named so many times more often."""
SHORTEST_PREFIX = 3
"""A name of so many letters with which one given name of the book begins is short for it: Gil, Gilbert."""
LONG_ENOUGH = 4
"""A given name of so many letters may be the beginning of a longer one: Huck, Huckleberry."""
FAR_MORE = 3
"""So many times more often one must be named than the next of a rank, to be meant by the rank alone: the Colonel."""
MOST_TOLD = 0.5
"""Share of the places of `Mr. X` in the narration up to which it is how others call the one of the family who is named most."""
RARE_SPELLING = 2
"""A name with a title so rare may be another one misspelt: Mr. Browlow, Mr. Brownlow."""
SHORTEST_MISSPELT = 6


def spelt_alike(one: str, other: str) -> bool:
    """Whether two long names differ by one letter left out or put in."""
    short, long = sorted((one, other), key=len)
    inserted = any(long[:place] + long[place + 1 :] == short for place in range(1, len(long)))
    return len(short) >= SHORTEST_MISSPELT and len(long) == len(short) + 1 and inserted


def far_the_first(persons: Sequence[Person], titles: Set[str] = frozenset()) -> Person | None:
    """The one who is named far more often than any other, by names with one of the titles if some are given; None if there is none."""
    ranked = sorted(persons, key=lambda p: -p.count_with(titles))
    return ranked[0] if ranked and (len(ranked) == 1 or ranked[0].count_with(titles) >= FAR_MORE * ranked[1].count_with(titles)) else None


INITIAL = re.compile(r"[A-Z]\.")


class Joiner:
    """Joins the forms of one book to persons."""

    def __init__(self, forms: Sequence[Form], usage: Usage):
        self.words, self.usage = english(), usage
        self.parsed = [Parsed(form, usage.genders) for form in forms]
        self.persons: list[Person] = []
        full = [p for p in self.parsed if len(p.plain) > 1 and not p.article]
        self.given_names = {p.plain[0] for p in full}
        first, last = Counter[str](), Counter[str]()
        for p in full:
            first[p.plain[0]] += p.form.count
            last[p.plain[-1]] += p.form.count
        self.surnames = {name for name in last if not first[name] or (name not in self.words.given and last[name] >= first[name])} | {
            p.rest[0] for p in self.parsed if len(p.rest) == 1 and set(p.titles) & {"mr.", "mrs."}
        }

    def persons_found(self) -> list[Person]:
        """All persons, from full names down to single ones."""
        steps: list[tuple[Callable[[Parsed], bool], Callable[[Parsed], Person | None]]] = [
            (lambda p: len(p.plain) > 1 and not p.article and not p.of, self.by_full_name),
            (
                lambda p: bool(p.titles) and len(p.rest) == 1 and not self.title_of_given(p) and not INITIAL.fullmatch(p.rest[0]),
                self.by_titled_surname,
            ),
            (lambda p: bool(p.titles) and len(p.rest) == 1 and bool(INITIAL.fullmatch(p.rest[0])), self.by_initial),
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
            person.surnames |= {parsed.plain[-1], parsed.plain[-1].split()[-1]}
        elif parsed.titles and not self.title_of_given(parsed):
            person.surnames |= {parsed.plain[0], parsed.plain[0].split()[-1]}
        elif not person.surnames:
            person.givens.add(parsed.plain[0])

    def by_husband(self, parsed: Parsed) -> bool:
        """Whether a wife is called by her husband's given name: Mrs. Peter Blewett. No list needs to know him if the book says `he`."""
        given = self.words.given.get(parsed.plain[0], self.usage.genders.get(parsed.plain[0], "x"))
        if given == "x" and any(p.gender == "m" and len(p.plain) > 1 and p.plain == parsed.plain for p in self.parsed):
            given = "m"
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
        titled = {p.form.text for p in self.parsed if p.titles and len(p.rest) == 1 and p.rest[0] in person.givens}
        others = [form for form in {*person.forms, *person.givens, *titled} if not set(form.split()) & set(parsed.rest)]
        both = sum(
            self.usage.together.get(pair, 0) for form in others for pair in [(min(form, parsed.form.text), max(form, parsed.form.text))]
        )
        least = min(parsed.form.told, sum(self.told(form) for form in others))
        return both >= FEWEST_TOGETHER and both >= share * max(least, 1)

    def told(self, text: str) -> int:
        """How often the narration uses a form."""
        return next((p.form.told for p in self.parsed if p.form.text == text), 0)

    def same_given(self, one: str, other: str) -> bool:
        """Whether two given names can be one: equal, a short form, an initial; of two short forms only like ones: Tom, Tommy."""
        if min(len(one), len(other)) == 2 and "." in one + other:
            return one[0] == other[0]
        short = self.words.short_forms
        full_one, full_other = short.get(one, frozenset()) | {one}, short.get(other, frozenset()) | {other}
        near = one in full_other or other in full_one or one[:SHORTEST_PREFIX] == other[:SHORTEST_PREFIX]
        return near and bool(full_one & full_other)

    def by_full_name(self, parsed: Parsed) -> Person | None:
        """The person of the same surname and given name."""
        given, surname = parsed.plain[0], parsed.plain[-1]
        wife = self.by_husband(parsed)
        for person in self.persons:
            if surname in person.surnames and fits(person, parsed.gender):
                husband = not person.husbands or any(self.same_given(given, other) for other in person.husbands)
                if wife and person.titles & self.words.married and husband:
                    return person
                if not wife and any(self.same_given(given, other) for other in person.givens):
                    return person
        return None

    def by_titled_surname(self, parsed: Parsed) -> Person | None:
        """The one of a family whom `Mr. X`, `Mrs. X` or `Miss X` can mean."""
        titles = set(parsed.titles)
        gender: Gender = "m" if parsed.gender == "x" else parsed.gender
        own = [p for p in self.persons if parsed.rest[0] in p.surnames and fits(p, gender)]
        elder = [p for p in own if not self.usage.younger & set(p.forms)]
        own = own if titles & self.words.unmarried and not elder else elder
        if titles & self.words.married:
            own = self.wives(own, titles)
        elif titles & self.words.unmarried:
            own = [p for p in own if not p.titles & self.words.married]
        own = [p for p in own if not self.of_other_rank(p, parsed)]
        share = APART_ALONE if len(own) == 1 and titles & self.words.unmarried else APART
        fitting = [p for p in own if not self.apart(p, parsed, share)]
        if parsed.form.text in self.usage.several:
            return None
        if not own and parsed.form.count <= RARE_SPELLING:
            own = fitting = [p for p in self.persons if p.titles & titles and any(spelt_alike(parsed.rest[0], name) for name in p.surnames)]
        same_title = [p for p in fitting if p.titles & titles]
        if len(same_title) == 1:
            first = far_the_first(fitting)
            return first if first and same_title[0].count < FEWEST_OF_RANK else same_title[0]
        if len(own) > 1 and titles & PLAIN_MEN and len(fitting) != 1:
            return far_the_first(own) if parsed.form.told <= MOST_TOLD * parsed.form.count else None
        return max(fitting, key=lambda p: p.count, default=None)

    def of_other_rank(self, person: Person, parsed: Parsed) -> bool:
        """Whether `Mr. X` and `Captain X` are both told of too often to be one man."""
        own, others = set(parsed.titles), [p for p in self.parsed if p.form.text in person.forms]
        if (own & PLAIN_MEN and person.titles & KNIGHTS) or (own & KNIGHTS and person.titles & PLAIN_MEN):
            return True
        for one, other in ((PLAIN_MEN, OFFICERS), (OFFICERS, PLAIN_MEN)):
            if own & one and parsed.form.told >= FEWEST_OF_RANK:
                return sum(p.form.told for p in others if set(p.titles) & other) >= FEWEST_OF_RANK
        return False

    def by_initial(self, parsed: Parsed) -> Person | None:
        """The one of the title whose surname begins so: `Mr. E.`"""
        titled = [p for p in self.persons if p.titles & set(parsed.titles)]
        return far_the_first([p for p in titled if any(name[0] == parsed.rest[0][0] for name in p.surnames)])

    def wives(self, family: Sequence[Person], titles: set[str]) -> list[Person]:
        """Of the women of a family those who may be `Mrs. X`; `Countess X` may be the only one who is called by her given name."""
        married = [p for p in family if p.titles & self.words.married]
        if married or not titles & self.words.married - PLAIN_WIVES:
            return married
        single = [p for p in family if not p.titles & self.words.unmarried and p.givens]
        maidens = (
            any(set(p.titles) & self.words.unmarried and p.plain and p.plain[-1] in single[0].surnames for p in self.parsed)
            if single
            else True
        )
        return single if len(single) == 1 and not maidens else []

    def by_single_name(self, parsed: Parsed) -> Person | None:
        """The person of whom a word is the given name, the surname, or a short form."""
        name, gender = parsed.rest[0], parsed.gender
        wives = [p for p in self.persons if name in p.husbands] if set(parsed.titles) & self.words.married else []
        if len(wives) == 1:
            return wives[0]
        givens = [p for p in self.persons if name in p.givens and fits(p, gender) and not self.of_other_station(p, parsed)]
        surnames = [p for p in self.persons if name in p.surnames and p.gender != "f" and not parsed.titles]
        women = [p for p in self.persons if name in p.surnames and not parsed.titles and p.gender == "f"]
        if women and (gender == "f" or (gender == "x" and sum(p.count for p in women) > RARE_MAN * sum(p.count for p in surnames))):
            surnames = women
        short = [
            p
            for p in self.persons
            if any(self.same_given(name, other) for other in p.givens) and fits(p, gender) and not self.of_other_station(p, parsed)
        ]
        if not short and not parsed.titles and len(name) >= SHORTEST_PREFIX:
            short = [p for p in self.persons if any(other.startswith(name) for other in p.givens)]
            short = short if len(short) == 1 else self.lengthened(parsed)
        for found in (givens, surnames, [p for p in short if not self.apart(p, parsed)]):
            if found and not (found is surnames and len(found) > 1 and self.apart(max(found, key=lambda p: p.count), parsed)):
                return max(found, key=lambda p: p.count)
        return None

    def lengthened(self, parsed: Parsed) -> list[Person]:
        """The one whose given name is short for a name that only the talk uses: Huck, Huckleberry."""
        name = parsed.rest[0]
        if parsed.form.told or name in self.surnames:
            return []
        like = [p for p in self.persons if any(len(given) >= LONG_ENOUGH and name.startswith(given) for given in p.givens)]
        found = [p for p in like if fits(p, parsed.gender)]
        return found if len(found) == 1 else []

    def of_other_station(self, person: Person, parsed: Parsed) -> bool:
        """Whether one is `Lady Jane` and the other `Miss Jane`, or a king whom the book only mentions."""
        either = [set(parsed.titles), person.titles]
        if set(parsed.titles) & CROWNED and not person.titles & CROWNED:
            return True
        return any("lady" in one and "miss" in other and "lady" not in other for one, other in (either, either[::-1]))

    def by_article(self, parsed: Parsed) -> Person | None:
        """The one whose name ends alike: `the Dodger`, `the Artful Dodger`; or the only one of a rank."""
        tail = parsed.rest[-1] if parsed.rest else ""
        whole = parsed.form.text.partition(" of ")[0]
        if parsed.of and parsed.titles and parsed.plain:
            return next((person for person in self.persons if whole in person.forms), None)
        if not parsed.rest or (parsed.of and parsed.titles):
            rank = set(parsed.titles)
            found = [p for p in self.persons if p.titles & rank]
            found = [p for p in found if not parsed.of or not p.surnames]
            return far_the_first(found, rank)
        if parsed.article or parsed.of:
            whole = parsed.form.text.removeprefix("the ")
            for person in self.persons:
                texts = {text.removeprefix("the ") for text in person.forms}
                if whole in texts or (
                    parsed.article and any(text.split()[-1] == tail and len(text.split()) != len(whole.split()) for text in texts)
                ):
                    return person
            fronts = [p for p in self.persons if parsed.article and any(text.startswith(f"the {whole} ") for text in p.forms)]
            return fronts[0] if len(fronts) == 1 else None
        return None
