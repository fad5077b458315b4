"""What other commands put into the folder of a run, taken up in its report: the sentence, the plot, the figures of one taker.

A command that has a page of its own keeps it as a sheet (`persllm.sheets`) beside the page. What is not there is said in one
line with the command that makes it.
"""

from collections.abc import Iterator
from pathlib import Path

from persllm.records import Record
from persllm.report.words import Words
from persllm.sheets import Section, Sheet, kept_sheet

FEW = 12
"""Rows that a table may have and still be shown open."""


class Source(Record):
    """A command whose results have a place in the report."""

    title: str
    place: str
    """Where its result is in the run, without the ending; may be a pattern."""
    command: str
    """What makes it."""


class Found(Record):
    """A result, as the report shows it."""

    title: str
    sentence: str
    taker: str
    """Of whom it is told."""
    sections: tuple[Section, ...]
    page: str
    """The full page, from the folder of the report on."""


SOURCES = (
    Source(title="Time: what is known, and when", place="timeline/result", command="persllm timeline {run}"),
    Source(title="Attacks, by family", place="attacks/result", command="persllm attack {run}"),
    Source(title="Personality scales", place="scales/*/result", command="persllm scales {run}"),
    Source(title="What each part of the method is worth", place="ablations", command="persllm ablate {recipe}"),
    Source(title="What the weights give away", place="audit/*", command="persllm audit {run}"),
)
BESIDE = ("attacks/*/worked.jsonl", "judge/*/judge.json")
"""What commands leave of the finished models besides."""


def told_of_models(run: Path) -> list[Path]:
    """Every result of a command that was put to the finished models of a run; what was answered and paid for is none."""
    return [file for pattern in (*(f"{source.place}.*" for source in SOURCES), *BESIDE) for file in run.glob(pattern)]


def found_in(run: Path) -> list[Found]:
    """Everything of other commands that the run has, in the order of SOURCES."""
    return [shown(sheet, run, place) for source in SOURCES for place, sheet in sheets_of(run, source) if sheet]


def missing_in(run: Path, recipe: str, words: Words) -> list[str]:
    """A line for everything that the run has not, with the command that makes it."""
    found, names = [], {"run": f"{run.resolve().parent.name}/{run.resolve().name}", "recipe": recipe}
    for source in SOURCES:
        there, command = list(sheets_of(run, source)), source.command.format(**names)
        if not there:
            found.append(words("{what}: not measured. {command} does it.", what=words(source.title), command=command))
        elif any(sheet is None for _, sheet in there):
            found.append(
                words("{what}: measured by an earlier version. {command} writes it anew.", what=words(source.title), command=command)
            )
    return found


def sheets_of(run: Path, source: Source) -> Iterator[tuple[Path, Sheet | None]]:
    """The results of a command with their sheets; None for one that was written before there were sheets."""
    for file in sorted(run.glob(f"{source.place}.json")):
        if not file.name.endswith(".sheet.json"):
            yield file, kept_sheet(file)


def shown(sheet: Sheet, run: Path, place: Path) -> Found:
    """What the report shows of a sheet."""
    page = f"../{place.with_suffix('.html').relative_to(run).as_posix()}"
    sections = tuple(of_taker(section, sheet.taker) for section in sheet.sections if section.main)
    return Found(title=sheet.title, sentence=sheet.verdict, taker=sheet.taker, sections=sections, page=page)


def of_taker(section: Section, taker: str) -> Section:
    """A section with the rows of one taker, who is named above them, if rows are of takers."""
    own = tuple(row[1:] for row in section.rows if row[0] == taker)
    return section.model_copy(update={"rows": own, "heads": section.heads[1:]}) if own else section
