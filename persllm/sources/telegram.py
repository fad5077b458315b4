"""Telegram Desktop's export in JSON (`result.json`), of one chat or of all.

A text may be a list of plain pieces and marked ones; what is marked as a quotation is somebody else's words and left
out. Messages that were passed on keep whose they are. Service messages, stickers and bare media are dropped by name.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.json_items import Item, items_of, taken
from persllm.sources.timestamps import timestamp

name = "telegram"
CHATS = ((), ("chats", "list", "*"), ("left_chats", "list", "*"))
"""Where a chat hangs: the file is one, or it lists many."""
MARKS = ("name", "type", "id")
KINDS = re.compile(rb'"type":\s*"(?:personal_chat|bot_chat|saved_messages|(?:private|public)_(?:group|supergroup|channel))"')
"""Kinds of chats: older exports give each time once only, without `date_unixtime`."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether the JSON begins as Telegram's does."""
    if path.suffix.lower() != ".json":
        return False
    single = b'"messages"' in head and b'"from_id"' in head and (b'"date_unixtime"' in head or KINDS.search(head))
    return bool(single) or (b'"chats"' in head and b'"list"' in head and b'"about"' in head)


def wanted(path: tuple[str, ...]) -> bool:
    """Messages of chats, and what names the chat."""
    return (path[-1:] != () and path[-1] in MARKS and path[:-1] in CHATS) or (path[-2:] == ("messages", "*") and path[:-2] in CHATS)


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The messages of all chats, each chat a thread."""
    chat: dict[str, Any] = {}
    known: dict[str, Any] = {}
    begun = False
    for item in items_of(path, wanted):
        if isinstance(item, Dropped):
            yield item
        elif item.path[-1] != "*":
            chat = {} if begun else chat
            chat[item.path[-1]], begun = item.value, False
        else:
            begun = True
            yield taken(f"{path.name}:{item.line}", message, path.name, item, thread_name(chat, known))


def thread_name(chat: dict[str, Any], known: dict[str, Any]) -> str:
    """The name of the chat; with its number if another one has the same."""
    title, number = str(chat.get("name") or f"chat {chat.get('id', '')}").strip(), chat.get("id")
    return title if known.setdefault(title, number) == number else f"{title} ({number})"


def message(file: str, item: Item, thread: str) -> Passage | Dropped:
    """A message, or why it is none."""
    entry, source = item.value, f"{file}:{item.line}"
    if entry["type"] != "message":
        return Dropped(item=source, reason="system line", detail=str(entry.get("action", ""))[:200])
    pieces = entry.get("text_entities") or entry.get("text") or ""
    text = said(pieces).strip()
    if not text:
        return Dropped(item=source, reason="media", detail=str(entry.get("media_type") or entry.get("mime_type") or "")[:200])
    return Passage(
        text=text, source=source, form="message", date=timestamp(entry["date"]), speaker=entry.get("from") or entry.get("author") or "",
        to=mentioned(pieces), thread=thread, identity_in_thread=str(entry.get("id", "")), reply_to=str(entry.get("reply_to_message_id") or ""),
        edited=timestamp(entry.get("edited") or entry.get("edited_unixtime")),
        forwarded_from=str(entry["forwarded_from"] or "somebody") if "forwarded_from" in entry else "",
    )  # fmt: skip


def said(pieces: str | list[Any]) -> str:
    """The text of all pieces that are the speaker's own."""
    if isinstance(pieces, str):
        return pieces
    return "".join(
        p if isinstance(p, str) else p["text"] if p.get("type") not in ("blockquote", "expandable_blockquote") else "" for p in pieces
    )


def mentioned(pieces: str | list[Any]) -> tuple[str, ...]:
    """Who is named with an @ or a link to the person."""
    if isinstance(pieces, str):
        return ()
    names = [p["text"].lstrip("@") for p in pieces if isinstance(p, dict) and p.get("type") in ("mention", "mention_name")]
    return tuple(dict.fromkeys(names))
