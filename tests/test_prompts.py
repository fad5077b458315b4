"""Prompts: filled strictly, alike in both languages, part of the fingerprint."""

import re

import pytest

from persllm.errors import ConfigError
from persllm.prompts import PLACE, PROMPTS, prompt, prompt_lines, prompt_text, prompts_fingerprint

NAMES = sorted(file.stem for file in (PROMPTS / "en").glob("*.txt"))


def test_words_go_to_their_places_and_other_braces_stay() -> None:
    text = prompt("en", "question", name="Ada", material="A {name} \\1 passage.", count="2", orders="")
    assert "Write 2 things that someone might ask Ada." in text
    assert "A {name} \\1 passage." in text
    assert '{"inputs": [{"angle": "name of the subject", "text": "what is asked"}]}' in text


def test_a_missing_and_an_unknown_word_are_errors() -> None:
    with pytest.raises(
        ConfigError, match=r"stage_dates\.txt: no word for \{dates\}; no place for years\. The places of this prompt: dates\."
    ):
        prompt("en", "stage_dates", years="1800")


def test_an_unknown_prompt_is_an_error_that_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"nothing\.txt: no such prompt\. Known are: angle_daily_life, "):
        prompt_text("en", "nothing")
    with pytest.raises(ConfigError, match="none in fr"):
        prompt_text("fr", "role")


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_places_and_forms(name: str) -> None:
    english, chinese = prompt_text("en", name), prompt_text("zh", name)
    assert set(PLACE.findall(english)) == set(PLACE.findall(chinese))
    assert re.findall(r'"([a-z]+)":', english) == re.findall(r'"([a-z]+)":', chinese)
    assert name == "material" or re.search("[\u4e00-\u9fff]", chinese)
    assert not re.search("[\u4e00-\u9fff]", english)


def test_no_language_has_a_prompt_of_its_own() -> None:
    assert NAMES == sorted(file.stem for file in (PROMPTS / "zh").glob("*.txt"))


def test_the_fingerprint_follows_the_texts() -> None:
    assert prompts_fingerprint("en", ["role"]) == prompts_fingerprint("en", ["role"])
    assert len({prompts_fingerprint(), prompts_fingerprint("en"), prompts_fingerprint("zh"), prompts_fingerprint("en", ["role"])}) == 4


def test_lists_come_as_lines() -> None:
    assert prompt_lines("en", "assistant_speak")[:2] == ("as an ai", "as a language model")
