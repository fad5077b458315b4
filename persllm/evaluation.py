"""The examination: takers answer, metrics score; answers and scores are separate files.

    test.jsonl           the items: constructed ones, and the hand-written gold
    answers.jsonl        one line per taker, item and sample
    likelihoods.jsonl    one line per taker, item and text
    scores.jsonl figures.jsonl differences.jsonl confusion.jsonl    made from the above, without any model

What is to be asked is cut into batches of like length before anything is asked, and a batch is answered whole or not at
all: so a killed examination ends with the same bytes as an undisturbed one, though padding moves sums in their last
digits. Equal tasks of two takers on one model are done once.

Limits: one model in memory at a time; the items are those of the dataset step and of gold.jsonl, no others.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from persllm.config import EvaluationSettings, Recipe
from persllm.errors import PersllmError
from persllm.gold import gold_items, spread_gold
from persllm.metrics import SHARES, Likelihood, Sitting, identification, score_all
from persllm.records import Answer, Conversation, Message, Persona, Record, Reply, Request, Sampling, TestItem, fingerprint
from persllm.statistics import differences, figures, relative_changes
from persllm.store import Outcome, Progress, Run, StepFolder, read_records, silent
from persllm.takers import Examinee, Opener, Taker, open_local, takers_of

PAIRS = (("prompted", "base"), ("sft", "base"), ("sft", "prompted"), ("dpo", "sft"), ("dpo", "prompted"))
"""Which takers are compared: the first less the second."""
EMPTY = (Message(role="user", content=""),)
"""The prompt without person or question."""


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


def evaluate(
    recipe: Recipe, run: Run, personas: Sequence[Persona], items: Sequence[TestItem], conversations: Sequence[Conversation],
    folder: StepFolder, progress: Progress = silent, opener: Opener | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let every taker of the recipe sit, score, and return facts for step.json.

    `items` are the constructed ones, `conversations` those trained on. `opener` loads a model by its folder.
    """
    settings = recipe.evaluation
    takers = takers_of(recipe, run, personas)
    asked = first_of_each_set(items, settings.items_per_set)
    if settings.gold:
        families = {c.form for c in conversations if c.kind == "induction"}
        folders = [Path(folder) for folder in recipe.personas]
        asked += spread_gold(gold_items(folders, personas, families), settings.gold_items_per_set)
    folder.write("test.jsonl", asked)
    answer(takers, asked, settings, folder, progress, opener or partial(open_local, threads=recipe.threads), recipe.seed)
    return score(takers, asked, personas, conversations, settings, folder, recipe.seed)


def first_of_each_set(items: Sequence[TestItem], most: int) -> list[TestItem]:
    """The first items of every test set; the dataset step has spread them over persons, stages and forms already."""
    counts: Counter[str] = Counter()
    kept = []
    for item in items:
        counts[item.set] += 1
        if counts[item.set] <= most:
            kept.append(item)
    return kept


# Answering -----------------------------------------------------------------------------------------------


def answer(
    takers: Sequence[Taker], items: Sequence[TestItem], settings: EvaluationSettings, folder: StepFolder, progress: Progress,
    opener: Opener, seed: int = 0,
) -> None:  # fmt: skip
    """Write answers.jsonl and likelihoods.jsonl, unless both are there."""
    if not all((folder.path / name).is_file() for name in ("answers.jsonl", "likelihoods.jsonl")):
        wanted_answers = [pair for taker in takers for pair in answers_wanted(taker, items, settings, seed)]
        wanted_likelihoods = [pair for taker in takers for pair in likelihoods_wanted(taker, items)]
        work = StepFolder(folder.path / "work")
        tasks = [task for _, task in (*wanted_answers, *wanted_likelihoods) if task]
        work.fill(batches(tasks, settings.batch), lambda owed: carry_out(owed, opener), progress)
        results = {result.task: result for result in work.records(Result)}
        folder.write("answers.jsonl", [answered(blank, task, results) for blank, task in wanted_answers])
        folder.write("likelihoods.jsonl", [measured(blank, task, results) for blank, task in wanted_likelihoods])
    shutil.rmtree(folder.path / "work", ignore_errors=True)


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
        for place, text in enumerate(texts):
            rest = continuation(text, item.prefill)
            requests = {
                "question": taker.request(item.messages, persona, stage, item.prefill),
                **({"plain": Request(messages=item.messages)} if item.id in general else {"nothing": Request(messages=EMPTY)}),
            }
            for given, request in requests.items():
                blank = Likelihood(taker=taker.name, item=item.id, place=place, given=given)
                if model is None:
                    yield blank.model_copy(update={"error": f"no model of {persona} was trained"}), None
                else:
                    yield blank, Task(model=model, request=request, text=rest)


def continuation(text: str, prefill: str) -> str:
    """A text as it goes on from words already said: their rest, or the whole text after a blank."""
    if not prefill:
        return text
    if text.startswith(prefill):
        return text[len(prefill) :]
    return text if prefill[-1:] > "\u2e7f" else f" {text}"


def batches(tasks: Sequence[Task], size: int) -> list[Batch]:
    """The tasks, each once, in batches of one model, kind and system message, and of like length.

    Texts that are weighed after the same prompt come next to each other: a model that shares what prompts begin with
    then reads it once.
    """
    unique = {task.identity: task for task in tasks}
    ordered = sorted(unique.values(), key=order)
    found: list[Batch] = []
    for _, members in groupby(ordered, key=companions):
        listed = list(members)
        found += [Batch(tasks=tuple(listed[start : start + size])) for start in range(0, len(listed), size)]
    return found


def order(task: Task) -> tuple[Any, ...]:
    """Companions together, long prompts first, equal prompts next to each other, then long texts first.

    Nothing here tells where the run stands: two runs cut the same batches.
    """
    return *companions(task), -length(task), task.request.identity, -len(task.text or ""), task.text or ""


def companions(task: Task) -> tuple[str, bool, bool, str]:
    """What the tasks of a batch have in common."""
    first, *_ = task.request.messages
    return task.model, task.text is not None, task.request.sampling.temperature > 0, first.content if first.role == "system" else ""


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


# Scoring -------------------------------------------------------------------------------------------------


def score(
    takers: Sequence[Taker], items: Sequence[TestItem], personas: Sequence[Persona], conversations: Sequence[Conversation],
    settings: EvaluationSettings, folder: StepFolder, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Scores, figures, differences and confusions from the answers on disk; asks no model. Returns facts for step.json."""
    found = sittings([taker.name for taker in takers], items, personas, folder)
    classifier = identification.fit(conversations)
    scores = [one for sitting in found for one in score_all(sitting, classifier)]
    references = identification.score_references(found[0], classifier) if found else []
    made = figures([*scores, *references], items, settings.bootstrap, seed, SHARES)
    made += relative_changes(scores, items, "general_loss", ("base", "plain"), "loss_change", settings.bootstrap, seed)
    folder.write("scores.jsonl", scores)
    folder.write("figures.jsonl", made)
    folder.write("differences.jsonl", differences(scores, items, PAIRS, settings.bootstrap, seed, SHARES))
    folder.write("confusion.jsonl", [one for sitting in found for one in identification.confusion(sitting, classifier)])
    unscored = sum(one.value is None for one in scores)
    return {"takers": [taker.name for taker in takers], "items": len(items), "scores": len(scores), "unscored": unscored}


def sittings(takers: Sequence[str], items: Sequence[TestItem], personas: Sequence[Persona], folder: StepFolder) -> list[Sitting]:
    """What each taker left on disk."""
    answers = read_records(folder.path / "answers.jsonl", Answer)
    likelihoods = read_records(folder.path / "likelihoods.jsonl", Likelihood)
    return [
        Sitting(
            taker=taker,
            items={item.id: item for item in items},
            personas={persona.id: persona for persona in personas},
            answers={(one.item, one.sample): one for one in answers if one.taker == taker},
            likelihoods={(one.item, one.place, one.given): one for one in likelihoods if one.taker == taker},
        )
        for taker in takers
    ]
