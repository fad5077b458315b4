"""Versions of a run's models, made from corrections, and which of them is in use.

    versions/current           the number of the version in use; 0, or no file, is the run itself
    versions/N/version.json    what version N is, written last: a folder without it is not finished
    versions/tags.json         names of one's own for versions and phases, each pinned to fingerprints (`persllm models tag`)

A version is never changed. It names its parent, so that the way back is always there; and it stands upon the run's own
training: when that was made again, the versions made before are no longer offered.
"""

import json
from pathlib import Path

from pydantic import Field

from persllm.errors import RunError
from persllm.records import Record, fingerprint
from persllm.store import Run, StepFolder, replace_text

TRAININGS = ("5-sft", "7-dpo")
"""Steps that make a run's own models."""


class Compared(Record):
    """One figure of a version beside that of its parent."""

    metric: str
    detail: str = ""
    group: str
    """On what: `test` items, `corrections` that were trained on, corrections `held out`."""
    n: int
    before: float
    after: float
    change: float
    """Mean paired difference; above 0 is better, also where the figure itself is better when lower."""
    low: float
    """Lower end of the 95 % interval of the change."""
    high: float
    fallen: bool
    """Whether it counts as fallen by the settings."""


class Version(Record):
    """What was made from corrections, and what became of it."""

    number: int
    parent: int
    """The version it was trained from; 0 is the run itself."""
    made: str
    """When, in UTC."""
    seconds: float
    training: str
    """Fingerprint of the run's own training, upon which it stands."""
    data: str
    """Fingerprint of pairs.jsonl."""
    learnt: tuple[str, ...]
    """Identities of the pairs of new corrections that were trained on."""
    held_out: tuple[str, ...]
    """Identities of those that were kept for the examination, the parents' among them."""
    pairs: int
    """All pairs trained on, repetitions counted."""
    old: int
    """Of these, old ones."""
    models: dict[str, str]
    """Person -> model folder below the run; a person without corrections keeps the parent's."""
    weights: dict[str, str] = Field(default_factory=dict)
    """Model folder below the run -> fingerprint of what was compared there; empty in versions made before it was kept."""
    compared: tuple[Compared, ...]
    kept: bool
    """Whether nothing that matters fell."""
    reasons: tuple[str, ...]
    """Why it was not kept."""


def folder_of(run: Run, number: int) -> StepFolder:
    """The folder of a version."""
    return StepFolder(run.path / "versions" / str(number))


def version_file(run: Run, number: int) -> Path:
    """The file that is written last."""
    return folder_of(run, number).path / "version.json"


def versions_of(run: Run) -> list[Version]:
    """The finished versions of a run, the oldest first."""
    files = (run.path / "versions").glob("*/version.json")
    found = [Version.model_validate_json(file.read_text(encoding="utf-8")) for file in files if file.parent.name.isdigit()]
    return sorted(found, key=lambda version: version.number)


def standing(run: Run) -> list[Version]:
    """The finished versions that stand upon the run's training as it is now."""
    training = training_of(run)
    return [version for version in versions_of(run) if version.training == training]


def training_of(run: Run) -> str:
    """Fingerprint of how the run's own models were made."""
    files = (run.path / step / "made-with" for step in TRAININGS)
    return fingerprint([file.read_text(encoding="utf-8") if file.is_file() else "" for file in files])


def current_number(run: Run) -> int:
    """The version in use; 0 is the run itself. RunError if the registry names none that there is."""
    file = run.path / "versions" / "current"
    text = file.read_text(encoding="utf-8").strip() if file.is_file() else "0"
    if not text.isdigit():
        raise RunError(f"{file}: holds {text[:20]!r}, not the number of a version. persllm improve {run.path} --back N writes it anew.")
    number = int(text)
    known = {version.number: version for version in versions_of(run)}
    if number and number not in known:
        raise RunError(
            f"{file}: names version {number}, which is not there. persllm improve {run.path} --back 0 returns to the run itself."
        )
    return number if number and known[number].training == training_of(run) else 0


def make_current(run: Run, number: int) -> None:
    """Let a version, or with 0 the run itself, be the one in use. RunError if it is not there or its run was trained anew."""
    known = {version.number: version for version in versions_of(run)}
    if number and number not in known:
        raise RunError(f"{run.path}: no version {number}. There are: 0 (the run itself), {', '.join(map(str, known)) or 'no others'}.")
    if number and known[number].training != training_of(run):
        raise RunError(f"{run.path}: version {number} was made before the run was trained anew. Make another: persllm improve {run.path}.")
    replace_text(run.path / "versions" / "current", f"{number}\n")


def lineage(run: Run, number: int) -> list[Version]:
    """A version and all it came from, the newest first."""
    known, found = {version.number: version for version in versions_of(run)}, []
    while number in known:
        found.append(known[number])
        number = known[number].parent
    return found


def version_models(run: Run, persona: str) -> dict[str, str]:
    """`v1`, `v2`, ... -> folder of the model that plays a person; the newest first."""
    ranked = reversed(standing(run))
    return {f"v{version.number}": str(run.path / version.models[persona]) for version in ranked if persona in version.models}


class Pin(Record):
    """What a tag names."""

    result: str
    """`sft`, `dpo`, or a version such as `v1`."""
    weights: dict[str, str]
    """Model folder below the run -> its fingerprint when the tag was set."""
    at: str
    """When that was, in UTC."""


def tags_of(run: Run) -> dict[str, Pin]:
    """Tag -> what it names."""
    file = run.path / "versions" / "tags.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {tag: Pin.model_validate(pin) for tag, pin in found.items()}
