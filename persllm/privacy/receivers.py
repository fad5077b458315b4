"""Who will receive text of the materials, and the refusal of those that are not on this machine."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from persllm.chat import on_this_machine
from persllm.config import Recipe
from persllm.errors import ModelError
from persllm.privacy_settings import PrivacySettings
from persllm.records import Record

LOCAL_ONLY_VARIABLE = "PERSLLM_LOCAL_ONLY"


class Receiver(Record):
    """An address that gets text."""

    setting: str
    """Where the recipe names it, such as `constructor.api`."""
    url: str
    local: bool
    masked: bool
    """Whether personal data are masked before text goes there."""


def receivers(recipe: Recipe) -> list[Receiver]:
    """Every address that a run of the recipe will send text to; those of the annotator share their masking."""
    found = [(setting, url) for setting, url in urls(recipe) if is_used(recipe, setting)]
    return [
        Receiver(setting=setting, url=url, local=on_this_machine(url), masked=is_masked(recipe.privacy, beside(setting, url, found)))
        for setting, url in found
    ]


def is_used(recipe: Recipe, setting: str) -> bool:
    """Whether an address is asked at all: the annotator's by the engine `llm`, the verifying model's if there is a share for it, a taker's if it sits, the encoder's if it is named."""
    section = setting.split(".")[0]
    if section == "judge":
        return False  # not by a run: `persllm judge` names its own
    if section == "constructor":
        return recipe.constructor.engine == "llm"
    if setting.startswith("evaluation.models."):
        return setting.removeprefix("evaluation.models.").removesuffix(".api") in recipe.evaluation.takers
    return section != "checks" or recipe.checks.verify.share > 0


def beside(setting: str, url: str, found: list[tuple[str, str]]) -> list[str]:
    """The addresses to any of which a call for this one may go."""
    return [other for place, other in found if place.startswith("constructor.")] if setting.startswith("constructor.") else [url]


def urls(settings: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, address) of all settings below that have a `url`."""
    if isinstance(settings, BaseModel):
        if getattr(settings, "url", ""):
            yield place, settings.url  # type: ignore[attr-defined]
        for name in type(settings).model_fields:
            yield from urls(getattr(settings, name), f"{place}.{name}" if place else name)
    elif isinstance(settings, tuple):
        for number, entry in enumerate(settings):
            yield from urls(entry, f"{place}.{number}")
    elif isinstance(settings, dict):
        for name, entry in settings.items():
            yield from urls(entry, f"{place}.{name}")


def is_masked(settings: PrivacySettings, addresses: Sequence[str]) -> bool:
    """Whether personal data are masked. One address elsewhere is enough: a call may go to any of them, and is kept once for all."""
    if settings.mask == "remote":
        return not all(on_this_machine(url) for url in addresses)
    return settings.mask == "always"


def refuse_remote(recipe: Recipe, local_only: bool = False) -> None:
    """ModelError that names every address elsewhere, if none is allowed: by the caller, the recipe, or the environment."""
    refuse_receivers(receivers(recipe), local_only or recipe.privacy.local_only, "constructor.engine=extractive")


def refuse_receivers(found: Sequence[Receiver], local_only: bool, other: str) -> None:
    """ModelError that names every address elsewhere, if none is allowed, here or by the environment; `other` is a way without any."""
    if not (local_only or os.environ.get(LOCAL_ONLY_VARIABLE, "") not in ("", "0")):
        return
    remote = [f"{one.setting} ({one.url})" for one in found if not one.local]
    if remote:
        raise ModelError(
            f"nothing may leave this machine, but text would go to {', '.join(remote)}. Nothing was sent. Give an address on "
            f"127.0.0.1 or localhost, {other}, or leave --local-only (privacy.local_only, {LOCAL_ONLY_VARIABLE}) out."
        )


def say(receiver: Receiver, settings: PrivacySettings) -> str:
    """One line about a receiver: the address, what goes there, and what is masked."""
    where = "on this machine" if receiver.local else "not on this machine"
    masked = f"masked: {', '.join(settings.kinds)}" if receiver.masked else "nothing is masked"
    return f"text of the materials will be sent to {receiver.url} ({receiver.setting}, {where}; {masked})"
