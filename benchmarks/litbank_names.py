"""Which names are one person, measured on LitBank: python benchmarks/litbank_names.py ../shared/data/novels/litbank [--show]

LitBank annotates who is meant by every mention in the first 2,000 words or so of a hundred novels. Two proper names of
persons that stand there are a true pair if the annotation puts them into one cluster, and a found one if the characters of the
whole novel (`original`) have both. Pairs of all books are counted together, as most books have only a few. Every fifth file in
sorted order is apart: its figures are printed, its names never. Novels that other measures hold apart, or that PDNC has too,
are left out. Left out as well: names that the annotation itself gives to two persons, words of kin alone (`Mamma`), groups.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.novels_gold import NameGroups, alias_pairs, normal, paragraphs_of  # noqa: E402
from persllm.novels.quotations import find_pieces  # noqa: E402
from persllm.novels.scene import Scene  # noqa: E402
from persllm.novels.words import PARTICLES, english  # noqa: E402

WITHOUT = (
    "daisy_miller", "awakening", "night_and_day",
    "emma", "alices", "age_of_innocence", "thursday", "oliver", "invisible", "dorian", "room_with", "anne_of",
)  # fmt: skip
"""Words of the file names of books that are held apart or measured elsewhere."""
EVERY = 5
CAPITALISED = re.compile(r"[A-ZÀ-Þ][\w.'’-]*")
SMALL = {*PARTICLES, "of", "the", "old", "young", "poor", "little", "dear"}


class BookNames(NamedTuple):
    """One book."""

    name: str
    apart: bool
    groups: NameGroups


def proper_names(annotation: str, text: str) -> list[set[str]]:
    """The names of each annotated person; none that the annotation gives to two."""
    types: dict[tuple[int, int], str] = {}
    clusters: dict[tuple[int, int], str] = {}
    for line in annotation.splitlines():
        fields = line.split("\t")
        if fields[0].startswith("T"):
            label, start, end = fields[1].rsplit(" ", 2)
            kinds = types if re.fullmatch(r"(?:PROP|NOM|PRON)_[A-Z]+", label) else clusters
            kinds[int(start), int(end)] = label
    groups: dict[str, set[str]] = defaultdict(set)
    for span, kind in types.items():
        name = name_of(text[span[0] : span[1]]) if kind == "PROP_PER" and span in clusters else ""
        if name:
            groups[clusters[span]].add(name)
    unclear = {name for one in groups for other in groups if one < other for name in groups[one] & groups[other]}
    return [group - unclear for group in groups.values()]


def name_of(mention: str) -> str:
    """The name of a mention, without what is said of its bearer; empty if it is a group's, a word of kin, or no name."""
    tokens = re.split(r" (?:,|--|who|whose|which)(?: |$)", mention)[0].replace("_", " ").split()
    while tokens and tokens[-1] in {"'s", "’s", "'", "’", "."}:
        tokens.pop()
    while tokens and tokens[0].lower() in {"a", "an", "my", "dear", "the"}:
        tokens.pop(0)
    words = [token for token in tokens if token.lower() not in SMALL]
    kin = english().kin | english().kin_titles | english().titles.keys() | english().nouns.keys()
    if not words or not all(CAPITALISED.fullmatch(word) for word in words) or all(word.lower() in kin for word in words):
        return ""
    return normal(" ".join(tokens))


def books(folder: Path) -> Iterator[BookNames]:
    """Each book with the names as annotated and as they were joined."""
    for place, file in enumerate(sorted((folder / "coref" / "brat").glob("*_brat.ann"))):
        stem = file.name.removesuffix("_brat.ann")
        original = folder / "original" / f"{stem}.txt"
        if any(word in stem for word in WITHOUT) or not original.is_file():
            continue
        true = proper_names(file.read_text(encoding="utf-8"), file.with_suffix(".txt").read_text(encoding="utf-8"))
        _, paragraphs = paragraphs_of(original.read_text(encoding="utf-8").replace("\r", ""))
        characters = Scene(paragraphs, find_pieces(paragraphs)).characters
        usable = {name for group in true for name in group}
        found = [{normal(alias) for alias in one.aliases} & usable for one in characters]
        yield BookNames(stem, place % EVERY == 0, NameGroups(true, found))


def main() -> None:
    """Print the figures, with `--show` the pairs missing and false of the books that are not apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    sums = {False: [0, 0, 0, 0], True: [0, 0, 0, 0]}
    for book in books(arguments.folder):
        true, found = alias_pairs(book.groups)
        for place, number in enumerate((1, len(true & found), len(found), len(true))):
            sums[book.apart][place] += number
        if arguments.show and not book.apart:
            for kind, pairs in (("missing", true - found), ("false", found - true)):
                for one, other in sorted(pairs):
                    print(f"{book.name}\t{kind}\t{one}\t{other}")
    for apart, (number, both, ours, theirs) in sums.items():
        precision, recall = both / max(1, ours), both / max(1, theirs)
        print(
            f"{'apart' if apart else 'for building'}: {number} books, {theirs} pairs, {ours} found, precision {precision:.3f},"
            f" recall {recall:.3f}, F1 {2 * precision * recall / max(1e-9, precision + recall):.3f}"
        )


if __name__ == "__main__":
    main()
