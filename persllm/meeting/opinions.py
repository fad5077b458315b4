"""Consistency of opinion: the same questions before a meeting and after it.

Questions are those of the run's examination on opinions and attitudes at the seat's stage, asked greedily, once with
nothing said and once after the end of the meeting as the seat remembers it. Limits: likeness of words (chrF), not of
meaning; a model that cannot read a talk answers as if there were none, and keeps its opinion for that reason.
"""

from collections.abc import Sequence

from persllm.meeting.course import Meeting, replies_to
from persllm.meeting.ground import Ground, Grounds
from persllm.meeting.measures import Mark
from persllm.meeting.seats import Seat
from persllm.metrics.fidelity import closeness
from persllm.records import Message, TestItem

SETS = ("attitude", "shared", "paraphrase")
"""Test sets that ask for opinions where they are hand-written, the first ones preferred."""
QUESTIONS = 3
"""Questions for each seat."""
Asked = tuple[Meeting, int, TestItem]
"""A question to a seat of a meeting."""


def opinion_marks(meetings: Sequence[Meeting], grounds: Grounds) -> list[Mark]:
    """`opinion_kept` and `opinion_shift` of every question to every person of a run; a failure leaves no mark."""
    asked = [
        (meeting, place, item)
        for meeting in meetings
        for place, seat in enumerate(meeting.seats)
        if seat.persona
        for item in questions_to(seat, grounds.of(seat.run))
    ]
    before = answers(asked, with_talk=False)
    after = answers(asked, with_talk=True)
    return [
        mark
        for one, first, second in zip(asked, before, after, strict=True)
        if first and second
        for mark in marks_of_question(one, first, second)
    ]


def questions_to(seat: Seat, ground: Ground) -> list[TestItem]:
    """The hand-written questions to a seat: by sets, one of each group."""
    step = ground.run.step("8-evaluation")
    file = step.path / "test.jsonl"
    items = step.records(TestItem, "test.jsonl") if file.is_file() else []
    own = [
        item for item in items if (item.persona, item.stage) == (seat.persona, seat.stage) and item.set in SETS and item.origin == "gold"
    ]
    own.sort(key=lambda item: SETS.index(item.set))
    return list({item.group or item.id: item for item in reversed(own)}.values())[::-1][:QUESTIONS]


def answers(asked: Sequence[Asked], with_talk: bool) -> list[str]:
    """The likeliest answers, all questions to one model in one batch; empty for a failure."""
    requests = []
    for meeting, place, item in asked:
        seat = meeting.seats[place]
        talk = meeting.view(place) if with_talk else []
        if talk and talk[-1].role == "user" and item.messages[0].role == "user":
            joined = f"{talk[-1].content}\n{item.messages[0].content}"
            talk, rest = [*talk[:-1], Message(role="user", content=joined)], item.messages[1:]
        else:
            rest = item.messages
        sampling = seat.agent.sampling.model_copy(update={"temperature": 0.0, "max_tokens": meeting.scene.max_tokens})
        requests.append((seat, seat.agent.request([*talk, *rest], sampling=sampling)))
    said = replies_to(requests)
    return [said[place].text if place in said else "" for place in range(len(asked))]


def marks_of_question(asked: Asked, before: str, after: str) -> list[Mark]:
    """What one question shows."""
    meeting, _, item = asked
    values = {
        "opinion_kept": closeness(after, before),
        "opinion_shift": closeness(after, item.reference) - closeness(before, item.reference),
    }
    return [
        Mark(metric=metric, variant=meeting.variant, seed=meeting.seed, turn=0, value=round(value, 6)) for metric, value in values.items()
    ]
