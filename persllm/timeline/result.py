"""Probes of time put to the takers of a run: RUN/timeline/ holds every answer of each taker, the result and its page.

`knows` is whether the knowing answer is likelier than every way in which the person says that it does not know. Of the written
answer, `tells` is whether it is made of the words of the knowing one rather than of these or of the question, and `admits` whether
it says that it does not know. Of the future and of what was missed, the first two are leaks; of the present and of what is
remembered, the third is forgetting.
"""

from collections.abc import Sequence

from persllm.checks.known import tools_of
from persllm.checks.marks import marks
from persllm.evaluation import guard_with, pairs_of
from persllm.languages import language
from persllm.metrics.facts import leans_to
from persllm.records import Conversation, Dropped, Material, Persona, Record, Score, TestItem
from persllm.roster import chosen, fulfilled, persons_of, shifted
from persllm.statistics import Difference, Figure, differences, figures
from persllm.store import Progress, Run, silent
from persllm.takers import Opener, Taker, opener_of
from persllm.timeline.plan import Kind, Probe, Timeline, plan
from persllm.timeline.questions import Question, questions_of
from persllm.trials import Attempt, carry_out, chunks
from persllm.wordings import wordings_fingerprint

FOLDER = "timeline"
PER_STAGE = 8
SHARES = frozenset({"knows", "tells", "admits"})


class Cell(Record):
    """What is known of one time at another."""

    taker: str
    persona: str
    """Empty for all persons together."""
    about: str
    """The stage of the matter; empty for what is named unknown."""
    stage: str
    """The stage at which it is asked."""
    kind: Kind
    n: int
    """Probes of which it is known whether they are known."""
    knows: float | None
    """Share by likelihood."""
    tells: float | None
    """Share by the written answer."""
    admits: float | None
    """Share of the written answers that say it is not known."""


class Result(Record):
    """What is known when."""

    run: str
    takers: tuple[str, ...]
    stages: tuple[str, ...]
    """Ids in order of time, of all persons."""
    probes: dict[str, int]
    """Kind -> number."""
    dropped: tuple[Dropped, ...]
    figures: tuple[Figure, ...]
    """`knows`, `tells` and `admits`, groups `family/KIND`."""
    differences: tuple[Difference, ...]
    cells: tuple[Cell, ...]
    questions: tuple[Question, ...]
    """The shared questions of the examination by stage; none if there was no examination."""


def timeline(
    run: Run, names: Sequence[str] = (), per_stage: int = PER_STAGE, redo: bool = False, progress: Progress = silent, opener: Opener | None = None
) -> Result:  # fmt: skip
    """Ask the takers, all of the run if none is named. RunError if one is not to be had."""
    recipe, personas, takers = run.recipe, persons_of(run), chosen(run, names)
    materials = run.step("1-materials").records(Material)
    trained = run.step("4-dataset").records(Conversation, "conversations.jsonl")
    made = plan(personas, materials, trained, recipe.mixture.held_out_materials, recipe.mixture.near_duplicate, per_stage)
    attempts: list[Attempt[Probe]] = []
    for number, taker in enumerate(takers):
        own = shifted(progress, number, len(takers), len(chunks(taker, made.probes)))
        opened = opener or opener_of([taker], recipe.threads, guard_with(recipe, run.path / "privacy", personas, materials))
        attempts += attempts_of(run, taker, made, recipe.evaluation.max_tokens, redo, own, opened)
    items, seed, drawn = [item_of(probe) for probe in made.probes], recipe.seed, recipe.evaluation.bootstrap
    scores = [score for attempt in attempts for score in scores_of(attempt)]
    known = [taker.name for taker in takers]
    return Result(
        run=recipe.name, takers=tuple(known), stages=in_time(personas), probes=counts(made.probes), dropped=made.dropped,
        figures=tuple(figures(scores, items, drawn, seed, SHARES)),
        differences=tuple(differences(scores, items, pairs_of(known), drawn, seed, SHARES)), cells=tuple(cells(attempts, scores)),
        questions=tuple(questions_of(run, known)),
    )  # fmt: skip


def attempts_of(
    run: Run, taker: Taker, made: Timeline, tokens: int, redo: bool, progress: Progress, opener: Opener
) -> list[Attempt[Probe]]:  # fmt: skip
    """The answers of one taker, asked now as far as they are owed."""
    settings = {"probes": made.identity, "wordings": wordings_fingerprint(), "max_tokens": tokens}
    return fulfilled(
        run, run.path / FOLDER / taker.name, taker, settings, chunks(taker, made.probes),
        lambda owed: carry_out(taker, owed, tokens, opener), Attempt[Probe], redo, progress, "Ask again with --redo.",
    )  # fmt: skip


def in_time(personas: Sequence[Persona]) -> tuple[str, ...]:
    """The stages of all persons, each id once, the earliest first."""
    ids = dict.fromkeys(stage.id for persona in personas for stage in persona.stages)
    return tuple(sorted(ids, key=lambda one: min(p.order(one) for p in personas if one in {stage.id for stage in p.stages})))


def counts(probes: Sequence[Probe]) -> dict[str, int]:
    """Kind -> number of probes."""
    return {kind: sum(probe.kind == kind for probe in probes) for kind in dict.fromkeys(probe.kind for probe in probes)}


def item_of(probe: Probe) -> TestItem:
    """A probe as the statistics group it; all probes of one matter are drawn together."""
    return TestItem(
        id=probe.identity, set="recall" if probe.kind in ("present", "remembered") else "future", origin="constructed", persona=probe.persona,
        stage=probe.stage, messages=(), reference=probe.right, family=probe.kind, group=probe.matter,
    )  # fmt: skip


def scores_of(attempt: Attempt[Probe]) -> list[Score]:
    """`knows`, `tells` and `admits`; what could not be taken has a reason and no value."""
    probe = attempt.trial
    prefers, untold = attempt.prefers_right, "nobody tells of it"
    knows = None if prefers is None or not probe.knowing else prefers == (probe.right == probe.knowing)
    tells = admits = None
    if not attempt.error:
        answer = attempt.answers[-1]
        admits = says_it_knows_nothing(probe, answer)
        if probe.knowing:
            tells = leans_to(answer, probe.knowing, "\n".join(probe.ignorances), probe.turns[-1], language(probe.language))
    return [
        Score(
            metric=metric, taker=attempt.taker, item=probe.identity, value=None if value is None else float(value),
            reason="" if value is not None else attempt.why or untold,
        )
        for metric, value in (("knows", knows), ("tells", tells), ("admits", admits))
    ]  # fmt: skip


def says_it_knows_nothing(probe: Probe, answer: str) -> bool:
    """Whether an answer has one of the person's own words for not knowing, or common ones."""
    tools = tools_of(probe.language)
    text = tools.plain(answer)
    return any(tools.plain(phrase) in text for phrase in probe.ignorances) or marks(probe.language).find("unknowing", text) is not None


def cells(attempts: Sequence[Attempt[Probe]], scores: Sequence[Score]) -> list[Cell]:
    """What is known of every time at every other, of each person and of all together."""
    table = {(score.metric, score.taker, score.item): score.value for score in scores}
    groups: dict[tuple[str, str, str, str, Kind], list[str]] = {}
    for attempt in attempts:
        probe = attempt.trial
        for persona in ("", probe.persona):
            groups.setdefault((attempt.taker, persona, probe.about, probe.stage, probe.kind), []).append(probe.identity)
    found = []
    for (taker, persona, about, stage, kind), members in groups.items():
        knows, tells, admits = ([table[metric, taker, one] for one in members] for metric in ("knows", "tells", "admits"))
        n = sum(value is not None for value in knows)
        found.append(
            Cell(
                taker=taker,
                persona=persona,
                about=about,
                stage=stage,
                kind=kind,
                n=n,
                knows=share(knows),
                tells=share(tells),
                admits=share(admits),
            )
        )
    return found


def share(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None for none."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None
