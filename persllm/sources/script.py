"""Scripts with the name before the words: `ADA: Who is there?`, `阿达：谁在那里？`.

Lines in brackets, and lines under a heading that nobody speaks, are the situation of what is said next. A line without
a name goes on with the words before it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import chapters
from persllm.sources.bounded import Line
from persllm.sources.plain import first_lines, is_plain, own_lines_of

name = "script"
SPOKEN = re.compile(
    r"\s*(?:\*\*)?(?P<who>[^\W\d_][^:：.!?。！？\"“”]{0,29}?)(?:\*\*)?\s*(?:[(（](?P<how>[^()（）]{1,60})[)）])?\s*[:：](?:\*\*)?\s*(?P<text>\S.*)"
)
DIRECTION = re.compile(r"\s*[(（\[【*_](?P<text>[^()（）\[\]【】]{2,600})[)）\]】*_]\s*")
INLINE = re.compile(r"\s*[(（\[【][^()（）\[\]【】]{1,200}[)）\]】]\s*")
SCENE = re.compile(
    r"\s*(?:#{1,4}\s+)?(?P<text>(?:(?:INT\.?|EXT\.?|INT\.?/EXT\.?|I/E)\s|(?:SCENE|Scene|ACT|Act|EPISODE|Episode)\b).{0,100}|第[〇零一二两三四五六七八九十百0-9]{1,5}[幕场集].{0,60})"
)
NOT_NAMES = {
    "note",
    "title",
    "author",
    "date",
    "scene",
    "setting",
    "time",
    "place",
    "http",
    "https",
    "source",
    "cast",
    "characters",
    "subject",
    "from",
    "to",
    "cc",
    "re",
    "时间",
    "地点",
    "人物",
    "作者",
    "标题",
}
SHARE = 0.4
FEWEST = 4
LONGEST_SITUATION = 300


def spoken(line: str) -> re.Match[str] | None:
    """The name and the words of a line of a script."""
    match = SPOKEN.fullmatch(line)
    return match if match and match["who"].strip().casefold() not in NOT_NAMES else None


def fits(lines: list[str]) -> bool:
    """Four lines and two fifths of all have a name before the words, and at least two names come again."""
    full = [line for line in lines if line.strip() and not DIRECTION.fullmatch(line)]
    names = Counter(match["who"].strip() for line in full if (match := spoken(line)))
    again = sum(count > 1 for count in names.values())
    return names.total() >= FEWEST and names.total() >= SHARE * len(full) and again >= 2


def recognises(path: Path, head: bytes) -> bool:
    """By its lines."""
    return is_plain(path) and fits(first_lines(path, head))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Utterances with speaker, scene and stage directions."""
    return passages(own_lines_of(path), path.name)


class Scene:
    """Where a script has got to: headings, situation, and the utterance that is going on."""

    def __init__(self, file: str):
        self.file, self.outer, self.inner, self.number = file, "", "", 0
        self.situation = ""
        self.who, self.place, self.said, self.told = "", "", list[str](), ""

    def heading(self, text: str) -> Iterator[Passage]:
        """Begin an act or a scene."""
        yield from self.close()
        self.number += 1
        self.situation = ""
        if chapters.level_of(text) == 1:
            self.outer, self.inner = text, ""
        else:
            self.inner = text

    def direct(self, text: str) -> None:
        """A stage direction."""
        self.situation = f"{self.situation} {text}".strip()[-LONGEST_SITUATION:]

    def speak(self, who: str, text: str, number: int | str) -> Iterator[Passage]:
        """Begin an utterance."""
        yield from self.close()
        self.who, self.place, self.said, self.told = who, f"{self.file}:{number}", [text], self.situation
        self.situation = ""

    def close(self) -> Iterator[Passage]:
        """End the utterance that is going on."""
        text = re.sub(r"\s+", " ", INLINE.sub(" ", " ".join(self.said))).strip()
        if self.who and text:
            yield Passage(
                text=text, source=self.place, form="utterance", speaker=self.who, situation=self.told,
                heading=" / ".join(filter(None, (self.outer, self.inner))), thread=f"{self.file}#{self.number}",
            )  # fmt: skip
        self.who, self.said = "", []


def passages(lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """Utterances of all scenes."""
    scene = Scene(file)
    for line in lines:
        if isinstance(line, Dropped):
            yield line
            continue
        text = line.text.strip()
        if not text:
            continue
        if heading := SCENE.fullmatch(text):
            yield from scene.heading(heading["text"].strip())
        elif chapters.level_of(text) is not None:
            yield from scene.heading(text)
        elif direction := DIRECTION.fullmatch(text):
            scene.direct(direction["text"].strip())
        elif match := spoken(text):
            how = match["how"]
            yield from scene.speak(match["who"].strip(), match["text"], line.number)
            if how and scene.told != how:
                scene.told = f"{scene.told} {how}".strip()
        elif scene.who:
            scene.said.append(text)
        else:
            scene.direct(text)
    yield from scene.close()
