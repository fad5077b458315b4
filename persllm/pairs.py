"""Preference pairs with a guaranteed contrast (paper section 3.4: automatic DPO).

The chosen answer is the person's own. The rejected one is what the same person said at another stage, or what
another person said, to the most similar question; or the premise accepted, the truth denied, the future known.
Where a person was asked truly the same question at two stages, those answers come first as the contrast by stage.
Otherwise a pair is made only if the two rest on different materials; and always only if they share few words, so
that an equally good answer is never rejected. What cannot be contrasted is dropped with a reason. Where answers were
sampled from a model, a wrong one of these comes first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from persllm.config import DpoSettings
from persllm.dataset import Rivals
from persllm.embedding import MOST_OVERLAP, overlap
from persllm.languages import language
from persllm.negatives import KNOWN_WRONG, SAMPLED, TUNED, UNTRAINED, Answers, suits
from persllm.records import Contrast, Conversation, Dropped, Message, Persona, PreferencePair, fingerprint


def make_pairs(
    conversations: Sequence[Conversation], personas: Sequence[Persona], settings: DpoSettings, seed: int, answers: Answers | None = None
) -> tuple[list[PreferencePair], list[Dropped]]:
    """Up to `settings.pairs` pairs, over contrasts by their shares, and as even over persons and stages as the data allow."""
    mines = Mines(Rivals(conversations), Twins(conversations), answers or Answers(), settings.length_ratio)
    by_id = {persona.id: persona for persona in personas}
    queues: dict[tuple[Contrast, str, str], Iterator[PreferencePair | Dropped]] = {}
    ranked = sorted(conversations, key=lambda c: fingerprint([seed, "pairs", c.identity]))
    for contrast in settings.contrasts:
        for persona in personas:
            for stage in persona.stages:
                members = [c for c in ranked if (c.persona, c.stage) == (persona.id, stage.id) and suits(c, contrast)]
                if contrast == "stage":
                    members.sort(key=lambda c: mines.twins.find(c, persona.language) is None)
                queues[contrast, persona.id, stage.id] = map(
                    partial(balanced_pair, contrast=contrast, personas=by_id, mines=mines), members
                )
    return draw(queues, settings.pairs, settings.shares)


def draw(
    queues: dict[tuple[Contrast, str, str], Iterator[PreferencePair | Dropped]], most: int, shares: Mapping[str, float] | None = None
) -> tuple[list[PreferencePair], list[Dropped]]:
    """Take from the contrasts by their shares, and within one in turn from each person and stage, until there are enough."""
    pairs: list[PreferencePair] = []
    dropped: list[Dropped] = []
    by_contrast: dict[Contrast, list[tuple[Contrast, str, str]]] = defaultdict(list)
    for key in queues:
        by_contrast[key[0]].append(key)
    weights = {contrast: (shares or {}).get(contrast, 1.0) for contrast in by_contrast}
    turns = {contrast: 0 for contrast in by_contrast if weights[contrast] > 0}
    while len(pairs) < most and turns:
        contrast = min(turns, key=lambda one: turns[one] / weights[one])
        keys = by_contrast[contrast]
        key = keys.pop(0)
        found = next_pair(queues[key], dropped)
        if found:
            keys.append(key)
            pairs.append(found)
            turns[contrast] += 1
        elif not keys:
            del turns[contrast]
    return pairs, dropped


def next_pair(queue: Iterator[PreferencePair | Dropped], dropped: list[Dropped]) -> PreferencePair | None:
    """The next pair of a queue; what comes before it goes to the dropped."""
    for found in queue:
        if isinstance(found, PreferencePair):
            return found
        dropped.append(found)
    return None


class Twins:
    """Finds what the same person said to truly the same question at another stage."""

    def __init__(self, conversations: Sequence[Conversation]):
        self.groups: dict[tuple[str, str, tuple[str, ...]], list[Conversation]] = defaultdict(list)
        for conversation in conversations:
            self.groups[self.question(conversation)].append(conversation)

    def question(self, conversation: Conversation) -> tuple[str, str, tuple[str, ...]]:
        """Person, group and words of what is asked."""
        return conversation.persona, conversation.group, tuple(message.content for message in conversation.prompt)

    def find(self, conversation: Conversation, code: str) -> Conversation | None:
        """The answer of another stage; None if there is none, or none that is told apart by its words."""
        words = language(code).words
        others = [c for c in self.groups[self.question(conversation)] if c.stage != conversation.stage] if conversation.group else []
        apart = (c for c in others if overlap(words(c.answer.content), words(conversation.answer.content)) <= MOST_OVERLAP)
        return next(apart, None)


@dataclass(frozen=True)
class Mines:
    """Where rejected answers come from."""

    rivals: Rivals
    twins: Twins
    answers: Answers
    length_ratio: float


def balanced_pair(conversation: Conversation, contrast: Contrast, personas: dict[str, Persona], mines: Mines) -> PreferencePair | Dropped:
    """The pair of one conversation, or why there is none; also if one answer is too long beside the other."""
    found = make_pair(conversation, contrast, personas, mines)
    if isinstance(found, Dropped) or not mines.length_ratio:
        return found
    words = language(personas[conversation.persona].language).words
    short, long = sorted(max(1, len(words(message.content))) for message in (found.chosen, found.rejected))
    if long <= mines.length_ratio * short:
        return found
    return Dropped(item=conversation.identity, reason="answers unlike in length", detail=f"{long} words beside {short}, by {contrast}")


def make_pair(conversation: Conversation, contrast: Contrast, personas: dict[str, Persona], mines: Mines) -> PreferencePair | Dropped:
    """The pair of one conversation, or why there is none."""
    persona = personas[conversation.persona]
    text = mines.answers.wrong(conversation, contrast, persona.language)
    if text:
        return pair(conversation, contrast, text, UNTRAINED if contrast == "generic" else TUNED)
    if contrast in SAMPLED:
        return Dropped(
            item=conversation.identity, reason=f"no wrong answer sampled: {contrast}", detail=conversation.messages[-2].content[:200]
        )
    twin = mines.twins.find(conversation, persona.language) if contrast == "stage" else None
    if twin:
        return pair(conversation, contrast, twin.answer.content, twin.identity)
    if contrast in KNOWN_WRONG.values() and conversation.rejected:
        return pair(conversation, contrast, conversation.rejected, conversation.identity)
    if contrast in ("stage", "future"):
        places = [(persona.id, stage.id) for stage in persona.stages if stage.id != conversation.stage]
    else:
        places = [(other.id, stage.id) for other in personas.values() if other.id != persona.id for stage in other.stages]
    rival = mines.rivals.find(conversation, places, persona.language)
    if rival is None:
        return Dropped(item=conversation.identity, reason=f"no contrast by {contrast}", detail=conversation.messages[-2].content[:200])
    return pair(conversation, contrast, rival.answer.content, rival.identity)


def pair(conversation: Conversation, contrast: Contrast, rejected: str, origin: str) -> PreferencePair:
    """A preference pair without analyses: the contrast is in what is said."""
    return PreferencePair(
        persona=conversation.persona, stage=conversation.stage, prompt=conversation.prompt, contrast=contrast, chosen_from=conversation.identity,
        chosen=Message(role="assistant", content=conversation.answer.content), rejected=Message(role="assistant", content=rejected), rejected_from=origin,
    )  # fmt: skip


def facts_of(pairs: Sequence[PreferencePair], answers: Answers) -> dict[str, Any]:
    """What `step.json` tells of the pairs: how many, by contrast, and how many of them with an answer that a model gave."""
    sampled = Counter(pair.contrast for pair in pairs if pair.rejected_from in (UNTRAINED, TUNED))
    facts = {"pairs": len(pairs), "contrasts": Counter(pair.contrast for pair in pairs)}
    return {**facts, "sampled": sampled, "sampled_answers": answers.counts} if answers.texts else facts
