"""Exchanges from messages: paired, with their situation, and with nothing in a prompt that came after it."""

import datetime
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persllm.exchanges import Exchange, ExchangeSettings, exchanges
from persllm.exchanges.situation import excerpt, span, when
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import read_path

CHATS = Path(__file__).parent / "sources" / "chats"
IDA = "Ida Fenwick"
START = datetime.datetime(2024, 5, 4, 20, 0)


def said(speaker: str, text: str, minutes: float, number: int = 0, **more) -> Passage:
    date = (START + datetime.timedelta(minutes=minutes)).isoformat()
    return Passage(**{
        "speaker": speaker, "text": text, "date": date, "form": "message", "thread": "Harbour House", "source": f"chat.txt:{number or int(minutes) + 1}",
        "identity_in_thread": str(number) if number else "", **more,
    })  # fmt: skip


def made(passages: list[Passage], code: str = "en", **more) -> tuple[list[Exchange], list[Dropped]]:
    found = list(exchanges(passages, lambda name: name in (IDA, "me"), IDA, code, ExchangeSettings(**more)))
    return [e for e in found if isinstance(e, Exchange)], [d for d in found if isinstance(d, Dropped)]


def talk(exchange: Exchange) -> list[str]:
    return [f"{turn.speaker}>{turn.to}: {turn.text}" for turn in exchange.turns]


def test_consecutive_messages_are_joined_and_the_situation_says_where_and_when() -> None:
    found, _ = made(
        [said("Ben", "the boiler", 0), said("Ben", "is out", 1), said(IDA, "Again.", 3), said(IDA, "Ask Cleo.", 4), said("Ben", "ok", 40)]
    )
    assert [talk(e) for e in found] == [[f"Ben>{IDA}: the boiler\nis out", f"{IDA}>Ben: Again.\nAsk Cleo."]]
    assert found[0].situation == "In a chat with Ben; Saturday evening, 4 May 2024"
    assert (found[0].date, found[0].origin) == ("2024-05-04T20:03:00", "chat.txt:1-5")


def test_an_answer_that_names_its_message_stands_with_it_however_late() -> None:
    found, dropped = made([
        said("Ben", "Which rope?", 0, 1), said("Cleo", "Seen my gloves?", 1, 2), said(IDA, "The blue one.", 2, 3, reply_to="1"),
        said(IDA, "On the tiller.", 3000, 4, reply_to="2"),
    ])  # fmt: skip
    assert [talk(e) for e in found] == [
        [f"Ben>{IDA}: Which rope?", f"{IDA}>Ben: The blue one."],
        ["Cleo>everyone: Seen my gloves?", f"{IDA}>Cleo: On the tiller."],
    ]
    assert found[1].situation.endswith("Cleo wrote this 2 days ago")
    assert [d.reason for d in dropped] == ["not answered there"]


def test_a_late_answer_without_an_id_is_not_lost() -> None:
    found, dropped = made([said("Ben", "Coming on Sunday?", 0), said(IDA, "If it is dry.", 60 * 26)])
    assert talk(found[0]) == [f"Ben>{IDA}: Coming on Sunday?", f"{IDA}>Ben: If it is dry."]
    assert "Sunday night, 5 May" not in found[0].situation
    assert found[0].situation == "In a chat with Ben; Sunday evening, 5 May 2024; Ben wrote this a day ago"
    assert not dropped
    found, dropped = made([said("Ben", "Coming on Sunday?", 0), said(IDA, "Happy new year!", 60 * 24 * 200)])
    assert talk(found[0]) == [f"{IDA}>Ben: Happy new year!"]
    assert found[0].situation.endswith("7 months after the last message")
    assert [d.reason for d in dropped] == ["not answered there"]


def test_addressees_of_a_group_by_answer_mention_vocative_or_all() -> None:
    found, _ = made([
        said("Ben", "Morning", 0, 1), said("Cleo Marsh", "Tea?", 20, 2), said(IDA, "Ben, put the kettle on.", 40, 3), said("Ben", "@Cleo yours?", 60, 4, to=("Cleo Marsh",)),
        said("Cleo Marsh", "no", 80, 5, reply_to="4"), said(IDA, "Then it is mine.", 100, 6), said("Ben", "what a house, Ida!", 120, 7), said(IDA, "It was better empty.", 140, 8),
    ])  # fmt: skip
    assert [f"{t.speaker}>{t.to}" for e in found for t in e.turns] == [
        f"Ben>{IDA}", "Cleo Marsh>everyone", f"{IDA}>Ben", "Ben>Cleo Marsh", "Cleo Marsh>Ben", f"{IDA}>everyone", f"Ben>{IDA}", f"{IDA}>Ben",
    ]  # fmt: skip


def test_a_long_talk_is_cut_and_goes_on_after_what_was_said_last() -> None:
    lines = [said("Ben" if i % 2 == 0 else IDA, f"line {i} of the talk", 15 * i) for i in range(12)]
    found, _ = made(lines)
    assert [len(e.turns) for e in found] == [6, 6]
    assert found[1].situation.endswith(f'before that, {IDA}: "line 5 of the talk"')
    assert not any("before that" in e.situation for e in made(lines, before=False)[0])


def test_what_was_quoted_passed_on_or_changed_later_does_not_tell_the_answer() -> None:
    found, dropped = made([
        said("Ben", "Is it tonight?", 0, 1, edited=(START + datetime.timedelta(minutes=90)).isoformat()), said(IDA, "It is always tonight.", 2, 2),
        said("Ben", "And tomorrow?", 30, 3), said(IDA, "> And tomorrow?\nAsk the moon.", 32, 4),
        said("Ben", "Ask the moon, she says", 60, 5, forwarded_from="Cleo"), said(IDA, "Ask the moon she says", 62, 6), said(IDA, "> all quoted", 90, 7),
    ])  # fmt: skip
    assert [talk(e) for e in found] == [[f"Ben>{IDA}: And tomorrow?", f"{IDA}>Ben: Ask the moon."]]
    assert sorted(d.reason for d in dropped) == [
        "not answered there", "only a quotation", "the answer stands before it already", "the message was changed after the answer",
    ]  # fmt: skip


def test_a_change_of_place_opens_another_exchange() -> None:
    lines = [
        Passage(
            speaker="BEN",
            text="Is she dry?",
            source="p:1",
            form="utterance",
            heading="Act I / Scene 2",
            situation="The boat shed. Dusk",
            thread="Scene 2",
        ),
        Passage(
            speaker="me",
            text="Dry enough.",
            source="p:2",
            form="utterance",
            heading="Act I / Scene 2",
            situation="The boat shed. Dusk",
            thread="Scene 2",
        ),
        Passage(
            speaker="BEN",
            text="And now?",
            source="p:3",
            form="utterance",
            heading="Act I / Scene 2",
            situation="On the water",
            thread="Scene 2",
        ),
        Passage(
            speaker="me",
            text="Now we bail.",
            source="p:4",
            form="utterance",
            heading="Act I / Scene 2",
            situation="On the water",
            thread="Scene 2",
        ),
    ]
    found, _ = made(lines)
    assert [e.situation for e in found] == ["Act I; Scene 2; The boat shed. Dusk", "Act I; Scene 2; On the water"]


@pytest.mark.parametrize(
    ("file", "exchanged", "last"),
    [
        ("WhatsApp Chat with Harbour House.txt", 2, "In the group chat Harbour House; Thursday evening, 14 March 2024; Cleo Marsh wrote this 8 hours ago"),
        ("result.json", 2, "In a chat with Ben Oduya; Sunday morning, 5 May 2024; 13 hours after the last message"),
        ("Harbour - boats [1].json", 2, f'In the group chat Harbour #boats; Saturday evening, 4 May 2024; before that, {IDA}: "The blue one, it has forgiven you before."'),
        ("slack", 2, "In the group chat #workshop; Monday morning, 6 May 2024"),
        ("letters.tsv", 1, "In a chat with Ben Oduya; Saturday evening, 4 May 2024"),
    ],
)  # fmt: skip
def test_exchanges_of_real_formats(file: str, exchanged: int, last: str) -> None:
    found, _ = made([p for p in read_path(CHATS / file) if isinstance(p, Passage)])
    assert len(found) == exchanged
    assert found[-1].situation == last


def test_chinese_situations() -> None:
    found, _ = made([said("阿本", "锅炉又坏了", 0), said("me", "它比我还老。", 60 * 9)], code="zh")
    assert found[0].situation == "在与阿本的聊天中；2024年5月5日星期日上午；这是阿本9小时前写的"


def test_times_in_words() -> None:
    assert [when(d, "en") for d in ("", "1812", "1812-06", "1812-06-24", "2024-05-05T03:00:00")] == [
        "", "1812", "June 1812", "Wednesday, 24 June 1812", "Sunday night, 5 May 2024",
    ]  # fmt: skip
    assert [span(m, "en") for m in (0.2, 1, 61, 60 * 30, 60 * 24 * 9, 60 * 24 * 400)] == [
        "a minute",
        "a minute",
        "an hour",
        "a day",
        "a week",
        "a year",
    ]
    assert excerpt("word " * 100).startswith("… word")
    assert len(excerpt("x" * 500)) <= 162


# What holds for every chat --------------------------------------------------------------------------------

TOKEN = re.compile(r"tok\d+x")


@st.composite
def chats(draw: st.DrawFn) -> list[Passage]:
    """A chat in which every message carries a token of its own, with answers, edits, quotations and forwards."""
    speakers = draw(st.sampled_from([["Ben"], ["Ben", "Cleo"], ["Ben", "Cleo", "Dov"]]))
    minutes, passages = 0.0, []
    for number in range(draw(st.integers(2, 14))):
        minutes += draw(st.sampled_from([0, 1, 8, 40, 300, 60 * 8, 60 * 30, 60 * 24 * 5]))
        speaker = draw(st.sampled_from([IDA, *speakers]))
        text = f"words of message tok{number}x"
        more: dict = {}
        earlier = draw(st.integers(0, max(0, number - 1))) if number else None
        if earlier is not None and draw(st.integers(0, 3)) == 0:
            more["reply_to"] = str(earlier + 1)
        if earlier is not None and draw(st.integers(0, 5)) == 0:
            quoted = passages[earlier].text.replace("\n", "\n> ")
            text = f"> {quoted}\n{text}"
        if draw(st.integers(0, 7)) == 0:
            more["forwarded_from"] = draw(st.sampled_from([*speakers, IDA]))
        thread = "Harbour House" + (f" / thread {earlier + 1}" if "reply_to" in more and draw(st.booleans()) else "")
        passages.append(said(speaker, text, minutes, number + 1, thread=thread, **more))
    for number, passage in enumerate(passages):
        if draw(st.integers(0, 4)) == 0 and number + 1 < len(passages):
            later = draw(st.integers(number + 1, len(passages) - 1))
            told = re.sub(r"> .*\n", "", passages[later].text)
            changed = (datetime.datetime.fromisoformat(passages[later].date) + datetime.timedelta(minutes=5)).isoformat()
            passages[number] = passage.model_copy(update={"text": f"{passage.text} (changed: {told})", "edited": changed})
    return passages


def prompts(found: list[Exchange]) -> list[tuple[str, str]]:
    """(all that stands before an answer, the answer) of every answer."""
    return [
        ("\n".join([e.situation, *(turn.text for turn in e.turns[:place])]), turn.text)
        for e in found
        for place, turn in enumerate(e.turns)
        if turn.speaker == IDA
    ]


def own_token(text: str) -> int:
    """Number of the first message of an answer."""
    return min(int(token[3:-1]) for token in TOKEN.findall(text.split(" (changed:")[0]))


@settings(max_examples=150, deadline=None)
@given(chats())
def test_nothing_before_an_answer_came_after_it(passages: list[Passage]) -> None:
    for prompt, answer in prompts(made(passages)[0]):
        first = own_token(answer)
        seen = [int(token[3:-1]) for token in TOKEN.findall(prompt)]
        assert all(number < first for number in seen), f"{seen} before {first}"


@settings(max_examples=100, deadline=None)
@given(chats(), st.integers(0, 13))
def test_a_prompt_is_the_same_when_the_chat_ends_with_its_answer(passages: list[Passage], place: int) -> None:
    place = min(place, len(passages) - 1)
    whole = {own_token(answer): prompt for prompt, answer in prompts(made(passages)[0])}
    ended = {own_token(answer): prompt for prompt, answer in prompts(made(passages[: place + 1])[0])}
    assert all(whole[number] == prompt for number, prompt in ended.items() if number in whole)


@settings(max_examples=100, deadline=None)
@given(chats())
def test_no_words_of_the_person_are_lost_or_doubled(passages: list[Passage]) -> None:
    found, dropped = made(passages)
    answered = Counter(
        int(token[3:-1])
        for _, answer in prompts(found)
        for part in answer.split("\n")
        for token in TOKEN.findall(part.split(" (changed:")[0])
    )
    lost = {d.item for d in dropped}
    for number, passage in enumerate(passages):
        if passage.speaker == IDA and not passage.forwarded_from:
            assert answered[number] == 1 or (not answered[number] and passage.source in lost), f"message {number}: {answered[number]}"


def spoken(*rows: tuple[str, str, str]) -> list[Passage]:
    """(speaker, words, stage direction right before) of one scene."""
    return [
        Passage(speaker=who, text=text, source=f"p:{number}", form="utterance", heading="Act I", situation=direction, thread="p#1")
        for number, (who, text, direction) in enumerate(rows, 1)
    ]


def test_a_stage_direction_keeps_the_question_with_its_answer() -> None:
    """A direction stands only before the words that come next; wherever it stands, what was asked is not lost."""
    found, lost = made(
        spoken(("BEN", "Who is there?", "Rain."), ("me", "The rain.", ""), ("BEN", "Come in.", ""), ("me", "No.", "Ida waits."))
    )
    assert [(e.situation, talk(e)) for e in found] == [
        ("Act I; Rain", [f"BEN>{IDA}: Who is there?", f"{IDA}>BEN: The rain."]),
        ("Act I; Ida waits", [f"BEN>{IDA}: Come in.", f"{IDA}>BEN: No."]),
    ]  # fmt: skip
    assert not lost
    found, lost = made(spoken(("BEN", "Is she dry?", "Rain."), ("BEN", "Well?", "He knocks."), ("me", "Dry enough.", "Ida looks up.")))
    assert [(e.situation, talk(e)) for e in found] == [
        ("Act I; Rain. He knocks. Ida looks up", [f"BEN>{IDA}: Is she dry?", f"BEN>{IDA}: Well?", f"{IDA}>BEN: Dry enough."]),
    ]  # fmt: skip
    assert not lost


def test_a_direction_after_an_answer_stands_before_no_answer_that_was_given_earlier() -> None:
    found, _ = made(
        spoken(("BEN", "Is she dry?", ""), ("me", "Dry enough.", ""), ("BEN", "And now?", "The boat sinks."), ("me", "Bail.", ""))
    )
    assert [(e.situation, talk(e)[-1]) for e in found] == [
        ("Act I", f"{IDA}>BEN: Dry enough."),
        ("Act I; The boat sinks", f"{IDA}>BEN: Bail."),
    ]
