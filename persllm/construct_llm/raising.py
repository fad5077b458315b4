"""Inputs for a person: asked of the model for every material and stage, read strictly, sorted."""

from collections.abc import Iterator
from typing import get_args

from persllm.annotation import FORMS, STANCES, InductionInput, Inputs, OpinionInput, fault_of_input, read_inputs
from persllm.config import InductionFamily
from persllm.construct_llm.carrying import CALL_FAILED, Job
from persllm.construct_llm.scene import Scene
from persllm.records import Dropped, Material, Question, Record, Reply, Request, Stage, fingerprint

HELD_OUT_SHARE = 5
"""One input in so many is kept for the test sets (the paper: one fifth)."""
CONTRASTED = ("induction", "control")


class Raising:
    """Raises questions, opinions and inductions about the materials of one person."""

    def __init__(self, scene: Scene):
        self.scene = scene

    def raised(self, material: Material) -> Job:
        """All inputs about one material: a call for each kind and stage, and one repair each."""
        stages = [stage for stage in self.scene.persona.stages if material.stage in (None, stage.id)]
        asked = [(stage, kind) for stage in stages for kind in FORMS]
        requests = [self.ask_for(material, stage, kind) for stage, kind in asked]
        replies = yield requests
        found = [self.read(reply, material, *place) for reply, place in zip(replies, asked, strict=True)]
        broken = [i for i, one in enumerate(found) if isinstance(one, str) and replies[i].finish != "error"]
        if broken:
            mended = yield [self.scene.again(requests[i], replies[i], self.scene.say("repair_json", problem=str(found[i]))) for i in broken]
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
        name = self.scene.persona.name
        words = {"name": name, "material": self.scene.told_material(material), "count": str(self.scene.settings.questions_per_material)}
        if kind == "opinion":
            wanted = [STANCES[i % len(STANCES)] for i in range(self.scene.settings.questions_per_material)]
            words["stances"] = numbered(self.scene.say(f"stance_{stance}") for stance in wanted)
        if kind == "induction":
            families = self.families(material, stage)
            words["count"] = str(len(families))
            words["families"] = numbered(self.scene.say(f"family_{family}") for family in families)
        system = self.scene.say("annotator", name=name, profile=self.scene.persona.profile, stage=self.scene.told_stage(stage))
        return self.scene.request(("system", system), ("user", self.scene.say(kind, **words)))

    def families(self, material: Material, stage: Stage) -> list[str]:
        """Families of the inductions about a material: trained ones in turn, and one that stays unseen in training."""
        start = int(fingerprint([material.identity, stage.id]), 16)
        trained = list(self.scene.settings.families)
        unseen = [family for family in get_args(InductionFamily) if family not in trained]
        chosen = [trained[(start + i) % len(trained)] for i in range(self.scene.settings.questions_per_material)] if trained else []
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
        expected = len(self.families(material, stage)) if kind == "induction" else self.scene.settings.questions_per_material
        for number, entry in enumerate(found.inputs[:expected]):
            for question in self.to_questions(material, stage, kind, number, entry):
                same = any(question.text == other.text and question.stage == other.stage for other in questions)
                reason = fault_of_input(question.text, self.scene.code) or ("repeated" if same else "")
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
        shared = {"persona": self.scene.persona.id, "stage": stage.id, "material": material.identity}
        held = int(fingerprint(group), 16) % HELD_OUT_SHARE == 0
        if isinstance(entry, InductionInput):
            shared |= {
                "form": entry.family,
                "truth": entry.truth.strip(),
                "held_out": held or entry.family not in self.scene.settings.families,
            }
            return [
                Question(kind="induction", text=entry.text.strip(), claim=entry.claim.strip(), group=group, **shared),
                Question(kind="control", text=entry.control.strip(), claim=entry.truth.strip(), group=f"{group}:control", **shared),
            ]
        form = entry.stance if isinstance(entry, OpinionInput) else kind
        return [Question(kind=kind, text=entry.text.strip(), form=form, group=group, held_out=held, **shared)]


def numbered(lines: Iterator[str]) -> str:
    """Lines with numbers before them."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
