"""Meetings on disk: `made-with` first, a line for every turn as it is spoken, readable transcripts when one is over.

    OUT/made-with                     the scene, and how often it is held
    OUT/VARIANT/seed-0.jsonl          a line per turn
    OUT/VARIANT/seed-0.md, .html      the same to read

A meeting that was killed goes on from its last whole line. Meetings in step go back to the turn that all of them
have reached, so that every batch is the one it would have been; what a human said is never taken back.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from persllm.errors import RunError
from persllm.meeting.course import Ask, Heard, Meeting, hold
from persllm.meeting.transcripts import as_html, as_markdown
from persllm.meeting.turn import Turn
from persllm.store import disk_trouble, locked, replace_json, replace_records, replace_text

LOCK = ".lock"
OUT = "--out FOLDER"
"""The option that names the folder of meetings."""


@contextlib.contextmanager
def taken(folder: Path, made_with: dict[str, Any]) -> Iterator[None]:
    """Take a folder for a scene, and keep other processes out. RunError if it belongs to another scene."""
    file = folder / "made-with"
    refusal = f"{folder}: another persllm is at work here. Wait for it, or give another {OUT}."
    with locked(folder / LOCK, refusal, passing=True, option=OUT):
        if file.is_file():
            if json.loads(file.read_text(encoding="utf-8")) != made_with:
                raise RunError(f"{folder}: holds meetings of another scene or with other settings. Give another {OUT}, or remove it.")
        elif any(path.name != LOCK for path in folder.iterdir()):
            raise RunError(f"{folder}: holds other files. Give another {OUT}.")
        else:
            replace_json(file, made_with)
        yield


def transcript(folder: Path, meeting: Meeting) -> Path:
    """Where the turns of a meeting are."""
    return folder / meeting.variant / f"seed-{meeting.seed}.jsonl"


def hold_in(folder: Path, meetings: Sequence[Meeting], heard: Heard, ask: Ask | None = None) -> None:
    """Hold meetings to their ends, each turn on disk before the next; what is on disk already is not held again."""
    recall(folder, meetings)
    with contextlib.ExitStack() as stack:
        logs = {}

        def keep(meeting: Meeting, turn: Turn) -> None:
            file = transcript(folder, meeting)
            if file not in logs:
                logs[file] = stack.enter_context(open(file, "a", encoding="utf-8", newline="\n"))
            logs[file].write(f"{turn.model_dump_json()}\n")
            logs[file].flush()
            if meeting.ending:
                write_readable(folder, meeting)
            heard(meeting, turn)

        with disk_trouble(folder, OUT):
            hold(meetings, keep, ask)
    for meeting in meetings:
        if not transcript(folder, meeting).with_suffix(".html").is_file():
            write_readable(folder, meeting)


def recall(folder: Path, meetings: Sequence[Meeting]) -> None:
    """Read what was said before; files are cut to whole turns, and meetings in step to what all have reached."""
    for meeting in meetings:
        meeting.turns = list(whole_turns(transcript(folder, meeting)))
    going = [meeting for meeting in meetings if not meeting.ending and all(seat.agent for seat in meeting.seats)]
    fewest = min((len(meeting.turns) for meeting in going), default=0)
    for meeting in meetings:
        meeting.turns = meeting.turns[:fewest] if meeting in going else meeting.turns
        replace_records(transcript(folder, meeting), meeting.turns)


def whole_turns(file: Path) -> Iterator[Turn]:
    """The turns of a transcript up to the first line that is torn or out of order."""
    if not file.is_file():
        return
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        try:
            turn = Turn.model_validate_json(line)
        except ValidationError:
            return
        if turn.number != number:
            return
        yield turn


def write_readable(folder: Path, meeting: Meeting) -> None:
    """The transcript to read, as Markdown and as a page."""
    file = transcript(folder, meeting)
    replace_text(file.with_suffix(".md"), as_markdown(meeting))
    replace_text(file.with_suffix(".html"), as_html(meeting))
