"""What calls will come to before one is made: tokens, price, time, and which limits of the budget they pass.

What cannot be known is assumed: the length of replies by whoever plans the calls, the speed of the server here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from persllm.chat.ledger import MILLION, likely_tokens
from persllm.constructor_settings import AddressSettings, BudgetSettings, PriceSettings
from persllm.records import Record, Request

TOKENS_A_SECOND = 50
"""Speed at which a server writes one reply."""
BEFORE_THE_FIRST = 0.5
"""Seconds until it begins."""
AROUND = 4
"""Tokens that a template puts around a message."""
ASSUMED_TOKENS = "four letters a token, or one Chinese character"
ASSUMED_SPEED = (
    f"the server begins after {BEFORE_THE_FIRST} s and writes {TOKENS_A_SECOND} tokens a second in each call, all allowed calls at once"
)


@dataclass
class Load:
    """Calls to come: how many, and how long."""

    calls: float = 0.0
    prompt: float = 0.0
    """Tokens of prompts."""
    completion: float = 0.0
    """Tokens of replies as they will likely be."""
    longest: float = 0.0
    """Tokens of replies that are all as long as allowed."""

    def add(self, calls: float, prompt: float, completion: float, longest: float = 0.0) -> None:
        """More of them, each with so many tokens."""
        self.calls, self.prompt = self.calls + calls, self.prompt + calls * prompt
        self.completion, self.longest = self.completion + calls * completion, self.longest + calls * longest


class Estimate(Record):
    """What a load of calls will come to."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    """By the price table, at the dearest of the models; None if one has no price."""
    most_money: float | None
    """The same if every reply were as long as allowed."""
    currency: str
    seconds: float
    passes: tuple[str, ...] = ()
    """The limits of the budget that it passes."""
    assumptions: tuple[str, ...]

    def in_words(self) -> str:
        """Tokens, price and time, for people."""
        price = "no price known" if self.money is None else f"{self.money:.2f} {self.currency} (at most {self.most_money:.2f})"
        return f"{self.prompt_tokens} + {self.completion_tokens} tokens, {price}, about {said_duration(self.seconds)}"


def estimate(
    load: Load, addresses: Sequence[AddressSettings], models: Sequence[str], budget: BudgetSettings, assumptions: Sequence[str]
) -> Estimate:
    """Price, time and passed limits of a load at addresses that share it, by the names of the models there."""
    prices = [budget.prices.get(model) for model in models]
    money, most = (price_of(prices, load.prompt, written) for written in (load.completion, load.longest))
    values = {"money": money or 0.0, "tokens": load.prompt + load.completion, "calls": load.calls}
    return Estimate(
        calls=int(load.calls), prompt_tokens=round(load.prompt), completion_tokens=round(load.completion), money=money, most_money=most,
        currency=budget.currency, seconds=round(duration(addresses, load), 1),
        passes=tuple(name for name, value in values.items() if getattr(budget, name) and value > getattr(budget, name)),
        assumptions=tuple(assumptions),
    )  # fmt: skip


def prompt_tokens(request: Request) -> int:
    """How many tokens a prompt is likely to have."""
    return sum(likely_tokens(message.content) + AROUND for message in request.messages)


def price_of(prices: Sequence[PriceSettings | None], prompt: float, written: float) -> float | None:
    """What so many tokens cost at the dearest of the prices; None if one is not known."""
    known = [price for price in prices if price]
    if not known or len(known) < len(prices):
        return None
    return round(max((price.input * prompt + price.output * written) / MILLION for price in known), 6)


def duration(addresses: Sequence[AddressSettings], load: Load) -> float:
    """Seconds: as many calls at once as allowed, or the pace that the limits a minute leave, whichever is slower."""
    bounds = [(load.calls * BEFORE_THE_FIRST + load.completion / TOKENS_A_SECOND) / sum(a.concurrency for a in addresses)]
    for name, amount in (("requests_per_minute", load.calls), ("tokens_per_minute", load.prompt + load.completion)):
        limits = [getattr(address, name) for address in addresses]
        if all(limits):
            bounds.append(60.0 * amount / sum(limits))
    return max(bounds)


def said_duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
