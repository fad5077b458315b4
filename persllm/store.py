"""A run on disk: one folder per step, finished when its last file is there.

Order within a step: `made-with` first, one line of `items.jsonl` per finished item while the step works, then
`records.jsonl` and `dropped.jsonl` in the order of the items, and `step.json` last. A step without `step.json`
is not finished and goes on where it stopped; a torn or foreign last line is owed again. Files are replaced,
never edited, and no step writes into another's folder. A lock keeps a second process out.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from persllm.config import Recipe
from persllm.errors import RunError
from persllm.parsing import flatten
from persllm.records import Dropped, Record

R = TypeVar("R", bound=Record)
Outcome = tuple[Sequence[Record], Sequence[Dropped]]
"""What became of one item: the records made of it, and what was dropped on the way."""
Progress = Callable[[int, int], None]
"""Called with (done, total) as a step goes on."""


RUNS = "--runs DIR"
"""The option that names the folder in which runs are."""


def silent(done: int, total: int) -> None:
    """A Progress that shows nothing."""


def noted(progress: Progress, note: str) -> None:
    """Show a few words beside the progress, where what shows it has a place for them (`note`)."""
    show = getattr(progress, "note", None)
    if show is not None:
        show(note)


class Part:
    """The progress of one of several equal parts."""

    def __init__(self, progress: Progress, place: int, parts: int):
        self.progress, self.place, self.parts = progress, place, parts

    def __call__(self, done: int, total: int) -> None:
        """So much of this part."""
        self.progress(self.place * total + done, self.parts * total)

    def note(self, note: str) -> None:
        """Words about this part."""
        noted(self.progress, note)


def read_lines(file: Path) -> list[str]:
    """The lines of a text file. Cuts at newline only: U+2028 inside a string does not end a line."""
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line]


def read_records(file: Path, kind: type[R]) -> list[R]:
    """The records in a JSONL file."""
    return [kind.model_validate_json(line) for line in read_lines(file)]


@contextlib.contextmanager
def disk_trouble(place: Path, option: str = "") -> Iterator[None]:
    """Turn a full disk or an unwritable folder into a RunError that says where; `option` is what names another folder, if anything does."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunError(f"{place}: no space left on the disk. Free some and run again; finished items are kept.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            way = f" with {option}" if option else ""
            raise RunError(f"{place}: cannot write here ({error.strerror}). Give another folder{way}.") from error
        raise


@contextlib.contextmanager
def locked(file: Path, refusal: str, passing: bool = False, option: str = "") -> Iterator[None]:
    """Keep other processes out by a lock on a file, released by the system if this one dies; RunError that says `refusal` if one is at work.

    A `passing` one is taken away at the end, so that nothing is left beside what it kept. `option` is what names another folder.
    """
    with disk_trouble(file.parent, option):
        file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with disk_trouble(file.parent, option):
            handle = open(file, "w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(refusal) from None
            if not lies_at(handle, file):  # another process took it away between the two calls
                continue
            try:
                yield
            finally:
                if passing:
                    file.unlink(missing_ok=True)
            return


def lies_at(handle: IO[str], file: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), file.stat())
    except FileNotFoundError:
        return False


def replace_text(file: Path, text: str) -> None:
    """Write a whole file so that it is either the old one or the new one, also after a crash."""
    with disk_trouble(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.fresh")
        with open(fresh, "w", encoding="utf-8", newline="\n") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(fresh, file)


def replace_records(file: Path, records: Iterable[Record]) -> None:
    """Write records as JSONL, whole or not at all."""
    replace_text(file, "".join(f"{record.model_dump_json()}\n" for record in records))


def replace_json(file: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all."""
    replace_text(file, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` if all goes well and is gone if not; RunError if `out` holds anything already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: exists and is not empty. Give another folder; nothing was changed.")
    fresh = out.with_name(f".{out.name}.fresh")
    with disk_trouble(out):
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir(parents=True)
            yield fresh
            if out.is_dir():
                out.rmdir()
            os.replace(fresh, out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


class StepFolder:
    """The folder of one step of one run."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def finished(self) -> bool:
        """Whether the step's last file is there."""
        return (self.path / "step.json").is_file()

    def check(self, settings: dict[str, Any]) -> bool:
        """Whether the folder was begun; RunError naming the differences if it was with other settings."""
        file = self.path / "made-with"
        if not file.is_file():
            return False
        before = json.loads(file.read_text(encoding="utf-8"))
        if before != settings:
            raise RunError(differences(self.path, before, settings))
        return True

    def begin(self, settings: dict[str, Any]) -> None:
        """Take the folder for these settings; RunError if it was made with others or is somebody else's."""
        file = self.path / "made-with"
        if self.check(settings):
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path}: holds files but no made-with. Move them away, or give another --run NAME.")
        replace_json(file, settings)

    def records(self, kind: type[R], name: str = "records.jsonl") -> list[R]:
        """The records of a finished step."""
        file = self.path / name
        if not file.is_file():
            raise RunError(f"{file}: not there. Run the step again: persllm run RECIPE --redo {self.path.name}.")
        return read_records(file, kind)

    def fill(self, items: Sequence[R], work: Callable[[list[R]], Iterator[tuple[R, Outcome]]], progress: Progress = silent) -> None:
        """Do the items that are still owed, one line each, then write records.jsonl and dropped.jsonl in item order.

        `work` gets the owed items and yields each with its outcome as it finishes, in any order.
        """
        log = self.path / "items.jsonl"
        known = {item.identity for item in items}
        done = {key: line for key, line in self.finished_items(log) if key in known}
        with disk_trouble(log, RUNS):
            replace_text(log, "".join(f"{line}\n" for line in done.values()))
            progress(len(done), len(items))
            owed = [item for item in items if item.identity not in done]
            with open(log, "a", encoding="utf-8", newline="\n") as handle:
                for item, (records, dropped) in work(owed):
                    line = item_line(item, records, dropped)
                    done[item.identity] = line
                    handle.write(f"{line}\n")
                    handle.flush()
                    progress(len(done), len(items))
        outcomes = [json.loads(done[item.identity]) for item in items]
        self.write_lines("records.jsonl", [entry for outcome in outcomes for entry in outcome["records"]])
        self.write_lines("dropped.jsonl", [entry for outcome in outcomes for entry in outcome["dropped"]])

    def finished_items(self, log: Path) -> Iterator[tuple[str, str]]:
        """Key and line of every whole line of the log; a torn or foreign line is passed over and owed again."""
        if not log.is_file():
            return
        for raw in log.read_bytes().split(b"\n"):
            try:
                line = raw.decode("utf-8")
                entry = json.loads(line)
                if set(entry) == {"item", "records", "dropped"}:
                    yield entry["item"], line
            except (UnicodeDecodeError, ValueError, TypeError):
                continue

    def write_lines(self, name: str, entries: Iterable[dict[str, Any]]) -> None:
        """Write plain entries as JSONL, whole or not at all."""
        replace_text(self.path / name, "".join(f"{json.dumps(e, ensure_ascii=False, separators=(',', ':'))}\n" for e in entries))

    def write(self, name: str, records: Iterable[Record]) -> None:
        """Write records as JSONL, whole or not at all."""
        replace_records(self.path / name, records)

    def finish(self, seconds: float, facts: dict[str, Any]) -> None:
        """Mark the step finished, with time, facts, and what was dropped by reason."""
        dropped = self.path / "dropped.jsonl"
        reasons = Counter(entry.reason for entry in read_records(dropped, Dropped)) if dropped.is_file() else Counter()
        (self.path / "items.jsonl").unlink(missing_ok=True)
        replace_json(self.path / "step.json", {"seconds": round(seconds, 2), "dropped": dict(sorted(reasons.items())), **facts})

    def summary(self) -> dict[str, Any]:
        """What `finish` wrote."""
        return json.loads((self.path / "step.json").read_text(encoding="utf-8"))


def item_line(item: Record, records: Sequence[Record], dropped: Sequence[Dropped]) -> str:
    """The line that says an item is finished."""
    entry = {
        "item": item.identity,
        "records": [record.model_dump(mode="json") for record in records],
        "dropped": [record.model_dump(mode="json") for record in dropped],
    }
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def differences(place: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    """The message for a folder made with other settings."""
    old, new = flatten(before), flatten(now)
    rows = [
        f"  {key}: {old.get(key, 'not set')!r} there, {new.get(key, 'not set')!r} now"
        for key in sorted(old | new)
        if old.get(key) != new.get(key)
    ]
    return "\n".join([
        f"{place} was made with other settings:", *rows[:12], *([f"  and {len(rows) - 12} more"] if len(rows) > 12 else []),
        "Ways on: keep both with another --run NAME; restore the settings; or make this step and all later ones again with --redo " + place.name + ".",
    ])  # fmt: skip


class Run:
    """A run folder: the resolved recipe, the steps, the lock."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "Run":
        """A run that exists; RunError if there is none."""
        if not (path / "config.json").is_file():
            raise RunError(f"{path}: no run here (config.json is missing). `persllm run RECIPE` makes one.")
        return cls(path)

    @property
    def recipe(self) -> Recipe:
        """The settings the run was made with."""
        return Recipe.model_validate_json((self.path / "config.json").read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; released by the system if this one dies."""
        refusal = f"{self.path}: another persllm is at work here. Wait for it, or give another --run NAME."
        with locked(self.path / ".lock", refusal, option=RUNS):
            yield

    def step(self, folder: str) -> StepFolder:
        """The folder of a step, for instance `4-dataset`."""
        return StepFolder(self.path / folder)

    def remove_steps(self, folders: Iterable[str]) -> None:
        """Delete the folders of steps that are to be made again, the last first."""
        for folder in reversed(list(folders)):
            shutil.rmtree(self.path / folder, ignore_errors=True)

    def next_log(self) -> Path:
        """The file for the log of this attempt."""
        logs = self.path / "logs"
        with disk_trouble(logs, RUNS):
            logs.mkdir(parents=True, exist_ok=True)
        return logs / f"attempt-{len(list(logs.glob('attempt-*.log'))) + 1}.log"


def now() -> str:
    """The time of day in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
