"""The bodies that go over the wire: a request in the words of one server, and the reply read out of its answer.

Servers differ in what they know. A `Dialect` says how one is to be asked; it is learnt from what the server refuses.
"""

import json
import re
from typing import Any

from persllm.records import Record, Reply, Request, Usage

INLINE_THOUGHT = re.compile(r"\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
"""How models write their reasoning into the content where the server does not part the two; some templates have
opened the mark already."""
OPEN_THOUGHT = re.compile(r"\s*<think>(.*)", re.DOTALL)
"""Reasoning that never came to an end."""


class Dialect(Record):
    """How a server is to be asked."""

    structured: bool = True
    """It knows `response_format` with a JSON schema."""
    length: str = "max_tokens"
    """Its name for the longest reply."""
    left_out: tuple[str, ...] = ()
    """Sampling parameters that it refuses."""

    def simpler(self, complaint: str, request: Request) -> "Dialect | None":
        """What to try after a refusal: by the parameter that the complaint names, else without structured output."""
        if self.length == "max_tokens" and "max_completion_tokens" in complaint:
            return self.model_copy(update={"length": "max_completion_tokens"})
        for name in ("temperature", "top_p", "seed"):
            if name not in self.left_out and re.search(rf"\b{name}\b", complaint):
                return self.model_copy(update={"left_out": (*self.left_out, name)})
        if self.structured and request.json_schema:
            return self.model_copy(update={"structured": False})
        return None


def payload(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """The body of a call. Person, stage and analysis go to the server's chat template, if the request names any."""
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    body: dict[str, Any] = {"model": model, "messages": messages}
    sampling = request.sampling.model_dump()
    sampling[dialect.length] = sampling.pop("max_tokens")
    body |= {name: value for name, value in sampling.items() if name not in dialect.left_out}
    if request.persona or request.stage or request.analysis:
        body["chat_template_kwargs"] = {"persona": request.persona, "stage": request.stage, "analysis": request.analysis}
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.json_schema and dialect.structured:
        schema = {"name": "reply", "schema": json.loads(request.json_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def read_completion(body: bytes, longest: int, set_by: str = "") -> Reply:
    """The first choice of a completion; an error Reply if there is nothing in it, which names the setting of so many tokens."""
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        usage = read_usage(completion.get("usage") or {})
        text = message.get("content") or ""
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return Reply(finish="error", error="what came back is not a chat completion")
    if not isinstance(text, str) or not isinstance(thought, str):
        return Reply(finish="error", usage=usage, error="what came back is not a chat completion of text")
    text, thought = parted(text, thought)
    if finish == "content_filter":
        return Reply(finish="error", usage=usage, error="refused by the server's content filter")
    if not text.strip():
        why = f"reasoning and no answer within {longest} tokens{': raise ' if set_by else ''}{set_by}" if thought else "empty reply"
        return Reply(finish="error", usage=usage, error=why)
    return Reply(text=text, thought=thought, finish="length" if finish == "length" else "stop", usage=usage)


def read_usage(usage: dict[str, Any]) -> Usage:
    """The tokens that the server counted."""
    return Usage(prompt_tokens=usage.get("prompt_tokens") or 0, completion_tokens=usage.get("completion_tokens") or 0)


def parted(text: str, thought: str) -> tuple[str, str]:
    """(answer, reasoning) of a content that may hold both."""
    inline = INLINE_THOUGHT.match(text)
    if inline:
        return text[inline.end() :], thought or inline[1].strip()
    unfinished = OPEN_THOUGHT.match(text)
    return ("", thought or unfinished[1].strip()) if unfinished else (text, thought)


def complaint_in(body: bytes) -> str:
    """What a server says of why it refuses."""
    try:
        found = json.loads(body)
        error = found.get("error", found) if isinstance(found, dict) else found
        said = error.get("message") or error if isinstance(error, dict) else error
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")
