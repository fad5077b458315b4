"""The report in a real browser, wide and on a phone, in English and Chinese: nothing sticks out, nothing is fetched, nothing runs."""

from pathlib import Path
from typing import Any

import pytest
from planted import PERSONAS
from test_report import RECIPE, run_of

from persllm import report
from persllm.report.comparing import write_comparison
from persllm.store import StepFolder, replace_records


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An English report, a Chinese one, and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    run = run_of(folder / "run", {"base": "parrot", "prompted": "yes", "sft": "no", "dpo": "perfect"})
    other = run_of(folder / "other", {"prompted": "yes", "sft": "wrong"})
    report.write_report(RECIPE, run, StepFolder(folder / "en"))
    _, compared = write_comparison([run.path, other.path], folder / "side")
    replace_records(run.path / "1-materials" / "personas.jsonl", [one.model_copy(update={"language": "zh"}) for one in PERSONAS])
    report.write_report(RECIPE, run, StepFolder(folder / "zh"))
    return {"en": folder / "en" / "report.html", "zh": folder / "zh" / "report.html", "side": compared}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["en", "zh", "side"])
def test_nothing_sticks_out_and_nothing_is_fetched(chromium: Any, pages: dict[str, Path], name: str, width: int, tmp_path: Path) -> None:
    page = chromium.new_context(viewport={"width": width, "height": 844}).new_page()
    problems: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out to the side"
    for place in range(page.locator("summary").count()):
        page.locator("summary").nth(place).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nor when everything is opened"
    assert asked == [pages[name].as_uri()]
    assert page.locator("script").count() == 0
    shown, hidden = (".narrow", ".broad") if width < 500 else (".broad", ".narrow")
    assert page.locator(shown).first.is_visible()
    assert not page.locator(hidden).first.is_visible()
    boxes = page.locator(f"{shown} svg").evaluate_all("plots => plots.map(plot => plot.getBoundingClientRect().right)")
    assert all(right <= width for right in boxes), "plots are seen whole"
    assert not problems, problems
    page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True, timeout=120_000)


def test_the_page_s_contents_lead_somewhere(chromium: Any, pages: dict[str, Path]) -> None:
    page = chromium.new_page()
    page.goto(pages["en"].as_uri())
    links = page.locator("nav a")
    assert links.count() >= 12
    for place in range(links.count()):
        target = links.nth(place).get_attribute("href")
        assert page.locator(target).count() == 1, target
