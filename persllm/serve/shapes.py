"""Requests and answers of the chat completions API, as far as we keep to it.

What we do not know is passed over, as that API does; what we know but cannot do (more than one choice, tools,
pictures, log-probabilities) is refused in words, so that nobody takes a half answer for a whole one.
"""

import time
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from persllm.records import Message, Piece, Reply

LONGEST = 100_000
"""Most tokens that can be asked for."""
MOST_MESSAGES = 2000
"""Most messages of one request."""
IMPOSSIBLE = {
    "tools": (None, []), "functions": (None, []), "tool_choice": (None, "none", "auto"), "function_call": (None, "none", "auto"), "logprobs": (None, False),
    "top_logprobs": (None, 0), "response_format": (None, {"type": "text"}), "frequency_penalty": (None, 0), "presence_penalty": (None, 0),
    "logit_bias": (None, {}), "modalities": (None, ["text"]), "audio": (None,),
}  # fmt: skip
"""What is not possible here -> the values that ask for nothing."""


class Known(BaseModel):
    """A part of a request; further fields are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TextPart(Known):
    """A piece of text in a list of parts."""

    type: Literal["text"]
    text: str


class Said(Known):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(max_length=MOST_MESSAGES)]

    def message(self) -> Message:
        """The message as the library has it."""
        text = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(Known):
    """What else is wanted in a stream."""

    include_usage: bool = False


class TemplateVariables(Known):
    """Who is to answer, for those who say it by variables of the chat template; the model's name is the other way."""

    persona: str = ""
    stage: str = ""
    analysis: bool = False


class Asked(Known):
    """The body of a request for a completion."""

    model: str = Field(max_length=300)
    messages: Annotated[list[Said], Field(min_length=1, max_length=MOST_MESSAGES)]
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    seed: Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)] | None = None
    stop: Annotated[str, Field(max_length=200)] | Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=8)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1
    analysis: bool = False
    """Whether the analysis before the answer is wanted; it comes as `reasoning_content`."""
    chat_template_kwargs: TemplateVariables | None = None

    @model_validator(mode="before")
    @classmethod
    def possible(cls, given: Any) -> Any:
        """Refuse in words what cannot be done here."""
        for name, nothing in IMPOSSIBLE.items() if isinstance(given, dict) else ():
            if given.get(name) not in nothing:
                raise ValueError(f"{name} is not possible here; leave it out")
        return given

    @property
    def longest(self) -> int | None:
        """Tokens asked for."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which the answer ends."""
        return tuple(text for text in ([self.stop] if isinstance(self.stop, str) else self.stop or ()) if text)

    @property
    def thinks(self) -> bool:
        """Whether the analysis is wanted."""
        return self.analysis or bool(self.chat_template_kwargs and self.chat_template_kwargs.analysis)


class Counted(BaseModel):
    """Tokens used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    """What the person said."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    reasoning_content: str | None = None


class Choice(BaseModel):
    """The only choice."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Counted


class ModelCard(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "persllm"


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def counted(reply: Reply) -> Counted:
    """The usage of a reply."""
    used = reply.usage
    return Counted(
        prompt_tokens=used.prompt_tokens, completion_tokens=used.completion_tokens, total_tokens=used.prompt_tokens + used.completion_tokens
    )


def completion(model: str, reply: Reply, thinks: bool) -> Completion:
    """A reply as a whole answer."""
    message = AnswerMessage(content=reply.text, reasoning_content=reply.thought if thinks else None)
    choice = Choice(message=message, finish_reason="length" if reply.finish == "length" else "stop")
    return Completion(id=new_id(), created=int(time.time()), model=model, choices=[choice], usage=counted(reply))


class Chunks:
    """The chunks of one streamed answer."""

    def __init__(self, model: str, usage: bool):
        self.head = {"id": new_id(), "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self.usage = {"usage": None} if usage else {}

    def delta(self, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        """One chunk."""
        return {**self.head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **self.usage}

    def piece(self, piece: Piece, thinks: bool) -> dict[str, Any] | None:
        """A piece as a chunk; None if nothing of it is to be shown."""
        thought = {"reasoning_content": piece.thought} if piece.thought and thinks else {}
        delta = {**thought, **({"content": piece.text} if piece.text else {})}
        return self.delta(delta) if delta else None

    def last(self, reply: Reply) -> list[dict[str, Any]]:
        """The end of the answer, and the usage if it was asked for."""
        ended = self.delta({}, "length" if reply.finish == "length" else "stop")
        return [ended, {**self.head, "choices": [], "usage": counted(reply).model_dump()}] if self.usage else [ended]


def new_id() -> str:
    """An id for an answer."""
    return f"chatcmpl-{uuid.uuid4().hex}"
