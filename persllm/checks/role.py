"""In role: no assistant speaks."""

from persllm.annotation import assistant_speak
from persllm.checks.case import Case


def assistant(case: Case) -> str:
    """A stock phrase of assistants that is the speaker's own: not denied, and not put into somebody else's mouth."""
    for sentence in case.fresh:
        text = case.known.tools.plain(sentence)
        found = case.known.marks.find("assistant", text)
        place, phrase = (found.start(), found[0]) if found else first_of(text, assistant_speak(case.code))
        if place >= 0 and not case.known.marks.find("attributed", text[:place]):
            return f"{phrase} ({sentence[:100]})"
    return ""


def first_of(text: str, phrases: tuple[str, ...]) -> tuple[int, str]:
    """Place and text of the first of some phrases; -1 if there is none."""
    return next(((text.index(phrase), phrase) for phrase in phrases if phrase in text), (-1, ""))
