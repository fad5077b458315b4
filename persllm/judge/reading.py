"""What a reply of the judge says. One that is no verdict is unscored, with the reason: never zero, never a tie."""

from persllm.annotation import read_json
from persllm.judge.asking import FORMS, LETTERS, Compared, Ranked, Scored, Sorted
from persllm.judge.records import Task, Verdict
from persllm.records import Reply

SHOWN = 200
"""Characters of an unreadable reply that are kept."""


def read(task: Task, reply: Reply) -> Verdict:
    """The verdict in a reply."""
    blank = Verdict(
        preset=task.preset, kind=task.kind, item=task.item, aspect=task.aspect, shown=task.shown, value="", asked=task.request.identity
    )
    if reply.finish == "error":
        return blank.model_copy(update={"reason": "call failed", "why": reply.error})
    try:
        said = read_json(reply.text, FORMS[task.kind])
        value = value_of(said, len(task.shown))
    except ValueError as error:
        return blank.model_copy(update={"reason": "unreadable", "why": f"{error}: {reply.text[:SHOWN]}"})
    return blank.model_copy(update={"value": value, "why": getattr(said, "why", "")})


def value_of(said: object, count: int) -> str:
    """The verdict in a word; ValueError if an order leaves a letter out or has another."""
    match said:
        case Sorted():
            return said.matter
        case Scored():
            return str(said.points)
        case Compared():
            return said.better
        case Ranked():
            if sorted(said.order) != list(LETTERS[:count]):
                raise ValueError(f"order: not each of {' '.join(LETTERS[:count])} once")
            return " ".join(said.order)
    raise ValueError("no verdict")
