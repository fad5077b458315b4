"""Models that are trained only to be compared with, below `baselines/` of a run.

`stylised` is what the paper sets its training against: the base tuned on general questions that are answered in the
person's voice, and on nothing of what the person lived and knows. It is trained when the examination wants it as a taker,
with the settings of the personified tuning and each conversation as often as a personified one; nothing else of a run
rests on it, so it is no step. It is kept over examinations, and trained again if base or samples have become others.

Limits: its conversations come from `constructor.stylised`; the extractive constructor can change openings alone.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from persllm.config import Recipe
from persllm.errors import ConfigError, MaterialError
from persllm.launching import Launch
from persllm.records import Conversation, Persona
from persllm.store import Part, Progress, Run, replace_text, silent
from persllm.styling import stylised_of
from persllm.takers import BASELINES, STYLISED


def check_baselines(recipe: Recipe) -> None:
    """ConfigError if a baseline is to sit that nothing can be made from."""
    if STYLISED in recipe.evaluation.takers and not recipe.constructor.stylised:
        raise ConfigError(
            "evaluation.takers names stylised, but constructor.stylised is 0: there is nothing to train it on. "
            "Set constructor.stylised, for instance to 40, or leave the taker out."
        )


def train_baselines(
    recipe: Recipe,
    run: Run,
    members: Mapping[str, Sequence[Persona]],
    base: Path,
    progress: Progress = silent,
    launch: Launch | None = None,
) -> list[str]:
    """Train what the recipe's takers want and is not there; `members` names each model's persons. Returns the models' names."""
    if STYLISED not in recipe.evaluation.takers:
        return []
    from persllm.training import tune

    folder = run.path / BASELINES / STYLISED
    fresh_start(folder, run.step("0-base").path / "made-with")
    samples = stylised_of(run.step("3-answers"))
    for place, (name, persons) in enumerate(members.items()):
        own = repeated(samples, {persona.id for persona in persons}, recipe.mixture.repeat)
        if not own:
            raise MaterialError(
                f"{run.step('3-answers').path / STYLISED}: no general conversation could be told in the voice of {name}. Raise "
                f"constructor.stylised, use constructor.engine llm, or leave the taker stylised out."
            )
        tune(base, own, recipe.sft, folder / name, recipe.seed, recipe.threads, Part(progress, place, len(members)), launch)
    return list(members)


def fresh_start(folder: Path, base: Path) -> None:
    """Remove baselines that were trained upon another base; `base` is the file of what the base was made with."""
    mark, wanted = folder / "made-with", base.read_text(encoding="utf-8")
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        replace_text(mark, wanted)


def repeated(samples: Sequence[Conversation], persons: set[str], times: int) -> list[Conversation]:
    """The samples of some persons, each so many times; the training shuffles them."""
    return [sample for sample in samples if sample.persona in persons] * times
