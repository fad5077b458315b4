"""forgetting: what general ability the training cost.

`general_loss` is the mean loss per token (nats) of held-out general conversations, in both modes: `plain`, without a
person, and `in role`, with person and stage set as in use. What counts is the change against the untrained base, plain.

Limits: loss on ordinary talk; knowledge and reasoning of a large base need benchmarks of their own.
"""

from persllm.metrics.sitting import Given, Sitting
from persllm.records import Score

MODES: dict[str, Given] = {"plain": "plain", "in role": "question"}


def score(sitting: Sitting) -> list[Score]:
    """general_loss of every general item, once per mode."""
    found: list[Score] = []
    for item in sitting.items.values():
        for mode, given in MODES.items() if item.set == "general" else ():
            value = sitting.per_token(item, 0, given)
            likelihood = sitting.likelihoods.get((item.id, 0, given))
            reason = "" if value is not None else likelihood.error if likelihood and likelihood.error else "no likelihood"
            found.append(sitting.score("general_loss", item, None if value is None else -value, reason, mode))
    return found
