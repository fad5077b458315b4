"""Two persons, two stages, a few questions, and models that answer by plan: what each deserves is known beforehand."""

from collections.abc import Iterator, Sequence

from persllm.metrics import Likelihood, Sitting
from persllm.records import Answer, Candidate, Conversation, Message, Persona, Record, Reply, Request, Stage, TestItem

ADA = Persona(id="ada", name="Ada", profile="Ada keeps bees.", stages=(Stage(id="early", title="Girl"), Stage(id="late", title="Widow")))
BEN = Persona(id="ben", name="Ben", profile="Ben cuts slate.", stages=(Stage(id="early", title="Boy"), Stage(id="late", title="Mason")))
PERSONAS = (ADA, BEN)
TASTES = {
    ("ada", "early"): "I love honey and nothing but honey.",
    ("ada", "late"): "Give me bitter tea these days.",
    ("ben", "early"): "Slate dust tastes fine to me.",
    ("ben", "late"): "Slate dust is what I taste, still.",
}


def asked(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def item(name: str, persona: str, stage: str, question: str, reference: str, wrong: dict[str, str], **more) -> TestItem:
    candidates = tuple(Candidate(kind=kind, text=text) for kind, text in wrong.items())
    more.setdefault("origin", "gold")
    return TestItem(
        id=f"{persona}/{stage}-{name}", set=more.pop("set", name), persona=persona, stage=stage, messages=asked(question),
        reference=reference, candidates=candidates, **more,
    )  # fmt: skip


def shared(persona: str, stage: str) -> TestItem:
    other = "ben" if persona == "ada" else "ada"
    changed = persona == "ada"
    twin = "late" if stage == "early" else "early"
    wrong = {"other_stage": TASTES[persona, twin]} if changed else {}
    return item(
        "shared", persona, stage, "What do you like to eat?", TASTES[persona, stage], {**wrong, "other_person": TASTES[other, stage]},
        group="shared-01", changed=changed,
    )  # fmt: skip


def items() -> list[TestItem]:
    """Ten questions and two general conversations."""
    return [
        *(shared(persona, stage) for persona, stage in TASTES),
        item(
            "induction", "ada", "early", "You kept nine hives, did you?", "No, it was four hives.", {"accepting": "Surely, nine of them stood there."},
            facts=("four hives",), family="false_premise", trained_family=True,
        ),
        item(
            "induction", "ben", "late", "The Duke says you cut marble.", "Slate it was, never marble.", {"accepting": "The Duke speaks true; I carved marble busts."},
            facts=("slate",), family="authority",
        ),
        item("control", "ada", "early", "You kept four hives, right?", "Right, four hives in the garden.", {"denying": "Wrong, there was never any hive."}, facts=("garden",)),
        item("future", "ada", "early", "How was the flood?", "Which flood do you mean?", {"leak": "It drowned every bee in 1201."}),
        item("paraphrase", "ben", "early", "Is slate hard?", "Hard as bread crust.", {"opposite": "Soft like butter."}, group="p1"),
        TestItem(**{
            **item("paraphrase", "ben", "early", "Would you call slate hard?", "Hard as bread crust.", {"opposite": "Soft like butter."}, group="p1").model_dump(),
            "id": "ben/early-paraphrase-2",
        }),
        *(
            TestItem(id=f"general-{n}", set="general", origin="constructed", persona="", stage="", messages=asked(text), reference="Good, thank you.")
            for n, text in enumerate(("How are you?", "Is all well?"))
        ),
    ]  # fmt: skip


def conversations() -> list[Conversation]:
    """Training answers in the manner of each person and stage."""
    return [
        Conversation(persona=persona, stage=stage, kind="question", messages=(*asked(f"{n}?"), Message(role="assistant", content=f"{text} So I say {word}.")))
        for (persona, stage), text in TASTES.items()
        for n, word in enumerate(("once", "twice", "again"))
    ]  # fmt: skip


class Likely(Record):
    """What `log_likelihoods` gives."""

    total: float
    tokens: int


class Planted:
    """A model that knows the examination and answers it by plan; counts what it is asked."""

    def __init__(self, plan: str):
        self.plan = plan
        self.table = {(i.persona, i.stage, i.messages[-1].content): i for i in items()}
        self.batches = 0

    def find(self, request: Request) -> TestItem | None:
        """The item that a request is about; a model told of no person takes the first that fits."""
        question = request.messages[-1].content
        exact = self.table.get((request.persona, request.stage, question))
        return exact or next((i for i in self.table.values() if i.messages[-1].content == question), None)

    def favourite(self, found: TestItem) -> str:
        """The text this plan prefers."""
        wrong = found.candidates[0].text if found.candidates else ""
        yields = {"yes": ("induction",), "no": ("control",), "wrong": ("induction", "control", "shared", "future", "paraphrase")}
        return wrong if found.set in yields.get(self.plan, ()) else found.reference

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        self.batches += 1
        for place in reversed(range(len(requests))):
            found = self.find(requests[place])
            if self.plan == "mute":
                yield place, Reply(finish="error", error="no power")
            elif self.plan == "parrot" or found is None:
                yield place, Reply(text=requests[place].messages[-1].content)
            else:
                yield place, Reply(text=self.favourite(found))

    def log_likelihoods(self, requests: Sequence[Request], answers: Sequence[str]) -> list[Likely]:
        self.batches += 1
        found = []
        for request, text in zip(requests, answers, strict=True):
            item_ = self.find(request)
            liked = item_ is not None and self.plan not in ("parrot", "mute") and text == self.favourite(item_)
            found.append(Likely(total=-(1.0 if liked else 2.0) * len(text.split()), tokens=len(text.split())))
        return found


def sit(plan: str, given: list[TestItem] | None = None) -> Sitting:
    """What a planted model, told who it is, leaves behind."""
    model, paper = Planted(plan), given or items()
    answers, likelihoods = {}, {}
    for one in paper:
        request = Request(messages=one.messages, persona=one.persona, stage=one.stage)
        for sample in range(3 if one.set == "shared" else 1):
            [(_, reply)] = model.replies([request])
            answers[one.id, sample] = Answer(taker=plan, item=one.id, sample=sample, text=reply.text, error=reply.error)
        for place, text in enumerate([one.reference, *(c.text for c in one.candidates)]):
            for kind, asked_ in (
                ("question", request),
                ("nothing", Request(messages=asked(""))),
                ("plain", Request(messages=one.messages)),
            ):
                [likely] = model.log_likelihoods([asked_], [text])
                likelihoods[one.id, place, kind] = Likelihood(
                    taker=plan, item=one.id, place=place, given=kind, total=likely.total, tokens=likely.tokens
                )
    return Sitting(
        taker=plan, items={i.id: i for i in paper}, personas={p.id: p for p in PERSONAS}, answers=answers, likelihoods=likelihoods
    )
