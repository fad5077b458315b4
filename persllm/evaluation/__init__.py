"""The examination: takers answer, metrics score; answers and scores are separate files.

    test.jsonl           the items: constructed ones, and the hand-written gold
    answers.jsonl        one line per taker, item and sample
    likelihoods.jsonl    one line per taker, item and text
    cosines.jsonl        one line per taker, item and text it is compared with, if there is an encoder
    near.jsonl           questions that are as good as trained ones: none of the constructed, perhaps of the hand-written
    scores.jsonl figures.jsonl differences.jsonl confusion.jsonl    made from the above, without any model

What is to be asked is cut into batches of like length before anything is asked, and a batch is answered whole or not at
all: so a killed examination ends with the same bytes as an undisturbed one, though padding moves sums in their last
digits. Equal tasks of two takers on one model are done once, and what an earlier examination of the run asked the same
weights is taken from `kept/` beside the step.

Limits: one model in memory at a time; the items are those of the dataset step and of gold.jsonl, no others.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from persllm.chat import ChatModel
from persllm.config import EvaluationSettings, Recipe
from persllm.evaluation.cosines import compare, encoder_of
from persllm.evaluation.kept import Kept
from persllm.evaluation.paper import near_trained
from persllm.evaluation.tasks import Result, Task, answered, answers_wanted, batches, carry_out, likelihoods_wanted, measured
from persllm.evaluation_settings import TAKERS
from persllm.gold import gold_items, spread_gold
from persllm.metrics import SHARES, Cosine, Likelihood, Sitting, identification, score_all
from persllm.privacy import guarded, is_masked, masks_for
from persllm.records import Answer, Conversation, Material, Persona, TestItem
from persllm.statistics import differences, figures, relative_changes
from persllm.store import Progress, Run, StepFolder, read_records, replace_json, silent
from persllm.takers import Opener, Taker, opener_of, takers_of
from persllm.test_sets import first_of_each_set
from persllm.weights import weights_below

PAIRS = (
    ("prompted", "base"), ("retrieval", "prompted"), ("stylised", "prompted"), ("sft", "base"), ("sft", "prompted"), ("sft", "retrieval"),
    ("sft", "stylised"), ("dpo", "sft"), ("dpo", "prompted"), ("dpo", "retrieval"), ("dpo", "stylised"),
)  # fmt: skip
"""Which takers are compared: the first less the second; every model from elsewhere is what `dpo` and `sft` are compared with too."""


def evaluate(
    recipe: Recipe, run: Run, personas: Sequence[Persona], items: Sequence[TestItem], conversations: Sequence[Conversation],
    folder: StepFolder, progress: Progress = silent, opener: Opener | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let every taker of the recipe sit, score, and return facts for step.json.

    `items` are the constructed ones, `conversations` those trained on. `opener` loads a model by its folder.
    """
    settings = recipe.evaluation
    takers = takers_of(recipe, run, personas)
    asked = first_of_each_set(items, settings.items_per_set)
    if settings.gold:
        families = {c.form for c in conversations if c.kind == "induction"}
        folders = [Path(folder) for folder in recipe.personas]
        asked += spread_gold(gold_items(folders, personas, families), settings.gold_items_per_set)
    folder.write("test.jsonl", asked)
    replace_json(folder.path / "weights.json", weights_below(run.path, (model for taker in takers for model in taker.models.values())))
    far = bool(settings.embeddings.api.url) or any(taker.api for taker in takers)
    materials = run.step("1-materials").records(Material) if far and opener is None else []
    if opener is None:
        opener = opener_of(takers, recipe.threads, guard_with(recipe, run.path / "privacy", personas, materials))
    answer(takers, asked, settings, folder, progress, opener, recipe.seed, run.path / "kept")
    by_meaning(recipe, takers, asked, folder, run.path / "kept", run.path / "privacy", personas, materials)
    near = near_trained(asked, conversations, recipe.mixture.near_duplicate)
    folder.write("near.jsonl", near)
    return {**score(takers, asked, personas, conversations, settings, folder, recipe.seed), "near_trained": len(near)}


def guard_with(
    recipe: Recipe, folder: Path, personas: Sequence[Persona], materials: Sequence[Material]
) -> Callable[[ChatModel, str], ChatModel]:
    """Puts masks before a model at an address, if personal data may not reach it; their table stands in `folder`."""
    return lambda model, url: guarded(model, recipe.privacy, [url], folder, personas, materials)


def by_meaning(
    recipe: Recipe, takers: Sequence[Taker], items: Sequence[TestItem], folder: StepFolder, kept: Path, privacy: Path,
    personas: Sequence[Persona], materials: Sequence[Material],
) -> None:  # fmt: skip
    """Write cosines.jsonl, if there is an encoder and the file is not there. `privacy` is the folder of the table of masks."""
    settings = recipe.evaluation.embeddings
    if not settings.used or (folder.path / "cosines.jsonl").is_file():
        return
    masked = str
    if settings.api.url and is_masked(recipe.privacy, [settings.api.url]):
        masked = masks_for(recipe.privacy, privacy, personas, materials).masked
    answers = folder.records(Answer, "answers.jsonl")
    encoder = encoder_of(settings, recipe.threads)
    folder.write("cosines.jsonl", compare([taker.name for taker in takers], items, answers, encoder, kept / "vectors", masked))


# Answering -----------------------------------------------------------------------------------------------


def answer(
    takers: Sequence[Taker], items: Sequence[TestItem], settings: EvaluationSettings, folder: StepFolder, progress: Progress,
    opener: Opener, seed: int = 0, kept: Path | None = None,
) -> None:  # fmt: skip
    """Write answers.jsonl and likelihoods.jsonl, unless both are there. `kept` is where results of earlier ones stand."""
    if not all((folder.path / name).is_file() for name in ("answers.jsonl", "likelihoods.jsonl")):
        wanted_answers = [pair for taker in takers for pair in answers_wanted(taker, items, settings, seed)]
        wanted_likelihoods = [pair for taker in takers for pair in likelihoods_wanted(taker, items)]
        tasks = [task for _, task in (*wanted_answers, *wanted_likelihoods) if task]
        results = results_of(tasks, settings.batch, folder, progress, opener, Kept(kept) if kept else None)
        folder.write("answers.jsonl", [answered(blank, task, results) for blank, task in wanted_answers])
        folder.write("likelihoods.jsonl", [measured(blank, task, results) for blank, task in wanted_likelihoods])
    shutil.rmtree(folder.path / "work", ignore_errors=True)


def results_of(
    tasks: Sequence[Task], batch: int, folder: StepFolder, progress: Progress, opener: Opener, kept: Kept | None
) -> dict[str, Result]:
    """Identity of every task -> its result; what was done before is not asked again."""
    known = kept.found(tasks) if kept else {}
    work = StepFolder(folder.path / "work")
    owed = batches([task for task in tasks if task.identity not in known], batch)
    work.fill(owed, lambda left: carry_out(left, opener), progress)
    results = {**known, **{result.task: result for result in work.records(Result)}}
    if kept:
        kept.keep(tasks, results)
    return results


# Scoring -------------------------------------------------------------------------------------------------


def score(
    takers: Sequence[Taker], items: Sequence[TestItem], personas: Sequence[Persona], conversations: Sequence[Conversation],
    settings: EvaluationSettings, folder: StepFolder, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Scores, figures, differences and confusions from the answers on disk; asks no model. Returns facts for step.json."""
    found = sittings([taker.name for taker in takers], items, personas, folder)
    classifier = identification.fit(conversations)
    scores = [one for sitting in found for one in score_all(sitting, classifier)]
    references = identification.score_references(found[0], classifier) if found else []
    made = figures([*scores, *references], items, settings.bootstrap, seed, SHARES)
    made += relative_changes(scores, items, "general_loss", ("base", "plain"), "loss_change", settings.bootstrap, seed)
    folder.write("scores.jsonl", scores)
    folder.write("figures.jsonl", made)
    folder.write(
        "differences.jsonl", differences(scores, items, pairs_of([taker.name for taker in takers]), settings.bootstrap, seed, SHARES)
    )
    folder.write("confusion.jsonl", [one for sitting in found for one in identification.confusion(sitting, classifier)])
    unscored = sum(one.value is None for one in scores)
    return {"takers": [taker.name for taker in takers], "items": len(items), "scores": len(scores), "unscored": unscored}


def pairs_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of these takers that are compared."""
    foreign = [name for name in names if name not in TAKERS]
    return [pair for pair in (*PAIRS, *((own, other) for own in ("sft", "dpo") for other in foreign)) if set(pair) <= set(names)]


def sittings(takers: Sequence[str], items: Sequence[TestItem], personas: Sequence[Persona], folder: StepFolder) -> list[Sitting]:
    """What each taker left on disk."""
    answers = read_records(folder.path / "answers.jsonl", Answer)
    likelihoods = read_records(folder.path / "likelihoods.jsonl", Likelihood)
    file = folder.path / "cosines.jsonl"
    cosines = read_records(file, Cosine) if file.is_file() else []
    return [
        Sitting(
            taker=taker,
            items={item.id: item for item in items},
            personas={persona.id: persona for persona in personas},
            answers={(one.item, one.sample): one for one in answers if one.taker == taker},
            likelihoods={(one.item, one.place, one.given): one for one in likelihoods if one.taker == taker},
            cosines={(one.item, one.said): one for one in cosines if one.taker == taker},
        )
        for taker in takers
    ]
