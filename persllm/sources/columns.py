"""Messages in columns: any CSV, TSV or JSONL whose columns are named as one would, or as a mapping says.

A mapping such as `speaker=from,text=body,date=ts,thread=chat,reply_to=parent,id=n,to=target` names the column for each
part; a dot goes into an object of JSONL (`speaker=author.name`). Without one the usual names are looked for. A text
that begins with `=` is a text: nothing is ever evaluated.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from persllm.errors import ConfigError, MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import Line, head_of, lines, parse_json, text_of_head
from persllm.sources.day_order import DayOrder, Order
from persllm.sources.json_items import mended, taken
from persllm.sources.timestamps import FIGURES, told_in

name = "columns"
USUAL = {
    "speaker": ("speaker", "from", "sender", "author", "sendername", "sender_name", "username", "user", "name", "role", "发送人", "发送者", "发言人", "说话人", "昵称"),
    "text": ("text", "body", "message", "msg", "content", "utterance", "内容", "消息", "消息内容", "文本"),
    "date": ("date", "time", "timestamp", "datetime", "ts", "created_at", "createtime", "sent_at", "时间", "日期", "发送时间"),
    "thread": ("thread", "chat", "channel", "conversation", "conversation_id", "room", "scene", "会话", "群聊", "聊天"),
    "id": ("id", "message_id", "msg_id", "消息id"),
    "reply_to": ("reply_to", "reply_to_id", "in_reply_to", "parent", "parent_id", "quoted_id", "回复"),
    "to": ("to", "recipient", "addressee", "接收人", "对象"),
    "situation": ("situation", "place", "location", "场景", "地点"),
}  # fmt: skip
"""What each part is usually called, in the order of preference."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
LONGEST_CELL = 1 << 20
LONGEST_DATE = 80


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first line names a speaker's and a text's column."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    names = header(path.suffix.lower(), text_of_head(head))
    return {"speaker", "text"} <= set(guessed(names))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The messages, by the usual names of columns."""
    return Columns().read(path)


def header(suffix: str, text: str) -> list[str]:
    """The names of the columns."""
    first = next(iter(text.lstrip("\ufeff").splitlines()), "")
    if suffix in (".jsonl", ".ndjson"):
        try:
            entry = parse_json(first)
        except (ValueError, RecursionError):
            return []
        return [str(key) for key in entry] if isinstance(entry, dict) else []
    try:
        return next(csv.reader([first], delimiter=delimiter(first)), [])
    except csv.Error:
        return []


def delimiter(line: str) -> str:
    """What parts the cells of a header."""
    return max(",;\t|", key=line.count)


def guessed(names: list[str]) -> dict[str, str]:
    """Part -> column, for the parts whose usual names occur."""
    plain = {column.strip().lower(): column for column in names}
    return {
        part: next(plain[word] for word in usual if word in plain) for part, usual in USUAL.items() if any(word in plain for word in usual)
    }


def read_mapping(text: str) -> dict[str, str]:
    """`speaker=from,text=body` as a mapping; ConfigError naming the parts there are."""
    mapping: dict[str, str] = {}
    for pair in filter(None, (piece.strip() for piece in text.split(","))):
        part, equals, column = (piece.strip() for piece in pair.partition("="))
        if part not in USUAL or not equals or not column:
            raise ConfigError(f"--map {pair}: expected PART=COLUMN, where PART is one of {', '.join(USUAL)}.")
        mapping[part] = column
    return mapping


class Columns:
    """Reads files whose columns are known."""

    name = name

    def __init__(self, mapping: Mapping[str, str] | None = None):
        self.mapping = dict(mapping or {})

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whatever has columns, since the mapping was given for it."""
        return path.suffix.lower() in SUFFIXES

    def read(self, path: Path) -> Iterator[Passage | Dropped]:
        """The messages in the order of the file. MaterialError naming the columns there are if the needed ones are missing."""
        mapping: dict[str, str] = {}
        order: Order = "dmy"
        undated, example = 0, ""
        for number, row in rows(path):
            if isinstance(row, Dropped):
                yield row
                continue
            if not mapping:
                mapping = self.columns_of(path, list(row))
                order, doubt = day_order(path, mapping.get("date", ""))
                if doubt:
                    yield Dropped(
                        item=path.name, reason="day and month look alike", detail=f"read as {order}; no date of the file tells them apart"
                    )
            place = f"{path.name}:{number}"
            found = taken(place, passage, row, mapping, place, path.stem, order)
            if isinstance(found, Passage) and not found.date and (said := str(value_at(row, mapping.get("date", "")) or "").strip()):
                undated, example = undated + 1, example or f"{place}, {said[:60]}"
            yield found
        if undated:
            yield Dropped(
                item=path.name, reason="date not understood", detail=f"{undated} messages stand without a date, the first at {example}"
            )

    def columns_of(self, path: Path, names: list[str]) -> dict[str, str]:
        """Part -> column for a file with these columns."""
        found = {**guessed(names), **self.mapping}
        lost = [column for column in self.mapping.values() if column.split(".")[0] not in names]
        if lost or not {"speaker", "text"} <= set(found):
            what = f"no column {', '.join(lost)}" if lost else "no columns for speaker and text known"
            raise MaterialError(f"{path.name}: {what}; {choice(names)}")
        return found


def choice(names: list[str]) -> str:
    """What the user can do where columns are not known: the columns there are, and how to map them."""
    shown = re.sub(r"[\x00-\x1f\x7f]", " ", ", ".join(names)[:200])
    return f"there are {shown}. Say which is which: --map speaker=COLUMN,text=COLUMN,date=COLUMN"


def way_on(path: Path) -> str:
    """The same for a file that nobody recognised; empty if it has no columns."""
    suffix = path.suffix.lower()
    names = header(suffix, text_of_head(head_of(path))) if suffix in SUFFIXES else []
    return f"its columns are not known; {choice(names)}" if len(names) > 1 else ""


def day_order(path: Path, column: str) -> tuple[Order, bool]:
    """Which of day and month stands first in the dates of a file, and whether that is in doubt. Read as far only as the first date needs it."""
    dates = DayOrder()
    for _, row in rows(path) if column else ():
        said = "" if isinstance(row, Dropped) else str(value_at(row, column) or "").strip()
        found = FIGURES.fullmatch(said) if len(said) < LONGEST_DATE else None
        if said and not found and not dates.seen:
            break
        if found:
            dates.see(int(found["a"]), int(found["b"]), int(found["year"]), found["mark"], bool(found["after"]))
            if dates.dots:
                break
    order, doubt = dates.found()
    return order, doubt and dates.seen


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Dropped]]:
    """(line, row by column name) of every row, and what cannot be read."""
    return json_rows(path) if path.suffix.lower() in (".jsonl", ".ndjson") else cell_rows(path)


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Dropped]]:
    """Every line of a JSONL file."""
    for line in lines(path):
        if isinstance(line, Dropped):
            yield 0, line
        elif line.text.strip():
            place = f"{path.name}:{line.number}"
            value = taken(place, parsed_line, line.text)
            yield line.number, value


def parsed_line(text: str) -> dict[str, Any]:
    """The object of one line; ValueError if it is none."""
    value = mended(parse_json(text))
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def cell_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Dropped]]:
    """Every row of a CSV file; a cell may go over several lines."""
    lost: list[Dropped] = []
    feed = Feed(path, lost)
    first = next(feed, None)
    if first is None:
        return
    csv.field_size_limit(LONGEST_CELL)
    mark = delimiter(first)
    names = [cell.strip() for cell in next(csv.reader([first], delimiter=mark))]
    table = csv.reader(feed, delimiter=mark)
    while True:
        start = feed.number + 1
        try:
            cells = next(table)
        except StopIteration:
            break
        except csv.Error as error:
            yield start, Dropped(item=f"{path.name}:{start}", reason="broken row", detail=f"{error}"[:200])
            continue
        if any(cells):
            yield start, dict(zip(names, cells))
        yield from ((0, dropped) for dropped in lost)
        lost.clear()
    yield from ((0, dropped) for dropped in lost)


class Feed:
    """The lines of a file for the csv reader, counted; what cannot be read is put aside."""

    def __init__(self, path: Path, lost: list[Dropped]):
        self.source, self.lost, self.number = lines(path), lost, 0

    def __iter__(self) -> "Feed":
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next line that can be read."""
        for line in self.source:
            self.number += 1
            if isinstance(line, Line):
                self.number = line.number
                return f"{line.text}\n"
            self.lost.append(line)
        raise StopIteration


def passage(row: dict[str, Any], mapping: Mapping[str, str], source: str, stem: str, order: Order) -> Passage | Dropped:
    """The message of a row, or why it is none."""
    cell = {part: value_at(row, column) for part, column in mapping.items()}
    text = str(cell["text"] if cell["text"] is not None else "").strip()
    if not text:
        return Dropped(item=source, reason="media")
    to = cell.get("to") or ()
    return Passage(
        text=text, source=source, form="message", date=told_in(cell.get("date"), order), speaker=str(cell["speaker"] or "").strip(),
        to=tuple(str(name) for name in to) if isinstance(to, list) else (str(to).strip(),) if to else (),
        thread=str(cell.get("thread") or stem).strip(), identity_in_thread=str(cell.get("id") or ""), reply_to=str(cell.get("reply_to") or ""),
        situation=str(cell.get("situation") or "").strip(),
    )  # fmt: skip


def value_at(row: dict[str, Any], column: str) -> Any:
    """The value of a column; a dot goes into an object."""
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
