"""Two raters take a study in a real browser, one on a phone in Chinese; then the results are looked at."""

from pathlib import Path
from typing import Any

from test_study import make_study

from persllm.listening import in_background
from persllm.study import write_results
from persllm.study.app import OpenStudy, study_app


def take(browser: Any, link: str, language: str, width: int, pictures: Path) -> list[str]:
    """Go through a study as a person would; the sources of all pages."""
    page = browser.new_context(viewport={"width": width, "height": 844}).new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{link}?language={language}")
    page.check("input[name=consent]")
    page.click("form >> nth=0 >> button")
    sources = []
    while page.locator("fieldset").count():
        sources.append(page.content())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out to the side"
        check = page.locator(".check")
        wanted = check.inner_text() if check.count() else ""
        value = "right" if any(name in wanted for name in ("Answer B", "回答乙")) else "left"
        for row in page.locator("fieldset").all():
            row.locator(f"input[value={value}]").check()
        if len(sources) == 1:
            page.screenshot(path=pictures / f"study-{language}-{width}.png", full_page=True)
        page.click("button")
        page.wait_for_load_state()
    sources.append(page.content())
    assert not problems, problems
    return sources


def test_two_raters_and_the_results(chromium: Any, tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s"))
    with in_background(study_app([study])) as url:
        link = f"{url}/s/{study.key}/"
        first = take(chromium, link, "en", 1100, tmp_path)
        second = take(chromium, link, "zh", 390, tmp_path)
    assert len(first) == len(second) == 7, "four tasks, two checks, the thanks"
    assert "Thank you" in first[-1]
    assert "谢谢您" in second[-1]
    assert "taker" not in "".join(first + second), "a rater never sees who is who"
    found = write_results(tmp_path / "s")
    assert (found.finished, found.left_out, found.judgements) == (2, 0, 16)
    page = chromium.new_page()
    page.goto((tmp_path / "s" / "results.html").as_uri())
    page.screenshot(path=tmp_path / "results.png", full_page=True)
    assert "2 raters began, 2 did all their tasks" in page.inner_text("body")
