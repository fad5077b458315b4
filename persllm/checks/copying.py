"""Copied: the material, or the question, said back word for word, be it with turned pronouns.

The person's own words may be said again: exchanges, and what stands in an utterance of the
person's. So may the truth that the question brings, already in the first person: to tell it is the answer.
"""

from persllm.annotation import copies
from persllm.checks.case import Case
from persllm.checks.known import longest_run, runs
from persllm.records import Material


def copied(case: Case) -> str:
    """The longest run of a material's words, if it is longer than the limit and makes up more of the answer than it may."""
    if case.of_kind(("exchange",)):
        return ""
    if copies(case.answer, case.conversation.messages[-2].content, case.code):
        return f"the question: {case.answer[:120]}"
    words, limit = case.neutral(case.answer), case.limit(case.settings.copied_words)
    for material in case.evidence if len(words) >= limit else ():
        start, length = longest_run(words, shared(case, material), case.known.tools.RUN)
        if length >= limit and length >= case.settings.copied_share * len(words):
            return f"{length} words in a row of {material.source}: {' '.join(words[start : start + 12])}"
    return ""


def shared(case: Case, material: Material) -> frozenset[int]:
    """The runs of a material that nobody may say back: without the person's own utterances and the truth to be told."""
    names = (case.known.persona.name, *case.known.persona.aliases)
    own = [turn.text for turn in material.turns if turn.speaker in names]
    size = case.known.tools.RUN
    return case.known.ages[material.identity].runs.difference(*(runs(case.neutral(text), size) for text in (case.truth, *own)))
