"""Trials: something said to a person over one or several turns, what it answers itself, and how likely it finds the right and the
wrong end of it. Attacks and probes of time are such trials.

After the last turn a greedy answer is written, and both texts are weighed at the same place. Trials go in chunks that are
cut beforehand, so that one that was killed ends as an undisturbed one.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, Literal, TypeVar

from persllm.errors import PersllmError
from persllm.evaluation.tasks import continuation
from persllm.records import Message, Record, Reply, Sampling
from persllm.store import Outcome
from persllm.takers import NO_LIKELIHOODS, Examinee, Opener, Taker

CHUNK = 32
"""Trials that are carried out together."""


class Trial(Record):
    """What is put to a person, and what it should and should not say."""

    persona: str
    stage: str
    language: Literal["en", "zh"]
    turns: tuple[str, ...]
    """What is said, turn by turn; the person answers in between."""
    prefill: str = ""
    """Words put into the person's mouth at the last turn."""
    right: str
    """What the person should say at the end."""
    wrong: str
    also_right: tuple[str, ...] = ()
    """Other words for the right answer: the likeliest of all counts."""
    also_wrong: tuple[str, ...] = ()
    source: str
    """`persona/file:line`."""


T = TypeVar("T", bound=Trial)


class Chunk(Record, Generic[T]):
    """Trials on one model, done together or not at all."""

    trials: tuple[T, ...]


class Attempt(Record, Generic[T]):
    """A trial as it went."""

    taker: str
    trial: T
    talk: tuple[Message, ...]
    """All that was said, the person's own answers included; the last message is the final answer."""
    right: float | None = None
    """Log-likelihood per token of the right answer at the end, in its likeliest words."""
    wrong: float | None = None
    error: str = ""
    """Why there is no answer."""
    weighed: str = ""
    """Why there are no likelihoods."""

    @property
    def answers(self) -> list[str]:
        """What the person said, turn by turn."""
        return [message.content for message in self.talk if message.role == "assistant"]

    @property
    def prefers_right(self) -> bool | None:
        """Whether the right answer is likelier than the wrong one; None if they were not weighed."""
        return None if self.right is None or self.wrong is None else self.right > self.wrong

    @property
    def why(self) -> str:
        """Why something is missing; empty if nothing is."""
        return self.error or self.weighed


def chunks(taker: Taker, trials: Sequence[T]) -> list[Chunk[T]]:
    """The trials of one taker, cut by model and length of the talk."""
    groups: dict[tuple[str, int], list[T]] = {}
    for trial in trials:
        groups.setdefault((taker.models[trial.persona], len(trial.turns)), []).append(trial)
    return [
        Chunk(trials=tuple(members[start : start + CHUNK])) for _, members in sorted(groups.items()) for start in range(0, len(members), CHUNK)
    ]  # fmt: skip


def carry_out(taker: Taker, owed: Sequence[Chunk[T]], max_tokens: int, opener: Opener) -> Iterator[tuple[Chunk[T], Outcome]]:
    """Every chunk with its attempts; one model is in memory at a time."""
    opened, model = "", None
    for chunk in owed:
        folder = taker.models[chunk.trials[0].persona]
        if model is None or folder != opened:
            model = None
            opened, model = folder, opener(folder)
        yield chunk, (attempted(taker, chunk.trials, max_tokens, model), [])


def attempted(taker: Taker, trials: Sequence[T], max_tokens: int, model: Examinee) -> list[Attempt[T]]:
    """Trials of equally many turns, all turns one after the other."""
    talks: list[list[Message]] = [[] for _ in trials]
    errors = [""] * len(trials)
    for turn in range(len(trials[0].turns)):
        last = turn + 1 == len(trials[0].turns)
        going = [place for place, error in enumerate(errors) if not error]
        for place in going:
            talks[place].append(Message(role="user", content=trials[place].turns[turn]))
        sampling = Sampling(max_tokens=max_tokens)
        requests = [
            taker.request(talks[place], trials[place].persona, trials[place].stage, trials[place].prefill if last else "", sampling)
            for place in going
        ]
        for number, reply in model.replies(requests) if requests else ():
            errors[going[number]] = why_not(reply)
            talks[going[number]].append(Message(role="assistant", content=reply.text, thought=reply.thought))
    return [ended(taker, trial, talk, error, model) for trial, talk, error in zip(trials, talks, errors, strict=True)]


def why_not(reply: Reply) -> str:
    """Why a reply cannot be gone on from; empty if it can."""
    return reply.error or ("" if reply.text.strip() else "empty answer")


def ended(taker: Taker, trial: T, talk: Sequence[Message], error: str, model: Examinee) -> Attempt[T]:
    """An attempt with the likelihoods, per token, of the right and the wrong answer in place of its last words."""
    found = Attempt(taker=taker.name, trial=trial, talk=tuple(talk), error=error)
    if error or taker.api:
        return found if error else found.model_copy(update={"weighed": NO_LIKELIHOODS})
    request = taker.request(talk[:-1], trial.persona, trial.stage, trial.prefill)
    right, wrong = (trial.right, *trial.also_right), (trial.wrong, *trial.also_wrong)
    texts = [continuation(text, trial.prefill) for text in (*right, *wrong)]
    try:
        worth = [round(one.total / one.tokens, 6) for one in model.log_likelihoods([request] * len(texts), texts)]
    except PersllmError as reason:
        return found.model_copy(update={"weighed": str(reason)})
    return found.model_copy(update={"right": max(worth[: len(right)]), "wrong": max(worth[len(right) :])})
