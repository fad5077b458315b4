"""Interviews and transcripts: `Q:` and `A:`, `问：` and `答：`, or names with times such as `[00:12:01] Ada: ...`.

Where the answers are marked only by `A`, they are given the name that the first lines announce (`Interview with ...`);
if they announce none, the speaker stays `A`.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import Line
from persllm.sources.plain import first_lines, is_plain, own_lines_of

name = "interview"
LABEL = re.compile(
    r"\s*(?P<who>Q|A|Question|Answer|INTERVIEWER|Interviewer|问|答|問|记者|採訪者|采访者)\s*(?:\d{1,3})?\s*[:：.]\s*(?P<text>\S.*)"
)
TIME = r"[\[(<]?\s*(?P<time>\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?)\s*[\])>]?"
TIME_FIRST = re.compile(rf"\s*{TIME}\s*[-–—]?\s*(?P<who>[^\W\d_][^:：\[\](){{}}]{{0,40}}?)\s*[:：]\s*(?P<text>\S.*)")
NAME_FIRST = re.compile(rf"\s*(?P<who>[^\W\d_][^:：\[\](){{}}]{{0,40}}?)\s*{TIME}\s*[:：]?\s*(?P<text>.*)")
ANNOUNCED = re.compile(
    r"(?:[Ii]nterview(?:ed)?|[Cc]onversation|INTERVIEW) (?:with|of|WITH) (?P<name>[A-Z][\w.'-]+(?: (?:[a-z]{2,3} )?[A-Z][\w.'-]+){0,3})|(?:采访|访谈|专访|訪談|專訪)[：:]?\s*(?P<chinese>[\u4e00-\u9fff·]{2,8})"
)
ASKING = {"q": "Q", "question": "Q", "问": "Q", "問": "Q"}
ANSWERING = {"a": "A", "answer": "A", "答": "A"}
FEWEST = 4
SHARE = 0.25
HEADER = 20


def marked(line: str) -> re.Match[str] | None:
    """The speaker, and what else a line of a transcript begins with."""
    return next((match for form in (LABEL, TIME_FIRST, NAME_FIRST) if (match := form.fullmatch(line))), None)


def fits(lines: list[str]) -> bool:
    """At least four lines and a quarter of them begin with a mark, and questions have answers."""
    full = [line for line in lines if line.strip()]
    found = [match["who"].casefold() for line in full if (match := marked(line))]
    return len(found) >= FEWEST and len(found) >= SHARE * len(full) and len(set(found)) > 1 and len(set(found)) <= max(3, len(found) / 2)


def recognises(path: Path, head: bytes) -> bool:
    """By its lines."""
    return is_plain(path) and fits(first_lines(path, head))


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Utterances with their speakers."""
    return passages(own_lines_of(path), path.name)


def passages(lines: Iterable[Line | Dropped], file: str) -> Iterator[Passage | Dropped]:
    """Utterances; lines without a mark go on with the one before, what stands above the first is passed over as the header."""
    rest = iter(lines)
    header = list(islice(rest, HEADER))
    answering = announced([line.text for line in header if isinstance(line, Line)])
    said: list[str] = []
    who, place, number = "", "", 0
    for line in chain(header, rest):
        if isinstance(line, Dropped):
            yield line
            continue
        match = marked(line.text)
        if match is None:
            if who and line.text.strip():
                said.append(line.text.strip())
            elif line.text.strip():
                yield Dropped(item=f"{file}:{line.number}", reason="header of a transcript", detail=line.text.strip()[:80])
            continue
        yield from utterance(who, said, place, number, file)
        who, said, place, number = speaker(match["who"], answering), [match["text"].strip()], f"{file}:{line.number}", number + 1
    yield from utterance(who, said, place, number, file)


def announced(header: list[str]) -> str:
    """The name of the one who answers, as the header has it; `A` without one."""
    found = next((match for line in header if not marked(line) and (match := ANNOUNCED.search(line))), None)
    return (found["name"] or found["chinese"]) if found else "A"


def speaker(label: str, answering: str) -> str:
    """The speaker behind a label."""
    low = label.strip().casefold()
    return ASKING.get(low) or (answering if low in ANSWERING else label.strip())


def utterance(who: str, said: list[str], place: str, number: int, file: str) -> Iterator[Passage]:
    """One utterance, if anything was said."""
    text = " ".join(filter(None, said))
    if who and text:
        yield Passage(text=text, source=place, form="utterance", speaker=who, thread=file, identity_in_thread=str(number))
