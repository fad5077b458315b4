"""distinction: Intra > Stage > Inter (paper section 4.3), by BLEU between sampled answers to one shared question.

Intra sets two samples of one person and stage against each other, Stage the samples of the two stages of one person,
Inter those of different persons at the same stage. Sentence BLEU (sacrebleu, effective order, 0 to 100), the mean of
both directions; one score per item. The gaps Intra - Stage and Stage - Inter are what is to be won: Intra - Stage only
where the truth differs between the stages (group `changed`).

Limits: two samples per item; a model that always says the same has a high Intra whatever it says.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import combinations, product
from typing import Any

from persllm.gold import same_stage
from persllm.metrics.sitting import Sitting
from persllm.records import Score, TestItem

METRICS = ("bleu_intra", "bleu_stage", "bleu_inter")


@cache
def bleu(code: str) -> Any:
    """The BLEU scorer of a language."""
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True, tokenize="zh" if code == "zh" else "13a")


@lru_cache(maxsize=1 << 16)
def likeness(one: str, other: str, code: str) -> float:
    """BLEU between two answers, the mean of both directions, 0 to 100."""
    return (bleu(code).sentence_score(one, [other]).score + bleu(code).sentence_score(other, [one]).score) / 2


def score(sitting: Sitting) -> list[Score]:
    """bleu_intra, bleu_stage, bleu_inter, gap_stage and gap_inter of every shared question."""
    shared = [item for item in sitting.items.values() if item.set == "shared" and item.group]
    table = {(item.persona, item.stage, item.group): item for item in shared}
    found: list[Score] = []
    for item in shared:
        own = samples(sitting, item)
        if len(own) < 2:
            reason = next((sitting.why_silent(item, n) for n in (1, 2) if not sitting.text(item, n)), "too few samples")
            found += [sitting.score(metric, item, None, reason) for metric in METRICS]
            continue
        code = sitting.code(item)
        values = {
            "bleu_intra": mean(likeness(*sorted((a, b)), code) for a, b in combinations(own, 2)),
            "bleu_stage": mean(
                likeness(*sorted((a, b)), code) for twin in stages(item, shared) for a, b in product(own, samples(sitting, twin))
            ),
            "bleu_inter": mean(
                likeness(*sorted((own[0], theirs[0])), code)
                for twin in persons(sitting, item, table)
                for theirs in [samples(sitting, twin)]
                if theirs
            ),
        }
        found += scores_of(sitting, item, values)
    return found


def scores_of(sitting: Sitting, item: TestItem, values: dict[str, float | None]) -> list[Score]:
    """The three likenesses that could be taken, and the gaps between them."""
    found = [sitting.score(metric, item, value) for metric, value in values.items() if value is not None]
    for gap, upper, lower in (("gap_stage", "bleu_intra", "bleu_stage"), ("gap_inter", "bleu_stage", "bleu_inter")):
        high, low = values[upper], values[lower]
        if high is not None and low is not None:
            found.append(sitting.score(gap, item, high - low))
    return found


def samples(sitting: Sitting, item: TestItem) -> list[str]:
    """The sampled answers that are not empty."""
    numbers = sorted(sample for item_id, sample in sitting.answers if item_id == item.id and sample)
    return [text for text in (sitting.text(item, number) for number in numbers) if text]


def stages(item: TestItem, shared: Iterable[TestItem]) -> list[TestItem]:
    """The same question to the same person at the other stages."""
    return [other for other in shared if (other.persona, other.group) == (item.persona, item.group) and other.stage != item.stage]


def persons(sitting: Sitting, item: TestItem, table: dict[tuple[str, str, str], TestItem]) -> list[TestItem]:
    """The same question to the other persons at the same stage."""
    own = sitting.personas[item.persona]
    keys = [(other.id, same_stage(own, item.stage, other), item.group) for other in sitting.personas.values() if other.id != own.id]
    return [table[key] for key in keys if key in table]


def mean(values: Iterable[float]) -> float | None:
    """The mean, None of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
