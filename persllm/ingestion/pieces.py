"""From passages to pieces: each will be one material, once it has a stage."""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice

from persllm.exchanges import exchanges
from persllm.ingestion.collect import Collected
from persllm.ingestion.novel import heard_for, held, novel_pieces
from persllm.ingestion.people import Person
from persllm.ingestion.piece import Piece
from persllm.ingestion.request import Request
from persllm.passages import Passage
from persllm.records import Dropped, Turn

HEARD_FIRST = 50
"""Messages by which the language of a chat is told, before any situation is put into words."""
LONGEST_TOLD = 900
"""Characters of an episode; the next paragraph begins another."""


def pieces_of(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece | Dropped]:
    """The pieces of one source in its order, and what of it can be no piece."""
    for spoken, run in groupby(passages, key=lambda passage: passage.form):
        if spoken == "prose":
            yield from prose(run, person, source, request)
        elif spoken in ("letter", "diary"):
            yield from written(run, person, source, request)
        else:
            yield from exchanged(run, person, source, request)


def prose(passages: Iterator[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece | Dropped]:
    """Prose: a novel in which the person speaks, or what is told of the person."""
    found, whole = ([], True) if request.kind else held(passages)
    novel = heard_for(found, person) if found and whole else None
    yield from novel_pieces(*novel, person, source) if novel else told(chain(found, passages), person, source, request)


def written(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece]:
    """Letters and diaries: the person's own words, one piece each."""
    for passage in passages:
        if passage.speaker and not person.is_me(passage.speaker):
            continue
        turn = Turn(speaker=person.name, to=", ".join(passage.to), text=passage.text)
        title = passage.heading.split(" / ")[-1]
        yield Piece(
            kind=request.kind or "speech", source=source.name, origin=passage.source, turns=(turn,), title=title, date=passage.date,
            situation=passage.situation or title, heading=passage.heading,
        )  # fmt: skip


def told(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece]:
    """Prose: paragraphs of one chapter joined to episodes; those that name the person are experiences."""
    for heading, run in groupby(passages, key=lambda passage: passage.heading):
        for episode in episodes(run):
            text = "\n".join(passage.text for passage in episode)
            about = person.named_in(text)
            yield Piece(
                kind=request.kind or ("experience" if about else "knowledge"), source=source.name, origin=episode[0].source, text=text,
                title=heading.split(" / ")[-1], date=episode[0].date, heading=heading,
                doubt="" if about or request.kind else f"does not name {person.name}: knowledge, or nothing to do with the person?",
            )  # fmt: skip


def episodes(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    """Paragraphs in groups of about a page's third."""
    held: list[Passage] = []
    for passage in passages:
        if held and sum(len(p.text) for p in held) + len(passage.text) > LONGEST_TOLD:
            yield held
            held = []
        held.append(passage)
    if held:
        yield held


def exchanged(passages: Iterator[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece | Dropped]:
    """Utterances and messages as exchanges that end with the person's words."""
    first = list(islice(passages, HEARD_FIRST))
    for found in exchanges(chain(first, passages), person.is_me, person.name, person.language):
        yield found if isinstance(found, Dropped) else Piece(
            kind=request.kind or "speech", source=source.name, origin=found.origin, turns=found.turns, date=found.date,
            situation=found.situation, heading=found.heading,
        )  # fmt: skip
