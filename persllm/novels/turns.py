"""The turns of a novel: what one person says at once.

A turn is the spoken pieces of a paragraph, and of those after it that re-open the marks without having closed them. A
paragraph holds two where the narration says that different people speak: `"Yes," said Ann; and he answered: "No."`
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from persllm.novels.book import Piece
from persllm.novels.words import alternation, english, speech_pattern


class Turn(NamedTuple):
    """What one person says at once."""

    number: int
    paragraphs: tuple[int, ...]
    pieces: tuple[Piece, ...]
    voiced: str
    """The spoken words, pieces parted by blanks."""


WHO = r"(?:⟦(?P<name>\d+)⟧|(?P<pronoun>\b[Hh]e|\b[Ss]he))"


@cache
def named_after() -> re.Pattern[str]:
    """A tagged name or a pronoun with a plain verb of speech right after spoken words: `said ⟦3⟧`, `she said`."""
    verbs = alternation(english().speech - english().speech_only_inverted)
    inverted = rf"(?:{speech_pattern()}) (?:old |poor |little |young |the )?{WHO}"
    straight = WHO.replace("name", "name2").replace("pronoun", "pronoun2") + rf" (?:[a-z]+ly )?(?:{verbs})\b"
    return re.compile(rf"[\s,\"”’'_—-]*(?:{inverted}|{straight})")


@cache
def named_before() -> re.Pattern[str]:
    """The same right before them: `⟦3⟧ howled, "`; or `, and his wife answered: "` after the words of another."""
    verbs = speech_pattern()
    other = r"[;,] (?:and|while|but) (?P<other>(?:his|her|the|⟦\d+⟧['’]s) (?:[a-z-]+ ){0,2}[a-z]+)"
    return re.compile(
        rf"(?:(?<!when )(?<!while )(?<!after )(?<!till ){WHO}|{other}) (?:(?:[a-z]+ly|had|then|only|also) ){{0,2}}(?:{verbs}|broke out)\b(?:[^.!?;:⟦⟧]|⟦\d+⟧){{0,60}}?[,:]\s*[\"“‘']?\s*$"
    )


class Said(NamedTuple):
    """Who is said to speak some words."""

    character: int
    """-1 if no name tells it."""
    gender: str
    other: bool = False
    """Whether it is somebody else than who spoke before in the same sentence."""

    def clashes(self, before: "Said") -> bool:
        """Whether it cannot be the one who is said to speak the words before."""
        if self.other:
            return True
        if NOBODY_SAID in (self, before):
            return False
        if min(self.character, before.character) >= 0:
            return self.character != before.character
        return "x" not in (self.gender, before.gender) and self.gender != before.gender


NOBODY_SAID = Said(-1, "")


def parted(turns: Sequence[Turn], said_beside: Callable[[Piece], Said], paragraphs: Sequence[str]) -> list[Turn]:
    """The turns, those in two where one paragraph holds two that different people are said to speak."""
    groups: list[list[Piece]] = []
    for turn in turns:
        speaker = NOBODY_SAID
        groups.append([])
        for piece in turn.pieces:
            said = said_beside(piece)
            if groups[-1] and said.clashes(speaker):
                groups.append([])
                speaker = NOBODY_SAID
            speaker = said if said != NOBODY_SAID else speaker
            groups[-1].append(piece)
    return [turn_of(number, group, paragraphs) for number, group in enumerate(groups)]


def make_turns(paragraphs: Sequence[str], pieces: Sequence[Piece], one_speaker: bool = True) -> list[Turn]:
    """The turns of a book in order. `one_speaker`: all that is spoken in a paragraph is by one person, as in English books."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        last = groups[-1][-1] if groups else None
        if last and (
            unfinished(paragraphs, last, piece) or (one_speaker and piece.paragraph == last.paragraph) or piece.quotation == last.quotation
        ):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [turn_of(number, group, paragraphs) for number, group in enumerate(groups)]


def turn_of(number: int, pieces: Sequence[Piece], paragraphs: Sequence[str]) -> Turn:
    """The turn that pieces make up."""
    voiced = " ".join(paragraphs[p.paragraph][p.start : p.end] for p in pieces)
    return Turn(number, tuple(dict.fromkeys(p.paragraph for p in pieces)), tuple(pieces), voiced)


def unfinished(paragraphs: Sequence[str], last: Piece, piece: Piece) -> bool:
    """Whether a piece goes on with the last: that has no closing mark at the end of its paragraph, and this opens the next."""
    rest = paragraphs[last.paragraph][last.end :].strip()
    return piece.paragraph == last.paragraph + 1 and not rest and piece.start <= 2


def by_paragraph(turns: Sequence[Turn]) -> dict[int, list[int]]:
    """Paragraph -> numbers of its turns."""
    found: dict[int, list[int]] = defaultdict(list)
    for turn in turns:
        for paragraph in turn.paragraphs:
            found[paragraph].append(turn.number)
    return found
