"""Film scripts and printed plays: a name in capitals alone on its line, the words below it.

What stands between (action, scenery) is prose, and the end of it the situation of what is said next. Scenes begin at
`INT.`, `EXT.`, `ACT` and `SCENE`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import Line
from persllm.sources.plain import first_lines, is_plain, own_lines_of
from persllm.sources.script import DIRECTION, SCENE, Scene

name = "screenplay"
CUE = re.compile(r"\s*(?P<who>[A-Z][A-Z0-9 .'’#&-]{1,38}?)\.?\s*(?:\((?:V\.?O\.?|O\.?S\.?|O\.?C\.?|CONT'?’?D?|[^()]{1,30})\)\s*)*:?\s*")
TRANSITION = re.compile(
    r"\s*(?:CUT TO|FADE|DISSOLVE|SMASH CUT|THE END|CONTINUED|FINIS|TITLE|CREDITS|CURTAIN|EXEUNT|EXIT|END OF|TO\s|LETTER|CHAPTER|BOOK|PART|VOLUME|CONTENTS|PREFACE|INTRODUCTION|APPENDIX|NOTE)"
)
FEWEST = 4
SHARE = 0.1


def cue(line: str) -> str:
    """The name, if a line is nothing but a name in capitals."""
    text = line.strip()
    match = CUE.fullmatch(text)
    if (
        not match
        or SCENE.fullmatch(text)
        or TRANSITION.match(text)
        or len(match["who"].split()) > 4
        or re.fullmatch(r"[IVXLC]+", match["who"])
    ):
        return ""
    return match["who"].strip()


def fits(lines: list[str]) -> bool:
    """Names alone on their line with words right below; at least two of them come again."""
    full = [line for line in lines if line.strip()]
    found: Counter[str] = Counter()
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if not before.strip() and after.strip() and not cue(after) and (who := cue(line)):
            found[who] += 1
    again = sum(count > 1 for count in found.values())
    return found.total() >= FEWEST and found.total() >= SHARE * len(full) and again >= 2


def recognises(path: Path, head: bytes) -> bool:
    """By its lines."""
    return is_plain(path) and fits(first_lines(path, head))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Utterances with speaker, scene and situation, and the action between as prose."""
    return passages(own_lines_of(path), path.name)


def passages(lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """Utterances and action of all scenes."""
    scene, block = Scene(file), list[Line]()
    for line in lines:
        if isinstance(line, Dropped):
            yield line
        elif line.text.strip():
            block.append(line)
        else:
            yield from paragraph(block, scene)
            block = []
    yield from paragraph(block, scene)
    yield from scene.close()


def paragraph(block: list[Line], scene: Scene) -> Iterator[Passage]:
    """A block of lines: a heading, a speech, a direction, or action."""
    if not block:
        return
    first = block[0].text.strip()
    if heading := SCENE.fullmatch(first):
        yield from scene.heading(heading["text"].strip())
        yield from paragraph(block[1:], scene)
    elif (who := cue(first)) and len(block) > 1:
        words = [line.text.strip() for line in block[1:]]
        yield from scene.speak(who, " ".join(words), block[0].number)
    elif TRANSITION.match(first):
        yield from scene.close()
    elif direction := DIRECTION.fullmatch(" ".join(line.text.strip() for line in block)):
        yield from scene.close()
        scene.direct(direction["text"].strip())
    else:
        yield from action(block, scene)


def action(block: list[Line], scene: Scene) -> Iterator[Passage]:
    """What happens, told in prose."""
    yield from scene.close()
    text = re.sub(r"\s+", " ", " ".join(line.text.strip() for line in block)).strip()
    if any(letter.isalpha() for letter in text):
        scene.direct(text)
        yield Passage(
            text=text, source=f"{scene.file}:{block[0].number}", heading=" / ".join(filter(None, (scene.outer, scene.inner)))
        )  # fmt: skip
