"""What a run may spend: a cap that holds, a clean end, going on, and what step.json says of it."""

import json
import re
from pathlib import Path

import pytest
from fake_server import FakeServer

from persllm.chat import ApiModel, Ledger, Spending
from persllm.config import Recipe
from persllm.constructor_settings import ApiSettings, BudgetSettings, PriceSettings
from persllm.errors import BudgetError, ConfigError, RunError
from persllm.pipeline import run_recipe
from persllm.records import Message, Request, Sampling, Usage
from persllm.starter import write_starter

PRICES = {"fake": PriceSettings(input=1.0, output=4.0)}


def requests(count: int) -> list[Request]:
    return [Request(messages=(Message(role="user", content=f"n{i:02}"),), sampling=Sampling(max_tokens=10)) for i in range(count)]


def asked(server: FakeServer, budget: BudgetSettings, file: Path | None, count: int = 40, **settings) -> Ledger:
    ledger = Ledger(budget, file, "3-answers")
    model = ApiModel(ApiSettings(**{"url": server.url, "model": "fake", "retries": 0} | settings), accounts=ledger)
    try:
        list(model.replies(requests(count)))
    finally:
        ledger.close()
    return ledger


@pytest.mark.parametrize(
    "budget",
    [BudgetSettings(calls=7), BudgetSettings(tokens=300), BudgetSettings(money=0.0004, prices=PRICES)],
    ids=["calls", "tokens", "money"],
)
def test_no_call_begins_that_could_pass_the_cap(budget: BudgetSettings, tmp_path: Path) -> None:
    file = tmp_path / "spending.jsonl"
    with FakeServer() as server:
        with pytest.raises(BudgetError, match=r"spent.*--set budget\.\w+=.*goes on from here"):
            asked(server, budget, file, concurrency=8)
        before = server.requests
        spent = Ledger(budget, file).total
        assert spent == Spending(calls=before, prompt_tokens=7 * before, completion_tokens=3 * before, money=spent.money)
        assert spent.money == pytest.approx(before * (7 * 1.0 + 3 * 4.0) / 1e6 if budget.prices else 0.0)
        assert 0 < before < 40
        # what is left is less than the worst case of one more call: nothing was held back without need
        worst = Ledger(budget).amount("fake", Usage(prompt_tokens=3 + 16 * 3, completion_tokens=10))
        assert Ledger(budget).passed(spent + worst)
        assert not Ledger(budget).passed(spent)
        with pytest.raises(BudgetError):
            asked(server, budget, file)
        assert server.requests == before
        raised = budget.model_copy(update={name: 100 * getattr(budget, name) for name in ("calls", "tokens", "money")})
        assert asked(server, raised, file).total.calls == before + 40


def test_what_is_not_known_counts_at_its_worst(tmp_path: Path) -> None:
    budget = BudgetSettings(prices=PRICES)
    worst = Spending(calls=1, prompt_tokens=51, completion_tokens=10, money=91e-6)
    with FakeServer(lambda asked: "cut") as server:
        assert asked(server, budget, tmp_path / "cut", 1).total == worst
    with FakeServer(lambda asked: "500") as server:
        assert asked(server, budget, tmp_path / "refused", 1).total == Spending(calls=1)
    killed = Ledger(budget, tmp_path / "killed", "s")
    killed.begin("fake", 51, 10, 60)
    assert Ledger(budget, tmp_path / "killed").total == worst  # read while the other never settled
    with open(tmp_path / "killed", "a") as file:
        file.write('{"call":2,"ste')
    after = Ledger(budget, tmp_path / "killed", "s")
    after.settle(after.begin("fake", 1, 1, 60), Usage(prompt_tokens=1))
    assert Ledger(budget, tmp_path / "killed").total == worst + Spending(calls=1, prompt_tokens=1, money=1e-6)


def test_a_call_under_way_is_waited_for_and_one_that_was_lost_runs_out(monkeypatch) -> None:
    ledger = Ledger(BudgetSettings(tokens=100))
    first = ledger.begin("fake", 60, 10, 1000)
    assert ledger.begin("fake", 60, 10, 1000) is None
    ledger.settle(first, Usage(prompt_tokens=10))
    assert ledger.begin("fake", 60, 10, -1) is not None
    with pytest.raises(BudgetError):
        ledger.begin("fake", 60, 10, 1000)


def recipe(folder: Path, server: FakeServer, **budget) -> Recipe:
    from persllm.config import read_recipe

    sets = ["constructor.engine=llm", f"constructor.api.url={server.url}", "constructor.api.model=fake", "constructor.api.retries=0"]
    sets += ["base.hidden_size=16", "base.layers=1", "base.vocabulary=400", "base.pretraining_tokens=2000", "threads=1"]
    sets += [f"budget.{name}={value}" for name, value in budget.items()]
    file = folder / "recipe.yaml" if (folder / "recipe.yaml").is_file() else write_starter(folder)
    return read_recipe(file, tuple(sets))


def test_a_run_ends_at_its_budget_goes_on_when_it_is_raised_and_says_what_it_cost(tmp_path: Path) -> None:
    prices = "{fake: {input: 1.0, output: 4.0}}"
    with FakeServer() as server:
        with pytest.raises(ConfigError, match=r"budget\.prices has no fake"):
            run_recipe(recipe(tmp_path / "p", server, money=1), tmp_path / "runs", until="3-answers", cache=tmp_path / "cache")
        with pytest.raises(BudgetError, match=r"^budget\.calls \(20 calls\) .* 20 calls, 140 \+ 60 tokens, 0\.0004 USD spent"):
            run_recipe(
                recipe(tmp_path / "p", server, calls=20, prices=prices), tmp_path / "runs", until="3-answers", cache=tmp_path / "cache"
            )
        assert server.requests == 20
        other = recipe(tmp_path / "p", server, prices=prices)
        other = other.model_copy(update={"seed": 5})
        with pytest.raises(RunError, match="seed"):
            run_recipe(other, tmp_path / "runs", until="3-answers", cache=tmp_path / "cache")
        run = run_recipe(recipe(tmp_path / "p", server, prices=prices), tmp_path / "runs", until="3-answers", cache=tmp_path / "cache")
        steps = [json.loads((run.path / step / "step.json").read_text()) for step in ("2-questions", "3-answers")]
        assert sum(step["usage"]["calls"] for step in steps) == server.requests > 20
        assert max(server.counts.values()) == 1
        for step in steps:
            usage = step["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7 * usage["calls"], 3 * usage["calls"])
            assert step["price"] == pytest.approx(usage["calls"] * 19e-6)
            assert step["currency"] == "USD"
        assert not re.search("n00|Maren|sk-", (run.path / "spending.jsonl").read_text())
