"""What was said, with who, to whom, when, where and after what: passages with speakers to exchanges.

Consecutive messages of one speaker are one turn. An answer that names its message opens an exchange of its own with
that message, however late it comes; without ids the order and the time of a thread pair them. Whatever stands in the
situation or in the turns before an answer was there before it: quoted lines are cut out, a text that was changed after
the answer is left out, words that were passed on are not the speaker's, and an answer whose text stands before it
already is dropped. Limit: without ids, an answer to the last but one message of a group goes to the last one.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from persllm.exchanges.situation import excerpt, minutes_between, phrases, span, told, when
from persllm.parsing import Settings
from persllm.passages import Passage
from persllm.records import Dropped, Record, Turn

REMEMBERED = 50_000
"""Messages that an answer can name, the latest."""
LONGEST_PLACE = 300
"""Characters of the stage directions before an answer, the last ones."""
SHORTEST_REPEATED = 12
"""Characters from which an answer that stands before itself is a leak and no `yes`."""
WITHIN = " / thread "
"""Parts the name of a chat from that of a thread within it."""
BETWEEN = re.compile(r"[\W_]+")
QUOTED_LINE = re.compile(r"^\s*(?:>|＞|&gt;).*$", re.MULTILINE)


class ExchangeSettings(Settings):
    """How messages become exchanges."""

    join_minutes: float = 10.0
    """Messages of one speaker that follow each other within this time are one turn."""
    apart_hours: float = 6.0
    """After a silence of this length a new talk begins."""
    late_hours: float = 72.0
    """An answer without an id that comes after a silence still belongs to an open question as old as this."""
    turns: int = 6
    """Most turns of an exchange, answers among them."""
    before: bool = True
    """Whether the situation tells what came right before the first turn."""


class Exchange(Record):
    """A stretch of talk that ends with words of the person."""

    turns: tuple[Turn, ...]
    situation: str = ""
    date: str = ""
    """When the first answer was given."""
    heading: str = ""
    thread: str = ""
    origin: str
    """`file:line` of the first turn, or `file:first-last`."""


class Said(Record):
    """A turn while exchanges are made."""

    speaker: str
    own: bool
    text: str
    to: str = ""
    date: str = ""
    last_date: str = ""
    """Of the last message that was joined to it."""
    edited: str = ""
    sources: tuple[str, ...]
    """Places of its messages."""
    message: str = ""
    """Id of its last message."""
    reply_to: str = ""
    passed_on: bool = False


def exchanges(
    passages: Iterable[Passage], is_own: Callable[[str], bool], name: str, code: str, settings: ExchangeSettings | None = None
) -> Iterator[Exchange | Dropped]:
    """The exchanges of a person in passages that have speakers, and what is left out with the reason.

    `is_own` tells whether a speaker is the person, whose turns will be called `name`; `code` is the language of the
    situations. The passages of one thread follow each other in time; threads may alternate.
    """
    pairing = Pairing(is_own, name, code, settings or ExchangeSettings())
    for passage in passages:
        yield from pairing.feed(passage)
    for thread in list(pairing.threads):
        yield from pairing.threads[thread].close()


class Pairing:
    """Hands every passage to its thread, and knows the messages that answers name."""

    def __init__(self, is_own: Callable[[str], bool], name: str, code: str, settings: ExchangeSettings):
        self.is_own, self.name, self.code, self.settings = is_own, name, code, settings
        self.said = phrases(code)
        self.threads: dict[str, Thread] = {}
        self.remembered: OrderedDict[tuple[str, str], Said] = OrderedDict()

    def feed(self, passage: Passage) -> Iterator[Exchange | Dropped]:
        """Take one passage."""
        if not passage.speaker and not passage.forwarded_from:
            yield Dropped(item=passage.source, reason="no speaker", detail=passage.text[:200])
            return
        text = QUOTED_LINE.sub("", passage.text).strip() if passage.form == "message" else passage.text.strip()
        if not text:
            yield Dropped(item=passage.source, reason="only a quotation", detail=passage.text[:200])
            return
        thread = self.threads.setdefault(passage.thread, Thread(self, passage.thread))
        target = self.remembered.get((root(passage.thread), passage.reply_to)) if passage.reply_to else None
        if target and target.date > passage.date:
            target = None
        turn = thread.turn(passage, text, target)
        if passage.identity_in_thread:
            self.remembered[root(passage.thread), passage.identity_in_thread] = turn
            if len(self.remembered) > REMEMBERED:
                self.remembered.popitem(last=False)
        yield from thread.take(turn, passage, target)


def root(thread: str) -> str:
    """The chat a thread within it belongs to: ids are unique there."""
    return thread.partition(WITHIN)[0]


class Thread:
    """The open exchange of one thread."""

    def __init__(self, pairing: Pairing, name: str):
        self.pairing, self.name = pairing, name
        self.code, self.settings = pairing.code, pairing.settings
        self.turns: list[Said] = []
        self.others: dict[str, None] = {}
        """Who else has spoken so far."""
        self.place, self.heading = "", ""
        self.since, self.late = "", ""
        self.before: Said | None = None
        self.situation, self.bare = "", ""
        """Of the open exchange, as it was when the first answer was given; `bare` without what came right before."""
        self.is_chat = False
        self.parent = ""
        """Id of the message this thread hangs on."""

    # What is said ----------------------------------------------------------------------------------------

    def turn(self, passage: Passage, text: str, target: Said | None) -> Said:
        """The turn of a passage."""
        passed_on = bool(passage.forwarded_from)
        own = self.pairing.is_own(passage.speaker) and not passed_on
        speaker = self.pairing.name if self.pairing.is_own(passage.speaker) else passage.speaker
        if passed_on:
            speaker = self.pairing.said.passed_on.format(origin=passage.forwarded_from, speaker=speaker)
        elif not own:
            self.others.setdefault(speaker)
        return Said(
            speaker=speaker, own=own, text=text, to=self.addressee(passage, text, speaker, own, target), date=passage.date, last_date=passage.date,
            edited=passage.edited, sources=(passage.source,), message=passage.identity_in_thread, reply_to=passage.reply_to, passed_on=passed_on,
        )  # fmt: skip

    def addressee(self, passage: Passage, text: str, speaker: str, own: bool, target: Said | None) -> str:
        """Whom it is said to: whose message it answers, who is named, who is spoken to, the only other one, else all."""
        if target and target.speaker != speaker:
            return target.speaker
        if passage.to:
            return ", ".join(self.pairing.name if self.pairing.is_own(name) else name for name in passage.to)
        people = [self.pairing.name, *self.others]
        spoken_to = next((name for name in people if name != speaker and is_called(name, text, people)), "")
        if spoken_to:
            return spoken_to
        last = self.turns[-1] if self.turns else None
        if own and last and not last.own and not last.passed_on and self.pairing.name in last.to:
            return last.speaker
        if len(self.others) == 1:
            return next(iter(self.others)) if own else self.pairing.name
        return self.pairing.said.group if self.others else ""

    # The open exchange -----------------------------------------------------------------------------------

    def take(self, turn: Said, passage: Passage, target: Said | None) -> Iterator[Exchange | Dropped]:
        """Join a turn to the last one, go on with it, or begin anew."""
        last = self.turns[-1] if self.turns else None
        silence = minutes_between(last.last_date, turn.date) if last else None
        self.is_chat = passage.form == "message"
        self.go_on(passage)
        moved = self.moves(passage)
        if last and self.joins(last, turn, silence) and not moved:
            self.turns[-1] = together(last, turn)
            return
        silent = silence is not None and silence > self.settings.apart_hours * 60
        answers = target is not None and not self.follows(last, target, passage)
        if not last or moved or silent or answers or (turn.own and last.own):
            asked = last if moved and turn.own and last and not last.own and not self.is_chat and passage.heading == self.heading else None
            yield from self.begin(turn, passage, last, silence, silent, target if answers else asked)
        elif turn.own and len(self.turns) >= self.settings.turns:
            yield from self.cut()
        if not turn.own:
            self.turns.append(turn)
            self.shorten()
            return
        spoilt = self.spoilt(turn)
        yield from self.without_edited(turn)
        if spoilt:
            yield Dropped(item=turn.sources[0], reason="the message was changed after the answer", detail=turn.text[:200])
            return
        self.turns.append(turn)
        if not self.situation:
            self.situation, self.bare = self.told(), self.told(before=False)

    def go_on(self, passage: Passage) -> None:
        """A stage direction between a question and its answer belongs to the situation of that answer."""
        answered = not self.turns or any(turn.own for turn in self.turns)
        if not self.is_chat and not answered and passage.heading == self.heading and self.moves(passage):
            self.place = f"{self.place} {passage.situation}".strip()[-LONGEST_PLACE:]

    def moves(self, passage: Passage) -> bool:
        """Whether a turn is said elsewhere. Of talk that is no chat a situation stands only before the words that came next."""
        if self.is_chat:
            return (passage.heading, passage.situation) != (self.heading, self.place)
        return passage.heading != self.heading or not self.place.endswith(passage.situation)

    def joins(self, last: Said, turn: Said, silence: float | None) -> bool:
        """Whether a turn goes on with the last one."""
        close = silence is not None and silence <= self.settings.join_minutes
        undated = not last.date and not turn.date and bool(turn.message)
        same = last.speaker == turn.speaker and not turn.passed_on and not last.passed_on
        return same and (close or undated) and turn.reply_to in ("", last.reply_to, self.parent)

    def follows(self, last: Said | None, target: Said, passage: Passage) -> bool:
        """Whether the message that is answered is what was said last, or what the whole thread hangs on."""
        return (last is not None and len(last.sources) == 1 and last.message == target.message) or passage.reply_to == self.parent != ""

    def begin(
        self, turn: Said, passage: Passage, last: Said | None, silence: float | None, silent: bool, target: Said | None
    ) -> Iterator[Exchange | Dropped]:
        """Close the open exchange and open one that this turn begins, with the message it answers where there is one."""
        late = target or (last if self.is_late(turn, last, silence, silent) else None)
        moved = self.moves(passage)
        yield from self.close(spare=late)
        self.heading, self.place = passage.heading, passage.situation
        self.since = self.pairing.said.since.format(time=span(silence, self.code)) if silent and silence is not None and not late else ""
        self.before = last if last and not silent and not moved and last != late else None
        self.late = ""
        if target and WITHIN in self.name and not self.parent:
            self.parent = passage.reply_to
        if late is None:
            return
        if late.own:
            self.before = late
            return
        self.turns = [late]
        if not late.passed_on:
            self.others.setdefault(late.speaker)
        age = minutes_between(late.last_date, turn.date)
        if age is not None and age > self.settings.apart_hours * 60:
            self.late = self.pairing.said.late.format(other=late.speaker, time=span(age, self.code))

    def is_late(self, turn: Said, last: Said | None, silence: float | None, silent: bool) -> bool:
        """Whether the person's first words after a silence answer the last message before it."""
        if not silent or silence is None or last is None or last.own or not turn.own:
            return False
        meant = len(self.others) == 1 or self.pairing.name in last.to
        return meant and silence <= self.settings.late_hours * 60

    def cut(self) -> Iterator[Exchange | Dropped]:
        """Close a long exchange after its last answer, and go on with what came since."""
        end = after_last_answer(self.turns)
        rest, before = self.turns[end:], self.turns[end - 1] if end else None
        self.turns = self.turns[:end]
        yield from self.close()
        self.turns, self.before = rest, before
        self.since = self.late = ""
        self.shorten()

    def shorten(self) -> None:
        """Forget what was said too long before the person's first answer."""
        if any(turn.own for turn in self.turns):
            return
        while len(self.turns) >= self.settings.turns:
            self.before, self.since, self.late = self.turns.pop(0), "", ""

    def changed_after(self, answer: Said) -> int:
        """Number of the last turn that was changed after an answer, or -1."""
        return max((number for number, turn in enumerate(self.turns) if turn.edited and not turn.edited <= answer.date), default=-1)

    def spoilt(self, answer: Said) -> bool:
        """Whether the very turn that is answered was changed after the answer."""
        return bool(self.turns) and self.changed_after(answer) == len(self.turns) - 1

    def without_edited(self, answer: Said) -> Iterator[Exchange | Dropped]:
        """Keep only what has not been changed since the answer was given."""
        bad = self.changed_after(answer)
        if bad < 0:
            return
        end = after_last_answer(self.turns)
        rest, self.turns = self.turns[max(bad + 1, end) :], self.turns[:end]
        yield from self.close()
        self.turns, self.before, self.since, self.late = rest, None, "", ""

    # Closing ---------------------------------------------------------------------------------------------

    def told(self, before: bool = True) -> str:
        """The situation as it is when the first answer of the open exchange is given."""
        said, first = self.pairing.said, self.turns[0]
        place = [*self.heading.split(" / "), self.place]
        if self.is_chat:
            group, other = len(self.others) > 1 or WITHIN in self.name, next(iter(self.others), self.name)
            chat = said.chat_in.format(thread=root(self.name)) if group else said.chat_with.format(other=other)
            place.append(chat if self.name else "")
        earlier = self.before if before and self.settings.before else None
        shown = said.before.format(speaker=earlier.speaker, text=excerpt(earlier.text)) if earlier and not earlier.edited else ""
        opening = next((turn for turn in self.turns if turn.own), first) if self.late else first
        return told([*place, when(opening.date, self.code), self.since, self.late, shown], self.code)

    def close(self, spare: Said | None = None) -> Iterator[Exchange | Dropped]:
        """What the open exchange comes to; the turn to `spare` is answered elsewhere."""
        turns, situation = self.turns, self.situation
        self.turns, self.situation = [], ""
        kept: list[Said] = []
        for turn in turns:
            if turn.own and stands_in(turn.text, [earlier.text for earlier in kept]):
                yield Dropped(item=turn.sources[0], reason="the answer stands before it already", detail=turn.text[:200])
                yield from self.exchange(kept, situation)
                kept, situation = [], self.bare
                continue
            if turn.own and stands_in(turn.text, [situation]):
                end = after_last_answer(kept)
                yield from self.exchange(kept[:end], situation)
                kept, situation = kept[end:], self.bare
            kept.append(turn)
        yield from self.exchange(kept, situation, spare)

    def exchange(self, turns: list[Said], situation: str, spare: Said | None = None) -> Iterator[Exchange | Dropped]:
        """The exchange up to the last answer, and what came after it without one."""
        end = after_last_answer(turns)
        open_turns = [turn for turn in turns[end:] if turn != spare]
        if end:
            own = next(turn for turn in turns if turn.own)
            yield Exchange(
                turns=tuple(Turn(speaker=turn.speaker, to=turn.to, text=turn.text) for turn in turns[:end]), situation=situation,
                date=own.date or turns[0].date, heading=self.heading, thread=self.name, origin=origin(turns[:end]),
            )  # fmt: skip
        if open_turns:
            count = sum(len(turn.sources) for turn in open_turns)
            yield Dropped(item=open_turns[0].sources[0], reason="not answered there", detail=f"{count} messages of others")


def together(first: Said, second: Said) -> Said:
    """Two messages of one speaker as one turn."""
    return first.model_copy(update={
        "text": f"{first.text}\n{second.text}", "last_date": second.date, "message": second.message,
        "edited": max(first.edited, second.edited), "sources": (*first.sources, *second.sources),
    })  # fmt: skip


def after_last_answer(turns: list[Said]) -> int:
    """Number of the turn after the person's last one; 0 if there is none."""
    return max((number for number, turn in enumerate(turns) if turn.own), default=-1) + 1


def stands_in(answer: str, texts: Iterable[str]) -> bool:
    """Whether an answer can be read before it is given."""
    plain = squeezed(answer)
    return len(plain) >= SHORTEST_REPEATED and any(plain in squeezed(text) for text in texts)


def squeezed(text: str) -> str:
    """The letters and digits of a text alone."""
    return BETWEEN.sub("", text.casefold())


def is_called(name: str, text: str, people: Iterable[str]) -> bool:
    """Whether a text speaks to somebody: the name, or its first word if nobody shares it, set off at the start or end."""
    first = name.split()[0] if name.split() else name
    shared = sum(other.split()[:1] == [first] for other in people) > 1
    forms = {name} if shared or len(first) < 2 else {name, first}
    alternatives = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    start = rf"^\W*(?:\w+\s)?@?(?:{alternatives})\s*[,，:：!！]"
    end = rf"[,，]\s*(?:{alternatives})\s*[.?!。？！~]*$"
    return bool(re.search(start, text) or re.search(end, text))


def origin(turns: list[Said]) -> str:
    """`file:line` of the first message, or `file:first-last`."""
    places = [place for turn in turns for place in turn.sources]
    file, _, first = places[0].rpartition(":")
    other, _, last = places[-1].rpartition(":")
    numbered = file == other and first.isdigit() and last.isdigit() and first != last
    return f"{file}:{first}-{last}" if numbered else places[0]
