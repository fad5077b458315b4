"""Ungrounded: names, years, days, numbers, relatives and experiences that stand nowhere in what can be known.

Grounds are all that the person can know at the stage, and the other one's words. A number up to twelve is a
claim only where it counts what the materials count otherwise: small numbers stand in many turns of speech. Limits: a false statement
made of known names and words is not seen here.
"""

from persllm.checks.case import Case

SMALL = 12
"""Up to here a number may be anywhere by chance."""


def ungrounded(case: Case) -> str:
    """The first claim without a ground."""
    for text in case.said:
        found = new_name(case, text) or new_date(case, text) or new_number(case, text) or new_relative(case, text)
        if found:
            return f"{found}: {text[:160]}"
    return new_experience(case)


def new_name(case: Case, text: str) -> str:
    """A name that nothing known and nobody asked has."""
    new = [name for name in case.known.tools.names(text) if not case.known.has_name(name)]
    return next((f"the name {name}" for name in new if not case.asked_names.names_it(name, case.code)), "")


def new_date(case: Case, text: str) -> str:
    """A year or day that nothing known and nobody asked has."""
    for what in ("years", "days"):
        new = getattr(case.known.tools, what)(text) - getattr(case.known.now, what)
        new = new and new - getattr(case.asked_names, what)
        if new:
            return f"the date {min(new)}"
    return ""


def new_number(case: Case, text: str) -> str:
    """A number that nothing known counts."""
    claimed = set(case.known.tools.numbers(text)) - case.known.now.numbers
    claimed = claimed and claimed - case.asked_names.numbers
    if not claimed:
        return ""
    close = {value for value, _ in case.asked_names.numbers | set(case.known.tools.numbers(case.known.persona.profile))}
    close |= {value for material in case.evidence for value, _ in case.known.ages[material.identity].numbers}
    anywhere, counted = case.known.counts
    for value, what in sorted(claimed):
        if value not in close and (value not in anywhere if value > SMALL else what in counted):
            return f"the number {value} {what}".strip()
    return ""


def new_relative(case: Case, text: str) -> str:
    """A relative of the person's of whom nothing is known."""
    new = case.known.tools.relatives(text) - case.known.now.relatives
    new = new and new - case.asked_names.relatives
    return f"the relative {min(new)}" if new else ""


def new_experience(case: Case) -> str:
    """A sentence of what the person did, most of whose matter nothing known has."""
    for sentence in case.known.tools.experiences(case.answer):
        claimed = set(case.known.tools.stems(sentence))
        new = claimed - case.known.now.stems
        new = new if len(new) < case.limit(case.settings.new_words) else new - case.asked_names.stems
        if len(new) >= case.limit(case.settings.new_words) and len(new) > case.settings.new_share * len(claimed):
            return f"experience ({', '.join(sorted(new)[:8])}): {sentence[:120]}"
    return ""
