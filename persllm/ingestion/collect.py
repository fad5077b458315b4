"""From what the user names to files with a format: folders are walked, links out of them are not followed."""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from persllm.errors import MaterialError
from persllm.records import Dropped, Record
from persllm.sources import READERS, reader, recognise
from persllm.sources.bounded import opened

MOST_FILES = 20_000
CHUNK = 1 << 20
NOT_MATERIAL = re.compile(r"(?:^|[_ -])(?:licen[cs]e|copying|readme|changelog)(?:$|[_ -])", re.IGNORECASE)
"""Names of files that come along with material; who names such a file itself gets it read."""


class Collected(Record):
    """A file, or a folder that is one export, and its reader."""

    path: Path
    name: str
    """As the user named it: the file's name, below the folder that was given."""
    format: str
    reason: str
    sha256: str
    size: int
    asked_for: bool
    """Whether the user named it itself, and not only a folder it is in."""

    def named(self, place: str) -> str:
        """A place that begins with the path's own name, beginning with the name that the user knows."""
        return self.name + place.removeprefix(self.path.name)


def collect(paths: Iterable[Path], wanted: str) -> tuple[list[Collected], list[Dropped]]:
    """The sources in order, each content once, and the files that nobody can read.

    MaterialError if a named file cannot be read, or nothing is left.
    """
    found: dict[str, Collected] = {}
    dropped: list[Dropped] = []
    if wanted:
        reader(wanted)
    for path in paths:
        if not path.exists():
            raise MaterialError(f"{path}: no such file or folder.")
        walk = [(path, path.name)] if path.is_file() or taken(path, wanted) else list(below(path, dropped))
        for file, name in walk:
            try:
                source = source_of(file, name, wanted, file == path)
            except MaterialError as error:
                if file == path:
                    raise
                dropped.append(Dropped(item=name, reason="cannot be read", detail=str(error)))
                continue
            if source is None:
                if file == path:
                    raise MaterialError(f"{path}: no reader knows this format. Convert it, or name one with --format: {known_formats()}.")
                dropped.append(Dropped(item=name, reason="unknown format", detail=file.suffix))
            elif source.sha256 in found:
                dropped.append(Dropped(item=name, reason="the same file twice", detail=found[source.sha256].name))
            else:
                found[source.sha256] = source
    if not found:
        raise MaterialError(f"no readable source in {', '.join(map(str, paths))}. Known formats are {known_formats()}.")
    return list(found.values()), dropped


def known_formats() -> str:
    """The names of all formats."""
    return ", ".join(known.name for known in READERS)


def taken(folder: Path, wanted: str) -> bool:
    """Whether a folder as a whole is one export that a reader knows."""
    return any(known.recognises(folder, b"") for known in READERS if wanted in ("", known.name))


def below(folder: Path, dropped: list[Dropped]) -> Iterable[tuple[Path, str]]:
    """The files of a folder in the order of their names; hidden ones are passed over, links out are dropped."""
    root = folder.resolve()
    for number, path in enumerate(sorted(folder.rglob("*"))):
        name = str(path.relative_to(folder.parent))
        if number > MOST_FILES:
            raise MaterialError(f"{folder}: more than {MOST_FILES} files. Give a smaller folder.")
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if not path.resolve().is_relative_to(root):
            dropped.append(Dropped(item=name, reason="a link that leads out of the folder"))
        elif path.is_file() and NOT_MATERIAL.search(path.stem):
            dropped.append(Dropped(item=name, reason="a licence or a note, no material"))
        elif path.is_file():
            yield path, name


def source_of(path: Path, name: str, wanted: str, asked_for: bool) -> Collected | None:
    """A source with its format; None if no reader knows it."""
    found = recognise(path)
    if wanted:
        format_, reason = wanted, "as asked"
    elif found is None:
        return None
    else:
        format_, reason = found.format, found.reason
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    digest, size = sha256(), 0
    for file in files:
        if file != path:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with opened(file) as handle:
            while piece := handle.read(CHUNK):
                digest.update(piece)
                size += len(piece)
    return Collected(path=path, name=name, format=format_, reason=reason, sha256=digest.hexdigest(), size=size, asked_for=asked_for)
