"""The persona folder that `ingest` makes or adds to: written whole or not at all, nobody's edits overwritten.

    persona.yaml      drafted once, never touched again
    recipe.yaml       drafted once
    materials/<stage>/<kind>-<source>.jsonl
    review.jsonl      pieces in doubt, with the reason
    dropped.jsonl     what could not be read, with its place
    ingest.json       sources with their SHA-256, options, counts, and the SHA-256 of every file written

A new folder is made beside its place and moved there. An addition is made inside the folder in `.ingesting`, named in
its journal, and moved file by file; one that was interrupted is finished by the next call. A lock keeps a second process out.
"""

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from persllm.doctor import Diagnosis, examine
from persllm.errors import MaterialError
from persllm.ingestion.collect import Collected
from persllm.ingestion.draft import persona_yaml, recipe_yaml, to_confirm
from persllm.ingestion.people import Person
from persllm.ingestion.piece import Piece
from persllm.ingestion.plan import Plan
from persllm.ingestion.request import Request
from persllm.ingestion.result import Ingested, SourceRecord
from persllm.ingestion.stages import Stages
from persllm.materials import PersonaSettings, make_persona
from persllm.parsing import parse, read_yaml
from persllm.records import Dropped, Record, Stage
from persllm.store import disk_trouble, locked, replace_json

JOURNAL = "ingest.json"
WORKSHOP = ".ingesting"
INTO = "--into DIR"
READY = "ready"
"""In a workshop: all files of the addition are there, and may be moved."""


@contextlib.contextmanager
def taken(path: Path, option: str = INTO) -> Iterator[None]:
    """Keep other processes from a persona folder, or from the place where one is to be; RunError if one is at work there.

    `option` is what names another folder, for a place that cannot be written to.

    The lock lies in a folder that is there already, else beside it: a new folder must come by a single move. Whoever
    waits for no lock beside it finds the folder finished.
    """
    place = path.resolve()
    inside, beside = place / ".lock", place.with_name(f".{place.name}.lock")
    refusal = f"{path}: another persllm is at work here. Wait for it, or give another folder."
    there = (path / "persona.yaml").is_file()
    with locked(inside if there else beside, refusal, passing=True, option=option):
        if there or not (path / "persona.yaml").is_file():
            yield
            return
    with taken(path, option):  # another process made it in the meantime
        yield


def unfinished(path: Path) -> bool:
    """Whether an addition to a folder was interrupted when all its files were there."""
    return (path / WORKSHOP / READY).is_file()


class Journal(Record):
    """The file ingest.json."""

    persona: str
    sources: tuple[SourceRecord, ...]
    options: dict[str, str]
    """The last call's options."""
    dropped: dict[str, int]
    """Reason -> number, over all calls."""
    review: int


class Folder:
    """A persona folder to be written or added to."""

    def __init__(self, path: Path, request: Request):
        self.path, self.request = path, request
        self.finish()
        self.journal: Journal | None = None
        self.settings: PersonaSettings | None = None
        if (path / "persona.yaml").is_file():
            self.settings = parse(PersonaSettings, read_yaml(path / "persona.yaml"), str(path / "persona.yaml"))
            self.journal = self.read_journal()
            if self.settings.name != request.person and request.person not in self.settings.aliases:
                raise MaterialError(
                    f"{path}: the folder of {self.settings.name}, not of {request.person}. Give another --into, or the same --person."
                )
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise MaterialError(f"{path}: exists and is no persona folder. Give another --into; nothing was changed.")

    @property
    def name(self) -> str:
        """The person's name, as persona.yaml has it."""
        return self.settings.name if self.settings else self.request.person

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other forms of the name, those of persona.yaml too."""
        before = self.settings.aliases if self.settings else ()
        return tuple(dict.fromkeys((*before, *self.request.aliases)))

    @property
    def language(self) -> str:
        """As asked, or as persona.yaml says; empty if it is to be told by the text."""
        return self.request.language or (self.settings.language if self.settings else "")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of persona.yaml, if there is one."""
        return make_persona(self.path.name, self.settings).stages if self.settings else ()

    def read_journal(self) -> Journal | None:
        """What earlier calls wrote; None if the folder was made by hand."""
        file = self.path / JOURNAL
        if not file.is_file():
            return None
        try:
            return Journal.model_validate_json(file.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise MaterialError(f"{file}: cannot be read as the journal of earlier calls. Restore it, or give another --into.") from error

    def holds(self, source: Collected) -> bool:
        """Whether the same content was taken in before."""
        return any(known.sha256 == source.sha256 for known in self.journal.sources) if self.journal else False

    def plan(self, pieces: Iterable[Piece], new: Sequence[Collected]) -> Plan:
        """What an addition would write; MaterialError if that would touch what others wrote."""
        before = {source.name: source for source in self.journal.sources} if self.journal else {}
        return Plan(self.path, before, new, pieces)

    def write(self, plan: Plan, pieces: Iterable[Piece], dropped: Sequence[Dropped], stages: Stages, person: Person) -> Diagnosis:
        """Write all that was planned, or nothing; returns what the doctor says of the folder then."""
        workshop = self.path / WORKSHOP if self.settings else self.path.with_name(f".{self.path.name}{WORKSHOP}")
        with disk_trouble(self.path, INTO):
            shutil.rmtree(workshop, ignore_errors=True)
            workshop.mkdir(parents=True)
            try:
                plan.write(workshop, pieces)
                self.fill(workshop, plan, dropped, stages, person)
                if self.settings:
                    (workshop / READY).touch()
                    self.finish()
                    return examine(self.path)
                found = examine(workshop)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(workshop, self.path)
                return found
            finally:
                if not (workshop / READY).is_file():
                    shutil.rmtree(workshop, ignore_errors=True)

    def result(
        self, plan: Plan, dropped: Sequence[Dropped], found: Sequence[Collected], stages: Stages, person: Person, said: Diagnosis | None
    ) -> Ingested:
        """What is told to the user; with what the doctor `said`, if anything was written."""
        return Ingested(
            folder=str(self.path), name=self.name, language=person.language, stages=tuple(stage.id for stage in stages.stages),
            sources=plan.sources, added=tuple(source.name for source in plan.new),
            kept=tuple(source.name for source in found if source not in plan.new), counts={k: dict(v) for k, v in plan.counts.items()},
            review=plan.review, dropped=dict(Counter(lost.reason for lost in dropped)),
            to_confirm=() if self.settings else to_confirm(stages, person), reasons=stages.reasons, written=said is not None,
            verdict=said.verdict if said else "", remarks=(*said.reasons, *said.warnings) if said else (),
        )  # fmt: skip

    def fill(self, place: Path, plan: Plan, dropped: Sequence[Dropped], stages: Stages, person: Person) -> None:
        """Put what is beside the materials into a folder."""
        lost = self.path / "dropped.jsonl"
        before = lost.read_text(encoding="utf-8") if lost.is_file() else ""
        write(place / lost.name, before + "".join(f"{entry.model_dump_json()}\n" for entry in dropped))
        if not self.settings:
            write(place / "persona.yaml", persona_yaml(person, stages, set(plan.counts), plan.sources))
            write(place / "recipe.yaml", recipe_yaml(self.path.resolve().name))
        earlier = self.journal.dropped if self.journal else {}
        journal = Journal(
            persona=self.name, sources=plan.sources, options=options(self.request),
            dropped=dict(Counter(earlier) + Counter(entry.reason for entry in dropped)),
            review=plan.review + (self.journal.review if self.journal else 0),
        )  # fmt: skip
        replace_json(place / JOURNAL, journal.model_dump())

    def finish(self) -> None:
        """Move the files of an addition into the folder, the journal last; also one that was interrupted."""
        if not unfinished(self.path):
            return
        workshop = self.path / WORKSHOP
        with disk_trouble(self.path, INTO):
            files = [file for file in workshop.rglob("*") if file.is_file() and file.name != READY]
            for file in sorted(files, key=lambda file: file.name == JOURNAL):
                target = self.path / file.relative_to(workshop)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)
            shutil.rmtree(workshop)


def options(request: Request) -> dict[str, str]:
    """The options of a call that are not empty."""
    given = {
        "format": request.format,
        "language": request.language,
        "stages": request.stages,
        "columns": request.columns,
        "kind": request.kind or "",
        "annotated_by": request.annotated_by,
        "aliases": ", ".join(request.aliases),
    }
    return {key: value for key, value in given.items() if value}


def write(file: Path, text: str) -> None:
    """Write a text to the disk for good."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
