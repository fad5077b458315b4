"""From what the user names to files with a format: folders and ZIP archives are walked, links out are not followed."""

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path, PurePosixPath

from persllm.errors import MaterialError
from persllm.records import Dropped, Record
from persllm.sources import READERS, columns, reader, recognise
from persllm.sources.archives import Archive, Member, archive, written
from persllm.sources.bounded import head_of, opened

MOST_FILES = 20_000
CHUNK = 1 << 20
NOT_MATERIAL = re.compile(r"(?:^|[_ -])(?:licen[cs]e|copying|readme|changelog)(?:$|[_ -])", re.IGNORECASE)
"""Names of files that come along with material; who names such a file itself gets it read."""
MEDIA = {
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".bmp", ".tif", ".tiff", ".mp4", ".mov", ".m4v", ".3gp", ".webm", ".avi", ".mkv",
    ".opus", ".ogg", ".oga", ".m4a", ".mp3", ".aac", ".amr", ".wav", ".flac", ".vcf", ".tgs", ".was",
}  # fmt: skip
"""Endings of pictures, recordings and the like, which come along with chats; nothing in them can be read."""
TWICE = "the same file twice"
"""Reason for a file with the content of another, whose name is the detail."""
SHOWN = 3
"""Names that are listed where an archive holds nothing to read."""


class Collected(Record):
    """A file, a file in a ZIP archive, or a folder that is one export, and its reader."""

    path: Path
    member: str = ""
    """Name of the file inside the archive at `path`; empty if the path is the source itself."""
    name: str
    """As the user named it: the file's name, below the folder or archive that was given."""
    format: str
    reason: str
    sha256: str
    size: int
    asked_for: bool
    """Whether the user named it itself, and not only what it is in."""

    @property
    def own_name(self) -> str:
        """The last part of its name, with which its reader begins every place."""
        return PurePosixPath(written(self.member)).name if self.member else self.path.name

    def named(self, place: str) -> str:
        """A place that begins with the source's own name, beginning with the name that the user knows."""
        return self.name + place.removeprefix(self.own_name)


class Opener:
    """Opens sources one after the other. An archive stays open while its files are read: its list may hold thousands."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.zipped: Archive
        self.held = ExitStack()

    def open(self, source: Collected) -> Path | Member:
        """What the reader of a source takes for a path; MaterialError if its archive has become unusable."""
        if not source.member:
            return source.path
        if self.path != source.path:
            self.close()
            self.zipped = self.held.enter_context(archive(source.path, is_media))
            self.path = source.path
        self.zipped.taken = 0
        return Member(self.zipped, source.member)

    def close(self) -> None:
        """Let go of the archive."""
        self.path = None
        self.held.close()


class Found:
    """What the walk has come to."""

    def __init__(self, wanted: str):
        self.wanted = wanted
        """Name of the reader for all; empty: each is recognised."""
        self.sources: dict[str, Collected] = {}
        """SHA-256 -> source: each content once."""
        self.names: set[str] = set()
        self.dropped: list[Dropped] = []

    def drop(self, item: str, reason: str, detail: str = "") -> None:
        """Note what is left out."""
        self.dropped.append(Dropped(item=written(item), reason=reason, detail=written(detail)))

    def take(self, source: Collected) -> None:
        """Note a source; one whose name another has already gets that of its folder before it."""
        if source.sha256 in self.sources:
            self.drop(source.name, TWICE, self.sources[source.sha256].name)
            return
        if source.name in self.names:
            source = source.model_copy(update={"name": f"{source.path.resolve().parent.name}/{source.name}"})
        if source.name in self.names:
            raise MaterialError(f"{source.path}: another source is called {source.name} too. Rename one of them.")
        self.sources[source.sha256] = source
        self.names.add(source.name)


def collect(paths: Iterable[Path], wanted: str) -> tuple[list[Collected], list[Dropped]]:
    """The sources in order, each content once, and the files that nobody can read.

    MaterialError if a named file cannot be read, or nothing is left.
    """
    found = Found(wanted)
    if wanted:
        reader(wanted)
    for path in paths:
        if not path.exists():
            raise MaterialError(f"{path}: no such file or folder.")
        if path.is_file() or taken(path, wanted):
            look(path, path.name, found, asked_for=True)
            continue
        for file, name in below(path, found):
            try:
                look(file, name, found, asked_for=False)
            except MaterialError as error:
                found.drop(name, "cannot be read", str(error))
    if not found.sources:
        raise MaterialError(f"no readable source in {', '.join(map(str, paths))}. Known formats are {known_formats()}.")
    return list(found.sources.values()), found.dropped


def look(path: Path, name: str, found: Found, asked_for: bool) -> None:
    """Take a file, or what is in it; MaterialError if the user named it and it cannot be used."""
    if is_archive(path, found.wanted):
        look_inside(path, name, found, asked_for)
        return
    source = source_of(path, name, found.wanted, asked_for)
    if source:
        found.take(source)
    elif asked_for:
        raise MaterialError(
            f"{path}: {columns.way_on(path) or f'no reader knows this format. Convert it, or name one with --format: {known_formats()}.'}"
        )
    else:
        found.drop(name, "unknown format", columns.way_on(path) or path.suffix)


def is_archive(path: Path, wanted: str) -> bool:
    """Whether a file is a ZIP archive that no reader takes as a whole, as that of Slack's export is."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return False
    head = head_of(path)
    if not head.startswith(b"PK"):
        return False
    return not (reader(wanted).recognises(path, head) if wanted else recognise(path))


def look_inside(path: Path, name: str, found: Found, asked_for: bool) -> None:
    """Take the files of an archive, as those of a folder; MaterialError if it is not to be trusted, or the user named it and nothing in it can be read."""
    inside = Found(found.wanted)
    with archive(path, is_media) as zipped:
        if any(info.flag_bits & 0x1 for info in zipped.members.values()):
            zipped.refuse("locked with a password")
        for member in zipped.twice:
            inside.drop(f"{name}/{member}", "another file of the same name in the archive", "only the last of them is read")
        for member in sorted(zipped.passed_over):
            inside.drop(f"{name}/{member}", "media file", PurePosixPath(member).suffix)
        for member in sorted(zipped.members):
            try:
                look_at_member(path, zipped, member, f"{name}/{member}", inside)
            except MaterialError as error:
                inside.drop(f"{name}/{member}", "cannot be read", str(error))
    if asked_for and not inside.sources:
        raise MaterialError(f"{path}: {nothing_inside(inside.dropped)}")
    found.dropped += inside.dropped
    for source in inside.sources.values():
        found.take(source)


def look_at_member(path: Path, zipped: Archive, member: str, name: str, found: Found) -> None:
    """Take a file of an archive, if it can be read."""
    plain = PurePosixPath(member)
    if any(part.startswith(".") or part == "__MACOSX" for part in plain.parts):
        return
    if NOT_MATERIAL.search(plain.stem):
        found.drop(name, "a licence or a note, no material")
        return
    source = source_of(Member(zipped, member), name, found.wanted, False)
    if source:
        found.take(source.model_copy(update={"path": path, "member": member}))
    elif plain.suffix.lower() == ".zip":
        found.drop(name, "an archive in an archive", "unpack it first")
    else:
        found.drop(name, "unknown format", columns.way_on(Member(zipped, member)) or plain.suffix)


def nothing_inside(dropped: list[Dropped]) -> str:
    """Why an archive is of no use: what stands in it."""
    broken = next((lost.detail for lost in dropped if lost.reason == "cannot be read"), "")
    if broken:
        return f"a ZIP archive of which nothing can be read: {broken}"
    if not dropped:
        return "a ZIP archive with nothing in it. Export again."
    shown = ", ".join(lost.item for lost in dropped[:SHOWN])
    return f"a ZIP archive in which no reader knows anything. It holds {len(dropped)} files ({shown}). Known formats are {known_formats()}."


def is_media(member: str) -> bool:
    """Whether a name is that of a picture, a recording or the like."""
    return PurePosixPath(member).suffix.lower() in MEDIA


def known_formats() -> str:
    """The names of all formats."""
    return ", ".join(known.name for known in READERS)


def taken(folder: Path, wanted: str) -> bool:
    """Whether a folder as a whole is one export that a reader knows."""
    return any(known.recognises(folder, b"") for known in READERS if wanted in ("", known.name))


def below(folder: Path, found: Found) -> Iterable[tuple[Path, str]]:
    """The files of a folder in the order of their names; hidden ones are passed over, links out are dropped."""
    root = folder.resolve()
    for number, path in enumerate(sorted(folder.rglob("*"))):
        name = str(path.relative_to(folder.parent))
        if number > MOST_FILES:
            raise MaterialError(f"{folder}: more than {MOST_FILES} files. Give a smaller folder.")
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if not path.resolve().is_relative_to(root):
            found.drop(name, "a link that leads out of the folder")
        elif path.is_file() and NOT_MATERIAL.search(path.stem):
            found.drop(name, "a licence or a note, no material")
        elif path.is_file() and is_media(path.name):
            found.drop(name, "media file", path.suffix)
        elif path.is_file():
            yield path, name


def source_of(path: Path | Member, name: str, wanted: str, asked_for: bool) -> Collected | None:
    """A source with its format; None if no reader knows it."""
    found = recognise(path)
    if wanted:
        format_, reason = wanted, "as asked"
    elif found is None:
        return None
    else:
        format_, reason = found.format, found.reason
    files = [path] if not path.is_dir() else sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    digest, size = sha256(), 0
    for file in files:
        if file != path:
            digest.update(os.fsencode(file.relative_to(path)) + b"\0")
        with opened(file) as handle:
            while piece := handle.read(CHUNK):
                digest.update(piece)
                size += len(piece)
    return Collected(
        path=Path(str(path)), name=written(name), format=format_, reason=reason, sha256=digest.hexdigest(), size=size, asked_for=asked_for
    )
