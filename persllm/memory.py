"""What a person remembers of earlier talks with somebody: exchanges in one SQLite file, recalled by their words.

Memories belong to a person at a stage and to a user: the young person does not know what was said to the old
one, and nobody hears what another user said. They can be listed and deleted. Recall is BM25 over the words of
the language, as for materials. Limits: exchanges are kept as they were, not summed up; the oldest beyond
MOST_KEPT are forgotten.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from persllm.errors import RunError
from persllm.languages import language
from persllm.records import Message, Record
from persllm.store import disk_trouble, now

MOST_KEPT = 1000
"""Exchanges that are kept per person, stage and user."""
TABLE = """
CREATE TABLE IF NOT EXISTS exchanges (
  id INTEGER PRIMARY KEY AUTOINCREMENT, persona TEXT NOT NULL, stage TEXT NOT NULL, user TEXT NOT NULL,
  session TEXT NOT NULL, said_at TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS owners ON exchanges (persona, stage, user, id);
"""


class Exchange(Record):
    """Something said to a person, and the answer."""

    id: int
    session: str
    """The talk it belongs to."""
    said_at: str
    """Time in UTC."""
    question: str
    answer: str

    @property
    def messages(self) -> tuple[Message, Message]:
        """The exchange as messages."""
        return Message(role="user", content=self.question), Message(role="assistant", content=self.answer)


@dataclass(frozen=True)
class Memory:
    """The memory that one person at one stage has of one user."""

    file: Path
    persona: str
    stage: str
    user: str
    language: str = "en"

    @property
    def owner(self) -> tuple[str, str, str]:
        """Whose memory of whom."""
        return self.persona, self.stage, self.user

    def keep(self, session: str, question: str, answer: str) -> None:
        """Remember an exchange."""
        with self.opened() as base:
            base.execute(
                "INSERT INTO exchanges (persona, stage, user, session, said_at, question, answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*self.owner, session, now(), question, answer),
            )
            base.execute(
                "DELETE FROM exchanges WHERE persona = ? AND stage = ? AND user = ? AND id NOT IN "
                "(SELECT id FROM exchanges WHERE persona = ? AND stage = ? AND user = ? ORDER BY id DESC LIMIT ?)",
                (*self.owner, *self.owner, MOST_KEPT),
            )

    def listed(self) -> list[Exchange]:
        """All that is remembered, the oldest first."""
        with self.opened() as base:
            rows = base.execute(
                "SELECT id, session, said_at, question, answer FROM exchanges WHERE persona = ? AND stage = ? AND user = ? ORDER BY id",
                self.owner,
            )
            return [Exchange(id=i, session=s, said_at=t, question=q, answer=a) for i, s, t, q, a in rows]

    def recall(self, query: str, most: int = 2, without_session: str = "") -> list[Exchange]:
        """The exchanges of other sessions that share most words with the query, in order of time; none if none shares any."""
        tools = language(self.language)
        kept = [exchange for exchange in self.listed() if exchange.session != without_session]
        words = tools.words(query)
        texts = [tools.words(f"{exchange.question} {exchange.answer}") for exchange in kept]
        if not words or not any(texts):
            return []
        import bm25s

        index = bm25s.BM25()
        index.index(texts, show_progress=False)
        scores = index.get_scores(words)
        best = sorted(range(len(kept)), key=lambda place: (-float(scores[place]), -place))[:most]
        return [kept[place] for place in sorted(best) if float(scores[place]) > 0]

    def forget(self, ids: Sequence[int] = ()) -> int:
        """Delete these exchanges, or all of this memory; returns how many were deleted. Foreign ids are left alone."""
        with self.opened() as base:
            statement = "DELETE FROM exchanges WHERE persona = ? AND stage = ? AND user = ?"
            if not ids:
                return base.execute(statement, self.owner).rowcount
            return sum(base.execute(f"{statement} AND id = ?", (*self.owner, one)).rowcount for one in ids)

    @contextmanager
    def opened(self):
        """The file, for one transaction; RunError if it cannot be used. Deleted text is overwritten."""
        try:
            with disk_trouble(self.file.parent):
                self.file.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(self.file, timeout=30)
            try:
                base.execute("PRAGMA secure_delete = ON")
                base.executescript(TABLE)
                with base:
                    yield base
            finally:
                base.close()
        except sqlite3.Error as error:
            raise RunError(
                f"{self.file}: the memory cannot be used ({error}). Free space, mend the file's rights, or remove it."
            ) from error
