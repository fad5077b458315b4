"""What a run folder holds, for people and for machines."""

import json
import random
from pathlib import Path
from typing import Any

from persllm.errors import RunError
from persllm.pipeline import STEPS, step_named
from persllm.store import Run, read_lines
from persllm.tracing import identity_of

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
    lines = read_lines(file)
    chosen = random.Random(0).sample(lines, min(number, len(lines)))
    return "\n".join(chosen) if as_json else "\n\n".join(readable(json.loads(line)) for line in chosen)


def readable(entry: dict[str, Any]) -> str:
    """A record as a person would read it: messages as dialogue, the rest as `key: value`."""
    lines = [f"id: {identity_of(entry)}"] if "id" not in entry else []
    lines += [f"{key}: {value}" for key, value in entry.items() if value and key not in ("messages", "prompt", "raw", "turns")]
    for message in entry.get("messages") or entry.get("prompt") or ():
        thought = f" [analysis: {message['thought']}]" if message.get("thought") else ""
        lines.append(f"    {message['role']}:{thought} {message['content']}")
    return "\n".join(lines)
