"""Which weights a model folder holds: what was measured on some is never told of others.

The fingerprint is over all that an answer depends on: weights, architecture, vocabulary, chat template. What was read
once is not read again while sizes and times of the files are the same, as git does it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from persllm.errors import PersllmError
from persllm.records import fingerprint
from persllm.store import replace_json

PARTS = (".json", ".jinja", ".model", ".txt", ".safetensors")
"""Files of a model folder that say what the model answers."""


def file_fingerprint(file: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's content; empty if it is not there."""
    if not file.is_file():
        return ""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def parts_of(folder: Path) -> list[Path]:
    """The files of a model folder that its fingerprint is made of."""
    return sorted(file for file in folder.iterdir() if file.suffix in PARTS and file.is_file()) if folder.is_dir() else []


def weights_of(folder: Path) -> str:
    """Fingerprint of the model in a folder, 16 hex digits; empty if there is none."""
    files = parts_of(folder)
    return fingerprint([[file.name, file_fingerprint(file)] for file in files]) if files else ""


def weights_below(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Model folder, from the root if it is below it -> fingerprint of the model in it; what is no folder is passed over."""
    places = sorted({Path(folder) for folder in folders if Path(folder).is_dir()})
    return {str(place.relative_to(root) if place.is_relative_to(root) else place): weights_of(place) for place in places}


class Known:
    """Fingerprints of model folders below a run, remembered in a file there; the file may be deleted at any time."""

    def __init__(self, root: Path):
        self.root, self.file = root, root / "versions" / "fingerprints.json"
        try:
            self.kept: dict[str, Mapping[str, object]] = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.kept = {}

    def weights(self, folder: str) -> str:
        """Fingerprint of the model in a folder named from the run; empty if there is none."""
        stamps = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in parts_of(self.root / folder)]
        before = self.kept.get(folder, {})
        if not stamps or before.get("stamps") == stamps:
            return str(before.get("weights", "")) if stamps else ""
        found = weights_of(self.root / folder)
        self.kept[folder] = {"stamps": stamps, "weights": found}
        self.keep()
        return found

    def keep(self) -> None:
        """Remember; where the run cannot be written to, it is read again the next time."""
        try:
            replace_json(self.file, self.kept)
        except PersllmError:
            return
