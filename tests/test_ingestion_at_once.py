"""Two processes at one persona folder: the second is told so in one line and changes nothing; a dead one blocks nobody."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_ingestion import STORY, asked, state

from persllm.errors import RunError
from persllm.ingestion import ingest
from persllm.ingestion.folder import taken
from persllm.materials import read_folder
from persllm.store import locked

SLOW = """
import sys
from pathlib import Path
from persllm.ingestion import ingest, request_of

def wait(done, total):
    if done >= total:  # all is read, nothing is written
        print("read", flush=True)
        sys.stdin.readline()

request = request_of([Path(sys.argv[1])], "Ada Lorn", ["Ada"], "", "", "", "")
ingest(request, Path(sys.argv[2]), progress=wait)
print("written", flush=True)
"""


@pytest.fixture
def story(tmp_path: Path) -> Path:
    (tmp_path / "story.txt").write_text(STORY)
    return tmp_path / "story.txt"


@contextmanager
def at_work(source: Path, folder: Path) -> Iterator[subprocess.Popen]:
    """A process that has read everything and waits for a line before it writes."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, source, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "read\n"
            yield process
        finally:
            process.kill()


def command(source: Path, folder: Path, *more: str) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "persllm.cli", "ingest", source, "--person", "Ada Lorn", "--alias", "Ada", "--into", folder, *more]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("there", [False, True])
def test_the_second_of_two_processes_is_refused_in_one_line(there: bool, story: Path, tmp_path: Path) -> None:
    folder, more = tmp_path / "ada", tmp_path / "more.txt"
    more.write_text("Ada Lorn came back in winter.\n")
    if there:
        ingest(asked(story), folder)
    with at_work(more, folder) as first:
        before = state(tmp_path)
        second = command(story, folder)
        assert second.returncode == 2
        assert (
            second.stderr.strip().split("\n")[-1]
            == f"persllm: {folder}: another persllm is at work here. Wait for it, or give another folder."
        )
        assert command(story, folder, "--dry-run").returncode == 0, "a dry run changes nothing and may look at any time"
        assert state(tmp_path) == before
        first.stdin.write("\n")
        first.stdin.close()
        assert first.stdout.readline() == "written\n"
    assert command(story, folder).returncode == 0
    assert len(read_folder(folder).materials) == 3
    assert not list(tmp_path.rglob("*.lock")), "nothing is left beside the folder"


@pytest.mark.parametrize("there", [False, True])
def test_a_process_that_was_killed_blocks_nobody(there: bool, story: Path, tmp_path: Path) -> None:
    folder, more = tmp_path / "ada", tmp_path / "more.txt"
    more.write_text("Ada Lorn came back in winter.\n")
    if there:
        ingest(asked(story), folder)
    with at_work(more, folder) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert len(list(tmp_path.rglob("*.lock"))) == 1
        ingest(asked(more), folder)
    assert len(read_folder(folder).materials) == (3 if there else 1)
    assert not list(tmp_path.rglob("*.lock"))


def test_forget_keeps_out_too(story: Path, tmp_path: Path) -> None:
    from persllm.forgetting import forget

    ingest(asked(story), tmp_path / "ada")
    with taken(tmp_path / "ada"), pytest.raises(RunError, match="another persllm is at work"):
        forget(tmp_path / "ada", "story.txt")
    assert forget(tmp_path / "ada", "story.txt").written


HOLDER = """
import sys, time
from pathlib import Path
from persllm.errors import RunError
from persllm.store import locked

lock, log, until = Path(sys.argv[1]), Path(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    try:
        with locked(lock, "taken", passing=True):
            with open(log, "a") as file:
                file.write("in\\n")
                file.flush()
                time.sleep(0.0005)
                file.write("out\\n")
    except RunError:
        pass
"""


def test_a_passing_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The file comes and goes while several processes ask for it: never are two inside."""
    lock, log = tmp_path / "a.lock", tmp_path / "log"
    processes = [subprocess.Popen([sys.executable, "-c", HOLDER, lock, log, "2"]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    seen = log.read_text().split()
    assert len(seen) > 100
    assert set(zip(seen[::2], seen[1::2], strict=True)) == {("in", "out")}
    started = time.monotonic()
    with locked(lock, "taken", passing=True), pytest.raises(RunError, match="taken"), locked(lock, "taken", passing=True):
        pass
    assert time.monotonic() - started < 1
    assert not lock.exists()
