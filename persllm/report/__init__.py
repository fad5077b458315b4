"""The report: what the training added, for people (`report.html`, `report.md`) and for machines (`report.json`).

The page opens with one sentence made by rule from the figures, says which goals were not reached, shows real answers
good and bad, and what was left out on the way. It is one file without any address: it can be kept, mailed and printed.
"""

from pathlib import Path
from typing import Any

from persllm.config import Recipe
from persllm.records import Record
from persllm.report.evidence import Evidence, StepRow, read_evidence
from persllm.report.exchanges import Example, Exchange, examples, sample_exchanges
from persllm.report.page import html_page, markdown_page
from persllm.report.verdict import Goal, Verdict, goals, judge
from persllm.statistics import Difference, Figure
from persllm.store import Progress, Run, StepFolder, replace_json, replace_text, silent

__all__ = ["Report", "closing_lines", "sample_exchanges", "write_report"]


class Report(Record):
    """Everything the page says, and all figures."""

    name: str
    verdict: Verdict
    goals: tuple[Goal, ...]
    exchanges: tuple[Exchange, ...]
    examples: tuple[Example, ...]
    steps: tuple[StepRow, ...]
    """Time of each step, and what it dropped by reason."""
    figures: tuple[Figure, ...]
    differences: tuple[Difference, ...]
    settings: dict[str, Any]
    """The recipe as it was run."""
    provenance: dict[str, Any]


def write_report(recipe: Recipe, run: Run, folder: StepFolder, progress: Progress = silent) -> dict[str, Any]:
    """Write report.json, report.md and report.html; returns facts for step.json. RunError if there is no evaluation."""
    evidence = read_evidence(recipe, run)
    report = make_report(evidence)
    replace_json(folder.path / "report.json", report.model_dump(mode="json"))
    replace_text(folder.path / "report.md", markdown_page(evidence, report.verdict, report.goals, report.exchanges, report.examples))
    progress(1, 2)
    replace_text(folder.path / "report.html", html_page(evidence, report.verdict, report.goals, report.exchanges, report.examples))
    progress(2, 2)
    reached = sum(goal.reached is True for goal in report.goals)
    return {
        "sentence": report.verdict.sentence,
        "goals_reached": reached,
        "goals_measured": sum(g.reached is not None for g in report.goals),
    }


def make_report(evidence: Evidence) -> Report:
    """The report on an evaluation."""
    return Report(
        name=evidence.recipe.name,
        verdict=judge(evidence),
        goals=tuple(goals(evidence)),
        exchanges=tuple(sample_exchanges(evidence)),
        examples=tuple(examples(evidence)),
        steps=tuple(evidence.steps),
        figures=tuple(evidence.figures.values()),
        differences=tuple(evidence.differences.values()),
        settings=evidence.recipe.model_dump(mode="json"),
        provenance=dict(evidence.provenance),
    )


def closing_lines(path: Path) -> str:
    """What the command line says at the end of a run: the sentence, the exchanges, and where the report is."""
    file = path / "9-report" / "report.json"
    report = Report.model_validate_json(file.read_text(encoding="utf-8"))
    lines = [report.verdict.sentence, ""]
    for exchange in report.exchanges:
        lines += [f"{exchange.title} (answers of {exchange.taker}, unedited)", *(f"  > {line}" for line in exchange.question.split("\n"))]
        lines += [f"  {said.who}: {said.text}" for said in exchange.answers]
        lines.append("")
    return "\n".join(
        [*lines, f"The exchanges are the best that the metrics find; the report shows bad ones too: {file.with_suffix('.html')}"]
    )
