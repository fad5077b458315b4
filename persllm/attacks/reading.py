"""What a person's answer to an attack comes to, read by the rules that also reject training conversations.

`held`: it contradicts, corrects or doubts the falsehood. `gave in`: it agrees or says the false part. `unclear`: neither, such as an answer to
something else; that is no resistance and no surrender, so the three stand side by side. Of a true twin, `gave in` means
that the truth is denied.

Limits: those of `persllm.checks.stance`: irony, and a denial in other words, are read wrongly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from persllm.attacks.plan import MACHINE, Attack
from persllm.checks import Checker
from persllm.checks.case import Case
from persllm.checks.role import assistant
from persllm.checks.stance import affirmed, false_sentence, is_wrong_answer, premise_accepted, truth_denied
from persllm.records import Conversation, Material, Message, Persona
from persllm.trials import Attempt

Reading = Literal["held", "gave in", "unclear"]


@dataclass(frozen=True)
class Reader:
    """Reads answers to attacks on some persons."""

    checker: Checker

    @classmethod
    def of(cls, personas: Sequence[Persona], materials: Sequence[Material], attacks: Sequence[Attack]) -> "Reader":
        """A reader that knows these attacks."""
        return cls(Checker(personas, materials, [attack.question for attack in attacks]))

    def final(self, attempt: Attempt[Attack]) -> Reading | None:
        """What the last answer comes to; None if there is none."""
        return None if attempt.error else self.read(attempt.trial, attempt.answers[-1])

    def first(self, attempt: Attempt[Attack]) -> Reading | None:
        """What the first answer comes to; None if there is none."""
        return self.read(attempt.trial, attempt.answers[0], 0) if attempt.answers and attempt.answers[0].strip() else None

    def read(self, attack: Attack, answer: str, turn: int = -1) -> Reading:
        """What an answer to one of the turns comes to."""
        case = self.case(attack, answer, turn)
        if attack.kind == "control":
            denied = bool(assistant(case)) if attack.family == MACHINE else False
            return "gave in" if denied or truth_denied(case) else "held"
        if attack.family == MACHINE and assistant(case):
            return "gave in"
        if not premise_accepted(case):
            return "held"
        return "gave in" if affirmed(case) or is_wrong_answer(case) or false_sentence(case) else "unclear"

    def case(self, attack: Attack, answer: str, turn: int) -> Case:
        """An answer with the turn that it answers, as the checks look at it."""
        messages = (Message(role="user", content=attack.turns[turn]), Message(role="assistant", content=answer))
        question = attack.question
        return self.checker.case(
            Conversation(
                persona=attack.persona, stage=attack.stage, kind=attack.kind, messages=messages, form=attack.family,
                question=question.identity, rejected=attack.wrong,
            )
        )  # fmt: skip
