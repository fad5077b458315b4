"""The written form of an analysis, and back."""

import pytest

from persllm.records import Message
from persllm.thought import language_of, parted, written


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_written_can_be_parted(language: str) -> None:
    message = Message(role="assistant", content="No, it was June.\nMark that.", thought="They say May.")
    assert parted(written(message, language)) == (message.thought, message.content)


def test_without_a_thought_the_content_stands_alone() -> None:
    message = Message(role="assistant", content="It was [Response] June.")
    assert written(message) == message.content
    assert parted(message.content) == ("", message.content)


def test_a_second_mark_without_a_first_is_not_said() -> None:
    assert parted("[Response] It was June.") == ("", "It was June.")


def test_an_analysis_that_never_ends_is_no_speech() -> None:
    assert parted(" [Analysis] They say May. They") == ("They say May. They", "")


def test_marks_follow_the_language_of_the_answer() -> None:
    assert (language_of("It was June."), language_of("六月 in June")) == ("en", "zh")
    assert written(Message(role="assistant", content="六月。", thought="他们问月份。"), "zh") == "[分析] 他们问月份。 [回应] 六月。"
