"""fidelity by meaning: the cosine of two vectors that an encoder gives, of the generated answer and of the reference.

A general encoder finds any two sentences of one language alike, and two of one person more so. `cosine_other` says how far:
it is the cosine of the reference with the reference of another question of the same person and set, which is what an answer
would get that is in character and beside the point. Only what `cosine` has above it is worth anything. Both are taken over
the same answers; without an encoder there is neither.
"""

from collections import defaultdict
from collections.abc import Iterable

from persllm.metrics.sitting import Said, Sitting
from persllm.records import Score, TestItem

METRICS: dict[Said, str] = {"answer": "cosine", "other": "cosine_other"}


def other_questions(items: Iterable[TestItem]) -> dict[str, TestItem]:
    """Id of an item -> the next one of its person and set, in their order and from the end to the beginning, that asks
    something else and has another reference; items that have none are left out. Other wordings ask the same.
    """
    places: dict[tuple[str, str], list[TestItem]] = defaultdict(list)
    for item in items:
        places[item.persona, item.set].append(item)
    found = {}
    for members in places.values():
        for place, item in enumerate(members):
            later = (*members[place + 1 :], *members[:place])
            other = next((one for one in later if question(one) != question(item) and one.reference != item.reference), None)
            if other is not None:
                found[item.id] = other
    return found


def question(item: TestItem) -> str:
    """What an item asks, however it is worded."""
    return f"group {item.group}" if item.group else item.messages[-1].content


def score(sitting: Sitting) -> list[Score]:
    """cosine and cosine_other of every greedy answer, if an encoder was asked."""
    if not sitting.cosines:
        return []
    found = []
    for item in sitting.items.values():
        if item.set == "general":
            continue
        silent = "" if sitting.text(item) else sitting.why_silent(item)
        for said, metric in METRICS.items():
            cosine = sitting.cosines.get((item.id, said))
            if silent or cosine is None:
                found.append(sitting.score(metric, item, None, silent or "no vector was asked for"))
            else:
                found.append(sitting.score(metric, item, cosine.value, cosine.error))
    return found
