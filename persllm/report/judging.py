"""What judges said, as rows for the page and the command line: each figure beside its agreement with human labels."""

from collections.abc import Callable

from persllm.judge import Agreement, Judged
from persllm.judge.scoring import METRIC
from persllm.statistics import Figure

TITLES = {
    "pairs": "preferred (share of pairs won, a tie is half)", "scores": "points, 0 to 5", "paper_accuracy": "the paper's accuracy, % of 5 points",
    "paper_rank": "the paper's rank, 1 is best",
}  # fmt: skip


def judged_rows(judged: Judged, agreement: Callable[[Agreement | None], str]) -> list[tuple[str, ...]]:
    """Title, value by taker, n, unscored, agreement: for each preset and aspect, and the strengths."""
    by_place = {(one.metric, one.detail, one.taker): one for one in judged.figures}
    rows = []
    for preset in judged.presets:
        for aspect in dict.fromkeys(one.detail for one in judged.figures if one.metric == METRIC[preset] and " against " not in one.detail):
            found = [by_place.get((METRIC[preset], aspect, taker)) for taker in judged.takers]
            said = agreement(judged.agreement(preset, aspect))
            rows.append((f"{aspect}: {TITLES[preset]}", *(shown(one, preset) for one in found), *numbers(found), said))
        rows += strength_rows(judged, agreement) if preset == "pairs" else []
    return rows


def strength_rows(judged: Judged, agreement: Callable[[Agreement | None], str]) -> list[tuple[str, ...]]:
    """Bradley-Terry strengths by aspect."""
    rows = []
    for aspect in dict.fromkeys(one.aspect for one in judged.standings):
        own = {one.taker: one for one in judged.standings if one.aspect == aspect}
        cells = [f"{own[t].value:.2f} ({own[t].low:.2f} to {own[t].high:.2f})" if t in own else "\u2013" for t in judged.takers]
        pairs = {one.n for one in own.values()}
        rows.append((f"{aspect}: strength (Bradley-Terry)", *cells, span(pairs), "", agreement(judged.agreement("pairs", aspect))))
    return rows


def shown(figure: Figure | None, preset: str) -> str:
    """A value with its interval."""
    if figure is None or figure.value is None:
        return "\u2013"
    if preset in ("pairs", "paper_accuracy"):
        return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def numbers(found: list[Figure | None]) -> tuple[str, str]:
    """n and unscored."""
    return span({one.n for one in found if one}), span({one.unscored for one in found if one})


def span(values: set[int]) -> str:
    """`60`, or `58 to 60`."""
    return "\u2013" if not values else str(min(values)) if len(values) == 1 else f"{min(values)} to {max(values)}"


def agreement_words(agreement: Agreement | None) -> str:
    """The agreement beside a figure."""
    return agreement.sentence if agreement else "unknown: no labels"


def warnings(judged: Judged) -> list[str]:
    """What takes weight from a judge."""
    found = []
    if judged.wrote_the_data:
        found.append(f"{judged.model} also wrote the training data: it judges its own work.")
    if not judged.agreements:
        found.append("No human labels: nothing tells whether this judge can be believed. Give some with --labels FILE.")
    for one in judged.positions:
        if one.biased:
            first = "" if one.first is None else f"; the first shown wins {100 * one.first:.0f} % of what is no tie"
            found.append(
                f"{one.aspect} ({one.preset}): only {100 * (one.alike or 0):.0f} % of {one.pairs} pairs are judged alike in both orders{first}. "
                f"The others count as ties, and little can be told."
            )
    return found
