"""A Discord channel as DiscordChatExporter writes it in JSON. Names are those of the server (nicknames)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.json_items import Item, items_of, taken
from persllm.sources.timestamps import timestamp

name = "discord"
SPOKEN = ("Default", "Reply", "ThreadStarterMessage", "0", "19", "21")
"""Types of messages that somebody wrote; the rest tells of joins, pins, calls."""
PLACES = {("guild", "name"), ("channel", "name"), ("channel", "type"), ("channel", "category")}


def recognises(path: Path, head: bytes) -> bool:
    """Whether the JSON begins as the exporter's does."""
    return path.suffix.lower() == ".json" and all(mark in head for mark in (b'"guild"', b'"channel"', b'"messages"', b'"author"'))


def wanted(path: tuple[str, ...]) -> bool:
    """The messages, and what names the channel."""
    return path in PLACES or path == ("messages", "*")


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The messages of the channel."""
    place: dict[tuple[str, ...], str] = {}
    for item in items_of(path, wanted):
        if isinstance(item, Dropped):
            yield item
        elif item.path in PLACES:
            place[item.path] = str(item.value or "")
        else:
            yield taken(f"{path.name}:{item.line}", message, path.name, item, thread_name(place))


def thread_name(place: dict[tuple[str, ...], str]) -> str:
    """`Server #channel`, or the other's name in a direct chat."""
    channel = place.get(("channel", "name"), "")
    return channel if place.get(("channel", "type"), "").startswith("Direct") else f"{place.get(('guild', 'name'), '')} #{channel}".strip()


def message(file: str, item: Item, thread: str) -> Passage | Dropped:
    """A message, or why it is none."""
    entry, source = item.value, f"{file}:{item.line}"
    if str(entry["type"]) not in SPOKEN:
        return Dropped(item=source, reason="system line", detail=str(entry["type"])[:200])
    forwarded = entry.get("forwardedMessage")
    text = str((forwarded or entry).get("content") or "").strip()
    if not text:
        return Dropped(item=source, reason="media")
    reference = entry.get("reference") or {}
    return Passage(
        text=text, source=source, form="message", date=timestamp(entry["timestamp"]), speaker=called(entry["author"]),
        to=tuple(dict.fromkeys(called(person) for person in entry.get("mentions") or ())), thread=thread,
        identity_in_thread=str(entry["id"]), reply_to="" if forwarded else str(reference.get("messageId") or ""),
        edited=timestamp(entry.get("timestampEdited")), forwarded_from="somebody" if forwarded else "",
    )  # fmt: skip


def called(person: dict[str, Any]) -> str:
    """The name others see."""
    return str(person.get("nickname") or person["name"]).strip()
