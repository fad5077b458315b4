"""From passages to pieces: each will be one material, once it has a stage."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from persllm.ingestion.collect import Collected
from persllm.ingestion.people import Person
from persllm.ingestion.request import Request
from persllm.passages import Passage
from persllm.records import MaterialKind, Record, Turn

BEFORE = 3
"""Turns of others that an exchange begins with."""
APART = 6
"""Turns of others after which an exchange of the person is over."""
LONGEST_TOLD = 900
"""Characters of an episode; the next paragraph begins another."""


class Piece(Record):
    """One material to be."""

    kind: MaterialKind
    source: str
    """Name of the source."""
    origin: str
    """Place in the source: file and line."""
    text: str = ""
    turns: tuple[Turn, ...] = ()
    title: str = ""
    date: str = ""
    situation: str = ""
    heading: str = ""
    """Chapter or the like, by which it may be put into a stage."""
    stage: str = ""
    """Empty until it is placed."""
    doubt: str = ""
    """Why it is not placed."""

    @property
    def words_of_person(self) -> int:
        """Characters that the piece holds."""
        return len(self.text) + sum(len(turn.text) for turn in self.turns)


def pieces_of(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece]:
    """The pieces of one source in its order."""
    for spoken, run in groupby(passages, key=lambda passage: passage.form):
        if spoken == "prose":
            yield from told(run, person, source, request)
        elif spoken in ("letter", "diary"):
            yield from written(run, person, source, request)
        else:
            yield from exchanges(run, person, source, request)


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


def exchanges(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece]:
    """Utterances and messages: what the person said, with some turns before it."""
    for _, run in groupby(passages, key=lambda passage: (passage.thread, passage.heading)):
        held: list[Passage] = []
        silent = 0
        heard = False
        for passage in run:
            held.append(passage)
            if person.is_me(passage.speaker):
                heard, silent = True, 0
                continue
            silent += 1
            if heard and silent > APART:
                yield exchange(held[: len(held) - silent], person, source, request)
                held, heard = held[-BEFORE:], False
            elif not heard:
                held = held[-BEFORE:]
        if heard:
            yield exchange(held[: len(held) - silent], person, source, request)


def exchange(passages: list[Passage], person: Person, source: Collected, request: Request) -> Piece:
    """One exchange that ends with the person's words."""
    turns = tuple(
        Turn(speaker=person.name if person.is_me(p.speaker) else p.speaker or "?", to=", ".join(p.to), text=p.text) for p in passages
    )
    first = passages[0]
    own = next(p for p in passages if person.is_me(p.speaker))
    situation = ". ".join(dict.fromkeys(filter(None, (*first.heading.split(" / "), first.situation))))
    return Piece(
        kind=request.kind or "speech", source=source.name, origin=own.source, turns=turns, date=own.date or first.date,
        situation=situation, heading=first.heading,
    )  # fmt: skip
