"""The report as one self-contained HTML page, and as Markdown for places that show no pages.

Texts of models and users are escaped; the only markup that is put in as it is are our own plots and styles.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import persllm
from persllm.report import plots, tables
from persllm.report.evidence import Evidence
from persllm.report.exchanges import Example, Exchange, successes
from persllm.report.further import FEW, found_in, missing_in
from persllm.report.story import about, costs, judges, limits, sections, who_sat
from persllm.report.verdict import Goal, Verdict, number, percent, title_of, with_interval
from persllm.report.words import ENGLISH, Words

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
    words = evidence.words
    missing = missing_in(evidence.path, evidence.recipe.name, words)
    further = {"judges": judges(evidence), "further": found_in(evidence.path), "missing": missing, "few": FEW}
    return {
        "_": words, "language": words.language, "sections": sections(evidence, further), "name": evidence.recipe.name, "verdict": verdict,
        "gained": [title_of(g, words) for g in verdict.gained], "uncertain": [title_of(g, words) for g in verdict.uncertain],
        "lost": [title_of(g, words) for g in verdict.lost], "about": about(evidence), "who_sat": who_sat(evidence), "rivals": evidence.rivals,
        "goals": goals, "bound": partial(bound, words=words), "interval": partial(with_interval, words=words), "percent": percent,
        "exchanges": exchanges, "examples": examples, "takers": evidence.takers, "final": evidence.final, "rival": evidence.rival,
        "title_of": lambda example: title_of(f"{example.origin}/{example.set}", words), "attacks": successes(evidence),
        "headlines": tables.headlines(evidence), "gains": tables.gains(evidence), "gain_heads": tables.gain_heads(evidence),
        "likeness": tables.likeness(evidence), "heard": tables.heard_as(evidence, evidence.final), "costs": costs(evidence),
        "by_question": tables.stages_by_question(evidence, evidence.final), "by_person": tables.by_person(evidence),
        "classifier": evidence.figure("identified_stage", "reference", "gold"), "steps": evidence.steps,
        "provenance": evidence.provenance, "settings": evidence.recipe, "limits": limits(evidence), "version": persllm.__version__, **further,
    }  # fmt: skip


def bound(goal: Goal, words: Words = ENGLISH) -> str:
    """What a goal asks for, in words."""
    text = "at least {bound}" if goal.aim.at_least else "at most {bound}"
    return words(text, bound=number(goal.aim.bound, goal.aim.metric).replace(".0", ""))


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
