"""A novel made ready for attribution: who is mentioned where, which words of narration stand around which speech.

A *turn* is what one person says at once: the spoken pieces of a paragraph, and of those after it that re-open the
marks without having closed them. The narration around a turn is searched for a *cue*: a verb of speech with its
subject (`said Rose`), an action before or after the words (`Rose sighed.`), or a sentence that ends in a colon.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from persllm.novels.book import Character, Mention, Piece
from persllm.novels.characters import join_names
from persllm.novels.names import NameFinder, beside_speech, find_forms, inside, quoted_mask
from persllm.novels.words import PRONOUNS, alternation, english, speech_pattern

DETERMINERS = "the|The|a|A|an|An|another|Another|this|that|his|her|my|their|one of the|His|Her|My"
PLAIN_WORD = r"(?!(?:to|the|of|a|an|in|on|at|by|for|with|and|or|but|his|her|my|their|who|as|from|was|had|is)\b)[a-z][a-z'-]* "
DESCRIPTION = rf"\b(?P<det>the|The|a|A|an|An) (?P<rest>(?:{PLAIN_WORD}){{0,3}}?)(?P<noun>{alternation(english().nouns)})\b(?!-)"
NOBODY = frozenset("latter former first second third last next same whole most least words".split())
"""Words after `said the` that name nobody who could be told apart."""
FIRST = re.compile(r"\b(?:I|me|my|myself)\b")
FIRST_PERSON = 0.004
"""Share of `I` among the words of the narration from which on a book has a narrator of its own."""

BESIDE = 25
"""Characters between spoken words and a name within which `said` beside that name tells who spoke them."""


@cache
def plainly_said() -> re.Pattern[str]:
    """A description right after spoken words and a plain verb of speech, whatever its noun: `murmured the tinker.`"""
    verbs = "|".join(sorted(english().plain_speech))
    ending = r"(?=[.,;:!?—]|$| (?:in|with|of|at|who|as|to|from|again|and)\b)"
    return re.compile(rf"[\s,\"”’'_]*(?:{verbs}) [Tt]he (?P<rest>(?:[a-z][a-z'-]* ){{0,3}}?)(?P<noun>[a-z][a-z-]+){ending}")


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


class Turn(NamedTuple):
    """What one person says at once."""

    number: int
    paragraphs: tuple[int, ...]
    pieces: tuple[Piece, ...]
    voiced: str
    """The spoken words, pieces parted by blanks."""


class Scene:
    """One book with its characters, mentions and turns."""

    def __init__(self, paragraphs: Sequence[str], pieces: Sequence[Piece], known: Sequence[Sequence[str]] = ()):
        self.paragraphs, self.pieces = paragraphs, pieces
        self.spoken = quoted_mask(paragraphs, pieces)
        forms = find_forms(paragraphs, self.spoken, {name for names in known for name in names})
        kept = {form.text for form in forms}
        every = NameFinder(paragraphs).occurrences(paragraphs, self.spoken)
        occurrences = [at for at in every if at.text in kept]
        self.strangers = [
            at
            for at in every
            if at.text not in kept and not at.quoted and at.text[0].isupper() and beside_speech(paragraphs[at.paragraph], at)
        ]
        self.characters = join_names(paragraphs, forms, occurrences, known)
        self.owner = {alias: place for place, one in enumerate(self.characters) for alias in one.aliases}
        self.mentions: list[list[Mention]] = [[] for _ in paragraphs]
        for at in occurrences:
            self.mentions[at.paragraph].append(
                Mention(at.paragraph, at.start, at.end, self.owner[at.text], at.quoted, self.acts(at.paragraph, at.end), at.text)
            )
        self.add_described()
        self.narrator = self.add_narrator()
        self.turns = self.parted(make_turns(paragraphs, pieces))

    def acts(self, paragraph: int, end: int) -> bool:
        """Whether the words after a mention look like its verb."""
        match = re.compile(r",? (?:(?:[a-z]+ly|then|only|never|also|now|still|who) )?([a-z]+)").match(self.paragraphs[paragraph], end)
        return bool(match and english().is_past(match[1]))

    def gaps(self, piece: Piece) -> tuple[int, int]:
        """(end of the spoken words before a piece in its paragraph, start of those after it)."""
        spans = self.spoken[piece.paragraph]
        before = max((end for _, end in spans if end <= piece.start), default=0)
        return before, min((start for start, _ in spans if start >= piece.end), default=len(self.paragraphs[piece.paragraph]))

    def parted(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns, those in two where one paragraph holds two that different people are said to speak."""
        groups: list[list[Piece]] = []
        for turn in turns:
            speaker = NOBODY_SAID
            groups.append([])
            for piece in turn.pieces:
                said = self.said_beside(piece)
                if groups[-1] and said.clashes(speaker):
                    groups.append([])
                    speaker = NOBODY_SAID
                speaker = said if said != NOBODY_SAID else speaker
                groups[-1].append(piece)
        return [turn_of(number, group, self.paragraphs) for number, group in enumerate(groups)]

    def said_beside(self, piece: Piece) -> Said:
        """Whom a plain verb of speech right after or before a piece names, or by which pronoun it says who spoke."""
        begin, end = self.gaps(piece)
        after = named_after().match(self.tagged(piece.paragraph, piece.end, end))
        before = None if after else named_before().search(self.tagged(piece.paragraph, begin, piece.start))
        found = after or before
        if not found:
            return NOBODY_SAID
        parts = found.groupdict()
        name, pronoun = parts["name"] or parts.get("name2"), parts["pronoun"] or parts.get("pronoun2")
        if name:
            who = self.characters[int(name)]
            return Said(-1 if who.described else int(name), who.gender)
        return Said(-1, PRONOUNS[pronoun.lower()]) if pronoun else Said(-1, "x", True)

    def by_strangers(self) -> set[int]:
        """Numbers of the turns beside which a verb of speech has a name too rare to be listed: `said Karl Holm`."""
        turns = by_paragraph(self.turns)
        return {
            number
            for at in self.strangers
            for number in turns.get(at.paragraph, ())
            for piece in self.turns[number].pieces
            if piece.paragraph == at.paragraph and (0 <= at.start - piece.end <= BESIDE or 0 <= piece.start - at.end <= BESIDE)
        }

    def add_described(self) -> None:
        """Characters who are only described (`the clergyman`), where the book lets them speak."""
        words = english()
        verb = speech_pattern()
        after = re.compile(rf"\b(?:{verb}) {DESCRIPTION}")
        before = re.compile(rf"{DESCRIPTION} (?:[a-z]+ly )?(?:{verb})\b")
        found: Counter[str] = Counter()
        for place, text in enumerate(self.paragraphs):
            if not self.spoken[place]:
                continue
            for pattern in (after, before):
                for match in pattern.finditer(text):
                    if not inside(self.spoken[place], match.start()):
                        found[match["rest"] + match["noun"]] += 1
            found.update(self.said_plainly(place))
        named = {form.removeprefix("the ").lower() for form in self.owner if form.startswith("the ")}
        for phrase in [phrase for phrase in found if phrase.split()[-1] in words.vague and phrase not in named]:
            del found[phrase]  # `the girl` is now this one and now that
        first = len(self.characters)
        names = {phrase: first + number for number, phrase in enumerate(sorted(found))}
        lower = {form.removeprefix("the ").lower(): place for form, place in self.owner.items() if form.startswith("the ")}
        names |= {phrase: lower[phrase] for phrase in names if phrase in lower}
        self.characters += [
            Character(
                name=f"the {phrase}",
                aliases=(f"the {phrase}",),
                gender=words.nouns.get(phrase.split()[-1], "x"),
                mentions=count,
                described=True,
            )  # type: ignore[arg-type]
            for phrase, count in sorted(found.items())
        ]
        self.phrases = names
        if not names:
            return
        alternation = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
        pattern = re.compile(rf"\b[Tt]he ({alternation})\b(?!-)")
        for place, text in enumerate(self.paragraphs):
            for match in pattern.finditer(text):
                quoted = inside(self.spoken[place], match.start())
                self.mentions[place].append(
                    Mention(place, match.start(), match.end(), names[match[1]], quoted, self.acts(place, match.end()), match[0])
                )
            self.mentions[place].sort(key=lambda mention: mention.start)

    def said_plainly(self, place: int) -> Iterator[str]:
        """Descriptions right after spoken words and a plain verb of speech, whatever their noun: `murmured the tinker.`"""
        words, text = english(), self.paragraphs[place]
        for _, end in self.spoken[place]:
            match = plainly_said().match(text, end)
            if (
                match
                and match["noun"] not in words.nouns
                and match["noun"] not in words.groups | NOBODY
                and not match["noun"].endswith("ly")
            ):
                yield match["rest"] + match["noun"]

    def add_narrator(self) -> int:
        """Index of the character who tells the book as `I`; -1 if nobody does."""
        told = "".join(self.narration(place) for place in range(len(self.paragraphs)))
        firsts = len(re.findall(r"\bI\b", told))
        if firsts < FIRST_PERSON * max(1, len(told.split())):
            return -1
        if (known := self.owner.get("I", -1)) >= 0:
            self.characters[known] = self.characters[known].model_copy(update={"narrator": True})
            return known
        self.characters.append(Character(name="I", aliases=("I",), narrator=True, mentions=firsts))
        return len(self.characters) - 1

    def narration(self, paragraph: int) -> str:
        """The words of a paragraph that are not spoken."""
        text, at, kept = self.paragraphs[paragraph], 0, []
        for start, end in sorted(self.spoken[paragraph]):
            kept.append(text[at:start])
            at = max(at, end)
        return " ".join([*kept, text[at:]])

    def tagged(self, paragraph: int, start: int, end: int) -> str:
        """A stretch of a paragraph with its mentions written as `⟦index⟧`."""
        text, at, out = self.paragraphs[paragraph], start, []
        for mention in self.mentions[paragraph]:
            if mention.start >= at and mention.end <= end:
                out += [text[at : mention.start], f"⟦{mention.character}⟧"]
                at = mention.end
        return "".join([*out, text[at:end]])


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
