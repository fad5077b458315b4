"""A conversation with everything that a check may ask of it, worked out once and only where asked for."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from persllm.checks.known import Digest, Known, digest
from persllm.config import ChecksSettings
from persllm.records import Conversation, Material, Question

CHARACTERS_PER_WORD = 1.5
"""So many Chinese characters say what an English word says; limits in words are scaled by it."""

SHORT_QUESTION = 8
"""Words up to which a question is one of surprise."""


@dataclass(frozen=True)
class Check:
    """One way in which a conversation can be unfit."""

    name: str
    """The reason in `dropped.jsonl`."""
    find: Callable[["Case"], str]
    """What was found; empty if nothing."""


@dataclass(frozen=True)
class Case:
    """One conversation to be judged."""

    conversation: Conversation
    known: Known
    """What the person knows at the stage of the conversation."""
    evidence: tuple[Material, ...]
    question: Question | None
    """The question with its claim and truth, if it is still there."""
    settings: ChecksSettings

    @cached_property
    def code(self) -> str:
        """The person's language."""
        return self.known.code

    @cached_property
    def said(self) -> list[str]:
        """What the person says, turn by turn."""
        return [message.content for message in self.conversation.messages if message.role == "assistant"]

    @cached_property
    def answer(self) -> str:
        """The last of it."""
        return self.said[-1] if self.said else ""

    @cached_property
    def asked(self) -> str:
        """All that is said to the person."""
        return "\n".join(message.content for message in self.conversation.messages if message.role == "user")

    @cached_property
    def asked_names(self) -> Digest:
        """What the other one's words name."""
        return digest(self.code, self.known.own, self.asked)

    @cached_property
    def plain(self) -> str:
        """The answer as marks are looked for in it."""
        return self.known.tools.plain(self.answer)

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences of all that the person says."""
        return [sentence for text in self.said for sentence in self.known.tools.sentences(text)]

    @cached_property
    def last(self) -> tuple[str, ...]:
        """The sentences of the last answer."""
        return self.known.tools.sentences(self.answer)

    @cached_property
    def fresh(self) -> list[str]:
        """The sentences of the person's that stand nowhere in the materials: what somebody made up."""
        return [sentence for sentence in self.sentences if self.known.tools.flat(sentence) not in self.known.now.lines]

    @cached_property
    def claim(self) -> str:
        """The statement that the question rests on."""
        return (self.question.claim if self.question else "") or self.asked

    @cached_property
    def truth(self) -> str:
        """What the materials say of it; empty if nobody noted it."""
        return self.question.truth if self.question else ""

    def marked(self, name: str, text: str | None = None) -> bool:
        """Whether a list of marks has one in the answer, or in another text."""
        return self.known.marks.find(name, self.plain if text is None else self.known.tools.plain(text)) is not None

    def wonders(self, sentence: str) -> bool:
        """Whether a sentence is a short question: surprise, not a turn of speech at the end of a tale."""
        return sentence.rstrip("\"”’')」 ").endswith(("?", "？")) and len(self.words(sentence)) <= self.limit(SHORT_QUESTION)

    def voiced(self, *manners: str) -> bool:
        """Whether the answer has one of the person's own openings of these manners."""
        voice = self.known.stage.voice
        return any(self.known.tools.plain(phrase) in self.plain for manner in manners for phrase in getattr(voice, manner))

    def words(self, text: str) -> tuple[str, ...]:
        """The words of a text; Chinese: the characters."""
        return self.known.tools.words(text)

    def neutral(self, text: str) -> list[str]:
        """The words of a text without pronouns and the person's names."""
        return self.known.tools.neutral(text, self.known.own)

    def limit(self, words: int) -> int:
        """A limit in words, in the unit of the language."""
        return round(words * CHARACTERS_PER_WORD) if self.code == "zh" else words

    def of_kind(self, kinds: Collection[str]) -> bool:
        """Whether the conversation is of one of these kinds."""
        return self.conversation.kind in kinds
