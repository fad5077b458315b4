"""One SQLite file per study: raters, their tasks, judgements and talks.

Every judgement is written in one transaction with the mark that its task is done, so that a page sent twice counts once.
A rater is a random code; nothing personal is kept.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from persllm.errors import RunError
from persllm.records import Record
from persllm.study.assignment import Task, tasks_for
from persllm.study.design import StudyItem, StudySettings, secret

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody mistakes for others."""
TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (code TEXT PRIMARY KEY, language TEXT NOT NULL, consented REAL NOT NULL, seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, rater TEXT NOT NULL REFERENCES raters, place INTEGER NOT NULL,
    task TEXT NOT NULL, shown REAL, done REAL, UNIQUE (rater, place));
CREATE TABLE IF NOT EXISTS judgements (task INTEGER NOT NULL REFERENCES tasks, dimension TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (task, dimension));
CREATE TABLE IF NOT EXISTS talks (id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES tasks, said TEXT NOT NULL,
    left_answer TEXT NOT NULL, right_answer TEXT NOT NULL);
"""


class Given(Record):
    """A task that a rater has before them."""

    id: int
    place: int
    """From 0."""
    of: int
    """How many tasks the rater has."""
    task: Task


class Judgement(Record):
    """One judgement, as the results read it."""

    rater: str
    place: int
    task: Task
    dimension: str
    value: str
    """`left`, `same` or `right` for a pair and a check; `1` to `5` for a rating."""
    seconds: float | None
    """From the page being shown to its being sent."""


class Said(Record):
    """One exchange of a free talk."""

    said: str
    left: str
    right: str


class Storage:
    """The answers of one study; each call opens its own connection, so that threads may share it."""

    def __init__(self, folder: Path):
        self.file = folder / "study.sqlite"
        with self.connection() as base:
            base.execute("PRAGMA journal_mode = WAL")
            for statement in TABLES.split(";"):
                base.execute(statement)
            base.execute("INSERT OR IGNORE INTO facts VALUES ('key', ?)", (secret(),))
        self.file.chmod(0o600)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection within a transaction: all or nothing. RunError that names the file if it cannot be used."""
        try:
            base = sqlite3.connect(self.file, timeout=30, isolation_level=None)
            try:
                yield base
            finally:
                base.close()
        except sqlite3.Error as error:
            raise RunError(f"{self.file}: {error}. Free space, mend the folder's rights, or restore the file.") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes."""
        with self.connection() as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")

    @property
    def key(self) -> str:
        """The secret part of the study's address."""
        with self.connection() as base:
            return base.execute("SELECT value FROM facts WHERE name = 'key'").fetchone()[0]

    def begin(self, settings: StudySettings, items: Sequence[StudyItem], language: str) -> str:
        """A new rater who has consented, with tasks; the code, or empty if the study is full."""
        now = time.time()
        with self.writing() as base:
            taken = base.execute(f"SELECT COUNT(*) FROM raters WHERE code IN ({ACTIVE})", (now - 60 * settings.idle_minutes,)).fetchone()[0]
            if taken >= settings.raters:
                return ""
            code = "".join(secrets.choice(ALPHABET) for _ in range(8))
            rows = base.execute(
                f"SELECT task FROM tasks WHERE done IS NOT NULL OR rater IN ({ACTIVE})", (now - 60 * settings.idle_minutes,)
            )
            given = [Task.model_validate_json(row[0]) for row in rows]
            base.execute("INSERT INTO raters VALUES (?, ?, ?, ?)", (code, language, now, now))
            for place, task in enumerate(tasks_for(code, settings, items, given)):
                base.execute("INSERT INTO tasks (rater, place, task) VALUES (?, ?, ?)", (code, place, task.model_dump_json()))
        return code

    def language(self, code: str) -> str:
        """The language a rater chose; empty if there is no such rater."""
        with self.connection() as base:
            row = base.execute("SELECT language FROM raters WHERE code = ?", (code,)).fetchone()
        return row[0] if row else ""

    def current(self, code: str) -> Given | None:
        """The first task that a rater has not done; None if all are done. Notes when it was first shown."""
        with self.writing() as base:
            count = base.execute("SELECT COUNT(*) FROM tasks WHERE rater = ?", (code,)).fetchone()[0]
            row = base.execute(
                "SELECT id, place, task, shown FROM tasks WHERE rater = ? AND done IS NULL ORDER BY place", (code,)
            ).fetchone()
            if row and row[3] is None:
                base.execute("UPDATE tasks SET shown = ? WHERE id = ?", (time.time(), row[0]))
        return Given(id=row[0], place=row[1], of=count, task=Task.model_validate_json(row[2])) if row else None

    def judge(self, code: str, place: int, values: dict[str, str]) -> bool:
        """Keep the judgements of a task; False if it is done already, or not this rater's next."""
        now = time.time()
        with self.writing() as base:
            row = base.execute("SELECT id, place FROM tasks WHERE rater = ? AND done IS NULL ORDER BY place", (code,)).fetchone()
            if not row or row[1] != place:
                return False
            base.execute("UPDATE tasks SET done = ? WHERE id = ?", (now, row[0]))
            base.execute("UPDATE raters SET seen = ? WHERE code = ?", (now, code))
            base.executemany("INSERT INTO judgements VALUES (?, ?, ?)", [(row[0], name, value) for name, value in values.items()])
        return True

    def talk(self, task: int) -> list[Said]:
        """The free talk of a task so far."""
        with self.connection() as base:
            rows = base.execute("SELECT said, left_answer, right_answer FROM talks WHERE task = ? ORDER BY id", (task,)).fetchall()
        return [Said(said=said, left=left, right=right) for said, left, right in rows]

    def add_to_talk(self, code: str, task: int, said: Said) -> None:
        """Keep one exchange of a free talk."""
        with self.writing() as base:
            base.execute(
                "INSERT INTO talks (task, said, left_answer, right_answer) VALUES (?, ?, ?, ?)", (task, said.said, said.left, said.right)
            )
            base.execute("UPDATE raters SET seen = ? WHERE code = ?", (time.time(), code))

    def judgements(self) -> list[Judgement]:
        """All judgements."""
        with self.connection() as base:
            rows = base.execute(
                "SELECT given.rater, given.place, given.task, judged.dimension, judged.value, given.done - given.shown "
                "FROM judgements AS judged JOIN tasks AS given ON judged.task = given.id ORDER BY given.rater, given.place, judged.dimension"
            ).fetchall()
        return [
            Judgement(rater=rater, place=place, task=Task.model_validate_json(task), dimension=dimension, value=value, seconds=seconds)
            for rater, place, task, dimension, value, seconds in rows
        ]

    def counts(self) -> dict[str, int]:
        """How many raters began, and how many did all their tasks."""
        with self.connection() as base:
            began = base.execute("SELECT COUNT(*) FROM raters").fetchone()[0]
            unfinished = base.execute("SELECT COUNT(DISTINCT rater) FROM tasks WHERE done IS NULL").fetchone()[0]
        return {"began": began, "finished": began - unfinished}


ACTIVE = "SELECT code FROM raters WHERE seen > ? OR NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.rater = raters.code AND done IS NULL)"
"""Raters who hold a place: at work of late, or done."""
