"""Files of strangers, opened within bounds: size, length of a line, nesting, what is not text at all.

Text comes line by line in little memory; a line that is too long or holds bytes that are no characters is a
`Dropped` with its place. What is unusable as a whole is a MaterialError. Archives are in `archives`, large JSON in
`json_items`, XML in `xml_stream`: no reader opens a file by other ways, so that a file may lie in an archive.
"""

import codecs
import io
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO

from persllm.errors import MaterialError
from persllm.records import Dropped

HEAD = 64 * 1024
"""Bytes by which a format is recognised."""
LONGEST_LINE = 1_000_000
"""Characters of a line; a chapter on one line fits."""
LARGEST_WHOLE = 64 * 1024 * 1024
"""Bytes of a file that its format forces to be read at once."""
DEEPEST = 200
"""Levels of nesting in JSON, XML and HTML."""
SAMPLE = 256 * 1024
"""Bytes by which the encoding of a file is told."""
SEARCHED = 64 * 1024 * 1024
"""Bytes in which the first one that is not ASCII is looked for."""
BROKEN_SHARE = 0.1
"""Broken bytes per character beyond ASCII up to which a text is UTF-8 with faults and not another encoding."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
UNREADABLE = "\ufffd"
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b\x08\x0b"))


class Line(NamedTuple):
    """A line of a text file without its end."""

    number: int | str
    """From 1; in files without lines another place, such as `page 3`."""
    text: str


def regular(path: Path) -> Path:
    """The path, if a plain file is there; MaterialError for devices, pipes, folders, and what cannot be opened."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise MaterialError(f"{path}: cannot be read ({error.strerror}). Correct the path or the permissions.") from error
    if not stat.S_ISREG(mode):
        raise MaterialError(f"{path}: not a plain file. Give a file, or a folder of files.")
    return path


def head_of(path: Path) -> bytes:
    """The first 64 KiB of a file; nothing for a folder."""
    if path.is_dir():
        return b""
    with opened(path) as file:
        return file.read(HEAD)


def opened(path: Path):
    """A plain file opened for reading bytes; MaterialError if that is not allowed."""
    try:
        return regular(path).open("rb")
    except OSError as error:
        raise MaterialError(f"{path}: cannot be read ({error.strerror}). Correct the permissions.") from error


def seekable(path: Path, most: int = LARGEST_WHOLE) -> IO[bytes]:
    """A plain file in which one can go back; one that cannot be, since it lies in an archive, is held in memory up to a size."""
    file = opened(path)
    if file.seekable():
        return file
    file.close()
    return io.BytesIO(whole(path, most))


def whole(path: Path, most: int = LARGEST_WHOLE) -> bytes:
    """All bytes of a file of a bounded size."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise MaterialError(f"{path.name}: larger than {most >> 20} MiB, too large for this format. Split it.")
    return content


def encoding_of(path: Path) -> str:
    """The encoding of a text file, told by its first bytes beyond ASCII; MaterialError if it is not text."""
    with opened(path) as file:
        return encoding_of_stream(file, path.name)


def encoding_of_stream(file: IO[bytes], name: str) -> str:
    """The same of an open file."""
    start = file.read(SAMPLE)
    sample, passed = start, len(start)
    while sample and sample.isascii() and passed < SEARCHED:
        sample = file.read(SAMPLE)
        passed += len(sample)
    for part in (start, sample or start):
        found = encoding_of_sample(part)
        if not found:
            raise MaterialError(f"{name}: not a text file (binary content). Give the text itself, or name the right --format.")
        if found != "ascii":
            return found
    return "utf-8"


def encoding_of_sample(sample: bytes) -> str:
    """The encoding of bytes, `ascii` if they tell nothing more, empty if they are not text."""
    marked = next((name for mark, name in MARKS if sample.startswith(mark)), "")
    if marked:
        return marked
    if b"\0" in sample:
        return wide(sample)
    if len(sample.translate(None, CONTROLS)) < 0.98 * len(sample):
        return ""
    if sample.isascii():
        return "ascii"
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    broken, beyond = text.count(UNREADABLE), len(text) - len(text.encode("ascii", "ignore"))
    if broken <= BROKEN_SHARE * (beyond - broken):
        return "utf-8"
    return narrow(sample)


def text_of_head(head: bytes) -> str:
    """The text of a file's beginning, which may end within a character; empty if it is not text."""
    encoding = encoding_of_sample(head)
    return head.decode(encoding, "replace").lstrip("\ufeff") if encoding else ""


def wide(sample: bytes) -> str:
    """UTF-16 without a mark, by the places of its NUL bytes; empty if there is no such order."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    few, many = sorted((even, odd))
    if many < 0.2 * len(sample) / 2 or few > 0.05 * many:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def narrow(sample: bytes) -> str:
    """An older encoding of Chinese or of the West."""
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise MaterialError("a text is not in UTF-8, and to tell its encoding needs: pip install 'persllm[ingest]'") from error
    telling = b"\n".join(line for line in sample.split(b"\n") if not line.isascii())
    found = from_bytes(telling, cp_isolation=["gb18030", "big5", "cp1252", "latin_1"]).best()
    return found.encoding if found else "latin_1"


def text_of(path: Path, encoding: str) -> TextIO:
    """A file opened as text; bytes that are no characters become U+FFFD."""
    return io.TextIOWrapper(opened(path), encoding=encoding, errors="replace")


def lines(path: Path, encoding: str = "", longest: int = LONGEST_LINE) -> Iterator[Line | Dropped]:
    """The lines of a text file in any encoding, in little memory; what cannot be read is Dropped with its place."""
    number, file_name = 0, path.name
    with text_of(path, encoding or encoding_of(path)) as file:
        while text := file.readline(longest + 1):
            number += 1
            if len(text) > longest and not text.endswith("\n"):
                for rest in iter(lambda: file.readline(longest), ""):
                    if rest.endswith("\n"):
                        break
                yield Dropped(item=f"{file_name}:{number}", reason="line too long", detail=f"over {longest} characters")
            elif UNREADABLE in text or "\0" in text:
                yield Dropped(
                    item=f"{file_name}:{number}", reason="unreadable characters", detail=text.strip()[:80].replace("\0", UNREADABLE)
                )
            else:
                yield Line(number, text.rstrip("\n"))


def decoded(content: bytes, name: str) -> str:
    """The text of bytes in any encoding; bytes that are no characters become U+FFFD."""
    text = content.decode(encoding_of_stream(io.BytesIO(content), name), "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str) -> Any:
    """The value of one line of JSON; ValueError if it is broken or nested deeper than 200 levels."""
    depth = 0
    if text.count("[") + text.count("{") > DEEPEST:
        for mark in BRACKETS.finditer(text):
            depth += (mark[0] in "[{") - (mark[0] in "]}")
            if depth > DEEPEST:
                raise ValueError(f"nested deeper than {DEEPEST} levels")
    return json.loads(text)
