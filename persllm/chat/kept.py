"""Good replies on disk, found by what was asked, and who is asking now: nothing is paid for twice.

One SQLite file serves all runs and several processes at once. Before a call is made its key is claimed; another
process that owes the same call waits for the reply. A claim ends with the reply, with the failure, with the
process that made it, or when its time is over. The file is safe against kills; after a loss of power the last
replies may be missing, never broken. Limit: the file does not belong on a network file system.
"""

import os
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from persllm.errors import RunError
from persllm.records import Reply

TABLES = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
)


class Keeper(Protocol):
    """Where replies are kept: a file here, or one on another machine."""

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        ...

    def claim(self, key: str, seconds: float) -> bool:
        """Take the call for this process, for so long; False if another is making it."""
        ...

    def keep(self, key: str, reply: Reply) -> None:
        """Keep a reply and end the claim."""
        ...

    def release(self, key: str) -> None:
        """End a claim without a reply."""
        ...

    def close(self) -> None:
        """No more of it."""
        ...


class ReplyCache:
    """The Keeper that is a file."""

    def __init__(self, folder: Path, holder: str = ""):
        self.file = folder / "replies.sqlite"
        self.turn = threading.Lock()
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.base = sqlite3.connect(self.file, timeout=60, isolation_level=None, check_same_thread=False)
            self.base.execute("PRAGMA journal_mode = WAL")
            self.base.execute("PRAGMA synchronous = NORMAL")
            for table in TABLES:
                self.base.execute(table)
        except (OSError, sqlite3.Error) as error:
            raise RunError(
                f"{self.file}: cannot keep replies here ({error}). Free space, mend the folder's rights, or remove the file."
            ) from error

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        row = self.guarded("SELECT reply FROM replies WHERE key = ?", (key,))
        return Reply.model_validate_json(row[0]) if row else None

    def claim(self, key: str, seconds: float) -> bool:
        """Take the call for this holder, unless another that lives holds it, or the reply is there."""
        now = time.time()
        taken = self.guarded(
            "INSERT INTO claims SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM replies WHERE key = ?) "
            "ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = excluded.until "
            "WHERE claims.until < ? OR claims.holder = excluded.holder RETURNING 1",
            (key, self.holder, now + seconds, key, now),
        )
        if taken:
            return True
        row = self.guarded("SELECT holder FROM claims WHERE key = ?", (key,))
        if row and not lives(row[0]):
            self.guarded("DELETE FROM claims WHERE key = ? AND holder = ?", (key, row[0]))
        return False

    def keep(self, key: str, reply: Reply) -> None:
        """Keep a reply; a kill after this does not lose it."""
        self.guarded("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, reply.model_dump_json()))
        self.release(key)

    def release(self, key: str) -> None:
        """End a claim of this holder."""
        self.guarded("DELETE FROM claims WHERE key = ? AND holder = ?", (key, self.holder))

    def guarded(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Run a statement; RunError that names the file if the disk is full or the file broken."""
        try:
            with self.turn:  # a statement that another thread has not read to its end would keep SQLite from waiting for the lock
                rows = self.base.execute(statement, values).fetchall()
            return rows[0] if rows else None
        except sqlite3.Error as error:
            raise RunError(f"{self.file}: {error}. Free space or remove the file, and run again; finished items are kept.") from error

    def close(self) -> None:
        """Let the file go."""
        self.base.close()


def lives(holder: str) -> bool:
    """Whether the process of a claim may still be there; of another machine it may."""
    host, process, *_ = holder.split(":")
    if host != socket.gethostname() or not process.isdigit():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
