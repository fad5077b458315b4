"""A scale put to the takers of a run: RUN/scales/NAME/ holds the answers of each taker, the result and its page.

    put_scale(run, scale)     asks what is still owed, scores, and returns a `Result`
    write_result(...)         writes result.json, .md and .html

Answers and scores are separate: a finished taker is not asked again, and `--labels` asks nobody.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from persllm.errors import RunError
from persllm.records import Persona, Record, fingerprint
from persllm.roster import chosen, fulfilled, persons_of, shifted
from persllm.scales.agreement import Agreement, Label, agreement
from persllm.scales.asking import Answer, Wording, places, put, wordings_fingerprint
from persllm.scales.inventory import Scale
from persllm.scales.reliability import Reliability, Standing, reliabilities, standing
from persllm.scales.scoring import Change, DomainScore, changes, sat_of, scores
from persllm.store import Progress, Run, silent
from persllm.takers import NO_LIKELIHOODS, Opener, Taker, open_local


class Result(Record):
    """A scale put to the persons of a run."""

    run: str
    scale: Scale
    wording: Wording
    takers: tuple[str, ...]
    persons: dict[str, str]
    """Id -> name."""
    standings: tuple[Standing, ...]
    scores: tuple[DomainScore, ...]
    changes: tuple[Change, ...]
    reliability: tuple[Reliability, ...]
    agreement: tuple[Agreement, ...] = ()


def put_scale(
    run: Run, scale: Scale, wording: Wording = "interview", names: Sequence[str] = (), labels: tuple[str, Sequence[Label]] | None = None,
    redo: bool = False, progress: Progress = silent, opener: Opener | None = None,
) -> Result:  # fmt: skip
    """Ask the takers, all of the run if none is named, and score. RunError if one is not to be had."""
    recipe, personas, takers = run.recipe, persons_of(run), chosen(run, names)
    if silent_ones := [taker.name for taker in takers if taker.api]:
        raise RunError(f"{', '.join(silent_ones)}: {NO_LIKELIHOODS}, and a scale weighs its options. Name other takers.")
    answers: list[Answer] = []
    for number, taker in enumerate(takers):
        own = shifted(progress, number, len(takers), len(places(taker, personas)))
        answers += answers_of(run, taker, scale, wording, personas, redo, own, opener or partial(open_local, threads=recipe.threads))
    sat = sat_of(scale, answers)
    scored, moved, reliable = scores(scale, sat), changes(scale, sat), reliabilities(scale, sat)
    return Result(
        run=recipe.name, scale=scale, wording=wording, takers=tuple(one.name for one in takers), persons={p.id: p.name for p in personas},
        standings=tuple(standing(one.name, reliable, moved) for one in takers), scores=tuple(scored), changes=tuple(moved),
        reliability=tuple(reliable), agreement=tuple(agreement(*labels, scale, sat, scored)) if labels else (),
    )  # fmt: skip


def answers_of(
    run: Run, taker: Taker, scale: Scale, wording: Wording, personas: Sequence[Persona], redo: bool, progress: Progress, opener: Opener
) -> list[Answer]:
    """The answers of one taker, asked now as far as they are owed."""
    made_with = {
        "scale": scale.identity, "wording": wording, "wordings": wordings_fingerprint(),
        "persons": fingerprint([persona.model_dump(mode="json") for persona in personas]),
    }  # fmt: skip
    return fulfilled(
        run, folder_of(run, scale, wording) / taker.name, taker, made_with, places(taker, personas),
        lambda owed: put(taker, scale, wording, owed, opener), Answer, redo, progress, "Put the scale again with --redo.",
    )  # fmt: skip


def folder_of(run: Run, scale: Scale, wording: Wording) -> Path:
    """RUN/scales/NAME, the name made of that of the scale."""
    slug = re.sub(r"[^a-z0-9\u4e00-\u9fff]+", "-", scale.name.lower()).strip("-") or "scale"
    return run.path / "scales" / (slug if wording == "interview" else f"{slug}-{wording}")
