"""What a reader finds in a file: passages, one after the other, each with its place.

Readers of all formats yield passages; what reads them further (who spoke, exchanges, stages, kinds) knows no format.
Passages come as a stream, so that a large file needs little memory. What cannot be read is a `Dropped` in the same
stream: it names the place and the reason, and the rest goes on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from persllm.records import Dropped, Record

Form = Literal["prose", "utterance", "letter", "diary", "message"]


class Passage(Record):
    """A piece of a source: a paragraph, an utterance, a letter, a message."""

    text: str
    """The words alone, without marks of the format, publisher's boilerplate, or the speaker's name."""
    source: str
    """`file:line`, or `file:page 3`, `file:chapter.xhtml:12`: where a reader of the file finds it."""
    form: Form = "prose"
    heading: str = ""
    """Chapter, act, section or title it stands under, outermost first, parted by ` / `."""
    date: str = ""
    """YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, as far as the source tells."""
    speaker: str = ""
    """Who said or wrote it; empty if the source does not say."""
    to: tuple[str, ...] = ()
    """To whom."""
    thread: str = ""
    """What it belongs to: a chat, a channel, a scene, a letter book. Passages of one thread follow each other in time."""
    identity_in_thread: str = ""
    """The message's own id, where the format has ids."""
    reply_to: str = ""
    """Id of the message it answers, where the format says so."""
    situation: str = ""
    """Where, when and after what, where the source says so: a stage direction, a place line."""
    edited: str = ""
    """When the text was last changed, in the form of `date`; empty if it stands as it was sent."""
    forwarded_from: str = ""
    """Whose words these are, if the speaker only passed them on."""


class SourceReader(Protocol):
    """Reads files of one format.

    Of a path that is no folder it asks only the names, and opens it as text or bytes through `sources.bounded`: it may
    be a file on the disk or one in an archive.
    """

    name: str
    """Short name of the format, such as `epub`."""

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file (or folder) is of this format, from its name and its first 64 KiB."""
        ...

    def read(self, path: Path) -> Iterator[Passage | Dropped]:
        """The passages in order. A file that is unusable as a whole is a MaterialError in one line."""
        ...
