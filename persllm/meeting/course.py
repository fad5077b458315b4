"""The course of meetings: who speaks next, what they see, when it is over; many meetings in step.

What happens next depends on the scene, the seed and the turns so far, and on nothing else; so a meeting goes on
from its transcript as if it had never stopped. Meetings that are held together advance turn by turn, and all who
speak at one turn through one model are answered in one batch.

Everybody sees the meeting with their own eyes: what others said as user messages with their names, what they said
themselves as their own answers, and no more of it than the scene's `kept`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from persllm.languages import language
from persllm.meeting.policies import Choice, Relevance, choose, least_said
from persllm.meeting.scene import Scene
from persllm.meeting.seats import Seat
from persllm.meeting.turn import Turn
from persllm.meeting.words import word
from persllm.records import Message, Reply, Request, fingerprint

Ask = Callable[["Meeting", Seat], str | None]
"""Asks a human for an utterance; None if the human has left."""
Heard = Callable[["Meeting", Turn], None]
"""Told of every turn."""
LEFT = "left"
"""The `error` of a turn at which a human left."""


@dataclass(eq=False)
class Meeting:
    """One meeting: the scene, the seats, the seed, and what was said so far."""

    scene: Scene
    seats: Sequence[Seat]
    seed: int
    variant: str = "meeting"
    """Which of several versions of the scene: a folder's name."""
    moderator: Seat | None = None
    turns: list[Turn] = field(default_factory=list)

    relevance: Relevance | None = None
    """How near an utterance is to the materials of each seat; shared by meetings of one table."""

    def __post_init__(self) -> None:
        self.relevance = self.relevance or Relevance(self.seats)

    @property
    def ending(self) -> str:
        """Why the meeting is over; empty while it goes on."""
        return ending_of(self.scene, self.turns)

    def luck(self, *key: object) -> int:
        """A seed for something at this turn."""
        return int(fingerprint([self.seed, len(self.turns), *key])[:8], 16) >> 1

    def view(self, place: int) -> list[Message]:
        """The end of the meeting as whoever sits at that place sees it; the last message is a user's."""
        seen: list[Message] = []
        spoken = [turn for turn in self.turns if turn.text]
        lines = [(turn.seat == place, turn.text, turn.name) for turn in spoken[-self.scene.kept :]]
        if len(spoken) < self.scene.kept and self.scene.opening:
            lines.insert(0, (False, self.scene.opening, ""))
        for own, text, name in lines:
            said = text if own or not name else word(self.scene.language, "utterance", name=name, text=text)
            role = "assistant" if own else "user"
            if seen and seen[-1].role == role:
                seen[-1] = Message(role=role, content=f"{seen[-1].content}\n{said}")
            else:
                seen.append(Message(role=role, content=said))
        if not seen or seen[-1].role == "assistant":
            seen.append(Message(role="user", content=self.scene.opening or self.scene.goal or word(self.scene.language, "begin")))
        return seen

    def request(self, place: int) -> Request:
        """What the model of a seat is asked for its next utterance."""
        seat = self.seats[place]
        head = [Message(role="system", content=self.brief(seat))] if seat.told else []
        return self.asked(seat, [*head, *self.view(place)], place)

    def moderation(self) -> Request:
        """What the moderator is asked: who speaks next."""
        last = self.turns[-1].seat if self.turns else -1
        names = ", ".join(seat.name for place, seat in enumerate(self.seats) if place != last)
        seen = self.view(-1)
        question = f"{seen[-1].content}\n{word(self.scene.language, 'next', names=names)}"
        return self.asked(self.moderator, [*seen[:-1], Message(role="user", content=question)], "moderator")

    def asked(self, seat: Seat, messages: list[Message], luck: object) -> Request:
        """A request to a seat's agent with the scene's sampling."""
        drawn = {"max_tokens": self.scene.max_tokens, "seed": self.luck(luck)}
        if self.scene.temperature is not None:
            drawn["temperature"] = self.scene.temperature
        return seat.agent.request(messages, sampling=seat.agent.sampling.model_copy(update=drawn))

    def brief(self, seat: Seat) -> str:
        """Goal and setting, for a system message."""
        goal = word(self.scene.language, "goal", goal=self.scene.goal) if self.scene.goal else ""
        others = ", ".join(other.name for other in self.seats if other is not seat)
        text = word(self.scene.language, "brief", name=seat.name, others=others, setting=self.scene.setting.strip(), goal=goal)
        return " ".join(text.split())

    def add(self, choice: Choice, text: str, error: str = "") -> Turn:
        """The next turn."""
        seat = self.seats[choice.seat]
        turn = Turn(
            number=len(self.turns) + 1,
            seat=choice.seat,
            name=seat.name,
            by="model" if seat.agent else "human",
            text=own_words(text, seat, self.seats),
            error=error,
            why=choice.why,
        )
        self.turns.append(turn)
        return turn


def own_words(text: str, seat: Seat, seats: Sequence[Seat]) -> str:
    """What somebody said, without their own name before it, and without what they put into the mouths of others."""
    text = text.strip()
    for form in seat.called:
        text = re.sub(rf"^{re.escape(form)}\s*[:：]\s*", "", text)
    forms = "|".join(re.escape(form) for other in seats for form in other.called)
    return re.split(rf"\n\s*(?:{forms})\s*[:：]", text, maxsplit=1)[0].strip()


def ending_of(scene: Scene, turns: Sequence[Turn]) -> str:
    """Why a meeting with these turns is over; empty if it goes on."""
    end = scene.end
    if turns and turns[-1].error == LEFT:
        return "left"
    if len(turns) >= end.turns:
        return "turns"
    if len(turns) >= end.silence and not any(turn.text for turn in turns[-end.silence :]):
        return "silence"
    if end.phrases and turns:
        latest = {turn.seat: turn.text.casefold() for turn in turns}
        if sum(any(phrase.casefold() in text for phrase in end.phrases) for text in latest.values()) >= end.phrase_by:
            return "phrase"
    return "no new words" if end.no_new_words and stale(scene, turns) >= end.no_new_words else ""


def stale(scene: Scene, turns: Sequence[Turn]) -> int:
    """Turns in a row, up to the last, in which no new word was said."""
    words, known, run = language(scene.language).words, set(), 0
    for turn in turns:
        said = set(words(turn.text))
        run = 0 if said - known else run + 1
        known |= said
    return run


def hold(meetings: Sequence[Meeting], heard: Heard, ask: Ask | None = None) -> None:
    """Hold meetings to their ends, in step: those with the fewest turns go first."""
    while going := [meeting for meeting in meetings if not meeting.ending]:
        fewest = min(len(meeting.turns) for meeting in going)
        advance([meeting for meeting in going if len(meeting.turns) == fewest], heard, ask)


def advance(meetings: Sequence[Meeting], heard: Heard, ask: Ask | None) -> None:
    """One turn in each meeting."""
    choices = chosen(meetings)
    speakers = [meeting.seats[choice.seat] for meeting, choice in zip(meetings, choices, strict=True)]
    asked = [
        (seat, meeting.request(choice.seat)) if seat.agent else None
        for meeting, choice, seat in zip(meetings, choices, speakers, strict=True)
    ]
    said = replies_to(asked)
    for place, (meeting, choice) in enumerate(zip(meetings, choices, strict=True)):
        if asked[place]:
            reply = said[place]
            turn = meeting.add(choice, reply.text, reply.error if reply.finish == "error" else "")
        else:
            text = ask(meeting, speakers[place]) if ask else None
            turn = meeting.add(choice, text or "", LEFT if text is None else "")
        heard(meeting, turn)


def chosen(meetings: Sequence[Meeting]) -> list[Choice]:
    """Who speaks next in each meeting; the moderators are asked together."""
    moderated = [meeting.moderator is not None and meeting.scene.policy == "moderator" for meeting in meetings]
    asked = [(m.moderator, m.moderation()) if with_agent else None for m, with_agent in zip(meetings, moderated, strict=True)]
    said = replies_to(asked)
    return [picked(m, said[place].text) if with_agent else choose(m) for place, (m, with_agent) in enumerate(zip(meetings, moderated))]


def picked(meeting: Meeting, text: str) -> Choice:
    """Whom a moderator's answer names first; nobody named, or the last speaker: the rule decides."""
    last = meeting.turns[-1].seat if meeting.turns else -1
    named = {place: at for place, seat in enumerate(meeting.seats) if place != last and (at := seat.named_at(text)) >= 0}
    return Choice(min(named, key=named.get), "moderator") if named else least_said(meeting, "moderator named nobody")


def replies_to(asked: Sequence[tuple[Seat, Request] | None]) -> dict[int, Reply]:
    """Place -> reply; all requests to one model go as one batch."""
    by_model: dict[int, list[int]] = {}
    for place, one in enumerate(asked):
        if one:
            by_model.setdefault(id(one[0].agent.model), []).append(place)
    found: dict[int, Reply] = {}
    for places in by_model.values():
        model = asked[places[0]][0].agent.model
        found |= {places[number]: reply for number, reply in model.replies([asked[place][1] for place in places])}
    return found
