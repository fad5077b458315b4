"""Token by token: a batch of answers that advance together, which others may join and leave between two steps.

Rows of a batch are padded on the left and masked, so each is written as it would be alone, but for the last
digits of sums. A request that joins is read by itself; then the shorter of the two caches is padded. Every row
has luck of its own, from its seed and content, whatever batch it is in.

Limits: caches that are not plain keys and values for all tokens (sliding windows, recurrent states) cannot be
joined; there `joinable` is false, and new requests wait until the batch is done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from persllm.records import Request, fingerprint

LIVE_SHARE = 0.7
"""A batch is packed anew when fewer of its rows than this are still being written."""
LEAST_SHARED = 16
"""Prompts are worth reading together from so many tokens in common."""


@dataclass(eq=False)
class Row:
    """One answer that is being written."""

    request: Request
    dice: "Dice"
    stops: set[int]
    written: list[int] = field(default_factory=list)
    left: bool = False
    """Whether nobody waits for it any more."""
    adapter: str = ""
    """The adapter that answers, where one base carries several."""

    @property
    def finished(self) -> bool:
        """Whether the answer is at its end, or given up."""
        return self.left or len(self.written) >= self.request.sampling.max_tokens or (bool(self.written) and self.written[-1] in self.stops)


class Batch:
    """Answers that advance together."""

    def __init__(self, model: Any, stops: set[int], fill: int, adapter_of: Callable[[Request], str] | None = None):
        self.model, self.stops, self.fill, self.adapter_of = model, stops, fill, adapter_of
        """`adapter_of` names the adapter that answers a request, where one base carries several."""
        self.rows: list[Row] = []
        self.pending: list[int] | None = None
        """The token that each row has drawn and the model has not read yet."""
        self.past: Any = None
        self.mask = self.logits = torch.empty(0)

    @property
    def busy(self) -> bool:
        """Whether any row is still being written."""
        return any(not row.finished for row in self.rows)

    @property
    def joinable(self) -> bool:
        """Whether requests may join now: the batch is empty, or its cache is plain keys and values."""
        from transformers.cache_utils import DynamicLayer

        return not self.busy or all(type(layer) is DynamicLayer for layer in self.past.layers)

    @torch.inference_mode()
    def admit(self, prompts: Sequence[list[int]], requests: Sequence[Request], adapters: Sequence[str] = ()) -> list[Row]:
        """Let requests join, given their prompts as token ids; returns their rows in the same order.

        `adapters` names the adapter of each, where the request does not tell.
        """
        named = adapters or [self.adapter_of(request) if self.adapter_of else "" for request in requests]
        rows = [Row(request, Dice(request), self.stops, adapter=name) for request, name in zip(requests, named, strict=True)]
        if not rows:
            return rows
        if self.busy:
            self.advance()
            own, other = (self.past, self.mask, self.logits), read(self.model, prompts, self.fill, **self.adapters(rows))
            self.past, self.mask, self.logits = joined(own, other)
        else:
            self.rows, self.pending = [], None
            self.past, self.mask, self.logits = read(self.model, prompts, self.fill, **self.adapters(rows))
        self.rows = [*self.rows, *rows]
        return rows

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """One more token for every row that is not finished; returns these rows."""
        self.advance()
        grown = []
        tokens = draw(self.logits.float(), [row.dice for row in self.rows])
        for row, token in zip(self.rows, tokens, strict=True):
            if not row.finished:
                row.written.append(token)
                grown.append(row)
        self.pending = tokens
        if not self.busy:
            self.rows, self.pending, self.past = [], None, None
        return grown

    def advance(self) -> None:
        """Let the model read what was drawn, without the rows that are finished if these are many."""
        if self.pending is None:
            return
        alive = [place for place, row in enumerate(self.rows) if not row.finished]
        ids = torch.tensor([[token] for token in self.pending], device=self.mask.device)
        if len(alive) < LIVE_SHARE * len(self.rows):
            kept = torch.tensor(alive, device=self.mask.device)
            self.rows, ids, self.mask = [self.rows[place] for place in alive], ids[kept], self.mask[kept]
            self.past.batch_select_indices(kept)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.rows), 1)], 1)
        self.pending = None
        self.logits = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions_of(self.mask)[:, -1:],
            past_key_values=self.past,
            use_cache=True,
            **self.adapters(self.rows),
        ).logits[:, -1]

    def adapters(self, rows: Sequence[Row]) -> dict[str, list[str]]:
        """Which adapter each row goes through, as PEFT takes it; nothing for a model without."""
        return {"adapter_names": [row.adapter for row in rows]} if self.adapter_of else {}


State = tuple[Any, torch.Tensor, torch.Tensor]
"""Cache, attention mask (rows, tokens) and logits (rows, vocabulary) of what comes next."""


def joined(one: State, other: State) -> State:
    """Two states as one; columns that are padding in every row are cut off."""
    masks = torch.nn.utils.rnn.pad_sequence([row.flip(0) for mask in (one[1], other[1]) for row in mask], batch_first=True).flip(1)
    spare = int(masks.any(0).int().argmax())
    for layer, more in zip(one[0].layers, other[0].layers, strict=True):
        for name in ("keys", "values"):
            parts = [wide(getattr(part, name), masks.shape[1]) for part in (layer, more)]
            setattr(layer, name, torch.cat(parts)[:, :, spare:])
    return one[0], masks[:, spare:], torch.cat([one[2], other[2]])


def wide(states: torch.Tensor, width: int) -> torch.Tensor:
    """Keys or values (rows, heads, tokens, size) padded on the left to a number of tokens."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))


@torch.inference_mode()
def read(model: Any, prompts: Sequence[list[int]], fill: int, **adapters: list[str]) -> State:
    """The state after each prompt. A long beginning that all prompts share, such as a profile, is read once.

    With `adapter_names`, one for each prompt, every row goes through its own adapter, and none shares a beginning.
    """
    from transformers import DynamicCache

    past = DynamicCache(config=model.config)
    shared = common_beginning([prompt[:-1] for prompt in prompts]) if len(prompts) > 1 and not adapters else 0
    shared = shared if shared >= LEAST_SHARED else 0
    if shared:
        model.base_model(input_ids=torch.tensor([prompts[0][:shared]], device=model.device), past_key_values=past, use_cache=True)
        past.batch_repeat_interleave(len(prompts))
    ids, own = padded([prompt[shared:] for prompt in prompts], fill, model.device)
    mask = torch.cat([own.new_ones(len(prompts), shared), own], 1)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions_of(mask)[:, shared:],
        past_key_values=past,
        use_cache=True,
        logits_to_keep=1,
        **adapters,
    ).logits[:, -1]
    return past, mask, logits


def padded(rows: Sequence[list[int]], fill: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows padded on the left, and their attention mask: (rows, longest)."""
    longest = max(map(len, rows))
    ids = torch.tensor([[fill] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


class Dice:
    """The luck of one request: one number in [0, 1) per token, from its seed and content, whatever batch it is in."""

    def __init__(self, request: Request):
        self.temperature, self.top_p = request.sampling.temperature, request.sampling.top_p
        seed = int(fingerprint([request.sampling.seed, request.identity]), 16) >> 1
        generator = torch.Generator().manual_seed(seed)
        self.numbers = iter(torch.rand(request.sampling.max_tokens + 1, generator=generator).tolist()) if self.temperature > 0 else None

    def roll(self) -> float:
        """The next number; 0 where none is needed."""
        return next(self.numbers, 0.0) if self.numbers else 0.0


def draw(logits: torch.Tensor, dice: Sequence[Dice]) -> list[int]:
    """The next token of each row, from logits (rows, vocabulary): the likeliest, or drawn at the row's temperature within its top_p."""
    likeliest = logits.argmax(1).tolist()
    if all(die.temperature <= 0 for die in dice):
        return likeliest
    column = {"device": logits.device, "dtype": torch.float64}
    temperature = torch.tensor([[die.temperature or 1.0] for die in dice], **column)
    chances = (logits.double() / temperature).softmax(1)
    order = torch.arange(logits.shape[1], device=logits.device).expand_as(chances)
    if any(die.top_p < 1 for die in dice):
        chances, order = chances.sort(dim=1, descending=True, stable=True)
    sums = chances.cumsum(1)
    mass = sums.gather(1, (sums >= torch.tensor([[min(die.top_p, 1.0)] for die in dice], **column) - 1e-12).int().argmax(1, keepdim=True))
    aims = torch.tensor([[die.roll()] for die in dice], **column) * mass
    drawn = order.gather(1, (sums > aims).int().argmax(1, keepdim=True)).squeeze(1).tolist()
    return [token if die.temperature > 0 else best for token, best, die in zip(drawn, likeliest, dice, strict=True)]


def common_beginning(rows: Sequence[list[int]]) -> int:
    """Number of tokens with which all rows begin."""
    low, high = min(rows), max(rows)
    return next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Position of every token in its own row, not counting the padding."""
    return mask.cumsum(1).sub(1).clamp(min=0)
