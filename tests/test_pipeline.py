"""The whole story on a tiny model: kill it in every step and go on, and the result is that of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from persllm.pipeline import STEPS
from persllm.store import Run

TINY = [
    "base.hidden_size=32", "base.layers=1", "base.vocabulary=512", "base.pretraining_tokens=20480", "mixture.repeat=1", "mixture.test_items_per_set=6", "sft.epochs=1",
    "sft.checkpoint_every=5", "dpo.pairs=24", "dpo.checkpoint_every=2", "evaluation.items_per_set=4", "evaluation.max_tokens=12",
    "evaluation.bootstrap=100", "threads=1",
]  # fmt: skip


def command(folder: Path, runs: str, *more: str) -> list[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    return [sys.executable, "-m", "persllm.cli", "run", str(folder / "recipe.yaml"), "--runs", runs, *settings, *more]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    subprocess.run([sys.executable, "-m", "persllm.cli", "new", "hanne"], check=True, cwd=folder, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "PERSLLM_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def undisturbed(place: Path, environment: dict[str, str]) -> Path:
    done = subprocess.run(command(place / "hanne", "calm"), cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout
    return place / "calm" / "hanne"


def result(run: Path) -> dict[str, bytes]:
    """Everything a run made, but for what tells of times, attempts and the memory that was taken."""
    made = {}
    for file in sorted(run.rglob("*")):
        name = str(file.relative_to(run))
        if (
            not file.is_file()
            or name.split("/")[0] == "logs"
            or file.name in ("step.json", "memory.json", "provenance.json", ".lock", "training_args.bin")
        ):
            continue
        if name.startswith("9-report"):
            continue
        made[name] = file.read_bytes()
    return made


def test_a_run_ends_with_all_steps_and_a_report(undisturbed: Path) -> None:
    assert all(Run(undisturbed).step(step.folder).finished for step in STEPS)
    report = json.loads((undisturbed / "9-report" / "report.json").read_text())
    assert report
    assert (undisturbed / "9-report" / "report.html").stat().st_size > 5000
    assert (undisturbed / "9-report" / "report.md").is_file()


def test_a_second_call_does_nothing_again(undisturbed: Path, place: Path, environment: dict[str, str]) -> None:
    before = {name: (undisturbed / name).stat().st_mtime_ns for name in result(undisturbed) if name != "config.json"}
    done = subprocess.run(command(place / "hanne", "calm"), cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert before == {name: (undisturbed / name).stat().st_mtime_ns for name in before}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_stopped_in_every_step_and_run_again_the_result_is_the_same(
    how: signal.Signals, undisturbed: Path, place: Path, environment: dict[str, str]
) -> None:
    runs = f"storm-{how.name}"
    run = place / runs / "hanne"
    codes: list[int] = []
    for attempt, step in enumerate(STEPS, 1):
        process = subprocess.Popen(
            command(place / "hanne", runs), cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        end = time.monotonic() + 120
        begun = (run / step.folder / "made-with", run / "logs" / f"attempt-{attempt}.log")
        while process.poll() is None and not all(file.is_file() for file in begun) and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.3 if step.folder in ("5-sft", "7-dpo", "8-evaluation") else 0.02)
        process.send_signal(how)
        _, error = process.communicate(timeout=60)
        codes.append(process.returncode)
        if process.returncode == 130:
            assert b"the same command goes on from here" in error
    done = subprocess.run(command(place / "hanne", runs), cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (130 if how is signal.SIGINT else -signal.SIGKILL) in codes
    calm, storm = result(undisturbed), result(run)
    assert set(calm) == set(storm)
    assert [name for name in calm if calm[name] != storm[name]] == []
