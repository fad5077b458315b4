"""Texts in PNG files, read and written by chunks: no picture is ever decoded, no library of pictures needed.

PNG specification (third edition), 5.3 chunk layout and 11.3.4.3 tEXt: length, type, data, CRC-32 of type and data.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from persllm.errors import MaterialError
from persllm.records import fingerprint
from persllm.sources.bounded import whole

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 256
"""Pixels of a plain picture."""


def is_png(head: bytes) -> bool:
    """Whether bytes begin a PNG file."""
    return head.startswith(SIGNATURE)


def chunks(content: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """(type, data) of every chunk; MaterialError if the file is damaged."""
    if not is_png(content):
        raise MaterialError(f"{name}: not a PNG file. Give the card as PNG or JSON.")
    place = len(SIGNATURE)
    while place < len(content):
        if place + 12 > len(content):
            raise MaterialError(f"{name}: the PNG ends too early. Get the file again.")
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        check = content[place + 8 + length : place + 12 + length]
        if len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(kind + data):
            raise MaterialError(f"{name}: a part of the PNG is damaged ({kind!r} at byte {place}). Get the file again.")
        yield kind, data
        place += 12 + length
        if kind == b"IEND":
            return


def texts(content: bytes, name: str) -> dict[str, bytes]:
    """Keyword -> text of the tEXt chunks, the first of each keyword."""
    found: dict[str, bytes] = {}
    for kind, data in chunks(content, name):
        keyword, mark, text = data.partition(b"\0")
        if kind == b"tEXt" and mark:
            found.setdefault(keyword.decode("latin-1"), text)
    return found


def with_texts(content: bytes, name: str, new: Mapping[str, bytes]) -> bytes:
    """The picture with these texts before its end, in place of earlier ones of the same keywords."""
    kept = [
        (kind, data)
        for kind, data in chunks(content, name)
        if not (kind == b"tEXt" and data.partition(b"\0")[0].decode("latin-1") in new) and kind != b"IEND"
    ]
    added = [(b"tEXt", keyword.encode("latin-1") + b"\0" + text) for keyword, text in new.items()]
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in [*kept, *added, (b"IEND", b"")])


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain(name: str) -> bytes:
    """A picture of one colour that depends on the name."""
    colour = bytes(64 + int(fingerprint(name)[place : place + 2], 16) // 2 for place in (0, 2, 4))
    row = b"\0" + colour * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * SIDE, 9)) + chunk(b"IEND", b"")


def read(path: Path) -> bytes:
    """The bytes of a picture of a bounded size."""
    return whole(path)
