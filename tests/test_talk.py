"""`persllm chat`, through a pipe and in a terminal; what an answer goes back to; talks as files."""

import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
from toy_base import colour_talk
from toy_run import build_run, materials
from typer.testing import CliRunner, Result

from persllm.cli import app
from persllm.errors import ConfigError, PersllmError
from persllm.evidence import Evidence
from persllm.records import Message
from persllm.talks import save_talk

COMMAND = [sys.executable, "-m", "persllm.cli", "chat"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("talk"))


def piped(run: Path, lines: str, *more: str) -> Result:
    """The chat with lines from a pipe, in this process."""
    return CliRunner().invoke(app, ["chat", str(run), *more], input=lines)


def test_a_talk_through_a_pipe(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "/why\nWhat is in box 1?\n/why\n/retry\n/stage early\nWhat is in box 2?\n/history\n/save a.md\n/save a.txt\n/stage war\n/x\n/memory\n"
    done = piped(run, lines, "--persona", "ada")
    assert (done.exit_code, done.stderr) == (0, "")
    said = done.stdout.split("\n")
    assert said[0].startswith("You talk to a language model trained as Ada Lind, old woman.")
    assert said[1] == "nothing was answered yet; ask something first."
    assert "[Ada Lind, girl]" in said
    assert "you: What is in box 2?" in said
    assert "you: What is in box 1?" not in said
    assert 'stage "war" is not a stage of Ada Lind (early, late).' in said
    assert "/x: no such command. /help shows all." in said
    assert "nothing is remembered; start the chat with --memory." in said
    assert "> " not in done.stdout
    saved = (tmp_path / "a.md").read_text()
    assert "written by a language model trained as Ada Lind, girl" in saved
    assert "**You:** What is in box 2?" in saved
    assert not (tmp_path / "a.txt").exists()


def test_an_earlier_talk_is_remembered_and_can_be_forgotten(run: Path) -> None:
    how = ("--persona", "ada", "--memory", "--user", "kim", "--taker", "base")
    piped(run, "My dog is called Bruno.\n", *how)
    listed = piped(run, "/memory\n/memory forget all\n/memory\n", *how).stdout
    assert "My dog is called Bruno.  ->" in listed
    assert "[1 forgotten]\n[nothing yet]" in listed


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ((), "several persons; choose one with --persona: ada, bo."),
        (("--persona", "cy"), 'no person "cy"; choose one'),
        (("--persona", "ada", "--taker", "dpo"), "no trained model of ada named dpo"),
        (("--persona", "ada", "--address", "http://127.0.0.1:1/v1"), "--address needs --model"),
    ],
)
def test_complaints_name_the_ways_on(run: Path, more: tuple[str, ...], complaint: str) -> None:
    done = piped(run, "Hello\n", *more)
    assert isinstance(done.exception, PersllmError)
    assert complaint in str(done.exception)


def test_in_a_terminal_there_is_a_prompt_and_control_c_leaves(run: Path) -> None:
    child, screen = pty.fork()
    if child == 0:
        os.execv(COMMAND[0], [*COMMAND, str(run), "--persona", "bo"])
    assert "/quit." in seen(screen, "> ")
    os.write(screen, b"Where do you sail?\r")
    assert seen(screen, "> ").count("\n") >= 2
    os.write(screen, b"/help\r")
    assert "/retry" in seen(screen, "> ")
    left = ""
    for _ in range(5):  # pressed while something is written, it ends that alone; at the prompt it leaves
        os.write(screen, b"\x03")
        left = left or seen(screen, "from here.", 8)
        if left:
            break
    assert "persllm: stopped." in left
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130


def seen(screen: int, until: str, seconds: float = 40) -> str:
    """What a terminal shows until some text is there at the end, or a while has passed."""
    shown, end = "", time.monotonic() + seconds
    while until not in shown and time.monotonic() < end:
        if select.select([screen], [], [], 0.2)[0]:
            try:
                shown += os.read(screen, 4096).decode(errors="replace")
            except OSError:
                break
    return shown


def test_evidence_names_the_passage_an_answer_goes_back_to() -> None:
    trained = [talk.model_copy(update={"sources": (f"ada/m.md:{place}",)}) for place, talk in enumerate(colour_talk())]
    evidence = Evidence(trained, [m.model_copy(update={"source": "m.md:5"}) for m in materials()[:1]])
    first, *others = evidence.nearest(trained[5].answer.content, most=3)
    assert (first.likeness, first.answer, first.question) == (1.0, trained[5].answer.content, trained[5].prompt[-1].content)
    assert len({passage.source for passage in (first, *others)}) == 3
    assert all(first.likeness >= passage.likeness for passage in others)
    assert Evidence(trained, []).nearest("") == []
    assert Evidence([], []).nearest("A red bee.") == []
    assert Evidence(trained, []).nearest("zzz qqq") == []


def test_a_saved_talk_shows_markup_as_it_was_written(tmp_path: Path) -> None:
    talk = [Message(role="user", content="<b>你好</b>"), Message(role="assistant", content="![x](http://e.x)", thought="Hm.")]
    save_talk(tmp_path / "t.md", talk, "艾达", "艾达", "zh")
    text = (tmp_path / "t.md").read_text()
    assert "并非真人所说" in text
    assert "**你:** &lt;b\\>你好&lt;/b\\>" in text
    assert "![" not in text
    assert "Hm." not in text
    save_talk(tmp_path / "t.jsonl", talk, "艾达", "艾达", "zh", thoughts=True)
    head, *rows = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert "并非真人所说" in head["notice"]
    assert [Message.model_validate(row) for row in rows] == talk
    with pytest.raises(ConfigError, match="md"):
        save_talk(tmp_path / "t.pdf", talk, "a", "a")
