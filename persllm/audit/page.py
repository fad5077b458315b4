"""An audit as a page, in the language of the persons."""

from pathlib import Path

from persllm.audit.records import Audit, Limit
from persllm.parsing import Settings
from persllm.sheets import Section, Sheet, TableWords, table, words_of
from persllm.sheets.figures import share

HERE = Path(__file__).parent


class Words(Settings):
    """What the page says, in one language."""

    title: str
    over: str
    none_over: str
    missing: str
    over_one: str
    missing_one: str
    between: str
    limit_names: dict[str, str]
    """Setting -> what it bounds."""
    missing_notes: dict[str, str] = {}  # noqa: RUF012 - a setting, not a class attribute
    """Setting -> why there may be no figure."""
    not_measured: str
    is_over: str
    is_within: str
    figures: TableWords
    spreads: TableWords
    extractions: TableWords
    exposures: TableWords
    leaks: TableWords
    recitals: TableWords
    names: dict[str, str] = {}  # noqa: RUF012 - a setting, not a class attribute
    """What the figures are of, in the words of this language; what is not here is shown as it is."""
    limits: tuple[str, ...]

    def name(self, what: str) -> str:
        """A kind of answer, body of text, piece or origin."""
        return self.names.get(what, what)

    def number(self, value: float | None) -> str:
        """A figure in short."""
        return self.not_measured if value is None else f"{value:.3g}"


def sheet_of(found: Audit, language: str) -> Sheet:
    """The page of an audit."""
    words = words_of(Words, HERE, language)
    parts = (figures, extractions, spreads, exposures, leaks, recitals)
    return Sheet(
        title=words.title.format(run=found.run, taker=found.taker), verdict=verdict(found.limits, words), taker=found.taker,
        sections=tuple(part(found, words) for part in parts), limits=words.limits, language=language,
    )  # fmt: skip


def verdict(found: tuple[Limit, ...], words: Words) -> str:
    """What is over its limit, and what was not measured."""

    def joined(parts: list[str]) -> str:
        return words.between.join(parts)

    over = [
        words.over_one.format(name=words.limit_names[one.setting], value=words.number(one.value), bound=words.number(one.bound), base=words.number(one.base))
        for one in found
        if one.over
    ]  # fmt: skip
    missing = [
        words.missing_one.format(name=words.limit_names[one.setting], note=words.missing_notes[one.setting])
        if one.setting in words.missing_notes
        else words.limit_names[one.setting]
        for one in found
        if one.value is None
    ]
    head = words.over.format(figures=joined(over)) if over else words.none_over
    return head + words.missing.format(figures=joined(missing)) if missing else head


def figures(found: Audit, words: Words) -> Section:
    """The figures beside their limits."""
    rows = [
        (words.limit_names[one.setting], words.number(one.value), words.number(one.base), words.number(one.bound), one.setting,
         words.is_over if one.over else words.not_measured if one.value is None else words.is_within)
        for one in found.limits
    ]  # fmt: skip
    return table(words.figures, rows, main=True, taker=found.taker)


def spreads(found: Audit, words: Words) -> Section:
    """Longest verbatim runs."""
    rows = [
        (one.taker, words.name(one.where), words.name(one.body), one.language, str(one.n), str(one.unscored), f"{one.median:g}",
         f"{one.ninetieth:g}", str(one.maximum), share(one.share, one.low, one.high, 1))
        for one in found.spreads
    ]  # fmt: skip
    return table(words.spreads, rows, main=True)


def extractions(found: Audit, words: Words) -> Section:
    """Beginnings gone on with."""
    rows = [
        (one.taker, words.name(one.kind), str(one.n), str(one.unscored), share(one.share, one.low, one.high, 1), str(one.longest))
        for one in found.extractions
    ]
    return table(words.extractions, rows, main=True)


def exposures(found: Audit, words: Words) -> Section:
    """Canaries."""
    rows = [
        (one.taker, str(one.n), str(one.unscored), str(one.alternatives), f"{one.mean:.2f} [{one.low:.2f}, {one.high:.2f}]",
         f"{one.chance:.2f}", f"{one.most:.2f}", str(one.first))
        for one in found.exposures
    ]  # fmt: skip
    return table(words.exposures, rows, main=bool(rows))


def leaks(found: Audit, words: Words) -> Section:
    """Personal data."""
    rows = [(one.taker, words.name(one.where), words.name(one.kind), one.shown, words.name(one.origin), one.source) for one in found.leaks]
    return table(words.leaks, rows, searched=found.leaks_searched)


def recitals(found: Audit, words: Words) -> Section:
    """The longest runs, shown."""
    rows = [(one.taker, words.name(one.where), str(one.length), one.source, one.run) for one in found.recitals]
    return table(words.recitals, rows)
