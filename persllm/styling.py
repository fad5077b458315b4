"""General conversations told anew in a person's voice: what stands in the paper for the `stylised` baseline.

A task is a general exchange for one person at one stage. The model gets the person, the stage and how the person
talks, and says the same in that voice; or, where the person could not know it, that it is beyond the person. The
records are conversations of the kind `general` with person and stage: a training set by themselves
(`training.tune` takes them as they are), or mixed into another against rigidity (`mixture.stylised`).

Without a model only the opening can be changed, and only where it is one: a `yes` or `no` at the head of an
answer becomes the person's own (`voice` in persona.yaml), and what speaks of a year after the stage is declined;
the rest is not taken up. Limits: whether the person could know a thing, the model decides alone;
that a refusal gives nothing away is checked by words.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from persllm.annotation import Restyled, fault_of_answer, read_json, schema
from persllm.chat import ChatModel
from persllm.config import MixtureSettings
from persllm.construct_llm.carrying import CALL_FAILED, Job, Made, carry_out
from persllm.construct_llm.scene import Scene
from persllm.constructor_settings import ConstructorSettings
from persllm.embedding import overlap
from persllm.errors import ConfigError
from persllm.facts import pick
from persllm.general import is_held_out
from persllm.languages import detect, language
from persllm.records import Conversation, Dropped, Message, Persona, Record, Reply, fingerprint
from persllm.retrieval import SUBJECTIVE
from persllm.store import Progress, StepFolder, silent
from persllm.wordings import wordings

FOLDER = "stylised"
MOST_GIVEN_AWAY = 0.5
"""A refusal that shares more of its words than this with the answer gives it away."""
YES = re.compile(r"(?:Yes|是的|对|可以|能|会)[,，.。]\s*")
NO = re.compile(r"(?:No|不是|不对|不)[,，.。]\s*")
YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")


class Task(Record):
    """A general conversation that is to be told anew by a person at a stage."""

    persona: str
    stage: str
    general: Conversation


class Stylist(Protocol):
    """Tells general conversations anew as one person."""

    def suits(self, task: Task) -> bool:
        """Whether something can be made of a task at all."""

    def restyled(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
        """Every task with the conversation made of it, or with what was dropped."""


def tasks_for(persona: Persona, general: Sequence[Conversation], count: int, suits: Callable[[Task], bool]) -> list[Task]:
    """Up to `count` general conversations of the person's language for each stage; none that the test sets keep."""
    usable = [c for c in general if not is_held_out(c) and detect(c.messages[0].content) == persona.language]
    found: list[Task] = []
    for stage in persona.stages:
        ranked = sorted(usable, key=lambda c: fingerprint([persona.id, stage.id, c.identity]))
        tasks = (Task(persona=persona.id, stage=stage.id, general=c) for c in ranked)
        found += itertools.islice(filter(suits, tasks), count)
    return found


def fill(
    answers: StepFolder, stylists: Mapping[str, Stylist], personas: Sequence[Persona], general: Sequence[Conversation], count: int,
    progress: Progress = silent,
) -> int:  # fmt: skip
    """Tell `count` general conversations anew for each person and stage, in `stylised/` below the step's folder.

    Goes on where it was stopped; returns how many came of it.
    """
    folder = StepFolder(answers.path / FOLDER)

    def restyled(owed: list[Task]) -> Iterator[tuple[Task, Made]]:
        for persona in personas:
            yield from stylists[persona.id].restyled([task for task in owed if task.persona == persona.id])

    folder.fill([task for p in personas for task in tasks_for(p, general, count, stylists[p.id].suits)], restyled, progress)
    return len(folder.records(Conversation))


def stylised_of(answers: StepFolder) -> list[Conversation]:
    """The stylised conversations that the step `3-answers` made: the training set of the paper's baseline; none without the setting."""
    folder = StepFolder(answers.path / FOLDER)
    return folder.records(Conversation) if (folder.path / "records.jsonl").is_file() else []


def check_settings(personas: Sequence[Persona], constructor: ConstructorSettings, mixture: MixtureSettings) -> None:
    """ConfigError if stylised conversations are wanted that nothing makes."""
    if mixture.stylised and not constructor.stylised:
        raise ConfigError(
            "mixture.stylised needs constructor.stylised, how many general conversations are told anew; found 0. Set it, or leave both out."
        )
    if constructor.stylised and constructor.engine == "extractive":
        for persona in personas:
            PlainStylist(persona)


def conversation_of(task: Task, text: str, known: bool, raw: str = "") -> Conversation:
    """The record of a task that was done."""
    asked, _ = exchange(task)
    return Conversation(
        persona=task.persona, stage=task.stage, kind="general", form="restyled" if known else "declined", group=f"general:{task.general.identity}",
        messages=(Message(role="user", content=asked), Message(role="assistant", content=text)), raw=raw,
    )  # fmt: skip


def exchange(task: Task) -> tuple[str, str]:
    """What is asked and answered first in the general conversation."""
    asked, answer = [message.content for message in task.general.messages if message.role != "system"][:2]
    return asked, answer


# With a model --------------------------------------------------------------------------------------------


class LlmStylist:
    """Has a model tell general conversations anew, as one person."""

    def __init__(self, scene: Scene, model: ChatModel):
        self.scene, self.model = scene, model

    def suits(self, task: Task) -> bool:
        """A model can tell anything anew, or decline it."""
        return True

    def restyled(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
        """Every task with its outcome, as they are ready. ModelError if the model is of no use."""
        return carry_out(self.model, tasks, self.told)

    def told(self, task: Task) -> Job:
        """One task; one repair of the form."""
        scene, (asked, answer) = self.scene, exchange(task)
        persona, stage = scene.persona, scene.persona.stage(task.stage)
        ranked = [m for m in scene.retriever.ranked(asked, stage.id, persona, SUBJECTIVE) if m.identity not in scene.held_out]
        heard = scene.retriever.within(ranked, scene.settings.subjective_words)
        subjective = "\n\n".join(map(scene.told_material, heard)) or scene.say("none")
        system = scene.say(
            "restyle_system", name=persona.name, profile=persona.profile, stage=scene.told_stage(stage), subjective=subjective
        )
        request = scene.request(("system", system), ("user", scene.say("restyle", name=persona.name, input=asked, answer=answer)))
        request = request.model_copy(update={"json_schema": schema(Restyled)})
        [reply] = yield [request]
        found = read(reply)
        if isinstance(found, ValueError) and reply.finish != "error":
            [reply] = yield [scene.again(request, reply, scene.say("repair_json", problem=str(found)))]
            found = read(reply)
        return self.judged(task, reply, found)

    def judged(self, task: Task, reply: Reply, found: Restyled | ValueError) -> Made:
        """The conversation, or why there is none."""
        asked, answer = exchange(task)
        if isinstance(found, ValueError):
            reason, text = (CALL_FAILED if reply.finish == "error" else "format"), ""
        else:
            text = found.text.strip()
            reason = fault_of_answer(text, asked, self.scene.code)
        if not reason and text == answer:
            reason = "not told anew"
        words = language(self.scene.code).words
        if not reason and isinstance(found, Restyled) and not found.known and overlap(words(answer), words(text)) > MOST_GIVEN_AWAY:
            reason = "declined, and yet answered"
        if reason or isinstance(found, ValueError):
            return [], [Dropped(item=task.identity, reason=reason, detail=reply.error or reply.text)]
        return [conversation_of(task, text, found.known, reply.text)], []


def read(reply: Reply) -> Restyled | ValueError:
    """What a reply holds, or what is wrong with it."""
    try:
        return read_json(reply.text, Restyled)
    except ValueError as error:
        return error


# Without a model -----------------------------------------------------------------------------------------


class PlainStylist:
    """Puts a person's own openings in place of a plain yes or no. ConfigError if persona.yaml gives no `voice`."""

    def __init__(self, persona: Persona):
        self.persona, self.tools, self.words = persona, language(persona.language), wordings(persona.language)
        if not any(stage.voice.affirm or stage.voice.correct for stage in persona.stages):
            raise ConfigError(
                f"{persona.id}: constructor.stylised needs `voice` in persona.yaml (affirm, correct, unknown), or `constructor.engine: llm`."
            )

    def suits(self, task: Task) -> bool:
        """Whether there is an opening to change, or a year to decline."""
        return self.told(task) is not None

    def restyled(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Made]]:
        """Every task with its outcome."""
        for task in tasks:
            made = self.told(task)
            yield task, ([made], []) if made else ([], [Dropped(item=task.identity, reason="no opening to change")])

    def told(self, task: Task) -> Conversation | None:
        """One task by rule; None if no rule touches it."""
        asked, answer = exchange(task)
        stage = self.persona.stage(task.stage)
        end = YEAR.search(stage.end or stage.start)
        if end and any(int(year) > int(end[0]) for year in YEAR.findall(f"{asked} {answer}")):
            return conversation_of(task, pick(stage.voice.unknown or self.words.unknown, asked), known=False)
        for pattern, openings in ((YES, stage.voice.affirm), (NO, stage.voice.correct)):
            opening = pattern.match(answer)
            rest = answer[opening.end() :].strip() if opening else ""
            if openings and rest:
                return conversation_of(task, self.tools.join(pick(openings, asked), rest[:1].upper() + rest[1:]), known=True)
        return None
