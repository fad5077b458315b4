"""Pieces laid aside on the disk until the stages are known: a chat of any size is held in the memory of one piece."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from persllm.ingestion.piece import Piece
from persllm.store import disk_trouble

IN_MEMORY = 8 << 20
"""Bytes up to which nothing goes to the disk."""


class Shelf:
    """Pieces in the order in which they were laid there, to be gone through as often as wanted, once at a time."""

    def __init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY)
        """Without a name on the disk, so that nothing of it stays after a kill."""
        self.sure = 0
        """Pieces that are not in doubt."""

    def lay(self, piece: Piece) -> None:
        """Put a piece behind the others."""
        self.sure += not piece.doubt
        with disk_trouble(Path(tempfile.gettempdir()), "TMPDIR=DIR"):
            self.file.write(piece.model_dump_json(exclude_defaults=True).encode() + b"\n")

    def __iter__(self) -> Iterator[Piece]:
        self.file.seek(0)
        for line in self.file:
            yield Piece.model_validate_json(line)

    def close(self) -> None:
        """Let it go."""
        self.file.close()
