"""Who said it, by a chat model behind the same interface as the rules: what it says is checked, never trusted.

The rules find quotations and characters; the model reads the book in windows and names the speakers of numbered speeches.
An answer counts only if the words it copies stand at the head of that speech and its names are among the characters.
What the model leaves open, or answers against these rules, stays open, with the reason. Confidence is the rules' belief
in the character the model named.
"""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from persllm.annotation import read_json
from persllm.chat import ChatModel
from persllm.novels.book import Attribution, Character
from persllm.novels.rules import Reader
from persllm.novels.turns import Turn
from persllm.prompts import prompt
from persllm.records import Dropped, Message, Record, Reply, Request, Sampling

TURNS = 12
"""Turns asked for in one call."""
FAR_APART = 12
"""Paragraphs without a turn to ask for after which another call begins."""
CONTEXT = 2
"""Paragraphs of the book before and after them that are shown too."""
MOST_CHARACTERS = 60
LONGEST_PARAGRAPH = 2500
"""Characters of a paragraph that are shown."""
FEWEST_COPIED = 3
"""Letters that the copied words must have, unless the speech is shorter."""


class Spoken(Record):
    """What the model says of one speech."""

    number: int
    words: str = ""
    speaker: str = ""
    to: tuple[str, ...] = ()


class Replied(Record):
    """The model's reply."""

    spoken: tuple[Spoken, ...]


class ModelReading:
    """A novel read by the rules, with speakers named by a model: of all turns, or only of those that the rules left open."""

    def __init__(self, rules: Reader, model: ChatModel, language: str, only_open: bool = False):
        self.rules, self.language = rules, language
        self.paragraphs, self.turns, self.characters = rules.paragraphs, rules.turns, list(rules.characters)
        self.refused: list[Dropped] = []
        """Answers that were not taken, with the reason."""
        self.owner = {alias.casefold(): one.name for one in self.characters for alias in (one.name, *one.aliases)}
        self.answers = dict(rules.answers) if only_open else {number: open_again(answer) for number, answer in rules.answers.items()}
        asked = [turn for turn in self.turns if not self.answers[turn.pieces[0].quotation].speaker]
        windows = list(windows_of(asked))
        for place, reply in model.replies([self.request(window) for window in windows]):
            self.take(windows[place], reply)

    def request(self, window: Sequence[Turn]) -> Request:
        """The call for some turns."""
        passage = "\n\n".join(self.shown(window))
        people = "\n".join(f"- {one.name}" + described(one) for one in self.candidates(window))
        text = prompt(self.language, "speakers", characters=people, passage=passage)
        return Request(messages=(Message(role="user", content=text),), sampling=Sampling(temperature=0, max_tokens=120 * len(window)))

    def candidates(self, window: Sequence[Turn]) -> list[Character]:
        """The characters the model may choose from: those named around, then the most frequent of the book."""
        first, last = window[0].paragraphs[0], window[-1].paragraphs[-1]
        near = "\n".join(self.paragraphs[max(0, first - 10) : last + 3])
        here = [one for one in self.characters if one.narrator or any(alias in near for alias in one.aliases)]
        return [*here, *(one for one in self.characters if one not in here)][:MOST_CHARACTERS]

    def shown(self, window: Sequence[Turn]) -> Iterator[str]:
        """The paragraphs around the turns, the speeches of the window in marks with their numbers."""
        inside: dict[int, list[tuple[int, int, int]]] = {}
        for turn in window:
            for piece in turn.pieces:
                inside.setdefault(piece.paragraph, []).append((piece.start, piece.end, turn.number))
        first, last = window[0].paragraphs[0], window[-1].paragraphs[-1]
        for paragraph in range(max(0, first - CONTEXT), min(len(self.paragraphs), last + 1 + CONTEXT)):
            text = self.paragraphs[paragraph]
            for start, end, number in sorted(inside.get(paragraph, ()), reverse=True):
                text = f"{text[:start]}<{number}>{text[start:end]}</{number}>{text[end:]}"
            yield text[:LONGEST_PARAGRAPH] if paragraph not in inside else text

    def take(self, window: Sequence[Turn], reply: Reply) -> None:
        """Take what can be checked of a reply; the rest is refused."""
        item = f"turns {window[0].number}-{window[-1].number}"
        if reply.finish == "error":
            self.refused.append(Dropped(item=item, reason="no reply", detail=reply.error))
            return
        try:
            spoken = read_json(reply.text, Replied).spoken
        except (ValidationError, ValueError) as error:
            self.refused.append(Dropped(item=item, reason="not the form asked for", detail=str(error)[:200]))
            return
        turns = {turn.number: turn for turn in window}
        for one in spoken:
            turn = turns.get(one.number)
            reason = "no such number" if turn is None else self.fault(turn, one)
            if turn is None or reason:
                self.refused.append(Dropped(item=f"turn {one.number}", reason=reason, detail=f"{one.speaker}: {one.words}"[:200]))
            elif one.speaker:
                self.settle(turn, one)

    def fault(self, turn: Turn, one: Spoken) -> str:
        """Why an answer cannot be taken; empty if it can."""
        said, copied = squeezed(turn.voiced), squeezed(one.words)
        if not said.startswith(copied) or len(copied) < min(FEWEST_COPIED, len(said)):
            return "not the words of this speech"
        unknown = [name for name in (one.speaker, *one.to) if name and name.casefold() not in self.owner]
        return "not one of the characters" if unknown else ""

    def settle(self, turn: Turn, one: Spoken) -> None:
        """Keep an answer for every quotation of the turn."""
        speaker = self.owner[one.speaker.casefold()]
        to = tuple(dict.fromkeys(self.owner[name.casefold()] for name in one.to if self.owner[name.casefold()] != speaker))
        for number in dict.fromkeys(piece.quotation for piece in turn.pieces):
            before = self.rules.answers[number]
            belief = before.confidence if before.best == speaker else 1 - before.confidence
            self.answers[number] = before.model_copy(
                update={"speaker": speaker, "best": speaker, "to": to, "basis": "model", "confidence": round(belief, 4)}
            )


def windows_of(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """Turns in groups for one call: not too many, and no long stretch of the book between them."""
    held: list[Turn] = []
    for turn in turns:
        if held and (len(held) == TURNS or turn.paragraphs[0] - held[-1].paragraphs[-1] > FAR_APART):
            yield held
            held = []
        held.append(turn)
    if held:
        yield held


def open_again(answer: Attribution) -> Attribution:
    """An answer of the rules without what they said: the model is asked."""
    return answer.model_copy(update={"speaker": "", "to": ()})


def described(one: Character) -> str:
    """The other names of a character in the list of the prompt."""
    others = [alias for alias in one.aliases if alias != one.name][:6]
    return f" ({', '.join(others)})" if others else ""


def squeezed(text: str) -> str:
    """A text without blanks and marks, so that line breaks and quotes make no difference."""
    return "".join(letter for letter in text if letter.isalnum())
