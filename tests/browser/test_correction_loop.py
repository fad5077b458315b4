"""The correction loop in a real browser: an answer is corrected on the page, the model learns it, and the page answers with the new version."""

from pathlib import Path
from typing import Any

from corrected_run import changed, corrected_run, tuned_model
from typer.testing import CliRunner

from persllm.agent import Company
from persllm.cli import app
from persllm.corrections import read_corrections
from persllm.listening import in_background
from persllm.store import Run, replace_json
from persllm.web.app import web_app

ASKED = "Do you like tea?"
BETTER = "I like tea."


def ask(page: Any, text: str) -> str:
    """The answer at the last stage."""
    page.fill("#text", text)
    page.click("#send")
    page.wait_for_selector(".acts >> nth=1", timeout=60_000)
    return page.locator(".seat").nth(1).inner_text()


def test_a_correction_on_the_page_is_learnt_and_answered(chromium: Any, tmp_path: Path) -> None:
    run = corrected_run(tmp_path, tuned_model(tmp_path))
    recipe = changed(run, repeat=48, old=0.25, epochs=6.0, learning_rate=5e-3)
    replace_json(run / "config.json", recipe.model_dump(mode="json"))
    with in_background(web_app(Company(run))) as url:
        page = chromium.new_context(viewport={"width": 1100, "height": 844}, locale="en-GB").new_page()
        page.goto(url)
        page.wait_for_selector("#dial")
        assert BETTER not in ask(page, ASKED)
        page.click("text=Would not say that >> nth=1")
        page.fill(".seat >> nth=1 >> textarea", BETTER)
        page.click("text=Keep")
        page.wait_for_selector("text=kept")
        [correction] = read_corrections(Run(run))
        assert (correction.stage, correction.taker, correction.better) == ("late", "sft", BETTER)

        done = CliRunner().invoke(app, ["improve", str(run)])
        assert done.exit_code == 0, done.exception
        assert "1 correction learnt" in done.stdout
        assert "kept: nothing that matters fell" in done.stdout, done.stdout

        page.reload()
        page.wait_for_selector("#dial")
        assert BETTER in ask(page, ASKED)
        page.screenshot(path=tmp_path / "corrected.png", full_page=True)
        page.click("text=Trained or prompted")
        assert "corrected, version 1" in page.inner_text("#choices")

        CliRunner().invoke(app, ["improve", str(run), "--back", "0"])
        page.reload()
        page.wait_for_selector("#dial")
        assert BETTER not in ask(page, ASKED), "the way back"
