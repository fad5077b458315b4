"""Machine 0 of several, and the others that wait for it: they hear of its failure, and do not wait for ever."""

import threading
import time
from pathlib import Path

import pytest

from persllm import launching
from persllm.config import Recipe, SftSettings
from persllm.errors import PersllmError, RunError, TrainingError
from persllm.launching import Launch, follow
from persllm.leading import LEADING, Listener, leading, sign_of
from persllm.pipeline import run_recipe
from persllm.store import replace_json, silent
from persllm.training.arguments import training_arguments
from persllm.training.process import MIXED, compute_as_set


def machine(rank: int) -> Launch:
    """One of two machines that meet at a port where nobody listens."""
    return Launch(config="cpu", processes=2, machines=2, machine_rank=rank, address="127.0.0.1:9")


class Other(threading.Thread):
    """A machine that does something until it is over, and keeps the error it ended with."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.error = work, ""
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except PersllmError as error:
            self.error = str(error)

    def ended(self, seconds: float = 30.0) -> str:
        """The error it ends with."""
        self.join(seconds)
        assert not self.is_alive(), "the other machine waits for ever"
        return self.error


def test_a_failure_of_machine_0_ends_the_others_with_its_reason(tmp_path: Path) -> None:
    other = Other(lambda: follow(machine(1), tmp_path, lambda: False, silent))
    with pytest.raises(RunError), leading(tmp_path):  # noqa: PT012
        assert sign_of(tmp_path).id
        time.sleep(0.5)
        raise RunError("no space left on the disk")
    assert other.ended() == f"{tmp_path}: machine 0 failed: no space left on the disk"


def test_a_failure_ends_a_training_that_waits_for_machine_0(tmp_path: Path) -> None:
    """The job is there, and the processes of machine 1 wait for those of machine 0, which never come."""
    replace_json(tmp_path / "5-sft" / "cast" / "job.json", {"id": "1"})
    other = Other(lambda: follow(machine(1), tmp_path, lambda: False, silent))
    with pytest.raises(RuntimeError), leading(tmp_path):  # noqa: PT012
        time.sleep(1.5)
        raise RuntimeError("machine 0 has no GPU")
    assert "machine 0 has no GPU" in other.ended(launching.PATIENCE + 30)


def test_a_run_that_machine_0_refuses_is_refused_on_the_others(starter: Path, tmp_path: Path) -> None:
    recipe = Recipe(name="hanne", personas=(str(starter),))
    replace_json(tmp_path / "runs" / "hanne" / "config.json", recipe.model_copy(update={"seed": 1}).model_dump(mode="json"))
    other = Other(lambda: run_recipe(recipe, tmp_path / "runs", launch=machine(1)))
    time.sleep(0.5)
    with pytest.raises(RunError) as refused:
        run_recipe(recipe, tmp_path / "runs", launch=machine(0))
    assert other.ended() == f"{tmp_path / 'runs' / 'hanne'}: machine 0 failed: {refused.value}"


def test_a_failure_of_before_is_not_taken_for_one_of_now(tmp_path: Path) -> None:
    with pytest.raises(RunError), leading(tmp_path):
        raise RunError("yesterday")
    over = threading.Event()
    other = Other(lambda: follow(machine(1), tmp_path, over.is_set, silent))
    time.sleep(0.5)
    assert other.is_alive()
    with leading(tmp_path):
        time.sleep(0.5)
        over.set()
    assert other.ended() == ""
    assert not (tmp_path / LEADING).exists(), "nothing is left of a command that went well"


def test_silence_ends_the_waiting_and_signs_prolong_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persllm.leading.SILENCE", 0.6)
    monkeypatch.setattr("persllm.leading.BEAT", 0.1)
    listener = Listener(tmp_path)
    with leading(tmp_path):
        for _ in range(10):
            time.sleep(0.15)
            listener.check()
    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"no sign of machine 0 for 1 s\. Look whether its command still runs"):
        follow(machine(1), tmp_path, lambda: False, silent)
    assert 0.5 < time.monotonic() - started < 10


# What the processes compute in --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "precision", "found"),
    [
        ("bf16", "float32", "no"), ("bf16", "bfloat16", "no"), ("bf16", "auto", "no"), ("no", "mixed", "bf16"), ("fp16", "auto", "fp16"),
        ("fp16", "float32", "no"),
    ],
)  # fmt: skip
def test_the_precision_of_the_recipe_rules_over_that_of_the_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str, precision: str, found: str
) -> None:
    """`auto` is float32 where there is no GPU; all that TRL's configurations name is bf16."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv(MIXED, launcher)
    settings = SftSettings(precision=precision)
    if precision == "float32":
        assert training_arguments("sft", settings, tmp_path, 10, 0, 100).mixed_precision == launcher, "what happens if nothing is done"
    compute_as_set(settings)
    assert training_arguments("sft", settings, tmp_path, 10, 0, 100).mixed_precision == found
