"""The gold of the attribution benchmark: novels whose quotations others annotated, read where they are, never kept.

PDNC: `quoteByteSpans` counts characters. The nine novels that lie beside the project build the rules; until November 2026
every other one of them in alphabetical order was kept apart. Since then novels of the corpus that do not lie there are the
test: none of their quotations or names was seen by anybody who changed the rules.
"""

import ast
import csv
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from persllm.novels.book import Character, Piece

BUILD = (
    "ARoomWithAView", "AlicesAdventuresInWonderland", "AnneOfGreenGables", "Emma", "OliverTwist", "TheAgeOfInnocence", "TheInvisibleMan",
    "TheManWhoWasThursday", "ThePictureOfDorianGray",
)  # fmt: skip
TYPES = ("Explicit", "Anaphoric", "Implicit")
BEFORE_NAME = set("Mr. Mrs. Mr Mrs Miss Lord Lady Sir Dr. Doctor Captain Colonel Aunt Uncle Master Old Count Countess".split())
SENTENCE = set("The A An But And Then When As If So For".split())


class GoldQuotation(NamedTuple):
    """One annotated quotation."""

    speaker: int | None
    """Index of the character; None if the annotation names nobody of its own list."""
    type: str
    to: tuple[int, ...]


class GoldNovel(NamedTuple):
    """One annotated novel."""

    name: str
    paragraphs: tuple[str, ...]
    starts: tuple[int, ...]
    """Where each paragraph begins in the text."""
    pieces: tuple[Piece, ...]
    quotations: tuple[GoldQuotation, ...]
    aliases: tuple[frozenset[str], ...]
    """For each character the names as annotated."""
    names: dict[str, tuple[int, ...]]
    """Normalised name -> characters."""


def paragraphs_of(text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(starts, texts) of the blocks between empty lines; line breaks become blanks, so that places stay."""
    found = [(m.start(), m[0].rstrip("\n").replace("\n", " ")) for m in re.finditer(r"(?:[^\n]*\S[^\n]*(?:\n|$))+", text)]
    return tuple(start for start, _ in found), tuple(block for _, block in found)


def normal(name: str) -> str:
    """A name without article, dots and case."""
    return re.sub(r"\.", "", re.sub(r"^(the|a|an) ", "", name.lower().replace("’", "'")))


def read_gold(folder: Path) -> GoldNovel:
    """One novel of PDNC."""
    text = (folder / "novel_text.txt").open(encoding="utf-8", newline="").read()
    starts, paragraphs = paragraphs_of(text)
    with (folder / "character_info.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    aliases = tuple(frozenset(ast.literal_eval(row["Aliases"])) | {row["Main Name"]} for row in rows)
    names: dict[str, tuple[int, ...]] = {}
    for number, own in enumerate(aliases):
        for name in {normal(alias) for alias in own}:
            names[name] = (*names.get(name, ()), number)
    names |= {normal(row["Main Name"]): (number,) for number, row in enumerate(rows)}
    with (folder / "quotation_info.csv").open(encoding="utf-8", newline="") as file:
        quoted = list(csv.DictReader(file))
    pieces, quotations = [], []
    for number, row in enumerate(quoted):
        to = ast.literal_eval(row["addressees"]) if row["addressees"].startswith("[") else []
        indices = tuple(names[normal(one)][0] for one in to if normal(one) in names)
        quotations.append(GoldQuotation(names.get(normal(row["speaker"]), (None,))[0], row["quoteType"], indices))
        for start, end in ast.literal_eval(row["quoteByteSpans"]):
            pieces += pieces_within(start, end, number, starts, paragraphs)
    return GoldNovel(folder.name, paragraphs, starts, tuple(sorted(pieces)), tuple(quotations), aliases, names)


def pieces_within(start: int, end: int, number: int, starts: Sequence[int], paragraphs: Sequence[str]) -> list[Piece]:
    """A span of the text as pieces of its paragraphs."""
    found = []
    while start < end:
        place = bisect_right(starts, start) - 1
        stop = min(end, starts[place] + len(paragraphs[place]))
        if stop > start:
            found.append(Piece(place, start - starts[place], stop - starts[place], number))
        start = starts[place + 1] if place + 1 < len(starts) and stop < end else end
    return found


def match_characters(characters: Sequence[Character], gold: GoldNovel) -> list[int | None]:
    """For each character found the gold one whom most of its names mean, the frequent ones counting more; None without."""
    found: list[int | None] = []
    for one in characters:
        votes: Counter[int] = Counter()
        for rank, alias in enumerate(one.aliases):
            meant = gold.names.get(normal(alias), ())
            if len(meant) == 1:
                votes[meant[0]] += 1 / (1 + rank)  # type: ignore[assignment]
        found.append(votes.most_common(1)[0][0] if votes else None)
    return found


class NameGroups(NamedTuple):
    """The names of a novel that stand by themselves in its text and mean one character, in groups of one person each."""

    true: list[set[str]]
    found: list[set[str]]


def name_groups(characters: Sequence[Character], gold: GoldNovel) -> NameGroups:
    """The annotated names as annotated, and as they were joined."""
    text = " ".join(gold.paragraphs)
    usable = {
        normal(alias)
        for own in gold.aliases
        for alias in own
        if len(gold.names.get(normal(alias), ())) == 1 and stands_alone(re.sub(r"^(?:the|The|A|An) ", "", alias), text)
    }
    true = [{normal(alias) for alias in own} & usable for own in gold.aliases]
    found = [{normal(alias) for alias in one.aliases} & usable for one in characters]
    return NameGroups(true, found)


def alias_pairs(groups: NameGroups) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(gold pairs, found pairs) of names that are one person."""
    return pairs(groups.true), pairs(groups.found)


def cubed(groups: NameGroups) -> tuple[float, float, float]:
    """Precision, recall and F1 of B-cubed, the usual measure of such groups: each name once, a name not found alone in its group."""
    true = {name: group for group in groups.true for name in group}
    found = {name: group for group in groups.found for name in group}
    precision = recall = 0.0
    for name, group in true.items():
        own = found.get(name, {name})
        precision += len(own & group) / len(own) / len(true)
        recall += len(own & group) / len(group) / len(true)
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def pairs(groups: Sequence[set[str]]) -> set[tuple[str, str]]:
    """All pairs within the groups."""
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def stands_alone(name: str, text: str) -> bool:
    """Whether a name occurs with its capitals, and not only as a part of a longer one."""
    for match in re.finditer(rf"(?<![\w'-]){re.escape(name)}(?![\w-])", text):
        before = text[max(0, match.start() - 20) : match.start()].split(" ")
        word = before[-2] if len(before) > 1 and before[-1] == "" else ""
        longer = word in BEFORE_NAME or (word[:1].isupper() and word[-1:].isalpha() and word not in SENTENCE)
        if not longer and not re.match(r" [A-Z]\w", text[match.end() : match.end() + 3]):
            return True
    return False
