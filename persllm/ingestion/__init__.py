"""Any sources about a person to a persona folder that `persllm run` takes as it is.

    sources -> passages (persllm.sources) -> who said it (novels) -> exchanges -> stage and kind -> folder

The folder is written whole or not at all. What is unsure is not guessed: it stands in review.jsonl with the reason,
and what could not be read stands in dropped.jsonl with its place.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from persllm.errors import MaterialError
from persllm.ingestion.annotator import NOT_ASKED, Annotator, AnnotatorSettings
from persllm.ingestion.collect import Collected, Opener, collect
from persllm.ingestion.folder import Folder, taken, unfinished
from persllm.ingestion.people import Person
from persllm.ingestion.piece import Piece
from persllm.ingestion.pieces import pieces_of
from persllm.ingestion.request import Request, request_of
from persllm.ingestion.result import Ingested
from persllm.ingestion.shelf import Shelf
from persllm.ingestion.stages import Stages, stages_for
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import columns, read_path
from persllm.sources.archives import written
from persllm.store import Progress, silent

__all__ = ["Annotator", "AnnotatorSettings", "Ingested", "Request", "ingest", "request_of"]

MOST_NAMED = 8
"""Speakers named where nobody is the person."""

MOST_SHORT, SHORT = 200_000, 20
"""Paragraphs of a source, and the characters that each has on average, beyond and below which it is a list and no prose."""


def ingest(
    request: Request, into: Path, dry_run: bool = False, progress: Progress = silent, annotator: Annotator | None = None
) -> Ingested:
    """Make a persona folder of sources, or add them to one; MaterialError in one line if that cannot be done.

    RunError if another process is at work in the folder. `progress` is called with bytes done and bytes in all. The `annotator` is asked where the rules are not sure.
    """
    if annotator and not dry_run:
        request = request.model_copy(update={"annotated_by": annotator.name})
    with contextlib.nullcontext() if dry_run and not unfinished(into) else taken(into):
        return ingest_into(request, into, dry_run, progress, annotator)


def ingest_into(request: Request, into: Path, dry_run: bool, progress: Progress, annotator: Annotator | None) -> Ingested:
    """`ingest` into a folder that no other process is at."""
    found, dropped = collect(request.sources, request.format)
    folder = Folder(into, request)
    new = [source for source in found if not folder.holds(source)]
    person = Person(folder.name, folder.aliases, folder.language)
    with contextlib.closing(Shelf()) as pieces:
        read = read_all(pieces, new, person, request, progress, annotator)
        dropped += read.dropped
        if new and not pieces.sure:
            raise MaterialError(nothing_found(person, found, read))
        stages = stages_for(request.stages, folder.stages, pieces, tuple(read.chapters), person.language)
        plan = folder.plan(placed(pieces, stages), new)
        if new and not plan.placed:
            raise MaterialError(f"nothing could be placed in a stage: {plan.doubt}. Give other --stages; without, everything is one stage.")
        said = None if dry_run or not new else folder.write(plan, placed(pieces, stages), dropped, stages, person)
    made = folder.result(plan, dropped, found, stages, person, said)
    return made.model_copy(update={"asked": annotator.asked() if annotator else None})


class Reading:
    """What was seen while the sources were read."""

    def __init__(self) -> None:
        self.dropped: list[Dropped] = []
        self.speakers: Counter[str] = Counter()
        self.chapters: dict[str, None] = {}
        """Headings in the order in which they come."""


def read_all(
    pieces: Shelf, sources: Sequence[Collected], person: Person, request: Request, progress: Progress, annotator: Annotator | None = None
) -> Reading:
    """Lay the pieces of all sources aside in their order; returns what was seen on the way."""
    read = Reading()
    done, total = 0, sum(source.size for source in sources)
    with contextlib.closing(Opener()) as opener:
        for source in sources:
            progress(done, total)
            unasked = annotator.unasked if annotator else 0
            passages = watched(readable(source, opener, request), source, read, person, partial(within, progress, done, source.size, total))
            for found in pieces_of(passages, person, source, request, annotator):
                if isinstance(found, Dropped):
                    read.dropped.append(found)
                else:
                    pieces.lay(found)
            if annotator and annotator.unasked > unasked:
                read.dropped.append(Dropped(item=source.name, reason=NOT_ASKED, detail=f"{annotator.unasked - unasked} calls"))
            done += source.size
    progress(done, total)
    return read


def within(progress: Progress, before: int, size: int, total: int, done: int) -> None:
    """Progress inside a source of `size` bytes, of which about `done` were read."""
    progress(before + min(done, size), total)


def watched(
    passages: Iterable[Passage | Dropped], source: Collected, read: Reading, person: Person, progress: Callable[[int], None]
) -> Iterator[Passage]:
    """The passages of a source, their places relative to what the user named; what is dropped is kept apart."""
    size = 0
    for found in passages:
        if isinstance(found, Dropped):
            read.dropped.append(found.model_copy(update={"item": source.named(found.item), "detail": written(found.detail)}))
            continue
        size += len(found.text.encode())
        progress(size)
        if found.speaker:
            read.speakers[found.speaker] += 1
        if found.heading:
            read.chapters.setdefault(found.heading)
        person.see(found)
        yield found.model_copy(update={"source": source.named(found.source), "thread": written(found.thread)})


def readable(source: Collected, opener: Opener, request: Request) -> Iterator[Passage | Dropped]:
    """What the reader of a source yields; a file in a folder that cannot be read any further is dropped there."""
    try:
        path = opener.open(source)
        mapped = columns.Columns(columns.read_mapping(request.columns)) if request.columns else None
        yield from no_list(mapped.read(path) if mapped else read_path(path, source.format), source.name)
    except MaterialError as error:
        if source.asked_for:
            raise
        yield Dropped(item=source.own_name, reason="cannot be read", detail=str(error))


def no_list(passages: Iterable[Passage | Dropped], name: str) -> Iterator[Passage | Dropped]:
    """The same passages; MaterialError where they are a list of words and no prose, which is held in memory whole."""
    count = length = 0
    for found in passages:
        if isinstance(found, Passage) and found.form == "prose":
            count, length = count + 1, length + len(found.text)
            if count > MOST_SHORT and length < SHORT * count:
                raise MaterialError(
                    f"{name}: {count} paragraphs with {length // count} characters each: a list, no prose. Not read any further."
                )
        yield found


def placed(pieces: Iterable[Piece], stages: Stages) -> Iterator[Piece]:
    """The pieces with their stage, or with the doubt why they have none."""
    return (piece if piece.doubt else stages.place(piece) for piece in pieces)


def nothing_found(person: Person, sources: Sequence[Collected], read: Reading) -> str:
    """The error for sources in which the person does not occur."""
    files = ", ".join(source.name for source in sources[:3])
    broken = next((lost.detail for lost in read.dropped if lost.reason in ("cannot be read", "unreadable chapter")), "")
    if broken and not read.speakers:
        return f"{files}: nothing of {person.name} found, and not all could be read: {broken}"
    if not read.speakers:
        return f"{files}: {person.name} does not occur. Give the name as the sources have it with --person or --alias."
    heard = ", ".join(f"{name} ({count})" for name, count in read.speakers.most_common(MOST_NAMED))
    return f"{files}: no words of {person.name}. Those who speak are {heard}. Give the right form with --alias."
