"""LitBank's quotations as a test from outside: about the first 2,000 words of novels, each quotation with its speaker.

The annotated text is cut into tokens and has lost its paragraphs, so each quotation is looked up in the complete novel by
its letters. The annotation names a speaker by a label of words; a speaker is right if a name of the character shares a
word with it that is no title. Only speakers whose label holds a name are counted: `a_girl` cannot be compared. A narrator is
annotated by name and answered as `I`: that is wrong in `right`, and in `right_as_narrator` right if it is the label for
which `I` stands most often in the book.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.novels_gold import paragraphs_of
from persllm.novels.book import Attribution
from persllm.novels.quotations import find_pieces
from persllm.novels.rules import Reading
from persllm.novels.words import english

KEY = 24
"""Letters by which a quotation is known."""
SMALL = {"the", "a", "an", "of", "his", "her", "and", "s", "who", "my", "their", "old", "young", "little"}


class Outside(NamedTuple):
    """One quotation."""

    book: str
    answered: bool
    right: bool
    right_as_narrator: bool
    """The same with `I` taken for the narrator's annotated name."""


def letters(text: str) -> str:
    """The letters of a text alone."""
    return re.sub(r"[^a-z]", "", text.lower())


def litbank_outcomes(folder: Path, without: set[str], every: int = 1) -> list[Outside]:
    """The quotations of each `every`-th file, without books whose file name holds one of the words `without`."""
    found: list[Outside] = []
    for file in sorted((folder / "quotations" / "tsv").glob("*_brat.ann"))[::every]:
        stem = file.name.removesuffix("_brat.ann")
        original = folder / "original" / f"{stem}.txt"
        if file.stat().st_size and original.is_file() and not any(word in stem for word in without):
            found += book_outcomes(file, original, stem)
    return found


def book_outcomes(file: Path, original: Path, stem: str) -> list[Outside]:
    """The quotations of one book."""
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    speakers = {row[1]: row[2] for row in rows if row[0] == "ATTRIB"}
    _, paragraphs = paragraphs_of(original.read_text(encoding="utf-8").replace("\r", ""))
    pieces = find_pieces(paragraphs)
    reading = Reading(paragraphs, pieces)
    known = {letters(paragraphs[p.paragraph][p.start : p.end])[:KEY]: p.quotation for p in reversed(pieces)}
    names = {one.name: words_of(" ".join(one.aliases)) for one in reading.characters}
    compared: list[tuple[str, Attribution | None]] = []
    for row in rows:
        if row[0] != "QUOTE" or row[1] not in speakers:
            continue
        label = re.sub(r"-\d+$", "", speakers[row[1]]).replace("_", " ")
        key = letters(row[6])[:KEY]
        said = next((known[k] for k in known if k and len(key) >= 6 and (k == key or (len(k) >= 6 and key.startswith(k)))), None)
        if not any(word[0].isupper() and word.lower() not in english().titles and word.lower() not in SMALL for word in label.split()):
            continue
        compared.append((label, reading.answers.get(said) if said is not None else None))
    by_narrator = Counter(label for label, answer in compared if answer and answer.best == "I")
    narrator = next((label for label, _ in by_narrator.most_common(1)), "")
    found = []
    for label, answer in compared:
        right = bool(answer and answer.best and names[answer.best] & words_of(label))
        told = bool(answer and answer.best == "I" and label == narrator)
        found.append(Outside(stem, bool(answer and answer.speaker), right, right or told))
    return found


def words_of(text: str) -> set[str]:
    """The words of names that tell persons apart."""
    return {word for word in re.findall(r"[a-z]+", text.lower()) if word not in english().titles and word not in SMALL}
