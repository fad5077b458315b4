"""The command as a user meets it: real processes, one clear line for what can be mended, nothing changed by it."""

import hashlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest


def persllm(*arguments: str, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "persllm.cli", *arguments], capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False
    )


def state(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(str(f.relative_to(folder)).encode() + f.read_bytes() for f in files)).hexdigest()


def test_help_starts_in_well_under_half_a_second(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert persllm("--help", cwd=tmp_path).returncode == 0
        times.append(time.perf_counter() - started)
    bare = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import typer, rich"], check=True)
        bare.append(time.perf_counter() - started)
    assert statistics.median(times) < max(0.5, 2.5 * statistics.median(bare))


def test_the_package_itself_is_the_command(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-m", "persllm", "show", "nothing"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("persllm: "), run.stderr


def test_new_check_and_a_dry_run(tmp_path: Path) -> None:
    made = persllm("new", "ada", cwd=tmp_path)
    assert made.returncode == 0
    assert "persllm run ada/recipe.yaml" in made.stdout
    found = json.loads(persllm("check", "ada", "--json", cwd=tmp_path).stdout)
    stages = {stage["stage"]: stage for stage in found["persons"][0]["stages"]}
    assert stages["old"]["materials"] == {"experience": 3, "knowledge": 2, "speech": 3}
    before = state(tmp_path)
    plan = persllm("run", "ada/recipe.yaml", "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0
    assert "Hanne Lund: young, old" in plan.stdout
    assert state(tmp_path) == before


BAD = {
    "a missing recipe": (["run", "nobody.yaml"], "no such recipe"),
    "a missing folder": (["check", "nobody"], "no such recipe"),
    "an unknown key": (["run", "ada/recipe.yaml", "--set", "sft.epoch=2"], "unknown key sft.epoch; did you mean epochs?"),
    "a wrong override": (["run", "ada/recipe.yaml", "--set", "sft"], "key=value"),
    "an unknown step": (["run", "ada/recipe.yaml", "--redo", "9-reports"], "no such step"),
    "a run that is not there": (["show", "runs/nobody"], "no run here"),
    "new over something": (["new", "ada"], "exists and is not empty"),
    "chat without a run": (["chat", "runs/nobody"], "no run here"),
    "an unknown verb": (["fly"], "No such command"),
    "an unknown form": (["export", "runs/nobody", "--to", "zip", "--out", "z"], "Invalid value for '--to': 'zip' is not one of"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line_and_changes_nothing(name: str, tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    arguments, message = BAD[name]
    before = state(tmp_path)
    result = persllm(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("materials/old/speech.jsonl", b"{\n", "ada/materials/old/speech.jsonl, line 1: broken JSON"),
        ("materials/old/experience.md", b"", "the file is empty"),
        ("materials/old/experience.md", b"\xff\xfe## A", "not UTF-8"),
        ("materials/war/experience.md", b"## A day\nHanne slept.\n", 'stage "war" is not a stage of Hanne Lund (young, old'),
        ("persona.yaml", b"name: Ada\n", "profile is missing"),
    ],
)
def test_bad_materials_stop_a_run_before_anything_is_written(file: str, content: bytes, message: str, tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    (tmp_path / "ada" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "ada" / file).write_bytes(content)
    result = persllm("run", "ada/recipe.yaml", cwd=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert message in result.stderr
    assert not (tmp_path / "runs").exists()


def test_two_persons_of_one_name_are_refused(tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    persllm("new", "eve", cwd=tmp_path)
    (tmp_path / "both.yaml").write_text("personas: [ada, eve]\n")
    result = persllm("run", "both.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "Hanne Lund: two persons have this name" in result.stderr


def test_a_missing_base_is_named_with_the_ways_on(tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    result = persllm("run", "ada/recipe.yaml", "--set", "base.model=nobody/nothing", cwd=tmp_path)
    assert result.returncode == 2
    assert "base.model nobody/nothing" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unwritable_place_for_runs_is_named(tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    (tmp_path / "file").write_text("not a folder")
    result = persllm("run", "ada/recipe.yaml", "--runs", "file/runs", cwd=tmp_path)
    assert result.returncode == 2
    assert "cannot write here" in result.stderr


def test_a_run_made_with_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    persllm("new", "ada", cwd=tmp_path)
    tiny = [
        "--set",
        "base.hidden_size=32",
        "--set",
        "base.layers=1",
        "--set",
        "base.vocabulary=512",
        "--set",
        "base.pretraining_tokens=4096",
    ]
    first = persllm("run", "ada/recipe.yaml", "--until", "4-dataset", *tiny, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    before = state(tmp_path / "runs" / "ada" / "4-dataset")
    second = persllm("run", "ada/recipe.yaml", "--until", "4-dataset", *tiny, "--set", "mixture.repeat=9", cwd=tmp_path)
    assert second.returncode == 2
    assert "mixture.repeat: 6 there, 9 now" in second.stderr
    assert "--redo" in second.stderr
    assert state(tmp_path / "runs" / "ada" / "4-dataset") == before
