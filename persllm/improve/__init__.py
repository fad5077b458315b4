"""Corrections to a new version of the models: trained from the version in use, examined against it, kept only if nothing fell.

    lesson.py   which corrections are learnt, which are held out, and which old pairs go with them
    exam.py     the version before and the new one on the run's own test items and on the corrections

In `versions/N/`: `made-with` first, then `pairs.jsonl` and `held-out.jsonl`, a folder of each model that was trained,
`test.jsonl`, `likelihoods.jsonl` and `scores.jsonl`, and `version.json` last. A version that was begun and not finished
goes on where it stopped if it would still be the same, and is made anew otherwise. A version made of the very same
things as an earlier one is that one: nothing is trained twice.

Limits: the examination is by likelihood, on as many items as the run has; a small fall is not seen with few of them.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import persllm
from persllm.config import DpoSettings, Recipe
from persllm.errors import RunError, TrainingError
from persllm.improve.exam import compare, examine
from persllm.improve.lesson import Lesson, lesson_of
from persllm.records import Dropped, Persona, Record, TestItem, fingerprint
from persllm.store import Progress, Run, StepFolder, now, read_records, replace_json, silent
from persllm.takers import MANNERS, Opener, open_local, players
from persllm.test_sets import first_of_each_set
from persllm.versions import Version, current_number, folder_of, lineage, make_current, training_of, version_file, versions_of
from persllm.weights import weights_below

Show = Callable[[str], contextlib.AbstractContextManager[Progress]]
"""Opens whatever shows the progress of a piece of work with that title."""


@contextlib.contextmanager
def show_nothing(title: str) -> Iterator[Progress]:
    """A Show for libraries and tests."""
    yield silent


class Outline(Record):
    """What `improve` would do."""

    number: int
    """The version that would be made, or, if it was made of the same things already, is there."""
    there: bool
    """Whether it is there."""
    parent: int
    corrections: int
    """Corrections in the file."""
    new: int
    """Pairs of new corrections that would be trained on."""
    learnt: int
    """Pairs that the version in use has learnt already."""
    held_out: int
    """Pairs kept for the examination."""
    lone: int
    """Thumbs that make no pair."""
    foreign: int
    """Pairs of persons or stages that the run does not have."""
    pairs: int
    """Pairs trained on, repetitions and old ones counted."""
    old: int
    models: tuple[str, ...]
    """Models that would be trained: `cast`, or persons."""
    items: int
    """Test items that the versions are compared on."""


class Work:
    """All that a version is made of, settled before anything is written."""

    def __init__(self, run: Run, recipe: Recipe):
        self.run, self.recipe, self.settings = run, recipe, recipe.improve
        self.personas = run.step("1-materials").records(Persona, "personas.jsonl")
        self.parent = current_number(run)
        self.before = models_in_use(run, recipe, self.personas)
        self.lesson: Lesson = lesson_of(run, self.personas, lineage(run, self.parent), recipe.improve, recipe.mode, recipe.seed)
        self.items = test_items(run, recipe)
        self.dpo = dpo_settings(recipe)

    @property
    def made_with(self) -> dict[str, Any]:
        """Everything the result depends on."""
        return {
            "step": "version", "version": persllm.__version__, "parent": self.parent, "training": training_of(self.run),
            "settings": self.settings.model_dump(mode="json"), "dpo": self.dpo.model_dump(mode="json"), "seed": self.recipe.seed,
            "threads": self.recipe.threads, "bootstrap": self.recipe.evaluation.bootstrap, "pairs": self.lesson.data,
            "held_out": fingerprint([pair.identity for pair in self.lesson.held_out]), "items": fingerprint([item.identity for item in self.items]),
        }  # fmt: skip

    def twin(self) -> Version | None:
        """The finished version that was made of the very same."""
        return next((v for v in versions_of(self.run) if same(folder_of(self.run, v.number), self.made_with)), None)

    @property
    def next_number(self) -> int:
        """The number of a new version."""
        return 1 + max((version.number for version in versions_of(self.run)), default=0)

    def outline(self) -> Outline:
        """What would be done."""
        twin, lesson = self.twin(), self.lesson
        return Outline(
            number=twin.number if twin else self.next_number, there=twin is not None, parent=self.parent, corrections=lesson.corrections,
            new=len(lesson.new), learnt=len(lesson.learnt), held_out=len(lesson.held_out), lone=lesson.lone, foreign=lesson.foreign,
            pairs=sum(map(len, lesson.groups.values())), old=lesson.old, models=tuple(lesson.groups), items=len(self.items),
        )  # fmt: skip


def outline(path: Path, recipe: Recipe | None = None) -> Outline:
    """What `improve` would do; changes nothing."""
    run = Run.open(path)
    return Work(run, recipe or run.recipe).outline()


def improve(
    path: Path, recipe: Recipe | None = None, keep: bool = False, show: Show = show_nothing, opener: Opener | None = None
) -> Version:
    """Make the next version of a run from its corrections, and let it be the one in use if nothing that matters fell, or if `keep`.

    `recipe` is the run's own with other settings of `improve`. RunError if there is nothing new to learn.
    """
    run = Run.open(path)
    with run.locked():
        work = Work(run, recipe or run.recipe)
        if not work.lesson.new:
            raise RunError(nothing_new(run, work))
        version = work.twin() or make(work, show, opener or partial(open_local, threads=work.recipe.threads))
        if version.kept or keep:
            make_current(run, version.number)
    return version


def back(path: Path, number: int) -> None:
    """Let an earlier version, a rejected one, or with 0 the run itself be the one in use."""
    run = Run.open(path)
    with run.locked():
        make_current(run, number)


def nothing_new(run: Run, work: Work) -> str:
    """The message where there is nothing to train on."""
    lesson = work.lesson
    known = f"{len(lesson.learnt)} learnt in version {work.parent}, {len(lesson.held_out)} held out" if work.parent else "none makes a pair"
    counts = f"{lesson.corrections} corrections: {known}, {lesson.lone} thumbs without a counterpart, {lesson.foreign} of other persons or stages"
    return f"{run.path}: no new correction to learn ({counts}). Say what an answer should have been on the page: persllm web {run.path}."


# The parts of a version ----------------------------------------------------------------------------------


def make(work: Work, show: Show, opener: Opener) -> Version:
    """Train, examine, judge, and write version.json last."""
    number, started = work.next_number, time.monotonic()
    folder, lesson = folder_of(work.run, number), work.lesson
    if not same(folder, work.made_with):
        shutil.rmtree(folder.path, ignore_errors=True)
    folder.begin(work.made_with)
    folder.write("pairs.jsonl", [pair for pairs in lesson.groups.values() for pair in pairs])
    folder.write("held-out.jsonl", lesson.held_out)
    dropped = train(work, folder, show)
    learnt = [pair for pair in lesson.new if pair.identity not in {one.item for one in dropped}]
    if not learnt:
        raise TrainingError(
            f"{folder.path}: every correction is longer than dpo.max_length; see dropped.jsonl there. Raise it, or shorten them."
        )
    after = {**work.before, **{p.id: str(folder.path / name / "model") for name, p in members(work)}}
    with show(f"comparing version {number} with {work.parent}") as progress:
        scores = examine(
            folder, work.personas, work.before, after, work.items, learnt, lesson.held_out, work.recipe.evaluation.batch, opener, progress
        )
    compared, reasons = compare(scores, work.items, learnt, lesson.held_out, work.recipe)
    version = Version(
        number=number, parent=work.parent, made=now(), seconds=round(time.monotonic() - started, 2), training=training_of(work.run),
        data=lesson.data, learnt=tuple(pair.identity for pair in learnt), held_out=tuple(pair.identity for pair in lesson.held_out),
        pairs=sum(map(len, lesson.groups.values())), old=lesson.old,
        models={person: str(Path(model).relative_to(work.run.path)) for person, model in after.items()}, weights=weights_below(work.run.path, after.values()),
        compared=tuple(compared), kept=not reasons, reasons=tuple(reasons),
    )  # fmt: skip
    replace_json(version_file(work.run, number), version.model_dump(mode="json"))
    return version


def train(work: Work, folder: StepFolder, show: Show) -> list[Dropped]:
    """DPO of each model that has corrections, from the one in use; what was dropped."""
    from persllm.training import prefer

    dropped: list[Dropped] = []
    for name, pairs in work.lesson.groups.items():
        start = Path(work.before[pairs[0].persona]).parent
        with show(f"learning: {name}") as progress:
            dropped += prefer(
                work.run.path / "0-base" / "model",
                start,
                pairs,
                work.dpo,
                folder.path / name,
                work.recipe.seed,
                work.recipe.threads,
                progress,
            )
    folder.write("dropped.jsonl", dropped)
    return dropped


def members(work: Work) -> Iterator[tuple[str, Persona]]:
    """(model that is trained, person in it)."""
    for name in work.lesson.groups:
        yield from ((name, person) for person in work.personas if name in ("cast", person.id))


def models_in_use(run: Run, recipe: Recipe, personas: Sequence[Persona]) -> Mapping[str, str]:
    """Person -> folder of the model in use; persons without a trained one are left out. RunError if nobody has one."""
    found: dict[str, str] = {}
    for person in personas:
        trained = {name: folder for name, folder in players(run, recipe.mode, personas, person.id).items() if name not in MANNERS}
        if trained:
            found[person.id] = next(iter(trained.values()))
    if not found:
        raise RunError(f"{run.path}: no trained model. Finish the run with persllm run.")
    return found


def test_items(run: Run, recipe: Recipe) -> list[TestItem]:
    """The items of the run's examination; of the dataset step if it was not held."""
    held = run.path / "8-evaluation" / "test.jsonl"
    if held.is_file():
        return read_records(held, TestItem)
    made = run.path / "4-dataset" / "test.jsonl"
    return first_of_each_set(read_records(made, TestItem), recipe.evaluation.items_per_set) if made.is_file() else []


def dpo_settings(recipe: Recipe) -> DpoSettings:
    """The settings of DPO, with what `improve` changes."""
    wanted = {"learning_rate": recipe.improve.learning_rate, "epochs": recipe.improve.epochs, "start": "sft"}
    return recipe.dpo.model_copy(update={name: value for name, value in wanted.items() if value})


def same(folder: StepFolder, made_with: dict[str, Any]) -> bool:
    """Whether a folder was begun for these settings."""
    file = folder.path / "made-with"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")) == made_with
