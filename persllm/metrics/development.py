"""development: nothing known before its time, nothing stuck in the past.

`leak` is the preference of an answer that knows the future over one that does not, on questions about later events;
`stuck` the preference of an answer from the stage that is over. `leak_said` and `stuck_said` read the generated answer for
the words of the wrong one. Whether a person tells the stages apart where the truth changed is in `choice_against` with
the detail `other_stage`, and in `gap_stage` of distinction, groups `changed` and `unchanged`.

Limits: see `facts` for what the reading of answers cannot see.
"""

from persllm.metrics.choice import prefers_reference
from persllm.metrics.facts import leans_to
from persllm.metrics.sitting import Sitting
from persllm.records import Score, TestItem

KINDS = {"future": "leak", "past": "stuck"}
"""Test set -> kind of its wrong answer, which is also the metric's name."""


def score(sitting: Sitting) -> list[Score]:
    """leak and leak_said on probes of the future, stuck and stuck_said on those of the past."""
    return [one for item in sitting.items.values() if item.set in KINDS for one in scores_of(sitting, item)]


def scores_of(sitting: Sitting, item: TestItem) -> list[Score]:
    """Both scores of one probe."""
    kind = KINDS[item.set]
    right, reason = prefers_reference(sitting, item, kind)
    preferred = sitting.score(kind, item, None if right is None else not right, reason, chance=0.5)
    answer = sitting.text(item)
    wrong = next((candidate.text for candidate in item.candidates if candidate.kind == kind), "")
    if not answer:
        return [preferred, sitting.score(f"{kind}_said", item, None, sitting.why_silent(item))]
    said = leans_to(answer, wrong, item.reference, item.messages[-1].content, sitting.language(item))
    return [preferred, sitting.score(f"{kind}_said", item, said)]
