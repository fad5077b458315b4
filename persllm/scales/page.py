"""A result as a page, in the language of the persons."""

from collections.abc import Callable
from pathlib import Path

from persllm.parsing import Settings
from persllm.scales.radar import radar
from persllm.scales.result import Result
from persllm.sheets import Section, Sheet, words_of

HERE = Path(__file__).parent


class Words(Settings):
    """What the page says, in one language."""

    title: str
    anyone: str
    reliable: str
    unreliable: str
    moved: str
    undefined: str
    radar: str
    radar_note: str
    radar_base: str
    scores: str
    scores_note: str
    score_heads: tuple[str, ...]
    changes: str
    changes_note: str
    change_heads: tuple[str, ...]
    certain: str
    reliability: str
    reliability_note: str
    reliability_heads: tuple[str, ...]
    agreement: str
    agreement_note: str
    agreement_heads: tuple[str, ...]
    domains: str
    items: str
    limits: tuple[str, ...]


def sheet_of(found: Result, language: str) -> Sheet:
    """The page of a result."""
    words = words_of(Words, HERE, language)
    parts: list[Callable[[Result, Words, str], Section]] = [radars, agreement, changes, reliability, scores]
    sections = [part(found, words, language) for part in parts]
    return Sheet(
        title=words.title.format(scale=found.scale.name, wording=found.wording, run=found.run), verdict=verdict(found, words),
        sections=tuple(one for one in sections if one.rows or one.svg), limits=words.limits, language=language,
        taker=found.standings[-1].taker,
    )  # fmt: skip


def verdict(found: Result, words: Words) -> str:
    """What the figures come to, for the last taker."""
    last = found.standings[-1]
    figures = {name: number(getattr(last, name), words) for name in ("alpha", "retest_r", "order_effect", "retest", "spread")}
    said = (words.reliable if last.reliable else words.unreliable).format(taker=last.taker, **figures)
    return f"{said} {words.moved.format(certain=last.certain, changes=last.changes)}" if last.changes else said


def number(value: float | None, words: Words | None = None) -> str:
    """Two digits; a dash, or the words for it, where there is no figure."""
    return f"{value:.2f}" if value is not None else words.undefined if words else "-"


def ends(low: float | None, high: float | None) -> str:
    """An interval."""
    return "-" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def radars(found: Result, words: Words, language: str) -> Section:
    """The radar of the last taker."""
    titles = {domain: found.scale.title(domain, language) for domain in found.scale.domains}
    base = next((one.taker for one in found.scores if not one.persona), "")
    note = words.radar_note + (words.radar_base.format(base=base) if base else "")
    svg = radar(found.scores, found.takers[-1], base, titles, found.persons)
    return Section(title=f"{words.radar}: {found.takers[-1]}", note=note, svg=svg, main=True)


def scores(found: Result, words: Words, language: str) -> Section:
    """Every score."""
    rows = [
        (one.taker, found.persons.get(one.persona, words.anyone), one.stage, found.scale.title(one.domain, language), number(one.value),
         ends(one.low, one.high), str(one.n), str(one.unscored), number(one.plain))
        for one in found.scores
    ]  # fmt: skip
    return Section(title=words.scores, note=words.scores_note, heads=words.score_heads, rows=tuple(rows), main=True)


def changes(found: Result, words: Words, language: str) -> Section:
    """Differences of the last taker and of the rest, the surest first."""
    rows = [
        (one.taker, found.persons[one.persona], found.scale.title(one.domain, language), one.stage, one.than, f"{one.value:+.2f}",
         ends(one.low, one.high), str(one.n), f"{one.p:.3f}", f"{one.adjusted:.3f}", words.certain if one.certain else "")
        for one in sorted(found.changes, key=lambda one: (-found.takers.index(one.taker), one.adjusted, one.p, -abs(one.value)))
    ]  # fmt: skip
    return Section(title=words.changes, note=words.changes_note, heads=words.change_heads, rows=tuple(rows))


def reliability(found: Result, words: Words, language: str) -> Section:
    """Reliability by taker and domain."""
    rows = [
        (one.taker, found.scale.title(one.domain, language), str(one.respondents), number(one.alpha), number(one.split_half),
         number(one.order_effect), number(one.retest), number(one.retest_r), number(one.spread), number(one.acquiescence))
        for one in found.reliability
    ]  # fmt: skip
    return Section(title=words.reliability, note=words.reliability_note, heads=words.reliability_heads, rows=tuple(rows))


def agreement(found: Result, words: Words, language: str) -> Section:
    """Beside the labels, if there are any."""
    rows = [
        (one.taker, str(one.n), str(one.missing), number(one.r), number(one.error), ends(one.low, one.high), number(one.guess))
        for one in found.agreement
    ]
    kind = words.items if any(one.kind == "items" for one in found.agreement) else words.domains
    return Section(title=words.agreement, note=words.agreement_note.format(kind=kind), heads=words.agreement_heads, rows=tuple(rows))
