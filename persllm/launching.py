"""A training on several devices or machines: Accelerate's launcher started around one job, and what it tells heard.

The job is a file; a process per device reads it and trains (`persllm.training.process`). Process 0 appends a line to
`told.jsonl` at every step, any process writes why it failed, and the finished training lies where one process would have
put it. The children read a pipe from us: they end when we do, however we end.

Other machines take part as long as machine 0 is heard (`persllm.leading`).

Limits: all machines see the run folder under the same path. What a launcher prints goes to `launch.log` beside the job.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from persllm.errors import ConfigError, TrainingError
from persllm.leading import Listener
from persllm.records import Record
from persllm.store import Progress, noted, replace_json

CPU = "cpu"
PRESETS = (CPU, "multi_gpu", "fsdp2", "zero2", "zero3")
"""`cpu` is two processes without a GPU, to try things out; the others are the configurations that TRL ships."""
POLL = 0.2
"""Seconds between two looks at what the processes tell."""
PATIENCE = 15.0
"""Seconds that processes get to end before they are killed."""
JOB, SAMPLES, TOLD, FAILED, LOG = "job.json", "samples.jsonl", "told.jsonl", "failed-{}.json", "launch.log"
"""Files of a launched training; only the log stays when it is finished."""


class Launch(Record):
    """On which devices a training runs. It changes no setting of the run: only the last digits of the sums."""

    config: str
    """One of PRESETS, or the path of a file that `accelerate config` made."""
    processes: int | None = None
    """Processes on all machines together; None takes the file's number, or one for each GPU."""
    machines: int | None = None
    """Machines; None takes the file's number."""
    machine_rank: int | None = None
    """Which of them this is, from 0; None takes the file's."""
    address: str = ""
    """HOST:PORT of machine 0, where the processes meet; empty takes the file's, or a free port of this machine."""


class Plan(Record):
    """A Launch with everything filled in."""

    file: str
    """Accelerate's configuration; empty on CPUs, which its launcher knows only through MPI."""
    kind: str
    """How the weights are spread: `cpu`, `multi_gpu`, `fsdp`, `deepspeed`."""
    processes: int
    machines: int
    machine_rank: int
    host: str
    port: int


def plan(launch: Launch) -> Plan:
    """Fill a launch in from its configuration; ConfigError or TrainingError if it cannot be started here."""
    tree = configuration(launch.config)
    kind = {"FSDP": "fsdp", "DEEPSPEED": "deepspeed"}.get(str(tree.get("distributed_type", "")), "multi_gpu")
    cpu = tree.get("use_cpu") is True or str(tree.get("distributed_type", "")) == "MULTI_CPU"
    machines = launch.machines or int(tree.get("num_machines") or 1)
    given = launch.processes or (int(tree.get("num_processes") or 0) if launch.config not in PRESETS or cpu else 0)
    host, _, port = launch.address.rpartition(":")
    made = Plan(
        file="" if cpu else str(configuration_file(launch.config)), kind=CPU if cpu else kind, machines=machines,
        processes=given or gpus(launch.config) * machines,
        machine_rank=int(tree.get("machine_rank") or 0) if launch.machine_rank is None else launch.machine_rank,
        host=host or str(tree.get("main_process_ip") or ""), port=int(port or tree.get("main_process_port") or 0),
    )  # fmt: skip
    check_plan(made)
    return made


def check_plan(made: Plan) -> None:
    """ConfigError or TrainingError for a plan that could not work."""
    if made.machines > 1 and not (made.host and made.port):
        raise ConfigError("--launch on several machines needs the place where they meet: --main-address HOST:PORT of machine 0.")
    if not 0 <= made.machine_rank < made.machines:
        raise ConfigError(f"--machine-rank {made.machine_rank}: of {made.machines} machines the ranks go from 0 to {made.machines - 1}.")
    if made.processes % made.machines:
        raise ConfigError(f"--processes {made.processes}: not the same number on each of {made.machines} machines.")
    if made.kind == "deepspeed" and find_spec("deepspeed") is None:
        raise TrainingError("--launch zero2 and zero3 need DeepSpeed: pip install 'persllm[deepspeed]'; or take --launch fsdp2.")


def configuration_file(config: str) -> Path:
    """The file of a launch: the user's, or TRL's of that name. ConfigError if there is none."""
    if config in PRESETS:
        spec = find_spec("trl")
        return Path(str(spec.origin)).parent / "accelerate_configs" / f"{config}.yaml" if spec else Path()
    if not Path(config).is_file():
        raise ConfigError(f"--launch {config}: no such file, and none of {', '.join(PRESETS)}. `accelerate config` writes a file.")
    return Path(config)


def configuration(config: str) -> dict[str, Any]:
    """What the configuration says."""
    if config == CPU:
        return {"use_cpu": True, "num_processes": 2}
    try:
        tree = yaml.safe_load(configuration_file(config).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"--launch {config}: cannot be read ({error}).") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"--launch {config}: no configuration of Accelerate. `accelerate config` writes one.")
    return tree


def gpus(config: str) -> int:
    """GPUs of this machine; TrainingError if there is none."""
    import torch

    if not torch.cuda.is_available():
        raise TrainingError(f"--launch {config}: no GPU is seen here. To try it without: --launch cpu --processes 2.")
    return torch.cuda.device_count()


def command(made: Plan, job: Path) -> list[str]:
    """The command that starts the processes of this machine."""
    module = ["-m", "persllm.training.process", str(job)]
    if made.kind == CPU:
        start = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            f"--nnodes={made.machines}",
            f"--nproc-per-node={made.processes // made.machines}",
        ]
        meeting = [f"--node-rank={made.machine_rank}", f"--master-addr={made.host}", f"--master-port={made.port}"]
        return [*start, *(meeting if made.machines > 1 else ["--standalone"]), *module]
    start = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", made.file, "--num_processes", str(made.processes)]
    start += ["--num_machines", str(made.machines), "--machine_rank", str(made.machine_rank), "--main_process_port", str(made.port)]
    return [*start, *(["--main_process_ip", made.host] if made.host else []), *module]


def run_launched(launch: Launch, folder: Path, job: dict[str, Any], progress: Progress) -> None:
    """Train what `job` says in a folder on all processes; other machines learn of it by `job.json` there. TrainingError as of `take_part`."""
    for old in (TOLD, *(file.name for file in folder.glob(FAILED.format("*")))):
        (folder / old).unlink(missing_ok=True)
    replace_json(folder / JOB, {**job, "id": f"{time.time_ns()}"})
    take_part(plan(launch), folder, progress)


def follow(launch: Launch, run: Path, ended: Callable[[], bool], progress: Progress) -> None:
    """On a machine other than the first: take part in every training of a run that machine 0 begins, until there are no more.

    TrainingError if machine 0 failed or is not heard any more.
    """
    made, listener = plan(launch), Listener(run)
    known: set[str] = {""}
    while not ended():
        listener.check()
        for file in sorted(run.glob(f"*/*/{JOB}")):
            identity = identity_of(file)
            if identity not in known:
                known.add(identity)
                noted(progress, file.parent.name)
                take_part(made, file.parent, progress, listener.check)
        time.sleep(POLL)


def identity_of(job: Path) -> str:
    """What tells one start of a job from another; empty if the file is gone or was not written whole."""
    try:
        return str(json.loads(job.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError):
        return ""


def take_part(made: Plan, folder: Path, progress: Progress, check: Callable[[], None] = lambda: None) -> None:
    """Start the processes of this machine for the job in a folder, and wait for their end; `check` is asked meanwhile whether to go on.

    TrainingError with the reason that a process gave, or with the last words of the launcher.
    """
    log = folder / (f"{made.machine_rank}-{LOG}" if made.machine_rank else LOG)
    with started(command(made, folder / JOB), log, made.kind == CPU) as process:
        hear(process, folder / TOLD, progress, check)
    if process.returncode:
        raise TrainingError(why(folder, log, made, process.returncode))


@contextlib.contextmanager
def started(argv: list[str], log: Path, cpu: bool) -> Iterator[subprocess.Popen]:
    """The launcher at work; ended with us, and before we go on."""
    package = str(Path(__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths, **({"ACCELERATE_USE_CPU": "true"} if cpu else {})}
    with open(log, "ab") as output:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Ask the launcher and its processes to end, and make them."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def hear(process: subprocess.Popen, file: Path, progress: Progress, check: Callable[[], None]) -> None:
    """Pass on what process 0 tells until the launcher ends."""
    read = 0
    while True:
        running = process.poll() is None
        if file.is_file():
            with open(file, "rb") as lines:
                lines.seek(read)
                for line in lines:
                    if line.endswith(b"\n"):
                        read += len(line)
                        told = json.loads(line)
                        noted(progress, told["note"])
                        progress(told["done"], told["total"])
        if not running:
            return
        check()
        time.sleep(POLL)


def why(folder: Path, log: Path, made: Plan, status: int) -> str:
    """The reason of a failed launch."""
    for file in sorted(folder.glob(FAILED.format("*"))):
        return str(json.loads(file.read_text(encoding="utf-8"))["error"])
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    killed = any("exitcode: -9" in line.lower() or "signal 9" in line.lower() for line in lines[-60:])
    if killed:
        return (
            f"{folder}: a process was killed by the system, most often for want of memory. Lower micro_batch or max_length, take fewer "
            f"processes a machine, or spread the weights with --launch fsdp2. All that was printed is in {log}."
        )
    said = [line for line in lines if re.match(r"(\[rank\d+\]: )?[\w.]+(Error|Exception)\b", line) and "ChildFailed" not in line]
    last = (said or lines or ["nothing was printed"])[0 if said else -1]
    return f"{folder}: the launcher ended with status {status} on {made.processes} processes: {last.strip()[:300]} (all of it in {log})."
