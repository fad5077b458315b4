"""ZIP archives of strangers: names that stay inside, no links, no passwords, bounded size after unpacking.

Nothing is ever unpacked to the disk. The sizes that an archive declares are not believed: every byte that comes out
of it is counted.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from persllm.errors import MaterialError
from persllm.sources.bounded import LARGEST_WHOLE, opened

MOST_MEMBERS = 10_000
LARGEST_ARCHIVE = 1 << 30
"""Bytes of all members after unpacking."""
STEEPEST = 200
"""Times that a member may grow; text shrinks to about a third."""
SMALL = 1 << 20
"""Bytes up to which a member may grow as it likes."""
CHUNK = 1 << 16


class Archive:
    """An open ZIP archive."""

    def __init__(self, file: zipfile.ZipFile, name: str):
        self.file, self.name = file, name
        self.taken = 0
        self.members = {info.filename: info for info in file.infolist() if not info.is_dir()}
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
        info = self.members.get(member)
        if info is None:
            raise MaterialError(f"{self.name}: {member[:60]!r} is missing in the archive. The file is damaged or of another format.")
        if info.flag_bits & 0x1:
            raise MaterialError(f"{self.name}: locked with a password. Unlock it first.")
        pieces: list[bytes] = []
        size = 0
        try:
            with self.file.open(info) as stream:
                while piece := stream.read(CHUNK):
                    size += len(piece)
                    if (
                        size > most
                        or self.taken + size > LARGEST_ARCHIVE
                        or (size > SMALL and size > STEEPEST * max(info.compress_size, 1))
                    ):
                        raise MaterialError(
                            f"{self.name}: {member[:60]!r} unpacks to more than is allowed ({most >> 20} MiB). Nothing more was read."
                        )
                    pieces.append(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
            raise MaterialError(f"{self.name}: {member[:60]!r} is damaged ({error}).") from error
        self.taken += size
        return b"".join(pieces)


def outside(name: str) -> bool:
    """Whether a name in an archive is absolute or climbs up."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ":" in plain.split("/")[0] or ".." in PurePosixPath(plain).parts or "\0" in name


@contextmanager
def archive(path: Path) -> Iterator[Archive]:
    """A ZIP archive, checked; MaterialError if it is none."""
    with opened(path) as raw:
        try:
            file = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise MaterialError(f"{path.name}: not a ZIP archive, or damaged ({error}).") from error
        with file:
            yield Archive(file, path.name)
