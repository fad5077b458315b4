"""Files of any person in any format: one reader per format, one list of them.

A reader is a module with `name`, `recognises` and `read` (`persllm.passages.SourceReader`); it opens files through
`bounded` and its neighbours, yields passages as a stream, and imports heavy libraries where it uses them. The place
of a passage begins with the name of the path that was given to `read`. The path may be a member of an archive.
"""

from collections.abc import Iterator
from pathlib import Path

from persllm.errors import MaterialError
from persllm.passages import Passage, SourceReader
from persllm.records import Dropped, Record
from persllm.sources import (
    columns,
    diary,
    discord,
    docx,
    epub,
    interview,
    letter,
    letter_book,
    markdown,
    openai,
    pdf,
    play_xml,
    published,
    screenplay,
    script,
    sharegpt,
    slack,
    subtitles,
    telegram,
    text,
    web_page,
    wechat,
    whatsapp,
)  # fmt: skip
from persllm.sources.bounded import head_of

READERS: tuple[SourceReader, ...] = (
    published, whatsapp, telegram, discord, slack, wechat, openai, sharegpt, columns,
    epub, docx, pdf, subtitles, play_xml, web_page,
    letter_book, interview, script, screenplay, letter, diary, markdown, text,
)  # fmt: skip
"""Every format, the more particular first: the first that recognises a file reads it."""


class Recognised(Record):
    """Which reader takes a file, and why."""

    format: str
    reason: str


def reader(name: str) -> SourceReader:
    """The reader of a format; MaterialError with the known ones if there is none."""
    found = {known.name: known for known in READERS}.get(name)
    if found is None:
        raise MaterialError(f"unknown format {name}; known are {', '.join(known.name for known in READERS)}.")
    return found


def recognise(path: Path) -> Recognised | None:
    """The first reader that knows the file or folder; None if nobody does."""
    head = head_of(path)
    found = next((known for known in READERS if known.recognises(path, head)), None)
    if found is None:
        return None
    return Recognised(format=found.name, reason=found.__doc__.split("\n")[0].rstrip(".") if found.__doc__ else found.name)


def read_path(path: Path, name: str = "") -> Iterator[Passage | Dropped]:
    """The passages of one file or folder, by the format of that name or else by the one that recognises it."""
    known = Recognised(format=name, reason="as asked") if name else recognise(path)
    if known is None:
        raise MaterialError(
            f"{path}: no reader knows this format. Convert it, or name one with --format ({', '.join(r.name for r in READERS)})."
        )
    yield from reader(known.format).read(path)
