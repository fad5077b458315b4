"""The longest shared run is the one that a plain search finds, and it is found fast."""

import random
import time

from persllm.languages import language
from persllm.overlap import OverlapIndex


def plain(words: list[str], texts: list[list[str]]) -> int:
    """The length of the longest run, by trying all."""
    best = 0
    for text in texts:
        for start in range(len(words)):
            for place in range(len(text)):
                length = 0
                while start + length < len(words) and place + length < len(text) and words[start + length] == text[place + length]:
                    length += 1
                best = max(best, length)
    return best


def test_the_run_is_that_of_a_plain_search() -> None:
    dice = random.Random(0)
    for _ in range(60):
        texts = [[dice.choice("abc") for _ in range(dice.randrange(12))] for _ in range(4)]
        words = [dice.choice("abcd") for _ in range(dice.randrange(12))]
        found = OverlapIndex(texts).longest(words)
        assert found.length == plain(words, texts)
        if found.length:
            run = words[found.start : found.start + found.length]
            assert texts[found.text][found.place : found.place + found.length] == run


def test_a_run_does_not_go_over_the_border_of_two_texts() -> None:
    index = OverlapIndex([["one", "two"], ["three", "four"]])
    assert index.longest(["two", "three"]).length == 1
    assert OverlapIndex([]).longest(["two"]).length == 0
    assert index.longest([]).length == 0


def test_chinese_counts_characters() -> None:
    words = language("zh").words
    found = OverlapIndex([words("她在钟楼下站了很久，没有说话。")]).longest(words("我在钟楼下站了一会儿。"))
    assert (found.length, found.start) == (6, 1)


def test_time_grows_about_as_the_body_does() -> None:
    dice = random.Random(1)

    def seconds(size: int) -> float:
        body = [[str(dice.randrange(500)) for _ in range(100)] for _ in range(size // 100)]
        started = time.process_time()
        index = OverlapIndex(body)
        for text in body[:50]:
            assert index.longest(["x", *text, "y"]).length == 100
        return time.process_time() - started

    small, large = min(seconds(20_000) for _ in range(3)), min(seconds(160_000) for _ in range(3))
    assert large < 8 * 3 * small, "eight times the words took more than 24 times the time"
