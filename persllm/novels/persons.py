"""A name taken apart into titles, given name and surname; a person while the names are being joined."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType

from persllm.novels.book import Gender
from persllm.novels.names import Form
from persllm.novels.words import PARTICLES, english

LEARNED = frozenset({"doctor", "professor"})
WRITTEN_OUT = {
    "dr": "doctor", "dr.": "doctor", "prof": "professor", "prof.": "professor", "capt": "captain", "capt.": "captain", "col": "colonel",
    "col.": "colonel", "lieut": "lieutenant", "lieut.": "lieutenant", "rev": "reverend", "rev.": "reverend", "mr": "mr.", "mister": "mr.",
    "mrs": "mrs.", "missis": "mrs.", "missus": "mrs.", "mme": "madame", "mme.": "madame", "mlle": "mademoiselle", "m.": "monsieur",
}  # fmt: skip
"""A title -> the same in the one spelling in which titles are compared."""
NOTHING: Mapping[str, Gender] = MappingProxyType({})


def with_particles(tokens: Sequence[str]) -> list[str]:
    """The words of a name, each particle one with the surname after it: `de Vere`, `St. Clair`, `Van der Aa`."""
    joined: list[str] = []
    for token in tokens:
        if joined and joined[-1].split()[-1] in PARTICLES | {"Van", "Von", "De", "Du", "St."}:
            joined[-1] += f" {token}"
        else:
            joined.append(token)
    return joined


class Parsed:
    """A form taken apart."""

    def __init__(self, form: Form, genders: Mapping[str, Gender] = NOTHING):
        """`genders` tells those of given names that no list knows."""
        words = english()
        self.form, self.genders = form, genders
        tokens = with_particles(form.text.removeprefix("the ").split())
        self.titles: list[str] = []
        while tokens and tokens[0].lower() in words.titles and (len(tokens) > 1 or tokens[0].lower() in words.bare_titles | words.kin):
            title = tokens.pop(0).lower()
            self.titles.append(WRITTEN_OUT.get(title, title))
        self.rest = tokens
        self.article = form.text.startswith("the ") and not (self.titles and tokens)
        """Whether it names by a description: `the Dodger`; but `the Countess Orlova` is a name with a title."""
        self.of = "of" in tokens
        self.plain = tokens if not self.of else tokens[: tokens.index("of")]

    @property
    def gender(self) -> Gender:
        """By title, given name, or the noun of a description; a doctor of whom nothing else is known is a man in these books."""
        words = english()
        for title in self.titles:
            found = words.titles[title]
            if found in ("m", "f"):
                return "m" if found == "m" else "f"
        given = words.given.get(self.rest[0], "x") if self.rest else "x"
        if given == "x" and self.rest and (full := words.short_forms.get(self.rest[0])):
            genders = {words.given.get(name, "x") for name in full}
            given = genders.pop() if len(genders) == 1 else "x"
        told: Gender = "m" if given == "m" else "f" if given == "f" else self.genders.get(self.rest[0], "x") if self.rest else "x"
        if told == "x" and self.article and self.rest:  # the Rector
            noun = words.nouns.get(self.rest[-1].lower(), "x")
            told = "m" if noun == "m" else "f" if noun == "f" else "x"
        return "m" if told == "x" and set(self.titles) & LEARNED else told


class Person:
    """A character while the names are being joined."""

    def __init__(self) -> None:
        self.forms: dict[str, int] = {}
        self.givens: set[str] = set()
        self.surnames: set[str] = set()
        self.husbands: set[str] = set()
        """Given names of the husband by which a wife is called: Mrs. Peter Blewett."""
        self.titles: set[str] = set()
        self.titled: Counter[str] = Counter()
        """Title -> how often a name stands with it."""
        self.gender: Gender = "x"

    @property
    def count(self) -> int:
        """How often the names stand in the book."""
        return sum(self.forms.values())

    def count_with(self, titles: Set[str]) -> int:
        """How often the names with one of the titles stand in the book; all names if no titles are given."""
        return sum(self.titled[title] for title in titles) if titles else self.count

    def add(self, parsed: Parsed) -> None:
        """Give the person a name."""
        self.forms[parsed.form.text] = parsed.form.count
        self.titles.update(parsed.titles)
        self.titled.update(dict.fromkeys(parsed.titles, parsed.form.count))
        if self.gender == "x":
            self.gender = parsed.gender

    def merge(self, other: "Person") -> None:
        """Take over all names of another, who is the same."""
        self.forms |= other.forms
        self.givens |= other.givens
        self.surnames |= other.surnames
        self.titles |= other.titles
        self.titled.update(other.titled)
        if self.gender == "x":
            self.gender = other.gender


def fits(person: Person, gender: Gender) -> bool:
    """Whether a gender does not contradict a person's."""
    return "x" in (person.gender, gender) or person.gender == gender
