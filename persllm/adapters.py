"""Which adapters a trained result is made of, told by the folders of a run; nothing is loaded here."""

from pathlib import Path

from pydantic import Field

from persllm.records import Record
from persllm.store import Run
from persllm.versions import lineage

PHASES = ("5-sft", "7-dpo")
"""Steps that train an adapter, each upon the one before unless it starts from the base (`phases_to`)."""


class Assembly(Record):
    """What is loaded as one model."""

    base: str
    """A model folder."""
    adapters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Name -> folders of the adapters that it is made of, each trained upon the one before; none for the model as it is."""


def phases_to(run: Run, phase: str) -> tuple[str, ...]:
    """The phases whose adapters make up the result of a phase: preferences learnt in one stage stand upon the base alone."""
    return (phase,) if phase == "7-dpo" and run.recipe.dpo.start == "base" else PHASES[: PHASES.index(phase) + 1]


def adapters_of(step: Path) -> dict[str, list[Path]]:
    """Person -> folders of the adapters that make up the person after this step; persons without are left out."""
    phases = phases_to(Run(step.parent), step.name) if step.name in PHASES and step.is_dir() else ()
    persons = sorted(folder.name for folder in step.iterdir() if (folder / "adapter").is_dir()) if phases else []
    found = {person: [step.parent / phase / person / "adapter" for phase in phases] for person in persons}
    return {person: folders for person, folders in found.items() if all(folder.is_dir() for folder in folders)}


def chain_of(run: Run, folder: str) -> list[Path]:
    """The adapters that make up the model of a folder below a run, each trained upon the one before; empty if all weights were trained."""
    step, group = Path(folder).parent.parent, Path(folder).parent.name
    if step.name in PHASES:
        found = [run.path / phase / group / "adapter" for phase in phases_to(run, step.name)]
    else:
        line = reversed(lineage(run, int(step.name)))
        last = next(phase for phase in reversed(PHASES) if (run.path / phase / group / "model").is_dir())
        versions = [run.path / "versions" / str(version.number) / group for version in line]
        found = [*chain_of(run, f"{last}/{group}/model"), *(place / "adapter" for place in versions if (place / "model").is_dir())]
        if not (run.path / last / group / "adapter").is_dir():
            return []
    return found if all(place.is_dir() for place in found) else []
