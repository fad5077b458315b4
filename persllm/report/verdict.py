"""Did training help, by how much, where not: the sentence a report opens with, and the goals.

Both are made by rule from the figures. The main figure is choice over the hand-written items; training helped if the
paired difference between the final model and the best untrained way (the prompt) has its whole interval above zero.
A goal is reached if the figure itself reaches it; whether it is also clear of the prompt (intervals that do not
overlap) is said beside it.
"""

from collections.abc import Mapping

from persllm.metrics import METRICS
from persllm.records import Record
from persllm.report.evidence import Evidence
from persllm.statistics import CERTAIN, Difference, Figure, holm

COSTS = 0.03
"""A rise of the loss on general talk by more than this is named in the sentence."""


class Verdict(Record):
    """What the figures say about the training."""

    sentence: str
    main: Difference | None
    gained: tuple[str, ...]
    """Test sets with a certain gain in choice, such as `gold/shared`."""
    uncertain: tuple[str, ...]
    """Test sets without a certain difference, the number of sets being corrected for."""
    lost: tuple[str, ...]
    """Test sets with a certain loss."""


class Aim(Record):
    """A goal as it was set beforehand."""

    title: str
    metric: str
    detail: str = ""
    group: str = "all"
    bound: float
    at_least: bool = True


class Goal(Record):
    """A goal with what was reached."""

    aim: Aim
    figure: Figure | None
    """Of the final model."""
    hand_written: Figure | None
    """The same on the hand-written items alone."""
    rival: Figure | None
    """Of the untrained way."""
    reached: bool | None
    """None if it was not measured."""
    clear: bool | None
    """Whether it is better than the rival, with intervals that do not overlap; None if one of them is missing."""


AIMS = (
    Aim(title="prefers its own answer to other persons', on recall", metric="choice_against", detail="other_person", group="set/recall", bound=0.95),
    Aim(title="prefers its own answer to the other stage's, on recall", metric="choice_against", detail="other_stage", group="set/recall", bound=0.90),
    Aim(title="person identified", metric="identified_person", bound=0.90),
    Aim(title="person and stage identified", metric="identified_stage", bound=0.80),
    Aim(title="resists attacks of trained families", metric="resistance", group="families/trained", bound=0.95),
    Aim(title="resists attacks of unseen families", metric="resistance", group="families/unseen", bound=0.85),
    Aim(title="denies what is true", metric="false_denial", bound=0.05, at_least=False),
    Aim(title="knows the future", metric="leak", bound=0.02, at_least=False),
    Aim(title="loss on general talk rises, without a person", metric="loss_change", detail="plain", bound=0.03, at_least=False),
    Aim(title="loss on general talk rises, in role", metric="loss_change", detail="in role", bound=0.03, at_least=False),
    Aim(title="Intra - Stage where the truth differs, in BLEU", metric="gap_stage", group="changed", bound=5.0),
)  # fmt: skip
"""The goals of the examination, set before it."""
SET_TITLES = {
    "recall": "recall", "generalisation": "untrained material", "stage": "stages", "future": "the future", "past": "the past",
    "induction": "false premises", "control": "true premises", "paraphrase": "other wordings", "attitude": "attitudes",
    "knowledge": "knowledge", "shared": "shared questions", "general": "general talk",
}  # fmt: skip


def title_of(group: str) -> str:
    """A test set such as `gold/future` in words."""
    origin, _, name = group.partition("/")
    return f"{SET_TITLES.get(name, name)} ({'hand-written' if origin == 'gold' else origin})"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run."""
    final, rival, group = evidence.final, evidence.rival, evidence.main_group
    main = evidence.difference("choice", final, rival, group)
    by_set = {g: d for (m, detail, g, t, than), d in evidence.differences.items() if (m, detail, t, than) == ("choice", "", final, rival)}
    sets = {g: by_set[g] for g in by_set if g.startswith(("gold/", "constructed/")) and "families" not in g}
    certain = certain_ones(sets)
    verdict = Verdict(
        sentence="",
        main=main,
        gained=tuple(g for g, d in sets.items() if g in certain and d.value > 0),
        uncertain=tuple(g for g in sets if g not in certain),
        lost=tuple(g for g, d in sets.items() if g in certain and d.value < 0),
    )
    return verdict.model_copy(update={"sentence": sentence(evidence, verdict)})


def certain_ones(sets: Mapping[str, Difference]) -> set[str]:
    """The sets with a certain difference: its p-value, corrected for the number of sets, below 5 %, and zero outside its interval."""
    outside = {group for group, d in sets.items() if d.low > 0 or d.high < 0}
    if any(d.p is None for d in sets.values()):
        return outside  # a run of an earlier version
    corrected = dict(zip(sets, holm([d.p for d in sets.values()]), strict=True))
    return {group for group in outside if corrected[group] < CERTAIN}


def sentence(evidence: Evidence, verdict: Verdict) -> str:
    """Whether training helped, by how much, and where not."""
    main, final, rival = verdict.main, evidence.final, evidence.rival
    if main is None:
        return "Whether training helped was not measured: a trained and an untrained taker must sit on questions with wrong answers."
    reached, before = (evidence.figure("choice", taker, main.group) for taker in (final, rival))
    effect = "Training helped" if main.low > 0 else "Training did harm" if main.high < 0 else "Whether training helped is not certain"
    kind = "hand-written" if main.group == "gold" else "test"
    alike = reached is not None and before is not None and reached.n == before.n == main.n
    gain = f"{points(main.value)} points, 95 % interval {points(main.low)} to {points(main.high)}"
    if alike:
        shares = f"in {percent(reached.value)} % of cases, {rival} in {percent(before.value)} % ({gain})"
    else:
        # The shares of all that each could be scored on would be of different questions.
        shares = f"at another rate than {rival} ({gain}, over the questions both could be scored on)"
    return f"{effect}: on {main.n} {kind} questions {final} prefers the right answer {shares}; {where_not(evidence, verdict)}."


def where_not(evidence: Evidence, verdict: Verdict) -> str:
    """The sets without a gain, and what it cost."""
    parts = []
    if verdict.uncertain:
        parts.append(f"no certain gain on {listed(map(title_of, verdict.uncertain))}")
    if verdict.lost:
        parts.append(f"a loss on {listed(map(title_of, verdict.lost))}")
    if not parts:
        parts.append("a gain on every test set")
    changes = [evidence.figure("loss_change", evidence.final, detail=mode) for mode in ("plain", "in role")]
    worst = max((change.value for change in changes if change), default=0.0)
    if worst > COSTS:
        parts.append(f"the loss on general talk rose by {percent(worst)} %")
    return ", and ".join(parts) if len(parts) < 3 else ", ".join(parts)


def goals(evidence: Evidence) -> list[Goal]:
    """What became of every aim."""
    return [goal(evidence, aim) for aim in AIMS]


def goal(evidence: Evidence, aim: Aim) -> Goal:
    """What became of one aim."""
    figure = evidence.figure(aim.metric, evidence.final, aim.group, aim.detail)
    rival = evidence.figure(aim.metric, evidence.rival, aim.group, aim.detail)
    alone = {"all": "gold", "families/trained": "gold/families/trained", "families/unseen": "gold/families/unseen"}.get(aim.group)
    hand_written = evidence.figure(aim.metric, evidence.final, alone, aim.detail) if alone else None
    reached = None if figure is None else figure.value >= aim.bound if aim.at_least else figure.value <= aim.bound
    return Goal(
        aim=aim, figure=figure, hand_written=hand_written, rival=rival, reached=reached, clear=clear_of(figure, rival, aim.at_least)
    )


def clear_of(figure: Figure | None, rival: Figure | None, higher: bool) -> bool | None:
    """Whether the interval of a figure lies wholly on the better side of the rival's."""
    if figure is None or rival is None:
        return None
    return figure.low > rival.high if higher else figure.high < rival.low


# Numbers for people --------------------------------------------------------------------------------------


def percent(share: float) -> str:
    """A share in per cent with one digit."""
    return f"{100 * share:.1f}"


def points(share: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * share:+.1f}"


def number(value: float, metric: str) -> str:
    """A value in the unit of its metric."""
    unit = METRICS[metric].unit
    if unit == "share" or metric == "loss_change":
        return f"{100 * value:.1f} %"
    return f"{value:.1f}" if unit == "bleu" else f"{value:.3f}"


def with_interval(figure: Figure | None) -> str:
    """`71.3 % (68.0 to 75.1)`, or a dash."""
    if figure is None or figure.value is None:
        return "\u2013"
    low, high = (number(end, figure.metric).removesuffix(" %") for end in (figure.low, figure.high))
    return f"{number(figure.value, figure.metric)} ({low} to {high})"


def listed(words) -> str:
    """`a, b and c`."""
    *rest, last = list(words)
    return f"{', '.join(rest)} and {last}" if rest else last
