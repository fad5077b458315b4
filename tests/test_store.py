"""A run on disk: finished means the last file is there; killing and going on gives the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from persllm.errors import RunError
from persllm.ingestion.folder import taken
from persllm.meeting.folder import taken as meeting_folder
from persllm.records import Dropped, Message, Question
from persllm.store import Run, StepFolder, read_lines, replace_text


def items(count: int) -> list[Question]:
    return [Question(persona="ada", stage="early", kind="question", text=f"number {n}", material="m") for n in range(count)]


def work(seen: list[str]):
    def produce(owed):
        for item in reversed(owed):
            seen.append(item.text)
            lost = [Dropped(item=item.identity, reason="seven")] if item.text.endswith("7") else []
            yield item, ([] if lost else [Message(role="user", content=item.text)], lost)

    return produce


def test_records_come_out_in_the_order_of_the_items(tmp_path: Path) -> None:
    folder = StepFolder(tmp_path)
    folder.fill(items(8), work([]))
    assert [m.content for m in folder.records(Message)] == [f"number {n}" for n in range(7)]
    folder.finish(1.0, {"made": 7})
    assert folder.summary()["dropped"] == {"seven": 1}
    assert not (tmp_path / "items.jsonl").exists()


def test_a_torn_or_foreign_last_line_is_owed_again(tmp_path: Path) -> None:
    folder, seen = StepFolder(tmp_path), []
    folder.fill(items(3), work(seen))
    log = tmp_path / "items.jsonl"
    lines = log.read_bytes().split(b"\n")
    log.write_bytes(lines[0] + b'\n{"foreign": 1}\n\xff\xfe\n' + lines[1][:30])
    seen.clear()
    folder.fill(items(3), work(seen))
    assert seen == ["number 1", "number 0"]
    assert [m.content for m in folder.records(Message)] == ["number 0", "number 1", "number 2"]


def test_a_line_separator_inside_a_text_does_not_end_a_line(tmp_path: Path) -> None:
    replace_text(tmp_path / "a.jsonl", json.dumps("one\u2028two", ensure_ascii=False) + "\n")
    assert read_lines(tmp_path / "a.jsonl") == ['"one\u2028two"']


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    folder = StepFolder(tmp_path / "4-dataset")
    folder.begin({"mixture": {"repeat": 2}})
    folder.begin({"mixture": {"repeat": 2}})
    with pytest.raises(RunError, match=r"mixture\.repeat: 2 there, 5 now(.|\n)*--run NAME(.|\n)*--redo 4-dataset"):
        folder.begin({"mixture": {"repeat": 5}})


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("photos")
    with pytest.raises(RunError, match="no made-with"):
        StepFolder(tmp_path).begin({})


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".a.jsonl.fresh").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"a\.jsonl: no space left on the disk"):
        replace_text(tmp_path / "a.jsonl", "text")
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize("place", ["/sys/kernel/persllm", "{tmp}/file/persllm"])
def test_an_unwritable_folder_is_one_clear_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=r"cannot write here .*--runs DIR"), Run(Path(place.format(tmp=tmp_path))).locked():
        pass


def test_an_unwritable_folder_is_told_with_the_option_that_names_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=r"cannot write here .*another folder with --into DIR\."), taken(tmp_path / "file" / "ada"):
        pass
    with (
        pytest.raises(RunError, match=r"cannot write here .*another folder with --out FOLDER\."),
        meeting_folder(tmp_path / "file" / "x", {}),
    ):
        pass
    with pytest.raises(RunError, match=r"cannot write here .*another folder\.$"):
        replace_text(tmp_path / "file" / "a.jsonl", "text")


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    with Run(tmp_path / "toy").locked(), pytest.raises(RunError, match="another persllm"), Run(tmp_path / "toy").locked():
        pass


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_store import items
from persllm.records import Message
from persllm.store import StepFolder
def slow(owed):
    for item in owed:
        time.sleep(0.02)
        print(item.text, file=open({done!r}, "a"), flush=True)
        yield item, ([Message(role="user", content=item.text)], [])
StepFolder(Path({folder!r})).fill(items(40), slow)
"""


def test_a_killed_step_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    done = tmp_path / "done"
    code = SLOW.format(tests=str(Path(__file__).parent), done=str(done), folder=str(tmp_path / "step"))
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        start = len(done.read_text().split("\n")) if done.exists() else 0
        while process.poll() is None and (not done.exists() or len(done.read_text().split("\n")) < start + 6):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
    assert [m.content for m in StepFolder(tmp_path / "step").records(Message)] == [f"number {n}" for n in range(40)]
    worked = done.read_text().split("\n")[:-1]
    assert len(worked) <= 40 + 3, "more than the item in hand was done twice"
