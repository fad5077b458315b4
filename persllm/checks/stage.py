"""Out of stage: what comes later than the stage is told as if it were known.

Seen are names, years and runs of words that only later materials have, and the phrases that persona.yaml names as
unknown. To say that one knows nothing of it is no fault, nor is to say back what was asked while denying it.
Limits: what is told in other words and without a name is missed.
"""

from persllm.checks.case import Case
from persllm.checks.known import longest_run

LEAST_RUN = 1.4
"""A run of words is a later material's from this many times the least length on: shorter ones tell known facts alike."""


def out_of_stage(case: Case) -> str:
    """What the answer knows of later."""
    return later_evidence(case) or later_told(case) or later_taken_for_granted(case)


def later_evidence(case: Case) -> str:
    """An answer that rests on a material of a later stage; a question about the future may."""
    persona, order = case.known.persona, case.known.persona.order(case.known.stage.id)
    if case.of_kind(("future",)):
        return ""
    later = next((m for m in case.evidence if m.stage is not None and persona.order(m.stage) > order), None)
    return f"rests on {later.source} of the later stage {later.stage}" if later else ""


def later_told(case: Case) -> str:
    """A later name, year or run of words in a sentence that does not say it is unknown."""
    refuses = case.marked("strong_denial") or case.marked("unknowing") or case.voiced("unknown", "correct")
    for sentence in case.sentences:
        found = later_in(case, sentence)
        if not found:
            continue
        what, text = found
        if case.marked("unknowing", sentence) or ((refuses or case.wonders(sentence)) and asked_for(case, text)):
            continue
        return f"{what}: {sentence[:120]}"
    return ""


def later_in(case: Case, sentence: str) -> tuple[str, str] | None:
    """(what kind of later matter, its text) in a sentence."""
    known, tools = case.known, case.known.tools
    late = [year for year in tools.years(sentence) if known.last_year and year > known.last_year and year not in known.now.years]
    if late:
        return f"{late[0]} is after the stage", str(late[0])
    name = later_name(case, sentence)
    if name:
        return f"{name} comes later", name
    phrase = next((phrase for phrase, needed in known.unknown_matters if known.is_said(needed, sentence)), "")
    if phrase:
        return f"{phrase} is unknown at this stage", phrase
    words = tools.neutral(sentence, known.own)
    start, length = longest_run(words, known.later_runs, tools.RUN)
    if length >= LEAST_RUN * tools.RUN and hash(tuple(words[start : start + tools.RUN])) not in case.asked_names.runs:
        return "the words of a later material", sentence
    return None


def later_name(case: Case, sentence: str) -> str:
    """The first later name in a sentence; a single word counts only with its capital."""
    index = case.known.later_names
    if case.code == "zh":
        return next((name for sign in dict.fromkeys(sentence) for name in index.get(sign, ()) if name in sentence), "")
    flat = case.known.tools.flat(sentence)
    for word in flat.split():
        for name in index.get(word, ()):
            low = name.lower().replace("’", "'").removesuffix("'s")
            if f" {low} " in flat and (" " in low or name in sentence):
                return name
    return ""


def asked_for(case: Case, text: str) -> bool:
    """Whether a later matter was brought up by the other one."""
    if text.lower() in case.asked.lower():
        return True
    matters = dict(case.known.unknown_matters)
    if text in matters:
        return case.known.is_said(matters[text], case.asked)
    needed = case.known.tools.stems(text)
    return bool(needed) and len(needed & case.asked_names.stems) >= 0.6 * len(needed)


def later_taken_for_granted(case: Case) -> str:
    """A question about something later that is answered without a word of surprise or denial."""
    first = case.last[0]
    refuses = case.marked("strong_denial") or case.marked("unknowing") or case.voiced("unknown", "correct")
    denies = any(case.marked("denial", sentence) for sentence in case.last[:2]) and not case.marked("affirmation")
    if refuses or denies or case.wonders(first):
        return ""
    last = next((m.content for m in reversed(case.conversation.messages) if m.role == "user"), "")
    for sentence in case.known.tools.sentences(last):
        found = later_in(case, sentence)
        if found:
            return f"{found[0]}, and the answer takes it as known: {case.answer[:80]}"
    return ""
