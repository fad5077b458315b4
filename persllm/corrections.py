"""What users say of answers: "he would not say that", thumbs, preferences; kept beside the run, and turned to preference pairs.

Each is one line of `corrections/corrections.jsonl` in the run's folder, added whole under a lock. An edited answer is
preferred to what the model said; of two answers to one prompt the chosen one; an approved one to a disapproved one where
both answer the same prompt at the same stage. A thumb alone makes no pair, and is counted as such.
"""

import fcntl
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from persllm.records import Message, PreferencePair, Record
from persllm.store import Run, disk_trouble, read_records


class Correction(Record):
    """One thing a user said of an answer."""

    at: str
    """When, in UTC."""
    kind: Literal["edit", "up", "down", "prefer"]
    persona: str
    stage: str
    taker: str
    """Who gave the answer."""
    prompt: tuple[Message, ...]
    """What was said before the answer."""
    answer: str
    better: str = ""
    """`edit`: the user's own words; `prefer`: the answer that was chosen over `answer`."""
    better_taker: str = ""
    """`prefer`: who gave it."""


def corrections_file(run: Run) -> Path:
    """Where the corrections of a run are kept."""
    return run.path / "corrections" / "corrections.jsonl"


def add_correction(run: Run, correction: Correction) -> None:
    """Keep a correction; after this returns it is on the disk. RunError if there is no space or no right."""
    file = corrections_file(run)
    with disk_trouble(file):
        file.parent.mkdir(exist_ok=True)
        with open(file, "a", encoding="utf-8", newline="\n") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            handle.write(f"{correction.model_dump_json()}\n")
            handle.flush()
            os.fsync(handle.fileno())


def read_corrections(run: Run) -> list[Correction]:
    """All corrections of a run, the oldest first."""
    file = corrections_file(run)
    return read_records(file, Correction) if file.is_file() else []


def correction_pairs(corrections: Sequence[Correction]) -> tuple[list[PreferencePair], int]:
    """Preference pairs, and how many corrections make none. The last word on an answer counts."""
    pairs: dict[str, PreferencePair] = {}
    thumbs: dict[tuple[str, str, tuple[Message, ...]], dict[str, Correction]] = defaultdict(dict)
    for correction in corrections:
        if correction.kind in ("up", "down"):
            thumbs[correction.persona, correction.stage, correction.prompt][correction.answer] = correction
        elif correction.better.strip() and correction.better.strip() != correction.answer.strip():
            made = pair(correction, correction.better, correction.answer)
            key = correction.model_copy(update={"at": "", "better": correction.better if correction.kind == "prefer" else ""}).identity
            pairs[key] = made
    lone = 0
    for given in thumbs.values():
        liked, disliked = ([c for c in given.values() if c.kind == kind] for kind in ("up", "down"))
        matched = list(zip(liked, disliked, strict=False))
        lone += len(given) - 2 * len(matched)
        for up, down in matched:
            pairs[f"{up.identity}-{down.identity}"] = pair(down, up.answer, down.answer)
    return list(pairs.values()), lone


def pair(correction: Correction, chosen: str, rejected: str) -> PreferencePair:
    """The preference pair of a correction."""
    return PreferencePair(
        persona=correction.persona, stage=correction.stage, prompt=correction.prompt, contrast="correction",
        chosen=Message(role="assistant", content=chosen.strip()), rejected=Message(role="assistant", content=rejected),
        chosen_from=correction.identity, rejected_from=correction.taker,
    )  # fmt: skip
