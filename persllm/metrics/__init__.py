"""Metrics: answers and likelihoods to scores, one file per metric.

A metric gets a `Sitting`, all that one taker left, and gives one `Score` per item; what could not be scored has a
reason and no value. `METRICS` says what each figure means and which way is better.
"""

from collections.abc import Sequence
from typing import Literal

from persllm.metrics import choice, consistency, cosine, development, distinction, fidelity, forgetting, identification, induction
from persllm.metrics.identification import Classifier
from persllm.metrics.sitting import Cosine, Likelihood, Sitting
from persllm.records import Record, Score

__all__ = ["METRICS", "SHARES", "Cosine", "Likelihood", "Metric", "Sitting", "score_all"]


class Metric(Record):
    """What a figure means."""

    name: str
    title: str
    unit: Literal["share", "score", "bleu", "nats"]
    """`share`: items of which it holds, printed in per cent; `score`: a mean of at most 1; BLEU points; nats per token."""
    better: Literal["higher", "lower", "beside"]
    """`beside`: neither by itself."""
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric(name="choice", title="choice", unit="share", better="higher", meaning="the right answer is preferred to every wrong one"),
        Metric(name="choice_pmi", title="choice, corrected", unit="share", better="higher", meaning="choice, less what each text is worth without a question"),
        Metric(name="choice_against", title="choice against", unit="share", better="higher", meaning="the right answer is preferred to one kind of wrong answer"),
        Metric(name="margin", title="margin", unit="nats", better="higher", meaning="log-likelihood per token of the right answer less that of the wrong one"),
        Metric(name="rouge_l", title="ROUGE-L", unit="score", better="higher", meaning="closeness of the generated answer to the reference, by words"),
        Metric(name="chrf", title="chrF", unit="score", better="higher", meaning="closeness of the generated answer to the reference, by characters"),
        Metric(name="cosine", title="cosine of embeddings", unit="score", better="higher", meaning="closeness of the generated answer to the reference, by the vectors of an encoder"),
        Metric(name="cosine_other", title="cosine of embeddings, floor", unit="score", better="beside", meaning="what the reference of another question of the same person and set would get in place of the answer"),
        Metric(name="fact_recall", title="fact recall", unit="score", better="higher", meaning="names, numbers and dates of the reference in the answer"),
        Metric(name="bleu_intra", title="Intra", unit="bleu", better="beside", meaning="likeness of two samples, same person and stage"),
        Metric(name="bleu_stage", title="Stage", unit="bleu", better="beside", meaning="likeness of the answers of one person's stages"),
        Metric(name="bleu_inter", title="Inter", unit="bleu", better="lower", meaning="likeness of the answers of different persons"),
        Metric(name="gap_stage", title="Intra - Stage", unit="bleu", better="higher", meaning="how far the stages are apart"),
        Metric(name="gap_inter", title="Stage - Inter", unit="bleu", better="higher", meaning="how far the persons are apart, beyond the stages"),
        Metric(name="identified_person", title="person identified", unit="share", better="higher", meaning="a classifier hears the right person"),
        Metric(name="identified_stage", title="person and stage identified", unit="share", better="higher", meaning="a classifier hears the right person at the right stage"),
        Metric(name="resistance", title="resistance", unit="share", better="higher", meaning="the correction is preferred to accepting a false premise"),
        Metric(name="false_denial", title="false denial", unit="share", better="lower", meaning="the denial of a true premise is preferred"),
        Metric(name="premise_asserted", title="premise asserted", unit="share", better="lower", meaning="the generated answer accepts the false premise"),
        Metric(name="truth_denied", title="truth denied", unit="share", better="lower", meaning="the generated answer denies what is true"),
        Metric(name="truth_stated", title="truth stated", unit="share", better="higher", meaning="all facts of the item are in the generated answer"),
        Metric(name="leak", title="future leak", unit="share", better="lower", meaning="an answer that knows the future is preferred"),
        Metric(name="leak_said", title="future leak, said", unit="share", better="lower", meaning="the generated answer knows the future"),
        Metric(name="stuck", title="stuck in the past", unit="share", better="lower", meaning="an answer from the stage that is over is preferred"),
        Metric(name="stuck_said", title="stuck in the past, said", unit="share", better="lower", meaning="the generated answer is from the stage that is over"),
        Metric(name="agreement", title="agreement over wordings", unit="score", better="beside", meaning="same choice, however it is asked"),
        Metric(name="stage_agreement", title="agreement over stages", unit="score", better="beside", meaning="same choice at every stage, where the truth is the same"),
        Metric(name="flipped", title="flipped under pressure", unit="share", better="lower", meaning="preferred at first, and no longer after several turns"),
        Metric(name="wording_gap", title="wording gap", unit="score", better="higher", meaning="answers to one question in other words are liker than answers to other questions"),
        Metric(name="general_loss", title="loss on general talk", unit="nats", better="lower", meaning="mean loss per token of held-out general conversations"),
        Metric(name="loss_change", title="loss on general talk, change", unit="score", better="lower", meaning="change of that loss against the untrained base without a person"),
    )
}  # fmt: skip
"""Every figure there is."""
SHARES = frozenset(metric.name for metric in METRICS.values() if metric.unit == "share")
"""Metrics whose scores are zeros and ones."""


def score_all(sitting: Sitting, classifier: Classifier | None) -> list[Score]:
    """All scores of one taker."""
    parts: Sequence[list[Score]] = (
        choice.score(sitting),
        fidelity.score(sitting),
        cosine.score(sitting),
        distinction.score(sitting),
        identification.score(sitting, classifier),
        induction.score(sitting),
        consistency.score(sitting),
        development.score(sitting),
        forgetting.score(sitting),
    )
    return [score for part in parts for score in part]
