"""Plots as SVG text to be put into the page: no file, no address, readable in black and white.

Bars differ in lightness and hatching, lines in their dashes; whiskers are 95 % intervals. The text stays text, so it
is searched, read aloud, and set in the reader's own fonts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from persllm.drawing import DASHES, FILLS, HATCHES, INK, canvas, drawn, plain
from persllm.metrics import METRICS
from persllm.report.evidence import Evidence, Point
from persllm.report.verdict import hand_written_first, title_of
from persllm.report.words import ENGLISH, Words
from persllm.statistics import Figure

Cells = Mapping[str, Sequence[Figure | None]]
"""Name of a series -> its figure in each group."""


def choice_by_set(evidence: Evidence) -> str:
    """Choice on every test set, by taker."""
    sets = {f"{item.origin}/{item.set}" for item in evidence.items.values() if item.candidates}
    groups = sorted(sets, key=hand_written_first)
    cells = {taker: [evidence.figure("choice", taker, group) for group in groups] for taker in evidence.takers}
    words = evidence.words
    return bars("choice", [title_of(group, words) for group in groups], cells, words("right answer preferred (%)"), words)


def distinction(evidence: Evidence) -> str:
    """Intra, Stage and Inter by taker, where the truth differs between the stages and where it does not."""
    words = evidence.words
    panels = [
        (group, words(name))
        for group, name in (("changed", "truth differs"), ("unchanged", "truth is the same"))
        if evidence.figure("bleu_intra", evidence.final, group)
    ]
    columns = [(group, f"{taker}, {name}", taker) for group, name in panels for taker in evidence.takers]
    cells = {
        words(METRICS[metric].title): [evidence.figure(metric, taker, group) for group, _, taker in columns]
        for metric in ("bleu_intra", "bleu_stage", "bleu_inter")
    }
    return bars("distinction", [name for _, name, _ in columns], cells, words("BLEU between sampled answers"), words)


def induction(evidence: Evidence) -> str:
    """Resistance by family, and false denial beside it, by taker."""
    words = evidence.words
    families = sorted({g for m, _, _, g in evidence.figures if m == "resistance" and g.startswith("family/")})
    trained = {f"family/{item.family}" for item in evidence.items.values() if item.trained_family}
    columns = [("resistance", family, family_title(family, family in trained, words)) for family in families]
    columns += [("false_denial", "all", words("FALSE DENIAL of true premises"))] if columns else []
    cells = {taker: [evidence.figure(metric, taker, group) for metric, group, _ in columns] for taker in evidence.takers}
    return bars("induction", [name for _, _, name in columns], cells, words("items (%)"), words)


def family_title(family: str, trained: bool, words: Words) -> str:
    """A family of attacks in words, and whether the training knew it."""
    name = words(family.removeprefix("family/").replace("_", " "))
    return name if trained else words("{what} ({origin})", what=name, origin=words("unseen"))


def development(evidence: Evidence) -> str:
    """Leaks of the future and answers stuck in the past, by taker."""
    words = evidence.words
    columns = [metric for metric in ("leak", "leak_said", "stuck", "stuck_said") if evidence.figure(metric, evidence.final)]
    cells = {taker: [evidence.figure(metric, taker) for metric in columns] for taker in evidence.takers}
    return bars("development", [words(METRICS[metric].title) for metric in columns], cells, words("items (%), lower is better"), words)


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
        axes.set_xlabel(evidence.words("step"))
        axes.set_ylabel(evidence.words(name) if place == 1 else "")
        plain(axes)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    return drawn(figure, f"curve {name}")


# Drawing -------------------------------------------------------------------------------------------------


def bars(name: str, groups: Sequence[str], cells: Cells, label: str, words: Words = ENGLISH) -> str:
    """Lying bars in groups with whiskers, the first group on top, once for wide screens and once for narrow ones; empty without figures, and without the series that have none."""
    if not groups or not any(figure for row in cells.values() for figure in row):
        return ""
    turned = {series: list(row)[::-1] for series, row in cells.items() if any(row)}
    shown = [one_plot(name, list(groups)[::-1], turned, label, words, narrow) for narrow in (False, True)]
    return '<div class="broad">{}</div><div class="narrow">{}</div>'.format(*shown)


def one_plot(name: str, groups: Sequence[str], cells: Cells, label: str, words: Words, narrow: bool) -> str:
    """The bars in one width. On a narrow screen the names stand above their bars instead of beside them."""
    room = 0.62 if narrow else 0.8
    width = room / len(cells)
    height = 0.9 + len(groups) * (0.16 * len(cells) + (0.3 if narrow else 0.14))
    figure = canvas(3.7 if narrow else 6.6, height + (0.2 if narrow else 0.0))
    axes = figure.add_subplot()
    for number, (series, row) in enumerate(cells.items()):
        shift = ((len(cells) - 1) / 2 - number) * width - (0.16 if narrow else 0.0)
        draw_series(axes, number, series, row, shift, width)
    draw_chances(axes, list(cells.values()), (-0.48, 0.16) if narrow else (-0.45, 0.45), words)
    axes.set_yticks(range(len(groups)), [""] * len(groups) if narrow else groups)
    if narrow:
        for place, group in enumerate(groups):
            axes.text(0.01, place + 0.18, group, transform=axes.get_yaxis_transform(), va="bottom", fontsize=9)
        axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.55, len(groups) - 0.45)
    axes.set_xlabel(label)
    plain(axes)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=3 if narrow else 5, fontsize=9, loc="outside upper center")
    return drawn(figure, f"{name} narrow" if narrow else name)


def draw_series(axes: Any, number: int, series: str, row: Sequence[Figure | None], shift: float, width: float) -> None:
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
    axes.barh(places, values, height=width, xerr=[below, above], error_kw=whiskers, **look)


def draw_chances(axes: Any, rows: Sequence[Sequence[Figure | None]], reach: tuple[float, float], words: Words) -> None:
    """A dotted line through each group at what blind guessing would reach."""
    chances = [next((f.chance for f in column if f and f.chance is not None), None) for column in zip(*rows, strict=True)]
    known = [(place, 100 * chance) for place, chance in enumerate(chances) if chance is not None]
    for number, (place, chance) in enumerate(known):
        label = None if number else words("chance")
        axes.vlines(chance, place + reach[0], place + reach[1], colors="#b3261e", linestyles=(0, (1, 1)), linewidth=1.6, label=label)
