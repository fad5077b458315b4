"""XML of strangers as a stream of events: no entities of its own, no files from outside, bounded depth and text."""

from collections.abc import Iterator
from typing import IO, Literal, NamedTuple
from xml.parsers import expat

from persllm.errors import MaterialError
from persllm.sources.bounded import DEEPEST, LONGEST_LINE

CHUNK = 1 << 16


class Event(NamedTuple):
    """The start or the end of an element, or text between."""

    kind: Literal["start", "end", "text"]
    value: str
    """Name of the element without its namespace, or the text."""
    attributes: dict[str, str]
    line: int


def events(stream: IO[bytes], name: str) -> Iterator[Event]:
    """The events of an XML document; MaterialError if it is broken or means harm, after what could be read."""
    found: list[Event] = []
    depth = 0
    length = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, length
        depth, length = depth + 1, 0
        if depth > DEEPEST:
            raise MaterialError(f"{name}: XML nested deeper than {DEEPEST} levels. Not read any further.")
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        found.append(Event("start", tag.rpartition(":")[2], plain, parser.CurrentLineNumber))

    def end(tag: str) -> None:
        nonlocal depth, length
        depth, length = depth - 1, 0
        found.append(Event("end", tag.rpartition(":")[2], {}, parser.CurrentLineNumber))

    def text(data: str) -> None:
        nonlocal length
        length += len(data)
        if length > LONGEST_LINE:
            raise MaterialError(f"{name}: more than {LONGEST_LINE} characters of text in one place. Not read any further.")
        found.append(Event("text", data, {}, parser.CurrentLineNumber))

    def entity(*_: object) -> None:
        raise MaterialError(f"{name}: the XML declares entities, which can hide a bomb or another file. Take the declarations out.")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.EntityDeclHandler = entity
    try:
        while piece := stream.read(CHUNK):
            parser.Parse(piece)
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        yield from found
        raise MaterialError(f"{name}: broken XML ({error}).") from error
    yield from found
