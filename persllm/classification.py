"""Speech, experience or knowledge: of what kind a passage is, how sure that is, and why.

Where the source says it (an utterance of the person, a letter, a diary) nothing is left to weigh. Prose is weighed by
rules: whether it speaks of the person, tells what happened or what holds, names days. What comes out less sure than
`SURE` is for the user's review, not guessed; a language model can be asked instead, with the same answers.

Limits: the rules know two languages and their plainest forms; a passage that mixes both kinds gets the stronger one.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import get_args

from persllm.chat import ChatModel
from persllm.passages import Passage
from persllm.prompts import prompt
from persllm.records import MaterialKind, Message, Persona, Record, Request, Sampling

SURE = 0.75
"""Confidence below which a passage is listed for review."""
OWN_WORDS = 0.98
OTHERS_WORDS = 0.9
LONGEST_REPLY = 8
"""Tokens of a model's answer."""
LONGEST_ASKED = 4000
"""Characters of a passage that a model is shown."""


class Classified(Record):
    """The kind of a passage."""

    kind: MaterialKind
    confidence: float
    """Between 0.5 and 1."""
    reason: str
    """What decided, in words."""

    @property
    def sure(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.confidence >= SURE


class Signs(Record):
    """What a language shows a kind by: patterns, counted per sentence."""

    past: str
    """A verb that tells what happened."""
    holds: str
    """A verb or word by which something holds at all times."""
    he: str
    """A pronoun that stands for the person in a narration."""
    dates: str
    """A day, a year, a time in the life."""
    first: str
    """The first person."""
    end: str
    """The end of a sentence."""


ENGLISH = Signs(
    past=r"\b(?:was|were|had|did|could|went|came|saw|said|told|took|gave|made|found|knew|thought|felt|left|got|stood|began|kept|brought|wrote|lost|"
    r"fell|heard|ran|sat|became|bought|sold|held|met|paid|read|rose|spoke|slept|swore|won|built|broke|caught|chose|drew|drove|fought|"
    r"hid|led|sent|set|shook|sang|spent|taught|wore|\w{2,}ed)\b",
    holds=r"\b(?:is|are|has|have|does|do|can|may|must|should|means|calls?|called|consists?|contains?|needs?|lies|stands|takes|holds|gives|makes|costs|"
    r"every|each|always|usually|often|never|when|if|one|anyone|people|you)\b",
    he=r"\b(?:he|she|his|her|him|they|their|them)\b",
    dates=r"\b(?:1\d{3}|20\d{2}|January|February|March|April|May|June|July|August|September|October|November|December|that (?:day|night|year|winter|"
    r"summer|spring|autumn|evening|morning)|once|years? (?:later|before|old)|the (?:next|following) (?:day|morning|year))\b",
    first=r"\b(?:I|me|my|mine|myself)\b",
    end=r"[.!?]+(?:\s|$)",
)
CHINESE = Signs(
    past=r"了|过[。，]|曾|当时|后来|那天|那年|终于|已经",
    holds=r"是|有|须|应当|必须|可以|一般|通常|往往|凡|每|总|若|如果|称为|叫做|用来|分为|需要|要",
    he=r"他|她|其",
    dates=r"\d{3,4}年|[一二三四五六七八九十]+月|[春夏秋冬]天?[,，里]?|那[天年晚日]|第二天|次日|[一二三四五六七八九十]+岁|少年时|年轻时",
    first=r"我",
    end=r"[。！？]+",
)
SIGNS = {"en": ENGLISH, "zh": CHINESE}
WEIGHTS = {"named": 2.2, "he": 1.4, "past": 1.3, "dates": 1.0, "holds": -2.6, "first": 0.8}
"""What a sign per sentence (at most one) adds to the odds of an experience against knowledge; set on three persons of the bundled world."""
BIAS = -0.4


def classify(passage: Passage, persona: Persona) -> Classified:
    """The kind of one passage by its source, or by rules."""
    names = {persona.name, *persona.aliases}
    if passage.form in ("utterance", "message", "letter", "diary"):
        if passage.speaker in names:
            return Classified(kind="speech", confidence=OWN_WORDS, reason=f"{passage.form} of {persona.name}")
        if passage.form in ("utterance", "message") and names & set(passage.to):
            return Classified(kind="speech", confidence=OTHERS_WORDS, reason=f"{passage.form} to {persona.name}")
        if passage.form == "diary" and not passage.speaker:
            return Classified(kind="speech", confidence=OTHERS_WORDS, reason="a diary, which has no other writer")
        if passage.speaker and passage.form != "letter":
            return Classified(kind="knowledge", confidence=0.5, reason=f"{passage.form} of {passage.speaker}, not said to {persona.name}")
    return weighed(passage.text, persona)


def weighed(text: str, persona: Persona) -> Classified:
    """Experience or knowledge, by the signs in a piece of prose."""
    rates = rates_of(text, persona)
    odds = BIAS + sum(weight * rates[sign] for sign, weight in WEIGHTS.items())
    chance = 1 / (1 + math.exp(-odds))
    kind: MaterialKind = "experience" if chance >= 0.5 else "knowledge"
    towards = {sign: weight * rates[sign] * (1 if kind == "experience" else -1) for sign, weight in WEIGHTS.items()}
    strongest = [TOLD[sign] for sign in sorted(towards, key=lambda sign: -towards[sign])[:2] if towards[sign] > 0]
    return Classified(kind=kind, confidence=max(chance, 1 - chance), reason=" and ".join(strongest) or "no sign of either kind")


TOLD = {
    "named": "it names the person",
    "he": "it speaks of him, her or them",
    "past": "it tells what happened",
    "dates": "it names a time",
    "holds": "it says what holds at all times",
    "first": "it is told in the first person",
}
"""Sign -> how it is given as a reason."""


def rates_of(text: str, persona: Persona) -> dict[str, float]:
    """Sign -> share of sentences with it (a name: at least one full share for a piece that names the person at all)."""
    signs = SIGNS[persona.language]
    pieces = [piece for piece in re.split(signs.end, text) if piece.strip()] or [text]
    name = re.compile("|".join(re.escape(name) for name in sorted({persona.name, *persona.aliases}, key=len, reverse=True)))
    patterns = {sign: re.compile(getattr(signs, sign)) for sign in ("past", "holds", "he", "dates", "first")}
    shares = {sign: sum(bool(pattern.search(piece)) for piece in pieces) / len(pieces) for sign, pattern in patterns.items()}
    return {**shares, "named": 1.0 if name.search(text) else 0.0}


# With a language model ------------------------------------------------------------------------------------


def classify_with(model: ChatModel, passages: Sequence[Passage], persona: Persona) -> Iterator[tuple[int, Classified | None]]:
    """(index, kind) of each passage as a language model sees it; None where its answer is no kind or the call failed."""
    requests = [
        Request(
            messages=(Message(role="user", content=prompt(persona.language, "classify", name=persona.name, text=p.text[:LONGEST_ASKED])),),
            sampling=Sampling(max_tokens=LONGEST_REPLY),
        )
        for p in passages
    ]
    with closing(model.replies(requests)) as replies:
        for place, reply in replies:
            yield place, read_kind(reply.text) if reply.finish != "error" else None


def read_kind(text: str) -> Classified | None:
    """The kind an answer names, if it names just one."""
    found = [kind for kind in get_args(MaterialKind) if re.search(rf"\b{kind}\b", text.lower())]
    return Classified(kind=found[0], confidence=OTHERS_WORDS, reason="a language model says so") if len(found) == 1 else None
