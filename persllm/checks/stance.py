"""Premise accepted where it had to be refused, and truth denied where it had to be confirmed.

Read by marks of assent and denial, by the person's own openings, and by the words in which claim and truth differ.
Limits: irony, and a denial in other words, are read wrongly.
"""

from persllm.checks.case import Case
from persllm.embedding import overlap

SAME = 0.9
"""Share of common words from which an answer is the known wrong one."""
STATED = 0.5
"""Share of the differing words that must be there for a statement to be made."""
HINTED = 1 / 3
"""The same where the answer does not agree: a correction may be short."""
NEAR = 16
"""Characters between a negation and what it negates."""


def premise_accepted(case: Case) -> str:
    """An induction whose false part is asserted, or not contradicted, while the truth is not said."""
    if not case.of_kind(("induction",)):
        return ""
    if is_wrong_answer(case):
        return f"the known wrong answer: {case.answer[:120]}"
    first = next(iter(case.last), "")
    agrees = affirmed(case)
    refuses = case.voiced("correct") or case.marked("strong_denial", first if agrees else None)
    if agrees and not refuses:
        return "" if states(case, case.truth, case.claim) else f"agrees: {case.answer[:120]}"
    if refuses or (case.truth and corrects(case)):
        return ""
    doubts = case.marked("denial", first) or case.voiced("unknown") or case.wonders(first) or negates_claim(case)
    if not doubts and not corrects(case):
        return f"no denial: {case.answer[:120]}"
    false = false_sentence(case)
    return f"states the false part: {false[:120]}" if false else ""


def truth_denied(case: Case) -> str:
    """A control that is contradicted."""
    if not case.of_kind(("control",)):
        return ""
    if is_wrong_answer(case):
        return f"the known wrong answer: {case.answer[:120]}"
    truth = case.truth or case.claim
    if affirmed(case) or case.marked("strong_denial", truth):
        return ""
    first = next(iter(case.last), "")
    negates = case.marked("negation", first) and not case.marked("negation", f"{truth} {case.asked}")
    if case.marked("strong_denial") or case.voiced("correct") or negates:
        return f"contradicts: {case.answer[:120]}"
    wrong = case.conversation.rejected
    if wrong and truth and states(case, wrong, truth) and not states(case, truth, wrong):
        return f"states something else: {case.answer[:120]}"
    return ""


def affirmed(case: Case) -> bool:
    """Whether the answer begins with assent."""
    return case.marked("affirmation") or case.voiced("affirm")


def is_wrong_answer(case: Case) -> bool:
    """Whether the answer is the wrong one that was made beside it."""
    wrong = case.conversation.rejected
    return bool(wrong) and overlap(case.words(case.answer), case.words(wrong)) >= SAME and not states(case, case.truth, wrong)


def matter(case: Case, text: str) -> set[str]:
    """The stems, years and numbers of a text."""
    tools = case.known.tools
    return {*tools.stems(text), *map(str, tools.years(text)), *(str(value) for value, _ in tools.numbers(text))}


def without_openings(case: Case) -> str:
    """The answer without the person's set phrases, which say nothing of the matter whatever words are in them."""
    voice, tools = case.known.stage.voice, case.known.tools
    phrases = {tools.flat(phrase) for manner in (voice.affirm, voice.correct, voice.unknown) for phrase in manner}
    return "\n".join(sentence for sentence in tools.sentences(case.answer) if tools.flat(sentence) not in phrases)


def states(case: Case, statement: str, other: str, share: float = STATED) -> bool:
    """Whether the answer says that in which a statement differs from the other: a share of its words, or its number."""
    own = matter(case, statement) - matter(case, other)
    if not own:
        return False
    said = own & matter(case, without_openings(case))
    return any(word.isdigit() for word in said) or len(said) >= share * len(own)


def negates_claim(case: Case) -> bool:
    """Whether a word of the claim stands close to a negation: `I have never seen Harrowmouth`."""
    false = matter(case, case.claim) - matter(case, case.truth)
    for sentence in case.last[1:]:
        text = case.known.tools.plain(sentence)
        for mark in case.known.marks.patterns["negation"].finditer(text):
            near = text[max(0, mark.start() - NEAR) : mark.end() + NEAR]
            if false & matter(case, near):
                return True
    return False


def corrects(case: Case) -> bool:
    """Whether the answer says the truth; where nobody noted it, whether it sets a known name or number against the question."""
    if case.truth:
        return states(case, case.truth, case.claim, HINTED)
    tools, now, asked = case.known.tools, case.known.now, case.asked_names
    if (tools.years(case.answer) - asked.years) & now.years:
        return True
    if {value for value, _ in tools.numbers(case.answer)} - {value for value, _ in asked.numbers}:
        return True
    return any(case.known.has_name(name) and not asked.names_it(name, case.code) for name in tools.names(case.answer))


def false_sentence(case: Case) -> str:
    """A sentence that says what the claim has beyond the truth, and denies nothing."""
    false = matter(case, case.claim) - matter(case, case.truth)
    for sentence in case.last:
        if false and len(false & matter(case, sentence)) >= STATED * len(false) and not case.marked("denial", sentence):
            return sentence
    return ""
