"""Conversations made by a language model, as in the paper (section 3.2).

For every material and its stage the model raises questions, opinions, and inductions with a true twin each
(`control`); then it answers each in role, from materials retrieved for it: what the person lived and knows,
and how the person speaks, apart. The stage is said in every call. An induction also brings its wrong answer,
the premise accepted, and a control the truth denied: rejected answers whose contrast is certain.

An item is yielded as soon as all its calls are done. Items with a failed call come last, after one more try,
so that a run stopped by a failing server owes them again. Limits: what the model makes up beyond the
materials is forbidden by the prompt and not detected here.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from typing import TypeVar, get_args

from persllm.annotation import (
    FORMS,
    STANCES,
    InductionInput,
    Inputs,
    OpinionInput,
    fault_of_answer,
    fault_of_input,
    marks,
    read_inputs,
    read_sections,
)
from persllm.chat import ChatModel
from persllm.config import ConstructorSettings, InductionFamily
from persllm.errors import ModelError
from persllm.prompts import prompt
from persllm.records import (
    Conversation,
    Dropped,
    Material,
    Message,
    Persona,
    Question,
    Record,
    Reply,
    Request,
    Sampling,
    Stage,
    fingerprint,
)
from persllm.retrieval import OBJECTIVE, SUBJECTIVE, Retriever

Item = TypeVar("Item", bound=Record)
Made = tuple[list, list[Dropped]]
"""The records made of one item, and what was dropped on the way."""
Job = Generator[list[Request], list[Reply], Made]
"""The work on one item: asks for replies, gets them all, asks again or returns."""
CALL_FAILED = "call failed"
WINDOW = 256
"""Items under way at once: bounds the memory that their prompts take."""
STRIKES = 25
"""So many failed calls in a row mean that the server is gone, not that the calls are bad."""
HELD_OUT_SHARE = 5
"""One input in so many is kept for the test sets (the paper: one fifth)."""
CONTRASTED = ("induction", "control")


class LlmConstructor:
    """Raises questions about the materials of one person and answers them, through a model one talks to.

    Materials in `held_out` (identities) are retrieved only for questions that were raised from one of them, so
    that no answer that is trained on tells what the test sets keep.
    """

    def __init__(
        self,
        persona: Persona,
        materials: Sequence[Material],
        settings: ConstructorSettings,
        model: ChatModel,
        held_out: Collection[str] = (),
    ):
        self.persona, self.settings, self.model = persona, settings, model
        self.code = persona.language
        self.materials = {material.identity: material for material in materials if material.persona == persona.id}
        self.held_out = frozenset(held_out)
        self.retriever = Retriever(self.materials.values(), self.code)
        self.sampling = Sampling(temperature=settings.api.temperature, max_tokens=settings.api.max_tokens)

    def raise_questions(self, materials: Sequence[Material]) -> Iterator[tuple[Material, tuple[list[Question], list[Dropped]]]]:
        """Every material with the questions raised from it, as they are ready. ModelError if the model is of no use."""
        return carry_out(self.model, materials, self.raised)

    def answer_questions(self, questions: Sequence[Question]) -> Iterator[tuple[Question, tuple[list[Conversation], list[Dropped]]]]:
        """Every question with its conversation, as they are ready. ModelError if the model is of no use."""
        return carry_out(self.model, questions, self.answered)

    def say(self, prompt_name: str, **words: str) -> str:
        """A prompt in the person's language."""
        return prompt(self.code, prompt_name, **words)

    def request(self, *said: tuple[str, str]) -> Request:
        """A request from (role, text) pairs."""
        return Request(messages=tuple(Message(role=role, content=text) for role, text in said), sampling=self.sampling)

    def again(self, request: Request, reply: Reply, repair: str) -> Request:
        """The request to mend a reply that could not be read."""
        more = (Message(role="assistant", content=reply.text), Message(role="user", content=repair))
        return request.model_copy(update={"messages": (*request.messages, *more)})

    # What every call says ----------------------------------------------------------------------------------

    def told_stage(self, stage: Stage) -> str:
        """The stage in words: title, years, summary, and what is not known."""
        name, dates = self.persona.name, f"{stage.start}\u2013{stage.end}" if stage.start or stage.end else ""
        lines = [self.say("stage_title", name=name, title=(stage.title or stage.id).rstrip(".\u3002"))]
        if dates:
            lines.append(self.say("stage_dates", dates=dates))
        lines.append(stage.summary)
        if stage.unknown:
            comma = "\u3001" if self.code == "zh" else ", "
            lines.append(self.say("stage_unknown", name=name, unknown=comma.join(stage.unknown)))
        return "\n".join(line for line in lines if line)

    def told_material(self, material: Material) -> str:
        """A material with its kind, heading and date."""
        heading = [self.say(f"kind_{material.kind}"), *(part for part in dict.fromkeys((material.title, material.situation)) if part)]
        if material.date and material.date not in " ".join(heading):
            heading.append(material.date)
        return self.say("material", heading=" \u2013 ".join(heading), text=material.text)

    # Questions ---------------------------------------------------------------------------------------------

    def raised(self, material: Material) -> Job:
        """All inputs about one material: a call for each kind and stage, and one repair each."""
        stages = [stage for stage in self.persona.stages if material.stage in (None, stage.id)]
        asked = [(stage, kind) for stage in stages for kind in FORMS]
        requests = [self.ask_for(material, stage, kind) for stage, kind in asked]
        replies = yield requests
        found = [self.read(reply, material, *place) for reply, place in zip(replies, asked, strict=True)]
        broken = [i for i, one in enumerate(found) if isinstance(one, str) and replies[i].finish != "error"]
        if broken:
            mended = yield [self.again(requests[i], replies[i], self.say("repair_json", problem=str(found[i]))) for i in broken]
            for i, reply in zip(broken, mended, strict=True):
                replies[i], found[i] = reply, self.read(reply, material, *asked[i])
        questions: list[Question] = []
        dropped: list[Dropped] = []
        for (stage, kind), reply, one in zip(asked, replies, found, strict=True):
            if isinstance(one, str):
                dropped.append(self.lost(material, kind, stage, reply, one))
            else:
                self.sort_inputs(material, stage, kind, one, questions, dropped)
        return questions, dropped

    def ask_for(self, material: Material, stage: Stage, kind: str) -> Request:
        """The request for the inputs of one kind."""
        name = self.persona.name
        words = {"name": name, "material": self.told_material(material), "count": str(self.settings.questions_per_material)}
        if kind == "opinion":
            wanted = [STANCES[i % len(STANCES)] for i in range(self.settings.questions_per_material)]
            words["stances"] = numbered(self.say(f"stance_{stance}") for stance in wanted)
        if kind == "induction":
            families = self.families(material, stage)
            words["count"] = str(len(families))
            words["families"] = numbered(self.say(f"family_{family}") for family in families)
        system = self.say("annotator", name=name, profile=self.persona.profile, stage=self.told_stage(stage))
        return self.request(("system", system), ("user", self.say(kind, **words)))

    def families(self, material: Material, stage: Stage) -> list[str]:
        """Families of the inductions about a material: trained ones in turn, and one that stays unseen in training."""
        start = int(fingerprint([material.identity, stage.id]), 16)
        trained = list(self.settings.families)
        unseen = [family for family in get_args(InductionFamily) if family not in trained]
        chosen = [trained[(start + i) % len(trained)] for i in range(self.settings.questions_per_material)] if trained else []
        return [*chosen, *([unseen[start % len(unseen)]] if unseen else [])]

    def read(self, reply: Reply, material: Material, stage: Stage, kind: str) -> Inputs | str:
        """The inputs in a reply, or what is wrong with it."""
        if reply.finish == "error":
            return reply.error
        try:
            return read_inputs(reply.text, kind, self.families(material, stage))
        except ValueError as error:
            return str(error)

    def lost(self, material: Material, kind: str, stage: Stage, reply: Reply, problem: str) -> Dropped:
        """The record of a call that brought nothing."""
        reason = CALL_FAILED if reply.finish == "error" else "format"
        return Dropped(
            item=material.identity, reason=reason, detail=": ".join(part for part in (f"{kind} at {stage.id}", problem, reply.text) if part)
        )

    def sort_inputs(
        self, material: Material, stage: Stage, kind: str, found: Inputs, questions: list[Question], dropped: list[Dropped]
    ) -> None:
        """Inputs to questions, or to what is dropped: faulty ones, repeated ones, and those that did not come."""
        expected = len(self.families(material, stage)) if kind == "induction" else self.settings.questions_per_material
        for number, entry in enumerate(found.inputs[:expected]):
            for question in self.to_questions(material, stage, kind, number, entry):
                same = any(question.text == other.text and question.stage == other.stage for other in questions)
                reason = fault_of_input(question.text, self.code) or ("repeated" if same else "")
                if not reason and question.kind in CONTRASTED:
                    reason = "" if entry.claim.strip() and entry.truth.strip() and entry.claim != entry.truth else "no contrast"
                if reason:
                    dropped.append(Dropped(item=material.identity, reason=reason, detail=f"{question.kind} at {stage.id}: {question.text}"))
                else:
                    questions.append(question)
        if len(found.inputs) != expected:
            reason = "fewer than asked for" if len(found.inputs) < expected else "more than asked for"
            dropped.append(
                Dropped(item=material.identity, reason=reason, detail=f"{kind} at {stage.id}: {len(found.inputs)} of {expected}")
            )

    def to_questions(self, material: Material, stage: Stage, kind: str, number: int, entry: Record) -> list[Question]:
        """The question of an input; for an induction also its control."""
        group = f"{material.identity}:{stage.id}:{kind}:{number}"
        shared = {"persona": self.persona.id, "stage": stage.id, "material": material.identity}
        held = int(fingerprint(group), 16) % HELD_OUT_SHARE == 0
        if isinstance(entry, InductionInput):
            shared |= {"form": entry.family, "truth": entry.truth.strip(), "held_out": held or entry.family not in self.settings.families}
            return [
                Question(kind="induction", text=entry.text.strip(), claim=entry.claim.strip(), group=group, **shared),
                Question(kind="control", text=entry.control.strip(), claim=entry.truth.strip(), group=f"{group}:control", **shared),
            ]
        form = entry.stance if isinstance(entry, OpinionInput) else kind
        return [Question(kind=kind, text=entry.text.strip(), form=form, group=group, held_out=held, **shared)]

    # Answers -----------------------------------------------------------------------------------------------

    def answered(self, question: Question) -> Job:
        """One question answered in role; one repair of the form."""
        objective, subjective, evidence = self.shown(question)
        contrasted = question.kind in CONTRASTED
        wanted = marks(self.code, contrasted)
        form = self.say("form_mistaken" if contrasted else "form_answer", **dict(zip(("analysis", "response", "mistaken"), wanted)))
        request = self.ask_in_role(question, objective, subjective, form)
        [reply] = yield [request]
        missing = lacking(reply, wanted)
        if missing and reply.finish != "error":
            [reply] = yield [self.again(request, reply, self.say("repair_answer", problem=" ".join(missing), form=form))]
        return self.judged(question, reply, wanted, evidence)

    def shown(self, question: Question) -> tuple[str, str, list[Material]]:
        """What is known and how it is said, as told to the model, and the materials of both; the question's own comes first."""
        origin = self.materials[question.material]
        evidence: dict[str, Material] = {origin.identity: origin}
        blocks = []
        for kinds, budget in ((OBJECTIVE, self.settings.objective_words), (SUBJECTIVE, self.settings.subjective_words)):
            ranked = self.retriever.ranked(f"{question.text} {question.truth}", question.stage, self.persona, kinds)
            ranked.sort(key=lambda material: material.identity != origin.identity)
            if question.material not in self.held_out:
                ranked = [material for material in ranked if material.identity not in self.held_out]
            found = self.retriever.within(ranked, budget)
            evidence |= {whole.identity: whole for whole, _ in zip(ranked, found)}
            blocks.append("\n\n".join(self.told_material(material) for material in found) or self.say("none"))
        return blocks[0], blocks[1], list(evidence.values())

    def ask_in_role(self, question: Question, objective: str, subjective: str, form: str) -> Request:
        """The request for an answer."""
        stage = self.told_stage(self.persona.stage(question.stage))
        system = self.say(
            "role", name=self.persona.name, profile=self.persona.profile, stage=stage, objective=objective, subjective=subjective
        )
        words = {"input": question.text, "form": form}
        if question.kind == "induction":
            words |= {"claim": question.claim, "truth": question.truth}
        if question.kind == "control":
            words["claim"] = question.claim
        return self.request(("system", system), ("user", self.say(f"answer_{question.kind}", **words)))

    def judged(self, question: Question, reply: Reply, wanted: Sequence[str], evidence: list[Material]) -> Made:
        """The conversation, or why there is none."""
        found = read_sections(reply.text, wanted)
        thought, text, rejected = [found.get(mark, "") for mark in (*wanted, "")][:3]
        reason = fault_of_reply(reply, wanted) or fault_of_answer(text, question.text, self.code)
        if not reason and rejected and (rejected == text or fault_of_input(rejected, self.code)):
            reason = "no contrast"
        if reason:
            return [], [Dropped(item=question.identity, reason=reason, detail=reply.error or reply.text)]
        answer = Message(role="assistant", content=text, thought=thought)
        return [Conversation(
            persona=self.persona.id, stage=question.stage, kind=question.kind, form=question.form, question=question.identity, group=question.group,
            messages=(Message(role="user", content=question.text), answer), evidence=tuple(material.identity for material in evidence),
            sources=tuple(dict.fromkeys(f"{self.persona.id}/{material.source}" for material in evidence)), rejected=rejected,
            held_out=question.held_out, raw=reply.text,
        )], []  # fmt: skip


def numbered(lines: Iterator[str]) -> str:
    """Lines with numbers before them."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def lacking(reply: Reply, wanted: Sequence[str]) -> list[str]:
    """The marks that a reply lacks, or that have nothing behind them."""
    found = read_sections(reply.text, wanted)
    return [mark for mark in wanted if not found.get(mark)]


def fault_of_reply(reply: Reply, wanted: Sequence[str]) -> str:
    """Why a reply cannot be read as an answer; empty if it can."""
    if reply.finish == "error":
        return CALL_FAILED
    if reply.finish == "length":
        return "cut off"
    missing = lacking(reply, wanted)
    if not missing:
        return ""
    return "empty" if missing == [wanted[1]] and wanted[1] in read_sections(reply.text, wanted) else "format"


# Carrying out the work -------------------------------------------------------------------------------------


def carry_out(model: ChatModel, items: Sequence[Item], start: Callable[[Item], Job]) -> Iterator[tuple[Item, Made]]:
    """Do the job of every item and yield it when it is done; those with failed calls last, after one more try.

    ModelError if not a single call succeeds, or `STRIKES` in a row fail.
    """
    line = Line(model)
    failed: list[Item] = []
    for window in windows(items):
        for item, made in line.done(window, start):
            if any(entry.reason == CALL_FAILED for entry in made[1]):
                failed.append(item)
            else:
                yield item, made
    again: list[tuple[Item, Made]] = []
    for window in windows(failed):
        again += line.done(window, start)
    if line.last_error and not line.succeeded:
        raise ModelError(
            f"not one of the calls succeeded; the last failed with: {line.last_error}. Mend the server or constructor.api and run again."
        )
    yield from again


def windows(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in pieces that are worked on together."""
    return (items[place : place + WINDOW] for place in range(0, len(items), WINDOW))


class Line:
    """A line to the model, on which many jobs are carried out side by side."""

    def __init__(self, model: ChatModel):
        self.model = model
        self.succeeded, self.strikes, self.last_error = False, 0, ""

    def done(self, items: Sequence[Item], start: Callable[[Item], Job]) -> Iterator[tuple[Item, Made]]:
        """Every item with what its job returned, in the order in which the jobs end."""
        jobs = [(item, start(item)) for item in items]
        asked = {place: next(job) for place, (_, job) in enumerate(jobs)}
        while asked:
            coming, asked = asked, {}
            for place, replies in self.answers(coming):
                item, job = jobs[place]
                try:
                    asked[place] = job.send(replies)
                except StopIteration as end:
                    yield item, end.value

    def answers(self, asked: dict[int, list[Request]]) -> Iterator[tuple[int, list[Reply]]]:
        """(job, all its replies) as soon as the last of them is there."""
        places = [(job, number) for job, requests in asked.items() for number in range(len(requests))]
        got: dict[int, dict[int, Reply]] = {job: {} for job in asked}
        requests = [asked[job][number] for job, number in places]
        with closing(self.model.replies(requests)) as replies:
            for place, reply in replies:
                self.count(reply)
                job, number = places[place]
                got[job][number] = reply
                if len(got[job]) == len(asked[job]):
                    yield job, [got[job][n] for n in range(len(asked[job]))]

    def count(self, reply: Reply) -> None:
        """Keep the score of failures."""
        if reply.finish != "error":
            self.succeeded, self.strikes = True, 0
            return
        self.strikes, self.last_error = self.strikes + 1, reply.error
        if self.strikes >= STRIKES:
            raise ModelError(
                f"{self.strikes} calls in a row failed, the last with: {reply.error}. Finished items are kept: "
                f"mend the server or constructor.api and run again."
            )
