"""Take out of a persona folder all that came from one source, and say which runs and models still hold it.

A source is a file, or the archive or folder that was given, with all that is in it. What is removed is known by its place
of origin: materials, pieces in review, lines that were dropped (they quote it), and the entries in ingest.json, which is
changed last, so that an interrupted call is finished by the next. What the user wrote beside it stays. Runs are not touched: a model cannot forget a part; remove the run, or make it again.
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from persllm.errors import MaterialError
from persllm.ingestion.collect import TWICE
from persllm.ingestion.folder import JOURNAL, Journal, taken
from persllm.material_files import ORIGIN_LINE
from persllm.records import Record
from persllm.store import replace_json, replace_text
from persllm.tracing import entries, identity_of

DROPPED = "dropped.jsonl"
HEADING = re.compile(r"^(?=#{1,3} \S)", re.MULTILINE)


class RunWith(Record):
    """A run that holds something of the source."""

    run: str
    materials: int
    conversations: int
    """Trained conversations that rest on these materials."""
    samples: int
    """Lines of the training set that do, repetitions among them."""
    models: tuple[str, ...]
    """Models that were trained on them, below the run."""


class Forgotten(Record):
    """What was, or would be, removed, and where it still is."""

    source: str
    members: tuple[str, ...]
    """The sources that it is in ingest.json: itself, or the files in an archive or a folder."""
    files: dict[str, int]
    """File below the folder -> pieces removed from it."""
    kept: dict[str, int]
    """The same files -> pieces that stay, since they came from elsewhere."""
    named: bool
    """Whether persona.yaml still names the source; what is written there is the user's."""
    runs: tuple[RunWith, ...]
    written: bool
    """False after a dry run."""


def forget(folder: Path, source: str, runs: Path | None = None, dry_run: bool = False) -> Forgotten:
    """Remove a source from a persona folder; MaterialError if the folder knows none of that name, RunError if another process is at work in it."""
    read_journal(folder)
    with contextlib.nullcontext() if dry_run else taken(folder, option=""):
        return take_out(folder, source, runs, dry_run)


def take_out(folder: Path, source: str, runs: Path | None, dry_run: bool) -> Forgotten:
    """`forget` in a folder that no other process is at."""
    journal = read_journal(folder)
    name, members = source_named(folder, journal, source)
    emptied = abandoned(journal, name, members)
    changes = {file: without(file, emptied if file.name == DROPPED else name) for file in files_of(folder)}
    changed = {file: change for file, change in changes.items() if change.removed}
    found = Forgotten(
        source=name, members=members, files={str(file.relative_to(folder)): change.removed for file, change in changed.items()},
        kept={str(file.relative_to(folder)): change.kept for file, change in changed.items() if change.kept},
        named=name in (folder / "persona.yaml").read_text(encoding="utf-8"), runs=tuple(runs_with(runs, name)) if runs else (), written=not dry_run,
    )  # fmt: skip
    if dry_run:
        return found
    for file, change in changed.items():
        if change.kept or file.parent == folder:
            replace_text(file, change.text)
        else:
            file.unlink()
    write_journal(folder, journal, members)
    return found


def read_journal(folder: Path) -> Journal:
    """The journal of what was taken in."""
    file = folder / JOURNAL
    if not file.is_file():
        raise MaterialError(f"{folder}: no {JOURNAL}: nothing was taken in with `persllm ingest`. Remove the files in materials/ by hand.")
    try:
        return Journal.model_validate_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MaterialError(f"{file}: cannot be read as a journal. Restore it.") from error


def source_named(folder: Path, journal: Journal, source: str) -> tuple[str, tuple[str, ...]]:
    """(name, names of the sources that it is) of the file, archive or folder of that name, or of the only one whose last part is called so."""
    names = {place: None for record in journal.sources for place in (record.name, *around(record.name))}
    exact = [name for name in names if name == source.rstrip("/")]
    alike = exact or [name for name in names if PurePosixPath(name).name == Path(source).name]
    if len(alike) == 1:
        return alike[0], tuple(record.name for record in journal.sources if belongs(record.name, alike[0]))
    known = ", ".join(alike or (record.name for record in journal.sources)) or "none"
    raise MaterialError(f"{folder}: {'several sources are' if alike else 'no source is'} called {source}. Known are: {known}.")


def around(source: str) -> list[str]:
    """The archives and folders that a source lies in, the nearest first."""
    return [str(place) for place in PurePosixPath(source).parents][:-1]


def abandoned(journal: Journal, name: str, members: Sequence[str]) -> str:
    """The widest archive or folder around a source of which nothing else is held: what was left out there goes too. The source itself if there is none."""
    left = [record.name for record in journal.sources if record.name not in members]
    return next((place for place in reversed(around(name)) if not any(belongs(other, place) for other in left)), name)


class Change(Record):
    """A file without what came from the source."""

    text: str
    removed: int
    kept: int


def files_of(folder: Path) -> Iterator[Path]:
    """All files in which something of a source may stand."""
    yield from sorted(file for file in (folder / "materials").rglob("*") if file.suffix in (".jsonl", ".md", ".txt"))
    yield from (file for name in ("review.jsonl", DROPPED) if (file := folder / name).is_file())


def without(file: Path, source: str) -> Change:
    """A file without the pieces of a source."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    if file.suffix == ".jsonl":
        pieces = [line for line in text.split("\n") if line.strip()]
        kept = [line for line in pieces if not any(belongs(place, source) for place in places_of(line))]
        return Change(text="".join(f"{line}\n" for line in kept), removed=len(pieces) - len(kept), kept=len(kept))
    pieces = [piece for piece in HEADING.split(text) if piece.strip()]
    kept = [piece for piece in pieces if not ((found := ORIGIN_LINE.search(piece)) and belongs(found[1], source))]
    return Change(text="".join(kept), removed=len(pieces) - len(kept), kept=len(kept))


def places_of(line: str) -> Sequence[str]:
    """Where a line of materials, of review.jsonl or of dropped.jsonl was taken from; of a file that was left out as the same as another, both."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return ()
    if not isinstance(entry, dict):
        return ()
    other = entry.get("detail") if entry.get("reason") == TWICE else ""
    return str(entry.get("origin") or entry.get("item") or ""), str(other or "")


def belongs(origin: str, source: str) -> bool:
    """Whether a place lies in a source: the file itself, a line of it, or a file of the folder."""
    return origin == source or origin.startswith((f"{source}:", f"{source}/"))


def write_journal(folder: Path, journal: Journal, members: Sequence[str]) -> None:
    """The journal without these sources, its counts taken anew."""
    left = tuple(known for known in journal.sources if known.name not in members)
    reasons = Counter(str(entry.get("reason")) for entry in entries(folder / DROPPED))
    waiting = sum(1 for _ in entries(folder / "review.jsonl"))
    changed = journal.model_copy(update={"sources": left, "dropped": dict(reasons), "review": waiting})
    replace_json(folder / JOURNAL, changed.model_dump())


# Runs ----------------------------------------------------------------------------------------------------


def runs_with(runs: Path, source: str) -> Iterator[RunWith]:
    """The runs below a folder that hold something of a source."""
    for config in sorted(runs.glob("*/config.json")):
        run = config.parent
        held = {
            identity_of(line): line["persona"]
            for line in entries(run / "1-materials" / "records.jsonl")
            if belongs(line.get("origin", ""), source)
        }
        if held:
            conversations = resting(run / "4-dataset" / "conversations.jsonl", held)
            samples = resting(run / "4-dataset" / "train.jsonl", held)
            yield RunWith(
                run=str(run), materials=len(held), conversations=conversations, samples=samples,
                models=models_of(run, set(held.values())) if conversations else (),
            )  # fmt: skip


def resting(file: Path, materials: dict[str, str]) -> int:
    """How many lines rest on one of the materials."""
    return sum(any(ground in materials for ground in line.get("evidence", ())) for line in entries(file))


def models_of(run: Path, persons: set[str]) -> tuple[str, ...]:
    """The trained models of these persons: their own, or that of all."""
    names = ("cast", *sorted(persons))
    versions = sorted(str(folder.relative_to(run)) for folder in (run / "versions").glob("[0-9]*"))
    return tuple(
        f"{step}/{name}/model" for step in ("5-sft", "7-dpo", *versions) for name in names if (run / step / name / "model").is_dir()
    )


def told(found: Forgotten) -> Sequence[str]:
    """What became of it, for people."""
    verb = "removed" if found.written else "would be removed"
    files = f" of {len(found.members)} files" if found.members != (found.source,) else ""
    lines = [f"{found.source}: {sum(found.files.values())} pieces{files} {verb}"]
    lines += [
        f"  {file}: {count}" + (f", {found.kept[file]} of other origin stay" if file in found.kept else "")
        for file, count in found.files.items()
    ]
    for run in found.runs:
        lines.append(
            f"{run.run} holds {run.materials} materials of it; {run.conversations} conversations ({run.samples} samples) rest on them"
        )
        lines += [f"  trained on it: {model}" for model in run.models]
    if found.runs:
        lines.append("a model cannot forget a part: remove these runs, or make them again with --redo 1-materials")
    return lines
