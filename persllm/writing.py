"""An answer while it is being written: tokens go in, pieces of speech and of analysis come out.

A piece is held back while it may still turn out to be something else: half a letter of several bytes, the
beginning of a mark of the analysis, the beginning of a text at which to stop, blanks that may be the last.
Put together, the pieces are exactly what `thought.parted` makes of the whole text, cut at the first stop.

Limits: stops are looked for in the speech, not in the analysis.
"""

from collections.abc import Sequence
from typing import Any

from persllm.records import Piece
from persllm.thought import MARKS, parted

HALF = "\ufffd"
"""What a tokenizer makes of half a letter."""


class Writing:
    """One answer as it grows."""

    def __init__(self, tokenizer: Any = None, stops: Sequence[str] = ()):
        self.tokenizer, self.stops = tokenizer, tuple(stop for stop in stops if stop)
        self.tokens: list[int] = []
        self.begun = self.read = 0
        """Tokens before `read` are in the text; those from `begun` on are decoded again beside the new ones, for blanks between them."""
        self.raw = ""
        self.told = Piece()
        """What was given out so far."""
        self.stopped = False
        """Whether one of the stops was met; what comes after it is not told."""

    def add(self, token: int) -> Piece | None:
        """What can be told after one more token; None if nothing."""
        self.tokens.append(token)
        before, now = self.decoded(self.begun, self.read), self.decoded(self.begun, len(self.tokens))
        if now.endswith(HALF) or len(now) <= len(before):
            return None
        self.begun, self.read = self.read, len(self.tokens)
        return self.add_text(now[len(before) :])

    def add_text(self, text: str) -> Piece | None:
        """What can be told after some more text, for who has no tokens."""
        self.raw += text
        return self.news(*self.settled())

    def end(self) -> Piece | None:
        """What is left to tell when nothing more comes."""
        if self.tokens:
            self.raw += self.decoded(self.begun, len(self.tokens))[len(self.decoded(self.begun, self.read)) :]
        self.begun = self.read = len(self.tokens)
        thought, text = parted(self.raw)
        return self.news(thought, self.cut(text))

    def decoded(self, start: int, end: int) -> str:
        """Some of the tokens as text."""
        return self.tokenizer.decode(self.tokens[start:end], skip_special_tokens=True)

    def settled(self) -> tuple[str, str]:
        """(analysis, speech) as far as no later token can change them."""
        if might_become(self.raw.lstrip(), [mark for pair in MARKS.values() for mark in pair]):
            return "", ""
        thought, text = parted(self.raw)
        responses = [response for _, response in MARKS.values()]
        if thought and not any(response in self.raw for response in responses):
            return without_beginning_of(thought, responses), ""
        return thought, without_beginning_of(self.cut(text), () if self.stopped else self.stops)

    def cut(self, text: str) -> str:
        """The text before the first stop."""
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        self.stopped = self.stopped or bool(places)
        return text[: min(places)].rstrip() if places else text

    def news(self, thought: str, text: str) -> Piece | None:
        """What was not told before."""
        fresh = Piece(thought=thought[len(self.told.thought) :], text=text[len(self.told.text) :])
        if not fresh.thought and not fresh.text:
            return None
        self.told = Piece(thought=self.told.thought + fresh.thought, text=self.told.text + fresh.text)
        return fresh


def might_become(text: str, marks: Sequence[str]) -> bool:
    """Whether a text is nothing but the beginning of a mark."""
    return any(len(text) < len(mark) and mark.startswith(text) for mark in marks)


def without_beginning_of(text: str, marks: Sequence[str]) -> str:
    """A text without an end that may turn out to be the beginning of a mark."""
    longest = max((size for mark in marks for size in range(1, len(mark)) if text.endswith(mark[:size])), default=0)
    return text[: len(text) - longest].rstrip() if longest else text
