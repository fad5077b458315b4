"""Checks that reject conversations: what is unfit is left out, each with the reason and what was found.

A conversation meets the checks in the order of `CHECKS`; the first that finds something names the reason. They read
texts by rule, with the marks of each language in `marks/`, against what the person can know at the stage (`known`).
All conversations of a run take one pass; the materials are read once.

Limits: rules see names, numbers, dates, stock phrases and wordings, not meanings.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy

from persllm.checks.case import Case, Check
from persllm.checks.copying import copied
from persllm.checks.form import format_fault, too_long, too_short, wrong_language
from persllm.checks.grounds import ungrounded
from persllm.checks.known import Library
from persllm.checks.role import assistant
from persllm.checks.stage import out_of_stage
from persllm.checks.stance import premise_accepted, truth_denied
from persllm.config import ChecksSettings
from persllm.records import Conversation, Dropped, Material, Persona, Question

__all__ = ["CHECKS", "Checker"]

CHECKS = (
    Check("format", format_fault),
    Check("wrong language", wrong_language),
    Check("too short", too_short),
    Check("too long", too_long),
    Check("assistant-speak", assistant),
    Check("copied", copied),
    Check("premise accepted", premise_accepted),
    Check("truth denied", truth_denied),
    Check("out of stage", out_of_stage),
    Check("ungrounded", ungrounded),
)
"""In this order: form first, then what the form must be right for."""


class Checker:
    """Judges the conversations of some persons against their materials."""

    def __init__(
        self,
        personas: Sequence[Persona],
        materials: Sequence[Material],
        questions: Iterable[Question] = (),
        settings: ChecksSettings | None = None,
    ):
        self.settings = settings or ChecksSettings()
        self.library = Library(personas, materials)
        self.questions = noted(questions)
        self.checks = [check for check in CHECKS if check.name not in self.settings.off]

    def knowing(self, questions: Iterable[Question]) -> "Checker":
        """The same checks with other questions: the materials are not read again."""
        other = copy(self)
        other.questions = noted(questions)
        return other

    def case(self, conversation: Conversation) -> Case:
        """A conversation with what is needed to judge it."""
        known = self.library.known(conversation.persona, conversation.stage)
        evidence = tuple(self.library.materials[one] for one in conversation.evidence if one in self.library.materials)
        for material in evidence:
            self.library.digest(material)
        asked = ((conversation.persona, conversation.stage, message.content) for message in conversation.messages)
        question = next((self.questions[key] for key in (conversation.question, *asked) if key in self.questions), None)
        return Case(conversation, known, evidence, question, self.settings)

    def findings(self, conversation: Conversation) -> Iterable[tuple[str, str]]:
        """(reason, what was found) of every check that finds something; a fault of form ends the search."""
        case = self.case(conversation)
        for check in self.checks:
            found = check.find(case)
            if found:
                yield check.name, found
                if check.name == "format":
                    return

    def sort(self, conversations: Iterable[Conversation]) -> tuple[list[Conversation], list[Dropped]]:
        """The conversations that pass, in their order, and the others with the reason."""
        sound: list[Conversation] = []
        dropped: list[Dropped] = []
        for conversation in conversations:
            reason, detail = next(iter(self.findings(conversation)), ("", ""))
            if reason:
                dropped.append(
                    Dropped(item=conversation.identity, reason=reason, detail=f"{conversation.form or conversation.kind}: {detail}")
                )
            else:
                sound.append(conversation)
        return sound, dropped


def noted(questions: Iterable[Question]) -> Mapping[object, Question]:
    """Questions by identity, and by what is asked: records of an older version have other identities."""
    return {key: one for one in questions for key in (one.identity, (one.persona, one.stage, one.text))}


def counts(dropped: Iterable[Dropped]) -> dict[str, int]:
    """Check -> number of rejections, in the order of the checks."""
    found = Counter(entry.reason for entry in dropped)
    return {check.name: found[check.name] for check in CHECKS if found[check.name]}
