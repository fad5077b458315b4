"""WhatsApp's export of a chat (`_chat.txt`, `WhatsApp Chat with Ben.txt`), from Android and iOS, in many languages.

Every message begins with its time; a line without one goes on with the message before. The form of the time depends on
the phone's language and region, and whether 3/4 is in March or April is not written anywhere: it is found from the
whole file (a number above 12, else the order in which time does not run backwards). Lines without a speaker, deleted
messages and media are left out by name. Limit: the export has no replies and no ids.
"""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import lines, text_of_head
from persllm.sources.day_order import DayOrder
from persllm.sources.timestamps import HALF, composed, hour_of_day

name = "whatsapp"
MARKS = "\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
"""Marks of direction that the app puts around names and before what it says itself."""
WORD_HALF = "|".join(word for word in HALF if not word.isascii())
HEAD = re.compile(
    rf"^[{MARKS}]*(?P<open>\[)?(?P<a>\d{{1,4}})(?P<mark>[./\-年])\s?(?P<b>\d{{1,2}})[./\-月]\s?(?P<c>\d{{1,4}})日?[.,،]*\s+"
    rf"(?:klo|kl\.|at|um|às|alle|a las|星期.|周.)?\s*(?P<before>{WORD_HALF})?\s?(?P<hour>\d{{1,2}})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?"
    rf"[\s\u202f]*(?P<after>[AaPp]\.?[\s\u202f]?[Mm]\.?)?(?(open)\]|\s[-–—])\s?(?P<rest>.*)$",
    re.DOTALL,
)
SPEAKER = re.compile(rf"^[{MARKS}~\s\u202f]*(?P<name>[^:：\n]{{1,60}}?)[{MARKS}]*[:：] ?(?P<text>.*)$", re.DOTALL)
QUOTES = re.compile('["“”„«»「」『』]')
"""What a system line puts around a name with a colon in it: `Ben changed the subject to "Trip: Rome"` has no speaker."""
EDITED = re.compile(rf"[{MARKS}\s]*<[^<>\n]*(?:edited|bearbeitet|editado|modifié|modificato|已编辑|編輯)[^<>\n]*>\s*$")
MEDIA = re.compile(
    r"^<[^<>\n]{3,60}>$|^null$|^live location shared$|^[^:\n]{0,20}: https?://maps\.google\.com/\?q=[-\d.,]+$|^Waiting for this message\b.{0,40}$|^[\w\-. ]+\.(?:jpe?g|png|gif|webp|mp4|mov|3gp|opus|ogg|m4a|mp3|aac|pdf|vcf|docx?|xlsx?|zip) \([^()\n]{3,40}\)$"
)
OMITTED = re.compile(
    r"^(?:image|video|audio|sticker|GIF|document|contact card) omitted$|^(?:Bild|Video|Audio|Sticker|Dokument) weggelassen$|"
    r"^(?:imagen|vídeo|video|audio|sticker) omitid[oa]$|^(?:image|vidéo|audio) absente$|^(?:图像|图片|视频|音频|贴图|文档|GIF|文件)已(?:忽略|省略)$"
)
DELETED = re.compile(
    r"^(?:This message was deleted|You deleted this message|Diese Nachricht wurde gelöscht|Du hast diese Nachricht gelöscht|"
    r"Se eliminó este mensaje|Eliminaste este mensaje|Ce message a été supprimé|Esta mensagem foi apagada|Mensagem apagada|"
    r"(?:此|该|這則|此則)(?:消息|訊息)已(?:被)?(?:删除|撤回|刪除)|您(?:已)?(?:删除|撤回|刪除)了(?:此|这|這)[条則]?(?:消息|訊息))[.。]?$"
)
MENTION = re.compile("@\u2068([^\u2069\n]{1,60})\u2069")
TITLE = re.compile(r"(?:WhatsApp.*?(?: with | mit | con | avec | com | - )|与)(?P<name>.+?)(?:的\s?WhatsApp\s?.*)?$")
EDITING_MINUTES = 15
"""How long WhatsApp lets a message be changed; the export says only that it was."""
LONGEST = 1 << 18
"""Characters of one message."""


def recognises(path: Path, head: bytes) -> bool:
    """Whether two of the first lines begin with a time and a speaker."""
    if path.suffix.lower() != ".txt":
        return False
    first = text_of_head(head).split("\n")[:40]
    return sum(bool((found := HEAD.match(line.rstrip("\r"))) and SPEAKER.match(found["rest"])) for line in first) >= 2


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Every message; system lines, media, deleted messages and unreadable lines are dropped by name."""
    order, doubt = day_order(path)
    if doubt:
        yield Dropped(item=path.name, reason="day and month look alike", detail=f"read as {order}; no date of the file tells them apart")
    thread = thread_name(path)
    for found in messages(path):
        yield found if isinstance(found, Dropped) else message(f"{path.name}:{found.line}", found, order, thread)


class Raw(NamedTuple):
    """A message as the file has it."""

    line: int
    head: re.Match[str]
    text: str


def messages(path: Path) -> Iterator[Raw | Dropped]:
    """Every message with its further lines joined, and the lines that cannot be read."""
    now: Raw | None = None
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
            continue
        head = HEAD.match(line.text)
        if head:
            if now:
                yield now
            now = Raw(line.number, head, head["rest"])
        elif now and len(now.text) < LONGEST:
            now = now._replace(text=f"{now.text}\n{line.text}")
        elif not now and line.text.strip():
            yield Dropped(item=f"{path.name}:{line.number}", reason="before the first message", detail=line.text[:200])
    if now:
        yield now


def day_order(path: Path) -> tuple[str, bool]:
    """`ymd`, `dmy` or `mdy` for the file, and whether that is in doubt. MaterialError if nothing looks like a message."""
    dates = DayOrder()
    for raw in messages(path):
        if isinstance(raw, Dropped):
            continue
        found = raw.head
        if len(found["a"]) == 4 or found["mark"] == "年":
            return "ymd", False
        if found["mark"] == ".":
            return "dmy", False
        dates.see(int(found["a"]), int(found["b"]), int(found["c"]), found["mark"], bool(found["after"]))
    if not dates.seen:
        raise MaterialError(f"{path.name}: no message of a WhatsApp chat found. Export the chat as text again, without changing the file.")
    return dates.found()


def moment(found: re.Match[str], order: str) -> str:
    """The time of a message; empty if there is no such day."""
    parts = dict(zip(order, (int(found["a"]), int(found["b"]), int(found["c"])), strict=True))
    year = parts["y"] + 2000 if parts["y"] < 100 else parts["y"]
    hour = hour_of_day(int(found["hour"]), found["before"] or found["after"] or "")
    return composed(year, parts["m"], parts["d"], hour, int(found["minute"]), int(found["second"] or 0))


def message(source: str, raw: Raw, order: str, thread: str) -> Passage | Dropped:
    """A message, or why it is none."""
    spoken = SPEAKER.match(raw.text)
    if not spoken or len(QUOTES.findall(spoken["name"])) % 2:
        return Dropped(item=source, reason="system line", detail=raw.text[:200])
    said = spoken["text"]
    edited = EDITED.search(said)
    said = said[: edited.start()] if edited else said
    to = tuple(dict.fromkeys(MENTION.findall(said)))
    own_words = "\n".join(line for line in said.split("\n") if not is_media(line)).strip()
    clean = re.sub(f"[{MARKS}]", "", own_words).strip()
    if not clean:
        return Dropped(item=source, reason="media", detail=said[:200])
    if DELETED.match(clean):
        return Dropped(item=source, reason="deleted message")
    if own_words.startswith("\u200e"):
        return Dropped(item=source, reason="system line", detail=clean[:200])
    date = moment(raw.head, order)
    return Passage(
        text=clean, source=source, form="message", date=date, speaker=spoken["name"].strip(), to=to, thread=thread,
        edited=later(date) if edited else "",
    )  # fmt: skip


def is_media(line: str) -> bool:
    """Whether a line stands for a picture, a recording, a document."""
    clean = re.sub(f"[{MARKS}]", "", line).strip()
    return bool(MEDIA.match(clean) or OMITTED.match(clean))


def later(date: str) -> str:
    """The last moment at which a message of that time can have been changed."""
    return (datetime.datetime.fromisoformat(date) + datetime.timedelta(minutes=EDITING_MINUTES)).isoformat() if date else ""


def thread_name(path: Path) -> str:
    """The name of the chat, from the file or its folder."""
    stem = path.parent.name if path.stem == "_chat" and path.parent.name else path.stem
    found = TITLE.search(stem)
    return (found["name"] if found else stem).strip() or stem
