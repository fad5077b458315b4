"""The report as one self-contained HTML page, and as Markdown for places that show no pages.

Texts of models and users are escaped; the only markup that is put in as it is are our own plots and styles.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import persllm
from persllm.report import plots, tables
from persllm.report.evidence import Evidence
from persllm.report.exchanges import Example, Exchange
from persllm.report.verdict import Goal, Verdict, number, percent, title_of, with_interval

HERE = Path(__file__).parent


def html_page(
    evidence: Evidence, verdict: Verdict, goals: Sequence[Goal], exchanges: Sequence[Exchange], examples: Sequence[Example]
) -> str:
    """The page."""
    from markupsafe import Markup

    drawn = {
        "choice": plots.choice_by_set(evidence), "distinction": plots.distinction(evidence), "induction": plots.induction(evidence),
        "development": plots.development(evidence), "curves": plots.curves(evidence), "margins": plots.curves(evidence, "margin"),
    }  # fmt: skip
    style = (HERE / "page.css").read_text(encoding="utf-8")
    words = content(evidence, verdict, goals, exchanges, examples)
    return rendered("page.html", True, style=Markup(style), plots={name: Markup(svg) for name, svg in drawn.items()}, **words)


def markdown_page(
    evidence: Evidence, verdict: Verdict, goals: Sequence[Goal], exchanges: Sequence[Exchange], examples: Sequence[Example]
) -> str:
    """The same without plots."""
    return rendered("page.md", False, **content(evidence, verdict, goals, exchanges, examples))


def content(
    evidence: Evidence, verdict: Verdict, goals: Sequence[Goal], exchanges: Sequence[Exchange], examples: Sequence[Example]
) -> dict[str, Any]:
    """What both pages say."""
    return {
        "name": evidence.recipe.name, "verdict": verdict, "gained": [title_of(g) for g in verdict.gained],
        "uncertain": [title_of(g) for g in verdict.uncertain], "lost": [title_of(g) for g in verdict.lost],
        "goals": goals, "bound": bound, "interval": with_interval, "percent": percent,
        "exchanges": exchanges, "examples": examples, "takers": evidence.takers, "final": evidence.final, "rival": evidence.rival,
        "headlines": tables.headlines(evidence), "gains": tables.gains(evidence), "gain_heads": tables.gain_heads(evidence),
        "likeness": tables.likeness(evidence), "heard": tables.heard_as(evidence, evidence.final),
        "by_question": tables.stages_by_question(evidence, evidence.final), "by_person": tables.by_person(evidence),
        "classifier": evidence.figure("identified_stage", "reference", "gold"), "steps": evidence.steps,
        "provenance": evidence.provenance, "settings": evidence.recipe, "limits": limits(evidence), "version": persllm.__version__,
    }  # fmt: skip


def bound(goal: Goal) -> str:
    """What a goal asks for, in words."""
    sign = "at least" if goal.aim.at_least else "at most"
    return f"{sign} {number(goal.aim.bound, goal.aim.metric).replace('.0', '')}"


def limits(evidence: Evidence) -> list[str]:
    """What must be known before the figures are believed."""
    found = [
        "Every interval is a 95 % bootstrap over questions. Many figures stand side by side; about one difference in twenty looks certain by chance.",
        "Choice ranks given texts by likelihood. It does not show that a model would write the right one; read fidelity and the examples beside it.",
        "What is read out of generated answers (facts, premises, leaks) is found by words. The same thing said otherwise is missed.",
        "Failed and empty answers are unscored and counted, never zero.",
    ]
    if evidence.main_group != "gold":
        found.append("There is no hand-written examination: test questions and training questions come from the same constructor.")
    if any(item.origin == "constructed" and item.set == "generalisation" for item in evidence.items.values()):
        found.append(
            "In the constructed sets the answers of other persons and stages are texts that were trained on, as theirs. On untrained material "
            "they stand against a right answer that was not, so a model that recites prefers them: read that set as a test of recitation too."
        )
    if evidence.recipe.base.model == "small":
        found.append("The base is a model of a few million parameters. It recites better than it reads; a new wording often misleads it.")
    if evidence.recipe.constructor.engine == "extractive":
        found.append("The training conversations were made by rules from the materials, without a language model.")
    return found


def rendered(template: str, escape: bool, **words: Any) -> str:
    """A template of this folder filled strictly: an unknown word is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**words)
