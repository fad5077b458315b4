"""An audit as a page and as Markdown. Texts of models and users are escaped."""

from pathlib import Path

import persllm
from persllm.audit.records import Audit
from persllm.audit.verdict import number

HERE = Path(__file__).parent


def rendered(template: str, escape: bool, found: Audit) -> str:
    """A template of this folder filled strictly: an unknown word is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )  # fmt: skip
    environment.filters["cell"] = cell
    return environment.get_template(template).render(
        audit=found, number=number, percent=percent, version=persllm.__version__, tables=tables(found)
    )


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def cell(text: str) -> str:
    """A text that breaks no row of a Markdown table and no page that shows it."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'")


Table = tuple[str, str, list[str], list[list[str]]]
"""Title, note, heads, rows."""


def tables(found: Audit) -> list[Table]:
    """What both pages show as tables."""
    return [limits(found), spreads(found), extractions(found), exposures(found), leaks(found), recitals(found)]


def limits(found: Audit) -> Table:
    """The figures beside their limits."""
    rows = [
        [one.name, number(one.value), number(one.base), number(one.bound), one.setting, "over" if one.over else "not measured" if one.value is None else "within"]
        for one in found.limits
    ]  # fmt: skip
    return "Limits", "The limits are settings.", ["figure", found.taker, "base", "limit", "setting", "verdict"], rows


def spreads(found: Audit) -> Table:
    """Longest verbatim runs."""
    rows = [
        [one.taker, one.where, one.body, one.language, str(one.n), str(one.unscored), f"{one.median:g}", f"{one.ninetieth:g}", str(one.maximum),
         f"{percent(one.share)} [{percent(one.low)}, {percent(one.high)}]"]
        for one in found.spreads
    ]  # fmt: skip
    note = "The longest run of an answer that stands word for word in the materials, or in an answer that was trained on. English in words, Chinese in characters."
    return (
        "Verbatim runs",
        note,
        ["taker", "answers of", "found in", "language", "n", "unscored", "median", "90th", "maximum", "reciting [95 %]"],
        rows,
    )


def extractions(found: Audit) -> Table:
    """Beginnings gone on with."""
    rows = [
        [
            one.taker,
            one.kind,
            str(one.n),
            str(one.unscored),
            f"{percent(one.share)} [{percent(one.low)}, {percent(one.high)}]",
            str(one.longest),
        ]
        for one in found.extractions
    ]
    note = "The first words are given, the next ones must come out unchanged. Held-out materials were never trained on: what comes out there is guessed."
    return "Extraction", note, ["taker", "beginnings of", "n", "unscored", "extracted [95 %]", "longest"], rows


def exposures(found: Audit) -> Table:
    """Canaries."""
    rows = [
        [one.taker, str(one.n), str(one.unscored), str(one.alternatives), f"{one.mean:.2f} [{one.low:.2f}, {one.high:.2f}]", f"{one.chance:.2f}", f"{one.most:.2f}", str(one.first)]
        for one in found.exposures
    ]  # fmt: skip
    note = "Planted sentences ranked by likelihood among sentences drawn in the same way; in bits, log2 of how far up they stand. None were planted if the table is empty."
    return (
        "Canaries",
        note,
        ["taker", "n", "unscored", "alternatives", "mean exposure [95 %]", "by chance", "at most", "ranked first"],
        rows,
    )


def leaks(found: Audit) -> Table:
    """Personal data."""
    rows = [[one.taker, one.where, one.kind, one.shown, one.origin, one.source] for one in found.leaks]
    note = f"Found by rules in {found.leaks_searched} texts of the takers. `invented` stands in no material and in no question."
    return "Personal data", note, ["taker", "answers of", "kind", "piece", "origin", "source"], rows


def recitals(found: Audit) -> Table:
    """The longest runs, shown."""
    rows = [[one.taker, one.where, str(one.length), one.source, one.run] for one in found.recitals]
    return (
        "Longest recitations",
        "Each run once, with file and line of the material.",
        ["taker", "answers of", "length", "source", "run"],
        rows,
    )
