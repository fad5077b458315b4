"""Requests and answers to token ids: the one way, for talking, scoring and training alike.

The prompt is what the chat template makes of the messages, with the opening of the answer; the answer is its
plain text and the end-of-turn token, encoded apart. So a trained answer begins exactly where an answer is
generated, and no token spans the border. Control tokens that a message contains stay plain text.
"""

import re
from collections.abc import Sequence
from typing import Any

from persllm.errors import BaseModelError
from persllm.records import Request
from persllm.templates import PROBE


def prompts_to_ids(tokenizer: Any, requests: Sequence[Request]) -> list[list[int]]:
    """Token ids of each request up to where the answer begins, its prefill included.

    BaseModelError if the chat template refuses, for instance an unknown stage.
    """
    typed = control_pattern(tokenizer)
    spoiled = [bool(typed) and any(typed.search(message.content) for message in request.messages) for request in requests]
    rendered = [tokenize(tokenizer, request) if bad else render(tokenizer, request) for request, bad in zip(requests, spoiled, strict=True)]
    plain = iter(encode(tokenizer, [text for text in rendered if isinstance(text, str)]))
    prompts = [next(plain) if isinstance(text, str) else text for text in rendered]
    prefills = iter(encode(tokenizer, [request.prefill for request in requests if request.prefill]))
    return [ids + next(prefills) if request.prefill else ids for request, ids in zip(requests, prompts, strict=True)]


def answers_to_ids(tokenizer: Any, answers: Sequence[str]) -> list[list[int]]:
    """Token ids of each answer with the end-of-turn token."""
    end = end_of_turn(tokenizer)
    return [[*ids, end] for ids in encode(tokenizer, answers, typed_tokens_stay_text=True)]


def encode(tokenizer: Any, texts: Sequence[str], typed_tokens_stay_text: bool = False) -> list[list[int]]:
    """Token ids of plain texts, nothing added."""
    if not texts:
        return []
    return tokenizer(list(texts), add_special_tokens=False, split_special_tokens=typed_tokens_stay_text)["input_ids"]


def control_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Matches whatever a user could type that would become a control token; None if there is nothing."""
    tokens = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def template_variables(request: Request) -> dict[str, Any]:
    """The variables by which the chat template learns who answers; none for a request without a person."""
    given = {"persona": request.persona, "stage": request.stage, "analysis": request.analysis}
    return given if any(given.values()) else {}


def chat(request: Request) -> list[dict[str, str]]:
    """The messages as a chat template takes them; analyses of earlier answers are left out."""
    return [{"role": message.role, "content": message.content} for message in request.messages]


def render(tokenizer: Any, request: Request) -> str:
    """The prompt as text."""
    return applied(tokenizer, request, tokenize=False)


def tokenize(tokenizer: Any, request: Request) -> list[int]:
    """The prompt as token ids, with control tokens in messages encoded as plain text."""
    return list(applied(tokenizer, request, tokenize=True, sanitize_control_tokens=True)["input_ids"])


def applied(tokenizer: Any, request: Request, **how: Any) -> Any:
    """The chat template applied to a request."""
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(chat(request), add_generation_prompt=True, **how, **template_variables(request))
    except TemplateError as error:
        raise BaseModelError(f"the chat template refuses the conversation: {error}.") from None


def end_of_turn(tokenizer: Any) -> int:
    """The token that ends an answer: the first special one the template puts after it, else the tokenizer's EOS."""
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": PROBE}]
    tail = tokenizer.apply_chat_template(messages, tokenize=False).rpartition(PROBE)[2]
    special = set(tokenizer.all_special_ids)
    return next((token for token in encode(tokenizer, [tail])[0] if token in special), tokenizer.eos_token_id)
