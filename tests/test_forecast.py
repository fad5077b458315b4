"""The forecast of calls against what a server then really sees."""

from pathlib import Path

import pytest
from fake_server import FakeServer, plausible

from persllm.chat import Ledger
from persllm.chat.ledger import likely_tokens
from persllm.config import read_recipe
from persllm.construction import Construction
from persllm.forecast import forecast, forecast_of
from persllm.materials import read_folder
from persllm.records import Question
from persllm.starter import write_starter
from persllm.store import StepFolder


def sets(url: str = "http://127.0.0.1:9/v1", *more: str) -> tuple[str, ...]:
    return ("constructor.engine=llm", f"constructor.api.url={url}", "constructor.api.model=fake", *more)


ALL_ON = (
    "constructor.follow_up=1.0", "constructor.turns=5", "constructor.cross_stage=1.0", "constructor.stylised=6",
    "constructor.families=[false_premise,pressure]", "constructor.kinds.future=1.0",
)  # fmt: skip
"""Talks over turns, pressure, questions put to every stage, general talk told anew."""


@pytest.mark.parametrize("more", [(), ALL_ON], ids=["as it is", "all on"])
def test_the_calls_that_come_are_the_calls_that_were_forecast(more: tuple[str, ...], tmp_path: Path) -> None:
    file = write_starter(tmp_path / "p")
    with FakeServer(answer=plausible) as server:
        recipe = read_recipe(file, sets(server.url, *more))
        folders = [read_folder(Path(folder)) for folder in recipe.personas]
        personas, materials = [folder.persona for folder in folders], [m for folder in folders for m in folder.materials]
        ahead = forecast(recipe, personas, materials)
        made = Construction(recipe, personas, materials, tmp_path / "spending.jsonl", tmp_path / "kept")
        made.raise_questions(StepFolder(tmp_path / "2-questions"), lambda done, total: None)
        questions = StepFolder(tmp_path / "2-questions").records(Question)
        answers = StepFolder(tmp_path / "3-answers")
        made.answer_questions(questions, answers, lambda done, total: None)
        made.stylise(answers)
        facts = made.spent("3-answers")
        assert facts["usage"]["calls"] + made.spent("2-questions")["usage"]["calls"] == server.requests
        sent = sum(likely_tokens(message["content"]) + 4 for body in server.bodies for message in body["messages"])
    print(f"forecast {ahead.calls} calls, {ahead.prompt_tokens} tokens of prompts; came {server.requests}, {sent}")
    assert ahead.questions > 20
    assert abs(ahead.calls - server.requests) <= 0.1 * server.requests
    assert abs(ahead.prompt_tokens - sent) <= 0.2 * sent
    assert Ledger(recipe.budget, tmp_path / "spending.jsonl").total.calls == server.requests


def test_price_time_and_budget(tmp_path: Path) -> None:
    file = write_starter(tmp_path / "p")
    assert forecast_of(read_recipe(file)) is None
    unknown = forecast_of(read_recipe(file, sets()))
    assert (unknown.money, unknown.passes) == (None, ())
    prices = "budget.prices={fake: {input: 2.0, output: 10.0}}"
    known = forecast_of(read_recipe(file, sets("http://127.0.0.1:9/v1", prices, "budget.money=0.0001", "budget.calls=100000")))
    assert abs(known.money - (2 * known.prompt_tokens + 10 * known.completion_tokens) / 1e6) < 1e-4
    assert known.most_money > known.money
    assert known.passes == ("money",)
    assert "passes budget.money" in "\n".join(known.lines())
    slow = forecast_of(read_recipe(file, sets("http://127.0.0.1:9/v1", "constructor.api.requests_per_minute=1")))
    assert slow.seconds == 60.0 * slow.calls
    two = forecast_of(read_recipe(file, sets("http://127.0.0.1:9/v1", "constructor.apis=[{url: 'http://127.0.0.1:8/v1'}]")))
    assert abs(two.seconds - unknown.seconds / 2) < 0.2
