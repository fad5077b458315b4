"""docs/novels.md on the real novel: its commands are run, and what it prints as output is what they print.

The training takes minutes and runs by `make walkthrough` (PERSLLM_WALKTHROUGH=1); the reading runs with all tests.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from persllm.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "novels.md"
NOVEL = "novels/litbank/original/113_the_secret_garden.txt"
LONG = os.environ.get("PERSLLM_WALKTHROUGH") == "1"


def blocks() -> Iterator[tuple[str, str]]:
    """(command, output) of every block of the page that begins with `$ persllm`."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        lines = block.replace("\\\n", "").split("\n")
        if lines[0].startswith("$ persllm "):
            yield lines[0].removeprefix("$ persllm "), "\n".join(lines[1:]).strip()


@pytest.fixture
def place(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the novel, in which the commands are typed."""
    shutil.copy(shared / NOVEL, tmp_path / "secret-garden.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(command: str, words: str = "") -> str:
    """What a command prints to the standard output; it must end well."""
    result = CliRunner().invoke(app, shlex.split(command), input=words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_novel_becomes_the_folder_that_the_page_shows(place: Path) -> None:
    command, shown = next(blocks())
    printed = " ".join(typed(command).split())
    assert command.startswith("ingest ")
    for line in shown.split("\n"):
        assert " ".join(line.split()) in printed, f"docs/novels.md shows {line!r}"
    speech = (next((place / "mary" / "materials" / "friends").glob("speech-*"))).read_text(encoding="utf-8")
    assert '"speaker": "Mary Lennox", "to": "Colin"' in speech


@pytest.mark.skipif(not LONG, reason="trains for minutes: make walkthrough")
def test_the_whole_page(place: Path) -> None:
    for command, _ in blocks():
        printed = typed(command, "Who is Dickon?\n")
        assert printed.strip()
    assert (place / "runs" / "mary" / "9-report" / "report.html").is_file()
