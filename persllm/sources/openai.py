"""Conversations with a language model: the export `conversations.json`, and messages as the chat completions API has them.

The export keeps every conversation as a tree, since answers were made anew and questions changed; what the user saw
last is the way from the root to `current_node`, the other branches are dropped by name. Speakers are the roles, or
names where the file has them. A short system message is the situation.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import lines, parse_json
from persllm.sources.json_items import Item, items_of, mended, taken
from persllm.sources.timestamps import timestamp

name = "openai"
ROLES = ("user", "assistant")
LONGEST_SITUATION = 400
"""Characters of a system message that can be a situation; a longer one is a manual."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether the JSON holds trees of messages, or lists of them with roles."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        return False
    return (b'"mapping"' in head and b'"current_node"' in head) or (b'"messages"' in head and b'"role"' in head and b'"content"' in head)


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The messages of all conversations, each a thread."""
    number = 0
    for item in conversations(path):
        if isinstance(item, Dropped):
            yield item
            continue
        number += 1
        place = f"{path.name}:{item.line}"
        found = taken(place, list_of_passages, item.value, place, number)
        yield from [found] if isinstance(found, Dropped) else found


def conversations(path: Path) -> Iterator[Item | Dropped]:
    """The conversations of a JSON list, a single JSON object, or JSON lines."""
    if path.suffix.lower() == ".json":
        yield from items_of(path, lambda found: found == ("*",) or found == ("conversations", "*") or found == ("messages",))
        return
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
        elif line.text.strip():
            place = f"{path.name}:{line.number}"
            value = taken(place, parsed_line, line.text)
            yield value if isinstance(value, Dropped) else Item(("*",), line.number, value)


def parsed_line(text: str) -> Any:
    """The value of one line."""
    return mended(parse_json(text))


def list_of_passages(entry: Any, place: str, number: int) -> list[Passage | Dropped]:
    """All messages of one conversation, or none if it is not as the format has it."""
    return list(passages(entry, place, number))


def passages(entry: Any, place: str, number: int) -> Iterator[Passage | Dropped]:
    """The messages of one conversation."""
    if isinstance(entry, list):
        entry = {"messages": entry}
    thread = str(entry.get("title") or entry.get("id") or f"conversation {number}")
    if "mapping" in entry:
        messages, others = shown_branch(entry)
        if others:
            yield Dropped(item=place, reason="another branch", detail=f"{others} messages that were made anew or changed")
    else:
        messages = entry["messages"]
    situation = ""
    for count, message in enumerate(messages, 1):
        role, text = role_of(message), text_of(message.get("content"))
        source = f"{place} message {count}"
        if role in ("system", "developer") and text and len(text) <= LONGEST_SITUATION:
            situation = text
        elif role not in ROLES:
            yield Dropped(item=source, reason="system line", detail=f"{role}: {text}"[:200])
        elif not text:
            yield Dropped(item=source, reason="media")
        else:
            yield Passage(
                text=text, source=source, form="message", date=timestamp(message.get("create_time")), speaker=speaker_of(message, role),
                thread=thread, identity_in_thread=str(message.get("id") or ""), situation=situation,
            )  # fmt: skip


def shown_branch(entry: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The messages from the root to the current node, and how many with words stand on other branches."""
    mapping, node = entry["mapping"], entry.get("current_node")
    if node not in mapping:
        node = next((key for key in reversed(mapping) if not mapping[key].get("children")), None)
    way: list[str] = []
    while node in mapping and len(way) <= len(mapping):
        way.append(node)
        node = mapping[node].get("parent")
    shown = [mapping[key]["message"] for key in reversed(way) if mapping[key].get("message")]
    others = [value["message"] for key, value in mapping.items() if key not in set(way) and value.get("message")]
    visible = [message for message in shown if not (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")]
    return visible, sum(bool(text_of(message.get("content"))) and role_of(message) in ROLES for message in others)


def role_of(message: dict[str, Any]) -> str:
    """The role of a message in either form."""
    author = message.get("author")
    return str(author.get("role") if isinstance(author, dict) else message["role"])


def speaker_of(message: dict[str, Any], role: str) -> str:
    """The name of the speaker, or the role."""
    author = message.get("author")
    named = author.get("name") if isinstance(author, dict) else message.get("name")
    return str(named or role)


def text_of(content: Any) -> str:
    """The words of a content: a text, a list of parts, or an object that has them."""
    if isinstance(content, dict):
        content = content.get("parts") if content.get("content_type", "text") in ("text", "multimodal_text") else None
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else ()
    pieces = [part if isinstance(part, str) else part.get("text") or "" for part in parts if isinstance(part, (str, dict))]
    return "\n".join(piece for piece in pieces if isinstance(piece, str) and piece.strip()).strip()
