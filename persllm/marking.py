"""How the stages of persons are told to a model: new tokens, tokens that the tokenizer keeps in reserve, or words.

`new` is the paper's way (section 3.3) and resizes the embedding where no spare rows are left. `reserved` takes tokens
that the makers of the base set aside and never trained, so the shape of the base stays. A
token's row begins as the mean of the rows of the words that describe its stage. `text` needs neither.

Limits: a reserved token is known by its name (`<|reserved_special_token_7|>`, `<unused7>`, `<|extra_7|>` and the like);
whether its makers really never trained it cannot be seen from the outside.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from persllm.config import StageTokens
from persllm.errors import BaseModelError
from persllm.records import Persona
from persllm.rendering import encode
from persllm.templates import ANALYSIS_TOKEN, Marks, control_tokens, marks_by_tokens, marks_in_words

RESERVED = re.compile(
    r"[<\[][|｜]?(?:reserved(?:[_▁]special)?(?:[_▁]token)?|extra|unused|dummy|placeholder|place▁holder▁no|special|control)[_▁]?(\d+)[|｜]?[>\]]",
    re.IGNORECASE,
)
"""Names of tokens that are kept in reserve, with their number."""


def mark(model: Any, tokenizer: Any, personas: Sequence[Persona], how: StageTokens) -> Marks:
    """Make the tokens ready that `how` calls for, and return how each stage is told.

    BaseModelError if the tokenizer has too few tokens in reserve.
    """
    if how == "text":
        return marks_in_words(personas)
    described = descriptions(personas)
    names = list(described) if how == "new" else taken_from_reserve(model, tokenizer, len(described))
    add_special(model, tokenizer, names)
    begin_rows(model, tokenizer, dict(zip(names, described.values(), strict=True)))
    return marks_by_tokens(personas, names)


def descriptions(personas: Sequence[Persona]) -> dict[str, str]:
    """New control token -> the words it stands for: title and summary of the stage."""
    stages = [stage for persona in personas for stage in persona.stages]
    texts = [f"{stage.title or stage.id} {stage.summary}" for stage in stages]
    return dict(zip(control_tokens(personas), [*texts, ANALYSIS_TOKEN.strip("<|>")], strict=True))


def taken_from_reserve(model: Any, tokenizer: Any, count: int) -> list[str]:
    """So many tokens that the tokenizer keeps in reserve, the lowest numbers first."""
    found = in_reserve(model, tokenizer)
    if len(found) < count:
        raise BaseModelError(
            f"base.stage_tokens reserved: {count} tokens are needed (one for each stage, one for the analysis), and the tokenizer keeps "
            f"{len(found)} in reserve{f' ({found[0]} to {found[-1]})' if found else ''}. "
            "Set base.stage_tokens=new to add tokens, or base.stage_tokens=text to say the stage in words."
        )
    return found[:count]


def in_reserve(model: Any, tokenizer: Any) -> list[str]:
    """Tokens that are kept in reserve: named so, single, with a row in the embedding, and used neither by template nor settings."""
    rows = model.get_input_embeddings().weight.shape[0]
    used = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
    for settings in (model.config, model.generation_config):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(settings, name, None)
            used |= set(value) if isinstance(value, list) else {value}
    found = {token: RESERVED.fullmatch(token) for token, i in tokenizer.get_vocab().items() if i < rows and i not in used}
    named = [(token.rstrip("0123456789|｜>]"), int(match[1]), token) for token, match in found.items() if match]
    return [token for _, _, token in sorted(named) if token not in tokenizer.chat_template]


def add_special(model: Any, tokenizer: Any, tokens: Sequence[str]) -> None:
    """Make each text one special token; the embedding grows if it must and never shrinks: many models keep spare rows."""
    from tokenizers import AddedToken

    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in tokens], special_tokens=True)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)


def begin_rows(model: Any, tokenizer: Any, described: Mapping[str, str]) -> None:
    """Let the rows of tokens, of input and output, begin as the mean of the rows of the words that describe them."""
    matrices = {id(m.weight): m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())}
    words = encode(tokenizer, list(described.values()))
    with torch.no_grad():
        for token, ids in zip(tokenizer.convert_tokens_to_ids(list(described)), words, strict=True):
            for matrix in matrices.values():
                matrix[token] = matrix[ids].mean(0)
