"""ZIP archives of strangers: names that stay inside, no links, no passwords, bounded size after unpacking.

Nothing is ever unpacked to the disk. The sizes that an archive declares are not believed: every byte that comes out
of it is counted. What is inside is read by the readers of its own format, which get a `Member` for a path.
"""

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from persllm.errors import MaterialError
from persllm.sources.bounded import LARGEST_WHOLE, seekable

MOST_MEMBERS = 10_000
LARGEST_ARCHIVE = 1 << 30
"""Bytes of all members after unpacking."""
LARGEST_DIRECTORY = 4 << 20
"""Bytes of the list of members, which the standard library holds in memory at once, about ten times as large."""
STEEPEST = 200
"""Times that a member may grow; text shrinks to about a third."""
SMALL = 1 << 20
"""Bytes up to which a member may grow as it likes."""
CHUNK = 1 << 16


class Archive:
    """An open ZIP archive. Members that are `passed_over` cannot be read, and their size does not count."""

    def __init__(self, file: zipfile.ZipFile, name: str, passed_over: Callable[[str], bool] = lambda member: False):
        self.file, self.name = file, name
        self.taken = 0
        """Bytes that came out so far."""
        every = [info for info in file.infolist() if not info.is_dir()]
        self.members = {info.filename: info for info in every if not passed_over(info.filename)}
        self.twice = sorted({name for name, count in Counter(info.filename for info in every).items() if count > 1})
        """Names of which only the last member can be read."""
        self.passed_over = [info.filename for info in every if passed_over(info.filename)]
        self.check()

    def check(self) -> None:
        """MaterialError if the list of members alone shows that the archive is not to be trusted."""
        if len(self.file.infolist()) > MOST_MEMBERS:
            self.refuse(f"holds more than {MOST_MEMBERS} files")
        if sum(info.file_size for info in self.members.values()) > LARGEST_ARCHIVE:
            self.refuse(f"unpacks to more than {LARGEST_ARCHIVE >> 20} MiB")
        for info in self.file.infolist():
            if outside(info.filename):
                self.refuse(f"holds a name that leads out of the archive ({info.filename[:60]!r})")
            if stat.S_ISLNK(info.external_attr >> 16):
                self.refuse(f"holds a link ({info.filename[:60]!r})")
            if info.file_size > SMALL and info.file_size > STEEPEST * max(info.compress_size, 1):
                self.refuse(f"holds a file that grows more than {STEEPEST} times ({info.filename[:60]!r}): a zip bomb")

    def refuse(self, why: str) -> None:
        """Refuse the archive."""
        raise MaterialError(f"{self.name}: {why}. Nothing of it was read.")

    def read(self, member: str, most: int = LARGEST_WHOLE) -> bytes:
        """The bytes of a member; MaterialError if it is missing, too large, damaged or locked."""
        with self.stream(member, most) as stream:
            return stream.read()

    def stream(self, member: str, most: int = LARGEST_ARCHIVE) -> IO[bytes]:
        """The bytes of a member one after the other; MaterialError at once or on the way, as for `read`."""
        info = self.members.get(member)
        if info is None:
            raise MaterialError(f"{self.name}: {member[:60]!r} is missing in the archive. The file is damaged or of another format.")
        if info.flag_bits & 0x1:
            raise MaterialError(f"{self.name}: locked with a password. Unlock it first.")
        return io.BufferedReader(Unpacked(self, info, most), CHUNK)


class Guarded:
    """A file in which nothing larger than the list of members can be asked for at once, whatever an archive declares."""

    def __init__(self, file: IO[bytes], name: str):
        self.file, self.name = file, name
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        """The next bytes; MaterialError if there may be too many."""
        found = self.file.read(size if 0 <= size <= LARGEST_DIRECTORY else LARGEST_DIRECTORY + 1)
        if max(size, len(found)) > LARGEST_DIRECTORY:
            raise MaterialError(
                f"{self.name}: the list of its files takes more than {LARGEST_DIRECTORY >> 20} MiB. Nothing of it was read."
            )
        return found


DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)
"""What the standard library raises on damaged archives."""


class Unpacked(io.RawIOBase):
    """A member as it comes out, every byte counted; it can only be read forward."""

    def __init__(self, owner: Archive, info: zipfile.ZipInfo, most: int):
        self.owner, self.info, self.most, self.size = owner, info, most, 0
        try:
            self.file = owner.file.open(info)
        except DAMAGE as error:
            raise self.damaged(error) from error

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer) -> int:
        """The next bytes; MaterialError if the member is damaged or there are more than is allowed."""
        try:
            piece = self.file.read(min(len(buffer), CHUNK))
        except DAMAGE as error:
            raise self.damaged(error) from error
        self.size += len(piece)
        self.owner.taken += len(piece)
        steep = self.size > SMALL and self.size > STEEPEST * max(self.info.compress_size, 1)
        if steep or self.size > self.most or self.owner.taken > LARGEST_ARCHIVE:
            raise MaterialError(
                f"{self.owner.name}: {self.info.filename[:60]!r} unpacks to more than is allowed ({self.most >> 20} MiB). Nothing more was read."
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def damaged(self, error: Exception) -> MaterialError:
        """The member is damaged."""
        return MaterialError(f"{self.owner.name}: {self.info.filename[:60]!r} is damaged ({error}).")

    def close(self) -> None:
        """Let the member go; the archive stays open."""
        if not self.closed:
            self.file.close()
        super().close()


UNSHOWN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""What is no character of a name: it steers a terminal, turns the order of the letters, or cannot be written as UTF-8."""


def written(name: str) -> str:
    """The name of a stranger's file as it can be written and shown."""
    return UNSHOWN.sub("\ufffd", name)


class Member:
    """A file inside an archive, with what readers ask of a path: its names, what it is, its bytes."""

    def __init__(self, owner: Archive, member: str):
        plain = PurePosixPath(PurePosixPath(owner.name).stem, written(member))
        self.owner, self.member = owner, member
        self.name, self.stem, self.suffix = plain.name, plain.stem, plain.suffix
        self.parent = plain.parent
        """The folder inside; at the top, the archive's name without its ending."""

    def __str__(self) -> str:
        return f"{self.owner.name}/{written(self.member)}"

    def is_dir(self) -> bool:
        """No."""
        return False

    def is_file(self) -> bool:
        """Yes."""
        return True

    def stat(self) -> os.stat_result:
        """Of a plain file of the size that the archive declares."""
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, self.owner.members[self.member].file_size, 0, 0, 0))

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Its bytes, in which one cannot go back."""
        return self.owner.stream(self.member)


def outside(name: str) -> bool:
    """Whether a name in an archive is absolute or climbs up."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ":" in plain.split("/")[0] or ".." in PurePosixPath(plain).parts or "\0" in name


@contextmanager
def archive(path: Path, passed_over: Callable[[str], bool] = lambda member: False) -> Iterator[Archive]:
    """A ZIP archive, checked; MaterialError if it is none."""
    with seekable(path) as raw:
        try:
            file = zipfile.ZipFile(Guarded(raw, path.name))  # type: ignore[arg-type]
        except (*DAMAGE, struct.error) as error:
            raise MaterialError(f"{path.name}: not a ZIP archive, or damaged ({error}).") from error
        with file:
            yield Archive(file, path.name, passed_over)
