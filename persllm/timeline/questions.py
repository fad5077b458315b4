"""The shared questions of the examination by stage: what must change, and what must not.

Where the truth changed, a person is right at a stage if it prefers that stage's answer to those of its other stages; where it did
not, if it prefers its own answer to those of others, at every stage alike. Nothing is asked: the scores are those of the examination.
"""

from collections.abc import Sequence

from persllm.records import Record, Score, TestItem
from persllm.store import Run

EXAMINATION = "8-evaluation"


class Question(Record):
    """A shared question of one taker at one stage."""

    taker: str
    text: str
    changed: bool
    """Whether the true answer differs between the stages of a person."""
    stage: str
    n: int
    """Persons to whom it was put."""
    right: float | None
    """Share of the persons that answer as they should."""


def questions_of(run: Run, takers: Sequence[str]) -> list[Question]:
    """Every shared question by taker, stage, and whether the truth changed; none without an examination."""
    folder = run.step(EXAMINATION)
    if not folder.finished:
        return []
    items = {item.id: item for item in folder.records(TestItem, "test.jsonl") if item.set == "shared" and item.changed is not None}
    values: dict[tuple[str, str, bool, str], list[float]] = {}
    for score in folder.records(Score, "scores.jsonl"):
        item = items.get(score.item)
        if item is None or score.value is None or score.taker not in takers:
            continue
        wanted = "other_stage" if item.changed else "other_person"
        if score.metric == "choice_against" and score.detail == wanted:
            values.setdefault((score.taker, item.messages[-1].content, bool(item.changed), item.stage), []).append(score.value)
    return [
        Question(taker=taker, text=text, changed=changed, stage=stage, n=len(found), right=round(sum(found) / len(found), 6))
        for (taker, text, changed, stage), found in values.items()
    ]
