"""The language model that `ingest` asks where the rules leave something open, within the bounds of every other call.

Its address is named before anything goes there, personal data are masked, good replies are kept and never paid for
twice, a failed call is never an answer. In a dry run nobody is asked; the calls are counted.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from persllm.chat import ApiModel, ChatModel, on_this_machine
from persllm.constructor_settings import ApiSettings
from persllm.errors import ModelError
from persllm.parsing import Settings
from persllm.privacy import MaskedModel, Masks, Receiver, is_masked, refuse_receivers
from persllm.privacy_settings import PrivacySettings
from persllm.records import Record, Reply, Request
from persllm.store import silent


class AnnotatorSettings(Settings):
    """Whom `ingest` asks, and what may leave this machine for it."""

    api: ApiSettings = ApiSettings()
    privacy: PrivacySettings = PrivacySettings()

    @property
    def receiver(self) -> Receiver:
        """The address as it is told to the user."""
        url = self.api.url
        return Receiver(setting="--address", url=url, local=on_this_machine(url), masked=is_masked(self.privacy, [url]))


class Asked(Record):
    """What asking a model came to."""

    calls: int = 0
    """Calls that were made and answered, or would be, if none is kept already."""
    planned_only: bool = False
    """Whether nobody was asked, and `calls` is what there would be to ask."""
    kept: int = 0
    """Replies that were there from earlier."""
    failed: int = 0
    """Calls without an answer; what they asked for stays open."""
    prompt_tokens: int = 0
    """Tokens of what was sent, as the server counts them."""
    completion_tokens: int = 0
    """Tokens of the replies."""
    speakers: int = 0
    """Speeches whose speaker the rules had left open and the model named."""
    kinds: int = 0
    """Pieces whose kind the rules had left open and the model told."""


class Annotator:
    """A ChatModel that counts what it is asked. `kept` is the folder of kept replies; ModelError if the address is refused."""

    def __init__(self, settings: AnnotatorSettings, kept: Path, dry_run: bool = False, local_only: bool = False):
        if not settings.api.model:
            raise ModelError("--model is empty. Give the name by which the server at --address knows its model.")
        refuse_receivers([settings.receiver], local_only or settings.privacy.local_only, "leave --address out")
        self.settings, self.dry_run = settings, dry_run
        self.planned = self.speakers = self.kinds = 0
        self.progress: Callable[[int, int], None] = silent
        """Called with replies that came and requests of a batch."""
        self.api: ApiModel | None = None if dry_run else ApiModel(settings.api, kept)
        self.model: ChatModel | None = self.api
        if self.api and settings.receiver.masked:
            self.model = MaskedModel(self.api, Masks(settings.privacy))

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """As the model's; none in a dry run. ModelError once it is plain that the address answers nothing."""
        asked = list(requests)
        self.planned += len(asked)
        if self.model is None or self.api is None:
            return
        for done, (place, reply) in enumerate(self.model.replies(asked), 1):
            self.progress(done, len(asked))
            yield place, reply
        if self.api.tally.failed and not self.api.tally.calls + self.api.tally.cached:
            raise ModelError(
                f"{self.settings.api.url}: not one of {self.api.tally.failed} calls was answered. Nothing was written. "
                f"Look whether the server runs, or leave --address out."
            )

    @property
    def name(self) -> str:
        """The model and its address."""
        return f"{self.settings.api.model} at {self.settings.api.url}"

    def asked(self) -> Asked:
        """What it has come to so far."""
        if self.api is None:
            return Asked(calls=self.planned, planned_only=True)
        tally = self.api.tally
        return Asked(
            calls=tally.calls, kept=tally.cached, failed=tally.failed, prompt_tokens=tally.usage.prompt_tokens,
            completion_tokens=tally.usage.completion_tokens, speakers=self.speakers, kinds=self.kinds,
        )  # fmt: skip

    def close(self) -> None:
        """Let the kept replies go."""
        if self.api:
            self.api.close()
