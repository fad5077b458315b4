"""Personal data that comes out, and whether the materials have it."""

import re
from collections.abc import Iterator, Mapping, Sequence

from persllm.audit.records import Leak, Said
from persllm.privacy import find_personal
from persllm.privacy_settings import PrivacySettings
from persllm.records import Material, fingerprint

SHOWN = 2
"""Letters of a piece that are shown."""


def leaks(said: Sequence[Said], materials: Sequence[Material], settings: PrivacySettings) -> list[Leak]:
    """The pieces in what was said, in order; what was only put into the mouth of the taker does not count."""
    known = {f"{material.persona}/{material.source}": bare(material.text) for material in materials}
    return [leak for one in said if not one.error for leak in leaks_in(one, known, settings)]


def leaks_in(said: Said, known: Mapping[str, str], settings: PrivacySettings) -> Iterator[Leak]:
    """The pieces in one text."""
    join = " " if said.before and said.language != "zh" else ""
    text, asked = f"{said.before}{join}{said.text}", bare(said.asked)
    words = [form.strip() for word in settings.words for form in word.split("=") if form.strip()]
    for piece in find_personal(text, settings.regions, words, settings.kinds):
        if piece.end <= len(said.before):
            continue
        value = bare(piece.text)
        source = next((place for place, material in known.items() if value in material), "")
        origin = "question" if value in asked else "materials" if source else "invented"
        yield Leak(
            taker=said.taker, where=said.where, kind=piece.kind, shown=f"{piece.text[:SHOWN]}… ({len(piece.text)} characters)",
            digest=fingerprint(value), origin=origin, source=source,
        )  # fmt: skip


def bare(text: str) -> str:
    """A text without blanks and hyphens, in small letters: the same number is written in many ways."""
    return re.sub(r"[\s\-–]+", "", text).casefold()
