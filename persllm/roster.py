"""The takers and persons of a finished run, for whatever is put to them after the examination: scales, attacks, the audit.

What is put to a taker has a folder of its own in the run, which says with what it was made: a finished one is not asked
again, a cut one goes on, and one made with other settings or other models is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from persllm.errors import RunError
from persllm.prompts import prompts_fingerprint
from persllm.records import Persona, Record, fingerprint
from persllm.store import Outcome, Progress, Run, StepFolder
from persllm.takers import BASELINES, MANNERS, RETRIEVAL, STYLISED, TRAINED, Taker, foreign_taker, taker_named
from persllm.weights import Known

Work = Callable[[list[Any]], Any]
"""Gets what is owed, and yields each with its outcome."""
__all__ = ["Outcome", "all_takers", "chosen", "fulfilled", "page_language", "persons_of", "shifted"]


def persons_of(run: Run) -> list[Persona]:
    """The persons of a run."""
    return run.step("1-materials").records(Persona, "personas.jsonl")


def page_language(personas: Sequence[Persona]) -> Literal["en", "zh"]:
    """The language of a page about persons: Chinese if all of them speak it."""
    return "zh" if all(persona.language == "zh" for persona in personas) else "en"


def all_takers(run: Run) -> list[str]:
    """The takers that a run sends if none is named: the untrained ones, and those that were trained."""
    trained = {**TRAINED, STYLISED: f"{BASELINES}/{STYLISED}"}
    return [*MANNERS, *(name for name in (STYLISED, *TRAINED) if any(run.path.glob(f"{trained[name]}/*/model")))]


def chosen(run: Run, names: Sequence[str] = ()) -> list[Taker]:
    """Takers by name, also those of `evaluation.models`; all that `all_takers` names if none is. RunError if one is not to be had."""
    recipe, personas = run.recipe, persons_of(run)
    foreign = recipe.evaluation.models
    known = dict.fromkeys([*all_takers(run), RETRIEVAL, *foreign])
    found = []
    for name in dict.fromkeys(names or all_takers(run)):
        if name not in known:
            raise RunError(f"{run.path}: no model of {name}. There are: {', '.join(known)}.")
        taker = foreign_taker(name, foreign[name], run, personas) if name in foreign else taker_named(name, recipe.mode, run, personas)
        if missing := [persona.id for persona in personas if persona.id not in taker.models]:
            raise RunError(
                f"{run.path}: {name} has no model of {', '.join(missing)}. Finish the run with persllm run, or name other takers with --taker."
            )
        found.append(taker)
    return found


def models_of(run: Run, taker: Taker) -> str:
    """What an answer depends on besides the question: the weights of the models, and how the taker is told who answers."""
    known = Known(run.path)
    models = [known.weights(str(Path(one).resolve())) or one for one in sorted(set(taker.models.values()))]
    told = prompts_fingerprint(names=("prompted", "remembered"))
    return fingerprint([models, taker.manner, bool(taker.retrievers), told])


def fulfilled(
    run: Run, place: Path, taker: Taker, settings: Mapping[str, Any], items: Sequence[Record], work: Work, kind: type[Record],
    redo: bool, progress: Progress, again: str,
) -> list[Any]:  # fmt: skip
    """What became of the items, asked now as far as they are owed. `again` names the way on if the settings are others."""
    if redo:
        run.remove_steps([str(place.relative_to(run.path))])
    folder = StepFolder(place)
    try:
        folder.begin({**settings, "models": models_of(run, taker)})
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
