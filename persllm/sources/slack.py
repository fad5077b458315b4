"""A Slack export: a folder or ZIP with `users.json`, `channels.json`, and a folder of days for each channel, or with a single folder that holds these.

Names come from users.json, the time of day from each writer's own time zone. Answers in a thread belong to
`#channel / thread`, and answer the message the thread hangs on.
"""

import html
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.archives import Archive, archive
from persllm.sources.bounded import decoded, whole
from persllm.sources.json_items import Item, json_items, taken
from persllm.sources.timestamps import timestamp

name = "slack"
DAY = re.compile(r"\d{4}-\d\d-\d\d\.json")
SPOKEN = (None, "", "thread_broadcast", "reply_broadcast", "me_message", "bot_message", "file_share")
LISTS = ("channels.json", "groups.json", "dms.json", "mpims.json")
MARK = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")


def recognises(path: Path, head: bytes) -> bool:
    """Whether a folder or a ZIP holds users.json beside folders of days."""
    if path.is_dir():
        root = path / top_of([file.name + "/" * file.is_dir() for file in path.iterdir()])
        return (root / "users.json").is_file() and any(DAY.fullmatch(file.name) for file in root.glob("*/*.json"))
    if not head.startswith(b"PK"):
        return False
    try:
        with archive(path) as zipped:
            names = list(zipped.members)
    except MaterialError:
        return False
    return f"{top_of(names)}users.json" in names and any(DAY.fullmatch(PurePosixPath(member).name) for member in names)


def top_of(names: Iterable[str]) -> str:
    """The single folder in which all of some names lie, with a slash; empty if there is none. What systems add (`__MACOSX`, `.DS_Store`) does not count."""
    tops = {name[: name.find("/") + 1] for name in names if not name.startswith(("__MACOSX/", "."))}
    return tops.pop() if len(tops) == 1 else ""


class Export:
    """The files of an export, wherever they lie."""

    def __init__(self, root: Path, zipped: Archive | None):
        self.root, self.zipped = root, zipped
        self.top = top_of(zipped.members) if zipped else top_of(file.name + "/" * file.is_dir() for file in root.iterdir())
        """Folder in which the export lies, with a slash; mostly there is none."""

    def names(self) -> list[str]:
        """All files, `channel/2024-05-04.json`."""
        if self.zipped:
            return [member.removeprefix(self.top) for member in self.zipped.members if member.startswith(self.top)]
        top = self.root / self.top
        return [str(file.relative_to(top).as_posix()) for file in top.rglob("*.json") if not file.is_symlink()]

    def place(self, member: str) -> str:
        """What a file is called in messages and as an origin."""
        return f"{self.root.name}/{self.top}{member}"

    def text(self, member: str) -> str:
        """The text of one file."""
        content = self.zipped.read(self.top + member) if self.zipped else whole(self.root / self.top / member)
        return decoded(content, self.place(member))

    def listed(self, member: str) -> list[dict[str, Any]]:
        """The entries of one of the lists; none if it is missing. MaterialError if it is broken."""
        if member not in self.names():
            return []
        try:
            entries = json.loads(self.text(member))
        except (ValueError, RecursionError) as error:
            raise MaterialError(f"{self.place(member)}: broken JSON ({str(error)[:80]}). Export again.") from error
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


@contextmanager
def opened_export(path: Path) -> Iterator[Export]:
    """The export in a folder or ZIP."""
    if path.is_dir():
        yield Export(path, None)
        return
    with archive(path) as zipped:
        yield Export(path, zipped)


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The messages of all channels, day by day."""
    with opened_export(path) as export:
        users = {str(user.get("id")): user for user in export.listed("users.json")}
        titles = channel_titles(export, users)
        for member in sorted(export.names()):
            folder, file = PurePosixPath(member).parent.name, PurePosixPath(member).name
            if not DAY.fullmatch(file) or not folder:
                continue
            place = export.place(member)
            for item in json_items(io.StringIO(export.text(member)), place, lambda found: found == ("*",)):
                if isinstance(item, Dropped):
                    yield item
                    continue
                yield taken(f"{place}:{item.line}", message, place, item, titles.get(folder, f"#{folder}"), users)


def channel_titles(export: Export, users: dict[str, Any]) -> dict[str, str]:
    """Folder -> what the channel is called: `#name`, or who takes part in a direct chat."""
    titles: dict[str, str] = {}
    for file in LISTS:
        for entry in export.listed(file):
            people = ", ".join(called(str(member), users) for member in entry.get("members") or ())
            direct = file in ("dms.json", "mpims.json") and people
            titles[str(entry.get("name") or entry.get("id"))] = people if direct else f"#{entry.get('name')}"
    return titles


def called(user: str, users: dict[str, Any]) -> str:
    """The name others see of a user."""
    entry = users.get(user) or {}
    profile = entry.get("profile") or {}
    return str(profile.get("display_name") or profile.get("real_name") or entry.get("real_name") or entry.get("name") or user).strip()


def message(place: str, item: Item, channel: str, users: dict[str, Any]) -> Passage | Dropped:
    """A message, or why it is none."""
    entry, source = item.value, f"{place}:{item.line}"
    if entry.get("type", "message") != "message" or entry.get("subtype") not in SPOKEN:
        return Dropped(item=source, reason="system line", detail=str(entry.get("subtype"))[:200])
    raw = str(entry.get("text") or "")
    text = plain(raw, users).strip()
    if not text:
        return Dropped(item=source, reason="media")
    user = str(entry.get("user") or "")
    profile = entry.get("user_profile") or {}
    named = (
        called(user, users)
        if user in users
        else str(entry.get("username") or profile.get("display_name") or profile.get("real_name") or user)
    )
    offset = (users.get(user) or {}).get("tz_offset") or 0
    parent = str(entry.get("thread_ts") or "")
    answers = parent if parent and parent != str(entry["ts"]) else ""
    return Passage(
        text=text, source=source, form="message", date=local(entry["ts"], offset), speaker=named,
        to=tuple(dict.fromkeys(called(found[2], users) for found in MARK.finditer(raw) if found[1] == "@")),
        thread=f"{channel} / thread {parent}" if answers else channel, identity_in_thread=str(entry["ts"]), reply_to=answers,
        edited=local((entry.get("edited") or {}).get("ts"), offset),
    )  # fmt: skip


def local(ts: object, offset: int) -> str:
    """The writer's time of day; empty if there is no time."""
    return timestamp(float(str(ts)) + offset) if ts else ""


def plain(text: str, users: dict[str, Any]) -> str:
    """The text as people saw it: names for marks, the label of a link for the link."""

    def shown(found: re.Match[str]) -> str:
        kind, target, label = found[1], found[2], found[3]
        if kind == "@":
            return f"@{called(target, users)}"
        return {"#": f"#{label or target}", "!": f"@{(label or target).lstrip('@')}"}.get(kind, label or target)

    return html.unescape(MARK.sub(shown, text))
