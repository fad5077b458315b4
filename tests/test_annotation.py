"""What an annotating model sends back: strict JSON, sections, and what is refused."""

import importlib.util

import pytest

from persllm.annotation import fault_of_answer, fault_of_input, marks, read_inputs, read_sections

needs_chinese = pytest.mark.skipif(importlib.util.find_spec("persllm.languages.zh") is None, reason="persllm.languages.zh is not there")
INDUCTION = '{"inputs": [{"family": "flattery", "text": "t", "claim": "c", "truth": "r", "control": "o"}]}'


def test_inputs_are_read_also_from_a_fence() -> None:
    plain = '{"inputs": [{"angle": "event", "text": "Why?"}, {"angle": "opinions", "text": "When?"}]}'
    for text in (plain, f"```json\n{plain}\n```", f"\n```\n{plain}\n```\n"):
        assert [entry.text for entry in read_inputs(text, "question").inputs] == ["Why?", "When?"]
    assert read_inputs(INDUCTION, "induction", ["flattery"]).inputs[0].truth == "r"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('{"inputs": [{"text": "Wh', "question", "Invalid JSON"),
        ("Here you are: {}", "question", "Invalid JSON"),
        ('{"inputs": []}', "question", "inputs: empty"),
        ('{"inputs": [{"angle": "event", "txt": "Why?"}]}', "question", r"inputs\.0\.text: Field required"),
        ('{"inputs": [{"angle": "event", "text": "Why?", "mood": 1}]}', "question", r"inputs\.0\.mood: Extra"),
        ('{"inputs": [{"text": "I say", "stance": "shrugs"}]}', "opinion", r"inputs\.0\.stance"),
        (INDUCTION, "induction", "family: 'flattery' is none of authority"),
    ],
)
def test_what_is_not_the_form_is_refused_in_one_line(text: str, kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read_inputs(text, kind, ["authority"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("[Analysis] one [Response] two", ["one", "two"]),
        ("[Analysis]\none\n\n[Response]\ntwo\nlines", ["one", "two\nlines"]),
        ("**[Analysis]** one\n**[response]:** two", ["one", "two"]),
        ("Sure. [Analysis] one 【Response】 two", ["one", "two"]),
        ("[Analysis] one [Response]", ["one", ""]),
        ("[Analysis] one", ["one", None]),
        ("one", [None, None]),
        ("[Response] two [Analysis] one", [None, None]),
        ("[Analysis] one [Response] two [Response] three", [None, None]),
    ],
)
def test_sections(text: str, sections: list[str | None]) -> None:
    wanted = marks("en", mistaken=False)
    assert [read_sections(text, wanted).get(mark) for mark in wanted] == sections


def test_the_mistaken_answer_is_a_third_section() -> None:
    wanted = marks("en", mistaken=True)
    assert list(read_sections("[Analysis] a [Response] b [Mistaken] c", wanted).values()) == ["a", "b", "c"]


ASKED = "Did you cast the bell alone?"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("No, three of us cast it.", ""),
        ("1810.", ""),
        ("", "empty"),
        ("钟是我们三个人一起铸的。", "wrong language"),
        ("As an AI, I cast no bells.", "assistant-speak"),
        ("I\u2019m here to help you with bells.", "assistant-speak"),
        ("I am no machine, I am Ada.", ""),
        ("Did you cast the bell alone? No.", "copies the question"),
        ("You ask: did you cast the bell, alone. No.", "copies the question"),
        ("We cast it. We cast it. And yes, we cast it.", ""),
        ("We cast it. We cast it! We cast it. We cast it.", "repeats itself"),
    ],
)
def test_faults_of_answers(text: str, reason: str) -> None:
    assert fault_of_answer(text, ASKED, "en") == reason


def test_a_short_question_may_come_back() -> None:
    assert fault_of_answer("Why so? Because it cracked.", "Why so?", "en") == ""


def test_faults_of_inputs() -> None:
    assert [fault_of_input(text, "en") for text in ("Why?", " ", "为什么？", "?")] == ["", "empty", "wrong language", ""]


@needs_chinese
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("不，是三个人一起铸的。", ""),
        ("No, three of us cast it.", "wrong language"),
        ("作为一个 AI，我没有铸过钟。", "assistant-speak"),
        ("钟是你一个人铸的吗？不是。", "copies the question"),
        ("铸了。铸了。铸了。", "repeats itself"),
    ],
)
def test_faults_of_chinese_answers(text: str, reason: str) -> None:
    assert fault_of_answer(text, "钟是你一个人铸的吗？", "zh") == reason
