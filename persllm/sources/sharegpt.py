"""ShareGPT's form of conversations: `conversations` with `from` and `value`, as a JSON list or JSON lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import openai
from persllm.sources.json_items import taken

name = "sharegpt"
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "assistant": "assistant",
    "system": "system",
}


def recognises(path: Path, head: bytes) -> bool:
    """Whether the JSON holds lists of `from` and `value`."""
    return path.suffix.lower() in (".json", ".jsonl") and all(mark in head for mark in (b'"conversations"', b'"from"', b'"value"'))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The turns of all conversations, each a thread."""
    number = 0
    for item in openai.conversations(path):
        if isinstance(item, Dropped):
            yield item
            continue
        number += 1
        place = f"{path.name}:{item.line}"
        found = taken(place, list_of_passages, item.value, place, number)
        yield from [found] if isinstance(found, Dropped) else found


def list_of_passages(entry: Any, place: str, number: int) -> list[Passage | Dropped]:
    """All turns of one conversation, or none if it is not as the format has it."""
    return list(openai.passages(as_messages(entry), place, number))


def as_messages(entry: dict[str, Any]) -> dict[str, Any]:
    """The conversation with roles and contents; a speaker that is no role is a name."""
    messages = []
    for turn in entry["conversations"]:
        speaker = str(turn["from"])
        role = ROLES.get(speaker.lower(), "user")
        messages.append({"role": role, "content": turn["value"], **({} if speaker.lower() in ROLES else {"name": speaker})})
    return {"id": str(entry.get("id") or ""), "title": entry.get("title"), "messages": messages}
