"""Exposure of canaries: how far up a planted sentence stands among sentences that might have been planted.

Exposure is log2(alternatives + 1) - log2(rank), in bits, by log-likelihood after the question (Carlini et al. 2019,
arXiv 1802.08232). It is exact for the alternatives that were drawn and ends at log2(alternatives + 1); what a much
likelier sentence would show beyond that is not estimated.
"""

from collections.abc import Callable, Sequence

import numpy as np

from persllm.audit.records import Exposure, mean_interval
from persllm.canaries import Canary, alternatives
from persllm.errors import PersllmError
from persllm.records import Message
from persllm.takers import Examinee, Taker


def measure(
    taker: Taker, planted: Sequence[Canary], model_of: Callable[[str], Examinee], count: int, seed: int, step: Callable[[], None]
) -> Exposure | None:
    """The exposure of the canaries to one taker; None if there is none that could be scored."""
    bits: list[float] = []
    for canary in planted:
        found = one_exposure(taker, canary, model_of, count, seed)
        bits += [] if found is None else [found]
        step()
    if not bits:
        return None
    mean, low, high = mean_interval(bits, [str(place) for place in range(len(bits))], seed, False)
    most = float(np.log2(count + 1))
    return Exposure(
        taker=taker.name, n=len(bits), unscored=len(planted) - len(bits), alternatives=count, mean=mean, low=low, high=high,
        chance=round(by_chance(count), 4), most=round(most, 4), first=sum(one == most for one in bits),
    )  # fmt: skip


def one_exposure(taker: Taker, canary: Canary, model_of: Callable[[str], Examinee], count: int, seed: int) -> float | None:
    """Exposure of one canary; None if the model refuses it, or was never trained."""
    if canary.persona not in taker.models:
        return None
    texts = [canary.text, *alternatives(canary, count, seed)]
    request = taker.request((Message(role="user", content=canary.question),), canary.persona, canary.stage)
    try:
        totals = [one.total for one in model_of(taker.models[canary.persona]).log_likelihoods([request] * len(texts), texts)]
    except PersllmError:
        return None
    return exposure(totals[0], totals[1:])


def exposure(own: float, others: Sequence[float]) -> float:
    """Bits of a sentence of that log-likelihood among others; equals share the ranks they take."""
    above, level = sum(other > own for other in others), sum(other == own for other in others)
    return float(np.log2(len(others) + 1) - np.log2(1 + above + level / 2))


def by_chance(count: int) -> float:
    """Mean exposure where every rank is as likely: 1.44 bits for many alternatives."""
    return float(np.log2(count + 1) - np.log2(np.arange(1, count + 2)).mean())
