"""The takers and persons of a finished run, for whatever is put to them after the examination: scales, attacks, the audit.

What is put to a taker has a folder of its own in the run, which says with what it was made: a finished one is not asked
again, a cut one goes on, and one made with other settings or other models is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from persllm.errors import RunError
from persllm.records import Persona, Record, fingerprint
from persllm.store import Outcome, Progress, Run, StepFolder
from persllm.takers import MANNERS, TRAINED, Taker, taker_named

Work = Callable[[list[Any]], Any]
"""Gets what is owed, and yields each with its outcome."""
__all__ = ["Outcome", "all_takers", "chosen", "fulfilled", "persons_of", "shifted"]


def persons_of(run: Run) -> list[Persona]:
    """The persons of a run."""
    return run.step("1-materials").records(Persona, "personas.jsonl")


def all_takers(run: Run) -> list[str]:
    """The takers that a run can send: the untrained ones, and those that were trained."""
    return [*MANNERS, *(name for name, step in TRAINED.items() if any(run.path.glob(f"{step}/*/model")))]


def chosen(run: Run, names: Sequence[str] = ()) -> list[Taker]:
    """Takers by name, all of the run if none is named. RunError if one is not to be had."""
    personas = persons_of(run)
    takers = [taker_named(name, run.recipe.mode, run, personas) for name in dict.fromkeys(names or all_takers(run))]
    for taker in takers:
        if not taker.models or (taker.name not in MANNERS and not any(map(is_folder, taker.models.values()))):
            raise RunError(f"{run.path}: no model of {taker.name}. There are: {', '.join(all_takers(run))}.")
    return takers


def is_folder(model: str) -> bool:
    """Whether a model is here."""
    return Path(model).is_dir()


def models_of(run: Run, taker: Taker) -> str:
    """What tells whether the models are still those that were asked: how their steps were made."""
    steps = {Path(folder).relative_to(run.path).parts[0] for folder in taker.models.values() if Path(folder).is_relative_to(run.path)}
    made = [run.path / step / "made-with" for step in sorted(steps)]
    return fingerprint([file.read_text(encoding="utf-8") if file.is_file() else "" for file in made])


def fulfilled(
    run: Run, place: Path, taker: Taker, made_with: Mapping[str, Any], items: Sequence[Record], work: Work, kind: type[Record],
    redo: bool, progress: Progress, again: str,
) -> list[Any]:  # fmt: skip
    """What became of the items, asked now as far as they are owed. `again` names the way on if the settings are others."""
    if redo:
        run.remove_steps([str(place.relative_to(run.path))])
    folder = StepFolder(place)
    try:
        folder.begin({**made_with, "models": models_of(run, taker)})
    except RunError as error:
        raise RunError(f"{str(error).partition('Ways on:')[0].rstrip()}\n{again}") from None
    if not folder.finished:
        started = monotonic()
        folder.fill(items, work, progress)
        found = folder.records(kind)
        folder.finish(monotonic() - started, {"records": len(found), "unscored": sum(bool(getattr(one, "error", "")) for one in found)})
    return folder.records(kind)


def shifted(progress: Progress, number: int, takers: int, items: int) -> Progress:
    """The progress of one taker among several, taking them to be alike."""
    return lambda done, total: progress(number * items + (done * items // total if total else 0), takers * items)
