"""A question of a constructed test set before it is checked, and when two answers are apart."""

from collections.abc import Sequence
from itertools import combinations

from persllm.embedding import MOST_OVERLAP, overlap
from persllm.languages import language
from persllm.records import Candidate, Conversation, Question, Record, TestItem, TestSet


class Draft(Record):
    """A question with its right answer and the wrong ones."""

    set: TestSet
    conversation: Conversation
    """The question and the right answer; its `group` is that of the item."""
    candidates: tuple[Candidate, ...]
    changed: bool | None = None
    """Whether the true answer differs between the stages of the group; None if it is put at one stage alone."""
    facts: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        """The question with the truth that the answer tells, for the checks: to tell it is no copying."""
        one, unknown = self.conversation, self.conversation.kind == "future"
        return Question(
            persona=one.persona, stage=one.stage, kind=one.kind, text=one.prompt[-1].content, material=one.evidence[0], form=one.form,
            truth="" if unknown else one.answer.content, group=one.group, held_out=True,
        )  # fmt: skip

    def item(self) -> TestItem:
        """The test item."""
        asked = self.conversation
        return TestItem(
            id=asked.identity, set=self.set, origin="constructed", persona=asked.persona, stage=asked.stage, messages=asked.prompt,
            reference=asked.answer.content, candidates=self.candidates, facts=self.facts, group=asked.group, changed=self.changed,
        )  # fmt: skip


def apart(answers: Sequence[str], code: str) -> bool:
    """Whether no two of the answers share most of their words: else one would be no wrong answer beside the other."""
    words = language(code).words
    return all(overlap(words(one), words(other)) <= MOST_OVERLAP for one, other in combinations(answers, 2))
