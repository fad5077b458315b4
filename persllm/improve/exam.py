"""Two versions on the same items, by likelihood: what fell, what rose, and whether the corrections were learnt.

On the run's own test items the figures are those of the examination (`persllm.metrics`). On corrections: the share in which
the corrected answer is preferred to what was said (`choice`), by how much (`margin`), and how likely it is at all
(`likelihood`, nats per token). All are paired differences with intervals over questions; a change above 0 is better.
"""

import shutil
from collections.abc import Mapping, Sequence

from persllm.config import Recipe
from persllm.evaluation.tasks import Result, batches, carry_out, likelihoods_wanted, measured
from persllm.improve_settings import ImproveSettings
from persllm.metrics import METRICS, SHARES, Likelihood, Sitting, choice, development, forgetting, induction
from persllm.records import Candidate, Persona, PreferencePair, Score, TestItem
from persllm.statistics import Draws, by_key, differences_of_group, paired
from persllm.store import Progress, StepFolder, read_records
from persllm.takers import Opener, Taker
from persllm.versions import Compared

BEFORE, AFTER = "before", "after"
LIKELIHOOD = "likelihood"


def examine(
    folder: StepFolder, personas: Sequence[Persona], before: Mapping[str, str], after: Mapping[str, str], items: Sequence[TestItem],
    trained: Sequence[PreferencePair], held_out: Sequence[PreferencePair], batch: int, opener: Opener, progress: Progress,
) -> list[Score]:  # fmt: skip
    """The scores of both versions on test items and corrections; also scores.jsonl. Goes on where it was stopped."""
    by_id = {persona.id: persona for persona in personas}
    takers = [Taker(name=name, manner="trained", personas=by_id, models=models) for name, models in ((BEFORE, before), (AFTER, after))]
    asked = [*items, *map(as_item, (*trained, *held_out))]
    folder.write("test.jsonl", asked)
    if not (folder.path / "likelihoods.jsonl").is_file():
        wanted = [pair for taker in takers for pair in likelihoods_wanted(taker, asked)]
        work = StepFolder(folder.path / "work")
        work.fill(batches([task for _, task in wanted if task], batch), lambda owed: carry_out(owed, opener), progress)
        results = {result.task: result for result in work.records(Result)}
        folder.write("likelihoods.jsonl", [measured(blank, task, results) for blank, task in wanted])
    shutil.rmtree(folder.path / "work", ignore_errors=True)
    scores = [score for name in (BEFORE, AFTER) for score in scores_of(sitting(name, asked, by_id, folder))]
    folder.write("scores.jsonl", scores)
    return scores


def as_item(pair: PreferencePair) -> TestItem:
    """A correction as a question with its right and its wrong answer."""
    return TestItem(
        id=pair.identity, set="correction", origin="gold", persona=pair.persona, stage=pair.stage, messages=pair.prompt,
        reference=pair.chosen.content, candidates=(Candidate(kind="said", text=pair.rejected.content),),
    )  # fmt: skip


def sitting(taker: str, items: Sequence[TestItem], personas: Mapping[str, Persona], folder: StepFolder) -> Sitting:
    """What one version left on disk."""
    found = {
        (one.item, one.place, one.given): one for one in read_records(folder.path / "likelihoods.jsonl", Likelihood) if one.taker == taker
    }
    return Sitting(taker=taker, items={item.id: item for item in items}, personas=personas, answers={}, likelihoods=found)


def scores_of(found: Sitting) -> list[Score]:
    """All that is told by likelihood."""
    scores = [score for metric in (choice, induction, development, forgetting) for score in metric.score(found)]
    likely = [
        found.score(LIKELIHOOD, item, found.per_token(item, 0), "no likelihood")
        for item in found.items.values()
        if item.set == "correction"
    ]
    return [*(score for score in scores if score.value is not None), *likely]


# The judgement -------------------------------------------------------------------------------------------


def compare(
    scores: Sequence[Score], items: Sequence[TestItem], trained: Sequence[PreferencePair], held_out: Sequence[PreferencePair], recipe: Recipe
) -> tuple[list[Compared], list[str]]:  # fmt: skip
    """Every figure before and after, and why the new version is not to be kept; no reason if it is."""
    settings = recipe.improve
    on_items = rows("test", scores, items, frozenset(settings.matters), recipe)
    kinds = frozenset(("choice", "margin", LIKELIHOOD))
    on_trained = rows("corrections", scores, [as_item(pair) for pair in trained], kinds, recipe)
    on_held_out = rows("held out", scores, [as_item(pair) for pair in held_out], kinds, recipe)
    reasons = [
        f"{row.metric}{f' ({row.detail})' if row.detail else ''} fell by {-row.change:.4f} [{-row.high:.4f} to {-row.low:.4f}]"
        for row in (*on_items, *on_held_out)
        if row.fallen
    ]
    if not on_items:
        reasons.append("nothing could be compared: the run has no test items of what matters")
    if all(row.change <= 0 for row in on_trained if row.metric == "margin"):
        reasons.append("the corrected answers are not preferred more than before")
    return [*on_items, *on_trained, *on_held_out], reasons


def rows(group: str, scores: Sequence[Score], items: Sequence[TestItem], metrics: frozenset[str], recipe: Recipe) -> list[Compared]:
    """Each of these metrics on these items, the order being that of the scores."""
    if not items:
        return []
    members = {item.id for item in items}
    table = by_key(score for score in scores if score.metric in metrics and score.item in members)
    both = {
        (metric, detail, AFTER, BEFORE): paired(own, table[metric, detail, BEFORE])
        for (metric, detail, taker), own in table.items()
        if taker == AFTER and (metric, detail, BEFORE) in table
    }
    both = {key: values for key, values in both.items() if values}
    if not both:
        return []
    draws = Draws(group, items, recipe.evaluation.bootstrap, recipe.seed)
    found = []
    for difference in differences_of_group(group, draws, both, SHARES):
        key, shared = (difference.metric, difference.detail), both[difference.metric, difference.detail, AFTER, BEFORE]
        before, after = (sum(table[*key, taker][item].value or 0.0 for item in shared) / len(shared) for taker in (BEFORE, AFTER))
        sign = -1 if key[0] in METRICS and METRICS[key[0]].better == "lower" else 1
        low, high = sorted((sign * difference.low + 0.0, sign * difference.high + 0.0))
        row = Compared(
            metric=key[0], detail=key[1], group=group, n=difference.n, before=round(before, 6), after=round(after, 6),
            change=sign * difference.value + 0.0, low=low, high=high, fallen=False,
        )  # fmt: skip
        found.append(row.model_copy(update={"fallen": counts(row, recipe.improve) and has_fallen(row, recipe.improve)}))
    return found


def counts(row: Compared, settings: ImproveSettings) -> bool:
    """Whether a figure decides: what matters on the test items, and the preference for held-out corrections."""
    return row.metric in settings.matters if row.group == "test" else (row.group, row.metric) == ("held out", "margin")


def has_fallen(row: Compared, settings: ImproveSettings) -> bool:
    """Whether the change is worse than the tolerance, wholly or in the mean."""
    tolerance = settings.tolerance if row.metric in SHARES else settings.loss_tolerance
    return (row.high if settings.fallen == "interval" else row.change) < -tolerance
