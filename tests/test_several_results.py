"""Phases and versions of several persons as adapters of one base, chosen by the model's name on a real server."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from test_shared_base import adapt
from toy_run import build_run

from persllm.adapters import chain_of
from persllm.agent import Company
from persllm.base import LocalModel
from persllm.records import Message, Request, Sampling
from persllm.registry import Registry
from persllm.serve.names import Directory, Folder
from persllm.store import Run, replace_json
from persllm.versions import Version, training_of

FOLDERS = {"sft": "5-sft/{}/model", "dpo": "7-dpo/{}/model", "v1": "versions/1/{}/model"}
LUCK = {"temperature": 1.0, "max_tokens": 12, "seed": 7}
STAGES = {"ada": ("early", "late"), "bo": ("late", "after")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two persons with adapters of both phases; Ada has a version upon them, and a tag names it."""
    made = build_run(tmp_path_factory.mktemp("several"), mode="solo")
    for seed, person in enumerate(STAGES):
        shutil.rmtree(made / "5-sft" / person)
        adapt(made / "0-base" / "model", made / "5-sft" / person, seed)
        adapt(made / "5-sft" / person / "model", made / "7-dpo" / person, seed + 10)
    adapt(made / "7-dpo" / "ada" / "model", made / "versions" / "1" / "ada", 20)
    version = Version(
        number=1, parent=0, made="2026-01-02T00:00:00Z", seconds=1, training=training_of(Run(made)), data="d", learnt=(), held_out=(), pairs=1, old=0,
        models={"ada": "versions/1/ada/model", "bo": "7-dpo/bo/model"}, compared=(), kept=True, reasons=(),
    )  # fmt: skip
    replace_json(made / "versions" / "1" / "version.json", version.model_dump(mode="json"))
    Registry(made).tag("v1", "spring")
    return made


def test_a_version_stands_upon_both_phases(run: Path) -> None:
    found = [str(place.relative_to(run)) for place in chain_of(Run(run), "versions/1/ada/model")]
    assert found == ["5-sft/ada/adapter", "7-dpo/ada/adapter", "versions/1/ada/adapter"]
    shutil.move(run / "7-dpo" / "ada" / "adapter", run / "kept")
    assert chain_of(Run(run), "versions/1/ada/model") == []
    shutil.move(run / "kept", run / "7-dpo" / "ada" / "adapter")


def test_all_that_is_asked_for_is_one_base_in_memory(run: Path) -> None:
    several = Directory([Company(run, opener=Folder)], ["dpo", "sft", "v1"])
    [source] = several.sources().values()
    assert sorted(source.adapters) == ["5-sft-ada", "5-sft-bo", "7-dpo-ada", "7-dpo-bo", "versions-1-ada"]
    assert "ada@early:v1" in several.names
    assert several.named("ada@late:sft", "early") == "ada@early:sft"
    assert several.named("ada", "early") == "ada@early"
    [alone] = Directory([Company(run, opener=Folder)], ["base"]).sources().values()
    assert alone.adapters == {}


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[openai.OpenAI]:
    words = [part for taker in ("dpo", "sft", "spring") for part in ("--taker", taker)]
    command = [sys.executable, "-m", "persllm.cli", "serve", str(run), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = re.search(r"http://\S+/v1", server.stdout.readline())[0]
        yield openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)
        server.send_signal(signal.SIGINT)


def test_every_name_answers_as_its_own_merged_model_in_one_batch(run: Path, client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed[:3] == ["ada", "ada@early", "ada@late"]
    assert {"ada@early:sft", "bo:spring", "bo@after:dpo"} <= set(listed)
    asked = [(p, s, taker) for p, stages in STAGES.items() for s in stages for taker in ("", "sft", "spring")]

    def ask(who: tuple[str, str, str]) -> str:
        person, stage, taker = who
        name = f"{person}@{stage}:{taker}" if taker else f"{person}@{stage}"
        said = client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Box 1?"}], **LUCK)
        return said.choices[0].message.content

    with ThreadPoolExecutor(len(asked)) as pool:
        found = dict(zip(asked, pool.map(ask, asked), strict=True))
    for (person, stage, taker), text in found.items():
        result = {"": "dpo", "sft": "sft", "spring": "v1" if person == "ada" else "dpo"}[taker]
        model = LocalModel.load(run / FOLDERS[result].format(person), threads=1)
        request = Request(messages=(Message(role="user", content="Box 1?"),), persona=person, stage=stage, sampling=Sampling(**LUCK))
        assert text == next(iter(model.replies([request])))[1].text, (person, stage, taker)
    assert len(set(found.values())) > 6
    switched = client.chat.completions.create(
        model="ada:sft", messages=[{"role": "user", "content": "Box 1?"}], **LUCK, extra_body={"chat_template_kwargs": {"stage": "early"}}
    )  # fmt: skip
    assert switched.choices[0].message.content == found["ada", "early", "sft"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("ada@early:v9")
