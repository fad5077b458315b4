"""How words are set out in a text, whatever file they come in: interview, script, screenplay, letters, diary, prose.

A form is told by the first lines. Readers of DOCX, PDF and HTML hand their lines here as readers of plain text do.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Protocol

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import diary, interview, letter, screenplay, script, text
from persllm.sources.bounded import Line

LOOKED_AT = 400
"""Lines by which a form is told."""


class WrittenForm(Protocol):
    """A way in which words are set out."""

    name: str

    def fits(self, lines: list[str]) -> bool:
        """Whether the first lines of a text are set out so."""
        ...

    def passages(self, lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
        """The passages of the lines of a file."""
        ...


FORMS: tuple[WrittenForm, ...] = (interview, script, screenplay, letter, diary)
"""The more particular first; what fits none is prose."""


def read_lines(lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """The passages of lines in the form that fits, else as prose."""
    rest = iter(lines)
    first = list(islice(rest, LOOKED_AT))
    shown = [line.text for line in first if isinstance(line, Line)]
    form = next((known for known in FORMS if known.fits(shown)), None)
    yield from (form.passages if form else text.paragraphs)(chain(first, rest), file)
