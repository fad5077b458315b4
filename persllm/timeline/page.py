"""What is known when, as a page: heat maps that are read in black and white, and the figures with their intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.drawing import INK, canvas, drawn
from persllm.parsing import Settings
from persllm.sheets import Section, Sheet, words_of
from persllm.sheets.figures import NONE, Figures, counted
from persllm.timeline.plan import KNOWN, Kind
from persllm.timeline.questions import Question
from persllm.timeline.result import Cell, Result

HERE = Path(__file__).parent
KINDS: tuple[Kind, ...] = ("present", "remembered", "future", "absence")
LIGHT_TEXT = 0.55
"""From this darkness on, figures are white."""


class Words(Settings):
    """What the page says, in one language."""

    title: str
    verdict: str
    beside: str
    none: str
    matrix: str
    matrix_note: str
    unknown_row: str
    kinds: str
    kinds_note: str
    heads: tuple[str, ...]
    high: str
    low: str
    kind_names: dict[str, str]
    questions: str
    questions_note: str
    question_heads: tuple[str, ...]
    changes: str
    stays: str
    limits: tuple[str, ...]


def sheet_of(found: Result, language: str) -> Sheet:
    """The page of a result."""
    words = words_of(Words, HERE, language)
    sections = [
        Section(title=words.matrix, note=words.matrix_note, svg=matrix(found, words), main=True),
        kinds(found, words),
        questions(found, words),
    ]
    return Sheet(
        title=words.title.format(run=found.run), verdict=verdict(found, words), limits=words.limits, language=language,
        taker=found.takers[-1],
        sections=tuple(one for one in sections if one.rows or one.svg),
    )  # fmt: skip


def verdict(found: Result, words: Words) -> str:
    """What the last taker knows, and the prompted one and the base beside it."""
    table = Figures(found.figures)

    def said(text: str, taker: str) -> str:
        known = {kind: table.share("knows", taker, f"family/{kind}", words.none) for kind in KINDS}
        told = {f"{kind}_told": table.share("tells", taker, f"family/{kind}", words.none) for kind in KINDS}
        admitted = {f"{kind}_admitted": table.share("admits", taker, f"family/{kind}", words.none) for kind in KINDS}
        return text.format(taker=taker, **known, **told, **admitted)

    last = found.takers[-1]
    rest = [said(words.beside, taker) for taker in ("prompted", "base") if taker in found.takers and taker != last]
    return " ".join([said(words.verdict, last), *rest])


def kinds(found: Result, words: Words) -> Section:
    """Every kind of probe by taker."""
    table = Figures(found.figures)
    rows = []
    for taker in reversed(found.takers):
        for kind in KINDS:
            knows, admits = (table.table.get((metric, taker, f"family/{kind}")) for metric in ("knows", "admits"))
            if knows and admits:
                wanted = words.high if kind in KNOWN else words.low
                shares = [table.share(metric, taker, f"family/{kind}", words.none) for metric in ("knows", "tells", "admits")]
                counts = (str(knows.n), str(knows.unscored), str(admits.unscored))
                rows.append((taker, words.kind_names[kind], wanted, counts[0], shares[0], counts[1], *shares[1:], counts[2]))
    return Section(title=words.kinds, note=words.kinds_note, heads=words.heads, rows=tuple(rows), main=True)


def questions(found: Result, words: Words) -> Section:
    """The shared questions by stage, of the last taker that has some: what must change first."""
    takers = [taker for taker in found.takers if any(one.taker == taker for one in found.questions)]
    if not takers:
        return Section(title=words.questions.format(taker=""))
    own = {(one.text, one.changed, one.stage): one for one in found.questions if one.taker == takers[-1]}
    stages = [stage for stage in found.stages if any(stage == key[2] for key in own)]
    texts = sorted(dict.fromkeys((text, changed) for text, changed, _ in own), key=lambda pair: not pair[1])
    rows = [
        (text, words.changes if changed else words.stays, *(met(own.get((text, changed, stage))) for stage in stages))
        for text, changed in texts
    ]
    grid = [[own.get((text, changed, stage)) for stage in stages] for text, changed in texts]
    svg = heat(grid, [shortened(text) for text, _ in texts], stages, sum(changed for _, changed in texts))
    return Section(
        title=words.questions.format(taker=takers[-1]), note=words.questions_note, heads=(*words.question_heads, *stages), rows=tuple(rows), svg=svg
    )  # fmt: skip


def met(one: Question | None) -> str:
    """The share of the persons as a count."""
    return NONE if one is None else counted(one.right, one.n)


def shortened(text: str, most: int = 46) -> str:
    """A text that fits beside a map."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


# Maps ----------------------------------------------------------------------------------------------------


def matrix(found: Result, words: Words) -> str:
    """A map for each taker: when it happened against when it is asked."""
    rows = list(found.stages) + ([""] if any(not cell.about for cell in found.cells) else [])
    takers = [taker for taker in found.takers if any(cell.taker == taker and cell.knows is not None for cell in found.cells)]
    if not takers:
        return ""
    figure = canvas(max(6.6, 1.3 + 1.05 * len(found.stages) * len(takers)), 0.9 + 0.62 * len(rows))
    for number, taker in enumerate(takers, 1):
        axes = figure.add_subplot(1, len(takers), number)
        own = {(cell.about, cell.stage): cell for cell in merged(found.cells, taker)}
        for y, about in enumerate(rows):
            for x, stage in enumerate(found.stages):
                if cell := own.get((about, stage)):
                    square(axes, x, y, cell.knows, cell.n, cell.kind in KNOWN)
        frame(axes, len(found.stages), found.stages, [row or words.unknown_row for row in rows] if number == 1 else [""] * len(rows), taker)
    return drawn(figure, "timeline")


def merged(cells: Sequence[Cell], taker: str) -> list[Cell]:
    """The cells of all persons together; named unknowns of the future and of absence in one."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        if cell.taker != taker or cell.persona:
            continue
        before = found.get((cell.about, cell.stage))
        if before and (cell.knows is None or before.knows is None):
            cell = before if cell.knows is None else cell
        elif before:
            n = before.n + cell.n
            cell = cell.model_copy(update={"n": n, "knows": (before.knows * before.n + cell.knows * cell.n) / n})
        found[cell.about, cell.stage] = cell
    return list(found.values())


def heat(grid: Sequence[Sequence[Any]], rows: Sequence[str], columns: Sequence[str], first: int) -> str:
    """A map of questions by stage; a line below the first rows."""
    if not grid:
        return ""
    figure = canvas(4.6 + 0.9 * len(columns), 0.8 + 0.34 * len(rows))
    axes = figure.add_subplot()
    for y, row in enumerate(grid):
        for x, one in enumerate(row):
            if one is not None:
                square(axes, x, y, one.right, None, True, thin=True)
    frame(axes, len(columns), columns, rows, "")
    if 0 < first < len(rows):
        axes.axhline(first - 0.5, color=INK, linewidth=1.6)
    return drawn(figure, "questions by stage")


def square(axes: Any, x: int, y: int, share: float | None, n: int | None, wanted: bool, thin: bool = False) -> None:
    """One cell: the darker the higher, the figure in it; a dashed frame where it should be white."""
    from matplotlib.patches import Rectangle

    dark = share or 0.0
    look = {"edgecolor": INK, "linewidth": 0.6 if thin else 1.2, "linestyle": "-" if wanted else "--"}
    axes.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, facecolor=str(round(1 - 0.85 * dark, 3)), **look))
    text = "-" if share is None else f"{100 * share:.0f} %"
    label = text if n is None else f"{text}\n{n}"
    axes.text(x, y, label, ha="center", va="center", fontsize=8, color="white" if dark > LIGHT_TEXT else INK)


def frame(axes: Any, width: int, columns: Sequence[str], rows: Sequence[str], title: str) -> None:
    """Names of rows and columns, and no lines."""
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(width), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=9.5)
