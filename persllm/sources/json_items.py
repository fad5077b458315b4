"""Parts of a large JSON file one after the other, each with its line, in memory that does not grow with the file.

An export of a chat is one JSON value of any size that holds a list of messages. Outside the wanted parts only the
brackets are followed; a wanted part is decoded as a whole by the standard library. A part that cannot be decoded is
passed over with its line, and the rest goes on. A streaming parser of events would end at the first fault and knows no
lines.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path as File
from typing import Any, TextIO, TypeVar

from persllm.errors import MaterialError
from persllm.records import Dropped
from persllm.sources.bounded import encoding_of, text_of

Made = TypeVar("Made")
Path = tuple[str, ...]
"""Keys from the outermost value inwards; `*` stands for an item of a list."""
CHUNK = 1 << 16
"""Characters read at once."""
LARGEST = 1 << 26
"""Characters that one wanted part, or one token outside of them, may have."""
DEEPEST = 200
"""Brackets that may stand open outside the wanted parts."""
ROOM = 16
"""A fault so near to the end of what was read may be no fault but the end of the buffer."""
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
VISIBLE = re.compile(r"\S")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Item:
    """A wanted part: where it hangs, its line, its value."""

    def __init__(self, path: Path, line: int, value: Any):
        self.path, self.line, self.value = path, line, value


def items_of(file: File, wanted: Callable[[Path], bool]) -> Iterator[Item | Dropped]:
    """The wanted parts of a JSON file on disk, in any encoding."""
    with text_of(file, encoding_of(file)) as stream:
        yield from json_items(stream, file.name, wanted)


def taken(place: str, make: Callable[..., Made], *given: Any) -> Made | Dropped:
    """What `make` makes of what is given, or that it is not as the format has it."""
    try:
        return make(*given)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        return Dropped(item=place, reason="not as the format has it", detail=f"{type(error).__name__}: {error}"[:200])


def json_items(stream: TextIO, name: str, wanted: Callable[[Path], bool]) -> Iterator[Item | Dropped]:
    """The wanted parts of a JSON file in order, and what could not be decoded.

    `wanted` is asked with the path of every value that is met. MaterialError if the file is no JSON at all.
    """
    return Scanner(stream, name, wanted).items()


class Scanner:
    """Goes through a stream and holds no more of it than one part."""

    def __init__(self, stream: TextIO, name: str, wanted: Callable[[Path], bool]):
        self.stream, self.name, self.wanted = stream, name, wanted
        self.buffer, self.place, self.line, self.ended = "", 0, 1, False
        self.decoder = json.JSONDecoder()
        self.stack: list[str | None] = []
        """For every open bracket the key at hand: `*` in a list, None in an object before its first key."""

    def items(self) -> Iterator[Item | Dropped]:
        """All wanted parts."""
        expected = True
        while (sign := self.peek()) and len(self.stack) <= DEEPEST:
            if expected and sign not in "]},":
                path = tuple(key or "" for key in self.stack)
                if self.wanted(path):
                    yield from self.captured(path)
                    expected = False
                    continue
            token = self.token()
            if token in ("{", "["):
                self.stack.append(None if token == "{" else "*")
                expected = token == "["
            elif token in ("}", "]"):
                if not self.stack:
                    break
                self.stack.pop()
            elif token == ":":
                expected = True
            elif token == ",":
                expected = bool(self.stack) and self.stack[-1] == "*"
                if not expected and self.stack:
                    self.stack[-1] = None
            elif token.startswith('"') and self.stack and self.stack[-1] is None:
                self.stack[-1] = self.text(token)
            else:
                expected = False
        yield from self.rest()

    def rest(self) -> Iterator[Dropped]:
        """What is wrong with the end, if anything is."""
        if len(self.stack) > DEEPEST:
            yield Dropped(item=f"{self.name}:{self.line}", reason="nested too deep", detail=f"more than {DEEPEST} brackets")
        elif self.stack:
            yield Dropped(item=f"{self.name}:{self.line}", reason="the file ends too early", detail="an export that was not finished?")

    def captured(self, path: Path) -> Iterator[Item | Dropped]:
        """The part that begins here, decoded; or its place and the fault, and the stream behind it."""
        line, step = self.line, CHUNK
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.place)
                if end + ROOM < len(self.buffer) or self.ended or self.buffer[end - 1] in '"]}':
                    raw = self.buffer[self.place : end]
                    self.pass_by(end)
                    yield Item(path, line, mended(value) if "\\u" in raw else value)
                    return
            except (ValueError, RecursionError) as error:
                if not self.unfinished(error):
                    yield Dropped(item=f"{self.name}:{line}", reason="broken JSON", detail=self.fault(error))
                    self.skip()
                    return
            self.more(step)
            step *= 2

    def unfinished(self, error: Exception) -> bool:
        """Whether the fault may only be that not enough was read."""
        if self.ended or len(self.buffer) - self.place > LARGEST or not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.buffer) - ROOM

    def fault(self, error: Exception) -> str:
        """The fault in words."""
        if isinstance(error, RecursionError):
            return "nested too deep"
        if len(self.buffer) - self.place > LARGEST:
            return f"one part of more than {LARGEST >> 20} million characters"
        return f"{error.msg}, line {self.line_of(error.pos)}" if isinstance(error, json.JSONDecodeError) else str(error)[:200]

    def line_of(self, position: int) -> int:
        """The line of a place in the buffer."""
        return self.line + self.buffer.count("\n", self.place, position)

    def skip(self) -> None:
        """Pass by a part that cannot be decoded: to where its brackets are closed."""
        depth = 0
        while True:
            found = BRACKET.search(self.buffer, self.place)
            if not found:
                if self.ended:
                    self.pass_by(len(self.buffer))
                    return
                self.pass_by(self.safe_end())
                self.more(CHUNK)
                continue
            if depth == 0 and found[0] in "]}":
                return
            self.pass_by(found.end())
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
            if depth == 0:
                return

    def safe_end(self) -> int:
        """Up to where the buffer can be thrown away while brackets are looked for: an open string must stay whole."""
        quote = self.buffer.find('"', self.place)
        return len(self.buffer) if quote < 0 or len(self.buffer) - quote > LARGEST else quote

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = VISIBLE.search(self.buffer, self.place)
            if found:
                self.pass_by(found.start())
                return found[0]
            self.pass_by(len(self.buffer))
            if self.ended:
                return ""
            self.more(CHUNK)

    def token(self) -> str:
        """The token that begins here."""
        step = CHUNK
        while True:
            found = TOKEN.match(self.buffer, self.place)
            if found and (found.end() < len(self.buffer) or self.ended):
                self.pass_by(found.end())
                return found[0]
            if self.ended or len(self.buffer) - self.place > LARGEST:
                raise MaterialError(f"{self.name}:{self.line}: broken JSON: a text without end. Export the chat again.")
            self.more(step)
            step *= 2

    def text(self, token: str) -> str:
        """The text of a string token."""
        try:
            return str(json.loads(token))
        except ValueError:
            return token.strip('"')

    def pass_by(self, end: int) -> None:
        """Count the lines up to a place, and go there."""
        self.line += self.buffer.count("\n", self.place, end)
        self.place = end

    def more(self, size: int) -> None:
        """Read on, and forget what is behind."""
        piece = self.stream.read(size)
        self.ended = not piece
        self.buffer, self.place = self.buffer[self.place :] + piece, 0


def mended(value: Any) -> Any:
    """A value in which halves of a character are replaced: they cannot be written as UTF-8."""
    if isinstance(value, str):
        return LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value
