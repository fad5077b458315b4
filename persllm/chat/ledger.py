"""What a run spends, written down before it is spent: a budget that no call can pass.

Each try of a call is entered with its worst case before it begins: every byte of the prompt a token, the reply as
long as allowed. It is settled with what the server counted; a try that the server refused costs nothing, and one of
which nothing is known (cut, timed out, the program killed) stays at its worst case. A call begins only if all that
is settled, all that is under way, and its own worst case stay within every limit. Limit: a server that does not
keep to the longest reply can pass the budget by that much.
"""

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import IO, Protocol

from persllm.constructor_settings import BudgetSettings
from persllm.errors import BudgetError, ConfigError
from persllm.records import Record, Request, Usage

PER_MESSAGE = 16
"""Tokens that a chat template may put around a message."""
MILLION = 1_000_000


class Spending(Record):
    """What was spent."""

    calls: int = 0
    """Tries that were sent, failed ones counted."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    """By the price table, in its currency."""

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            money=self.money + other.money,
        )

    def __sub__(self, other: "Spending") -> "Spending":
        return Spending(
            calls=self.calls - other.calls,
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            completion_tokens=self.completion_tokens - other.completion_tokens,
            money=self.money - other.money,
        )

    @property
    def tokens(self) -> int:
        """Of prompts and replies."""
        return self.prompt_tokens + self.completion_tokens


class Accounts(Protocol):
    """Where spending is written down: a ledger here, or one on another machine."""

    def begin(self, model: str, prompt_tokens: int, completion_tokens: int, seconds: float) -> int | None:
        """Enter the worst case of a call to a model: its number, or None to ask again when others are settled.

        After so many seconds an unsettled call counts as spent. BudgetError if the call does not fit any more.
        """
        ...

    def settle(self, number: int, usage: Usage | None) -> None:
        """Put in what a call came to; None leaves it at its worst case."""
        ...


class Ledger:
    """The Accounts of one run, kept in a file of lines; without a file, in memory only."""

    def __init__(self, budget: BudgetSettings, file: Path | None = None, step: str = ""):
        self.budget, self.file, self.step = budget, file, step
        self.spent: dict[str, Spending] = defaultdict(Spending)
        """By step; settled ones."""
        self.under_way: dict[int, tuple[str, str, Spending, float]] = {}
        """Number -> step, model, worst case, when it counts as spent."""
        self.worst = Spending()
        self.last = 0
        self.full = ""
        """The limit that had no room for a call: `calls`, `tokens` or `money`."""
        self.handle: IO[str] | None = None
        if file and file.is_file():
            self.read(file)

    def read(self, file: Path) -> None:
        """Take over what former attempts wrote; calls that were never settled stay at their worst case. A torn line is passed over."""
        begun: dict[int, tuple[str, Spending]] = {}
        for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                entry = json.loads(line)
                number, amount = int(entry["call"]), Spending(**entry["amount"])
                step = begun.pop(number)[0] if entry["settled"] else str(entry["step"])
            except (ValueError, KeyError, TypeError):
                continue
            self.last = max(self.last, number)
            if entry["settled"]:
                self.spent[step] += amount
            else:
                begun[number] = (step, amount)
        for step, amount in begun.values():
            self.spent[step] += amount

    @property
    def total(self) -> Spending:
        """All that is settled."""
        return sum(self.spent.values(), Spending())

    def begin(self, model: str, prompt_tokens: int, completion_tokens: int, seconds: float) -> int | None:
        """See `Accounts`."""
        self.expire()
        worst = self.amount(model, Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens))
        if self.passed(self.total + self.worst + worst):
            if self.under_way:
                return None
            self.full = self.passed(self.total + worst)
            raise BudgetError(self.say_spent(self.full))
        self.last += 1
        self.under_way[self.last] = (self.step, model, worst, time.monotonic() + seconds)
        self.worst += worst
        self.write({"call": self.last, "step": self.step, "settled": False, "amount": worst.model_dump()})
        return self.last

    def settle(self, number: int, usage: Usage | None) -> None:
        """See `Accounts`."""
        if number not in self.under_way:
            return
        step, model, worst, _ = self.under_way.pop(number)
        amount = worst if usage is None else self.amount(model, usage)
        self.worst = self.worst - worst if self.under_way else Spending()
        self.spent[step] += amount
        self.write({"call": number, "step": step, "settled": True, "amount": amount.model_dump()})

    def expire(self) -> None:
        """Calls whose time is over count as spent: whoever made them is gone."""
        now = time.monotonic()
        for number in [number for number, (*_, until) in self.under_way.items() if until < now]:
            self.settle(number, None)

    def amount(self, model: str, usage: Usage) -> Spending:
        """What a call of so many tokens comes to."""
        price = self.budget.prices.get(model)
        money = (price.input * usage.prompt_tokens + price.output * usage.completion_tokens) / MILLION if price else 0.0
        return Spending(calls=1, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, money=money)

    def passed(self, spending: Spending) -> str:
        """The limit that a spending would pass; empty if none."""
        for name, value in (("money", spending.money), ("tokens", spending.tokens), ("calls", spending.calls)):
            most = getattr(self.budget, name)
            if most and value > most + 1e-9:
                return name
        return ""

    def cap(self, limit: str) -> str:
        """A limit and how high it is, for people."""
        most = getattr(self.budget, limit)
        return f"budget.{limit} ({most:g} {self.budget.currency})" if limit == "money" else f"budget.{limit} ({most} {limit})"

    def say_spent(self, limit: str) -> str:
        """The line with which a run ends at its budget."""
        most = getattr(self.budget, limit)
        return (
            f"{self.cap(limit)} leaves no room for another call: {self.in_words()} spent. What is finished is kept; raise it, for "
            f"instance with --set budget.{limit}={2 * most:g}, and the same command goes on from here."
        )

    def in_words(self) -> str:
        """What was spent, for people."""
        spent = self.total
        money = f", {spent.money:.4f} {self.budget.currency}" if self.budget.prices else ""
        return f"{spent.calls} calls, {spent.prompt_tokens} + {spent.completion_tokens} tokens{money}"

    def write(self, entry: dict[str, object]) -> None:
        """One line, handed to the system at once: a kill after this does not lose it."""
        if not self.file:
            return
        if self.handle is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torn = self.file.is_file() and not self.file.read_bytes().endswith(b"\n")
            self.handle = open(self.file, "a", encoding="utf-8", newline="\n")
            self.handle.write("\n" if torn else "")
        self.handle.write(json.dumps(entry, separators=(",", ":")) + "\n")
        self.handle.flush()

    def close(self) -> None:
        """Calls under way are settled at their worst case; the file is let go."""
        for number in list(self.under_way):
            self.settle(number, None)
        if self.handle:
            self.handle.close()
            self.handle = None


def check_prices(budget: BudgetSettings, models: list[str]) -> None:
    """ConfigError if money is to be counted and a model has no price."""
    for model in models if budget.money else ():
        if model not in budget.prices:
            raise ConfigError(
                f"budget.money is set and budget.prices has no {model}. Add `{model}: {{input: ..., output: ...}}`, per million tokens; "
                f"0 for a model that costs nothing."
            )


def most_prompt_tokens(request: Request) -> int:
    """A bound for the tokens of a prompt: a byte-level vocabulary has no token shorter than a byte."""
    texts = [*(message.content for message in request.messages), request.prefill, request.json_schema]
    return sum(len(text.encode()) for text in texts) + PER_MESSAGE * (len(request.messages) + 2)


def likely_tokens(text: str) -> int:
    """How many tokens a text is likely to have: four characters each, but one for each that is not of the Latin kind."""
    wide = sum(letter > "\u2e7f" for letter in text)
    return wide + (len(text) - wide + 3) // 4
