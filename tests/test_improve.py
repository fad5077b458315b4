"""Corrections to a new version: learnt, examined, kept or rejected, taken back; a killed one ends like an undisturbed one."""

import filecmp
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from corrected_run import THINGS, changed, correct, corrected_run, question, sensible, tuned_model, untruths
from typer.testing import CliRunner, Result

from persllm.agent import Company
from persllm.base import LocalModel
from persllm.cli import app
from persllm.corrections import correction_pairs, read_corrections
from persllm.errors import ConfigError, RunError
from persllm.improve import back, improve, outline
from persllm.improve.exam import has_fallen
from persllm.improve.lesson import drawn, parted
from persllm.improve_settings import ImproveSettings
from persllm.records import PreferencePair, Request
from persllm.store import Run, read_records
from persllm.versions import Compared, Version, current_number, make_current, version_file, versions_of

SPOILING = {"repeat": 12, "old": 0.0, "held_out": 0.0, "loss_tolerance": 0.1}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuned_model(tmp_path_factory.mktemp("tuned"))


@pytest.fixture(scope="module")
def uncorrected(tuned: Path) -> Path:
    return corrected_run(tuned.parent.parent, tuned)


@pytest.fixture
def run(uncorrected: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(uncorrected, tmp_path / "run"))


def likelihood(run: Path, number: int, asked: str, answer: str) -> float:
    """How likely a version finds an answer of Ada, late."""
    folder = versions_of(Run(run))[number - 1].models["ada"] if number else "5-sft/cast/model"
    [found] = LocalModel.load(run / folder, threads=1).log_likelihoods(
        [Request(messages=question(asked), persona="ada", stage="late")], [answer]
    )
    return found.total / found.tokens


def figure(version: Version, group: str, metric: str) -> Compared:
    [row] = [row for row in version.compared if (row.group, row.metric) == (group, metric)]
    return row


def cli(*words: object) -> Result:
    return CliRunner().invoke(app, ["improve", *map(str, words)])


def test_corrections_are_learnt_and_the_version_is_the_one_in_use(run: Path) -> None:
    sensible(run)
    planned = outline(run)
    assert (planned.number, planned.there, planned.new, planned.held_out, planned.pairs, planned.old) == (1, False, 6, 2, 27, 9)
    made = improve(run)
    assert (made.kept, made.reasons, made.parent, len(made.learnt), len(made.held_out)) == (True, (), 0, 6, 2)
    learnt = [pair for pair in read_records(run / "versions" / "1" / "pairs.jsonl", PreferencePair) if pair.identity in made.learnt]
    assert len(learnt) == 3 * 6
    asked, better = learnt[0].prompt[-1].content, learnt[0].chosen.content
    before, after = (likelihood(run, number, asked, better) for number in (0, 1))
    assert after > before + 0.5
    row = figure(made, "corrections", "likelihood")
    assert row.before < row.after
    assert row.change == pytest.approx(row.after - row.before, abs=1e-5)
    assert figure(made, "held out", "margin").change > 0, "what is learnt is more than the words"
    company = Company(run)
    assert list(company.takers("ada")) == ["v1", "sft", "base", "prompted"]
    assert company.agent("ada").model is company.model(str(run / made.models["ada"]))
    assert company.agent("ada", taker="sft").model is not company.agent("ada").model


def test_the_next_version_learns_what_is_new_and_keeps_the_old_in_the_mixture(run: Path) -> None:
    sensible(run)
    first = improve(run)
    with pytest.raises(RunError, match=r"no new correction to learn .8 corrections: 6 learnt in version 1, 2 held out"):
        improve(run)
    correct(run, "Do you like tea?", "A black bee.", "I like tea.")
    second = improve(run)
    assert (second.number, second.parent, len(second.learnt), second.held_out) == (2, 1, 1, first.held_out)
    pairs = read_records(run / "versions" / "2" / "pairs.jsonl", PreferencePair)
    assert [pair.contrast for pair in pairs].count("correction") > 3, "corrections learnt before are among the old pairs"
    everything = outline(run, changed(run, held_out=0.0))
    assert everything.new == 2, "who wants to can train on those held out too"


def test_what_spoils_the_model_is_rejected_and_can_be_forced_and_taken_back(run: Path) -> None:
    untruths(run)
    recipe = changed(run, **SPOILING)
    made = improve(run, recipe)
    assert not made.kept
    assert any(reason.startswith(("choice fell by", "general_loss")) for reason in made.reasons), made.reasons
    assert figure(made, "corrections", "margin").change > 0, "the corrections were learnt; that is not enough"
    assert current_number(Run(run)) == 0
    assert next(iter(Company(run).takers("ada"))) == "sft"
    assert outline(run, recipe).there
    trained = (run / made.models["ada"] / "model.safetensors").stat().st_mtime_ns
    assert improve(run, recipe, keep=True) == made, "made of the very same, so not made again"
    assert (run / made.models["ada"] / "model.safetensors").stat().st_mtime_ns == trained
    assert next(iter(Company(run).takers("ada"))) == "v1"
    back(run, 0)
    assert list(Company(run).takers("ada")) == ["sft", "v1", "base", "prompted"]
    with pytest.raises(RunError, match=r"no version 7. There are: 0 .the run itself., 1"):
        back(run, 7)


def test_a_killed_improvement_ends_like_an_undisturbed_one(run: Path, tmp_path: Path) -> None:
    sensible(run)
    whole = tmp_path / "whole"
    shutil.copytree(run, whole)
    improve(whole)
    command = [sys.executable, Path(__file__).parent / "corrected_run.py", run, "3"]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (run / "versions" / "1" / "made-with").is_file()
    assert versions_of(Run(run)) == []
    assert list(Company(run).takers("ada")) == ["sft", "base", "prompted"], "what is not finished is not offered"
    improve(run)
    for name in ("pairs.jsonl", "held-out.jsonl", "likelihoods.jsonl", "scores.jsonl", "cast/model/model.safetensors"):
        assert filecmp.cmp(run / "versions" / "1" / name, whole / "versions" / "1" / name, shallow=False), name
    one, other = (versions_of(Run(path))[0].model_copy(update={"made": "", "seconds": 0.0}) for path in (run, whole))
    assert one == other


def test_a_correction_that_came_after_the_kill_is_not_lost(run: Path) -> None:
    sensible(run)
    folder = run / "versions" / "1"
    folder.mkdir(parents=True)
    (folder / "made-with").write_text('{"of": "something else"}')
    (folder / "pairs.jsonl").write_text("torn")
    assert improve(run).number == 1
    assert len(read_records(folder / "pairs.jsonl", PreferencePair)) == 27


def test_in_a_solo_run_with_adapters_only_the_corrected_person_is_trained(run: Path) -> None:
    for person in ("ada", "bo"):
        shutil.copytree(run / "5-sft" / "cast", run / "5-sft" / person)
    config = json.loads((run / "config.json").read_text())
    config["mode"], config["dpo"]["adapter"], config["dpo"]["learning_rate"] = "solo", "lora", 0.01
    (run / "config.json").write_text(json.dumps(config))
    for thing in THINGS[:3]:
        correct(run, f"Do you like {thing}?", "A black bee.", f"I like {thing}.")
    correct(run, "Who are you?", "I am Ada.", "I am Cy.", persona="cy")
    made = improve(run)
    assert made.models == {"ada": "versions/1/ada/model", "bo": "5-sft/bo/model"}
    assert (run / "versions" / "1" / "ada" / "adapter" / "adapter_model.safetensors").is_file()
    assert figure(made, "corrections", "margin").change > 0
    assert outline(run).foreign == 1
    assert Company(run).agent("bo").say("Hello.").finish != "error"


def test_versions_end_with_the_training_they_stand_upon(run: Path) -> None:
    sensible(run)
    improve(run)
    (run / "5-sft" / "made-with").write_text('{"anew": 1}')
    assert current_number(Run(run)) == 0
    assert "v1" not in Company(run).takers("ada")
    with pytest.raises(RunError, match="before the run was trained anew"):
        make_current(Run(run), 1)
    assert "made before the run was trained anew" in cli(run, "--list").stdout
    assert outline(run).parent == 0


def test_the_verb(run: Path) -> None:
    assert "no new correction to learn (0 corrections: none makes a pair" in str(cli(run).exception)
    sensible(run)
    before = sorted(run.rglob("*"))
    plan = cli(run, "--dry-run").stdout
    assert "8 corrections: 6 new pairs, 0 learnt, 2 held out" in plan
    assert "version 1 would be trained from the run itself: cast; 27 pairs, 9 of them old\nand compared with it on 12 test items" in plan
    assert sorted(run.rglob("*")) == before
    assert json.loads(cli(run, "--dry-run", "--json").stdout)["pairs"] == 27
    made = cli(run)
    assert made.exit_code == 0, made.exception
    assert "kept: nothing that matters fell. The way back" in made.stdout
    assert "* 1  from 0, 6 corrections" in cli(run, "--list").stdout
    assert json.loads(cli(run, "--list", "--json").stdout)["current"] == 1
    assert cli(run, "--back", 0).stdout == "in use: the run itself\n"
    assert "* 0  the run itself" in cli(run, "--list").stdout
    assert json.loads(cli(run, "--json").stdout)["number"] == 1, "the way forth again, without training"
    assert isinstance(cli(run, "--set", "dpo.beta=1").exception, ConfigError)


def test_a_registry_that_lies_is_an_error_that_says_the_way_on(run: Path) -> None:
    for text, message in (("two\n", "not the number of a version"), ("4\n", "names version 4, which is not there")):
        (run / "versions").mkdir(exist_ok=True)
        (run / "versions" / "current").write_text(text)
        with pytest.raises(RunError, match=message):
            Company(run).takers("ada")
    back(run, 0)
    assert current_number(Run(run)) == 0
    assert not version_file(Run(run), 1).exists()


def test_what_counts_as_fallen_is_a_setting() -> None:
    row = Compared(metric="choice", group="test", n=40, before=0.8, after=0.75, change=-0.05, low=-0.12, high=0.02, fallen=False)
    worse = row.model_copy(update={"high": -0.01})
    loss = row.model_copy(update={"metric": "general_loss", "high": -0.01})
    assert [has_fallen(one, ImproveSettings()) for one in (row, worse, loss)] == [False, True, False]
    assert [has_fallen(one, ImproveSettings(fallen="mean", tolerance=0.04)) for one in (row, worse, loss)] == [True, True, False]
    assert not has_fallen(worse, ImproveSettings(tolerance=0.02))


def test_held_out_corrections_share_no_prompt_with_the_trained_and_do_not_depend_on_order(run: Path) -> None:
    sensible(run)
    for thing in THINGS:
        correct(run, f"Do you like {thing}?", "A grey bee.", f"{thing} I like.")
    pairs, _ = correction_pairs(read_corrections(Run(run)))
    new, held = parted(pairs, ImproveSettings(), 0)
    assert (len(new), len(held)) == (12, 4)
    assert not {pair.prompt for pair in new} & {pair.prompt for pair in held}
    assert {pair.identity for pair in parted(pairs[::-1], ImproveSettings(), 0)[1]} == {pair.identity for pair in held}
    few = pairs[:7]
    assert parted(few, ImproveSettings(), 0) == (few, [])


def test_old_pairs_are_drawn_evenly(run: Path) -> None:
    old = read_records(run / "6-pairs" / "records.jsonl", PreferencePair)
    rare = [pair.model_copy(update={"contrast": "future"}) for pair in old[:3]]
    chosen = drawn([*old, *rare], 6, 0)
    assert [pair.contrast for pair in chosen].count("future") == 3
    assert drawn(old, 100, 0) != []
    assert len(drawn(old, 100, 0)) == len(old)
