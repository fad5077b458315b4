"""What the user asks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from persllm.errors import MaterialError
from persllm.records import MaterialKind, Record


class Request(Record):
    """The sources, the person, and how to read and sort them."""

    sources: tuple[Path, ...]
    """Files and folders."""
    person: str
    """The person's name."""
    aliases: tuple[str, ...] = ()
    """Other forms of the name."""
    format: str = ""
    """Name of the reader for all sources; empty: each is recognised."""
    language: str = ""
    """`en` or `zh`; empty: told by the text."""
    stages: str = ""
    """`chapter`, `file`, `propose`, `early:1800-1810,late:1811-`, or empty."""
    columns: str = ""
    """`speaker=from,text=body,date=ts`: what the columns of CSV and JSONL mean; empty: by their usual names."""
    annotated_by: str = ""
    """The model that was asked where the rules were not sure, and its address."""
    kind: MaterialKind | None = None
    """What all of the sources are; None: told for each piece."""


def request_of(
    sources: Sequence[Path], person: str, aliases: Sequence[str], format_: str, language: str, stages: str, kind: str, columns: str = ""
) -> Request:
    """A request from what was typed; MaterialError with the known values for what is not understood."""
    kinds = get_args(MaterialKind)
    for option, value, known in (("--language", language, ("en", "zh")), ("--kind", kind, kinds)):
        if value and value not in known:
            raise MaterialError(f"{option} {value}: not known. Ways: {', '.join(known)}.")
    if not person.strip():
        raise MaterialError("--person is empty. Give the person's name as the sources have it.")
    return Request(
        sources=tuple(sources), person=person.strip(), aliases=tuple(aliases), format="columns" if columns else format_, language=language, stages=stages,
        columns=columns, kind=next((known for known in kinds if known == kind), None),
    )  # fmt: skip
