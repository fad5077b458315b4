"""Stages proposed from the material: where, in the order of time, the words change.

Passages with dates, or in the order of their chapters, are put together to blocks of about equal length. The point that
parts the blocks best (the largest difference of the mean shares of the commonest words before and after) is a change, if
fewer than one in twenty shuffled orders of the same blocks has one as strong; then both sides are looked at in the same
way, up to the wanted number of stages. Each change comes with its reasons: the words that go and come, a silence before
it, the persons who leave and appear. It is a proposal: the user confirms it, or writes other stages, in persona.yaml.

Limits: what changes slowly and steadily is cut somewhere all the same, since shuffling also breaks a slow drift; a
change of subject is not told from a change of the person.
"""

import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from persllm.languages import language
from persllm.passages import Passage
from persllm.records import Record, Stage

BLOCKS = 48
"""Most blocks that the passages are put into."""
FEWEST_WORDS = 150
"""Words (characters) of a block; fewer tell little about a person's words."""
FEWEST_BLOCKS = 4
"""Blocks of a stage; shorter changes are episodes, not stages."""
VOCABULARY = 400
"""Commonest words that are compared."""
SHUFFLES = 199
CHANCE = 0.05
"""Share of shuffled orders with as strong a change from which on a change is not believed."""
SILENCE = 5.0
"""A gap so many times as long as the usual one is a reason of its own."""
TOLD = 6
"""Words named per side."""


class Change(Record):
    """A point at which one stage ends and the next begins."""

    begins: str
    """Date, or chapter, with which the later stage begins."""
    source: str
    """`file:line` of its first passage."""
    strength: float
    """Share of the variation between the blocks that this change explains, 0 to 1."""
    chance: float
    """Share of shuffled orders that show as strong a change."""
    reasons: tuple[str, ...]
    """What changes, in words."""


class Proposal(Record):
    """Stages proposed from the material, in order of time."""

    rule: str
    """`dates` or `chapters`: what the passages were ordered by."""
    stages: tuple[Stage, ...]
    """One if no change was found. `start` and `end` are dates, or numbers of chapters."""
    changes: tuple[Change, ...]
    """One fewer than stages."""
    note: str = ""
    """What the user should know about it."""


class Block(Record):
    """Passages that follow each other, about as many words as every other block has."""

    passages: tuple[Passage, ...]
    words: dict[str, int]
    """Word -> how often it occurs."""


def propose(passages: Sequence[Passage], code: str = "en", most: int = 3, seed: int = 0) -> Proposal:
    """Up to `most` stages from dated passages, or, where few have dates, from passages in the order of their chapters."""
    dated = [passage for passage in passages if passage.date]
    by_date = 2 * len(dated) > len(passages)
    ordered = sorted(dated, key=lambda passage: passage.date) if by_date else list(passages)
    place_of = place_by_date if by_date else place_by_chapter(ordered)
    blocks = make_blocks(ordered, code)
    rule = "dates" if by_date else "chapters"
    if len(blocks) < 2 * FEWEST_BLOCKS:
        note = f"too little to find a change in: {len(blocks)} blocks of {FEWEST_WORDS} words, {2 * FEWEST_BLOCKS} are needed"
        return Proposal(rule=rule, stages=stages_between(blocks, [], place_of), changes=(), note=note)
    cuts = change_points(shares(blocks), most - 1, np.random.default_rng(seed))
    found = sorted((moved_to_silence(blocks, place) if by_date else place, strength, chance) for place, strength, chance in cuts)
    edges = [0, *(place for place, _, _ in found), len(blocks)]
    changes = tuple(
        Change(
            begins=place_of(blocks[place].passages[0]), source=blocks[place].passages[0].source, strength=round(strength, 3), chance=chance,
            reasons=tuple(reasons(blocks[edges[number] : place], blocks[place : edges[number + 2]], by_date)),
        )
        for number, (place, strength, chance) in enumerate(found)
    )  # fmt: skip
    left_out = len(passages) - len(ordered)
    notes = [
        "" if changes else "no change that chance would not show: one stage",
        f"{left_out} passages without a date" if left_out else "",
    ]
    return Proposal(
        rule=rule, stages=stages_between(blocks, edges[1:-1], place_of), changes=changes, note="; ".join(note for note in notes if note)
    )


def make_blocks(passages: Sequence[Passage], code: str) -> list[Block]:
    """Passages put together to blocks of about equal length; what is left at the end joins the last."""
    words = language(code).words
    counted = [Counter(words(passage.text)) for passage in passages]
    size = max(FEWEST_WORDS, sum(map(Counter.total, counted)) // BLOCKS)
    groups: list[list[int]] = [[]]
    held = 0
    for place, counts in enumerate(counted):
        if held >= size:
            groups.append([])
            held = 0
        groups[-1].append(place)
        held += counts.total()
    if len(groups) > 1 and held < size / 2:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [
        Block(passages=tuple(passages[place] for place in group), words=dict(sum((counted[place] for place in group), Counter())))
        for group in groups
        if group
    ]


def shares(blocks: Sequence[Block]) -> np.ndarray:
    """Square roots of the shares of the commonest words: (blocks, words); distances of these rows weigh rare and common words alike."""
    common = [word for word, _ in sum((Counter(block.words) for block in blocks), Counter()).most_common(VOCABULARY)]
    counts = np.array([[block.words.get(word, 0) for word in common] for block in blocks], dtype=float)
    return np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def change_points(rows: np.ndarray, most: int, dice: np.random.Generator) -> list[tuple[int, float, float]]:
    """(first block after the change, strength, chance) of up to `most` changes, the surest first."""
    whole = float(((rows - rows.mean(0)) ** 2).sum()) or 1.0
    found: list[tuple[int, float, float]] = []
    spans = [(0, len(rows))]
    while len(found) < most:
        best: tuple[int, float, float] | None = None
        for start, end in spans:
            place, gain = best_split(rows[start:end])
            if place and (best is None or gain > best[1]):
                chance = chance_of(rows[start:end], gain, dice)
                best = (start + place, gain, chance) if chance < CHANCE else best
        if best is None:
            return found
        found.append((best[0], best[1] / whole, best[2]))
        start, end = next(span for span in spans if span[0] < best[0] < span[1])
        spans = [span for span in spans if span != (start, end)] + [(start, best[0]), (best[0], end)]
    return found


def best_split(rows: np.ndarray) -> tuple[int, float]:
    """Where two parts differ most, and the variation between them; (0, 0) if there are too few rows for two parts."""
    count = len(rows)
    if count < 2 * FEWEST_BLOCKS:
        return 0, 0.0
    sums = rows.cumsum(0)
    sizes = np.arange(FEWEST_BLOCKS, count - FEWEST_BLOCKS + 1)
    left = sums[sizes - 1] / sizes[:, None]
    right = (sums[-1] - sums[sizes - 1]) / (count - sizes)[:, None]
    gains = sizes * (count - sizes) / count * ((left - right) ** 2).sum(1)
    place = int(gains.argmax())
    return int(sizes[place]), float(gains[place])


def chance_of(rows: np.ndarray, gain: float, dice: np.random.Generator) -> float:
    """Share of orders, the given one among them, in which the best split is at least so strong."""
    as_strong = sum(best_split(dice.permutation(rows))[1] >= gain for _ in range(SHUFFLES))
    return (as_strong + 1) / (SHUFFLES + 1)


# Reasons -------------------------------------------------------------------------------------------------


def reasons(before: Sequence[Block], after: Sequence[Block], by_date: bool) -> list[str]:
    """What changes from one stage to the next."""
    found = []
    gap, usual = silence(before[-1], after[0]), usual_gap([*before, *after])
    if by_date and gap > SILENCE * usual:
        found.append(f"a silence of {gap} days (usual: {usual:.0f})")
    gone, come = telling(before, after)
    found += [f"words that go: {', '.join(gone)}"] if gone else []
    found += [f"words that come: {', '.join(come)}"] if come else []
    for what, one, other in (("no longer", before, after), ("new", after, before)):
        names = Counter(name for block in one for passage in block.passages for name in (passage.speaker, *passage.to) if name)
        others = {name for block in other for passage in block.passages for name in (passage.speaker, *passage.to)}
        missing = [name for name, count in names.most_common() if name not in others and count > 1]
        found += [f"{what} there: {', '.join(missing[:TOLD])}"] if missing else []
    return found


def telling(before: Sequence[Block], after: Sequence[Block]) -> tuple[list[str], list[str]]:
    """Words that are much commoner before, and much commoner after, the surest first (log odds over their standard error)."""
    sides = [sum((Counter(block.words) for block in blocks), Counter()) for blocks in (before, after)]
    totals = [side.total() for side in sides]
    scores = {}
    for word in set(sides[0]) | set(sides[1]):
        one, other = sides[0][word] + 0.5, sides[1][word] + 0.5
        if not word.isdigit():
            odds = np.log(one / (totals[0] - one + 1)) - np.log(other / (totals[1] - other + 1))
            scores[word] = odds / np.sqrt(1 / one + 1 / other)
    ranked = sorted(scores, key=lambda word: (-scores[word], word))
    return [word for word in ranked[:TOLD] if scores[word] > 2], [word for word in ranked[::-1][:TOLD] if scores[word] < -2]


def day(date: str) -> datetime.date | None:
    """The first day of a date such as 1801, 1801-06 or 1801-06-29."""
    try:
        return datetime.date.fromisoformat((date[:10] + "-01-01")[:10] if len(date[:10]) < 8 else date[:10])
    except ValueError:
        return None


def silence(before: Block, after: Block) -> int:
    """Days between the last dated passage of a block and the first of the next."""
    last, first = day(before.passages[-1].date), day(after.passages[0].date)
    return (first - last).days if last and first else 0


def usual_gap(blocks: Sequence[Block]) -> float:
    """The median of the days between passages that follow each other, at least one."""
    days = [day(passage.date) for block in blocks for passage in block.passages if passage.date]
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days) if earlier and later]
    return max(1.0, float(np.median(gaps))) if gaps else 1.0


def moved_to_silence(blocks: Sequence[Block], place: int) -> int:
    """The place itself, or the one beside it if a much longer silence stands there."""
    near = [other for other in (place, place - 1, place + 1) if FEWEST_BLOCKS <= other <= len(blocks) - FEWEST_BLOCKS]
    gaps = {other: silence(blocks[other - 1], blocks[other]) for other in near}
    longest = max(near, key=lambda other: gaps[other], default=place)
    return longest if near and gaps[longest] > SILENCE * max(1.0, gaps.get(place, 0), usual_gap(blocks)) else place


# Stages --------------------------------------------------------------------------------------------------


def place_by_date(passage: Passage) -> str:
    """The day of a passage."""
    return passage.date[:10]


def place_by_chapter(passages: Sequence[Passage]) -> Callable[[Passage], str]:
    """The number, from 1, of the chapter a passage stands in: chapters are headings in the order in which they come."""
    numbers = {heading: str(number) for number, heading in enumerate(dict.fromkeys(passage.heading for passage in passages), 1)}
    return lambda passage: numbers[passage.heading]


def stages_between(blocks: Sequence[Block], cuts: Sequence[int], place_of: Callable[[Passage], str]) -> tuple[Stage, ...]:
    """A stage for each stretch of blocks, named by where it begins and ends."""
    found = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(blocks)], strict=True), 1):
        if start < end:
            first, last = place_of(blocks[start].passages[0]), place_of(blocks[end - 1].passages[-1])
            found.append(Stage(id=f"stage-{number}", title=f"{first} to {last}" if first != last else first, start=first, end=last))
    return tuple(found)
