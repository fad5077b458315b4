"""What was measured on some models is never told of others, and nothing is lost on the way to a page."""

from pathlib import Path

import pytest
from toy_run import build_run

from persllm.config import MixtureSettings, Recipe
from persllm.drawing import canvas, drawn
from persllm.errors import RunError
from persllm.evaluation.kept import Kept
from persllm.evaluation.tasks import Result, Task
from persllm.judge.scoring import METRIC, SHARES
from persllm.pipeline import remove_told
from persllm.records import Message, Reply, Request, Score, TestItem
from persllm.roster import chosen, models_of
from persllm.statistics import figures, holm
from persllm.step_settings import dataset_settings
from persllm.store import Run, replace_text
from persllm.timeline.page import merged
from persllm.timeline.result import Cell


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.open(build_run(tmp_path))


def test_other_weights_are_another_model_also_where_no_step_made_them(run: Run, tmp_path: Path) -> None:
    taker = chosen(run, ["base"])[0]
    elsewhere = tmp_path / "elsewhere"
    replace_text(elsewhere / "config.json", "{}")
    replace_text(elsewhere / "model.safetensors", "one")
    foreign = type(taker)(name="far", manner="trained", personas=taker.personas, models=dict.fromkeys(taker.models, str(elsewhere)))
    before = models_of(run, foreign)
    assert models_of(run, foreign) == before
    replace_text(elsewhere / "model.safetensors", "another one")
    assert models_of(run, foreign) != before
    told_otherwise = type(taker)(name="far", manner="prompted", personas=taker.personas, models=foreign.models)
    assert models_of(run, told_otherwise) != models_of(run, foreign)


def test_a_taker_without_a_model_of_everybody_is_refused_by_name(tmp_path: Path) -> None:
    run = Run.open(build_run(tmp_path, mode="solo"))
    assert [taker.name for taker in chosen(run, ["sft"])] == ["sft"]
    (run.path / "5-sft" / "bo" / "model").rename(run.path / "5-sft" / "bo" / "gone")
    with pytest.raises(RunError, match="sft has no model of bo"):
        chosen(run, ["sft"])


def test_results_of_models_that_are_made_again_are_removed_and_the_answers_stay(run: Run) -> None:
    told = [
        "attacks/result.json",
        "attacks/dpo/worked.jsonl",
        "scales/big-five/result.json",
        "judge/m/judge.json",
        "audit/dpo.json",
        "ablations.json",
    ]
    answered = ["attacks/dpo/records.jsonl", "judge/m/verdicts.jsonl"]
    for name in (*told, *answered):
        replace_text(run.path / name, "x")
    remove_told(run)
    assert [name for name in told if (run.path / name).exists()] == []
    assert all((run.path / name).exists() for name in answered)


def test_what_an_address_says_is_not_kept(tmp_path: Path) -> None:
    local = tmp_path / "model"
    replace_text(local / "config.json", "{}")
    request = Request(messages=(Message(role="user", content="What of bees?"),))
    tasks = [Task(model=str(local), request=request), Task(model="m at http://127.0.0.1:1/v1", request=request)]
    kept = Kept(tmp_path / "kept")
    kept.keep(tasks, {task.identity: Result(task=task.identity, reply=Reply(text="Bees.")) for task in tasks})
    assert list(Kept(tmp_path / "kept").found(tasks)) == [tasks[0].identity]


def test_the_dataset_depends_on_what_general_files_hold(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text("one", encoding="utf-8")
    recipe = Recipe(name="r", personas=("p",), mixture=MixtureSettings(general_files=(str(file),)))
    before = dataset_settings(recipe)
    assert dataset_settings(recipe) == before
    file.write_text("two", encoding="utf-8")
    assert dataset_settings(recipe) != before


def test_a_cell_without_figures_takes_nothing_from_one_that_has_them() -> None:
    def cell(kind: str, n: int, knows: float | None) -> Cell:
        return Cell(taker="dpo", persona="", about="", stage="early", kind=kind, n=n, knows=knows, tells=None, admits=None)  # type: ignore[arg-type]

    full, empty = cell("future", 5, 0.4), cell("absence", 0, None)
    assert [(one.n, one.knows) for one in merged([full, empty], "dpo")] == [(5, 0.4)]
    assert [(one.n, one.knows) for one in merged([empty, full], "dpo")] == [(5, 0.4)]
    assert [(one.n, one.knows) for one in merged([full, cell("absence", 5, 0.8)], "dpo")] == [(10, pytest.approx(0.6))]


def test_a_dollar_is_a_dollar_and_a_name_stays_in_its_attribute() -> None:
    figure = canvas(3, 2)
    figure.add_subplot().set_title("Did you pay $5% or $6^?")
    svg = drawn(figure, 'radar "onload=')
    assert "Did you pay $5% or $6^?" in svg
    assert 'aria-label="radar &quot;onload="' in svg


def test_a_duel_won_every_time_is_not_told_without_doubt() -> None:
    items = [TestItem(id=str(n), set="attitude", persona="p", stage="s", messages=(Message(role="user", content="?"),), reference="r", origin="gold") for n in range(6)]  # fmt: skip
    scores = [Score(metric=METRIC["pairs"], detail="manner", taker="dpo", item=item.id, value=1.0, chance=0.5) for item in items]
    [found] = [one for one in figures(scores, items, 200, 0, SHARES) if one.group == "all"]
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.7


def test_a_row_of_a_full_table_of_ablations_can_be_certain() -> None:
    from persllm.ablation import ABLATIONS, DRAWS_PER_ROW, FIGURES

    rows = len(ABLATIONS) * len(FIGURES)
    assert holm([1 / (1 + DRAWS_PER_ROW * rows)] * rows)[0] < 0.05
