"""What takers are asked for at an examination, in batches; and what comes of it.

Every answer and every likelihood that is wanted becomes a task; equal tasks are done once. Tasks are cut into batches of
one model, kind and beginning, and of like length, before anything is asked: what prompts have in common is then read once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from persllm.config import EvaluationSettings
from persllm.errors import PersllmError
from persllm.metrics import Likelihood
from persllm.metrics.consistency import has_turns
from persllm.records import Answer, Message, Record, Reply, Request, Sampling, TestItem, fingerprint
from persllm.store import Outcome
from persllm.takers import NO_LIKELIHOODS, Examinee, Opener, Taker

EMPTY = (Message(role="user", content=""),)
"""The prompt without person or question."""
CROWD = 8
"""A system message that so many tasks share makes batches of its own; rarer ones go together by how they begin."""
BEGINNING = 200
"""Characters of a rare system message by which it is put beside others."""


class Task(Record):
    """One thing a model is asked for: a reply, or how likely it finds a text."""

    model: str
    request: Request
    text: str | None = None
    """The text whose likelihood is wanted; None if a reply is."""


class Batch(Record):
    """Tasks of one kind for one model, done together or not at all."""

    tasks: tuple[Task, ...]


class Result(Record):
    """What became of a task."""

    task: str
    """Identity of the task."""
    reply: Reply | None = None
    total: float = 0.0
    tokens: int = 0
    error: str = ""


def answers_wanted(
    taker: Taker, items: Sequence[TestItem], settings: EvaluationSettings, seed: int
) -> Iterator[tuple[Answer, Task | None]]:
    """Blank answers of one taker with their tasks: a greedy one per item, and samples of the shared questions."""
    for item in items:
        if item.set == "general":
            continue
        for sample in range(settings.samples + 1 if item.set == "shared" else 1):
            sampling = sampling_of(item, sample, settings, seed)
            blank = Answer(taker=taker.name, item=item.id, sample=sample, text="")
            model = taker.models.get(item.persona)
            if model is None:
                yield blank.model_copy(update={"error": f"no model of {item.persona} was trained"}), None
            else:
                yield blank, Task(model=model, request=taker.request(item.messages, item.persona, item.stage, item.prefill, sampling))


def sampling_of(item: TestItem, sample: int, settings: EvaluationSettings, seed: int) -> Sampling:
    """How an answer is drawn. Every sample of every item has a seed of its own: a taker that is told of no stage would
    otherwise give two stages the very same answers.
    """
    if not sample:
        return Sampling(max_tokens=settings.max_tokens)
    own = int(fingerprint([seed, item.id, sample])[:8], 16)
    return Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens, seed=own)


def likelihoods_wanted(taker: Taker, items: Sequence[TestItem]) -> Iterator[tuple[Likelihood, Task | None]]:
    """Blank likelihoods of one taker with their tasks: every text of an item after the question and after nothing."""
    hosts = [(persona.id, stage.id) for persona in taker.personas.values() for stage in persona.stages]
    general = {item.id: hosts[place % len(hosts)] for place, item in enumerate(i for i in items if i.set == "general")}
    for item in items:
        persona, stage = general.get(item.id, (item.persona, item.stage))
        model = taker.models.get(persona)
        texts = [item.reference, *(candidate.text for candidate in item.candidates)] if item.candidates or item.id in general else []
        if not texts:
            continue
        requests = {
            "question": taker.request(item.messages, persona, stage, item.prefill),
            **({"plain": Request(messages=item.messages)} if item.id in general else {"nothing": Request(messages=EMPTY)}),
            **({"first": taker.request(first_turn(item), persona, stage)} if item.id not in general and has_turns(item) else {}),
        }
        for place, text in enumerate(texts):
            rest = continuation(text, item.prefill)
            for given, request in requests.items():
                whole = text if given == "first" else rest
                blank = Likelihood(taker=taker.name, item=item.id, place=place, given=given)
                why = NO_LIKELIHOODS if taker.api else "" if model else f"no model of {persona} was trained"
                yield (blank.model_copy(update={"error": why}), None) if why else (blank, Task(model=model, request=request, text=whole))


def first_turn(item: TestItem) -> tuple[Message, ...]:
    """The messages up to the first of the user's."""
    place = next(place for place, message in enumerate(item.messages) if message.role == "user")
    return item.messages[: place + 1]


def continuation(text: str, prefill: str) -> str:
    """A text as it goes on from words already said: their rest, or the whole text after a blank."""
    if not prefill:
        return text
    if text.startswith(prefill):
        return text[len(prefill) :]
    return text if prefill[-1:] > "\u2e7f" else f" {text}"


def batches(tasks: Sequence[Task], size: int) -> list[Batch]:
    """The tasks, each once, in batches of one model, kind and beginning, and of like length.

    Texts that are weighed after the same prompt come next to each other: a model that shares what prompts begin with
    then reads it once. Nothing here tells where the run stands: two runs cut the same batches.
    """
    unique = {task.identity: task for task in tasks}
    heads = Counter(map(system_of, unique.values()))

    def companions(task: Task) -> tuple[str, bool, bool, str]:
        head = system_of(task)
        alike = head if heads[head] >= CROWD else head[:BEGINNING]
        return task.model, task.text is not None, task.request.sampling.temperature > 0, alike

    def order(task: Task) -> tuple[Any, ...]:
        """Companions together, long prompts first, equal prompts next to each other, then long texts first."""
        return *companions(task), -length(task), task.request.identity, -len(task.text or ""), task.text or ""

    found: list[Batch] = []
    for _, members in groupby(sorted(unique.values(), key=order), key=companions):
        listed = list(members)
        found += [Batch(tasks=tuple(listed[start : start + size])) for start in range(0, len(listed), size)]
    return found


def system_of(task: Task) -> str:
    """The system message of a task; empty if it has none."""
    first, *_ = task.request.messages
    return first.content if first.role == "system" else ""


def length(task: Task) -> int:
    """Length of the prompt in characters."""
    return sum(len(message.content) for message in task.request.messages)


def carry_out(owed: Sequence[Batch], opener: Opener) -> Iterator[tuple[Batch, Outcome]]:
    """Every batch with its results; a model is loaded when its first batch is due."""
    for name, members in groupby(owed, key=lambda batch: batch.tasks[0].model):
        model = opener(name)
        for batch in members:
            done = replied(model, batch) if batch.tasks[0].text is None else weighed(model, batch)
            yield batch, (done, [])


def replied(model: Examinee, batch: Batch) -> list[Result]:
    """Replies to a batch."""
    found = dict(model.replies([task.request for task in batch.tasks]))
    return [Result(task=task.identity, reply=found[place]) for place, task in enumerate(batch.tasks)]


def weighed(model: Examinee, batch: Batch) -> list[Result]:
    """Likelihoods of a batch; if one of it cannot be taken, each is tried alone and the failure kept."""
    try:
        found = model.log_likelihoods([task.request for task in batch.tasks], [task.text or "" for task in batch.tasks])
    except PersllmError as error:
        if len(batch.tasks) == 1:
            return [Result(task=batch.tasks[0].identity, error=str(error))]
        return [result for task in batch.tasks for result in weighed(model, Batch(tasks=(task,)))]
    return [Result(task=task.identity, total=one.total, tokens=one.tokens) for task, one in zip(batch.tasks, found, strict=True)]


def answered(blank: Answer, task: Task | None, results: Mapping[str, Result]) -> Answer:
    """The blank answer filled in."""
    reply = results[task.identity].reply if task else None
    if reply is None:
        return blank
    return blank.model_copy(update={"text": reply.text, "thought": reply.thought, "error": reply.error})


def measured(blank: Likelihood, task: Task | None, results: Mapping[str, Result]) -> Likelihood:
    """The blank likelihood filled in."""
    if task is None:
        return blank
    result = results[task.identity]
    return blank.model_copy(update={"total": round(result.total, 6), "tokens": result.tokens, "error": result.error})
