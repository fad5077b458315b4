"""What the page tells in sentences: what was done, who sat, what it cost, what must be known before the figures are believed."""

from collections.abc import Mapping
from typing import Any

from persllm.report.evidence import Evidence
from persllm.report.judging import difference_rows, judged_rows, sorted_words, warnings
from persllm.report.tables import Row
from persllm.report.verdict import TAKER_TITLES

MEANINGS = {
    "base": "the model before any training; it is told nothing of the person",
    "prompted": "the same untrained model, told in words who it is to be, and at which stage of life",
    "retrieval": "as prompted, and with the passages of the materials that the question calls for",
    "stylised": "the base tuned on general talk in the person's manner, with nothing of the person's life",
    "sft": "the base tuned on the person's conversations",
    "dpo": "the tuned model, trained further to prefer the person's own answer to those of other stages and other persons",
}
"""What each taker is, for a reader who has never heard of it."""


def about(evidence: Evidence) -> str:
    """What was done, in a few sentences."""
    words, facts = evidence.words, {step.folder: step.facts for step in evidence.steps}
    names = words.listed([person.name for person in evidence.personas.values()])
    stages = sum(len(person.stages) for person in evidence.personas.values())
    found = [words(
        "A language model ({base}) was to become {names}, at {stages} stages of life in all.", base=words("the bundled small base") if evidence.recipe.base.model == "small" else evidence.recipe.base.model, names=names, stages=stages
    )]  # fmt: skip
    materials, made = facts.get("1-materials", {}).get("materials"), facts.get("4-dataset", {}).get("conversations")
    if materials and made:
        found.append(words(
            "From {materials} pieces of what is known of them, {made} conversations were made, and it was trained on these.", materials=materials, made=made
        ))  # fmt: skip
    found.append(words(
        "Then {takers} models got the same {items} questions, none of which was trained on:", takers=len(evidence.takers), items=f"{len(evidence.items):,}"
    ))  # fmt: skip
    return ("" if words.language == "zh" else " ").join(found)


def who_sat(evidence: Evidence) -> list[tuple[str, str]]:
    """Every taker with what it is."""
    words = evidence.words
    return [(taker, words(MEANINGS[taker]) if taker in TAKER_TITLES else words("a model from elsewhere")) for taker in evidence.takers]


def sections(evidence: Evidence, further: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Place and title of every section that this page has."""
    titles = {
        "what": "What was done", "verdict": "Verdict", "exchanges": "Exchanges", "goals": "Goals", "takers": "Figures", "distinction": "Distinction",
        "development": "Development", "induction": "Induction", "identification": "Identification",
        "further": "Also measured", "examples": "Examples", "judges": "Judged by a model", "costs": "Costs", "dropped": "Left out",
        "provenance": "Provenance", "limits": "Limits",
    }  # fmt: skip
    return [(place, evidence.words(title)) for place, title in titles.items() if place != "judges" or further["judges"]]


def judges(evidence: Evidence) -> list[dict[str, Any]]:
    """What each judge said, as a table with its warnings."""
    words = evidence.words
    return [
        {
            "model": judged.model,
            "heads": [*judged.takers, "n", words("unscored"), words("agreement with human labels")],
            "rows": [Row(title=title, cells=cells) for title, *cells in judged_rows(judged, words)],
            "differences": [Row(title=title, cells=cells) for title, *cells in difference_rows(judged, words)],
            "sorted": sorted_words(judged, words),
            "warnings": warnings(judged, words),
        }
        for judged in evidence.judged
    ]


def costs(evidence: Evidence) -> str:
    """Time, memory and money of the whole run, in a sentence or two."""
    words, steps = evidence.words, evidence.steps
    seconds, peak = sum(step.seconds for step in steps), max((step.peak_memory_mb for step in steps), default=0)
    found = [
        words(
            "{minutes} minutes in all, at most {memory} MB of memory.", minutes=f"{seconds / 60:.1f}", memory=f"{peak:,}" if peak else "?"
        )
    ]
    calls = sum(int(step.facts.get("usage.calls", "0").replace(",", "")) for step in steps)
    if calls:
        money = sum(float(step.facts.get("price", "0").replace(",", "")) for step in steps)
        price = f" ({money:.4f} {evidence.recipe.budget.currency})" if money else ""
        found.append(words("{calls} calls of models at addresses{price}.", calls=f"{calls:,}", price=price))
    else:
        found.append(words("No model at an address was asked for the data, so nothing was paid."))
    return ("" if words.language == "zh" else " ").join(found)


def limits(evidence: Evidence) -> list[str]:
    """What must be known before the figures are believed."""
    found = [
        "Every interval is a 95 % bootstrap over questions. What the verdict calls certain is corrected for the number of test sets; the long table is not: about one of twenty of its differences looks certain by chance.",
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
    return [evidence.words(limit) for limit in found]
