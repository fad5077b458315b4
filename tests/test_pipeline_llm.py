"""`engine: llm` through all ten steps, over a real server on this machine, on the starter person and a tiny model."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from fake_server import FakeServer, plausible
from test_pipeline import TINY

from persllm.pipeline import STEPS
from persllm.records import Conversation, Dropped, PreferencePair, Question
from persllm.store import Run
from persllm.styling import stylised_of

LLM = [
    "constructor.engine=llm", "constructor.api.model=fake", "constructor.questions_per_material=1", "constructor.stylised=6",
    "constructor.cross_stage=1.0", "constructor.kinds.future=1.0", "mixture.stylised=0.1", "evaluation.takers=[base,dpo]",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Run, str, int]:
    """The run, what the command printed, and how many calls there were; run twice, and the second time paid nothing."""
    place = tmp_path_factory.mktemp("llm")
    environment = {**os.environ, "PERSLLM_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "persllm.cli", "new", "hanne"], check=True, cwd=place, capture_output=True, env=environment)
    with FakeServer(answer=plausible) as server:
        settings = [part for s in [*TINY, *LLM, f"constructor.api.url={server.url}"] for part in ("--set", s)]
        command = [sys.executable, "-m", "persllm.cli", "run", "hanne/recipe.yaml", "--runs", "runs", *settings]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        calls = server.requests
    return Run(place / "runs" / "hanne"), done.stdout + done.stderr, calls


def test_every_step_is_finished_and_the_report_is_there(made: tuple[Run, str, int]) -> None:
    run, printed, calls = made
    assert [step.folder for step in STEPS if not run.step(step.folder).finished] == []
    assert (run.path / "9-report" / "report.html").stat().st_size > 5000
    assert "127.0.0.1" in printed
    assert calls > 100


def test_every_kind_is_raised_answered_and_trained_on(made: tuple[Run, str, int]) -> None:
    run, _, _ = made
    kinds = {"question", "opinion", "induction", "control", "future"}
    assert {q.kind for q in run.step("2-questions").records(Question)} == kinds
    answers = run.step("3-answers").records(Conversation)
    assert {c.kind for c in answers} == kinds
    assert any(c.form == "pressure" and len(c.messages) >= 4 for c in answers)
    assert any(c.form == "follow" for c in answers)
    for step in ("2-questions", "3-answers", "4-dataset"):
        lost = run.step(step).records(Dropped, "dropped.jsonl")
        assert not {"call failed", "format"} & {entry.reason for entry in lost}
    train = run.step("4-dataset").records(Conversation, "train.jsonl")
    assert {c.kind for c in train} == {*kinds, "general"}
    assert any(c.answer.thought for c in train)


def test_stylised_talk_is_made_kept_apart_and_mixed_in(made: tuple[Run, str, int]) -> None:
    run, _, _ = made
    stylised = stylised_of(run.step("3-answers"))
    assert Counter(c.stage for c in stylised) == {"young": 6, "old": 6}
    mixed = [c for c in run.step("4-dataset").records(Conversation, "train.jsonl") if c.kind == "general" and c.persona]
    assert mixed
    assert {c.identity for c in mixed} <= {c.identity for c in stylised}
    assert json.loads((run.path / "3-answers" / "step.json").read_text())["stylised"] == 12


def test_pairs_by_stage_are_of_one_question(made: tuple[Run, str, int]) -> None:
    run, _, _ = made
    by_identity = {c.identity: c for c in run.step("4-dataset").records(Conversation, "conversations.jsonl")}
    pairs = [pair for pair in run.step("6-pairs").records(PreferencePair) if pair.contrast == "stage"]
    assert pairs
    same = [pair for pair in pairs if by_identity[pair.chosen_from].prompt == by_identity[pair.rejected_from].prompt]
    assert len(same) >= len(pairs) / 2
