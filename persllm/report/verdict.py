"""Did training help, by how much, where not: the sentence a report opens with, and the goals.

Both are made by rule from the figures. The main figure is choice over the hand-written items; training helped if the
paired difference between the final model and the best untrained way (the prompt) has its whole interval above zero.
A goal is reached if the figure itself reaches it; whether it is also clear of the prompt (intervals that do not
overlap) is said beside it.
"""

from collections.abc import Mapping, Sequence

from persllm.metrics import METRICS
from persllm.records import Record
from persllm.report.evidence import Evidence
from persllm.report.words import ENGLISH, Words
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
    power: str = ""
    """How small a difference so many questions can show."""


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
    """Of the best among the takers to be beaten: prompt, retrieval, style alone."""
    reached: bool | None
    """None if it was not measured."""
    clear: bool | None
    """Whether it is better than every one of these, with intervals that do not overlap; None if nothing can be compared."""


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


TAKER_TITLES = {
    "base": "the untrained model", "prompted": "the untrained model with a prompt", "retrieval": "the untrained model with retrieval",
    "stylised": "the model tuned on style alone", "sft": "the tuned model", "dpo": "the trained model",
}  # fmt: skip
"""Takers in words, for a reader who does not know their names."""


def title_of(group: str, words: Words = ENGLISH) -> str:
    """A test set such as `gold/future` in words."""
    origin, _, name = group.partition("/")
    return words("{what} ({origin})", what=words(SET_TITLES.get(name, name)), origin=words("hand-written" if origin == "gold" else origin))


def hand_written_first(group: str) -> tuple[bool, str]:
    """A key for sorting test sets."""
    return not group.startswith("gold/"), group


def taker_of(name: str, words: Words = ENGLISH) -> str:
    """A taker such as `dpo` in words, with its name."""
    return words("{what} ({name})", what=words(TAKER_TITLES[name]), name=name) if name in TAKER_TITLES else name


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run."""
    main = evidence.difference("choice", evidence.final, evidence.rival, evidence.main_group)
    sets = by_set(evidence)
    certain = certain_ones(sets, corrected_chances(evidence))
    verdict = Verdict(
        sentence="",
        main=main,
        gained=tuple(g for g, d in sets.items() if g in certain and d.value > 0),
        uncertain=tuple(g for g in sets if g not in certain),
        lost=tuple(g for g, d in sets.items() if g in certain and d.value < 0),
        power=power_note(evidence, main),
    )
    return verdict.model_copy(update={"sentence": sentence(evidence, verdict)})


def by_set(evidence: Evidence) -> dict[str, Difference]:
    """What the final model gains in choice on the best-known rival, by test set."""
    wanted = ("choice", "", evidence.final, evidence.rival)
    found = {g: d for (m, detail, g, t, than), d in evidence.differences.items() if (m, detail, t, than) == wanted}
    return {g: d for g, d in found.items() if g.startswith(("gold/", "constructed/")) and "families" not in g}


def corrected_chances(evidence: Evidence) -> dict[str, float]:
    """The p-values of these differences, corrected for their number; empty for a run of an earlier version."""
    sets = by_set(evidence)
    if any(one.p is None for one in sets.values()):
        return {}
    return dict(zip(sets, holm([one.p for one in sets.values()]), strict=True))


def certain_ones(sets: Mapping[str, Difference], corrected: Mapping[str, float]) -> set[str]:
    """The sets with a certain difference: zero outside its interval and, where there are p-values, a corrected one below 5 %."""
    return {group for group, d in sets.items() if (d.low > 0 or d.high < 0) and corrected.get(group, 0.0) < CERTAIN}


def power_note(evidence: Evidence, main: Difference | None) -> str:
    """How small a difference the main questions can show, and how many would show five points; empty if nothing tells."""
    if main is None or not main.visible:
        return ""
    return evidence.words(
        "With {n} questions, differences under {points} points cannot be seen (four times in five, at 5 %, from the spread of these very "
        "answers); to see 5 points about {owed} questions are needed.",
        n=main.n, points=percent(main.visible), owed=f"{-(-main.n * (main.visible / 0.05) ** 2 // 10) * 10:.0f}",
    )  # fmt: skip


def sentence(evidence: Evidence, verdict: Verdict) -> str:
    """Whether training helped, by how much, and where not."""
    main, final, rival, words = verdict.main, evidence.final, evidence.rival, evidence.words
    if main is None:
        return words("Whether training helped was not measured: a trained and an untrained taker must sit on questions with wrong answers.")
    reached, before = (evidence.figure("choice", taker, main.group) for taker in (final, rival))
    effect = "Training helped" if main.low > 0 else "Training did harm" if main.high < 0 else "Whether training helped is not certain"
    gain = words("{value} points, 95 % interval {low} to {high}", value=points(main.value), low=points(main.low), high=points(main.high))
    said = {
        "effect": words(effect), "n": main.n, "kind": words("hand-written" if main.group == "gold" else "test"),
        "final": taker_of(final, words), "rival": taker_of(rival, words), "gain": gain, "where": where_not(evidence, verdict),
    }  # fmt: skip
    alike = reached is not None and before is not None and reached.n == before.n == main.n
    if not alike:  # the shares of all that each could be scored on would be of different questions
        return words(
            "{effect}: on {n} {kind} questions {final} prefers the right answer at another rate than {rival} "
            "({gain}, over the questions both could be scored on); {where}.",
            **said,
        )
    return words(
        "{effect}: on {n} {kind} questions {final} prefers the right answer in {reached} % of cases, {rival} in {before} % ({gain}); {where}.",
        **said, reached=percent(reached.value), before=percent(before.value),
    )  # fmt: skip


def where_not(evidence: Evidence, verdict: Verdict) -> str:
    """The sets without a gain, and what it cost."""
    parts, words = [], evidence.words
    if verdict.uncertain:
        parts.append(words("no certain gain on {sets}", sets=words.listed([title_of(g, words) for g in verdict.uncertain])))
    if verdict.lost:
        parts.append(words("a loss on {sets}", sets=words.listed([title_of(g, words) for g in verdict.lost])))
    if not parts:
        parts.append(words("a gain on every test set"))
    changes = [evidence.figure("loss_change", evidence.final, detail=mode) for mode in ("plain", "in role")]
    worst = max((change.value for change in changes if change), default=0.0)
    if worst > COSTS:
        parts.append(words("the loss on general talk rose by {percent} %", percent=percent(worst)))
    if words.language == "zh":
        return "；".join(parts)
    return ", and ".join(parts) if len(parts) < 3 else ", ".join(parts)


def goals(evidence: Evidence) -> list[Goal]:
    """What became of every aim."""
    return [goal(evidence, aim) for aim in AIMS]


def goal(evidence: Evidence, aim: Aim) -> Goal:
    """What became of one aim."""
    figure = evidence.figure(aim.metric, evidence.final, aim.group, aim.detail)
    rivals = [one for name in evidence.rivals if (one := evidence.figure(aim.metric, name, aim.group, aim.detail))]
    rival = max(rivals, key=lambda one: one.value if aim.at_least else -one.value, default=None)
    alone = {"all": "gold", "families/trained": "gold/families/trained", "families/unseen": "gold/families/unseen"}.get(aim.group)
    hand_written = evidence.figure(aim.metric, evidence.final, alone, aim.detail) if alone else None
    reached = None if figure is None else figure.value >= aim.bound if aim.at_least else figure.value <= aim.bound
    return Goal(
        aim=aim, figure=figure, hand_written=hand_written, rival=rival, reached=reached, clear=clear_of_all(figure, rivals, aim.at_least),
    )  # fmt: skip


def clear_of_all(figure: Figure | None, rivals: Sequence[Figure], higher: bool) -> bool | None:
    """Whether a figure is clear of every rival; None if there is none."""
    return all(clear_of(figure, rival, higher) for rival in rivals) if figure and rivals else None


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


def with_interval(figure: Figure | None, words: Words = ENGLISH) -> str:
    """`71.3 % (68.0 to 75.1)`, or a dash."""
    if figure is None or figure.value is None:
        return "\u2013"
    low, high = (number(end, figure.metric).removesuffix(" %") for end in (figure.low, figure.high))
    return f"{number(figure.value, figure.metric)} ({words('{low} to {high}', low=low, high=high)})"
