"""Ablations: what is each part of the method worth? The run is made again without the part, and both are compared.

An ablation is a run of its own beside the full one, `NAME-without-PART`. Steps whose result does not depend on the part
are not done again: their folders are linked from the full run, file by file (a file is replaced, never edited, so neither
run can touch the other's). All answer the same questions; differences are paired, with intervals, and their p-values are
corrected by Holm for the number of comparisons in the table.

Limits: one seed; what two trainings with the same settings would differ by is not in the intervals. A part that only
matters together with another looks worthless alone.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from persllm.config import Recipe
from persllm.errors import ConfigError
from persllm.evaluation import sittings
from persllm.metrics import SHARES, identification, score_all
from persllm.parsing import apply_override, parse
from persllm.pipeline import STEPS, Show, made_with, run_recipe, show_nothing
from persllm.records import Conversation, Persona, Record, Score, TestItem
from persllm.statistics import Difference, Figure, differences, figures, holm
from persllm.store import Run, disk_trouble, replace_json
from persllm.takers import TRAINED

FULL = "full"


class Ablation(Record):
    """A part of the method that is left out."""

    name: str
    title: str
    settings: tuple[str, ...]
    """What is set otherwise, as `--set` takes it; none if the full run holds the result already."""
    taker: str = ""
    """The taker that stands for it; empty for the one at the end of the training."""


ABLATIONS = (
    Ablation(name="preferences", title="without DPO", settings=(), taker="sft"),
    Ablation(name="chain_of_thought", title="without chain of thought", settings=("mixture.chain_of_thought=0",)),
    Ablation(name="induction", title="without anti-induction", settings=("mixture.left_out=[induction, control]",)),
    Ablation(name="stage_tokens", title="without stage tokens", settings=("base.stage_tokens=text",)),
    Ablation(name="general", title="without general data", settings=("mixture.general=0", "mixture.stylised=0")),
    Ablation(name="persona_pairs", title="stage pairs only", settings=("dpo.contrasts=[stage]",)),
    Ablation(name="stage_pairs", title="persona pairs only", settings=("dpo.contrasts=[persona]",)),
)
"""Every part that can be left out."""
DRAWS_PER_ROW = 40
"""Resamplings for each row of the table: a chance must be able to get small enough to survive the correction for all of them."""
FIGURES = (
    ("choice", "", "gold"), ("choice", "", "constructed"), ("choice_against", "other_person", "all"), ("choice_against", "other_stage", "all"),
    ("identified_person", "", "all"), ("identified_stage", "", "all"), ("resistance", "", "families/trained"), ("resistance", "", "families/unseen"),
    ("false_denial", "", "all"), ("leak", "", "all"), ("chrf", "", "all"), ("fact_recall", "", "all"), ("gap_stage", "", "changed"), ("gap_inter", "", "all"),
    ("general_loss", "plain", "all"), ("general_loss", "in role", "all"),
)  # fmt: skip
"""(metric, detail, group) of what is compared."""


class Compared(Record):
    """One figure with and without a part."""

    ablation: str
    title: str
    metric: str
    detail: str
    group: str
    full: float
    without: float
    difference: Difference
    """Without less full, over the questions both were scored on."""
    corrected: float | None
    """p-value after Holm's correction for all comparisons of the table."""


class Ablated(Record):
    """A table of ablations."""

    run: str
    seed: int
    taker: str
    comparisons: int
    rows: tuple[Compared, ...]


class PlannedStep(Record):
    """What an ablation does with a step."""

    ablation: str
    run: str
    step: str
    state: str
    """`done`, `shared` with the full run, or `to do`."""
    seconds: float | None
    """What the step took in the full run, if it is to be done and that is known."""


def chosen(names: Sequence[str]) -> list[Ablation]:
    """The ablations of these names, all without any. ConfigError for a name that is none."""
    known = {ablation.name: ablation for ablation in ABLATIONS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--without {', '.join(unknown)}: no such part. Parts: {', '.join(known)}.")
    return [known[name] for name in names] if names else list(ABLATIONS)


def varied(recipe: Recipe, ablation: Ablation) -> Recipe:
    """The recipe without a part; only trained takers sit, since the others do not depend on it."""
    tree = recipe.model_dump(mode="json")
    for setting in ablation.settings:
        apply_override(tree, setting)
    tree["name"] = f"{recipe.name}-without-{ablation.name}"
    tree["evaluation"]["takers"] = [last_taker(recipe)]
    tree["evaluation"]["models"] = {}
    return parse(Recipe, tree, f"ablation {ablation.name}")


def last_taker(recipe: Recipe) -> str:
    """The taker at the end of the training, as the recipe has it. ConfigError if no trained one sits."""
    trained = [name for name in TRAINED if name in recipe.evaluation.takers and (name != "dpo" or recipe.dpo.pairs)]
    if not trained:
        raise ConfigError(f"{recipe.name}: no trained taker sits (evaluation.takers), so nothing can be compared. Add sft or dpo.")
    return trained[-1]


def plan(recipe: Recipe, runs: Path, ablations: Sequence[Ablation]) -> list[PlannedStep]:
    """What would be done, step by step, without doing it."""
    full, rows = Run(runs / recipe.name), []
    seconds = {step.folder: full.step(step.folder).summary()["seconds"] for step in STEPS if full.step(step.folder).finished}
    for step in STEPS:
        done = full.step(step.folder).finished
        rows.append(PlannedStep(ablation=FULL, run=recipe.name, step=step.folder, state="done" if done else "to do", seconds=None))
    for ablation in (one for one in ablations if one.settings):
        recipe_now = varied(recipe, ablation)
        for step in STEPS[:-1]:
            own = Run(runs / recipe_now.name).step(step.folder)
            same = made_with(step, recipe_now) == made_with(step, recipe)
            state = "done" if own.finished else "shared" if same else "to do"
            time = seconds.get(step.folder) if state == "to do" else None
            rows.append(PlannedStep(ablation=ablation.name, run=recipe_now.name, step=step.folder, state=state, seconds=time))
    return rows


def ablate(recipe: Recipe, runs: Path, ablations: Sequence[Ablation], show: Show = show_nothing, cache: Path | None = None) -> Ablated:
    """Make the full run and every ablation, as far as they are owed, and compare them; also `ablations.json` in the full run."""
    taker = last_taker(recipe)
    full = run_recipe(recipe, runs, show, cache=cache)
    made = {FULL: (full, taker)}
    for ablation in ablations:
        if ablation.settings:
            wanted = varied(recipe, ablation)
            share(full, Run(runs / wanted.name), wanted)
            made[ablation.name] = run_recipe(wanted, runs, show, until=STEPS[-2].folder, cache=cache), taker
        elif ablation.taker in recipe.evaluation.takers and ablation.taker != taker:
            made[ablation.name] = full, ablation.taker
    table = compare(made, recipe, taker)
    replace_json(full.path / "ablations.json", table.model_dump(mode="json"))
    return table


# Sharing -------------------------------------------------------------------------------------------------


def share(source: Run, target: Run, recipe: Recipe) -> list[str]:
    """Link the finished steps of a run into another, where they were made with what the other needs; their names."""
    shared = []
    with target.locked():
        for step in STEPS[:-1]:
            there, here = source.step(step.folder), target.step(step.folder)
            if (
                there.finished
                and not here.path.exists()
                and json.loads((there.path / "made-with").read_text()) == plain(made_with(step, recipe))
            ):
                link_tree(there.path, here.path)
                shared.append(step.folder)
    return shared


def plain(value: Any) -> Any:
    """A value as it comes back from a JSON file."""
    return json.loads(json.dumps(value))


def link_tree(source: Path, target: Path) -> None:
    """A folder with the same files as another, by hard links where the disk has them; there whole or not at all."""
    fresh = target.with_name(f".{target.name}.fresh")
    with disk_trouble(target):
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh, copy_function=link_or_copy)
        fresh.rename(target)


def link_or_copy(source: str, target: str) -> None:
    """One file."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


# Comparing -----------------------------------------------------------------------------------------------


def compare(made: dict[str, tuple[Run, str]], recipe: Recipe, taker: str) -> Ablated:
    """Every figure with and without each part, on the questions of the full run."""
    settings, (full, _) = recipe.evaluation, made[FULL]
    items = full.step("8-evaluation").records(TestItem, "test.jsonl")
    classifier = identification.fit(full.step("4-dataset").records(Conversation, "conversations.jsonl"))
    scores = [score for name, (run, own) in made.items() for score in rescored(run, own, name, full, items, classifier)]
    means = {(f.metric, f.detail, f.group, f.taker): f for f in figures(scores, items, settings.bootstrap, recipe.seed, SHARES)}
    pairs = [(name, FULL) for name in made if name != FULL]
    draws = max(settings.bootstrap, DRAWS_PER_ROW * len(pairs) * len(FIGURES))
    found = {(d.metric, d.detail, d.group, d.taker): d for d in differences(scores, items, pairs, draws, recipe.seed, SHARES)}
    rows = [row for name, _ in pairs for figure in FIGURES for row in row_of(name, figure, means, found)]
    known = [row for row in rows if row.difference.p is not None]
    corrected = dict(zip((id(row) for row in known), holm([row.difference.p or 1.0 for row in known]), strict=True))
    rows = [row.model_copy(update={"corrected": corrected.get(id(row))}) for row in rows]
    return Ablated(run=recipe.name, seed=recipe.seed, taker=taker, comparisons=len(rows), rows=tuple(rows))


def rescored(run: Run, taker: str, name: str, full: Run, items: Sequence[TestItem], classifier: Any) -> Iterator[Score]:
    """The scores of a taker under another name, as far as they are compared; all are heard by the full run's classifier."""
    wanted = {(metric, detail) for metric, detail, _ in FIGURES}
    [sitting] = sittings([taker], items, full.step("1-materials").records(Persona, "personas.jsonl"), run.step("8-evaluation"))
    for score in score_all(sitting, classifier):
        if (score.metric, score.detail) in wanted:
            yield score.model_copy(update={"taker": name})


Key = tuple[str, str, str, str]


def row_of(name: str, figure: tuple[str, str, str], means: dict[Key, Figure], found: dict[Key, Difference]) -> Iterator[Compared]:
    """A row, if both sides were scored."""
    title = next(one.title for one in ABLATIONS if one.name == name)
    full, own, difference = means.get((*figure, FULL)), means.get((*figure, name)), found.get((*figure, name))
    if full and own and difference and full.value is not None and own.value is not None:
        metric, detail, group = figure
        yield Compared(
            ablation=name, title=title, metric=metric, detail=detail, group=group, full=full.value, without=own.value,
            difference=difference, corrected=None,
        )  # fmt: skip
