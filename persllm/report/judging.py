"""What judges said, as rows for the page and the command line: each figure beside its agreement with human labels."""

from persllm.judge import Agreement, Judged
from persllm.judge.scoring import METRIC
from persllm.report.words import ENGLISH, Words
from persllm.statistics import Difference, Figure

TITLES = {
    "pairs": "preferred (share of pairs won, a tie is half)", "scores": "points, 0 to 5", "paper_accuracy": "the paper's accuracy, % of 5 points",
    "paper_rank": "the paper's rank, 1 is best",
}  # fmt: skip
IN_PERCENT = ("pairs", "paper_accuracy")
NONE = "\u2013"


def judged_rows(judged: Judged, words: Words = ENGLISH) -> list[tuple[str, ...]]:
    """Title, value by taker, n, unscored, agreement: for each preset and aspect, and the strengths."""
    by_place = {(one.metric, one.detail, one.taker): one for one in judged.figures}
    rows = []
    for preset, aspect in judged_aspects(judged):
        found = [by_place.get((METRIC[preset], aspect, taker)) for taker in judged.takers]
        said = agreement_words(judged.agreement(preset, aspect), words)
        rows.append((titled(aspect, TITLES[preset], words), *(shown(one, preset, words) for one in found), *numbers(found, words), said))
    return rows + strength_rows(judged, words)


def judged_aspects(judged: Judged) -> list[tuple[str, str]]:
    """Every preset with its aspects that have a figure."""
    return [
        (preset, aspect)
        for preset in judged.presets
        for aspect in dict.fromkeys(one.detail for one in judged.figures if one.metric == METRIC[preset] and " against " not in one.detail)
    ]


def titled(aspect: str, measure: str, words: Words) -> str:
    """Aspect and what was measured."""
    return words("{aspect}: {measure}", aspect=words(aspect), measure=words(measure))


def strength_rows(judged: Judged, words: Words) -> list[tuple[str, ...]]:
    """Bradley-Terry strengths by aspect."""
    rows = []
    for aspect in dict.fromkeys(one.aspect for one in judged.standings):
        own = {one.taker: one for one in judged.standings if one.aspect == aspect}
        cells = [f"{own[t].value:.2f} ({words('{low} to {high}', low=f'{own[t].low:.2f}', high=f'{own[t].high:.2f}')})" if t in own else NONE for t in judged.takers]  # fmt: skip
        pairs, said = span({one.n for one in own.values()}, words), agreement_words(judged.agreement("pairs", aspect), words)
        rows.append((titled(aspect, words("strength (Bradley-Terry)"), words), *cells, pairs, "", said))
    return rows


def difference_rows(judged: Judged, words: Words = ENGLISH) -> list[tuple[str, str, str]]:
    """What is compared, the last taker less each other with interval, and the questions on which both have a verdict."""
    last, found = judged.takers[-1], {(one.metric, one.detail, one.taker, one.than): one for one in judged.differences}
    return [
        (f"{titled(aspect, TITLES[preset], words)}, {last} \u2212 {than}", spread(one, preset, words), str(one.n))
        for preset, aspect in judged_aspects(judged)
        for than in judged.takers[:-1]
        if (one := found.get((METRIC[preset], aspect, last, than)))
    ]


def spread(one: Difference, preset: str, words: Words) -> str:
    """A difference with its interval: points of per cent, or of the scale."""
    times, digits = (100, 1) if preset in IN_PERCENT else (1, 2)
    value, low, high = (f"{times * end:+.{digits}f}" for end in (one.value, one.low, one.high))
    return f"{value} ({words('{low} to {high}', low=low, high=high)})"


def shown(figure: Figure | None, preset: str, words: Words) -> str:
    """A value with its interval."""
    if figure is None or figure.value is None or figure.low is None or figure.high is None:
        return NONE
    times, digits, unit = (100, 1, " %") if preset in IN_PERCENT else (1, 2, "")
    value, low, high = (f"{times * end:.{digits}f}" for end in (figure.value, figure.low, figure.high))
    return f"{value}{unit} ({words('{low} to {high}', low=low, high=high)})"


def numbers(found: list[Figure | None], words: Words) -> tuple[str, str]:
    """n and unscored."""
    return span({one.n for one in found if one}, words), span({one.unscored for one in found if one}, words)


def span(values: set[int], words: Words) -> str:
    """`60`, or `58 to 60`."""
    if not values:
        return NONE
    return str(min(values)) if len(values) == 1 else words("{low} to {high}", low=min(values), high=max(values))


def agreement_words(agreement: Agreement | None, words: Words = ENGLISH) -> str:
    """The agreement beside a figure, with the number of labelled units and of the resamplings behind its intervals."""
    if agreement is None:
        return words("unknown: no labels")
    if not agreement.n:
        return words("no label matches")
    measures = [(name, one) for name, one in agreement.measures if one.low is not None and one.high is not None]
    parts = [
        *([words("{share} % the same", share=f"{100 * agreement.same:.0f}")] if agreement.same is not None else []),
        *(f"{name} {m.value:.2f} ({words('{low} to {high}', low=f'{m.low:.2f}', high=f'{m.high:.2f}')})" for name, m in measures),
    ]
    said = ", ".join(parts) or words("all alike: nothing can be told")
    if not measures:
        return words("{said}; n {n}", said=said, n=agreement.n)
    draws = span({one.draws for _, one in measures}, words)
    return words("{said}; n {n}, intervals by {draws} resamplings", said=said, n=agreement.n, draws=draws)


def sorted_words(judged: Judged, words: Words = ENGLISH) -> str:
    """What the questions of the paper's accuracy rest on; empty if that was not asked."""
    if not judged.sorted:
        return ""
    counts = ", ".join(f"{words(name)} {count}" for name, count in judged.sorted.items())
    return words("The paper's accuracy, what the {count} questions rest on: {counts}.", count=sum(judged.sorted.values()), counts=counts)


def warnings(judged: Judged, words: Words = ENGLISH) -> list[str]:
    """What takes weight from a judge."""
    found = []
    if judged.wrote_the_data:
        found.append(words("{judge} also wrote the training data: it judges its own work.", judge=judged.model))
    if not judged.agreements:
        found.append(words("No human labels: nothing tells whether this judge can be believed. Give some with --labels FILE."))
    for one in judged.positions:
        if one.biased:
            shown_first = (
                "" if one.first is None else words("; the first shown wins {share} % of what is no tie", share=f"{100 * one.first:.0f}")
            )
            found.append(words(
                "{aspect} ({preset}): only {share} % of {pairs} pairs are judged alike in both orders{first}. The others count as ties, and little can be told.",
                aspect=words(one.aspect), preset=one.preset, share=f"{100 * (one.alike or 0):.0f}", pairs=one.pairs, first=shown_first,
            ))  # fmt: skip
    return found
