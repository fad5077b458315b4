"""The base model with its stage tokens, and a local model one can talk to and ask for likelihoods.

`prepare_base` makes the "stage base" once per run: the base, what tells it the stages and the analysis (`marking`;
where a token stands is our choice: at the head of the system message), and the chat template with the prelude. Everything trained later starts from that folder, so adapters stay small.

Limits: one device; prompts longer than the model's context are answered with an error, never cut. Rows of a
batch are padded, which moves sums in their last digits: equal requests get equal answers unless two tokens are
equally likely to about one part in a million.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from persllm.config import BaseSettings
from persllm.errors import BaseModelError
from persllm.generation import Batch
from persllm.marking import mark
from persllm.records import Persona, Piece, Record, Reply, Request, Usage
from persllm.rendering import answers_to_ids, end_of_turn, prompts_to_ids
from persllm.scoring import totals
from persllm.small_base import small_base
from persllm.store import Progress, disk_trouble, silent
from persllm.templates import PROBE, ROLE_LINES, prelude, without_prelude
from persllm.thought import parted
from persllm.writing import Writing


class LogLikelihood(Record):
    """How likely a model finds an answer."""

    total: float
    """Sum of the natural logarithms over the answer's tokens, the end of the turn included."""
    tokens: int
    """Number of these tokens."""


# The stage base ------------------------------------------------------------------------------------------


def prepare_base(
    settings: BaseSettings,
    personas: Sequence[Persona],
    folder: Path,
    cache: Path,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the base with control tokens and template to `folder`, complete or not at all, and return what `step.json` tells of it.

    `small` is the shipped base, or built and pretrained at first use and kept below `cache`. BaseModelError if the model is not to be
    had or its tokenizer cannot end a turn.
    """
    torch.set_num_threads(threads)
    small, source = settings.model == "small", settings.model
    if small:
        source = str(small_base(settings, {persona.language for persona in personas}, cache, seed, threads, progress))
    tokenizer, model = load_parts(source, "float32" if small and settings.dtype == "auto" else settings.dtype)
    if tokenizer.eos_token_id is None:
        raise BaseModelError(
            f"base.model {settings.model}: its tokenizer has no end-of-sequence token, so no answer could end. Take another base."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    own = without_prelude(tokenizer.chat_template or "")
    facts = {"model": settings.model, "template": "its own" if own else "roles as plain lines: the base has none"}
    tokenizer.chat_template = own or ROLE_LINES
    marks = mark(model, tokenizer, personas, settings.stage_tokens)
    tokenizer.chat_template = prelude(personas, marks, role_of_prelude(tokenizer)) + tokenizer.chat_template
    save_whole(model, tokenizer, folder)
    progress(1, 1)
    parameters = sum(weight.numel() for weight in model.parameters())
    return {**facts, "control_tokens": list(marks.tokens), "parameters": parameters, "context": context_of(model.config)}


def load_parts(source: str, dtype: str) -> tuple[Any, Any]:
    """Tokenizer and model of a folder or a Hugging Face name; BaseModelError with the ways on if they are not to be had."""
    return load_tokenizer(source), load_model(source, dtype)


def load_tokenizer(source: str) -> Any:
    """The tokenizer of a folder or name; BaseModelError if it is not to be had."""
    from transformers import AutoTokenizer

    with missing_base(source):
        return AutoTokenizer.from_pretrained(source)


def load_config(source: str) -> Any:
    """The settings of the model of a folder or name, without its weights; BaseModelError if they are not to be had."""
    from transformers import AutoConfig

    with missing_base(source):
        return AutoConfig.from_pretrained(source)


def load_model(source: str, dtype: str | torch.dtype, **how: Any) -> Any:
    """The model of a folder or name in a number format, with what else Transformers takes; BaseModelError if it is not to be had."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with missing_base(source):
        return AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **how)


@contextmanager
def missing_base(source: str) -> Iterator[None]:
    """Turn what Transformers says of a model that it cannot load into one line with the ways on."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise BaseModelError(
            f"base.model {source}: not found here, neither as a folder nor in the Hugging Face cache, or not a causal language model ({reason}). "
            "Give the path of a model folder, let this machine reach the hub, or take the bundled base with --set base.model=small."
        ) from None


def context_of(config: Any) -> int:
    """Tokens that a model holds, by its settings; without bound if they name none."""
    return getattr(config.get_text_config(), "max_position_embeddings", None) or 1 << 30


def role_of_prelude(tokenizer: Any) -> str:
    """`system`, or `user` where the template refuses or swallows a system message; BaseModelError if it swallows every text."""
    if renders(tokenizer, [{"role": "system", "content": PROBE}, {"role": "user", "content": "?"}]):
        return "system"
    if renders(tokenizer, [{"role": "user", "content": PROBE}]):
        return "user"
    raise BaseModelError(
        "base.model: its chat template shows no plain text, as those of models for pictures do, which take lists of parts. "
        "Take a base for text, or replace chat_template.jinja in its folder."
    )


def renders(tokenizer: Any, messages: list[dict[str, str]]) -> bool:
    """Whether the chat template shows the probe in these messages."""
    from jinja2 import TemplateError

    try:
        return PROBE in tokenizer.apply_chat_template(messages, tokenize=False)
    except TemplateError:
        return False


def save_whole(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a complete model folder; what stood there before is replaced only when the new one is whole."""
    fresh = folder.with_name(f".{folder.name}.fresh")
    with disk_trouble(folder):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)


# A model one can talk to ---------------------------------------------------------------------------------


class LocalModel:
    """A model folder in memory; speaks the protocol of `persllm.chat.ChatModel` and scores answers."""

    def __init__(self, model: Any, tokenizer: Any):
        self.model, self.tokenizer = model.eval(), tokenizer
        kept = model.generation_config.eos_token_id
        self.stops = {end_of_turn(tokenizer), tokenizer.eos_token_id, *(kept if isinstance(kept, list) else [kept])} - {None}
        self.context = context_of(model.config)

    @classmethod
    def load(cls, folder: Path, adapter: Path | None = None, threads: int = 2) -> "LocalModel":
        """The model in a folder, with an adapter if one is given; on a GPU if there is one."""
        torch.set_num_threads(threads)
        tokenizer, model = load_parts(str(folder), "auto")
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)

    def replies(self, requests: Sequence[Request], batch: int = 64, progress: Progress = silent) -> Iterator[tuple[int, Reply]]:
        """(index of the request, reply) for every request, in batches of like length; a request too long gets an error."""
        prompts = prompts_to_ids(self.tokenizer, requests)
        done = 0
        for places in like_length([len(prompt) for prompt in prompts], batch):
            fitting = [place for place in places if len(prompts[place]) + requests[place].sampling.max_tokens <= self.context]
            written = dict(zip(fitting, self.generate([prompts[p] for p in fitting], [requests[p] for p in fitting]), strict=True))
            for place in places:
                length = len(prompts[place])
                yield place, self.reply(written[place], length) if place in written else self.too_long(length, requests[place])
            done += len(places)
            progress(done, len(requests))

    def reply(self, tokens: list[int], prompt_tokens: int) -> Reply:
        """A reply from generated tokens."""
        stopped = bool(tokens) and tokens[-1] in self.stops
        thought, text = parted(self.tokenizer.decode(tokens, skip_special_tokens=True))
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=len(tokens))
        return Reply(text=text, thought=thought, finish="stop" if stopped else "length", usage=usage)

    def too_long(self, prompt_tokens: int, request: Request) -> Reply:
        """The reply to a request that does not fit the model's context."""
        asked = f"{prompt_tokens} tokens and {request.sampling.max_tokens} for the answer"
        return Reply(finish="error", error=f"the request has {asked}; the model holds {self.context}")

    def generate(self, prompts: Sequence[list[int]], requests: Sequence[Request]) -> list[list[int]]:
        """Tokens written after each prompt, the stop token included; all rows advance together, finished ones leave."""
        batch = self.batch()
        rows = batch.admit(prompts, requests)
        while batch.busy:
            batch.step()
        return [row.written for row in rows]

    def batch(self) -> Batch:
        """An empty batch of this model's, which requests may join and leave between steps."""
        return Batch(self.model, self.stops, self.tokenizer.pad_token_id or 0)

    def stream(self, request: Request) -> Iterator[Piece | Reply]:
        """What is written as it is written, then the whole reply."""
        [prompt] = prompts_to_ids(self.tokenizer, [request])
        if len(prompt) + request.sampling.max_tokens > self.context:
            yield self.too_long(len(prompt), request)
            return
        batch, writing = self.batch(), Writing(self.tokenizer)
        [row] = batch.admit([prompt], [request])
        while batch.busy:
            batch.step()
            if row.written[-1] not in self.stops and (piece := writing.add(row.written[-1])):
                yield piece
        if piece := writing.end():
            yield piece
        yield self.reply(row.written, len(prompt))

    def log_likelihoods(
        self, requests: Sequence[Request], answers: Sequence[str], batch: int = 64, progress: Progress = silent
    ) -> list[LogLikelihood]:
        """How likely each answer, with the end of the turn, is after its request; exact under padding.

        BaseModelError if a request with its answer does not fit the model's context.
        """
        prompts = prompts_to_ids(self.tokenizer, requests)
        endings = answers_to_ids(self.tokenizer, answers)
        longest = max((len(prompt) + len(ending) for prompt, ending in zip(prompts, endings, strict=True)), default=0)
        if longest > self.context:
            raise BaseModelError(
                f"a conversation of {longest} tokens is to be scored; the model holds {self.context}. Shorten it, or take another base."
            )
        found: list[LogLikelihood | None] = [None] * len(requests)
        done = 0
        for places in with_like_prompts(prompts, batch):
            totals = self.score([prompts[place] for place in places], [endings[place] for place in places])
            for place, total in zip(places, totals, strict=True):
                found[place] = LogLikelihood(total=total, tokens=len(endings[place]))
            done += len(places)
            progress(done, len(requests))
        return [one for one in found if one is not None]

    def score(self, prompts: Sequence[list[int]], endings: Sequence[list[int]]) -> list[float]:
        """Summed log-likelihood of each ending after its prompt; equal prompts are read once."""
        return totals(self.model, prompts, endings, self.tokenizer.pad_token_id or 0)


def with_like_prompts(prompts: Sequence[list[int]], batch: int) -> Iterator[list[int]]:
    """Positions in batches of prompts of like length, equal prompts side by side, the longest first."""
    first: dict[tuple[int, ...], int] = {}
    groups = [first.setdefault(tuple(prompt), place) for place, prompt in enumerate(prompts)]
    order = sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), groups[place], place))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def like_length(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Positions in batches of like length, the longest first, so that what would not fit shows at once."""
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
