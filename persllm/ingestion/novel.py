"""Prose in which people speak: a novel becomes exchanges, experiences and knowledge of one of its characters."""

from collections.abc import Iterable, Iterator, Sequence

from persllm.exchanges import exchanges
from persllm.ingestion.annotator import Annotator
from persllm.ingestion.collect import Collected
from persllm.ingestion.people import Person
from persllm.ingestion.piece import Piece
from persllm.novels import Character, Heard, find_character, hear, portrait, speech_share
from persllm.passages import Passage
from persllm.records import Dropped

LARGEST = 30_000_000
"""Characters of prose; a longer source is no novel."""
LEAST_SPEECH = 0.04
"""Share of paragraphs in which somebody speaks from which on prose is read as a novel."""


def heard_for(passages: Sequence[Passage], person: Person, annotator: Annotator | None = None) -> tuple[Heard, Character] | None:
    """The novel and the person's character in it; None if this is no novel or the person does not speak in it."""
    if sum(len(passage.text) for passage in passages) > LARGEST:
        return None
    if not any(person.named_in(passage.text) for passage in passages) or speech_share(passages) < LEAST_SPEECH:
        return None
    forms = [person.name, *(form for form in person.forms.values() if form != person.name)]
    heard = hear(passages, [forms], annotator, only_open=True)
    if annotator:
        annotator.speakers += sum(answer.basis == "model" for answer in heard.answers)
    character = find_character(heard.characters, forms)
    spoken = character and any(passage.speaker == character.name for passage in heard.passages)
    return (heard, character) if character and spoken else None


def novel_pieces(heard: Heard, character: Character, person: Person, source: Collected) -> Iterator[Piece | Dropped]:
    """The pieces of a novel, chapter by chapter."""
    person.also(character.aliases)
    yield from (
        lost.model_copy(update={"item": f"{source.name}, {lost.item}", "reason": f"the model: {lost.reason}"}) for lost in heard.refused
    )
    for chapter in portrait(heard, character, person.name, person.named_in):
        title = chapter.heading.split(" / ")[-1]
        for episode in chapter.episodes:
            first = episode.passages[0]
            yield Piece(
                kind=episode.kind, source=source.name, origin=first.source, text=episode.text, title=title, date=first.date,
                heading=chapter.heading, doubt=episode.doubt,
            )  # fmt: skip
        for found in exchanges(parted(chapter.utterances), person.is_me, person.name, person.language):
            yield found if isinstance(found, Dropped) else Piece(
                kind="speech", source=source.name, origin=found.origin, turns=found.turns, date=found.date,
                situation=found.situation, heading=found.heading,
            )  # fmt: skip


def parted(utterances: Iterable[Passage]) -> Iterator[Passage]:
    """The turns; after one whose speaker is not known another thread begins, so that nobody seems to answer what was not said to them."""
    part = 0
    for passage in utterances:
        part += not passage.speaker
        yield passage.model_copy(update={"thread": f"{passage.thread}, part {part}"})
