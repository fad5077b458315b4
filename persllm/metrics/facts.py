"""What a generated answer says, read by its words: facts contained, and which of two texts it leans to.

The tests are lexical: words in lower case, in the order of the fact. Limits: the same thing in other words is not
seen, and `nobody was late` contains the words of `was late`. So these figures stand beside the likelihood ones and
never alone.
"""

from collections.abc import Sequence
from types import ModuleType

ENOUGH = 0.3
"""An answer leans to a text if it has at least this share of the words that only this text has."""


def contains(answer: str, fact: str, language: ModuleType) -> bool:
    """Whether the words of the fact stand in the answer, next to each other and in their order."""
    wanted = language.words(fact)
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(language.words(answer))} "


def recall(answer: str, facts: Sequence[str], language: ModuleType) -> float:
    """Share of the facts that the answer contains."""
    return sum(contains(answer, fact, language) for fact in facts) / len(facts)


def leans_to(answer: str, one: str, other: str, question: str, language: ModuleType) -> bool:
    """Whether the answer is made of the words that only `one` has rather than of those that only `other` has.

    Words of the question count for neither: to repeat a question is not to affirm it.
    """
    said, asked = set(language.words(answer)), set(language.words(question))
    own = set(language.words(one)) - set(language.words(other)) - asked
    rival = set(language.words(other)) - set(language.words(one)) - asked
    share = len(said & own) / len(own) if own else 0.0
    against = len(said & rival) / len(rival) if rival else 0.0
    return share >= ENOUGH and share > against
