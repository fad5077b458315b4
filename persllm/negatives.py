"""Wrong answers that a model gave itself: those of the untrained model, and those of the SFT model (on-policy).

Each question is asked a few times, and of somebody else where the contrast wants it: the same question to the person at
another stage, or to another person. An answer is used only if it can be told from the chosen one by its words and, where
a wrong answer is written, is more like that one. Answers are drawn in fixed batches with a seed each, so that a step
that was killed ends in the same answers.

Limits: words are compared, not meanings; a right answer in other words counts as wrong. With `own` read some pairs.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from persllm.config import DpoSettings, Recipe
from persllm.dataset import QUESTIONS
from persllm.embedding import MOST_OVERLAP, overlap
from persllm.languages import language
from persllm.records import Contrast, Conversation, Dropped, Message, Persona, Record, Request, Sampling, fingerprint
from persllm.store import Outcome, Progress, Run, StepFolder, silent

KNOWN_WRONG: dict[str, Contrast] = {"induction": "induction", "control": "control", "future": "future"}
"""Kind of a conversation -> its contrast."""
SAMPLED: tuple[Contrast, ...] = ("generic", "own")
"""Contrasts that have no written wrong answers."""
UNTRAINED = "base"
"""The model that answers as nobody."""
TUNED = "sft"
"""What a pair says of an answer that a tuned model of the run gave."""
CHUNK = 48
"""Answers drawn together."""
LEAST_LIKE = 0.3
"""Share of common words from which on an answer says what a written wrong one says."""
SPARE = 2
"""So many times more questions are asked than pairs are wanted, since not every answer is wrong."""


class Asking(Record):
    """A question put to a model for a wrong answer."""

    conversation: str
    """Identity of the conversation whose question it is."""
    contrast: Contrast
    messages: tuple[Message, ...]
    persona: str = ""
    """Who is told to answer; empty for the untrained model."""
    stage: str = ""
    sample: int = 0


class Chunk(Record):
    """Questions that one model answers in one batch."""

    model: str
    """`base`, or the name of a trained model of the run."""
    askings: tuple[Asking, ...]


class Sampled(Record):
    """An answer that came to its end."""

    conversation: str
    contrast: Contrast
    sample: int
    text: str


Opener = Callable[[str], Any]
"""Loads the model of that name, such as a `persllm.base.LocalModel`."""


def answers_of(
    run: Run, recipe: Recipe, conversations: Sequence[Conversation], personas: Sequence[Persona], model_of: Mapping[str, str], folder: StepFolder, progress: Progress
) -> "Answers":  # fmt: skip
    """What the models of a run answered, as far as the contrasts want it; kept below the folder of the step."""
    wanted = askings(conversations, personas, recipe.dpo, recipe.seed)
    if not wanted:
        return Answers()
    from persllm.base import LocalModel

    folders = {UNTRAINED: run.path / "0-base" / "model", **{name: run.path / "5-sft" / name / "model" for name in model_of.values()}}
    sampled = sample_answers(
        StepFolder(folder.path / "sampled"), wanted, model_of, lambda name: LocalModel.load(folders[name], threads=recipe.threads),
        recipe.dpo, recipe.seed, progress,
    )  # fmt: skip
    return Answers(sampled)


def suits(conversation: Conversation, contrast: Contrast) -> bool:
    """Whether a conversation can be the chosen side of a contrast."""
    if contrast in ("stage", "persona", *SAMPLED):
        return conversation.kind in (*QUESTIONS, "exchange")
    return KNOWN_WRONG.get(conversation.kind) == contrast and (bool(conversation.rejected) or contrast == "future")


def askings(conversations: Sequence[Conversation], personas: Sequence[Persona], settings: DpoSettings, seed: int) -> list[Asking]:
    """What is to be asked for the contrasts of the settings, as even over persons and stages as the data allow."""
    wanted = [contrast for contrast in settings.contrasts if contrast in SAMPLED or settings.negatives == "on-policy"]
    weights = {contrast: settings.shares.get(contrast, 1.0) for contrast in settings.contrasts}
    found: list[Asking] = []
    for contrast in wanted:
        quota = SPARE * math.ceil(settings.pairs * weights[contrast] / (sum(weights.values()) or 1.0))
        ranked = sorted((c for c in conversations if suits(c, contrast)), key=lambda c: fingerprint([seed, contrast, c.identity]))
        for conversation in evenly(ranked)[:quota]:
            found += asked(conversation, contrast, personas, settings.samples, seed)
    return found


def evenly(conversations: Sequence[Conversation]) -> list[Conversation]:
    """The conversations, taken in turn from every person and stage."""
    queues: dict[tuple[str, str], list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        queues[conversation.persona, conversation.stage].append(conversation)
    return [one for turn in zip_longest(*(queues[key] for key in sorted(queues))) for one in turn if one is not None]


def asked(conversation: Conversation, contrast: Contrast, personas: Sequence[Persona], samples: int, seed: int) -> list[Asking]:
    """The askings of one conversation: one for each sample, none if there is nobody else to ask."""
    own = (conversation.persona, conversation.stage)
    places = [(persona.id, stage.id) for persona in personas for stage in persona.stages]
    if contrast == "generic":
        told = [("", "")]
    elif contrast == "stage":
        told = [place for place in places if place[0] == own[0] and place != own]
    elif contrast == "persona":
        told = [place for place in places if place[0] != own[0]]
    else:
        told = [own]
    told.sort(key=lambda place: fingerprint([seed, conversation.identity, place]))
    return [
        Asking(
            conversation=conversation.identity, contrast=contrast, messages=conversation.prompt, persona=persona, stage=stage, sample=sample
        )
        for sample in range(samples if told else 0)
        for persona, stage in [told[sample % len(told)]]
    ]


def sample_answers(
    folder: StepFolder, wanted: Sequence[Asking], model_of: Mapping[str, str], opener: Opener, settings: DpoSettings, seed: int, progress: Progress = silent
) -> list[Sampled]:  # fmt: skip
    """The answers to what is asked; kept in a folder of their own, where a killed step goes on.

    `model_of` names the model of each person.
    """
    if not folder.finished:
        chunks = chunks_of(wanted, model_of)
        folder.fill(chunks, lambda owed: answer(owed, opener, settings, seed), progress)
        folder.finish(0.0, {"asked": len(wanted)})
    return folder.records(Sampled)


def chunks_of(wanted: Sequence[Asking], model_of: Mapping[str, str]) -> list[Chunk]:
    """The askings in batches, each for one model and of like length."""
    by_model: dict[str, list[Asking]] = defaultdict(list)
    for asking in wanted:
        by_model[model_of[asking.persona] if asking.persona else UNTRAINED].append(asking)
    chunks: list[Chunk] = []
    for name, members in sorted(by_model.items()):
        members.sort(key=lambda one: (sum(len(message.content) for message in one.messages), one.identity))
        chunks += [Chunk(model=name, askings=tuple(members[i : i + CHUNK])) for i in range(0, len(members), CHUNK)]
    return chunks


def answer(owed: Sequence[Chunk], opener: Opener, settings: DpoSettings, seed: int) -> Iterator[tuple[Chunk, Outcome]]:
    """Each batch with the answers that came to their end, and the others as dropped."""
    opened: tuple[str, Any] = ("", None)
    for chunk in owed:
        if opened[0] != chunk.model:
            opened = (chunk.model, opener(chunk.model))
        requests = [
            Request(
                messages=one.messages, persona=one.persona, stage=one.stage, sampling=sampling(settings, fingerprint([seed, one.sample]))
            )
            for one in chunk.askings
        ]
        replies = dict(opened[1].replies(requests, batch=CHUNK))
        records: list[Record] = []
        dropped: list[Dropped] = []
        for place, one in enumerate(chunk.askings):
            reply = replies[place]
            if reply.finish == "stop" and reply.text.strip():
                records.append(Sampled(conversation=one.conversation, contrast=one.contrast, sample=one.sample, text=reply.text.strip()))
            else:
                reason = "no sampled answer" if reply.finish == "stop" else "sampled answer without an end"
                dropped.append(Dropped(item=one.conversation, reason=reason, detail=reply.error or reply.text[:200]))
        yield chunk, (records, dropped)


def sampling(settings: DpoSettings, luck: str) -> Sampling:
    """How one answer is drawn."""
    return Sampling(temperature=settings.temperature, max_tokens=settings.answer_tokens, seed=int(luck[:8], 16))


class Answers:
    """The sampled answers by conversation and contrast, with what became of them."""

    def __init__(self, sampled: Sequence[Sampled] = ()):
        self.texts: dict[tuple[str, Contrast], list[str]] = defaultdict(list)
        for one in sorted(sampled, key=lambda one: one.sample):
            self.texts[one.conversation, one.contrast].append(one.text)
        self.counts = {"used": 0, "alike": 0}

    def wrong(self, conversation: Conversation, contrast: Contrast, code: str) -> str:
        """The first sampled answer that is wrong enough; empty if there is none."""
        words = language(code).words
        chosen, written = words(conversation.answer.content), words(conversation.rejected)
        for text in self.texts.get((conversation.identity, contrast), ()):
            said = words(text)
            near = overlap(said, chosen)
            known = written and contrast in KNOWN_WRONG.values()
            if near <= MOST_OVERLAP and (not known or overlap(said, written) >= max(LEAST_LIKE, near)):
                self.counts["used"] += 1
                return text
            self.counts["alike"] += 1
        return ""
