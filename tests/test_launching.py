"""A training on several processes: what is started, what each reads, and that one process can take over."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from killed_training import SHORT
from launched_training import SETTINGS, TALK
from safetensors.torch import load_file
from test_pipeline import command as command_of_run
from toy_base import build_toy, colour_pairs

from persllm.config import DpoSettings
from persllm.errors import ConfigError, TrainingError
from persllm.launching import LOG, Launch, command, follow, plan
from persllm.statistics import Figure
from persllm.store import read_records
from persllm.training import prefer, tune
from persllm.training.checkpoints import Mark, check_spread, write_mark
from persllm.training.world import dealt

HERE = Path(__file__).parent
PREFERENCES = DpoSettings(**SHORT)
"""By LoRA; eight steps of four pairs."""


# What is started -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "kind"), [("multi_gpu", "multi_gpu"), ("fsdp2", "fsdp")])
def test_a_preset_is_the_configuration_that_trl_ships(preset: str, kind: str) -> None:
    made = plan(Launch(config=preset, processes=8))
    assert (made.kind, made.processes, made.machines) == (kind, 8, 1)
    argv = command(made, Path("job.json"))
    assert Path(argv[argv.index("--config_file") + 1]).name == f"{preset}.yaml"
    assert argv[argv.index("--num_processes") + 1] == "8"
    assert argv[-3:] == ["-m", "persllm.training.process", "job.json"]


def test_a_file_tells_machines_and_the_options_overrule_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "distributed_type: FSDP\nnum_processes: 16\nnum_machines: 2\nmachine_rank: 0\nmain_process_ip: a.local\nmain_process_port: 2950\n"
    )
    made = plan(Launch(config=str(file), machine_rank=1, address="b.local:2951"))
    assert (made.processes, made.machines, made.machine_rank, made.host, made.port) == (16, 2, 1, "b.local", 2951)
    assert plan(Launch(config=str(file))).host == "a.local"


@pytest.mark.parametrize(
    ("launch", "found"),
    [
        (Launch(config="fsdp3"), "no such file"),
        (Launch(config="cpu", machines=2), "--main-address"),
        (Launch(config="cpu", machines=2, machine_rank=2, address="a:1"), "go from 0 to 1"),
        (Launch(config="cpu", machines=2, processes=3, address="a:1"), "each of 2 machines"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_in_a_line(launch: Launch, found: str) -> None:
    with pytest.raises((ConfigError, TrainingError), match=found):
        plan(launch)


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="accelerate config"):
        plan(Launch(config=str(tmp_path / "list.yaml")))


# What each process reads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("micro_batch", [0, 1, 3])
def test_a_step_reads_the_same_samples_on_any_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, processes: int, micro_batch: int
) -> None:
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler, SequentialSampler

    monkeypatch.setenv("WORLD_SIZE", str(processes))
    at_once, times = dealt(8, micro_batch, "sft")
    assert at_once * times * processes == 8
    rows = range(24)
    shards = [list(BatchSamplerShard(BatchSampler(SequentialSampler(rows), at_once, False), processes, rank)) for rank in range(processes)]
    for step in range(3):
        read = sorted(place for shard in shards for batch in shard[step * times : (step + 1) * times] for place in batch)
        assert read == list(range(step * 8, step * 8 + 8))


def test_a_batch_that_cannot_be_dealt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(TrainingError, match="multiple of 3"):
        dealt(8, 0, "sft")


def test_shards_are_not_taken_up_by_those_who_cannot(tmp_path: Path) -> None:
    write_mark(tmp_path, Mark(made_with="x", spread="deepspeed", processes=8))
    check_spread(tmp_path, "deepspeed", 8)
    for spread, processes in (("deepspeed", 4), ("copies", 8)):
        with pytest.raises(TrainingError, match="written by 8 processes with deepspeed"):
            check_spread(tmp_path, spread, processes)
    write_mark(tmp_path, Mark(made_with="x", spread="fsdp", processes=8))
    check_spread(tmp_path, "fsdp", 2)


# Two processes, killed, then one -------------------------------------------------------------------------


def test_two_processes_are_killed_and_one_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    base, out = build_toy(tmp_path / "toy"), tmp_path / "sft"
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    killed = subprocess.run(
        [sys.executable, str(HERE / "launched_training.py"), str(base), str(out), "5"],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr[-2000:]
    assert ended_within(20, str(out)), "the processes outlive the one that started them"
    kept = sorted(int(file.parent.name.rpartition("-")[2]) for file in (out / "checkpoints").glob("*/complete"))
    assert kept, (out / "launch.log").read_text()[-2000:]
    steps: list[int] = []
    tune(base, TALK, SETTINGS, out, seed=1, threads=1, progress=lambda done, total: steps.append(done))
    assert steps[0] == kept[-1] + 1
    tune(base, TALK, SETTINGS, tmp_path / "alone", seed=1, threads=1)
    together, alone = (load_file(folder / "model" / "model.safetensors") for folder in (out, tmp_path / "alone"))
    before = load_file(base / "model.safetensors")
    assert max((alone[name] - before[name]).abs().max() for name in before) > 1e-3
    assert max((alone[name] - together[name]).abs().max() for name in alone) < 1e-6


@pytest.mark.skipif(not os.environ.get("PERSLLM_LAUNCH"), reason="minutes on two cores: make check-launch")
def test_two_machines_learn_preferences_as_one_process_does(tmp_path: Path) -> None:
    """Two launchers that meet at a port of this machine, one process each: machine 1 waits for the job that machine 0 writes."""
    base, run = build_toy(tmp_path / "toy"), tmp_path / "run"
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "model").symlink_to(base)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    launches = [Launch(config="cpu", processes=2, machines=2, machine_rank=rank, address=address) for rank in range(2)]
    folder, over, steps = run / "7-dpo" / "cast", threading.Event(), []
    other = threading.Thread(target=follow, args=(launches[1], run, over.is_set, lambda done, total: steps.append(done)))
    other.start()
    try:
        prefer(base, tmp_path / "sft", colour_pairs(32), PREFERENCES, folder, 1, 1, launch=launches[0])
    finally:
        over.set()
        other.join(60)
    assert not other.is_alive()
    assert steps, "the other machine heard nothing"
    assert "FAILED" not in (folder / f"1-{LOG}").read_text()
    prefer(base, tmp_path / "sft", colour_pairs(32), PREFERENCES, tmp_path / "alone", 1, 1)
    together, alone = (load_file(place / "model" / "model.safetensors") for place in (folder, tmp_path / "alone"))
    assert max((alone[name] - together[name]).abs().max() for name in alone) < 1e-6


@pytest.mark.skipif(not os.environ.get("PERSLLM_LAUNCH"), reason="minutes on two cores: make check-launch")
def test_a_loss_that_is_no_number_on_one_process_ends_all_with_its_reason(tmp_path: Path) -> None:
    base = build_toy(tmp_path / "toy")
    wild = SETTINGS.model_copy(update={"adapter": "full", "learning_rate": 1e30})
    with pytest.raises(TrainingError, match="is not a number, on the samples"):
        tune(base, TALK, wild, tmp_path / "sft", 1, 1, launch=Launch(config="cpu"))
    assert ended_within(20, str(tmp_path / "sft"))


@pytest.mark.skipif(not os.environ.get("PERSLLM_LAUNCH"), reason="minutes on two cores: make check-launch")
def test_the_command_that_starts_accelerate_works(tmp_path: Path) -> None:
    """The launcher of the GPUs, with TRL's configuration, which names bf16; without a GPU its processes find the CPU and compute as the recipe says."""
    base = build_toy(tmp_path / "toy")
    tune(base, TALK, SETTINGS, tmp_path / "sft", 1, 1, launch=Launch(config="multi_gpu", processes=2))
    tune(base, TALK, SETTINGS, tmp_path / "alone", 1, 1)
    together, alone = (load_file(place / "model" / "model.safetensors") for place in (tmp_path / "sft", tmp_path / "alone"))
    assert max((alone[name] - together[name]).abs().max() for name in alone) < 1e-6


@pytest.mark.skipif(not os.environ.get("PERSLLM_LAUNCH"), reason="minutes on two cores: make check-launch")
def test_a_whole_run_on_two_processes_ends_as_one_on_one(tmp_path: Path) -> None:
    """From the recipe of `persllm new`, cut small, to the report."""
    environment = {**os.environ, "PERSLLM_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "persllm.cli", "new", "hanne"], check=True, cwd=tmp_path, capture_output=True)
    for runs, launch in (("alone", []), ("together", ["--launch", "cpu", "--processes", "2"])):
        words = command_of_run(tmp_path / "hanne", runs, *launch)
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    alone, together = (tmp_path / runs / "hanne" for runs in ("alone", "together"))
    for phase in ("5-sft", "7-dpo"):
        assert [(run / phase / "hanne" / LOG).is_file() for run in (alone, together)] == [False, True]
        one, two = (load_file(run / phase / "hanne" / "model" / "model.safetensors") for run in (alone, together))
        apart = max((one[name] - two[name]).abs().max() for name in one)
        print(f"{phase}: weights differ by at most {apart:.1e}")
        assert apart < 1e-5
    one, two = (read_records(run / "8-evaluation" / "figures.jsonl", Figure) for run in (alone, together))
    assert len(one) > 20
    unlike = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    ends = [(getattr(a, name), getattr(b, name)) for a, b in unlike for name in ("value", "low", "high")]
    apart = max((abs(x - y) for x, y in ends if x is not None and y is not None), default=0.0)
    print(
        f"{len(unlike)} of {len(one)} figures and intervals are not alike; they differ by at most {apart:.1e}: {sorted({a.metric for a, _ in unlike})}"
    )
    for a, b in zip(one, two, strict=True):
        assert (a.metric, a.taker, a.group, a.n, a.unscored) == (b.metric, b.taker, b.group, b.n, b.unscored)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-4)


def ended_within(seconds: float, word: str) -> bool:
    """Whether no process has the word in its command any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(word in line for line in commands()):
            return True
        time.sleep(0.2)
    return False


def commands() -> list[str]:
    """The commands of all other processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
