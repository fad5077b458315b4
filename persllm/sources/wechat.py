"""WeChat chats in CSV, as the common exporters write them; the app itself has no export.

Known are the columns of MemoTrace (all chats, or one with Chinese headings), of PyWxDump and its kin, and of chatlog.
Text messages are taken, and of answers with a quotation the answer alone; the rest is dropped by its kind. The owner of
the phone is called `me` where the file does not name them: add `me` to the person's aliases.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import columns
from persllm.sources.bounded import text_of_head
from persllm.sources.json_items import taken
from persllm.sources.timestamps import timestamp

name = "wechat"
OWNER = "me"
LAYOUTS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"needs": ("TalkerId", "IsSender", "StrContent"), "text": ("StrContent",), "date": ("StrTime", "CreateTime"), "own": ("IsSender",),
     "speaker": ("Remark", "NickName", "Sender"), "thread": ("TalkerId",), "kind": ("Type",), "id": ("localId",)},
    {"needs": ("is_sender", "talker", "CreateTime"), "text": ("msg", "content"), "date": ("CreateTime",), "own": ("is_sender",),
     "speaker": ("talker",), "thread": ("room_name",), "kind": ("type_name",), "id": ("MsgSvrID", "id")},
    {"needs": ("SenderName", "TalkerName", "Content"), "text": ("Content",), "date": ("Time",), "own": (),
     "speaker": ("SenderName", "Sender"), "thread": ("TalkerName", "Talker"), "kind": (), "id": ()},
    {"needs": ("消息ID", "发送人", "内容"), "text": ("内容",), "date": ("时间",), "own": (),
     "speaker": ("备注", "发送人", "昵称"), "thread": (), "kind": ("类型",), "id": ("消息ID",)},
)  # fmt: skip
"""Columns that tell an exporter, and what its columns mean, in the order of preference."""
TEXTS = ("", "1", "49", "text", "文本", "文字", "文本消息", "文字消息", "引用消息", "引用", "带有引用的文本消息", "quote")
"""Kinds of messages that have words; 49 are answers with a quotation among others, which have no words then."""
QUOTED = (
    re.compile(r"^「(?P<quoted>.*?)」\s*\n\s*(?:- ?){5,}\s*\n(?P<own>.*)$", re.DOTALL),
    re.compile(r"^(?P<own>.*?)\n+\s*(?:引用|「引用」)[:：]?\s*(?P<quoted>.*)$", re.DOTALL),
)
XML = re.compile(r"^\s*<(?:\?xml|msg|sysmsg|appmsg)", re.IGNORECASE)
BRACKETED = re.compile(r"^\[[^\[\]\n]{1,12}\]$")
"""`[图片]` and the like in place of what is no text. Also emoticons, which are no words either."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first line has the columns of a known exporter."""
    return path.suffix.lower() == ".csv" and layout_of(columns.header(".csv", text_of_head(head))) is not None


def layout_of(names: list[str]) -> dict[str, tuple[str, ...]] | None:
    """The layout that has these columns."""
    present = {column.strip() for column in names}
    return next((layout for layout in LAYOUTS if set(layout["needs"]) <= present), None)


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The text messages of all chats."""
    titles = thread_titles(path)
    for number, row in columns.rows(path):
        if isinstance(row, Dropped):
            yield row
            continue
        layout = layout_of(list(row)) or LAYOUTS[0]
        place = f"{path.name}:{number}"
        yield taken(place, message, row, layout, place, titles, path.stem)


def thread_titles(path: Path) -> dict[str, str]:
    """Number of each chat -> the other's name, or `group NUMBER` if there are several others."""
    others: dict[str, list[str]] = {}
    for _, row in columns.rows(path):
        if isinstance(row, Dropped):
            continue
        layout = layout_of(list(row)) or LAYOUTS[0]
        thread = first(row, layout["thread"])
        known = others.setdefault(thread, [])
        if first(row, layout["own"]) != "1" and len(known) < 2 and (speaker := first(row, layout["speaker"])) not in known:
            known.append(speaker)
    return {thread: names[0] if len(names) == 1 and thread.isdigit() else thread for thread, names in others.items()}


def first(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of these columns that has something in it."""
    return next((str(row[column]).strip() for column in names if row.get(column)), "")


def message(row: dict[str, Any], layout: dict[str, tuple[str, ...]], place: str, titles: dict[str, str], stem: str) -> Passage | Dropped:
    """A message, or why it is none."""
    kind, raw = first(row, layout["kind"]), words_of(first(row, layout["text"]))
    if kind not in TEXTS or XML.match(raw) or BRACKETED.match(raw):
        return Dropped(item=place, reason="system line" if kind == "10000" else "media", detail=f"{kind} {raw}"[:200])
    own_words = next((found["own"] for pattern in QUOTED if (found := pattern.match(raw))), raw).strip()
    if not own_words:
        return Dropped(item=place, reason="media", detail=raw[:200])
    own = first(row, layout["own"]) == "1"
    thread = first(row, layout["thread"])
    return Passage(
        text=own_words, source=place, form="message", date=timestamp(first(row, layout["date"])), speaker=OWNER if own else first(row, layout["speaker"]),
        thread=titles.get(thread, thread) or stem, identity_in_thread=first(row, layout["id"]),
    )  # fmt: skip


def words_of(text: str) -> str:
    """The words of a cell; some exporters put them into JSON with the path of a file."""
    if text.startswith("{") and '"msg"' in text:
        try:
            return str(json.loads(text).get("msg") or "")
        except (ValueError, AttributeError, RecursionError):
            return text
    return text
