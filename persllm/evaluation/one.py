"""One model put to one test: a folder, a name, an address, or a taker of a run, on questions from anywhere.

    test.jsonl answers.jsonl likelihoods.jsonl cosines.jsonl scores.jsonl figures.jsonl confusion.jsonl    as in an examination
    near.jsonl       questions that are as good as trained ones, if the training is known
    step.json        what was made of it, written last

A folder belongs to one model, test and manner; the same command goes on where it was stopped.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from persllm.config import Recipe
from persllm.errors import ConfigError, RunError
from persllm.evaluation import answer, by_meaning, guard_with, score
from persllm.evaluation.kept import fingerprint_of
from persllm.evaluation.paper import Paper, near_trained, read_paper
from persllm.records import fingerprint
from persllm.retrieval import Retriever
from persllm.store import Progress, Run, StepFolder, now, silent
from persllm.takers import TRAINED, Opener, Taker, opener_of, taker_named
from persllm.templates import knows_persons

TakerManner = Literal["plain", "prompted", "retrieval", "trained"]
KEPT = "kept"


@dataclass(frozen=True)
class Entrant:
    """A model that is to sit, and what is known of where it comes from."""

    name: str
    source: str
    """Folder, name, or URL."""
    run: Run | None = None
    taker: str = ""
    """Its name in the run, if it is one of its takers."""


def entrant_of(model: str, served_as: str = "") -> Entrant:
    """What a command names: a URL with the name it serves, a run folder with or without `:TAKER`, a model folder, or a name."""
    if "://" in model:
        return Entrant(name=plain_name(served_as), source=model)
    folder, _, taker = model.rpartition(":") if ":" in model else (model, "", "")
    if (Path(folder) / "config.json").is_file() and (Path(folder) / "1-materials").is_dir():
        return taker_in(Run.open(Path(folder)), taker)
    path = Path(model)
    home = next((parent for parent in path.resolve().parents if (parent / "1-materials").is_dir()), None) if path.is_dir() else None
    return Entrant(name=plain_name("-".join(path.parts[-4:])), source=model, run=Run(home) if home else None)


def taker_in(run: Run, name: str) -> Entrant:
    """A taker of a run, by default the one at the end of its training."""
    there = [taker for taker, step in TRAINED.items() if any(run.path.glob(f"{step}/*/model"))]
    if not name and not there:
        raise RunError(f"{run.path}: no model was trained here yet. Finish it with persllm run RECIPE, or give {run.path}:base.")
    taker = name or there[-1]
    known = [*there, "base", "prompted", "retrieval", *(["stylised"] if (run.path / "baselines" / "stylised").is_dir() else [])]
    if taker not in known:
        raise RunError(f"{run.path}: no taker {taker}. There are: {', '.join(known)}.")
    return Entrant(name=f"{run.path.name}-{taker}", source=str(run.path), run=run, taker=taker)


def plain_name(text: str) -> str:
    """A text as the name of a folder."""
    return re.sub(r"\W+", "-", text).strip("-") or "model"


def taker_for(entrant: Entrant, paper: Paper, recipe: Recipe, manner: str) -> Taker:
    """The entrant as a taker of this test. ConfigError if it cannot be asked in that manner."""
    mode = entrant.run.recipe.mode if entrant.run else "solo"
    own = taker_named(entrant.taker, mode, entrant.run, paper.personas) if entrant.run and entrant.taker else None
    if own and not manner:
        return replace(own, name=entrant.name)
    chosen = manner or usual_manner(entrant, paper)
    if chosen not in get_args(TakerManner):
        raise ConfigError(f"--taker-manner {chosen}: choose {', '.join(get_args(TakerManner))}.")
    if chosen in ("prompted", "retrieval") and not paper.profiles:
        raise ConfigError(f"--taker-manner {chosen} tells the person's profile, which is not known. Give --persona FOLDER.")
    if chosen == "retrieval" and not paper.materials:
        raise ConfigError("--taker-manner retrieval looks passages up in materials, which are not known. Give --persona FOLDER.")
    api = next((model.api for model in recipe.evaluation.models.values() if model.api.url), None)
    source = f"{api.model} at {api.url}" if api else entrant.source
    retrievers = {p.id: Retriever([m for m in paper.materials if m.persona == p.id], p.language) for p in paper.personas}
    return Taker(
        name=entrant.name, manner="prompted" if chosen == "retrieval" else chosen, personas={p.id: p for p in paper.personas},
        models=own.models if own else {p.id: source for p in paper.personas}, retrievers=retrievers if chosen == "retrieval" else None, api=api,
    )  # fmt: skip


def usual_manner(entrant: Entrant, paper: Paper) -> TakerManner:
    """By the template's variables if the model has them, else by profile and stage in words if these are known, else not at all."""
    template = Path(entrant.source) / "chat_template.jinja"
    if template.is_file() and "0-base" not in template.parts and knows_persons(template.read_text(encoding="utf-8")):
        return "trained"
    return "prompted" if paper.profiles else "plain"


def put_to_test(
    entrant: Entrant, test: Path, recipe: Recipe, folders: Sequence[Path], manner: str, out: Path | None, progress: Progress = silent,
    opener: Opener | None = None,
) -> tuple[StepFolder, dict[str, Any]]:  # fmt: skip
    """Let a model answer a test and score it; the folder of the results, and facts. Of `recipe` only settings of the examination count."""
    started = time.monotonic()
    paper = read_paper(test, folders, entrant.run)
    taker = taker_for(entrant, paper, recipe, manner)
    made_with = {
        "models": {person: fingerprint_of(source) for person, source in taker.models.items()}, "manner": taker.manner, "passages": bool(taker.retrievers),
        "test": fingerprint([item.identity for item in paper.items]), "evaluation": recipe.evaluation.deciding("models", "takers"),
        "personas": fingerprint([persona.identity for persona in paper.personas]), "seed": recipe.seed, "threads": recipe.threads,
    }  # fmt: skip
    folder = StepFolder(out or Path("evaluations") / f"{taker.name}-{fingerprint(made_with)[:8]}")
    folder.begin(made_with)
    folder.write("test.jsonl", paper.items)
    guard = guard_with(recipe, folder.path / "privacy", paper.personas, paper.materials)
    opener = opener or opener_of([taker], recipe.threads, guard)
    answer([taker], paper.items, recipe.evaluation, folder, progress, opener, recipe.seed, folder.path.parent / KEPT)
    by_meaning(recipe, [taker], paper.items, folder, folder.path.parent / KEPT, folder.path / "privacy", paper.personas, paper.materials)
    facts = score([taker], paper.items, paper.personas, paper.conversations, recipe.evaluation, folder, recipe.seed)
    near = near_trained(paper.items, paper.conversations, recipe.mixture.near_duplicate)
    folder.write("near.jsonl", near)
    facts |= {"near_trained": len(near) if paper.conversations else None, "model": entrant.source, "test": str(test), "finished": now()}
    folder.finish(time.monotonic() - started, facts)
    return folder, facts
