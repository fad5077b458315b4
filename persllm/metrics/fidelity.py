"""fidelity: how close the generated answer is to the reference.

ROUGE-L (F measure, 0 to 1) over the words of the person's language, chrF (0 to 1, sacrebleu's character n-grams), and
the share of the item's facts (names, numbers, dates) that the answer contains. Limits: overlap of words; free talk
scores low even where it is right, so these never stand first.
"""

from functools import cache
from types import ModuleType
from typing import Any

from persllm.languages import language
from persllm.metrics.facts import recall
from persllm.metrics.sitting import Sitting
from persllm.records import Score

METRICS = ("rouge_l", "chrf", "fact_recall")


class Words:
    """A language's words as a tokenizer for rouge-score, whose own knows English only."""

    def __init__(self, module: ModuleType):
        self.module = module

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return self.module.words(text)


@cache
def rouge(code: str) -> Any:
    """The ROUGE-L scorer of a language."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=Words(language(code)))


@cache
def chrf() -> Any:
    """The chrF scorer."""
    from sacrebleu.metrics import CHRF

    return CHRF()


def closeness(answer: str, reference: str) -> float:
    """chrF of an answer against a reference, 0 to 1."""
    return chrf().sentence_score(answer, [reference]).score / 100


def score(sitting: Sitting) -> list[Score]:
    """rouge_l, chrf and fact_recall of every greedy answer."""
    found: list[Score] = []
    for item in sitting.items.values():
        if item.set == "general":
            continue
        answer = sitting.text(item)
        wanted = METRICS if item.facts else METRICS[:2]
        if not answer:
            found += [sitting.score(metric, item, None, sitting.why_silent(item)) for metric in wanted]
            continue
        found.append(sitting.score("rouge_l", item, rouge(sitting.code(item)).score(item.reference, answer)["rougeL"].fmeasure))
        found.append(sitting.score("chrf", item, closeness(answer, item.reference)))
        if item.facts:
            found.append(sitting.score("fact_recall", item, recall(answer, item.facts, sitting.language(item))))
    return found
