"""Copied: the material, or the question, said back word for word.

The person's own words may be said again: exchanges, and what stands in an utterance of the
person's. So may the truth that the question brings, already in the first person: to tell it is the answer.
"""

from persllm.annotation import copies
from persllm.checks.case import Case
from persllm.checks.known import longest_run, runs
from persllm.records import Material


def copied(case: Case) -> str:
    """The longest verbatim run, if it is longer than the limit and makes up more of the answer than the limit allows."""
    if case.lists(("exchange",)):
        return ""
    if copies(case.answer, case.conversation.messages[-2].content, case.code):
        return f"the question: {case.answer[:120]}"
    words, limit = case.words(case.answer), case.limit(case.settings.copied_words)
    if len(words) < limit:
        return ""
    for material in case.evidence:
        start, length = shared_run(case, words, material)
        if length >= limit and length >= case.settings.copied_share * len(words):
            return f"{length} words in a row of {material.source}: {' '.join(words[start : start + 12])}"
    return ""


def shared_run(case: Case, words: tuple[str, ...], material: Material) -> tuple[int, int]:
    """(first word, number of words) of the longest run that the answer shares with a material, own utterances aside."""
    size = case.known.tools.RUN
    theirs = case.known.ages[material.identity].runs - runs(case.words(case.truth), size)
    if material.turns:
        names = (case.known.persona.name, *case.known.persona.aliases)
        own = [turn.text for turn in material.turns if turn.speaker in names]
        theirs = theirs - frozenset().union(*(runs(case.words(text), size) for text in own))
    return longest_run(words, theirs, size)
