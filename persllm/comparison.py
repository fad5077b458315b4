"""Figures as lines for a terminal: the headline table of some takers, as the report has it."""

from collections.abc import Sequence

from persllm.report.tables import HEADLINES
from persllm.report.verdict import with_interval
from persllm.statistics import Figure


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
