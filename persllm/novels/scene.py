"""A novel made ready for attribution: who is mentioned where, which words of narration stand around which speech.

The narration around a turn is searched for a *cue*: a verb of speech with its subject (`said Rose`), an action before or
after the words (`Rose sighed.`), or a sentence that ends in a colon.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from persllm.novels.book import Character, Mention, Piece
from persllm.novels.characters import join_names
from persllm.novels.names import NameFinder, beside_speech, find_forms, inside, quoted_mask
from persllm.novels.turns import NOBODY_SAID, Said, by_paragraph, make_turns, named_after, named_before, parted
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
        self.turns = parted(make_turns(paragraphs, pieces), self.said_beside, paragraphs)

    def acts(self, paragraph: int, end: int) -> bool:
        """Whether the words after a mention look like its verb."""
        match = re.compile(r",? (?:(?:[a-z]+ly|then|only|never|also|now|still|who) )?([a-z]+)").match(self.paragraphs[paragraph], end)
        return bool(match and english().is_past(match[1]))

    def gaps(self, piece: Piece) -> tuple[int, int]:
        """(end of the spoken words before a piece in its paragraph, start of those after it)."""
        spans = self.spoken[piece.paragraph]
        before = max((end for _, end in spans if end <= piece.start), default=0)
        return before, min((start for start, _ in spans if start >= piece.end), default=len(self.paragraphs[piece.paragraph]))

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
