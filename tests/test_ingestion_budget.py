"""What `persllm ingest --address` may spend: foreseen, capped, told as it goes; what is not asked any more goes by the rules."""

import json
import re
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer
from rich.progress import Progress
from test_ingestion import STORY, asked, review
from typer.testing import CliRunner

from persllm.chat.ledger import likely_tokens
from persllm.cli import app
from persllm.cli.display import LINE_EVERY, Bar
from persllm.constructor_settings import ApiSettings, BudgetSettings, PriceSettings
from persllm.errors import ConfigError
from persllm.ingestion import Annotator, AnnotatorSettings, ingest
from persllm.materials import read_folder
from persllm.privacy_settings import PrivacySettings

WHEELS = 6


def told(numbers: range) -> str:
    """A story with a passage for each number of which the rules cannot say what it is."""
    return STORY[: STORY.index("CHAPTER III")] + "".join(
        f"CHAPTER {n + 3}\n\nThe wheel with the number {n} lay still.\n\n" for n in numbers
    )


@pytest.fixture
def story(tmp_path: Path) -> Path:
    (tmp_path / "story.txt").write_text(told(range(WHEELS)))
    return tmp_path / "story.txt"


def annotator(url: str, kept: Path, budget: BudgetSettings | None = None, dry_run: bool = False, mask: str = "remote", **api) -> Annotator:
    settings = AnnotatorSettings(
        api=ApiSettings(url=url, model="fake", retries=0, **api), budget=budget or BudgetSettings(), privacy=PrivacySettings(mask=mask)
    )
    return Annotator(settings, kept, dry_run)


def settled(folder: Path) -> set[int]:
    """Numbers of the wheels that became materials."""
    return {int(n) for m in read_folder(folder).materials for n in re.findall(r"number (\d+)", m.text)}


def knowledge(asked_: Asked) -> str:
    return "knowledge"


def test_when_the_budget_is_spent_the_rest_goes_by_the_rules_and_that_is_said(
    story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSLLM_CACHE", str(tmp_path / "cache"))
    plain = ingest(asked(story), tmp_path / "rules")
    assert plain.review == WHEELS
    line = ["ingest", str(story), "--person", "Ada Lorn", "--alias", "Ada"]
    with FakeServer(answer=knowledge) as server:
        line += ["--address", server.url, "--model", "fake"]
        done = CliRunner().invoke(app, [*line, "--into", str(tmp_path / "ada"), "--budget-calls", "2"])
        assert (done.exit_code, server.requests) == (0, 2)
        assert "the model: 2 calls, 0 replies kept from earlier, 0 failed; it named 0 speakers and told 2 kinds" in done.output
        assert (
            f"budget.calls (2 calls) left no room for {WHEELS - 2} more calls: what they would have asked went by the rules" in done.output
        )
        more = CliRunner().invoke(
            app, [*line, "--into", str(tmp_path / "more"), "--set", "budget.calls=100", "--set", "budget.prices={fake: {input: 50}}"]
        )
        assert re.search(r"the model: 4 calls, 2 replies kept from earlier, 0 failed, 0\.\d{4} USD; it named", more.output)
        assert (more.exit_code, server.requests) == (0, WHEELS), "what was answered is not asked again"
    assert len(settled(tmp_path / "ada")) == 2
    by_rule = {row["text"]: row["doubt"] for row in review(tmp_path / "rules")}
    left = review(tmp_path / "ada")
    assert len(left) == WHEELS - 2
    assert all(row["doubt"] == by_rule[row["text"]] for row in left)
    lost = [json.loads(row) for row in (tmp_path / "ada" / "dropped.jsonl").read_text().splitlines()]
    assert lost == [{"item": "story.txt", "reason": "the model was not asked: the budget is spent", "detail": f"{WHEELS - 2} calls"}]
    assert settled(tmp_path / "more") == set(range(WHEELS))


def test_replies_that_are_kept_are_used_though_the_budget_is_spent(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (tmp_path / "late.txt").write_text(told(range(3, 6)))
    (tmp_path / "all.txt").write_text(told(range(6)))
    for mask in ("never", "always"):
        with FakeServer(answer=knowledge) as server:
            ingest(asked(tmp_path / "late.txt"), tmp_path / f"late-{mask}", annotator=annotator(server.url, kept / mask, mask=mask))
            one = annotator(server.url, kept / mask, BudgetSettings(calls=1), mask=mask, concurrency=1)
            made = ingest(asked(tmp_path / "all.txt"), tmp_path / f"all-{mask}", annotator=one)
            assert server.requests == 4
        assert settled(tmp_path / f"all-{mask}") == {0, 3, 4, 5}
        assert (made.asked.calls, made.asked.kept, made.asked.unasked, made.asked.limit) == (1, 3, 2, "budget.calls (1 calls)")


def test_a_budget_without_room_for_one_call_leaves_all_to_the_rules(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "rules")
    prices = {"fake": PriceSettings(input=1e6, output=1e6)}
    for name, budget in {"tokens": BudgetSettings(tokens=20), "money": BudgetSettings(money=1.0, prices=prices)}.items():
        with FakeServer(answer=knowledge) as server:
            made = ingest(asked(story), tmp_path / name, annotator=annotator(server.url, tmp_path / "kept", budget))
            assert server.requests == 0
        assert (made.asked.unasked, made.asked.calls) == (WHEELS, 0)
        assert [m.text for m in read_folder(tmp_path / name).materials] == [m.text for m in read_folder(tmp_path / "rules").materials]
    with pytest.raises(ConfigError, match=r"budget\.prices has no fake"):
        annotator("http://127.0.0.1:9/v1", tmp_path / "kept", BudgetSettings(money=1.0))


def test_a_dry_run_says_how_many_calls_will_come(story: Path, tmp_path: Path) -> None:
    kept, budget = tmp_path / "kept", BudgetSettings(prices={"fake": PriceSettings(input=1.0, output=4.0)}, calls=5)
    dry = ingest(asked(story), tmp_path / "ada", dry_run=True, annotator=annotator("http://127.0.0.1:9/v1", kept, budget, dry_run=True))
    assert not kept.exists(), "a dry run writes nothing"
    assert (dry.asked.planned_only, dry.asked.calls, dry.asked.kept, dry.asked.forecast.passes) == (True, WHEELS, 0, ("calls",))
    with FakeServer(answer=knowledge) as server:
        made = ingest(asked(story), tmp_path / "ada", annotator=annotator(server.url, kept, budget.model_copy(update={"calls": 0})))
        sent = sum(likely_tokens(message["content"]) + 4 for body in server.bodies for message in body["messages"])
    assert dry.asked.calls == made.asked.calls == server.requests
    assert dry.asked.forecast.prompt_tokens == sent
    assert 0 < dry.asked.forecast.money < dry.asked.forecast.most_money
    assert made.asked.money == pytest.approx((made.asked.prompt_tokens + 4 * made.asked.completion_tokens) / 1e6)
    (tmp_path / "longer.txt").write_text(told(range(WHEELS + 2)))
    longer = annotator(server.url, kept, budget, dry_run=True)
    dry = ingest(asked(tmp_path / "longer.txt"), tmp_path / "longer", dry_run=True, annotator=longer)
    assert (dry.asked.calls, dry.asked.kept, dry.asked.forecast.passes) == (2, WHEELS, ())


def test_progress_counts_the_calls_of_all_sources(tmp_path: Path) -> None:
    sources = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for number, source in enumerate(sources):
        source.write_text(told(range(4 * number, 4 * number + 4)))
    seen: list[tuple[int, int]] = []
    with FakeServer(answer=knowledge) as server:
        one = annotator(server.url, tmp_path / "kept", BudgetSettings(calls=6))
        one.progress = lambda done, total: seen.append((done, total))
        ingest(asked(*sources), tmp_path / "ada", annotator=one)
    assert seen[:5] == [(1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    assert seen[5:] == [(5, 8), (6, 8), (8, 8)]


def test_the_bar_of_the_calls_shows_itself_with_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Progress(disable=True)
    reading = Bar(bars, bars.add_task("reading the sources"), "reading the sources")
    asking = reading.beside("asking the model")
    assert [task.description for task in bars.tasks] == ["reading the sources"]
    asking(1, 100)
    assert [(task.description, task.completed, task.total) for task in bars.tasks][1:] == [("asking the model", 1, 100)]
    asking.bar.begun -= 600
    asking.bar.told -= LINE_EVERY
    asking(50, 100)
    assert capsys.readouterr().err == "asking the model: 50 of 100, about 10 min left\n"
