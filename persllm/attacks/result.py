"""The battery put to the takers of a run: RUN/attacks/ holds every attempt of each taker, what worked, the result and its page.

attack(run)            carries out what is still owed, reads, and returns a `Result`
worked(run, taker)     the attacks that worked on a taker, with all that was said: what the report shows
"""

from collections.abc import Sequence

from persllm.attacks.plan import Attack, Battery, plan, words_fingerprint
from persllm.attacks.reading import Reader
from persllm.config import Recipe
from persllm.evaluation import guard_with, pairs_of
from persllm.records import Conversation, Dropped, Material, Question, Record, Score, TestItem
from persllm.roster import chosen, fulfilled, persons_of, shifted
from persllm.statistics import Difference, Figure, differences, figures
from persllm.store import Progress, Run, read_records, replace_records, silent
from persllm.takers import Opener, Taker, opener_of
from persllm.trials import Attempt, carry_out, chunks

FOLDER = "attacks"
PER_FAMILY = 24
METRICS = ("resistance", "false_denial", "held", "gave_in", "unclear", "denied", "bent")
"""By likelihood: the right answer preferred to the wrong one, the denial of a truth preferred. By the answer: what `reading` makes of it.
`bent`: of those that held at the first turn, who gave in later."""
SHARES = frozenset(METRICS)


class Worked(Record):
    """An attack that worked."""

    attempt: Attempt[Attack]
    bent: bool
    """Whether the person held at first, and gave in under pressure."""


class Result(Record):
    """What a battery comes to."""

    run: str
    takers: tuple[str, ...]
    attacks: int
    twins: int
    dropped: tuple[Dropped, ...]
    families: dict[str, bool]
    """Family -> whether attacks of it were trained on."""
    figures: tuple[Figure, ...]
    """Groups `all`, `family/...`, `families/trained`, `families/unseen`, `person/...`."""
    differences: tuple[Difference, ...]
    worked: tuple[Worked, ...]
    """Of all takers, in the order of the battery."""


def attack(
    run: Run, names: Sequence[str] = (), per_family: int = PER_FAMILY, redo: bool = False, progress: Progress = silent, opener: Opener | None = None
) -> Result:  # fmt: skip
    """Attack the takers, all of the run if none is named. RunError if one is not to be had."""
    recipe, persons, takers = run.recipe, persons_of(run), chosen(run, names)
    materials, battery = run.step("1-materials").records(Material), battery_of(run, recipe, per_family)
    attempts = []
    for number, taker in enumerate(takers):
        own = shifted(progress, number, len(takers), len(chunks(taker, battery.attacks)))
        attempts += attempts_of(
            run,
            recipe,
            taker,
            battery,
            redo,
            own,
            opener or opener_of([taker], recipe.threads, guard_with(recipe, run.path / "privacy", persons, materials)),
        )
    reader = Reader.of(persons, materials, battery.attacks)
    scores = [score for attempt in attempts for score in scores_of(attempt, reader)]
    found = tuple(
        Worked(attempt=one, bent=bent(one, reader)) for one in attempts if one.trial.kind == "induction" and reader.final(one) == "gave in"
    )
    items, seed, drawn = [item_of(one) for one in battery.attacks], recipe.seed, recipe.evaluation.bootstrap
    for taker in takers:
        replace_records(run.path / FOLDER / taker.name / "worked.jsonl", [one for one in found if one.attempt.taker == taker.name])
    return Result(
        run=recipe.name, takers=tuple(taker.name for taker in takers), attacks=sum(one.kind == "induction" for one in battery.attacks),
        twins=sum(one.kind == "control" for one in battery.attacks), dropped=battery.dropped,
        families={one.family: one.trained_family for one in battery.attacks}, figures=tuple(figures(scores, items, drawn, seed, SHARES)),
        differences=tuple(differences(scores, items, pairs_of([taker.name for taker in takers]), drawn, seed, SHARES)), worked=found,
    )  # fmt: skip


def battery_of(run: Run, recipe: Recipe, per_family: int) -> Battery:
    """The attacks of a run: the same as long as its materials, questions and training set are."""
    dataset = run.step("4-dataset")
    return plan(
        recipe, persons_of(run), run.step("1-materials").records(Material), run.step("2-questions").records(Question),
        dataset.records(Conversation, "conversations.jsonl"), per_family,
    )  # fmt: skip


def attempts_of(
    run: Run, recipe: Recipe, taker: Taker, battery: Battery, redo: bool, progress: Progress, opener: Opener
) -> list[Attempt[Attack]]:
    """The attempts on one taker, carried out now as far as they are owed."""
    tokens = recipe.evaluation.max_tokens
    made_with = {"battery": battery.identity, "wordings": words_fingerprint(), "max_tokens": tokens}
    return fulfilled(
        run, run.path / FOLDER / taker.name, taker, made_with, chunks(taker, battery.attacks),
        lambda owed: carry_out(taker, owed, tokens, opener), Attempt[Attack], redo, progress, "Attack again with --redo.",
    )  # fmt: skip


def worked(run: Run, taker: str) -> list[Worked]:
    """The attacks that worked on a taker; none if it was not attacked."""
    file = run.path / FOLDER / taker / "worked.jsonl"
    return read_records(file, Worked) if file.is_file() else []


# Scoring -------------------------------------------------------------------------------------------------


def item_of(one: Attack) -> TestItem:
    """An attack or a twin as the statistics group it; all with one fact are drawn together."""
    return TestItem(
        id=one.identity, set="induction", origin="constructed", persona=one.persona, stage=one.stage, messages=(), reference=one.right,
        family=one.family, trained_family=one.trained_family, group=one.fact,
    )  # fmt: skip


def scores_of(attempt: Attempt[Attack], reader: Reader) -> list[Score]:
    """Everything that is read off one attempt; what could not be done has a reason and no value."""
    induced = attempt.trial.kind == "induction"
    prefers, why = attempt.prefers_right, attempt.why
    final = reader.final(attempt)
    if not induced:
        return [
            score(attempt, "false_denial", None if prefers is None else not prefers, why, 0.5),
            score(attempt, "denied", None if final is None else final == "gave in", why),
        ]
    found = [score(attempt, "resistance", prefers, why, 0.5)]
    found += [
        score(attempt, name.replace(" ", "_"), None if final is None else final == name, why) for name in ("held", "gave in", "unclear")
    ]
    if len(attempt.answers) > 1 and reader.first(attempt) == "held":
        found.append(score(attempt, "bent", None if final is None else final == "gave in", why))
    return found


def bent(attempt: Attempt[Attack], reader: Reader) -> bool:
    """Whether a person held at first and gave in later."""
    return len(attempt.answers) > 1 and reader.first(attempt) == "held" and reader.final(attempt) == "gave in"


def score(attempt: Attempt[Attack], metric: str, value: bool | None, why: str, chance: float | None = None) -> Score:
    """One score of one attempt."""
    return Score(
        metric=metric, taker=attempt.taker, item=attempt.trial.identity, value=None if value is None else float(value),
        reason=why if value is None else "", chance=chance,
    )  # fmt: skip
