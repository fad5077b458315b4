"""From passages to pieces: each will be one material, once it has a stage."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice

from persllm.classification import classify, classify_with, rates_of
from persllm.exchanges import exchanges
from persllm.ingestion.annotator import Annotator
from persllm.ingestion.collect import Collected
from persllm.ingestion.novel import heard_for, novel_pieces
from persllm.ingestion.people import Person
from persllm.ingestion.piece import Piece
from persllm.ingestion.request import Request
from persllm.passages import Passage
from persllm.records import Dropped, Turn

HEARD_FIRST = 50
"""Messages by which the language of a chat is told, before any situation is put into words."""
PARAGRAPHS = 5
"""Paragraphs of a letter in one piece."""
ABOUT = 0.4
"""Share of episodes that name the person from which on a source is about the person, and `she` is most likely her."""
NEVER_NAMED = "the source never names"
"""The doubt that no model can settle: whether the person knows this at all."""
LONGEST_TOLD = 900
"""Characters of an episode; the next paragraph begins another."""


def pieces_of(
    passages: Iterable[Passage], person: Person, source: Collected, request: Request, annotator: Annotator | None = None
) -> Iterator[Piece | Dropped]:
    """The pieces of one source, talk first, and what of it can be no piece. Talk is taken as a stream, prose as a whole."""
    prose: list[Passage] = []
    others: list[Passage] = []
    talk = spoken(passages, prose, others)
    first = list(islice(talk, HEARD_FIRST))
    yield from exchanged(chain(first, talk), person, source, request)
    yield from written(others, person, source, request)
    novel = None if first or request.kind or not prose else heard_for(prose, person, annotator)
    if novel:
        yield from novel_pieces(*novel, person, source)
        return
    found = told(prose, person, source, request)
    yield from asked_about(list(found), person, annotator) if annotator else found


def spoken(passages: Iterable[Passage], prose: list[Passage], others: list[Passage]) -> Iterator[Passage]:
    """Utterances and messages; prose, and letters and diaries, are put aside."""
    for passage in passages:
        if passage.form == "prose":
            prose.append(passage)
        elif passage.form in ("letter", "diary"):
            others.append(passage)
        else:
            yield passage


def written(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece | Dropped]:
    """Letters and diaries: the person's own words, one piece for each five paragraphs."""
    for passage in passages:
        if passage.speaker and not person.is_me(passage.speaker):
            yield Dropped(item=passage.source, reason="by somebody else", detail=passage.speaker)
            continue
        if any(person.is_me(name) for name in passage.to):
            yield Dropped(item=passage.source, reason="written to the person", detail=passage.text[:80])
            continue
        paragraphs = passage.text.split("\n")
        parts = ["\n".join(paragraphs[start : start + PARAGRAPHS]) for start in range(0, len(paragraphs), PARAGRAPHS)]
        for number, text in enumerate(parts, 1):
            mark = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            title = passage.heading.split(" / ")[-1]
            situation = ", ".join(filter(None, (passage.situation or title, passage.date)))
            yield Piece(
                kind=request.kind or "speech", source=source.name, origin=passage.source, title=f"{title}{mark}".strip(), date=passage.date,
                turns=(Turn(speaker=person.name, to=", ".join(passage.to), text=text),), situation=f"{situation}{mark}".strip(),
                heading=passage.heading,
            )  # fmt: skip


def told(passages: Sequence[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece]:
    """Prose: paragraphs of one chapter joined to episodes, experience or knowledge by their signs."""
    found = [(heading, episode) for heading, run in groupby(passages, key=lambda passage: passage.heading) for episode in episodes(run)]
    named = [any(person.named_in(passage.text) for passage in episode) for _, episode in found]
    about = sum(named) >= ABOUT * len(named)
    record = person.record()
    for (heading, episode), naming in zip(found, named, strict=True):
        joined = episode[0].model_copy(update={"text": "\n".join(passage.text for passage in episode)})
        kind = classify(joined, record)
        doubt = "" if kind.sure else f"{kind.kind}? {kind.reason}"
        if kind.kind == "experience" and not (naming or about):
            doubt = f"tells what happened, but does not name {person.name}"
        if not any(named):
            doubt = f"{NEVER_NAMED} {person.name}: give --kind knowledge if this is what the person knows"
        yield Piece(
            kind=request.kind or kind.kind, source=source.name, origin=joined.source, text=joined.text, title=heading.split(" / ")[-1],
            date=joined.date, heading=heading, doubt="" if request.kind else doubt,
        )  # fmt: skip


def asked_about(pieces: Sequence[Piece], person: Person, annotator: Annotator) -> Iterator[Piece]:
    """The pieces; those whose kind the rules left open as a model sees them, where that can be so. What it leaves open stays in doubt."""
    unsure = [place for place, piece in enumerate(pieces) if piece.doubt and not piece.doubt.startswith(NEVER_NAMED)]
    passages = [Passage(source=pieces[place].origin, text=pieces[place].text, form="prose") for place in unsure]
    record, put = person.record(), dict(enumerate(pieces))
    for number, kind in classify_with(annotator, passages, record):
        piece = put[unsure[number]]
        said = f"the model: {kind.kind}" if kind else "the model: no answer"
        rates = rates_of(piece.text, record)
        fits = kind and (kind.kind == "knowledge" or (kind.kind == "experience" and any(rates[sign] for sign in ("named", "he", "first"))))
        annotator.kinds += bool(fits)
        put[unsure[number]] = piece.model_copy(update={"kind": kind.kind, "doubt": ""} if fits else {"doubt": f"{piece.doubt}; {said}"})
    yield from put.values()


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


def exchanged(passages: Iterable[Passage], person: Person, source: Collected, request: Request) -> Iterator[Piece | Dropped]:
    """Utterances and messages as exchanges that end with the person's words."""
    for found in exchanges(passages, person.is_me, person.name, person.language):
        yield found if isinstance(found, Dropped) else Piece(
            kind=request.kind or "speech", source=source.name, origin=found.origin, turns=found.turns, date=found.date,
            situation=found.situation, heading=found.heading,
        )  # fmt: skip
