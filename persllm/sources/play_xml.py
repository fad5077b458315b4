"""Plays as XML with SPEECH, SPEAKER and LINE, such as Jon Bosak's Shakespeare."""

from collections.abc import Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import opened
from persllm.sources.xml_stream import Event, events

name = "play-xml"
PARTS = {"ACT", "SCENE", "PROLOGUE", "EPILOGUE", "INDUCT"}
TAGS = {"TITLE", "SPEAKER", "LINE", "STAGEDIR"}
LONGEST_SITUATION = 300


def recognises(path: Path, head: bytes) -> bool:
    """By the element PLAY near the beginning."""
    return path.suffix.lower() == ".xml" and b"<PLAY" in head


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The speeches; what is said to nobody but the stage is the situation of the next one."""
    with opened(path) as stream:
        yield from speeches(events(stream, path.name), path.name)


class Play:
    """Where the reading of a play has got to."""

    def __init__(self, file: str):
        self.file = file
        self.parts: list[tuple[str, str]] = []
        """(element, its title) of acts and scenes around."""
        self.speakers: list[str] = []
        self.lines: list[str] = []
        self.text: list[str] = []
        self.situation, self.place, self.scene = "", "", 0

    def words(self) -> str:
        """The text since the last tag that matters, on one line."""
        return " ".join("".join(self.text).split())

    def start(self, event: Event) -> None:
        """An element begins."""
        if event.value in PARTS:
            self.parts.append((event.value, ""))
            self.situation, self.scene = "", self.scene + 1
        elif event.value == "SPEECH":
            self.speakers, self.lines, self.place = [], [], f"{self.file}:{event.line}"
        elif event.value == "STAGEDIR" and self.words():
            self.lines.append(self.words())
        if event.value in TAGS:
            self.text = []

    def end(self, tag: str) -> Iterator[Passage]:
        """An element ends; a speech is a passage of each of its speakers."""
        words = self.words()
        if tag == "TITLE" and self.parts:
            self.parts[-1] = (self.parts[-1][0], words)
        elif tag == "SPEAKER":
            self.speakers.append(words)
        elif tag == "LINE" and words:
            self.lines.append(words)
        elif tag == "STAGEDIR":
            self.situation = f"{self.situation} {words}".strip()[-LONGEST_SITUATION:]
        elif tag == "SPEECH" and self.lines:
            yield from self.speech()
        elif self.parts and tag == self.parts[-1][0]:
            self.parts.pop()
        self.text = []

    def speech(self) -> Iterator[Passage]:
        """The speech that ends."""
        for speaker in self.speakers:
            yield Passage(
                text=" ".join(self.lines), source=self.place, form="utterance", heading=" / ".join(title for _, title in self.parts if title),
                speaker=speaker, thread=f"{self.file}#{self.scene}", situation=self.situation,
            )  # fmt: skip
        self.situation = ""


def speeches(found: Iterator[Event], file: str) -> Iterator[Passage]:
    """Speeches from the events of a play."""
    play = Play(file)
    for event in found:
        if event.kind == "text":
            play.text.append(event.value)
        elif event.kind == "start":
            play.start(event)
        else:
            yield from play.end(event.value)
