"""A scan over stages through Ray: every meeting there, as many turns as here, and the cluster ended. Behind `make check-ray`."""

import os
from pathlib import Path

import pytest
from toy_run import build_run

from persllm.meeting import read_scene, scan
from persllm.meeting.folder import transcript

pytestmark = pytest.mark.skipif(not os.environ.get("PERSLLM_RAY"), reason="starts a Ray cluster: make check-ray")


def test_a_scan_over_ray_holds_every_meeting_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    run = build_run(tmp_path)
    file = tmp_path / "scene.yaml"
    file.write_text(
        f"title: T\nrun: {run}\nseats: [{{persona: ada}}, {{persona: bo}}]\nend: {{turns: 3, silence: 9}}\nmax_tokens: 4\n",
        encoding="utf-8",
    )
    heard = []
    meetings = scan(read_scene(str(file)), tmp_path / "out", lambda meeting, turn: heard.append(turn), count=2, runner="ray")
    assert not ray.is_initialized()
    assert (len(meetings), len(heard)) == (8, 24)
    assert all(len(transcript(tmp_path / "out", meeting).read_text().splitlines()) == 3 for meeting in meetings)
    transcript(tmp_path / "out", meetings[5]).unlink()
    heard.clear()
    scan(read_scene(str(file)), tmp_path / "out", lambda meeting, turn: heard.append(turn), count=2, runner="ray")
    assert len(heard) == 3
