"""Answers in role, from what the person lived and knows, and from how the person speaks."""

from collections.abc import Sequence

from persllm.annotation import fault_of_answer, fault_of_input, marks, read_sections
from persllm.construct_llm.carrying import CALL_FAILED, Job, Made
from persllm.construct_llm.raising import CONTRASTED
from persllm.construct_llm.scene import Scene
from persllm.records import Conversation, Dropped, Material, Message, Question, Reply, Request
from persllm.retrieval import OBJECTIVE, SUBJECTIVE


class Answering:
    """Answers questions as one person."""

    def __init__(self, scene: Scene):
        self.scene = scene

    def answered(self, question: Question) -> Job:
        """One question answered in role; one repair of the form."""
        objective, subjective, evidence = self.shown(question)
        contrasted = question.kind in CONTRASTED
        wanted = marks(self.scene.code, contrasted)
        form = self.scene.say("form_mistaken" if contrasted else "form_answer", **dict(zip(("analysis", "response", "mistaken"), wanted)))
        request = self.ask_in_role(question, objective, subjective, form)
        [reply] = yield [request]
        missing = lacking(reply, wanted)
        if missing and reply.finish != "error":
            [reply] = yield [self.scene.again(request, reply, self.scene.say("repair_answer", problem=" ".join(missing), form=form))]
        return self.judged(question, reply, wanted, evidence)

    def shown(self, question: Question) -> tuple[str, str, list[Material]]:
        """What is known and how it is said, as told to the model, and the materials of both; the question's own comes first."""
        origin = self.scene.materials[question.material]
        evidence: dict[str, Material] = {origin.identity: origin}
        blocks = []
        for kinds, budget in ((OBJECTIVE, self.scene.settings.objective_words), (SUBJECTIVE, self.scene.settings.subjective_words)):
            ranked = self.scene.retriever.ranked(f"{question.text} {question.truth}", question.stage, self.scene.persona, kinds)
            ranked.sort(key=lambda material: material.identity != origin.identity)
            if question.material not in self.scene.held_out:
                ranked = [material for material in ranked if material.identity not in self.scene.held_out]
            found = self.scene.retriever.within(ranked, budget)
            evidence |= {whole.identity: whole for whole, _ in zip(ranked, found)}
            blocks.append("\n\n".join(self.scene.told_material(material) for material in found) or self.scene.say("none"))
        return blocks[0], blocks[1], list(evidence.values())

    def ask_in_role(self, question: Question, objective: str, subjective: str, form: str) -> Request:
        """The request for an answer."""
        stage = self.scene.told_stage(self.scene.persona.stage(question.stage))
        system = self.scene.say(
            "role",
            name=self.scene.persona.name,
            profile=self.scene.persona.profile,
            stage=stage,
            objective=objective,
            subjective=subjective,
        )
        words = {"input": question.text, "form": form}
        if question.kind == "induction":
            words |= {"claim": question.claim, "truth": question.truth}
        if question.kind == "control":
            words["claim"] = question.claim
        return self.scene.request(("system", system), ("user", self.scene.say(f"answer_{question.kind}", **words)))

    def judged(self, question: Question, reply: Reply, wanted: Sequence[str], evidence: list[Material]) -> Made:
        """The conversation, or why there is none."""
        found = read_sections(reply.text, wanted)
        thought, text, rejected = [found.get(mark, "") for mark in (*wanted, "")][:3]
        reason = fault_of_reply(reply, wanted) or fault_of_answer(text, question.text, self.scene.code)
        if not reason and rejected and (rejected == text or fault_of_input(rejected, self.scene.code)):
            reason = "no contrast"
        if reason:
            return [], [Dropped(item=question.identity, reason=reason, detail=reply.error or reply.text)]
        answer = Message(role="assistant", content=text, thought=thought)
        return [Conversation(
            persona=self.scene.persona.id, stage=question.stage, kind=question.kind, form=question.form, question=question.identity, group=question.group,
            messages=(Message(role="user", content=question.text), answer), evidence=tuple(material.identity for material in evidence),
            sources=tuple(dict.fromkeys(f"{self.scene.persona.id}/{material.source}" for material in evidence)), rejected=rejected,
            held_out=question.held_out, raw=reply.text,
        )], []  # fmt: skip


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
