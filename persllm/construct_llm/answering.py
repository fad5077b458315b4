"""Answers in role, from what the person lived and knows, and from how the person speaks; also over several turns.

Every answer is a conversation of its own, with the turns before it, so that each is trained once. Pressure goes on
as the input says; an ordinary talk goes on with what the model lets the other one say to the last answer.
"""

from collections.abc import Collection, Generator, Sequence

from persllm.annotation import NextInputs, fault_of_answer, fault_of_input, marks, read_inputs, read_sections, schema
from persllm.construct_llm.carrying import CALL_FAILED, Job
from persllm.construct_llm.examples import Examples
from persllm.construct_llm.orders import MOVES, chance
from persllm.construct_llm.raising import CONTRASTED
from persllm.construct_llm.scene import Scene
from persllm.records import Conversation, Dropped, Material, Message, Question, Reply, Request
from persllm.retrieval import OBJECTIVE, SUBJECTIVE, can_know

Turn = Generator[list[Request], list[Reply], Conversation | Dropped]
"""The work on one answer."""


class Answering:
    """Answers questions as one person."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.examples = Examples(scene)

    def answered(self, question: Question) -> Job:
        """A question with its answer and, where there are more turns, with the answers to these."""
        made: list[Conversation] = []
        said = [question.text, *question.later]
        talk: list[Message] = []
        for place, text in enumerate(said):
            one = yield from self.turn(question, talk, text)
            if isinstance(one, Dropped):
                return made, [one]
            talk = spoken(one)
            if place or not question.later:  # the first answer to pressure is not yet one under pressure
                made.append(one)
        for _ in range(self.further(question)):
            text = yield from self.next_word(question, talk)
            one = text if isinstance(text, Dropped) else (yield from self.turn(question, talk, text))
            if isinstance(one, Dropped):
                return made, [one]
            talk = spoken(one)
            made.append(one)
        return made, []

    def further(self, question: Question) -> int:
        """How many answers come after the first one in a talk that is not pressure."""
        settings = self.scene.settings
        if not self.may_go_on(question) or chance(question.identity, "follow") >= settings.follow_up:
            return 0
        return 1 + int(chance(question.identity, "turns") * (settings.turns - 1))

    def may_go_on(self, question: Question) -> bool:
        """Whether the talk can go on after the first answer."""
        return question.kind in ("question", "opinion") and not question.held_out and not question.raised_at

    def likely_further(self, question: Question) -> float:
        """The mean of `further` over many questions like this one."""
        settings = self.scene.settings
        return settings.follow_up * settings.turns / 2 if self.may_go_on(question) else 0.0

    def next_word(self, question: Question, talk: Sequence[Message]) -> Generator[list[Request], list[Reply], str | Dropped]:
        """What the other one says to the last answer."""
        scene, name = self.scene, self.scene.persona.name
        move = MOVES[int(chance(question.identity, len(talk), "move") * len(MOVES))]
        words = {
            "name": name, "move": scene.say(f"move_{move}", **({"name": name} if move == "own" else {})),
            "talk": "\n".join(
                scene.say("said_by_other", text=m.content) if m.role == "user" else scene.say("said_by_person", name=name, text=m.content)
                for m in talk
            ),
        }  # fmt: skip
        stage = scene.told_stage(scene.persona.stage(question.stage))
        system = scene.say("annotator", name=name, profile=scene.persona.profile, stage=stage)
        request = scene.request(("system", system), ("user", scene.say("follow", **words)))
        request = request.model_copy(update={"json_schema": schema(NextInputs)})
        [reply] = yield [request]
        found = next_text(reply)
        if isinstance(found, ValueError) and reply.finish != "error":
            [reply] = yield [scene.again(request, reply, scene.say("repair_json", problem=str(found)))]
            found = next_text(reply)
        reason = (
            CALL_FAILED if reply.finish == "error" else "format" if isinstance(found, ValueError) else fault_of_input(found, scene.code)
        )
        if not reason and found in [message.content for message in talk]:
            reason = "repeated"
        return Dropped(item=question.identity, reason=reason, detail=reply.error or reply.text) if reason else str(found)

    def turn(self, question: Question, talk: Sequence[Message], text: str) -> Turn:
        """One answer; one repair of the form."""
        objective, subjective, evidence = self.shown(question, text)
        contrasted = question.kind in CONTRASTED
        wanted = marks(self.scene.code, contrasted)
        form = self.scene.say("form_mistaken" if contrasted else "form_answer", **dict(zip(("analysis", "response", "mistaken"), wanted)))
        request = self.ask_in_role(question, talk, text, objective, subjective, form)
        [reply] = yield [request]
        missing = lacking(reply, wanted)
        if missing and reply.finish != "error":
            [reply] = yield [self.scene.again(request, reply, self.scene.say("repair_answer", problem=" ".join(missing), form=form))]
        return self.judged(question, [*talk, Message(role="user", content=text)], reply, wanted, evidence)

    def shown(self, question: Question, text: str) -> tuple[str, str, list[Material]]:
        """What is known and how it is said, as told to the model, and the materials of both; the question's own comes first.

        The question's own is shown only if it can be known at the stage; a question about the future keeps it among
        its evidence all the same, since the split of the data follows the evidence.
        """
        scene, settings = self.scene, self.scene.settings
        origin = scene.materials[question.material]
        knowable = can_know(origin, question.stage, scene.persona)
        evidence: dict[str, Material] = {origin.identity: origin} if knowable or question.kind == "future" else {}
        spared = frozenset() if question.material in scene.held_out else scene.held_out
        blocks = []
        for kinds, budget in ((OBJECTIVE, settings.objective_words), (SUBJECTIVE, settings.subjective_words)):
            found, whole = self.retrieved(f"{question.text} {text} {question.truth}", question, kinds, budget, spared)
            evidence |= {material.identity: material for material in whole}
            blocks.append("\n\n".join(scene.told_material(material) for material in found) or scene.say("none"))
        return blocks[0], blocks[1], list(evidence.values())

    def retrieved(
        self, query: str, question: Question, kinds: Sequence, budget: int, spared: Collection[str]
    ) -> tuple[list[Material], list[Material]]:
        """The materials of some kinds within a budget, the last perhaps cut, and the same ones whole."""
        scene = self.scene
        ranked = scene.retriever.ranked(query, question.stage, scene.persona, kinds)
        ranked.sort(key=lambda material: material.identity != question.material)
        ranked = [material for material in ranked if material.identity not in spared]
        found = scene.retriever.within(ranked, budget)
        return found, ranked[: len(found)]

    def ask_in_role(self, question: Question, talk: Sequence[Message], text: str, objective: str, subjective: str, form: str) -> Request:
        """The request for an answer, with the turns before it."""
        scene = self.scene
        system = scene.say(
            "role", name=scene.persona.name, profile=scene.persona.profile, stage=scene.told_stage(scene.persona.stage(question.stage)),
            objective=objective, subjective=subjective, examples=self.examples.at(question.stage, question.material),
        )  # fmt: skip
        words = {"input": text, "form": form}
        if question.kind == "induction":
            words |= {"claim": question.claim, "truth": question.truth}
        if question.kind == "control":
            words["claim"] = question.claim
        if question.kind == "future":
            words["topic"] = question.claim
        before = [(message.role, message.content) for message in talk]
        return scene.request(("system", system), *before, ("user", scene.say(f"answer_{question.kind}", **words)))

    def judged(
        self, question: Question, asked: Sequence[Message], reply: Reply, wanted: Sequence[str], evidence: list[Material]
    ) -> Conversation | Dropped:
        """The conversation, or why there is none."""
        found = read_sections(reply.text, wanted)
        thought, text, rejected = [found.get(mark, "") for mark in (*wanted, "")][:3]
        reason = fault_of_reply(reply, wanted) or fault_of_answer(text, asked[-1].content, self.scene.code)
        if not reason and any(text == message.content for message in asked):
            reason = "repeated"
        if not reason and rejected and (rejected == text or fault_of_input(rejected, self.scene.code)):
            reason = "no contrast"
        if reason:
            return Dropped(item=question.identity, reason=reason, detail=reply.error or reply.text)
        persona, further = self.scene.persona.id, len(asked) > 1 and not question.later
        return Conversation(
            persona=persona, stage=question.stage, kind=question.kind, form="follow" if further else question.form, question=question.identity,
            group=question.group, messages=(*asked, Message(role="assistant", content=text, thought=thought)),
            evidence=tuple(material.identity for material in evidence), held_out=question.held_out, raw=reply.text,
            sources=tuple(dict.fromkeys(f"{persona}/{material.source}" for material in evidence)),
            rejected=question.accepting if question.kind == "future" else rejected,
        )  # fmt: skip


def spoken(conversation: Conversation) -> list[Message]:
    """The talk up to and with the last answer, without its analysis."""
    return [*conversation.prompt, Message(role="assistant", content=conversation.answer.content)]


def next_text(reply: Reply) -> str | ValueError:
    """The next word in a reply, or what is wrong with it."""
    try:
        found = read_inputs(reply.text, "follow")
    except ValueError as error:
        return error
    return found.inputs[0].text.strip() if isinstance(found, NextInputs) else ""


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
