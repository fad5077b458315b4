"""Plots as SVG text to be put into the page: no file, no address, readable in black and white.

Bars differ in lightness and hatching, lines in their dashes; whiskers are 95 % intervals. The text stays text, so it
is searched, read aloud, and set in the reader's own fonts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from persllm.drawing import DASHES, FILLS, HATCHES, INK, canvas, drawn, plain
from persllm.metrics import METRICS
from persllm.report.evidence import Evidence, Point
from persllm.report.verdict import title_of
from persllm.statistics import Figure

Cells = Mapping[str, Sequence[Figure | None]]
"""Name of a series -> its figure in each group."""


def choice_by_set(evidence: Evidence) -> str:
    """Choice on every test set, by taker."""
    sets = {f"{item.origin}/{item.set}" for item in evidence.items.values() if item.candidates}
    groups = sorted(sets, reverse=True)
    cells = {taker: [evidence.figure("choice", taker, group) for group in groups] for taker in evidence.takers}
    return bars("choice", [title_of(group) for group in groups], cells, "right answer preferred (%)", across=True)


def distinction(evidence: Evidence) -> str:
    """Intra, Stage and Inter by taker, where the truth differs between the stages and where it does not."""
    panels = [
        (group, name)
        for group, name in (("changed", "truth differs"), ("unchanged", "truth is the same"))
        if evidence.figure("bleu_intra", evidence.final, group)
    ]
    columns = [(group, f"{taker}, {name}", taker) for group, name in reversed(panels) for taker in reversed(evidence.takers)]
    cells = {
        METRICS[metric].title: [evidence.figure(metric, taker, group) for group, _, taker in columns]
        for metric in ("bleu_intra", "bleu_stage", "bleu_inter")
    }
    return bars("distinction", [name for _, name, _ in columns], cells, "BLEU between sampled answers", across=True)


def induction(evidence: Evidence) -> str:
    """Resistance by family, and false denial beside it, by taker."""
    families = sorted({g for m, _, _, g in evidence.figures if m == "resistance" and g.startswith("family/")})
    trained = {f"family/{item.family}" for item in evidence.items.values() if item.trained_family}
    columns = [("resistance", family, f"{family.removeprefix('family/')}{'' if family in trained else ' (unseen)'}") for family in families]
    columns += [("false_denial", "all", "FALSE DENIAL of true premises")] if columns else []
    columns.reverse()
    cells = {taker: [evidence.figure(metric, taker, group) for metric, group, _ in columns] for taker in evidence.takers}
    return bars("induction", [name.replace("_", " ") for _, _, name in columns], cells, "items (%)", across=True)


def development(evidence: Evidence) -> str:
    """Leaks of the future and answers stuck in the past, by taker."""
    columns = [metric for metric in ("leak", "leak_said", "stuck", "stuck_said") if evidence.figure(metric, evidence.final)]
    cells = {taker: [evidence.figure(metric, taker) for metric in columns] for taker in evidence.takers}
    return bars(
        "development",
        [METRICS[metric].title.replace(", ", ",\n").replace(" in ", " in\n") for metric in columns],
        cells,
        "items (%), lower is better",
    )


def curves(evidence: Evidence, name: str = "loss") -> str:
    """A value of the training curves over the steps, one panel per training phase."""
    phases: dict[str, dict[str, Sequence[Point]]] = {}
    for key, points in evidence.curves.items():
        phase, _, model = key.partition("/")
        if any(name in point.values for point in points):
            phases.setdefault(phase, {})[model] = [point for point in points if name in point.values]
    if not phases:
        return ""
    figure = canvas(6.6, 2.8)
    for place, (phase, lines) in enumerate(phases.items(), 1):
        axes = figure.add_subplot(1, len(phases), place)
        for number, (model, points) in enumerate(lines.items()):
            values = [point.values[name] for point in points]
            axes.plot([point.step for point in points], values, DASHES[number % len(DASHES)], color=INK, linewidth=1.2, label=model)
        axes.set_title(phase, fontsize=10)
        axes.set_xlabel("step")
        axes.set_ylabel(name if place == 1 else "")
        plain(axes)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    return drawn(figure, f"curve {name}")


# Drawing -------------------------------------------------------------------------------------------------


def bars(name: str, groups: Sequence[str], cells: Cells, label: str, across: bool = False) -> str:
    """Bars in groups with whiskers; `across` lays them down, which leaves room for long names. Empty without figures."""
    if not groups or not any(figure for row in cells.values() for figure in row):
        return ""
    width = 0.8 / len(cells)
    figure = canvas(6.6, 0.9 + len(groups) * (0.16 * len(cells) + 0.14)) if across else canvas(max(6.6, 0.9 * len(groups)), 3.4)
    axes = figure.add_subplot()
    for number, (series, row) in enumerate(cells.items()):
        shift = (number - (len(cells) - 1) / 2) * width * (-1 if across else 1)
        draw_series(axes, number, series, row, shift, width, across)
    draw_chances(axes, list(cells.values()), across)
    ticks, limits = (axes.set_yticks, axes.set_ylim) if across else (axes.set_xticks, axes.set_xlim)
    ticks(range(len(groups)), groups)
    limits(-0.55, len(groups) - 0.45)
    (axes.set_xlabel if across else axes.set_ylabel)(label)
    plain(axes)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=5, loc="outside upper center")
    return drawn(figure, name)


def draw_series(axes: Any, number: int, series: str, row: Sequence[Figure | None], shift: float, width: float, across: bool) -> None:
    """One series of bars; a missing figure leaves its place empty, a figure of zero shows its whisker."""
    kept = [(place, figure) for place, figure in enumerate(row) if figure]
    scale = [100 if METRICS[figure.metric].unit == "share" else 1 for _, figure in kept]
    values = [figure.value * times for (_, figure), times in zip(kept, scale, strict=True)]
    below = [max(0.0, (figure.value - figure.low) * times) for (_, figure), times in zip(kept, scale, strict=True)]
    above = [max(0.0, (figure.high - figure.value) * times) for (_, figure), times in zip(kept, scale, strict=True)]
    look = {
        "color": FILLS[number % len(FILLS)],
        "hatch": HATCHES[number % len(HATCHES)],
        "edgecolor": INK,
        "linewidth": 0.7,
        "label": series,
    }
    whiskers = {"ecolor": INK, "elinewidth": 0.9, "capsize": 1.6}
    places = [place + shift for place, _ in kept]
    if across:
        axes.barh(places, values, height=width, xerr=[below, above], error_kw=whiskers, **look)
    else:
        axes.bar(places, values, width=width, yerr=[below, above], error_kw=whiskers, **look)


def draw_chances(axes: Any, rows: Sequence[Sequence[Figure | None]], across: bool) -> None:
    """A dotted line through each group at what blind guessing would reach."""
    chances = [next((f.chance for f in column if f and f.chance is not None), None) for column in zip(*rows, strict=True)]
    known = [(place, 100 * chance) for place, chance in enumerate(chances) if chance is not None]
    lines = axes.vlines if across else axes.hlines
    for number, (place, chance) in enumerate(known):
        label = None if number else "chance"
        lines(chance, place - 0.45, place + 0.45, colors="#b3261e", linestyles=(0, (1, 1)), linewidth=1.6, label=label)
