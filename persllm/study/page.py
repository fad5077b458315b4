"""The results of a study as one self-contained page, readable in black and white."""

from pathlib import Path
from typing import Any

from persllm.study.design import StudySettings
from persllm.study.results import Estimate, Results

PAGES = Path(__file__).parent / "pages"


def results_page(results: Results, settings: StudySettings) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader

    pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"share": share, "number": number, "bar": bar}
    return pages.get_template("results.html").render(results=results, settings=settings, summary=summary(results))


def share(estimate: Estimate) -> str:
    """A share in per cent with its interval."""
    return told(estimate, 100, 1, " %")


def number(estimate: Estimate) -> str:
    """A figure with its interval."""
    return told(estimate, 1, 2, "")


def told(estimate: Estimate, times: float, digits: int, unit: str) -> str:
    """A figure with its interval, or why there is none."""
    if estimate.value is None:
        return estimate.note or "–"
    text = f"{estimate.value * times:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return f"{text} ({estimate.note or 'no interval'})"
    return f"{text} ({estimate.low * times:.{digits}f} to {estimate.high * times:.{digits}f})"


def bar(estimate: Estimate) -> dict[str, Any] | None:
    """Where the interval and the value of a share stand on a line of 200 units; None if there is no interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    return {
        "x": round(200 * estimate.value, 1),
        "low": round(200 * estimate.low, 1),
        "width": round(200 * (estimate.high - estimate.low), 1),
    }


def summary(results: Results) -> str:
    """The results in one sentence."""
    clear = [
        p for p in results.preferences if p.share.low is not None and p.share.high is not None and not p.share.low <= 0.5 <= p.share.high
    ]
    if not results.preferences or all(p.share.value is None for p in results.preferences):
        return "No pairs have been judged yet."
    if not clear:
        return "On no dimension is one taker preferred for certain: every interval holds one half."
    parts = [
        f"{p.taker if p.share.value > 0.5 else p.other} is preferred to {p.other if p.share.value > 0.5 else p.taker} for {p.dimension}"
        for p in clear
        if p.share.value is not None
    ]
    return f"For certain (95 %): {'; '.join(parts)}."
