"""The word lists of the English rules, from `en.yaml`, as sets and patterns."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

NAME_WORD = r"(?:(?:Mc|Mac|O['’]|D['’])?[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+(?:-[A-ZÀ-Þ]?[a-zß-ÿ]+)*|[A-ZÀ-Þ][A-ZÀ-Þ]+(?=[\s,.]))"
PARTICLES = frozenset("de van von der den la le du di da della del dos ter ten".split())
"""Words in lower case that are a part of the surname after them: Mr. van der Aa."""
PARTICLE = "|".join(sorted(PARTICLES))
PRONOUNS = {"he": "m", "she": "f", "it": "x", "they": "x", "him": "m", "her": "f", "his": "m", "hers": "f", "himself": "m", "herself": "f"}


class Words(NamedTuple):
    """What the rules know of English, in lower case unless they are names."""

    speech: frozenset[str]
    """Verbs that can tell who spoke."""
    speech_only_inverted: frozenset[str]
    """Those that tell it only before their subject: `went on Rose`, but not `and Rose went`."""
    plain_speech: frozenset[str]
    """Those of them that are hardly used otherwise."""
    reactions: frozenset[str]
    """Verbs by which somebody answers without words that are given, verbs of speech among them: `Ann agreed.`"""
    past: frozenset[str]
    """Verbs, irregular or auxiliary, that show that the word before them acts."""
    titles: dict[str, str]
    """Title -> gender."""
    married: frozenset[str]
    unmarried: frozenset[str]
    kin_titles: frozenset[str]
    ranks_of_given_names: frozenset[str]
    """Titles that may stand before a given name: Lord Henry, Aunt Josephine."""
    bare_titles: frozenset[str]
    """Titles that name a person alone: the Professor."""
    nouns: dict[str, str]
    """Nouns for persons -> gender."""
    vague: frozenset[str]
    """Nouns that may mean anybody: `the girl` is somebody else on each page."""
    groups: frozenset[str]
    kin: frozenset[str]
    addresses: dict[str, str]
    """Words by which somebody is spoken to -> gender of the one spoken to."""
    short_forms: dict[str, frozenset[str]]
    """Short form -> the given names it may stand for."""
    given: dict[str, str]
    """Common given names -> gender."""
    never_names: frozenset[str]
    place_nouns: frozenset[str]
    """Words that end the name of a place or a thing and are hardly surnames: Harley Street, Bow River."""
    also_words: frozenset[str]
    """Words that may be names too (May, Grace, Thursday): names if the book lets them speak often enough."""
    sentence_words: frozenset[str]
    """Words that are capitalised only because a sentence begins."""

    def is_past(self, word: str) -> bool:
        """Whether a word looks like a verb of the narration."""
        return word in self.past or word in self.speech or (word.endswith("ed") and len(word) > 3)


@cache
def english() -> Words:
    """The lists, read once."""
    raw = yaml.safe_load((Path(__file__).parent / "en.yaml").read_text(encoding="utf-8"))
    single = {key: frozenset(value.split()) for key, value in raw.items() if isinstance(value, str) and key != "nicknames"}
    short: dict[str, set[str]] = {}
    for entry in raw["nicknames"].split():
        full, forms = entry.split(":")
        for form in forms.split(","):
            short.setdefault(form, set()).add(full)
    nouns = {word: gender for key, gender in (("persons", "x"), ("masculine", "m"), ("feminine", "f")) for word in single[key]}
    return Words(
        speech=single["speech"], speech_only_inverted=single["speech_only_inverted"], plain_speech=single["plain_speech"], past=single["past"],
        reactions=single["speech"] | single["reactions"],
        titles={word: gender for gender, words in raw["titles"].items() for word in words.split()},
        married=single["married"], unmarried=single["unmarried"], kin_titles=single["kin_titles"],
        ranks_of_given_names=single["ranks_of_given_names"], bare_titles=single["bare_titles"], nouns=nouns, vague=single["vague"], groups=single["groups"],
        kin=single["kin"],
        addresses={word: gender for gender, words in raw["addresses"].items() for word in words.split()},
        short_forms={form: frozenset(full) for form, full in short.items()},
        given={word: gender for gender, words in raw["given_names"].items() for word in words.split()},
        never_names=single["never_names"], place_nouns=single["place_nouns"], also_words=single["also_words"], sentence_words=single["sentence_words"],
    )  # fmt: skip


def alternation(words: Iterable[str]) -> str:
    """A pattern of words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


@cache
def address_pattern() -> re.Pattern[str]:
    """Somebody spoken to by a word that tells the gender: `Yes, sir.`, `my dear boy!`"""
    words = alternation(english().addresses)
    return re.compile(
        rf"(?:^|[,.!?;:—-]\s*|\b(?:[Yy]es|[Nn]o|[Oo]h|[Ww]ell|[Tt]hank you) )(?:(?:my|dear|good|poor|old|young|little|own|sweet|fine|[Mm]y|[Dd]ear|[Gg]ood|[Pp]oor|[Oo]ld|[Yy]oung) ){{0,3}}({words})(?=\s*(?:[,.!?;:—-]|$))",
        re.IGNORECASE,
    )


@cache
def speech_pattern() -> str:
    """An alternation of all verbs of speech."""
    return alternation(english().speech)


@cache
def described_pattern() -> str:
    """A noun phrase without its article: up to three words and a noun for a person, or else any few words."""
    words = english()
    inner = r"(?!(?:to|the|of|a|an|in|on|at|by|for|with|and|or|but|his|her|my|their|who|as|from|was|had|is)\b)[a-z][a-z'-]* "
    people = alternation(
        {*words.nouns, *words.kin, *words.groups}
        - {"one", "another", "other", "some", "all", "both", "we", "they", "two", "three", "four", "others"}
    )
    return rf"(?:(?:{inner}){{0,3}}?(?:{people})\b(?!-)|(?:[a-z'-]+ ){{0,3}}?[a-z-]+\b)"
