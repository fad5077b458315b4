"""Subtitles: SRT, WebVTT, ASS. Speakers from the style's name, from `<v Name>`, or from `NAME: words`.

A sentence that runs over several cues is joined. The place is the number of the cue and its time. Subtitles seldom say
who speaks: such utterances have no speaker.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import LONGEST_LINE, UNREADABLE, decoded, whole

name = "subtitles"
SUFFIXES = {".srt", ".vtt", ".ass", ".ssa"}
VOICE = re.compile(r"<v(?:\.[^\s>]+)*\s+(?P<who>[^>\n]{1,60})>")
NAMED = re.compile(
    r"(?P<who>[A-Z][A-Z .'’-]{1,28}|[A-Z][\w.'’-]+(?: [A-Z][\w.'’-]+){0,2}|[\u4e00-\u9fff·]{1,8})\s*[:：]\s*(?P<text>\S.*)", re.DOTALL
)
DASH = re.compile(r"(?m)^\s*[-–—]\s*")
SOUND = re.compile(r"[\[(（【♪][^\])）】♪]*[\])）】♪]|♪+")
FINISHED = re.compile(r"[.!?。！？…\"”』」)]\s*$")
LARGEST = 32 << 20
JOINED_WITHIN = 1500
"""Milliseconds between two cues of one sentence."""
ADVERTISEMENT = re.compile(
    r"opensubtitles|subtitles? by|sync(?:ed)? (?:and|by)|www\.|https?://|字幕组|字幕組|翻译[:：]|校对", re.IGNORECASE
)


def recognises(path: Path, head: bytes) -> bool:
    """By the ending of the name."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read(path: Path) -> Iterator[Passage | Dropped]:
    """Utterances in the order of time."""
    held: list[tuple[str, str, str]] = []
    """(speaker, text, place) of a sentence that goes on."""
    ended = 0
    sound, coming = "", ""
    """What is heard before the sentence that goes on, and before the next one."""
    for number, cue in enumerate(cues(path), 1):
        place = f"{path.name}:cue {number} ({clock(cue.start)})"
        text = html.unescape(cue.plaintext).strip()
        if UNREADABLE in text or len(text) > LONGEST_LINE or ADVERTISEMENT.search(text):
            reason = "advertisement" if ADVERTISEMENT.search(text[:LONGEST_LINE]) else "unreadable characters"
            yield Dropped(item=place, reason=reason, detail=text[:80])
            continue
        ahead, behind = sounds(text)
        coming = ahead or coming
        for who, said in voices(SOUND.sub(" ", text), cue.name.strip()):
            goes_on = held and not FINISHED.search(held[-1][1]) and cue.start - ended <= JOINED_WITHIN and who in ("", held[0][0])
            if held and not goes_on:
                yield utterance(held, path.name, sound)
                held = []
            if not held:
                sound, coming = coming, ""
            held.append((who, said, place))
        ended, coming = cue.end, behind or coming
    if held:
        yield utterance(held, path.name, sound)


def cues(path: Path):
    """The cues of the file, comments of ASS left out."""
    try:
        import pysubs2
    except ImportError as error:
        raise MaterialError(f"{path.name}: reading subtitles needs: pip install 'persllm[ingest]'") from error
    text = VOICE.sub(lambda match: f"{match['who']}: ", decoded(whole(path, LARGEST), path.name))
    try:
        found = pysubs2.SSAFile.from_string(text, format_=path.suffix.lower().removeprefix("."))
    except (pysubs2.exceptions.Pysubs2Error, ValueError, IndexError, KeyError, OverflowError, AttributeError) as error:
        raise MaterialError(f"{path.name}: not readable as subtitles ({str(error)[:100]}).") from error
    return [cue for cue in found if not cue.is_comment and cue.plaintext.strip()]


def sounds(text: str) -> tuple[str, str]:
    """What is heard before the first word of a cue, and after it."""
    silent = SOUND.sub(lambda match: " " * len(match[0]), text)
    first = next((place for place, letter in enumerate(silent) if letter.isalnum()), len(text))
    return " ".join(SOUND.findall(text[:first])), " ".join(SOUND.findall(text[first:]))


def voices(text: str, style: str) -> Iterator[tuple[str, str]]:
    """(speaker, words) in one cue; two voices stand behind dashes."""
    parts = DASH.split(text) if len(DASH.findall(text)) > 1 else [DASH.sub("", text)]
    for part in parts:
        words = " ".join(part.split())
        match = NAMED.fullmatch(words)
        who, said = (match["who"].strip(), match["text"]) if match else (style, words)
        if any(letter.isalnum() for letter in said):
            yield who, said


def utterance(held: list[tuple[str, str, str]], file: str, sound: str) -> Passage:
    """The cues of one sentence as a passage."""
    text = " ".join(said for _, said, _ in held)
    text = re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", text)
    return Passage(text=text, source=held[0][2], form="utterance", speaker=held[0][0], thread=file, situation=sound[:200])


def clock(milliseconds: int) -> str:
    """A time as hours, minutes and seconds."""
    seconds = milliseconds // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
