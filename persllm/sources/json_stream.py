"""JSON of any size, one element of a list at a time: bounded depth, bounded elements, little memory."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from persllm.errors import MaterialError
from persllm.sources.bounded import DEEPEST, opened

LONGEST_TOKEN = 2 << 20
"""Bytes of a string; a longer one is not somebody's words."""
BUFFER = 4096
"""Bytes read at once; the parser follows brackets that deep before its depth is looked at."""
MOST_EVENTS = 200_000
"""Keys, values and brackets of one element."""


def elements(path: Path, prefix: str = "item") -> Iterator[Any]:
    """The elements below a path in a JSON file: `item` for those of a list, `messages.item` for those of a key's list.

    MaterialError if the JSON is broken, nested deeper than 200 levels, or an element is immense; what came before
    has been yielded.
    """
    import ijson

    depth, events, builder = 0, 0, None
    with opened(path) as file:
        try:
            for where, event, value in ijson.parse(Guarded(file, path.name), buf_size=BUFFER, use_float=True):
                depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
                if depth > DEEPEST:
                    raise MaterialError(f"{path.name}: JSON nested deeper than {DEEPEST} levels. Not read any further.")
                if builder is None:
                    if where != prefix or event in ("end_map", "end_array"):
                        continue
                    builder, events, floor = ijson.ObjectBuilder(), 0, depth - (event in ("start_map", "start_array"))
                builder.event(event, value)
                events += 1
                if events > MOST_EVENTS:
                    raise MaterialError(f"{path.name}: an element of the JSON list is too large. Not read any further.")
                if depth == floor and event != "map_key":
                    yield builder.value
                    builder = None
        except (ijson.JSONError, UnicodeDecodeError, ValueError, OverflowError) as error:
            raise MaterialError(
                f"{path.name}: broken JSON ({str(error).splitlines()[0][:120] if str(error) else 'ends too early'})."
            ) from error


class Guarded:
    """A byte stream that refuses a token without end before the parser has swallowed it."""

    def __init__(self, file: IO[bytes], name: str):
        self.file, self.name, self.open_for = file, name, 0
        self.first = True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, without a byte order mark at the start."""
        piece = self.file.read(size)
        if self.first:
            self.first, piece = size == 0, piece.removeprefix(b"\xef\xbb\xbf")
        last = piece.rfind(b'"')
        self.open_for = len(piece) - last if last >= 0 else self.open_for + len(piece)
        if self.open_for > LONGEST_TOKEN:
            raise MaterialError(f"{self.name}: a JSON string of more than {LONGEST_TOKEN >> 20} MiB. Not read any further.")
        return piece


BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


def parse_json(text: str) -> Any:
    """The value of one line of JSON; ValueError if it is broken or nested deeper than 200 levels."""
    depth = 0
    if text.count("[") + text.count("{") > DEEPEST:
        for mark in BRACKETS.finditer(text):
            depth += (mark[0] in "[{") - (mark[0] in "]}")
            if depth > DEEPEST:
                raise ValueError(f"nested deeper than {DEEPEST} levels")
    return json.loads(text)
