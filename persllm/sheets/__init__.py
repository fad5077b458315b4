"""A result as one self-contained page and as Markdown: a sentence, tables, plots, talks, limits.

What models and users wrote is escaped; the only markup that is put in as it is are our own plots.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Record
from persllm.store import replace_json, replace_text

__all__ = ["Section", "Sheet", "TableWords", "Talk", "kept_sheet", "rendered", "table", "words_of", "write_sheet"]
HERE = Path(__file__).parent
KEPT = ".sheet.json"
"""How the file ends in which a sheet is kept."""
Own = TypeVar("Own", bound=Settings)


class Talk(Record):
    """Something that was said, shown in full."""

    title: str
    lines: tuple[tuple[str, str], ...]
    """(who, what)."""


class Section(Record):
    """A part of a sheet."""

    title: str
    note: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    svg: str = ""
    """A plot of `persllm.drawing`; Markdown leaves it out."""
    talks: tuple[Talk, ...] = ()
    main: bool = False
    """Shown in the report of the run, too: of tables what is said of the taker of the sheet."""


class Sheet(Record):
    """A page."""

    title: str
    verdict: str
    """The sentence it opens with, made by rule from the figures."""
    taker: str = ""
    """Of whom that is said."""
    sections: tuple[Section, ...]
    limits: tuple[str, ...]
    """What must be known before the figures are believed."""
    language: Literal["en", "zh"] = "en"


class TableWords(Settings):
    """What is said above a table, in one language."""

    title: str
    note: str
    heads: tuple[str, ...]


class Words(Settings):
    """What the template itself says, in one language."""

    nothing: str
    limits: str


def words_of(kind: type[Own], folder: Path, language: str) -> Own:
    """The words of a page: `pages/LANGUAGE.yaml` of the folder that makes it."""
    file = folder / "pages" / f"{language}.yaml"
    return parse(kind, read_yaml(file), str(file))


def table(words: TableWords, rows: Sequence[tuple[str, ...]], main: bool = False, **places: object) -> Section:
    """A section with a table; `places` fill note and heads."""
    note, heads = words.note.format(**places), tuple(head.format(**places) for head in words.heads)
    return Section(title=words.title, note=note, heads=heads, rows=tuple(rows), main=main)


def rendered(sheet: Sheet, html: bool) -> str:
    """The page, or the same as Markdown; a word that is missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    import persllm

    file = HERE / f"{sheet.language}.yaml"
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["cell"] = cell
    template = environment.get_template("page.html" if html else "page.md")
    return template.render(sheet=sheet, words=parse(Words, read_yaml(file), str(file)), version=persllm.__version__)


def cell(text: str) -> str:
    """A text that breaks no row of a Markdown table and no page that shows it."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'")


def write_sheet(place: Path, sheet: Sheet, result: Record) -> Path:
    """Write `place`.json, .md, .html and, for the report of the run, .sheet.json; returns the page."""
    replace_json(place.with_suffix(KEPT), sheet.model_dump(mode="json"))
    replace_json(place.with_suffix(".json"), result.model_dump(mode="json"))
    replace_text(place.with_suffix(".md"), rendered(sheet, html=False))
    replace_text(place.with_suffix(".html"), rendered(sheet, html=True))
    return place.with_suffix(".html")


def kept_sheet(place: Path) -> Sheet | None:
    """The sheet that was written to a place; None if none was."""
    file = place.with_suffix(KEPT)
    return Sheet.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
