"""The registry of results: what there is, scores that cannot go stale, tags pinned to weights, the way back."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_run import build_run

from persllm.errors import ConfigError, RunError
from persllm.registry import Registry, roll_back, runs_below
from persllm.statistics import Figure
from persllm.store import Run, replace_json, replace_records, replace_text
from persllm.versions import Version, current_number, training_of
from persllm.weights import file_fingerprint, weights_below, weights_of


def figure(metric: str, taker: str, group: str = "all", value: float = 0.5) -> Figure:
    return Figure(metric=metric, detail="", taker=taker, group=group, n=40, value=value, low=value - 0.1, high=value + 0.1, unscored=1)


def examined(run: Path) -> Path:
    """The run with an examination of its model."""
    folder = run / "8-evaluation"
    groups = ("all", "person/ada", "person/bo")
    replace_records(folder / "figures.jsonl", [figure("choice", "sft", g, 0.3 + 0.1 * n) for n, g in enumerate(groups)])
    models = [str(model) for model in (run / "5-sft").glob("*/model")]
    replace_json(folder / "weights.json", weights_below(run, models))
    replace_json(folder / "step.json", {"seconds": 1.0, "dropped": {}})
    replace_json(
        run / "5-sft" / "step.json",
        {"seconds": 1.0, "dropped": {}, "data": file_fingerprint(run / "4-dataset" / "train.jsonl"), "finished": "2026-01-01T00:00:00Z"},
    )
    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    replace_text(tmp_path / "run" / "4-dataset" / "train.jsonl", "{}\n")
    return examined(tmp_path / "run")


def add_version(run: Path, number: int, parent: int) -> None:
    """A version that was kept; its model is that of the run."""
    folder = run / "versions" / str(number)
    shutil.copytree(run / "5-sft" / "cast" / "model", folder / "cast" / "model")
    own = f"versions/{number}/cast/model"
    version = Version(
        number=number, parent=parent, made="2026-01-02T00:00:00Z", seconds=1, training=training_of(Run(run)), data="d", learnt=(), held_out=(), pairs=1,
        old=0, models={"ada": own, "bo": own}, weights={own: weights_of(run / own)}, compared=(), kept=True, reasons=(),
    )  # fmt: skip
    replace_json(folder / "version.json", version.model_dump(mode="json"))


def test_a_result_tells_weights_data_and_scores_of_these_weights(run: Path) -> None:
    [result] = Registry(run).results
    assert (result.name, result.persons, result.in_use, result.adapter, result.parent) == ("sft", ("ada", "bo"), True, "full", "base")
    assert (result.scores_state, result.data_state) == ("checked", "checked")
    assert [(f.metric, f.value, f.n) for f in result.scores] == [("choice", 0.3, 40)]
    assert result.weights == weights_of(run / "5-sft" / "cast" / "model")
    assert result.settings["base.hidden_size"] == 64


def test_scores_of_another_model_are_stale_and_not_told(run: Path) -> None:
    assert Registry(run).results[0].scores
    weights = run / "5-sft" / "cast" / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    replace_text(run / "4-dataset" / "train.jsonl", '{"other": 1}\n')
    [result] = Registry(run).results
    assert (result.scores_state, result.scores, result.data_state) == ("stale", (), "stale")


def test_an_older_run_is_judged_by_what_its_steps_wrote_down(run: Path) -> None:
    (run / "8-evaluation" / "weights.json").unlink()
    assert Registry(run).results[0].scores_state == "stale"
    replace_json(run / "8-evaluation" / "made-with", {"needs": {}})
    assert Registry(run).results[0].scores_state == "by settings"
    replace_json(run / "8-evaluation" / "made-with", {"needs": {"7-dpo": "of another training"}})
    assert Registry(run).results[0].scores_state == "stale"


def test_solo_persons_have_figures_of_their_own_and_must_be_named(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    replace_json(run / "config.json", {**Run(run).recipe.model_dump(mode="json"), "mode": "solo"})
    for person in ("ada", "bo"):
        shutil.copytree(run / "5-sft" / "cast", run / "5-sft" / person)
    shutil.rmtree(run / "5-sft" / "cast")
    examined(run)
    registry = Registry(run)
    assert {r.persons: r.scores[0].value for r in registry.results} == {("ada",): 0.4, ("bo",): 0.5}
    assert registry.find("sft", "bo").folder == "5-sft/bo/model"
    with pytest.raises(RunError, match="choose a person with --persona: ada, bo"):
        registry.find("sft")


def test_the_way_back_is_the_pointer_that_improve_uses(run: Path) -> None:
    add_version(run, 1, 0)
    add_version(run, 2, 1)
    assert roll_back(run, "v2") == 2
    assert [r.name for r in Registry(run).results if r.in_use] == ["v2"]
    assert [r.parent for r in Registry(run).results] == ["base", "sft", "v1"]
    assert roll_back(run) == 1
    assert roll_back(run) == 0
    with pytest.raises(RunError, match="nothing before it"):
        roll_back(run)
    with pytest.raises(RunError, match="no version 7"):
        roll_back(run, "7")
    assert current_number(Run(run)) == 0
    assert Registry(run).find().name == "sft"


def test_a_tag_names_weights_not_a_place(run: Path) -> None:
    add_version(run, 1, 0)
    registry = Registry(run)
    registry.tag("v1", "spring")
    assert registry.find("spring").name == "v1"
    assert registry.find("v1").tags == ("spring",)
    assert roll_back(run, "spring") == 1
    for wrong in ("v3", "sft", "7", "Spring", "../x"):
        with pytest.raises(ConfigError):
            registry.tag("v1", wrong)
    (run / "versions" / "1" / "cast" / "model" / "config.json").write_text("{}")
    with pytest.raises(RunError, match="another model now"):
        Registry(run).find("spring")
    Registry(run).untag("spring")
    with pytest.raises(RunError, match="There are: sft, v1"):
        Registry(run).find("spring")


def test_the_command_lists_for_people_and_machines(run: Path) -> None:
    add_version(run, 1, 0)

    def told(*words: str) -> str:
        return subprocess.run([sys.executable, "-m", "persllm.cli", "models", *words], capture_output=True, text=True, check=True).stdout

    assert "choice 0.300 [0.200, 0.400] n=40" in told("list", str(run))
    assert [row["name"] for row in json.loads(told("list", str(run.parent), "--json"))] == ["sft", "v1"]
    assert "measured on these weights" in told("show", str(run), "sft")
    assert "good: v1" in told("tag", str(run), "v1", "good")
    assert json.loads(told("rollback", str(run), "good", "--json")) == {"current": 1}
    assert "* v1 [good]" in told("list", str(run))
    with pytest.raises(RunError, match="no run here"):
        runs_below([run / "logs"])
