"""Real answers to look at: three exchanges for the reader in a hurry, and examples good and bad of every taker.

All are chosen by rule and never edited. The three exchanges are the best of their kind that the metrics find, among
the answers of the final model; how often its answers are judged right is said in the figures, not by them.
"""

import json
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from persllm.records import Record, TestItem, fingerprint
from persllm.report.evidence import Evidence
from persllm.report.words import ENGLISH, Words
from persllm.store import read_lines

SHOWN = 3
"""Good examples, and bad ones."""


class Said(Record):
    """One answer in an exchange."""

    who: str
    """Name and stage of the person."""
    text: str


class Exchange(Record):
    """A question and one or two answers of the same taker."""

    title: str
    taker: str
    question: str
    answers: tuple[Said, ...]
    items: tuple[str, ...]
    """The test items, for looking them up."""


class Heard(Record):
    """One taker's answer in an example."""

    taker: str
    text: str
    prefers_right: bool | None
    """Whether the reference is the likeliest text for this taker; None if unscored."""
    chrf: float | None


class Example(Record):
    """One item with the answers of all takers side by side."""

    item: str
    good: bool
    """Whether it was chosen as one of the best or one of the worst of the final model."""
    set: str
    origin: str
    who: str
    question: str
    reference: str
    heard: tuple[Heard, ...]


class Attack(Record):
    """An attack that worked, kept whole."""

    item: str
    family: str
    trained: bool
    """Whether attacks of this family were trained on."""
    who: str
    question: str
    answer: str
    reference: str


def sample_exchanges(evidence: Evidence) -> list[Exchange]:
    """Two stages on one question, a false premise corrected, two persons on one question; what there is no data for is left out."""
    used: set[str] = set()
    found = []
    for choose in (two_stages, correction, two_persons):
        exchange = choose(evidence, used)
        if exchange:
            used.add(exchange.question)
            found.append(exchange)
    return found


def two_stages(evidence: Evidence, used: set[str]) -> Exchange | None:
    """One person's answers to one question at two stages between which the truth has changed."""
    shared = [item for item in answered(evidence) if item.set in ("shared", "stage") and item.group and item.changed is not False]
    pairs = [
        (one, other)
        for one, other in combinations(shared, 2)
        if (one.persona, one.group) == (other.persona, other.group) and one.stage != other.stage
    ]
    return best_pair(evidence, pairs, used, evidence.words("One question to one person at two stages of life"), "other_stage")


def two_persons(evidence: Evidence, used: set[str]) -> Exchange | None:
    """Two persons' answers to one question at the same stage."""
    shared = [item for item in answered(evidence) if item.set in ("shared", "stage") and item.group]
    pairs = [
        (one, other)
        for one, other in combinations(shared, 2)
        if one.persona != other.persona and (one.group, one.stage) == (other.group, other.stage)
    ]
    return best_pair(evidence, pairs, used, evidence.words("One question to two persons"), "other_person")


def correction(evidence: Evidence, used: set[str]) -> Exchange | None:
    """A false premise met with the truth; attacks of a single turn first, since they can be read without more."""
    attacks = [item for item in answered(evidence) if item.set == "induction" and not item.prefill]

    def rank(item: TestItem) -> tuple[float, ...]:
        value = evidence.value
        return (
            value("truth_stated", evidence.final, item.id, "induction") or 0.0,
            1.0 - (value("premise_asserted", evidence.final, item.id) or 0.0),
            value("resistance", evidence.final, item.id) or 0.0,
            float(len(item.messages) == 1),
            value("chrf", evidence.final, item.id) or 0.0,
        )

    fresh = [item for item in attacks if item.messages[-1].content not in used]
    best = first_by(fresh, rank)
    if best is None:
        return None
    stated, withstood, *_ = rank(best)
    title = "A false premise, corrected" if stated and withstood else "A false premise, not clearly corrected"
    return exchange_of(evidence, [best], evidence.words(title))


def best_pair(evidence: Evidence, pairs: Iterable[tuple[TestItem, TestItem]], used: set[str], title: str, rival: str) -> Exchange | None:
    """The pair that the metrics judge best, on a question not shown yet if there is one; hand-written ones first, which are made to be read."""

    def rank(pair: tuple[TestItem, TestItem]) -> tuple[float, ...]:
        def both(metric: str, detail: str = "") -> float:
            return min(evidence.value(metric, evidence.final, item.id, detail) or 0.0 for item in pair)

        differ = evidence.text(evidence.final, pair[0].id) != evidence.text(evidence.final, pair[1].id)
        fresh = pair[0].messages[-1].content not in used
        written = float(all(item.origin == "gold" for item in pair))
        return float(differ), float(fresh), written, both("choice_against", rival), both("identified_stage"), both("chrf")

    chosen = max(pairs, key=lambda pair: (rank(pair), pair[0].id, pair[1].id), default=None)
    return exchange_of(evidence, list(chosen), title) if chosen else None


def exchange_of(evidence: Evidence, items: list[TestItem], title: str) -> Exchange:
    """The question of the items with the answers of the final model, in the order of time or of persons."""
    ordered = sorted(
        items, key=lambda item: (list(evidence.personas).index(item.persona), evidence.personas[item.persona].order(item.stage))
    )
    answers = tuple(Said(who=who(evidence, item), text=evidence.text(evidence.final, item.id)) for item in ordered)
    return Exchange(
        title=title,
        taker=evidence.final,
        question=question(items[0], evidence.words),
        answers=answers,
        items=tuple(item.id for item in ordered),
    )


def examples(evidence: Evidence) -> list[Example]:
    """The best and the worst items of the final model, each from another test set; hand-written ones if there are any."""
    asked = [item for item in answered(evidence) if item.candidates]
    asked = [item for item in asked if item.origin == "gold"] or asked

    def merit(item: TestItem) -> tuple[float, float]:
        right = evidence.value("choice", evidence.final, item.id) or 0.0
        return right, evidence.value("chrf", evidence.final, item.id) or 0.0

    ranked = sorted(asked, key=lambda item: (merit(item), item.id))
    good = one_per_set(reversed(ranked))
    bad = one_per_set(item for item in ranked if item not in good)
    return [*(example(evidence, item, True) for item in good), *(example(evidence, item, False) for item in bad)]


def one_per_set(ranked: Iterable[TestItem]) -> list[TestItem]:
    """The first few items of different test sets and, as far as possible, persons."""
    chosen: dict[str, TestItem] = {}
    waiting: list[TestItem] = []
    for item in ranked:
        if item.set not in chosen and item.persona not in {one.persona for one in chosen.values()}:
            chosen[item.set] = item
        else:
            waiting.append(item)
        if len(chosen) == SHOWN:
            break
    for item in waiting:
        if len(chosen) < SHOWN:
            chosen.setdefault(item.set, item)
    return list(chosen.values())


def example(evidence: Evidence, item: TestItem, good: bool) -> Example:
    """An item with what every taker said."""
    heard = []
    for taker in evidence.takers:
        right = evidence.value("choice", taker, item.id)
        chrf = evidence.value("chrf", taker, item.id)
        heard.append(
            Heard(taker=taker, text=evidence.text(taker, item.id), prefers_right=None if right is None else bool(right), chrf=chrf)
        )
    return Example(
        item=item.id, good=good, set=item.set, origin=item.origin, who=who(evidence, item), question=question(item, evidence.words),
        reference=item.reference, heard=tuple(heard),
    )  # fmt: skip


def successes(evidence: Evidence) -> list[Attack]:
    """The attacks to which the final model gave in, one of each family first; those of `persllm attack` if it was run, never edited."""
    file = evidence.path / "attacks" / evidence.final / "worked.jsonl"
    found = [of_battery(evidence, json.loads(line)) for line in read_lines(file)] if file.is_file() else in_examination(evidence)
    order = {attack.item: sum(other.family == attack.family for other in found[:number]) for number, attack in enumerate(found)}
    return sorted(found, key=lambda attack: (order[attack.item], attack.family))


def of_battery(evidence: Evidence, line: dict[str, Any]) -> Attack:
    """An attack of the battery, as it stands in `worked.jsonl`: with all turns, the person's own answers between them."""
    attempt = line["attempt"]
    trial, *talk = attempt["trial"], *attempt["talk"]
    persona = evidence.personas[trial["persona"]]
    said = [
        f"{evidence.words('You' if turn['role'] == 'user' else 'Answer')}: {turn['content']}"
        for turn in talk[:-1]
        if turn["role"] != "system"
    ]
    stage = persona.stage(trial["stage"])
    return Attack(
        item=fingerprint(trial), family=trial["family"], trained=trial["trained_family"], who=f"{persona.name}, {stage.title or stage.id}",
        question="\n".join(said), answer=talk[-1]["content"], reference=trial["right"],
    )  # fmt: skip


def in_examination(evidence: Evidence) -> list[Attack]:
    """The attacks of the examination whose answer asserts the premise, as far as that can be read by rule."""
    found = []
    for item in answered(evidence):
        if item.set == "induction" and evidence.value("premise_asserted", evidence.final, item.id) == 1.0:
            found.append(Attack(
                item=item.id, family=item.family, trained=item.trained_family, who=who(evidence, item),
                question=question(item, evidence.words), answer=evidence.text(evidence.final, item.id), reference=item.reference,
            ))  # fmt: skip
    return found


def answered(evidence: Evidence) -> list[TestItem]:
    """The items with a person that the final model has answered."""
    return [item for item in evidence.items.values() if item.persona and evidence.text(evidence.final, item.id)]


def who(evidence: Evidence, item: TestItem) -> str:
    """Name and stage, for people."""
    persona = evidence.personas[item.persona]
    stage = persona.stage(item.stage)
    return f"{persona.name}, {stage.title or stage.id}"


def question(item: TestItem, words: Words = ENGLISH) -> str:
    """The question; turns before it and words put into the mouth are shown with it."""
    *earlier, last = item.messages
    lines = [f"{words('You' if message.role == 'user' else 'Answer')}: {message.content}" for message in earlier]
    begun = " " + words("[the answer is made to begin: {words}]", words=item.prefill) if item.prefill else ""
    return "\n".join([*lines, last.content + begun])


def first_by(items: list[TestItem], rank) -> TestItem | None:
    """The item of the highest rank, the first in the order of names among equals."""
    return max(sorted(items, key=lambda item: item.id), key=rank, default=None)
