"""Inputs for a person: asked of the model for every material and stage, read strictly, sorted.

What comes later than a stage is named to the model as not to be asked about, and inputs of another kind, `future`,
ask for nothing else. Limits: by rule only the literal `unknown` phrases of persona.yaml are found in an input.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from persllm.annotation import FORMS, FutureInput, InductionInput, Inputs, OpinionInput, PlainInput, fault_of_input, read_inputs, schema
from persllm.construct_llm.carrying import CALL_FAILED, Job
from persllm.construct_llm.orders import Order, chance, orders_for
from persllm.construct_llm.scene import Scene
from persllm.records import Dropped, Material, Question, Record, Reply, Request, Stage, fingerprint

HELD_OUT_SHARE = 5
"""One input in so many is kept for the test sets (the paper: one fifth)."""
CONTRASTED = ("induction", "control")
KINDS = ("question", "opinion", "induction")
LEAST_PRESSING = 2
"""Utterances that must follow the first one for it to be pressure."""


@dataclass(frozen=True)
class Call:
    """One call to the model: inputs of one kind about a material at a stage."""

    material: Material
    stage: Stage
    kind: str
    orders: Sequence[Order]

    @property
    def place(self) -> str:
        """For whoever reads what was dropped."""
        return f"{self.kind} at {self.stage.id}"


class Raising:
    """Raises inputs of every kind about the materials of one person."""

    def __init__(self, scene: Scene):
        self.scene = scene

    def raised(self, material: Material) -> Job:
        """All inputs about one material: a call for each kind and stage, and one repair each."""
        calls = [call for call in self.calls(material) if call.orders]
        if not calls:
            return [], []
        requests = [self.ask_for(call) for call in calls]
        replies = yield requests
        found = [self.read(reply, call) for reply, call in zip(replies, calls, strict=True)]
        broken = [i for i, one in enumerate(found) if isinstance(one, str) and replies[i].finish != "error"]
        if broken:
            mended = yield [self.scene.again(requests[i], replies[i], self.scene.say("repair_json", problem=str(found[i]))) for i in broken]
            for i, reply in zip(broken, mended, strict=True):
                replies[i], found[i] = reply, self.read(reply, calls[i])
        questions: list[Question] = []
        dropped: list[Dropped] = []
        for call, reply, one in zip(calls, replies, found, strict=True):
            if isinstance(one, str):
                dropped.append(lost(call, reply, one))
            else:
                self.sort_inputs(call, one, questions, dropped)
        return [other for question in questions for other in (question, *self.crossed(question))], dropped

    def calls(self, material: Material) -> Iterable[Call]:
        """The calls that a material is owed."""
        persona, settings = self.scene.persona, self.scene.settings
        for stage in persona.stages:
            kinds: list[str] = []
            if material.stage in (None, stage.id):
                kinds = [*KINDS, *(["unknown"] if self.scene.is_first(material, stage) else [])]
            elif material.kind == "experience" and persona.order(stage.id) < persona.order(material.stage):
                kinds = ["future"]
            yield from (Call(material, stage, kind, orders_for(kind, material, stage, settings)) for kind in kinds)

    def ask_for(self, call: Call) -> Request:
        """The request for the inputs of one kind."""
        scene, name = self.scene, self.scene.persona.name
        words = {"name": name, "count": str(len(call.orders)), "orders": numbered(self.told(call.kind, order) for order in call.orders)}
        if call.kind != "unknown":
            words["material"] = scene.told_material(call.material)
        stage = "\n".join(
            part for part in (scene.told_stage(call.stage), "" if call.kind == "future" else scene.told_later(call.stage)) if part
        )
        system = scene.say("annotator", name=name, profile=scene.persona.profile, stage=stage)
        request = scene.request(("system", system), ("user", scene.say(call.kind, **words)))
        return request.model_copy(update={"json_schema": schema(FORMS[call.kind])})

    def told(self, kind: str, order: Order) -> str:
        """An order in words."""
        prefix = {"question": "angle", "opinion": "stance", "induction": "family"}.get(kind)
        what = self.scene.say(f"{prefix}_{order.form}") if prefix else f"{order.form}." if order.form else ""
        return self.scene.say("order", what=what, shape=self.scene.say(f"shape_{order.shape}")).strip()

    def read(self, reply: Reply, call: Call) -> Inputs | str:
        """The inputs in a reply, or what is wrong with it."""
        if reply.finish == "error":
            return reply.error
        try:
            return read_inputs(reply.text, call.kind, [order.form for order in call.orders])
        except ValueError as error:
            return str(error)

    def sort_inputs(self, call: Call, found: Inputs, questions: list[Question], dropped: list[Dropped]) -> None:
        """Inputs to questions, or to what is dropped: faulty ones, repeated ones, and those that did not come."""
        expected = len(call.orders)
        for number, entry in enumerate(found.inputs[:expected]):
            for question in self.to_questions(call, number, entry):
                same = any(question.text == other.text and question.stage == other.stage for other in questions)
                reason = self.fault(question, entry, call.stage) or ("repeated" if same else "")
                if reason:
                    dropped.append(
                        Dropped(item=call.material.identity, reason=reason, detail=f"{question.kind} at {call.stage.id}: {question.text}")
                    )
                else:
                    questions.append(question)
        if len(found.inputs) != expected:
            reason = "fewer than asked for" if len(found.inputs) < expected else "more than asked for"
            dropped.append(Dropped(item=call.material.identity, reason=reason, detail=f"{call.place}: {len(found.inputs)} of {expected}"))

    def fault(self, question: Question, entry: Record, stage: Stage) -> str:
        """Why a question cannot be used; empty if it can."""
        code = self.scene.code
        wrong = next(filter(None, (fault_of_input(text, code) for text in (question.text, *question.later))), "")
        if wrong:
            return wrong
        if isinstance(entry, InductionInput):
            if not entry.claim.strip() or not entry.truth.strip() or entry.claim == entry.truth:
                return "no contrast"
            if entry.family == "pressure" and len(question.later) < LEAST_PRESSING:
                return "no pressure over turns"
        if isinstance(entry, FutureInput):
            return "no topic" if not entry.topic.strip() else fault_of_input(entry.leak, code)
        known_later = [word for word in map(bare, stage.unknown) if word and word in question.text.lower()]
        return "asks for what is not yet known" if known_later and question.kind in ("question", "opinion") else ""

    def to_questions(self, call: Call, number: int, entry: Record) -> list[Question]:
        """The question of an input; for an induction also its control."""
        group = f"{call.material.identity}:{call.stage.id}:{call.kind}:{number}"
        held = int(fingerprint(group), 16) % HELD_OUT_SHARE == 0
        form = form_of(entry, call.kind)
        order = call.orders[number]
        shape = order.shape if order.form == form or call.kind in ("future", "unknown") else ""
        shared = {
            "persona": self.scene.persona.id,
            "stage": call.stage.id,
            "material": call.material.identity,
            "form": form,
            "shape": shape,
        }
        if isinstance(entry, InductionInput):
            unseen = entry.family not in self.scene.settings.families
            pressed = entry.family == "pressure"
            shared |= {"truth": entry.truth.strip(), "held_out": held or unseen}
            return [
                Question(kind="induction", text=entry.text.strip(), claim=entry.claim.strip(), group=group,
                         later=stripped(entry.pressing) if pressed else (), **shared),
                Question(kind="control", text=entry.control.strip(), claim=entry.truth.strip(), group=f"{group}:control",
                         later=stripped(entry.control_pressing) if pressed else (), **shared),
            ]  # fmt: skip
        if isinstance(entry, FutureInput):
            claim, leak = entry.topic.strip(), entry.leak.strip()
            return [Question(kind="future", text=entry.text.strip(), claim=claim, accepting=leak, group=group, held_out=held, **shared)]
        return [Question(kind=call.kind, text=entry.text.strip(), group=group, held_out=held, **shared)]

    def crossed(self, question: Question) -> Iterable[Question]:
        """The same question, put to the person at the other stages: pairs, and questions of the test set `stage`, come of it."""
        if question.kind not in ("question", "opinion") or question.material in self.scene.held_out:
            return
        if chance(question.group, "cross") < self.scene.settings.cross_stage:
            for stage in self.scene.persona.stages:
                if stage.id != question.stage:
                    yield question.model_copy(update={"stage": stage.id, "raised_at": question.stage})


def form_of(entry: Record, kind: str) -> str:
    """What an input is in its kind: angle, stance, family."""
    if isinstance(entry, PlainInput):
        return entry.angle
    if isinstance(entry, OpinionInput):
        return entry.stance
    return entry.family if isinstance(entry, InductionInput) else kind


def lost(call: Call, reply: Reply, problem: str) -> Dropped:
    """The record of a call that brought nothing."""
    reason = CALL_FAILED if reply.finish == "error" else "format"
    return Dropped(item=call.material.identity, reason=reason, detail=": ".join(part for part in (call.place, problem, reply.text) if part))


def stripped(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts without blanks around them."""
    return tuple(text.strip() for text in texts)


def bare(topic: str) -> str:
    """A topic as it is looked for: lower case, no article."""
    return topic.lower().removeprefix("the ").removeprefix("a ").strip()


def numbered(lines: Iterable[str]) -> str:
    """Lines with numbers before them."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
