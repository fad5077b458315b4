"""Figures as lines: the headline table of some takers, as the report has it; ablations against the full run."""

from collections.abc import Sequence

from persllm.ablation import Ablated
from persllm.report.tables import HEADLINES
from persllm.report.verdict import number, with_interval
from persllm.statistics import CERTAIN, Figure


def headline_rows(figures: Sequence[Figure], takers: Sequence[str]) -> list[list[str]]:
    """Title, value with interval of each taker, then items, unscored and chance; rows nobody was scored on are left out."""
    table = {(one.metric, one.detail, one.taker, one.group): one for one in figures}
    rows = [["", *takers, "n", "unscored", "chance"]]
    for metric, detail, group, title in HEADLINES:
        found = [table.get((metric, detail, taker, group)) for taker in takers]
        present = [one for one in found if one is not None]
        if present:
            chance = next((f"{100 * one.chance:.1f} %" for one in present if one.chance is not None), "-")
            rows.append(
                [title, *map(with_interval, found), span([one.n for one in present]), span([one.unscored for one in present]), chance]
            )
    return rows


def span(numbers: Sequence[int]) -> str:
    """`60`, or `58-60` where takers differ."""
    return str(numbers[0]) if len(set(numbers)) == 1 else f"{min(numbers)}-{max(numbers)}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]) for row in rows
    )


def ablation_rows(table: Ablated) -> list[list[str]]:
    """A line for each figure of each ablation: without, in full, the difference with its interval, the corrected p-value."""
    titles = {(metric, detail, group): title for metric, detail, group, title in HEADLINES}
    rows = [["", "", "without", "full", "difference", "p, corrected", "n"]]
    for row in table.rows:
        d, metric = row.difference, row.metric
        value, low, high = (number(end, metric).removesuffix(" %") for end in (d.value, d.low, d.high))
        p = "-" if row.corrected is None else f"{row.corrected:.3f}{' *' if row.corrected < CERTAIN else ''}"
        rows.append([
            row.title, titles.get((metric, row.detail, row.group), f"{metric} {row.detail} {row.group}"), number(row.without, metric),
            number(row.full, metric), f"{value} ({low} to {high})", p, str(d.n),
        ])  # fmt: skip
    return rows
