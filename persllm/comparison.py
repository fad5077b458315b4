"""Figures as lines: the headline table of some takers, as the report has it; ablations against the full run, and their page."""

from collections.abc import Sequence
from typing import Literal

from persllm.ablation import Ablated, Compared
from persllm.drawing import INK, canvas, drawn, plain
from persllm.report.tables import HEADLINES
from persllm.report.verdict import number, with_interval
from persllm.report.words import ENGLISH, Words
from persllm.sheets import Section, Sheet
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


def ablation_rows(table: Ablated, words: Words = ENGLISH) -> list[list[str]]:
    """A line for each figure of each ablation: without, in full, the difference with its interval, the corrected p-value."""
    heads = ["", "", words("without"), words("full"), words("difference"), words("p, corrected"), "n"]
    return [heads, *(ablation_row(row, words) for row in table.rows)]


def ablation_row(row: Compared, words: Words) -> list[str]:
    """The line of one figure."""
    titles = {(metric, detail, group): title for metric, detail, group, title in HEADLINES}
    d, metric = row.difference, row.metric
    value, low, high = (number(end, metric).removesuffix(" %") for end in (d.value, d.low, d.high))
    p = "-" if row.corrected is None else f"{row.corrected:.3f}{' *' if row.corrected < CERTAIN else ''}"
    title = words(titles.get((metric, row.detail, row.group), f"{metric} {row.detail} {row.group}"))
    ends = words("{low} to {high}", low=low, high=high)
    return [words(row.title), title, number(row.without, metric), number(row.full, metric), f"{value} ({ends})", p, str(d.n)]


def ablation_sheet(table: Ablated, language: Literal["en", "zh"]) -> Sheet:
    """The page of an ablation: what is lost or gained in choice without each part, and all other figures."""
    words = Words(language)
    heads, *rows = ablation_rows(table, words)
    main = [row for row in table.rows if (row.metric, row.detail, row.group) == main_figure(table)]
    note = words("Without the part less the full run, paired over the questions; whiskers are 95 % intervals. * is certain after correction for {count} comparisons (Holm).", count=table.comparisons)  # fmt: skip
    shown = [tuple(ablation_row(row, words)) for row in main]
    return Sheet(
        title=words("What each part of {run} is worth", run=table.run), verdict=ablation_verdict(table, words), taker=table.taker, language=language,
        sections=(
            Section(title=words("Choice without each part"), note=note, heads=tuple(heads), rows=tuple(shown), svg=forest(main, words), main=True),
            Section(title=words("All figures"), note=note, heads=tuple(heads), rows=tuple(map(tuple, rows))),
        ),
        limits=(
            words("One seed: what two trainings with the same settings would differ by is not in the intervals."),
            words("A part that only matters together with another looks worthless alone."),
        ),
    )  # fmt: skip


def main_figure(table: Ablated) -> tuple[str, str, str]:
    """Choice on the hand-written questions, or on the constructed ones if there are none."""
    gold = ("choice", "", "gold")
    return gold if any((row.metric, row.detail, row.group) == gold for row in table.rows) else ("choice", "", "constructed")


def ablation_verdict(table: Ablated, words: Words) -> str:
    """Which differences are certain."""
    certain = [row for row in table.rows if row.corrected is not None and row.corrected < CERTAIN]
    told = (ablation_row(row, words) for row in certain)
    said = [words("{part}: {figure} {change}", part=part, figure=figure, change=change) for part, figure, _, _, change, *_ in told]
    head = words("Of {count} comparisons {certain} are certain after correction.", count=table.comparisons, certain=len(certain))
    return ("" if words.language == "zh" else " ").join([head, *([f"{words('; ').join(said)}{words('.')}"] if said else [])])


def forest(rows: Sequence[Compared], words: Words) -> str:
    """Each part with its difference and whiskers; empty without rows."""
    if not rows:
        return ""
    figure = canvas(6.6, 0.9 + 0.34 * len(rows))
    axes, places = figure.add_subplot(), range(len(rows))
    values = [100 * row.difference.value for row in rows]
    ends = [
        [max(0.0, value - 100 * row.difference.low) for value, row in zip(values, rows, strict=True)],
        [max(0.0, 100 * row.difference.high - value) for value, row in zip(values, rows, strict=True)],
    ]
    axes.errorbar(values, places, xerr=ends, fmt="o", color=INK, markersize=4, linewidth=1, capsize=2)
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    axes.set_yticks(places, [words(row.title) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(words("choice without the part, in points"))
    plain(axes)
    return drawn(figure, "ablations")
