"""A talk as a file: Markdown to read, or JSONL to go on with.

Every file says at its head that a model answered, and which one. Limits: what was taken back by a retry is not
in it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from persllm.errors import ConfigError
from persllm.records import Message
from persllm.store import now, replace_text

NOTICE = {
    "en": "The answers were written by a language model trained as {title}, not by a human being.",
    "zh": "以下回答由训练成“{title}”的语言模型写成，并非真人所说。",
}
SPEAKERS = {"en": ("You", "{name}", "analysis"), "zh": ("你", "{name}", "分析")}


def save_talk(file: Path, talk: Sequence[Message], title: str, name: str, language: str = "en", thoughts: bool = False) -> None:
    """Write a talk, in the form that the file's ending names (`.md` or `.jsonl`). ConfigError for any other."""
    writers = {".md": as_markdown, ".jsonl": as_jsonl}
    if file.suffix not in writers:
        raise ConfigError(f"{file}: a talk can be saved as .md (to read) or .jsonl (for programs). Give the file one of these endings.")
    replace_text(file, writers[file.suffix](talk, title, name, language, thoughts))


def as_markdown(talk: Sequence[Message], title: str, name: str, language: str, thoughts: bool) -> str:
    """A talk to read."""
    you, person, analysis = (word.format(name=name) for word in SPEAKERS[language])
    lines = [f"# {title}", NOTICE[language].format(title=title), now()]
    for message in talk:
        if thoughts and message.thought:
            lines.append(f"*({analysis}) {quoted(message.thought)}*")
        lines.append(f"**{person if message.role == 'assistant' else you}:** {quoted(message.content)}")
    return "\n\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text whose markup stays visible: what a model wrote must not become a picture, a link or a tag."""
    for sign in "\\`*_[]<>#!|":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text.replace("\n", "  \n")


def as_jsonl(talk: Sequence[Message], title: str, name: str, language: str, thoughts: bool) -> str:
    """A talk for programs: a line about it, then a line for each message."""
    head = {"title": title, "notice": NOTICE[language].format(title=title), "saved": now()}
    rows = [message.model_dump(exclude=set() if thoughts else {"thought"}) for message in talk]
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in [head, *rows])
