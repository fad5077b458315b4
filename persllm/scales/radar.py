"""The scores as a radar for each person: a line for each stage, told apart by its dashes; readable in black and white."""

from collections.abc import Mapping, Sequence

import numpy as np

from persllm.drawing import DASHES, INK, canvas, drawn
from persllm.scales.scoring import DomainScore

COLUMNS = 2
LOWEST, HIGHEST = 1, 5


def radar(scores: Sequence[DomainScore], taker: str, base: str, titles: Mapping[str, str], persons: Mapping[str, str]) -> str:
    """SVG of one taker. `titles` names the domains, `persons` the persons. Empty with fewer than three domains."""
    shown = [one for one in dict.fromkeys(s.persona for s in scores if s.taker == taker) if one in persons]
    if len(titles) < 3 or not shown:
        return ""
    rows = -(-len(shown) // COLUMNS)
    figure = canvas(3.8 * min(COLUMNS, len(shown)), 3.0 * rows)
    angles = np.linspace(0, 2 * np.pi, len(titles), endpoint=False)
    for number, persona in enumerate(shown, 1):
        axes = figure.add_subplot(rows, min(COLUMNS, len(shown)), number, projection="polar")
        draw_frame(axes, angles, list(titles.values()), persons[persona])
        draw(axes, angles, values(scores, base, "", "", titles), ":", 0.9, base)
        stages = dict.fromkeys(s.stage for s in scores if s.taker == taker and s.persona == persona)
        for place, stage in enumerate(stages):
            draw(axes, angles, values(scores, taker, persona, stage, titles), DASHES[place % 2 or place // 2 * 3], 1.5, stage, place)
        axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    return drawn(figure, f"radar {taker}")


def draw_frame(axes, angles: np.ndarray, titles: Sequence[str], name: str) -> None:
    """Axes, rings and names."""
    axes.set_theta_offset(np.pi / 2)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.set_yticks(range(LOWEST + 1, HIGHEST), map(str, range(LOWEST + 1, HIGHEST)), fontsize=6, color="#777777")
    axes.set_xticks(angles, titles, fontsize=7.5)
    for angle, label in zip(angles, axes.get_xticklabels(), strict=True):
        label.set_horizontalalignment("center" if abs(np.sin(angle)) < 0.1 else "right" if np.sin(angle) > 0 else "left")
    axes.grid(color="#cccccc", linewidth=0.6)
    axes.spines["polar"].set_color("#999999")
    axes.set_title(name, fontsize=9.5)


def draw(axes, angles: np.ndarray, found: Sequence[DomainScore | None], dashes: str, width: float, label: str, place: int = 0) -> None:
    """One closed line with its intervals; nothing if a domain is missing."""
    if not found or any(one is None or one.value is None for one in found):
        return
    heights = [one.value for one in found]
    axes.plot([*angles, angles[0]], [*heights, heights[0]], dashes, color=INK, linewidth=width, label=label)
    if width > 1:
        for angle, one in zip(angles + 0.06 * (place - 0.5), found, strict=True):
            axes.plot([angle, angle], [one.low, one.high], "-", color=INK, linewidth=0.6)


def values(scores: Sequence[DomainScore], taker: str, persona: str, stage: str, titles: Mapping[str, str]) -> list[DomainScore | None]:
    """The scores of a place in the order of the domains."""
    own = {s.domain: s for s in scores if (s.taker, s.persona, s.stage) == (taker, persona, stage)}
    return [own.get(domain) for domain in titles]
