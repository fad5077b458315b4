"""Every trained result of a run, with what it was made of and what was measured on it; tags; and the way back.

Results are the phases `sft` and `dpo` of each model, and the versions made from corrections (`v1`, `v2`, ...). Nothing
is kept twice: the run folder is the registry, `versions/current` says what is in use (`persllm.versions`), and
`versions/tags.json` gives results names of your own, each pinned to its weights.

A score is shown only with the weights it was measured on: the examination writes down their fingerprints, and where
the model there now is another one, the scores count as stale and are left out, with the reason.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from persllm.config import Recipe
from persllm.errors import ConfigError, RunError
from persllm.improve import back
from persllm.metrics import SHARES
from persllm.parsing import flatten
from persllm.records import Persona, PreferencePair, Record, Score, TestItem, fingerprint
from persllm.statistics import Draws, Figure, by_key, figures_of_group
from persllm.store import Run, now, read_records, replace_json
from persllm.takers import MANNERS, TRAINED
from persllm.versions import Pin, Version, current_number, folder_of, lineage, standing, tags_of, versions_of
from persllm.weights import Known, file_fingerprint

HEADLINES = (
    ("choice", ""), ("fact_recall", ""), ("rouge_l", ""), ("identified_stage", ""), ("resistance", ""), ("false_denial", ""),
    ("leak", ""), ("stuck", ""), ("general_loss", "plain"), ("loss_change", "plain"),
)  # fmt: skip
"""Figures that are told of a result: metric and detail."""
DATA = {"sft": "4-dataset/train.jsonl", "dpo": "6-pairs/records.jsonl"}
"""What each phase is trained on."""
TAG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
OWN_NAME = re.compile(r"v?\d+")

State = Literal["checked", "by settings", "stale", "none"]
"""Of scores: measured on these very weights; on a model of the same settings, its weights not written down (an older
run); on another model; never measured. Of data: unchanged since, not written down, changed since, not there."""


class Result(Record):
    """One trained model: a phase of a run, or a version, of the persons it plays."""

    run: str
    """The run folder."""
    name: str
    """`sft`, `dpo`, or a version such as `v1`."""
    persons: tuple[str, ...]
    folder: str
    """Model folder below the run."""
    in_use: bool
    """Whether it answers where nothing else is asked for."""
    tags: tuple[str, ...]
    base: str
    """The base as the recipe names it."""
    parent: str
    """What it was trained from: `base`, or another result."""
    adapter: Literal["lora", "full"]
    made: str
    """When, in UTC; empty if not known."""
    weights: str
    """Fingerprint of the model folder."""
    data: str
    """Fingerprint of what it was trained on."""
    data_state: State
    scores: tuple[Figure, ...]
    """Figures over all its items; empty if stale or never measured."""
    scores_state: State
    kept: bool = True
    """Of versions: whether the comparison with the parent kept it."""
    standing: bool = True
    """Of versions: whether the run is still trained as it was."""
    settings: dict[str, Any]
    """Settings of the recipe that are not the defaults, such as `sft.epochs`."""


class Registry:
    """The results of one run."""

    def __init__(self, path: Path):
        self.run = Run.open(path)
        self.recipe = self.run.recipe
        self.personas = self.run.step("1-materials").records(Persona, "personas.jsonl")
        self.known = Known(path)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Name of each model of a phase -> ids of its persons."""
        ids = tuple(persona.id for persona in self.personas)
        return {"cast": ids} if self.recipe.mode == "cast" else {one: (one,) for one in ids}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the recipe says that is not the default."""
        return unlike(self.recipe, Recipe(name=self.recipe.name, personas=self.recipe.personas))

    @cached_property
    def results(self) -> list[Result]:
        """Phases first, then versions, the oldest first."""
        return [*self.phases(), *self.versions()]

    def find(self, name: str = "", persona: str = "") -> Result:
        """The result of a name or tag that plays a person; without a name the one in use. RunError if there is no such, or a choice."""
        wanted = self.tagged(name) if name in self.tags else name
        found = [r for r in self.results if (r.name == wanted or (not wanted and r.in_use)) and (not persona or persona in r.persons)]
        if len(found) == 1:
            return found[0]
        if found:
            raise RunError(
                f"{self.run.path}: {len(found)} models are named {wanted or 'in use'}; choose a person with --persona: {told(found)}."
            )
        people = f" of {persona}" if persona else ""
        known = ", ".join(dict.fromkeys([*(r.name for r in self.results), *self.tags])) or "none; finish the run with persllm run"
        raise RunError(f"{self.run.path}: no trained result {wanted or 'in use'}{people}. There are: {known}.")

    # The results -------------------------------------------------------------------------------------

    def phases(self) -> Iterator[Result]:
        """What the run itself trained."""
        best = {person: self.best(person) for persons in self.groups.values() for person in persons}
        for name, step in TRAINED.items():
            for group, persons in self.groups.items():
                folder = f"{step}/{group}/model"
                if not (self.run.path / folder).is_dir():
                    continue
                summary = self.summary(step)
                data = file_fingerprint(self.run.path / DATA[name])
                scores, state = self.examined(name, folder, persons)
                yield self.result(
                    name=name, persons=persons, folder=folder, in_use=any(best[person] == name for person in persons),
                    parent="base" if name == "sft" or self.recipe.dpo.start == "base" else "sft", made=summary.get("finished", ""), data=data,
                    data_state=state_of(summary.get("data", ""), data), scores=scores, scores_state=state,
                )  # fmt: skip

    def versions(self) -> Iterator[Result]:
        """What was made from corrections."""
        valid = {version.number for version in standing(self.run)}
        for version in versions_of(self.run):
            by_folder: dict[str, list[str]] = {}
            for person, folder in version.models.items():
                by_folder.setdefault(folder, []).append(person)
            for folder, persons in by_folder.items():
                if not folder.startswith(f"versions/{version.number}/") or not (self.run.path / folder).is_dir():
                    continue
                parent = f"v{version.parent}" if version.parent else self.phase_of(persons[0])
                scores, state = self.compared(version, folder)
                yield self.result(
                    name=f"v{version.number}", persons=tuple(persons), folder=folder, parent=parent, made=version.made, data=version.data,
                    in_use=any(self.best(person) == f"v{version.number}" for person in persons),
                    data_state=state_of(version.data, self.lesson_data(version)), scores=scores, scores_state=state, kept=version.kept,
                    standing=version.number in valid,
                )  # fmt: skip

    def result(self, **fields: Any) -> Result:
        """A result with what all of them share."""
        folder, name = fields["folder"], fields["name"]
        lora = (self.run.path / folder).with_name("adapter").is_dir()
        tags = tuple(tag for tag, pin in self.tags.items() if pin.result == name)
        return Result(
            run=str(self.run.path), base=self.recipe.base.model, adapter="lora" if lora else "full", tags=tags,
            weights=self.known.weights(folder), settings=self.settings, **fields,
        )  # fmt: skip

    def best(self, person: str) -> str:
        """Name of the result that answers for a person."""
        for version in lineage(self.run, current_number(self.run)):
            if version.models.get(person, "").startswith(f"versions/{version.number}/"):
                return f"v{version.number}"
        return self.phase_of(person)

    def phase_of(self, person: str) -> str:
        """The last phase that trained a person; empty if none did."""
        group = "cast" if self.recipe.mode == "cast" else person
        return next((name for name, step in reversed(TRAINED.items()) if (self.run.path / step / group / "model").is_dir()), "")

    def summary(self, step: str) -> dict[str, Any]:
        """What a finished step says of itself."""
        folder = self.run.step(step)
        return folder.summary() if folder.finished else {}

    # What was measured -------------------------------------------------------------------------------

    def examined(self, name: str, folder: str, persons: Sequence[str]) -> tuple[tuple[Figure, ...], State]:
        """The headline figures of a phase, and whether they are of this very model."""
        step = self.run.step("8-evaluation")
        if not (step.finished and (step.path / "figures.jsonl").is_file()):
            return (), "none"
        group = "all" if len(persons) == len(self.personas) else f"person/{persons[0]}"
        found = [f for f in self.figures if f.taker == name and (f.group == group or (f.metric == "loss_change" and group == "all"))]
        chosen = in_order(found)
        state = self.state_of_model(step.path / "weights.json", folder)
        if not chosen:
            return (), "none"
        return (chosen, state) if state != "stale" else ((), state)

    def all_of(self, result: Result) -> list[Figure]:
        """Every figure of a result over all its items; none if its scores are stale."""
        if result.name not in TRAINED or not result.scores:
            return list(result.scores)
        return [
            f for f in self.figures if f.taker == result.name and f.group == result.scores[0].group and not f.detail and f.value is not None
        ]

    @cached_property
    def figures(self) -> list[Figure]:
        """All figures of the examination."""
        return self.run.step("8-evaluation").records(Figure, "figures.jsonl")

    def state_of_model(self, file: Path, folder: str) -> State:
        """Whether the model that sat is the one that is there."""
        if file.is_file():
            sat = json.loads(file.read_text(encoding="utf-8")).get(folder, "")
            return "checked" if sat == self.known.weights(folder) else "stale"
        return "by settings" if self.chained("8-evaluation") else "stale"

    def chained(self, step: str) -> bool:
        """Whether a step and all it needs were made with each other, by what each wrote down before it began."""
        file = self.run.path / step / "made-with"
        if not file.is_file():
            return False
        for name, mark in json.loads(file.read_text(encoding="utf-8"))["needs"].items():
            other = self.run.path / name / "made-with"
            if not other.is_file() or fingerprint(json.loads(other.read_text(encoding="utf-8"))) != mark or not self.chained(name):
                return False
        return True

    def compared(self, version: Version, folder: str) -> tuple[tuple[Figure, ...], State]:
        """The headline figures of a version on the run's test items."""
        place = folder_of(self.run, version.number).path
        if not (place / "scores.jsonl").is_file():
            return (), "none"
        sat = version.weights.get(folder, "")
        if sat and sat != self.known.weights(folder):
            return (), "stale"
        persons = {person for person, own in version.models.items() if own == folder}
        items = [
            item for item in read_records(place / "test.jsonl", TestItem) if item.set != "correction" and item.persona in {"", *persons}
        ]
        names = {item.id for item in items}
        table = by_key(s for s in read_records(place / "scores.jsonl", Score) if s.taker == "after" and s.item in names)
        present = {key: list(own.values()) for key, own in table.items() if key[:2] in HEADLINES}
        if not present:
            return (), "none"
        draws = Draws("all", items, self.recipe.evaluation.bootstrap, self.recipe.seed)
        figures = figures_of_group("all", draws, present, SHARES)
        return in_order(f.model_copy(update={"taker": f"v{version.number}"}) for f in figures), "checked" if sat else "by settings"

    def lesson_data(self, version: Version) -> str:
        """Fingerprint of the pairs a version was trained on, as they lie there now."""
        file = folder_of(self.run, version.number).path / "pairs.jsonl"
        groups: dict[str, list[str]] = {}
        for pair in read_records(file, PreferencePair) if file.is_file() else ():
            groups.setdefault("cast" if self.recipe.mode == "cast" else pair.persona, []).append(pair.identity)
        return fingerprint(groups) if groups else ""

    # Names of your own ---------------------------------------------------------------------------------

    @cached_property
    def tags(self) -> dict[str, Pin]:
        """Tag -> the result it names, the fingerprints of its models, and when it was set."""
        return tags_of(self.run)

    def tagged(self, tag: str) -> str:
        """The result a tag names; RunError if its models are no longer the ones that were tagged."""
        pin = self.tags[tag]
        changed = [folder for folder, weights in pin.weights.items() if self.known.weights(folder) != weights]
        if changed:
            raise RunError(
                f"{self.run.path}: tag {tag} was set on {pin.result} at {pin.at}, but {changed[0]} is another model now. Set it anew."
            )
        return pin.result

    def tag(self, name: str, tag: str) -> None:
        """Give a result a name, pinned to its weights; a tag that is set again moves."""
        if not TAG.fullmatch(tag) or OWN_NAME.fullmatch(tag) or tag in (*TRAINED, *MANNERS):
            raise ConfigError(
                f"tag {tag!r}: use lower-case letters, digits, dots and hyphens, and no name that results have (sft, dpo, v1)."
            )
        wanted = self.tagged(name) if name in self.tags else name or self.find().name
        found = [r for r in self.results if r.name == wanted]
        if not found:
            self.find(wanted)
        pin = Pin(result=wanted, weights={r.folder: r.weights for r in found}, at=now())
        with self.run.locked():
            self.write_tags({**self.tags, tag: pin})

    def untag(self, tag: str) -> None:
        """Take a tag away."""
        if tag not in self.tags:
            raise RunError(f"{self.run.path}: no tag {tag}. There are: {', '.join(self.tags) or 'none'}.")
        with self.run.locked():
            self.write_tags({name: pin for name, pin in self.tags.items() if name != tag})

    def write_tags(self, tags: dict[str, Pin]) -> None:
        """Keep the tags; what was read before is read anew."""
        replace_json(self.run.path / "versions" / "tags.json", {tag: pin.model_dump() for tag, pin in tags.items()})
        for kept in ("tags", "results"):
            self.__dict__.pop(kept, None)


def roll_back(path: Path, target: str = "") -> int:
    """Let an earlier version be in use: a number, `v2`, a tag, `sft` or `dpo` for the run itself; without one the parent. Returns its number."""
    registry = Registry(path)
    current = current_number(registry.run)
    if not target:
        line = lineage(registry.run, current)
        if not line:
            raise RunError(f"{path}: the run itself is in use; there is nothing before it. Name a version: {names(registry)}.")
        number = line[0].parent
    else:
        name = registry.tagged(target) if target in registry.tags else target
        if name in TRAINED and name != registry.phase_of(registry.personas[0].id):
            raise RunError(f"{path}: {name} is not the last phase of the run, so it cannot be the one in use. Ask it by --taker {name}.")
        if name not in TRAINED and not OWN_NAME.fullmatch(name):
            raise RunError(f"{path}: no version {target}. There are: 0 (the run itself), {names(registry)}.")
        number = 0 if name in TRAINED else int(name.removeprefix("v"))
    back(path, number)
    return number


def names(registry: Registry) -> str:
    """The versions and tags of a run, for messages."""
    return ", ".join([*(f"v{version.number}" for version in versions_of(registry.run)), *registry.tags]) or "no others"


def unlike(recipe: Recipe, default: Recipe) -> dict[str, Any]:
    """Settings of one recipe that another does not have so, flat."""
    own, other = (flatten(one.model_dump(mode="json", exclude={"name", "personas"})) for one in (recipe, default))
    return {key: value for key, value in own.items() if other.get(key) != value}


def in_order(figures: Sequence[Figure] | Iterator[Figure]) -> tuple[Figure, ...]:
    """The headline figures among these that have a value, in the order of HEADLINES."""
    found = {(figure.metric, figure.detail): figure for figure in figures if figure.value is not None}
    return tuple(found[key] for key in HEADLINES if key in found)


def state_of(before: str, now_there: str) -> State:
    """Whether data are what they were."""
    if not now_there:
        return "none"
    return "by settings" if not before else "checked" if before == now_there else "stale"


def told(results: Sequence[Result]) -> str:
    """The persons of some results."""
    return ", ".join(person for result in results for person in result.persons)


def runs_below(targets: Sequence[Path]) -> list[Path]:
    """Run folders: those that are named, and those in folders that are named. RunError if there is none."""
    found = [
        run
        for target in targets
        for run in ([target] if (target / "config.json").is_file() else sorted(file.parent for file in target.glob("*/config.json")))
        if (run / "1-materials" / "personas.jsonl").is_file()
    ]
    if not found:
        raise RunError(f"{', '.join(map(str, targets))}: no run here. `persllm run RECIPE` makes one.")
    return found
