"""Who said it, measured: python benchmarks/attribution.py ../shared/data/novels [--apart FOLDER] [--json FILE]

The build novels of PDNC are attributed with the annotated spans and with spans found: the weights have seen them, so this
is no test (`scripts/fit_attribution.py --only-left-out` tests each of them by the others). `--apart` is a folder with other
novels of the corpus, its `data` folder for example; those that built nothing are measured with spans found, and a quotation
that was not found counts as not answered. LitBank's first pages of other novels are a test from outside. The rules answer or abstain: *coverage* is the share of
quotations that get an answer, *precision* the share of right ones among those, *accuracy* that of the likeliest speaker
if every quotation had to be answered. A speaker is right if the character found, by most of its names, is the annotated
one; quotations that nobody of the annotation's list says (groups, unknown ones) count, as errors if answered.
Intervals are Wilson's at 95 %. Baselines answer always: the nearest name in the narration, and the novel's most frequent
speaker (as annotated, so better than it could know). Pairs of names: all pairs of annotated names of one character that
stand by themselves in the text, each once; weighted, each counts as often as the rarer of its names occurs. B-cubed, the
usual measure, asks of each name how many of its group are right, so that names which are a character's only one count too;
it is milder, and the goal is held against the pairs.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.litbank_gold import litbank_outcomes  # noqa: E402
from benchmarks.novels_gold import BUILD, TYPES, GoldNovel, alias_pairs, cubed, match_characters, name_groups, read_gold  # noqa: E402
from persllm.novels.book import Piece  # noqa: E402
from persllm.novels.quotations import find_pieces  # noqa: E402
from persllm.novels.rules import Reading  # noqa: E402
from persllm.statistics import wilson  # noqa: E402

IN_PDNC = {
    "emma", "alices", "age_of_innocence", "thursday", "oliver", "invisible", "dorian", "room_with", "anne_of", "daisy_miller", "the_awakening",
    "night_and_day",
}  # fmt: skip
"""Words of the file names of LitBank's books that are in PDNC too."""
NEAR = 2
"""Characters by which the begin of a found quotation may differ from the annotated one."""


class Answer(NamedTuple):
    """One quotation as it was answered."""

    novel: str
    type: str
    answered: bool
    right: bool
    """Whether the likeliest speaker is right, answered or not."""
    confidence: float
    nearest: bool
    """Whether the baseline of the nearest name is right."""
    frequent: bool
    addressee: bool | None
    """Whether an addressee named is one of the annotated; None where none is named or annotated."""


class Novel(NamedTuple):
    """One novel as it came out."""

    name: str
    answers: list[Answer]
    found_answers: list[Answer]
    """The same with spans that were found: only quotations whose begin was found."""
    detection: tuple[int, int, int]
    """Begins found and annotated, found in all, annotated in all."""
    names: tuple[float, float, float]
    """Precision, recall and F1 of pairs of names."""
    weighted: tuple[float, float, float]
    cubed: tuple[float, float, float]
    """B-cubed over the same names, those that are a character's only one among them."""
    seconds: float


def answers_of(gold: GoldNovel, reading: Reading, pieces: Sequence[Piece], numbers: dict[int, int]) -> list[Answer]:
    """Each annotated quotation with its answer; `numbers` leads from an annotated quotation to the one attributed."""
    meant = match_characters(reading.characters, gold)
    indices = {one.name: number for number, one in enumerate(reading.characters)}
    first = {piece.quotation: piece for piece in reversed(pieces)}
    often = Counter(quotation.speaker for quotation in gold.quotations).most_common(1)[0][0]
    found = []
    for number, quotation in enumerate(gold.quotations):
        if number not in numbers or numbers[number] not in reading.answers:
            continue
        answer, true = reading.answers[numbers[number]], quotation.speaker
        best = meant[indices[answer.best]] if answer.best else None
        to = {meant[indices[name]] for name in answer.to}
        found.append(
            Answer(
                gold.name, quotation.type, bool(answer.speaker), true is not None and best == true, answer.confidence,
                true is not None and nearest(reading, first[numbers[number]], meant) == true, true == often,
                bool(to & set(quotation.to)) if to and quotation.to else None,
            )
        )  # fmt: skip
    return found


def nearest(reading: Reading, piece: Piece, meant: Sequence[int | None]) -> int | None:
    """The character named nearest to a piece in the narration of its paragraph, or else before it."""
    here = [m for m in reading.scene.mentions[piece.paragraph] if not m.quoted]
    if here:
        return meant[min(here, key=lambda m: min(abs(m.start - piece.end), abs(piece.start - m.end))).character]
    for paragraph in range(piece.paragraph - 1, max(-1, piece.paragraph - 15), -1):
        told = [m for m in reading.scene.mentions[paragraph] if not m.quoted]
        if told:
            return meant[told[-1].character]
    return None


def measure(folder: Path) -> Novel:
    """Attribute one novel, with spans given and with spans found."""
    gold = read_gold(folder)
    given = Reading(gold.paragraphs, gold.pieces)
    started = time.perf_counter()
    pieces = find_pieces(gold.paragraphs)
    found = Reading(gold.paragraphs, pieces)
    seconds = time.perf_counter() - started
    begins = {(piece.paragraph, piece.start): piece.quotation for piece in pieces}
    matched, numbers = 0, {}
    for piece in gold.pieces:
        near = next((begins[key] for step in range(-NEAR, NEAR + 1) if (key := (piece.paragraph, piece.start + step)) in begins), None)
        if near is not None:
            matched += 1
            numbers.setdefault(piece.quotation, near)
    every = {number: number for number in range(len(gold.quotations))}
    groups = name_groups(given.characters, gold)
    true, got = alias_pairs(groups)
    return Novel(
        gold.name, answers_of(gold, given, gold.pieces, every), answers_of(gold, found, pieces, numbers),
        (matched, len(pieces), len(gold.pieces)), scores(true, got, lambda pair: 1), scores(true, got, rarer(gold)), cubed(groups), seconds,
    )  # fmt: skip


def measure_apart(folder: Path) -> Novel:
    """Attribute a novel of which only the begins of the quotations need be sure; those not found count as not answered."""
    gold = read_gold(folder)
    started = time.perf_counter()
    pieces = find_pieces(gold.paragraphs)
    reading = Reading(gold.paragraphs, pieces)
    seconds = time.perf_counter() - started
    numbers: dict[int, int] = {}
    for piece in gold.pieces:
        over = next((p for p in pieces if p.paragraph == piece.paragraph and p.start - NEAR <= piece.start < p.end), None)
        if over:
            numbers.setdefault(piece.quotation, over.quotation)
    answers = answers_of(gold, reading, pieces, numbers)
    missing = [quotation for number, quotation in enumerate(gold.quotations) if number not in numbers]
    answers += [Answer(gold.name, one.type, False, False, 0.0, False, False, None) for one in missing]
    groups = name_groups(reading.characters, gold)
    true, got = alias_pairs(groups)
    return Novel(
        gold.name, answers, [], (len(numbers), len(numbers), len(gold.quotations)), scores(true, got, lambda pair: 1),
        scores(true, got, rarer(gold)), cubed(groups), seconds,
    )  # fmt: skip


def rarer(gold: GoldNovel):
    """How often the rarer name of a pair occurs in the text."""
    text = " ".join(gold.paragraphs).lower().replace(".", "")
    count = Counter()

    def weight(pair: tuple[str, str]) -> int:
        for name in pair:
            if name not in count:
                count[name] = len(re.findall(rf"\b{re.escape(name)}\b", text))
        return min(count[name] for name in pair)

    return weight


def scores(true: set[tuple[str, str]], got: set[tuple[str, str]], weight) -> tuple[float, float, float]:
    """Precision, recall and F1 of pairs."""
    both, ours, theirs = (sum(map(weight, pairs)) for pairs in (true & got, got, true))
    precision, recall = both / max(1, ours), both / max(1, theirs)
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def share(good: int, whole: int) -> str:
    """A share with its interval."""
    if not whole:
        return "-".rjust(18)
    low, high = wilson(good, whole)
    return f"{good / whole:5.1%} [{low:.1%}-{high:.1%}]".rjust(21)


def row(name: str, answers: Sequence[Answer]) -> str:
    """One line of the table."""
    said = [one for one in answers if one.answered]
    return (
        f"{name:<32}{len(answers):>6}  {share(sum(one.right for one in answers), len(answers))}  {len(said) / max(1, len(answers)):6.1%}  "
        f"{share(sum(one.right for one in said), len(said))}  {sum(one.nearest for one in answers) / max(1, len(answers)):6.1%}  "
        f"{sum(one.frequent for one in answers) / max(1, len(answers)):6.1%}"
    )


HEAD = f"{'':<32}{'n':>6}  {'accuracy':>21}  {'cover':>6}  {'precision':>21}  {'nearest':>6} {'frequent':>8}"


def table(title: str, novels: Sequence[Novel]) -> None:
    """Print the novels of one part, and all of them together by type."""
    print(f"\n{title}\n{HEAD}")
    for novel in novels:
        print(row(novel.name, novel.answers))
    every = [one for novel in novels for one in novel.answers]
    print(row("all", every))
    for kind in TYPES:
        print(row(f"  {kind.lower()}", [one for one in every if one.type == kind]))
    found = [one for novel in novels for one in novel.found_answers]
    if found:
        print(row("all, spans found", found))
    to = [one.addressee for one in every if one.answered and one.addressee is not None]
    print(f"addressees, where one is named: {share(sum(to), len(to))} of {len(to)}")
    print(f"\n{'':<32}{'found P':>9}{'found R':>9}{'names P':>9}{'names R':>9}{'names F1':>9}{'weighted F1':>12}{'B3 F1':>8}{'seconds':>9}")
    for novel in novels:
        both, ours, theirs = novel.detection
        p, r, f = novel.names
        print(
            f"{novel.name:<32}{both / ours:9.1%}{both / theirs:9.1%}{p:9.1%}{r:9.1%}{f:9.1%}{novel.weighted[2]:12.1%}"
            f"{novel.cubed[2]:8.1%}{novel.seconds:9.1f}"
        )
    print(
        f"{'mean':<32}{'':>36}{sum(n.names[2] for n in novels) / len(novels):9.1%}{sum(n.weighted[2] for n in novels) / len(novels):12.1%}"
        f"{sum(n.cubed[2] for n in novels) / len(novels):8.1%}"
    )
    print("\nconfidence, answered or not:")
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01)):
        own = [one for one in every if low <= one.confidence < high]
        if own:
            print(
                f"  {low:.2f}-{min(high, 1):.2f}: said {sum(o.confidence for o in own) / len(own):6.1%}, right {share(sum(o.right for o in own), len(own))} of {len(own)}"
            )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("novels", type=Path, help="folder that holds pdnc/ and litbank/")
    parser.add_argument("--apart", type=Path, help="folder with other novels of the corpus, to test on")
    parser.add_argument("--apart-only", action="store_true", help="measure nothing else")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--litbank-every", type=int, default=1, help="read only each n-th book of LitBank")
    options = parser.parse_args()
    result = {}
    parts: list[tuple[str, list[Novel]]] = []
    if not options.apart_only:
        parts.append(("Build novels (seen: not a test), spans given", [measure(options.novels / "pdnc" / name) for name in BUILD]))
    if options.apart:
        others = [
            folder for folder in sorted(options.apart.iterdir()) if folder.name not in BUILD and (folder / "quotation_info.csv").is_file()
        ]
        parts.append(("Novels apart, spans found", [measure_apart(folder) for folder in others]))
    for title, novels in parts:
        table(title, novels)
        result[title] = {
            n.name: {"n": len(n.answers), "coverage": sum(a.answered for a in n.answers) / len(n.answers),
                     "precision": sum(a.right for a in n.answers if a.answered) / max(1, sum(a.answered for a in n.answers)),
                     "accuracy": sum(a.right for a in n.answers) / len(n.answers), "names_f1": n.names[2], "weighted_f1": n.weighted[2]}
            for n in novels
        }  # fmt: skip
    if not options.apart_only:
        outside = litbank_outcomes(options.novels / "litbank", IN_PDNC, options.litbank_every)
        said = [one for one in outside if one.answered]
        print(f"\nLitBank, {len({one.book for one in outside})} other novels, quotations by somebody with a name: {len(outside)}")
        print(f"coverage {len(said) / len(outside):.1%}, precision {share(sum(one.right for one in said), len(said))}")
        print(f"accuracy {share(sum(one.right for one in outside), len(outside))}")
        print(f"precision with the narrator's I taken for its name {share(sum(one.right_as_narrator for one in said), len(said))}")
        result["litbank"] = {
            "n": len(outside),
            "coverage": len(said) / len(outside),
            "precision": sum(o.right for o in said) / len(said),
            "as_narrator": sum(o.right_as_narrator for o in said) / len(said),
        }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
