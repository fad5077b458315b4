"""The whole story is one list: STEPS. Each step reads what the ones before it left on disk, and writes its own folder.

This is the only module that knows the order. A step that is finished is not done again; a step that was begun
goes on where it stopped; a folder made with other settings is refused.
"""

import contextlib
import logging
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import persllm
from persllm import checks, dataset, general, materials, mixture, negatives, pairs, styling
from persllm.baselines import check_baselines, train_baselines
from persllm.chat.ledger import check_prices
from persllm.config import Recipe
from persllm.construction import Construction
from persllm.errors import ConfigError, MaterialError, RunError
from persllm.gold import gold_items
from persllm.launching import Launch, follow, plan
from persllm.leading import leading
from persllm.privacy import refuse_remote
from persllm.provenance import logged, write_provenance
from persllm.records import Conversation, Dropped, Material, Persona, PreferencePair, Question, TestItem, fingerprint
from persllm.step_settings import WAYS, constructor_settings, dataset_settings, dump, evaluation_settings, folders_settings
from persllm.store import Part, Progress, Run, StepFolder, differences, now, replace_json, silent
from persllm.trackers import check_trackers
from persllm.verification import check_verifier, verify_sample

log = logging.getLogger("persllm")


@dataclass(frozen=True)
class Work:
    """What a step gets: the recipe, the run, its own folder, a way to say how far it is, a cache for all runs."""

    recipe: Recipe
    run: Run
    folder: StepFolder
    progress: Progress
    cache: Path
    launch: Launch | None = None
    """On which devices a training runs; None trains in this process."""

    @property
    def personas(self) -> list[Persona]:
        """The persons of the run."""
        return self.run.step("1-materials").records(Persona, "personas.jsonl")

    @property
    def materials(self) -> list[Material]:
        """The materials of all persons."""
        return self.run.step("1-materials").records(Material)

    @property
    def conversations(self) -> list[Conversation]:
        """The trained conversations, each once."""
        return self.run.step("4-dataset").records(Conversation, "conversations.jsonl")

    @property
    def base(self) -> Path:
        """The base model with the stage tokens."""
        return self.run.path / "0-base" / "model"


def groups(recipe: Recipe, personas: list[Persona]) -> dict[str, list[Persona]]:
    """Name of each model to be trained -> the persons in it."""
    return {"cast": personas} if recipe.mode == "cast" else {persona.id: [persona] for persona in personas}


# The steps -----------------------------------------------------------------------------------------------


def prepare_base(work: Work) -> dict[str, Any]:
    """The base model with its tokenizer, chat template and stage tokens; the small base is built at first use."""
    from persllm.base import prepare_base

    recipe = work.recipe
    return prepare_base(recipe.base, read_personas(recipe), work.base, work.cache, recipe.seed, recipe.threads, work.progress)


def read_materials(work: Work) -> dict[str, Any]:
    """Every persona folder to materials."""
    folders = read_folders(work.recipe)
    found = [material for folder in folders for material in folder.materials]
    work.folder.write("personas.jsonl", [folder.persona for folder in folders])
    work.folder.write("records.jsonl", found)
    work.folder.write("dropped.jsonl", [dropped for folder in folders for dropped in folder.dropped])
    work.progress(len(folders), len(folders))
    return {"persons": len(folders), "materials": len(found)}


def raise_questions(work: Work) -> dict[str, Any]:
    """Questions, opinions, inductions and controls about every material."""
    done = construction_of(work).raise_questions(work.folder, work.progress)
    return {"questions": len(work.folder.records(Question)), **done}


def answer_questions(work: Work) -> dict[str, Any]:
    """Every question answered in role from the materials."""
    questions = work.run.step("2-questions").records(Question)
    construction = construction_of(work)
    done = construction.answer_questions(questions, work.folder, work.progress)
    return {"conversations": len(work.folder.records(Conversation)), **done, **construction.stylise(work.folder)}


def construction_of(work: Work) -> Construction:
    """How this run makes conversations from its materials."""
    return Construction(work.recipe, work.personas, work.materials, work.run.path / "spending.jsonl", work.cache / "calls")


def make_dataset(work: Work) -> dict[str, Any]:
    """Reject, deduplicate, split by material, mix with general conversations."""
    conversations = work.run.step("3-answers").records(Conversation)
    questions = work.run.step("2-questions").records(Question)
    checker = checks.Checker(work.personas, work.materials, questions, work.recipe.checks)
    talk, unusable = general.talk_and_dropped(work.recipe.mixture, work.personas)
    talk += styling.stylised_of(work.run.step("3-answers"))
    measure = None
    if work.recipe.mixture.general_by == "tokens":
        from persllm.training.samples import token_counter

        measure = token_counter(work.base)
    made = dataset.make_dataset(conversations, work.materials, work.personas, talk, work.recipe.mixture, work.recipe.seed, checker, measure)
    for name in ("conversations", "train", "test"):
        work.folder.write(f"{name}.jsonl", getattr(made, name))
    work.folder.write("dropped.jsonl", [*made.dropped, *unusable])
    if made.canaries:
        work.folder.write("canaries.jsonl", made.canaries)
    if not made.train:
        raise MaterialError(
            f"{work.folder.path}: no conversation is left to train on; see dropped.jsonl there and in {work.run.path / '3-answers'}."
        )
    spending, kept = work.run.path / "spending.jsonl", work.cache / "calls"
    verified = verify_sample(work.recipe, checker, conversations, made.dropped, work.folder, spending, kept, work.progress)
    work.progress(1, 1)
    counts = {"conversations": len(made.conversations), "train": len(made.train), "test": len(made.test)}
    return {**counts, "mixture": mixture.shares(made.train, measure), **verified}


def tune(work: Work) -> dict[str, Any]:
    """Personified conversational tuning."""
    from persllm.training import facts_of_step, tune

    train = work.run.step("4-dataset").records(Conversation, "train.jsonl")
    train = mixture.by_stages(train, work.personas) if work.recipe.sft.order == "stages" else train
    dropped: list[Dropped] = []
    members = groups(work.recipe, work.personas)
    for place, (name, persons) in enumerate(members.items()):
        own = {"", *(persona.id for persona in persons)}
        samples = [conversation for conversation in train if conversation.persona in own]
        progress = Part(work.progress, place, len(members))
        dropped += tune(
            work.base, samples, work.recipe.sft, work.folder.path / name, work.recipe.seed, work.recipe.threads, progress, work.launch
        )
    work.folder.write("dropped.jsonl", dropped)
    return facts_of_step(work.folder.path, list(members), work.run.path / "4-dataset" / "train.jsonl")


def make_pairs(work: Work) -> dict[str, Any]:
    """Preference pairs with a guaranteed contrast."""
    model_of = {persona.id: name for name, persons in groups(work.recipe, work.personas).items() for persona in persons}
    answers = negatives.answers_of(work.run, work.recipe, work.conversations, work.personas, model_of, work.folder, work.progress)
    made, dropped = pairs.make_pairs(work.conversations, work.personas, work.recipe.dpo, work.recipe.seed, answers)
    work.folder.write("records.jsonl", made)
    work.folder.write("dropped.jsonl", dropped)
    work.progress(1, 1)
    return pairs.facts_of(made, answers)


def prefer(work: Work) -> dict[str, Any]:
    """Automatic DPO."""
    from persllm.training import facts_of_step, prefer

    made = work.run.step("6-pairs").records(PreferencePair)
    dropped: list[Dropped] = []
    members = groups(work.recipe, work.personas)
    trained = []
    for place, (name, persons) in enumerate(members.items()):
        own = [pair for pair in made if pair.persona in {persona.id for persona in persons}]
        if own:
            sft = work.run.path / "5-sft" / name
            progress = Part(work.progress, place, len(members))
            dropped += prefer(
                work.base, sft, own, work.recipe.dpo, work.folder.path / name, work.recipe.seed, work.recipe.threads, progress, work.launch
            )
            trained.append(name)
    work.folder.write("dropped.jsonl", dropped)
    return facts_of_step(work.folder.path, trained, work.run.path / "6-pairs" / "records.jsonl")


def examine(work: Work) -> dict[str, Any]:
    """Takers answer; metrics score."""
    from persllm.evaluation import evaluate

    alone = work.launch if work.launch and plan(work.launch).machines == 1 else None
    train_baselines(work.recipe, work.run, groups(work.recipe, work.personas), work.base, work.progress, alone)
    items = work.run.step("4-dataset").records(TestItem, "test.jsonl")
    return evaluate(work.recipe, work.run, work.personas, items, work.conversations, work.folder, work.progress)


def write_report(work: Work) -> dict[str, Any]:
    """Figures to tables, plots, and one page."""
    from persllm.report import write_report

    return write_report(work.recipe, work.run, work.folder, work.progress)


# The list ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A part of the pipeline."""

    folder: str
    title: str
    work: Callable[[Work], dict[str, Any]]
    settings: Callable[[Recipe], dict[str, Any]]
    """What the step's result depends on, besides the steps it needs."""
    needs: tuple[str, ...] = ()


STEPS = (
    Step(
        "0-base",
        "base model",
        prepare_base,
        lambda r: {"base": r.base.model_dump(mode="json"), "threads": r.threads, "seed": r.seed, **folders_settings(r)},
    ),
    Step("1-materials", "materials", read_materials, folders_settings),
    Step("2-questions", "questions", raise_questions, constructor_settings, ("1-materials",)),
    Step("3-answers", "answers", answer_questions, constructor_settings, ("2-questions",)),
    Step("4-dataset", "dataset", make_dataset, dataset_settings, ("3-answers",)),
    Step("5-sft", "personified tuning", tune, lambda r: {**dump("sft")(r), "mode": r.mode}, ("0-base", "4-dataset")),
    Step("6-pairs", "preference pairs", make_pairs, dump("dpo"), ("4-dataset", "5-sft")),
    Step("7-dpo", "automatic DPO", prefer, dump("dpo"), ("5-sft", "6-pairs")),
    Step("8-evaluation", "evaluation", examine, evaluation_settings, ("7-dpo",)),
    Step("9-report", "report", write_report, lambda r: {}, ("8-evaluation",)),
)
BY_FOLDER = {step.folder: step for step in STEPS}

Show = Callable[[Step], contextlib.AbstractContextManager[Progress]]
"""Opens whatever shows the progress of a step."""


@contextlib.contextmanager
def show_nothing(step: Step) -> Iterator[Progress]:
    """A Show for libraries and tests."""
    yield silent


def run_recipe(
    recipe: Recipe,
    runs: Path,
    show: Show = show_nothing,
    redo: str = "",
    until: str = "",
    cache: Path | None = None,
    launch: Launch | None = None,
) -> Run:
    """Do every step that is owed, in order, and return the run.

    `redo` names a step that is made again with all later ones; `until` the last step wanted; `launch` spreads the trainings.
    Raises RunError if the folder was made with other settings.
    """
    first, last = step_named(redo), step_named(until)
    run = Run(runs / recipe.name)
    check_before(recipe)
    several = bool(launch and plan(launch).machines > 1)
    if several and first:
        raise ConfigError("--redo goes with one machine: make the step again there with --until, or take another --run NAME.")
    if launch and plan(launch).machine_rank > 0:
        take_part_in(run, launch, last, show)
        return run
    with run.locked(), logged(run), leading(run.path) if several else contextlib.nullcontext():
        if first:
            for step in STEPS[: STEPS.index(first)]:
                run.step(step.folder).check(made_with(step, recipe))
            run.remove_steps([step.folder for step in STEPS[STEPS.index(first) :]])
            if first is not STEPS[-1]:
                remove_told(run)
        accept_settings(run, recipe, bool(first))
        write_provenance(run)
        for step in STEPS:
            do_step(step, run, recipe, show, cache or default_cache(), launch)
            if step is last:
                break
    return run


def remove_told(run: Run) -> None:
    """Remove what attacks, scales, judges and audits told of models that are made again; what was answered and paid for stays."""
    from persllm.report.further import told_of_models

    for file in told_of_models(run.path):
        file.unlink()


def take_part_in(run: Run, launch: Launch, last: Step | None, show: Show) -> None:
    """What a machine other than the first does: train along, until the last training that is wanted is finished."""
    wanted = STEPS[: STEPS.index(last) + 1] if last else STEPS
    trainings = [step for step in wanted if step.folder in ("5-sft", "7-dpo")]
    if trainings:
        with show(trainings[-1]) as progress:
            follow(launch, run.path, lambda: run.step(trainings[-1].folder).finished, progress)


def step_named(name: str) -> Step | None:
    """A step by its folder or the part after the number; ConfigError if there is none."""
    for step in STEPS:
        if name and name in (step.folder, step.folder.split("-", 1)[1]):
            return step
    if name:
        raise ConfigError(f"{name}: no such step. Steps: {', '.join(step.folder for step in STEPS)}.")
    return None


def check_before(recipe: Recipe) -> None:
    """Read everything the user gave before anything is written, and refuse addresses that may get no text."""
    refuse_remote(recipe)
    check_trackers(recipe)
    check_baselines(recipe)
    personas = read_personas(recipe)
    if recipe.constructor.engine == "llm":
        check_prices(recipe.budget, recipe.constructor.models)
    check_verifier(recipe.checks.verify)
    if recipe.checks.verify.share:
        check_prices(recipe.budget, [recipe.checks.verify.api.model])
    if recipe.evaluation.gold:
        gold_items([Path(folder) for folder in recipe.personas], personas, set())


def accept_settings(run: Run, recipe: Recipe, redo: bool) -> None:
    """Write config.json, or refuse if it says something else."""
    file = run.path / "config.json"
    fresh = recipe.model_dump(mode="json")
    if file.is_file() and not redo:
        before, wanted = (one.model_dump(mode="json", exclude=WAYS) for one in (run.recipe, recipe))
        if before != wanted:
            raise RunError(differences(run.path, before, wanted).replace(f"--redo {run.path.name}", "--redo STEP"))
    replace_json(file, fresh)


def made_with(step: Step, recipe: Recipe) -> dict[str, Any]:
    """Everything the result of a step depends on."""
    needs = {name: fingerprint(made_with(BY_FOLDER[name], recipe)) for name in step.needs}
    return {"step": step.folder, "version": persllm.__version__, "settings": step.settings(recipe), "needs": needs}


def do_step(step: Step, run: Run, recipe: Recipe, show: Show, cache: Path, launch: Launch | None) -> None:
    """Do one step unless it is finished."""
    folder = run.step(step.folder)
    folder.begin(made_with(step, recipe))
    if folder.finished:
        return
    log.info("step %s begins", step.folder)
    started = time.monotonic()
    with show(step) as progress:
        facts = step.work(Work(recipe=recipe, run=run, folder=folder, progress=progress, cache=cache, launch=launch))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    folder.finish(time.monotonic() - started, {**facts, "finished": now(), "peak_memory_mb": peak})
    log.info("step %s finished: %s", step.folder, facts)


# What the steps share ------------------------------------------------------------------------------------


def read_folders(recipe: Recipe) -> list[materials.Folder]:
    """The persona folders of a recipe; all complaints at once."""
    found: list[materials.Folder] = []
    complaints: list[str] = []
    for folder in recipe.personas:
        try:
            found.append(materials.read_folder(Path(folder)))
        except (MaterialError, ConfigError) as error:
            complaints.append(str(error))
    for what, names in (("name", [folder.persona.name for folder in found]), ("folder name", [folder.persona.id for folder in found])):
        twice = [name for name, count in Counter(names).items() if count > 1]
        complaints += [f"{name}: two persons have this {what}. Rename one, so that they can be told apart." for name in twice]
    if complaints:
        raise MaterialError("\n".join(complaints))
    return found


def read_personas(recipe: Recipe) -> list[Persona]:
    """The persons of a recipe."""
    return [folder.persona for folder in read_folders(recipe)]


def default_cache() -> Path:
    """The folder shared by all runs: the small base, and paid calls."""
    return Path(os.environ.get("PERSLLM_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "persllm")
