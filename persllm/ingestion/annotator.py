"""The language model that `ingest` asks where the rules leave something open, within the bounds of every other call.

Its address is named before anything goes there, personal data are masked, good replies are kept and never paid for
twice, a failed call is never an answer, and no call begins that could pass the budget: what is not asked any more goes
by the rules, and is counted. In a dry run nobody is asked; the calls are counted and their price is foreseen.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from persllm.chat import ApiModel, ChatModel, Ledger, ReplyCache, SetBy, on_this_machine
from persllm.chat.estimates import ASSUMED_SPEED, ASSUMED_TOKENS, Estimate, Load, estimate, prompt_tokens
from persllm.chat.ledger import check_prices
from persllm.chat.model import key_of
from persllm.chat.protocol import Silent
from persllm.constructor_settings import ApiSettings, BudgetSettings
from persllm.errors import BudgetError, ModelError
from persllm.parsing import Settings
from persllm.privacy import MaskedModel, Masks, Receiver, is_masked, refuse_receivers
from persllm.privacy_settings import PrivacySettings
from persllm.records import Record, Reply, Request
from persllm.store import silent

BY_OPTIONS = SetBy(url="--address", model="--model", key="--set api.key_variable=NAME")
SHARE = 1 / 3
"""Of the longest reply that is allowed, so much is likely to come."""
NOT_ASKED = "the model was not asked: the budget is spent"
"""The reason in dropped.jsonl."""


class AnnotatorSettings(Settings):
    """Whom `ingest` asks, for how much, and what may leave this machine for it."""

    api: ApiSettings = ApiSettings()
    budget: BudgetSettings = BudgetSettings()
    privacy: PrivacySettings = PrivacySettings()

    @property
    def receiver(self) -> Receiver:
        """The address as it is told to the user."""
        url = self.api.url
        return Receiver(setting="--address", url=url, local=on_this_machine(url), masked=is_masked(self.privacy, [url]))


class Asked(Record):
    """What asking a model came to."""

    calls: int = 0
    """Calls that were made and answered, or would be."""
    planned_only: bool = False
    """Whether nobody was asked, and `calls` is what there would be to ask."""
    kept: int = 0
    """Replies that were there from earlier."""
    failed: int = 0
    """Calls without an answer; what they asked for stays open."""
    unasked: int = 0
    """Calls that were not made, since the budget had no room for them; what they would have asked for went by the rules."""
    limit: str = ""
    """The limit that was reached, as it is told."""
    prompt_tokens: int = 0
    """Tokens of what was sent, as the server counts them."""
    completion_tokens: int = 0
    """Tokens of the replies."""
    money: float | None = None
    """What it cost by the price table; None if there is no price."""
    currency: str = ""
    speakers: int = 0
    """Speeches whose speaker the rules had left open and the model named."""
    kinds: int = 0
    """Pieces whose kind the rules had left open and the model told."""
    forecast: Estimate | None = None
    """What the calls would come to; None if they were made."""


class Annotator:
    """A ChatModel that counts what it is asked. `kept` is the folder of kept replies; ModelError if the address is refused."""

    def __init__(self, settings: AnnotatorSettings, kept: Path, dry_run: bool = False, local_only: bool = False):
        if not settings.api.model:
            raise ModelError("--model is empty. Give the name by which the server at --address knows its model.")
        refuse_receivers([settings.receiver], local_only or settings.privacy.local_only, "leave --address out")
        check_prices(settings.budget, [settings.api.model])
        self.settings = settings
        self.speakers = self.kinds = self.unasked = 0
        self.done = self.total = 0
        self.owed: dict[str, Request] = {}
        """Key -> what is not kept yet and will be asked, or would be."""
        self.found: set[str] = set()
        """Keys of what is kept from earlier."""
        self.progress: Callable[[int, int], None] = silent
        """Called with requests that are done and requests so far."""
        there = not dry_run or (kept / "replies.sqlite").is_file()
        self.kept = ReplyCache(kept) if there else None
        self.accounts = Ledger(settings.budget)
        """What this one call of `ingest` spends."""
        self.api: ApiModel | None = None if dry_run else ApiModel(settings.api, self.kept, (), self.accounts, BY_OPTIONS)
        self.model: ChatModel = self.api or Silent()
        if settings.receiver.masked:
            self.model = MaskedModel(self.model, Masks(settings.privacy))

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """As the model's; of what the budget has no room for only the replies that are kept; none in a dry run.

        ModelError once it is plain that the address answers nothing.
        """
        left = {place: request for place, request in enumerate(requests) if request}
        self.total += len(left)
        self.foresee(left.values())
        try:
            yield from self.taken(left, {} if self.accounts.full else dict(left))
        except BudgetError:
            pass  # the accounts say so
        if self.accounts.full:
            yield from self.taken(left, {place: request for place, request in left.items() if self.key(request) in self.found})
            self.unasked += len(left)
        self.done = self.total
        self.progress(self.done, self.total)
        if self.api and self.api.tally.failed and not self.api.tally.calls + self.api.tally.cached:
            raise ModelError(
                f"{self.settings.api.url}: not one of {self.api.tally.failed} calls was answered. Nothing was written. "
                f"Look whether the server runs, or leave --address out."
            )

    def taken(self, left: dict[int, Request], wanted: dict[int, Request]) -> Iterator[tuple[int, Reply]]:
        """The replies to some of what is left, taken off it as they come."""
        places = list(wanted)
        for number, reply in self.model.replies(list(wanted.values())):
            self.done += 1
            self.progress(self.done, self.total)
            del left[places[number]]
            yield places[number], reply

    def foresee(self, requests: Iterable[Request]) -> None:
        """Note what is to be asked, and what is kept from earlier."""
        for request in requests:
            key = self.key(request)
            if self.kept and self.kept.find(key):
                self.found.add(key)
            else:
                self.owed[key] = request

    def key(self, request: Request) -> str:
        """Under what the reply to a request is kept."""
        sent = self.model.masked(request) if isinstance(self.model, MaskedModel) else request
        return key_of(self.settings.api.model, sent)

    @property
    def name(self) -> str:
        """The model and its address."""
        return f"{self.settings.api.model} at {self.settings.api.url}"

    def forecast(self) -> Estimate:
        """What is owed, if all of it is asked."""
        load = Load()
        for request in self.owed.values():
            longest = request.sampling.max_tokens
            load.add(1, prompt_tokens(request), SHARE * longest, longest)
        assumed = ("a reply a third as long as allowed, nothing tried again", ASSUMED_TOKENS, ASSUMED_SPEED)
        return estimate(load, [self.settings.api], [self.settings.api.model], self.settings.budget, assumed)

    def asked(self) -> Asked:
        """What it has come to so far."""
        if self.api is None:
            return Asked(calls=len(self.owed), planned_only=True, kept=len(self.found), forecast=self.forecast())
        tally, limit = self.api.tally, self.accounts.full
        return Asked(
            calls=tally.calls, kept=tally.cached, failed=tally.failed, unasked=self.unasked, limit=self.accounts.cap(limit) if limit else "",
            prompt_tokens=tally.usage.prompt_tokens, completion_tokens=tally.usage.completion_tokens,
            money=round(self.accounts.total.money, 6) if self.settings.budget.prices else None,
            currency=self.settings.budget.currency, speakers=self.speakers, kinds=self.kinds,
        )  # fmt: skip

    def close(self) -> None:
        """Let the kept replies go."""
        self.accounts.close()
        if self.kept:
            self.kept.close()
