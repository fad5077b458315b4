"""Which files an addition to a persona folder writes, known before one is written, and the writing of them line by line."""

import json
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from persllm.errors import MaterialError
from persllm.ingestion.collect import Collected
from persllm.ingestion.piece import Piece
from persllm.ingestion.result import SourceRecord
from persllm.ingestion.stages import slug


class Plan:
    """The files, their SHA-256 and the counts. `before` are the sources of earlier calls by name, which stay."""

    def __init__(self, path: Path, before: dict[str, SourceRecord], new: Sequence[Collected], pieces: Iterable[Piece]):
        self.path, self.new = path, new
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        """Stage -> kind -> materials."""
        self.review = 0
        """Pieces in doubt."""
        self.doubt = ""
        """The first doubt."""
        self.stems = {source.name: file_name(source) for source in new}
        hashes: dict[str, defaultdict[str, Any]] = {source.name: defaultdict(sha256) for source in new}
        materials: Counter[str] = Counter()
        for piece in pieces:
            if piece.doubt:
                self.review, self.doubt = self.review + 1, self.doubt or piece.doubt
                continue
            self.counts[piece.stage][piece.kind] += 1
            materials[piece.source] += 1
            hashes[piece.source][self.file_of(piece)].update(f"{material_line(piece)}\n".encode())
        made = []
        for source in new:
            files = {name: digest.hexdigest() for name, digest in hashes[source.name].items()}
            self.refuse_edits(before.get(source.name), files, source)
            kept = source.model_dump(include={"name", "sha256", "size", "format", "reason"})
            made.append(SourceRecord(**kept, materials=materials[source.name], files=files))
        self.sources = (*before.values(), *made)

    @property
    def placed(self) -> int:
        """Pieces that become materials."""
        return sum(kinds.total() for kinds in self.counts.values())

    def file_of(self, piece: Piece) -> str:
        """The file that a piece goes to: one for each source, kind and stage."""
        return f"materials/{piece.stage}/{piece.kind}-{self.stems[piece.source]}.jsonl"

    def refuse_edits(self, earlier: SourceRecord | None, files: Iterable[str], source: Collected) -> None:
        """MaterialError if something that another made would be overwritten or would stand beside its newer form."""
        if earlier is not None:
            command = shlex.join(("persllm", "forget", str(self.path), "--source", source.name))
            raise MaterialError(
                f"{source.path}: {self.path} holds another content as {source.name} already ({earlier.materials} materials). If this is a newer form "
                f"of it, take the old one out first: {command}. If it is another source, rename it, or give the folder or ZIP that it is in."
            )
        there = next((name for name in files if (self.path / name).exists()), "")
        if there:
            raise MaterialError(
                f"{self.path / there}: exists and was not written by `persllm ingest`. Move it away or give another --into."
            )

    def write(self, place: Path, pieces: Iterable[Piece]) -> None:
        """Write the materials of all pieces below a folder, and the pieces in doubt behind those of earlier calls."""
        source, files = "", Lines(place)
        waiting = Lines(place)
        before = self.path / "review.jsonl"
        waiting.add("review.jsonl", before.read_text(encoding="utf-8") if before.is_file() else "")
        for piece in pieces:
            if piece.doubt:
                waiting.add("review.jsonl", f"{review_line(piece)}\n")
                continue
            if piece.source != source:
                source = piece.source
                files.close()
            files.add(self.file_of(piece), f"{material_line(piece)}\n")
        files.close()
        waiting.close()


class Lines:
    """Open files below a folder, to which lines are added; on the disk for good when they are closed."""

    def __init__(self, place: Path):
        self.place = place
        self.open: dict[str, IO[str]] = {}

    def add(self, name: str, text: str) -> None:
        """Add to a file, which is made if it is not there."""
        if name not in self.open:
            file = self.place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            self.open[name] = open(file, "a", encoding="utf-8", newline="\n")
        self.open[name].write(text)

    def close(self) -> None:
        """Close all of them."""
        for handle in self.open.values():
            handle.flush()
            os.fsync(handle.fileno())
            handle.close()
        self.open.clear()


def file_name(source: Collected) -> str:
    """A name for the files of a source: readable, and its own."""
    return "-".join(filter(None, (slug(source.name), source.sha256[:8])))


def material_line(piece: Piece) -> str:
    """A piece as a line of materials."""
    entry = {
        "title": piece.title, "date": piece.date, "situation": piece.situation, "text": piece.text,
        "turns": [turn.model_dump(exclude_defaults=True) for turn in piece.turns], "origin": piece.origin,
    }  # fmt: skip
    return json.dumps({key: value for key, value in entry.items() if value}, ensure_ascii=False)


def review_line(piece: Piece) -> str:
    """A piece in doubt as a line to be decided on."""
    return json.dumps(
        {"doubt": piece.doubt, "kind": piece.kind, "stage": piece.stage, **json.loads(material_line(piece))}, ensure_ascii=False
    )
