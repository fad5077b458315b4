"""A model one talks to, of which nothing personal comes to know: masks on the way out, the user's words on the way back."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from persllm.chat import ChatModel
from persllm.privacy.masks import Masks, report
from persllm.privacy.receivers import is_masked
from persllm.privacy_settings import PrivacySettings
from persllm.records import Material, Message, Persona, Reply, Request
from persllm.store import replace_json

log = logging.getLogger("persllm")


class MaskedModel:
    """A model behind masks. What it keeps of calls and replies, it keeps masked, since it never gets anything else.

    A reply with a mask that stands for nothing is an error, not data: the model made it up.
    """

    def __init__(self, model: ChatModel, masks: Masks):
        self.model, self.masks = model, masks

    def replies(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Reply]]:
        """As the model's, with the same places."""
        for place, reply in self.model.replies(self.masked(request) if request else None for request in requests):
            yield place, self.restored(reply)

    def masked(self, request: Request) -> Request:
        """The request as it may leave."""
        messages = tuple(
            Message(role=message.role, content=self.masks.masked(message.content), thought=self.masks.masked(message.thought))
            for message in request.messages
        )
        return request.model_copy(update={"messages": messages, "prefill": self.masks.masked(request.prefill)})

    def restored(self, reply: Reply) -> Reply:
        """The reply in the user's own words, unless the masks are to stay."""
        unknown = self.masks.unknown_in(reply.text)
        if unknown:
            return Reply(finish="error", usage=reply.usage, error=f"the reply names {unknown}, a mask that stands for nothing")
        if self.masks.settings.replies == "keep":
            return reply
        return reply.model_copy(update={"text": self.masks.restored(reply.text), "thought": self.masks.restored(reply.thought)})

    def close(self) -> None:
        """As the model's."""
        self.model.close()  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        """What else the model tells of itself, such as its tally; but never a way around the masks."""
        if name in ("stream", "model", "masks"):
            raise AttributeError(name)
        return getattr(self.model, name)


def guarded(
    model: ChatModel,
    settings: PrivacySettings,
    urls: Sequence[str],
    folder: Path,
    personas: Sequence[Persona] = (),
    materials: Sequence[Material] = (),
) -> ChatModel:
    """The model itself, or behind masks if the settings want them for its addresses.

    `folder` keeps the table of masks and, if `materials` are given, the report of what is personal in them.
    """
    if not is_masked(settings, urls):
        return model
    return MaskedModel(model, masks_for(settings, folder, personas, materials))


def masks_for(settings: PrivacySettings, folder: Path, personas: Sequence[Persona] = (), materials: Sequence[Material] = ()) -> Masks:
    """The table of a run, with everything personal in the materials numbered in their order, and the report of it written."""
    masks = Masks(settings, folder / "masks.jsonl")
    if materials:
        found = report(masks.of_materials(personas, materials))
        replace_json(folder / "report.json", found)
        log.info("masked before anything is sent: %s", found["kinds"])
    return masks
