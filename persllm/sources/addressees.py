"""To whom a letter is written, from its heading: `TO HERR COLLIN, COURT SECRETARY.` is a letter to Herr Collin.

One person is often named in several ways (`TO RIES`, `TO F. RIES`); within one book these become one name, if one
is part of just one other. Limit: a person who changes the name, by marriage for instance, stays two.
"""

import re
from collections import Counter
from collections.abc import Sequence

from persllm.records import Record

SMALL = set(
    "von v. van de del der the a of and in his her my le la du zu für for by to &c. &c nephew niece brother brothers sister sisters "
    "father mother son daughter wife friend friends copyist composer directors members dear dearest".split()
)
TITLES = set(
    "the a herr herren frau mr mrs messrs dr m mdlle mdme mademoiselle madame von v van de del der of and co to his her my "
    "freiherr baron hofrath geheimrath rechnungsrath kapellmeister pastor professor captain sir".split()
)
NOT_WRITERS = re.compile(
    r"\b(?:WRITTEN|DEDICATION|PETITION|ADDRESS|APPEAL|DRAFT|LETTERS?|NOTE|REPLY|ANSWER|MEMORIAL|INSCRIPTION|POSTSCRIPT|TELEGRAM|CARD|SKETCH|CANON)\b"
)
RANK = re.compile(r"^(?:(?:HIS|HER|H\.)\s?)?(?:(?:ROYAL|IMPERIAL|SERENE|R\.|I\.)\s?)*(?:HIGHNESS|MAJESTY|EXCELLENCY),?\s+(?=\S)")
OFFICE = re.compile(r"^(?:(?:HIS|HER|MY)\s+[A-Z ]+|THE\s+\w+),\s*(?=[A-Z])")


class Parties(Record):
    """Who writes to whom, as far as a heading tells."""

    writer: str = ""
    """Empty if the heading names nobody, which in a book of one person's letters means this person."""
    to: str = ""
    same: bool = False
    """The heading says that it is the one before."""


def parties(heading: str) -> Parties:
    """Read a heading such as `TO THE SAME.` or `GOETHE TO BETTINA.`"""
    text = re.sub(r"\s+", " ", heading).strip(" .").upper()
    found = re.match(r"(?:(?P<writer>.*?)\s)??TO\s+(?P<to>.+)$", text)
    writer = (found["writer"] or "") if found else text if text.startswith("FROM ") else ""
    writer = "" if NOT_WRITERS.search(writer) else re.sub(r"^FROM\s+", "", writer)
    if not found or re.fullmatch(r"[\s*]+", found["to"]):
        return Parties(writer=named(writer))
    if re.match(r"(?:THE )?SAME\b", found["to"]):
        return Parties(writer=named(writer), same=True)
    return Parties(writer=named(writer), to=named(found["to"]))


def named(text: str) -> str:
    """A name in capitals as it stands in a sentence, without place, office and rank."""
    name = re.split(r",?\s*(?:--|—)|\s+BY\s+", text)[0]
    name = OFFICE.sub("", RANK.sub("", name))
    name = re.sub(r"^(?:HIS|HER|MY)\b", "the", name)
    name = re.split(r",\s", name)[0].strip(" .,*") if not re.match(r"[^,]*\bCO\b", name) else name
    return headline(re.sub(r"\bCO\b.*", "CO.", name))


def headline(text: str) -> str:
    """A text in capitals as a title."""
    return " ".join(cased(word) for word in text.split())


def cased(word: str) -> str:
    """One word of a heading with ordinary capitals."""
    if word.lower() in SMALL:
        return word.lower()
    if re.fullmatch(r"(?:[A-Z]\.)+", word):
        return word
    return re.sub(r"[^\W\d_]+", lambda part: part[0].capitalize(), word) if "'" not in word else word.capitalize()


def core(name: str) -> frozenset[str]:
    """The words that tell a person from others: no titles, no initials."""
    words = re.findall(r"[^\W\d_]+\.?", name.lower())
    return frozenset(word.rstrip(".") for word in words if word.rstrip(".") not in TITLES and not re.fullmatch(r".\.?", word))


def united(names: Sequence[str]) -> dict[str, str]:
    """Each name with the one that stands for it: the most frequent of the names that mean one person.

    A bare surname in a heading says that the book knows one person of that surname.
    """
    counts = Counter(name for name in names if name)
    cores = {name: core(name) for name in counts}
    bare = {word for words in cores.values() if len(words) == 1 for word in words}
    surnames = {last_word(name) for name, words in cores.items() if len(words) > 1}
    groups: dict[object, list[str]] = {}
    for name, words in cores.items():
        wider = max((n for n in cores if words < cores[n] and " and " not in n), key=lambda n: (len(cores[n]), n), default=name)
        first_name = len(words) == 1 and not words & surnames
        last = last_word(wider if first_name else name)
        shared = {last} & bare or words & bare
        key = name if " and " in name or not words else min(shared) if shared else cores[wider]
        groups.setdefault(key, []).append(name)
    best = {key: max(group, key=lambda name: (counts[name], len(name), name)) for key, group in groups.items()}
    return {name: best[key] for key, group in groups.items() for name in group}


def last_word(name: str) -> str:
    """The last word that is no title: the surname."""
    words = [word.rstrip(".") for word in re.findall(r"[^\W\d_]+\.?", name.lower())]
    return next((word for word in reversed(words) if word in core(name)), "")
