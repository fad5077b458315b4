"""The page in a real browser, with a real model: the time dial, a blind comparison, a correction that is kept; a phone in Chinese."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_run import build_run

from persllm.agent import Company
from persllm.corrections import correction_pairs, read_corrections
from persllm.listening import in_background
from persllm.store import Run
from persllm.web.app import web_app


@pytest.fixture
def page_of(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens the page of a toy run in a window of some width; no error may come up on its console."""
    run = build_run(tmp_path)
    problems: list[str] = []
    with in_background(web_app(Company(run))) as url:

        def opened(width: int, locale: str = "en-GB") -> Any:
            page = chromium.new_context(viewport={"width": width, "height": 844}, locale=locale).new_page()
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(url)
            page.wait_for_selector("#dial")
            return page

        opened.run = Run(run)
        yield opened
    assert not problems, problems


def ask(page: Any, text: str, answers: int) -> None:
    """Ask, and wait until every seat has answered."""
    page.fill("#text", text)
    page.click("#send")
    page.wait_for_selector(f".acts >> nth={answers - 1}", timeout=60_000)


def test_the_time_dial(page_of: Any, tmp_path: Path) -> None:
    page = page_of(1100)
    assert "not a human being" in page.inner_text("#label")
    ask(page, "Which colour do you like?", 2)
    assert page.locator(".seat").count() == 2
    assert page.locator(".seat.chosen h3").inner_text() == page.locator(".seat >> nth=1").locator("h3").inner_text(), "the last stage first"
    page.fill("#dial", "0")
    assert "chosen" in page.locator(".seat >> nth=0").get_attribute("class")
    page.click("text=Where from? >> nth=0")
    page.wait_for_selector(".why")
    page.screenshot(path=tmp_path / "dial.png", full_page=True)


def test_on_a_phone_the_dial_turns_the_pages_in_chinese(page_of: Any, tmp_path: Path) -> None:
    page = page_of(390, "zh-CN")
    assert "不是真人" in page.inner_text("#label")
    ask(page, "Which colour do you like?", 2)
    assert page.locator(".seat:visible").count() == 1
    page.fill("#dial", "0")
    assert page.locator(".seat:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out to the side"
    page.screenshot(path=tmp_path / "phone.png")


def test_a_correction_is_kept(page_of: Any) -> None:
    page = page_of(1100)
    ask(page, "Which colour do you like?", 2)
    page.click("text=Would not say that >> nth=1")
    page.fill(".seat >> nth=1 >> textarea", "I like <b>black</b>.")
    page.click("text=Keep")
    page.wait_for_selector("text=kept")
    [correction] = read_corrections(page_of.run)
    assert (correction.kind, correction.stage, correction.better) == ("edit", "late", "I like <b>black</b>.")
    assert len(correction_pairs([correction])[0]) == 1


def test_a_blind_comparison(page_of: Any) -> None:
    page = page_of(1100)
    page.click("text=Trained or prompted")
    ask(page, "Which colour do you like?", 2)
    assert [page.locator(".seat h2").nth(n).inner_text() for n in range(2)] == ["A", "B"]
    source = page.locator("#seats").inner_html()
    assert "tuned" not in source
    assert "prompt" not in source
    page.click(".better >> nth=0")
    page.wait_for_selector("text=kept")
    page.click("#reveal")
    page.wait_for_selector(".seat h3:has-text('the base with a prompt')")
    assert read_corrections(page_of.run)[0].kind == "prefer"


def test_persons_side_by_side(page_of: Any) -> None:
    page = page_of(1100)
    page.click("text=Side by side")
    ask(page, "Who are you?", 2)
    assert sorted(page.locator(".seat h2").all_inner_texts()) == ["Ada Lind", "Bo Karl"]
