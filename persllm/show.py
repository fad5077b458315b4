"""What a run folder holds, for people and for machines."""

import json
import random
from pathlib import Path
from typing import Any

from persllm.canaries import FORM
from persllm.errors import RunError
from persllm.pipeline import STEPS, step_named
from persllm.records import Dropped
from persllm.store import Run, StepFolder, read_lines, read_records
from persllm.tracing import identity_of

EXAMPLE = 200
"""Characters of an example of what was left out."""
PLANTED = f'"form":"{FORM}"'
"""Canaries are no data of the person; within a text the quotation marks would be escaped."""
SHOWN = ("records.jsonl", "train.jsonl", "answers.jsonl")


def steps_of(path: Path) -> list[dict[str, Any]]:
    """One row per step: its state, seconds, and facts."""
    run = Run.open(path)
    rows = []
    for step in STEPS:
        folder = run.step(step.folder)
        summary = folder.summary() if folder.finished else {}
        state = "finished" if folder.finished else "begun" if folder.path.is_dir() else "to do"
        facts = {key: value for key, value in summary.items() if key not in ("seconds", "finished")}
        rows.append({"step": step.folder, "state": state, "seconds": summary.get("seconds"), "facts": facts})
    return rows


def sample_records(path: Path, name: str, number: int, as_json: bool = False) -> str:
    """Some records of a step, drawn the same way each time; JSONL, or text to read."""
    step = step_named(name)
    folder = Run.open(path).step(step.folder if step else name)
    file = next((folder.path / shown for shown in SHOWN if (folder.path / shown).is_file()), None)
    if file is None and folder.finished:
        return json.dumps(folder.summary(), ensure_ascii=False, indent=2)
    if file is None:
        raise RunError(f"{folder.path}: no records here yet. Finish the step with persllm run.")
    lines = [line for line in read_lines(file) if PLANTED not in line]
    chosen = random.Random(0).sample(lines, min(number, len(lines)))
    if as_json:
        return "\n".join(chosen)
    return "\n\n".join([*(readable(json.loads(line)) for line in chosen), *left_out(folder)])


def left_out(folder: StepFolder) -> list[str]:
    """What a step dropped: each reason with its number and an example; nothing if it dropped nothing."""
    file = folder.path / "dropped.jsonl"
    by_reason: dict[str, list[Dropped]] = {}
    for entry in read_records(file, Dropped) if file.is_file() else ():
        by_reason.setdefault(entry.reason, []).append(entry)
    if not by_reason:
        return []
    lines = [f"left out, all of it in {file}:"]
    for reason, entries in sorted(by_reason.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"{len(entries):6} {reason}, such as {entries[0].item}: {' '.join(entries[0].detail.split())[:EXAMPLE]}")
    return ["\n".join(lines)]


def readable(entry: dict[str, Any]) -> str:
    """A record as a person would read it: messages as dialogue, the rest as `key: value`."""
    lines = [f"id: {identity_of(entry)}"] if "id" not in entry else []
    lines += [f"{key}: {value}" for key, value in entry.items() if value and key not in ("messages", "prompt", "raw", "turns")]
    for message in entry.get("messages") or entry.get("prompt") or ():
        thought = f" [analysis: {message['thought']}]" if message.get("thought") else ""
        lines.append(f"    {message['role']}:{thought} {message['content']}")
    return "\n".join(lines)
