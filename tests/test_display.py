"""What is told of progress where there is no terminal."""

import pytest
from rich.progress import Progress

from persllm.cli.display import LINE_EVERY, Bar


def test_the_time_left_is_told_when_enough_is_done_to_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Progress(disable=True)
    bar = Bar(bars, bars.add_task("reading"), "reading")
    bar.begun -= 600
    told = []
    for done in (1, 20):
        bar.told -= LINE_EVERY
        bar(done, 200)
        told.append(capsys.readouterr().err)
    assert told == ["reading: 1 of 200\n", "reading: 20 of 200, about 90 min left\n"]
