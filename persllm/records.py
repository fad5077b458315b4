"""The frozen records that cross a boundary between two parts of the program.

No dicts travel between functions and nothing depends on the position of a line. A record's `identity` is
a hash of its content: equal content is the same thing, wherever it was made.
"""

import hashlib
import json
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

MaterialKind = Literal["speech", "experience", "knowledge"]
QuestionKind = Literal["exchange", "question", "opinion", "induction", "control", "future"]
Contrast = Literal["stage", "persona", "induction", "control", "future", "generic", "own", "correction"]
TestSet = Literal[
    "recall", "generalisation", "stage", "future", "past", "induction", "control", "paraphrase", "attitude",
    "knowledge", "shared", "general", "correction",
]  # fmt: skip


class Record(BaseModel):
    """Base of all records: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @cached_property
    def identity(self) -> str:
        """First 16 hex digits of the SHA-256 of the record's canonical JSON."""
        return fingerprint(self.model_dump(mode="json"))

    def model_copy(self, **changes: Any) -> Self:
        """A copy with changes; it has an identity of its own."""
        copy = super().model_copy(**changes)
        copy.__dict__.pop("identity", None)
        return copy


def fingerprint(value: object) -> str:
    """Hash of any JSON-like value, independent of the order of keys: 16 hex digits."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class Voice(Record):
    """Short phrases in a person's own manner; the extractive constructor opens answers with them."""

    affirm: tuple[str, ...] = ()
    """Openings that confirm a true statement."""
    correct: tuple[str, ...] = ()
    """Openings that contradict a false one."""
    unknown: tuple[str, ...] = ()
    """Openings that say: I know nothing of that."""


class Stage(Record):
    """One period of a person's life."""

    id: str
    """Short name, unique within the person; becomes the stage token `<|stage:ID|>`."""
    title: str = ""
    """What the person is in this period, in a few words."""
    summary: str = ""
    """Two or three sentences: what the person is and thinks at this stage."""
    start: str = ""
    """First day, as YYYY, YYYY-MM or YYYY-MM-DD; empty if the stage is ordered but undated."""
    end: str = ""
    """Last day, in the same form."""
    unknown: tuple[str, ...] = ()
    """What is not yet, or never, known at this stage: short noun phrases."""
    voice: Voice = Voice()


class Persona(Record):
    """A person: who they are at every stage, and the stages in order of time."""

    id: str
    """The name of the folder: lower case letters, digits, hyphens."""
    name: str
    aliases: tuple[str, ...] = ()
    """Other forms by which the materials name the person."""
    pronouns: Literal["she", "he", "they"] = "they"
    """How the materials speak of the person; used to turn them to the first person."""
    language: Literal["en", "zh"] = "en"
    profile: str
    """Third person, true at every stage."""
    stages: tuple[Stage, ...]

    def stage(self, stage_id: str) -> Stage:
        """The stage of that id; KeyError if there is none."""
        return {stage.id: stage for stage in self.stages}[stage_id]

    def order(self, stage_id: str) -> int:
        """Position of a stage in time, from 0."""
        return [stage.id for stage in self.stages].index(stage_id)


class Turn(Record):
    """One utterance of an exchange."""

    speaker: str
    to: str = ""
    """The addressee, as far as the source tells."""
    text: str


class Material(Record):
    """One piece of what the user gives: an exchange, an episode, an article."""

    persona: str
    kind: MaterialKind
    stage: str | None
    """The stage it belongs to; None for what holds at every stage."""
    title: str = ""
    text: str
    """The whole text; for an exchange the turns as `Name: words` lines."""
    turns: tuple[Turn, ...] = ()
    """The utterances of an exchange; empty for everything else."""
    date: str = ""
    situation: str = ""
    """Where, when and after what an exchange was held."""
    source: str
    """`file:line` relative to the persona's folder."""
    origin: str = ""
    """`file:line` of the book or chat it was taken from, or `file:first-last`; empty if it was written in the folder."""

    @cached_property
    def identity(self) -> str:
        """Hash of the content; where it was taken from does not make it another material."""
        return fingerprint(self.model_dump(mode="json", exclude={"origin"}))


class Question(Record):
    """An input to which the person shall answer."""

    persona: str
    stage: str
    kind: QuestionKind
    text: str
    material: str
    """Identity of the material it was raised from."""
    form: str = ""
    """The wording or the family it follows, such as `topic`, `when` or `false_premise`."""
    shape: str = ""
    """How it was to be put, such as `short`, `indirect` or `letter`; empty if not known."""
    later: tuple[str, ...] = ()
    """What the other one goes on to say, once after each answer: pressure over several turns."""
    raised_at: str = ""
    """The stage for which it was raised, if the person is asked it at another one."""
    claim: str = ""
    """For inductions and controls: the statement the question rests on; for `future`: what is not yet known."""
    truth: str = ""
    """What the material says about it, in the first person; empty if the constructor is to find it."""
    accepting: str = ""
    """For inductions: an answer that swallows the premise, for controls: one that denies it, for `future`: one that knows."""
    group: str = ""
    """Questions of one group have one meaning."""
    held_out: bool = False
    """True if the wording is reserved for the test sets."""


class Message(Record):
    """One message of a conversation, in the roles of the chat completions API."""

    role: Literal["system", "user", "assistant"]
    content: str
    thought: str = ""
    """The analysis before an answer; never shown unless asked for."""


class Conversation(Record):
    """What is trained on: messages that end with an answer of the person."""

    persona: str
    """Id of the person; empty for general data."""
    stage: str
    kind: QuestionKind | Literal["general"]
    messages: tuple[Message, ...]
    form: str = ""
    question: str = ""
    """Identity of the question."""
    group: str = ""
    evidence: tuple[str, ...] = ()
    """Identities of the materials the answer rests on."""
    sources: tuple[str, ...] = ()
    """`persona/file:line` of the same."""
    rejected: str = ""
    """A known wrong answer (the premise accepted, a truth denied), for preference pairs and tests."""
    held_out: bool = False
    raw: str = ""
    """The reply of the annotating model as it came."""

    @property
    def answer(self) -> Message:
        """The last message."""
        return self.messages[-1]

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the last message."""
        return self.messages[:-1]


class PreferencePair(Record):
    """Two answers to one prompt, of which the first is the person's own."""

    persona: str
    stage: str
    prompt: tuple[Message, ...]
    chosen: Message
    rejected: Message
    contrast: Contrast
    """What makes the rejected answer wrong."""
    chosen_from: str
    """Identity of the conversation the chosen answer comes from."""
    rejected_from: str = ""
    """Identity of the conversation the rejected one comes from, or the model that gave it: `base` or `sft`."""


class Candidate(Record):
    """A wrong answer offered beside the reference."""

    kind: str
    """`other_stage`, `other_person`, `accepting`, `denying`, `opposite`, `confusion`, `leak`, `stuck`, `generic`."""
    text: str


class TestItem(Record):
    """One question of an examination, with the reference and the wrong answers."""

    __test__ = False

    id: str
    set: TestSet
    origin: Literal["constructed", "gold"]
    persona: str
    """Empty for general items."""
    stage: str
    messages: tuple[Message, ...]
    """The conversation up to and including the last user message."""
    reference: str
    candidates: tuple[Candidate, ...] = ()
    facts: tuple[str, ...] = ()
    """Names, numbers or dates that a right answer contains."""
    family: str = ""
    trained_family: bool = False
    """True if attacks of this family were trained on."""
    group: str = ""
    prefill: str = ""
    """Words put into the person's mouth; the answer goes on from them."""
    changed: bool | None = None
    """Whether the true answer differs between the stages; None if not known."""


class Usage(Record):
    """Tokens that a call used."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Sampling(Record):
    """How to draw an answer."""

    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    max_tokens: int = 128
    seed: int = 0


class Request(Record):
    """What a model one talks to is asked for."""

    messages: tuple[Message, ...]
    """The conversation up to the message that is to be answered."""
    persona: str = ""
    """Id of the person who answers, for a model that knows persons; empty for a plain one."""
    stage: str = ""
    """Id of the stage of that person."""
    analysis: bool = False
    """Whether the analysis shall be written before the answer."""
    prefill: str = ""
    """Words put into the mouth of the answering one; the answer goes on from them."""
    sampling: Sampling = Sampling()
    json_schema: str = ""
    """JSON schema, as text, that the reply is to follow; a server that knows structured output is held to it, for
    others it changes nothing, so the prompt must say the form too."""


class Reply(Record):
    """What a model answered, or why it did not."""

    text: str = ""
    thought: str = ""
    finish: Literal["stop", "length", "error"] = "stop"
    usage: Usage = Usage()
    error: str = ""
    """Why there is no text, if finish is `error`."""


class Piece(Record):
    """A part of a reply that is still being written."""

    text: str = ""
    thought: str = ""


class Answer(Record):
    """A taker's answer to a test item."""

    taker: str
    item: str
    sample: int = 0
    """0 is the greedy answer; 1, 2, ... are drawn at a temperature."""
    text: str
    thought: str = ""
    error: str = ""
    """Why there is no answer; such an answer stays unscored."""


class Score(Record):
    """One figure for one item."""

    metric: str
    taker: str
    item: str
    value: float | None
    """None if the item could not be scored; never zero for a failure."""
    reason: str = ""
    """Why the value is None."""
    detail: str = ""
    """What the figure rests on, such as the kind of the wrong answer."""
    chance: float | None = None
    """The value that blind guessing would have in the mean; None where guessing has no meaning."""


class Dropped(Record):
    """Something that was left out, kept with the reason."""

    item: str
    """Identity, or place, of what was left out."""
    reason: str
    """A short name, counted in step.json."""
    detail: str = ""
