"""A real server of somebody else's as annotator: `transformers serve` with a toy model on this machine.

The toy writes nonsense, which is the point: every call is answered and accounted for, what is malformed is dropped
with its reason, nothing crashes. Heavy: runs only by `make check-serve-annotator`, which sets PERSLLM_ANNOTATOR.
"""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from persllm.config import Recipe, read_recipe
from persllm.construction import Construction
from persllm.materials import read_folder
from persllm.records import Conversation, Dropped, Question
from persllm.starter import write_starter
from persllm.store import StepFolder

pytestmark = pytest.mark.skipif(not os.environ.get("PERSLLM_ANNOTATOR"), reason="a server is heavy: make check-serve-annotator")
ANSWERED = re.compile(r'"POST /v1/chat/completions HTTP/1\.1" (\d+)')
STARTS_WITHIN = 120.0
"""Seconds."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Address, name of the model, and the server's log."""
    from toy_base import build_toy

    folder = tmp_path_factory.mktemp("served")
    model, log = build_toy(folder / "toy"), folder / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as out, subprocess.Popen([*command, "--device", "cpu"], stdout=out, stderr=out, env=environment) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1", str(model), log
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen, log: Path, within: float = STARTS_WITHIN) -> None:
    """Until the server answers; what it said if it does not."""
    end = time.monotonic() + within
    while time.monotonic() < end and server.poll() is None:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")


def recipe_for(place: Path, url: str, model: str) -> Recipe:
    sets = (
        "constructor.engine=llm", f"constructor.api.url={url}", f"constructor.api.model={model}", "constructor.api.max_tokens=40",
        "constructor.api.concurrency=2", "constructor.questions_per_material=1", "constructor.follow_up=1.0",
    )  # fmt: skip
    return read_recipe(write_starter(place / "p"), sets)


def answered(log: Path) -> Counter[str]:
    """Status -> how many calls the server answered with it, by its own log."""
    return Counter(ANSWERED.findall(log.read_text()))


def test_every_call_is_answered_and_accounted_for(served: tuple[str, str, Path], tmp_path: Path) -> None:
    url, model, log = served
    recipe = recipe_for(tmp_path, url, model)
    folder = read_folder(Path(recipe.personas[0]))
    materials = folder.materials[:4]
    made = Construction(recipe, [folder.persona], materials, tmp_path / "spending.jsonl", tmp_path / "kept")
    raised, given = StepFolder(tmp_path / "2-questions"), StepFolder(tmp_path / "3-answers")
    facts = made.raise_questions(raised, lambda done, total: None)
    asked = [*raised.records(Question), *questions_by_rule(recipe, tmp_path, folder)[:6]]
    more = made.answer_questions(asked, given, lambda done, total: None)

    calls, statuses = facts["usage"]["calls"] + more["usage"]["calls"], answered(log)
    kept = sqlite3.connect(tmp_path / "kept" / "replies.sqlite").execute("SELECT count(*) FROM replies").fetchone()[0]
    lost = [*raised.records(Dropped, "dropped.jsonl"), *given.records(Dropped, "dropped.jsonl")]
    print(f"{calls} calls paid, {dict(statuses)} answered, {kept} replies kept")
    print(f"{len(asked)} questions asked; dropped: {dict(Counter(one.reason for one in lost))}")
    assert statuses == {"200": calls}
    assert 0 < kept <= calls
    assert facts["usage"]["completion_tokens"] > 0
    failed = [one for one in lost if one.reason == "call failed"]
    assert all("empty reply" in one.detail for one in failed), failed
    assert lost
    assert all(one.reason for one in lost)
    ends = {one.question for one in given.records(Conversation)} | {one.item for one in given.records(Dropped, "dropped.jsonl")}
    assert ends == {question.identity for question in asked}


def questions_by_rule(recipe: Recipe, place: Path, folder) -> list[Question]:
    """Questions that need no model, so that answers are asked for even if the toy raises nothing."""
    plain = recipe.model_copy(update={"constructor": recipe.constructor.model_copy(update={"engine": "extractive"})})
    step = StepFolder(place / "plain" / "2-questions")
    Construction(plain, [folder.persona], folder.materials[:4], place / "none.jsonl", place / "none").raise_questions(
        step, lambda done, total: None
    )
    return step.records(Question)
