"""Prose passages in; prose and utterance passages with speaker and addressees out.

Each spoken turn becomes an utterance; what is told between the turns stays prose, in the order of the book, without the
words that only say who spoke. Turns that follow each other closely under one heading share a thread, one conversation,
and the situation in which it began. An utterance whose speaker is not sure has none, and a thread of its own, so that
nobody seems to answer what was said before it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from persllm.chat import ChatModel
from persllm.languages import detect
from persllm.novels.book import Attribution, Character
from persllm.novels.by_model import ModelReading
from persllm.novels.chinese import ChineseReading
from persllm.novels.quotations import find_pieces
from persllm.novels.rules import Reader, Reading
from persllm.novels.turns import Turn
from persllm.passages import Passage
from persllm.records import Dropped

FEWEST_WORDS = 2
"""Words that narration beside speech must have to be kept as prose of its own."""
CONVERSATION_GAP = 3
"""Paragraphs of narration after which a new conversation begins."""
MARKS = "\"“”‘’'「」『』 "
LONGEST_LEAD = 60
"""Characters of a sentence before words from which on it tells more than who speaks."""
FINAL_COMMA = re.compile(r"[,，](?=_?$)")
"""What printers set for the full stop where `she said` follows."""
SITUATION = 300
"""Characters of the narration before a conversation that are kept as its situation."""


class Heard(NamedTuple):
    """A novel taken apart."""

    passages: list[Passage]
    characters: list[Character]
    answers: list[Attribution]
    """One for each turn, in order."""
    refused: tuple[Dropped, ...] = ()
    """Answers of a model that could not be taken, with the reason."""


def hear(
    passages: Sequence[Passage], known: Sequence[Sequence[str]] = (), model: ChatModel | None = None, only_open: bool = False
) -> Heard:
    """Find who says what in the prose of a novel.

    `known` lists groups of names that are one person, the first as it is to be called; with a `model` the speakers are
    what it says, as far as that can be checked; with `only_open` it is asked only where the rules are not sure.
    """
    texts = [passage.text if passage.form == "prose" else "" for passage in passages]
    reading = read(texts, known)
    refused: list[Dropped] = []
    if model is not None:
        reading = ModelReading(reading, model, detect("".join(texts[:200])), only_open)
        refused = reading.refused
    answers = [reading.answers[turn.pieces[0].quotation] for turn in reading.turns]
    return Heard(split(passages, reading, answers), reading.characters, answers, tuple(refused))


def speech_share(passages: Sequence[Passage]) -> float:
    """The share of paragraphs in which somebody speaks."""
    texts = [passage.text for passage in passages if passage.form == "prose"]
    return len({piece.paragraph for piece in find_pieces(texts)}) / max(1, len(texts))


def read(texts: Sequence[str], known: Sequence[Sequence[str]] = ()) -> Reader:
    """A novel read by the rules of its language."""
    sample = "".join(texts[:: max(1, len(texts) // 200)])
    pieces = find_pieces(texts)
    return ChineseReading(texts, pieces, known) if detect(sample) == "zh" else Reading(texts, pieces, known)


def split(passages: Sequence[Passage], reading: Reader, answers: Sequence[Attribution]) -> list[Passage]:
    """The passages with the turns taken out of the prose."""
    turns: dict[int, list[Turn]] = defaultdict(list)
    for turn in reading.turns:
        turns[turn.paragraphs[0]].append(turn)
    within = {paragraph for turn in reading.turns for paragraph in turn.paragraphs}
    out: list[Passage] = []
    conversation, last, heading, situation, opening, unsure = 0, -99, "", "", "", False
    for place, passage in enumerate(passages):
        if place not in within:
            out.append(passage)
            situation = passage.text if passage.form == "prose" else situation
            continue
        for turn, lead, tail in with_narration(turns[place], passage.text):
            answer = answers[turn.number]
            situation = lead or situation
            if place - last > CONVERSATION_GAP or passage.heading != heading or not answer.speaker or unsure:
                conversation, opening = conversation + 1, situation
            last, heading, unsure = turn.paragraphs[-1], passage.heading, not answer.speaker
            words = {
                "text": spoken_text(reading, turn), "form": "utterance", "speaker": answer.speaker, "to": answer.to,
                "thread": f"conversation {conversation}", "situation": shortened(opening),
            }  # fmt: skip
            out += [passage.model_copy(update={"text": lead})] if lead else []
            out.append(passage.model_copy(update=words))
            out += [passage.model_copy(update={"text": tail})] if tail else []
            situation = tail or situation
    return out


def with_narration(turns: Sequence[Turn], text: str) -> Iterator[tuple[Turn, str, str]]:
    """Each turn that begins in a paragraph with the narration before and after it, without what only says who spoke."""
    place = turns[0].paragraphs[0] if turns else 0
    for number, turn in enumerate(turns):
        own = [piece for piece in turn.pieces if piece.paragraph == place]
        before = 0 if number == 0 else own[0].start
        after = turns[number + 1].pieces[0].start if number + 1 < len(turns) else len(text)
        lead = before_clause(text[before : own[0].start].strip(MARKS))
        ends = [piece.start for piece in own[1:]] + ([after] if turn.paragraphs[-1] == place else [])
        tails = [after_clause(text[piece.end : end].strip(MARKS)) for piece, end in zip(own, ends)]
        yield turn, kept(lead), kept(" ".join(filter(None, tails)))


def before_clause(lead: str) -> str:
    """The narration before words without a last sentence that only leads to them: `He turned and said:`."""
    if not lead.endswith((",", ":", "：", "，")):
        return lead
    stops = list(re.finditer(r"(?<=[a-z]{2}[.!?])\s+|(?<=[。！？])", lead))
    rest = lead[: stops[-1].start()] if stops else ""
    return lead if len(lead) - len(rest) > LONGEST_LEAD else rest


def after_clause(tail: str) -> str:
    """The narration behind words from its first whole sentence on."""
    if re.match(r"[A-Z]", tail):
        return tail
    cut = re.search(r"(?<=[a-z]{2}[.!?])\s+(?=[A-Z])", tail)
    return tail[cut.end() :] if cut else tail if detect(tail) == "zh" else ""


def spoken_text(reading: Reader, turn: Turn) -> str:
    """The words of a turn: pieces of one paragraph joined, paragraphs parted by a line break."""
    lines: dict[int, list[str]] = {}
    for piece in turn.pieces:
        lines.setdefault(piece.paragraph, []).append(reading.paragraphs[piece.paragraph][piece.start : piece.end].strip())
    blank = "" if detect(turn.voiced) == "zh" else " "
    return FINAL_COMMA.sub(lambda mark: "。" if mark[0] == "，" else ".", "\n".join(blank.join(parts) for parts in lines.values()))


def kept(text: str) -> str:
    """Narration that is worth a passage of its own."""
    clean = text.strip()
    enough = len(clean.split()) >= FEWEST_WORDS or (detect(clean) == "zh" and len(clean) >= 2 * FEWEST_WORDS)
    return clean if enough else ""


def shortened(text: str) -> str:
    """The last sentences of the narration, at most about 300 characters."""
    if len(text) <= SITUATION:
        return text
    cut = text[-SITUATION:]
    start = re.search(r"(?<=[.!?。！？])\s*(?=\S)", cut)
    return cut[start.end() :] if start and start.end() < len(cut) - 20 else cut[cut.find(" ") + 1 :]
