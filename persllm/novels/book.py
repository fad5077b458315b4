"""What a novel is to the rules that read it: paragraphs, quotations, turns, mentions, characters, answers."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from persllm.records import Record

Gender = Literal["m", "f", "x"]
"""Masculine, feminine, not known: by the titles and pronouns the book itself uses."""


class Piece(NamedTuple):
    """A stretch of quoted words without its marks, within one paragraph."""

    paragraph: int
    """Position of the paragraph in the book, from 0."""
    start: int
    """First character of the words in the paragraph."""
    end: int
    """One past the last."""
    quotation: int
    """Number of the quotation it is part of; a quotation may be interrupted, or go on in the next paragraph."""


class Mention(NamedTuple):
    """A place where the book speaks of a character by a name or a description."""

    paragraph: int
    start: int
    end: int
    character: int
    """Index into the characters of the book."""
    quoted: bool
    """Whether it stands in spoken words."""
    subject: bool
    """Whether it looks like the one who acts: followed by a verb of the narration."""
    name: str = ""
    """The form as it stands."""


class Character(Record):
    """One person of a novel under all the names the book gives them."""

    name: str
    """The fullest form that is common enough."""
    aliases: tuple[str, ...]
    """All forms, `name` among them, the most frequent first."""
    gender: Gender = "x"
    mentions: int = 0
    """How often the forms occur outside of spoken words and in them."""
    described: bool = False
    """True for one whom the book only describes: `the old clergyman`."""
    narrator: bool = False
    """True for one who tells the book as `I`."""


class Attribution(Record):
    """Who said a quotation."""

    quotation: int
    """Number of the quotation."""
    speaker: str = ""
    """Name of the character; empty where the rules are not sure enough."""
    best: str = ""
    """The likeliest character, also where it was not sure enough to be said."""
    confidence: float = 0.0
    """Calibrated probability that `best` is right, 0 to 1."""
    basis: str = ""
    """What it rests on: `name`, `pronoun`, `description`, `action`, `conversation`, `model`."""
    to: tuple[str, ...] = ()
    """Addressees, as far as they are sure."""


class Book(NamedTuple):
    """A novel cut into paragraphs."""

    paragraphs: Sequence[str]
    """Texts in order; line breaks within one are blanks."""
    language: str = "en"
