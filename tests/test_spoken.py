"""Who speaks, to whom, where and when reach the prompt that is trained on."""

import pytest

from persllm.constructor_settings import ConstructorSettings
from persllm.records import Material, Turn
from persllm.spoken import Answered, answers
from persllm.wordings import wordings

IDA = "Ida Fenwick"
SHED = "In the shed; Saturday evening"


def spoken(turns: list[tuple[str, str, str]], code: str = "en", situation: str = SHED, mode: str = "", **more) -> list[Answered]:
    said = tuple(Turn(speaker=speaker, to=to, text=text) for speaker, to, text in turns)
    material = Material(persona="ida", kind="speech", stage=None, text="x", turns=said, situation=situation, source="s:1")
    return list(
        answers(
            material, lambda name: name == IDA, wordings(code), ConstructorSettings(**({"situation": mode} if mode else {}), **more), code
        )
    )


TWO = [
    ("Ben", IDA, "Is the dinghy dry enough now?"),
    (IDA, "Ben", "Dry enough to lie about."),
    ("Ben", IDA, "And?"),
    (IDA, "Ben", "And nothing."),
]
THREE = [("Ben", "Cleo", "Did you take the oars?"), ("Cleo", IDA, "Ida did."), (IDA, "everyone", "I did not.")]


def test_two_people_are_named_once_and_a_short_word_is_never_put_alone() -> None:
    first, second = spoken(TWO)
    assert [m.content for m in first.prompt] == ["(In the shed; Saturday evening) Ben: Is the dinghy dry enough now?"]
    assert [m.content for m in first.alone] == ["Is the dinghy dry enough now?"]
    assert [m.content for m in second.prompt] == [first.prompt[0].content, "Dry enough to lie about.", "And?"]
    assert [m.content for m in second.alone] == ["(In the shed; Saturday evening) Ben: And?"]


def test_in_a_group_every_line_says_who_and_to_whom() -> None:
    [only] = spoken(THREE)
    assert [m.content for m in only.prompt] == ["(In the shed; Saturday evening) Ben (to Cleo): Did you take the oars?\nCleo: Ida did."]


def test_the_situation_stays_when_a_long_exchange_is_cut() -> None:
    for count in (1, 2, 3):
        last = spoken(TWO, context_turns=count)[-1].prompt
        assert last[0].role == "user"
        assert last[0].content.startswith("(In the shed; Saturday evening) Ben: ")
        assert len(last) <= count


@pytest.mark.parametrize(("mode", "prompt", "alone"), [
    ("always", "(In the shed; Saturday evening) Ben: Is", "(In the shed; Saturday evening) Ben: Is"), ("never", "Is the", "Is the"),
])  # fmt: skip
def test_the_setting_puts_it_everywhere_or_nowhere(mode: str, prompt: str, alone: str) -> None:
    first = spoken(TWO, mode=mode)[0]
    assert first.prompt[0].content.startswith(prompt)
    assert first.alone[0].content.startswith(alone)


def test_without_a_situation_there_are_no_empty_brackets() -> None:
    assert spoken(TWO, situation="")[0].prompt[0].content == "Ben: Is the dinghy dry enough now?"
    assert spoken([(IDA, "Ben", "Good morning.")], situation="")[0].prompt[0].content == "Ben waits for you to speak."
    assert spoken([(IDA, "", "好。")], code="zh", situation="在船屋")[0].prompt[0].content == "（在船屋）由你先开口。"
