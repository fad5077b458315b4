"""What every plot has in common: SVG text to be put into a page, with no file and no address, readable in black and white.

Bars differ in lightness and hatching, lines in their dashes. The text stays text, so it is searched, read aloud, and
set in the reader's own fonts.
"""

import html
import io
import re
import warnings
from typing import Any

FILLS = ("#ffffff", "#dfe8f1", "#b3cbe0", "#5b8db8", "#e8d9b5", "#c9a95a")
HATCHES = ("", "////", "||", "", "xx", "\\\\")
"""Lines alone: dots would be written out as circles, a hundred times the bytes."""
DASHES = ("-", "--", ":", "-.")
INK = "#222222"
POINTS = 10
"""Points of a figure on one rem of a page: the text of a plot is then about as large as small print."""


def canvas(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def plain(axes: Any) -> None:
    """No frame but the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def drawn(figure: Any, name: str) -> str:
    """The SVG of a figure: the same bytes for the same figure, no address in it. A page makes it no wider than `--natural`."""
    import matplotlib
    from matplotlib.text import Text

    for one in figure.findobj(Text):
        one.set_parse_math(False)  # a dollar in somebody's name or question is a dollar
    text = io.StringIO()
    look = {"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif", "hatch.linewidth": 0.5}
    with matplotlib.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's fonts set the text, not those of this machine
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(?::\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<[^>]*>", lambda tag: rounded(tag[0]), svg)
    width = float(re.search(r'viewBox="\S+ \S+ (\S+)', svg)[1])
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(name)}" style="--natural: {width / POINTS:.1f}rem"', 1)


def rounded(tag: str) -> str:
    """A tag with its coordinates to a hundredth of a point, and one font for which the place was measured before the reader's own."""
    short = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag)
    return re.sub(r"font-family: [^;\"]*", "font-family: 'DejaVu Sans', sans-serif", short)
