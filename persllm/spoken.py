"""An exchange as the messages a model is trained on: before each answer of the person who speaks, to whom, where, when.

The situation opens the first message of every prompt, also where a long exchange is cut. Where several others speak,
each line names its speaker, and whom it is said to if that is not the person. The setting `constructor.situation`
says how much of this the prompts hold.
"""

from collections.abc import Callable, Iterator

from persllm.constructor_settings import ConstructorSettings
from persllm.languages import language
from persllm.records import Material, Message, Record, Turn
from persllm.wordings import Wordings, fill

ENOUGH_ALONE = 5
"""Words from which an utterance can be answered without anything before it."""


class Answered(Record):
    """An answer of the person with what stands before it."""

    turn: Turn
    prompt: tuple[Message, ...]
    """The talk up to the answer, the situation at its head."""
    alone: tuple[Message, ...] = ()
    """Only what was said last; empty if nothing was, or it cannot be answered alone."""


def answers(
    material: Material, is_own: Callable[[str], bool], words: Wordings, settings: ConstructorSettings, code: str
) -> Iterator[Answered]:
    """Every answer of the person in an exchange."""
    others = tuple(dict.fromkeys(turn.speaker for turn in material.turns if not is_own(turn.speaker)))
    told = Teller(material, others, is_own, words, settings)
    messages: list[Message] = []
    silent = False
    last: Turn | None = None
    for turn in material.turns:
        if is_own(turn.speaker):
            if not messages:
                silent = True
                messages.append(Message(role="user", content=told.silence(turn)))
            yield Answered(turn=turn, prompt=told.opened(messages, silent), alone=told.alone(last, code) if last else ())
            messages.append(Message(role="assistant", content=turn.text))
            continue
        last, text = turn, told.line(turn)
        if messages and messages[-1].role == "user":
            text = f"{messages.pop().content}\n{text}"
        messages.append(Message(role="user", content=text))


class Teller:
    """Puts speakers and the situation of one exchange into words."""

    def __init__(
        self, material: Material, others: tuple[str, ...], is_own: Callable[[str], bool], words: Wordings, settings: ConstructorSettings
    ):
        self.others, self.is_own, self.words, self.settings = others, is_own, words, settings
        self.situation = material.situation if settings.situation != "never" else ""
        self.several = len(others) > 1

    def line(self, turn: Turn) -> str:
        """What another one says; with the name where there are several."""
        if not self.several:
            return turn.text
        aside = bool(turn.to) and not self.is_own(turn.to)
        return fill(self.words.spoken_to if aside else self.words.spoken, speaker=turn.speaker, to=turn.to, text=turn.text)

    def silence(self, turn: Turn) -> str:
        """What stands before words with which the person begins."""
        speaker = turn.to or next(iter(self.others), "")
        return fill(self.words.bare, speaker=speaker) if speaker else self.words.bare_alone

    def opened(self, messages: list[Message], silent: bool) -> tuple[Message, ...]:
        """The last messages, beginning with another's, the situation at their head; `silent` if the person began."""
        window = messages[-self.settings.context_turns :]
        window = window[1:] if window[0].role == "assistant" and len(window) > 1 else window
        first = window[0].content
        named = self.settings.situation != "never" and not self.several and not (silent and len(window) == len(messages))
        if named:
            first = fill(self.words.spoken, speaker=self.others[0], text=first)
        return (Message(role="user", content=self.situated(first)), *window[1:])

    def alone(self, turn: Turn, code: str) -> tuple[Message, ...]:
        """The last utterance without the talk before it, as the setting has it."""
        short = len(language(code).words(turn.text)) < ENOUGH_ALONE
        if self.settings.situation == "always" or (self.settings.situation == "mixed" and short):
            return (Message(role="user", content=self.situated(fill(self.words.spoken, speaker=turn.speaker, text=turn.text))),)
        return (Message(role="user", content=turn.text),)

    def situated(self, text: str) -> str:
        """A text with the situation before it."""
        return fill(self.words.situated, situation=self.situation, text=text) if self.situation else text
