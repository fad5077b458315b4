"""One base for several persons answers each as the person's own merged model would."""

import shutil
from pathlib import Path

import pytest
import torch
from toy_base import build_toy
from toy_run import build_run

from persllm.adapters import adapters_of
from persllm.agent import Company
from persllm.base import LocalModel, load_parts, save_whole
from persllm.errors import BaseModelError
from persllm.records import Message, Request, Sampling
from persllm.serve.names import Directory, Folder
from persllm.shared_base import SharedModel, open_model
from persllm.training.adapters import adapter_settings


def adapt(base: Path, folder: Path, seed: int) -> None:
    """A phase that was trained: adapter and merged model, here with drawn weights."""
    from peft import get_peft_model

    tokenizer, model = load_parts(str(base), "auto")
    adapted = get_peft_model(model, adapter_settings(model, tokenizer, rank=2))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name or "trainable_tokens_delta" in name:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    adapted.save_pretrained(folder / "adapter", save_embedding_layers=False)
    save_whole(adapted.merge_and_unload(), tokenizer, folder / "model")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = build_run(tmp_path_factory.mktemp("shared"), mode="solo")
    for seed, person in enumerate(("ada", "bo")):
        shutil.rmtree(run / "5-sft" / person)
        adapt(run / "0-base" / "model", run / "5-sft" / person, seed)
        adapt(run / "5-sft" / person / "model", run / "7-dpo" / person, seed + 10)
    return run


def requests() -> list[Request]:
    stages = {"ada": ("early", "late"), "bo": ("late", "after")}
    return [
        Request(messages=(Message(role="user", content=f"Box {n}?"),), persona=p, stage=s, sampling=Sampling(max_tokens=8))
        for n in range(3)
        for p, both in stages.items()
        for s in both
    ]


@pytest.mark.parametrize("step", ["5-sft", "7-dpo"])
def test_every_person_answers_as_alone_in_one_batch(run: Path, step: str) -> None:
    shared = open_model(run / step, threads=1)
    assert isinstance(shared, SharedModel)
    together = dict(shared.replies(requests()))
    alone = {person: LocalModel.load(run / step / person / "model", threads=1) for person in ("ada", "bo")}
    expected = [next(iter(alone[request.persona].replies([request])))[1] for request in requests()]
    assert [together[place] for place in range(len(expected))] == expected
    assert len({reply.text for reply in expected}) > 3


def test_likelihoods_are_those_of_the_merged_models(run: Path) -> None:
    shared, answers = open_model(run / "7-dpo", threads=1), [f"Red {n}." for n in range(len(requests()))]
    found = shared.log_likelihoods(requests(), answers)
    for person in ("ada", "bo"):
        places = [place for place, request in enumerate(requests()) if request.persona == person]
        own = LocalModel.load(run / "7-dpo" / person / "model", threads=1)
        expected = own.log_likelihoods([requests()[p] for p in places], [answers[p] for p in places])
        assert [found[p].total for p in places] == pytest.approx([one.total for one in expected], abs=1e-3)


def test_a_company_of_adapters_loads_one_base(run: Path) -> None:
    company = Company(run)
    ada, bo = company.agent("ada", "early"), company.agent("bo")
    assert ada.model is bo.model
    assert isinstance(ada.model, SharedModel)
    assert ada.say("Hello?").text != bo.say("Hello?").text
    assert company.agent("ada", taker="base").model is not ada.model


def test_without_adapters_there_is_nothing_to_share(run: Path, tmp_path: Path) -> None:
    assert adapters_of(tmp_path) == {}
    with pytest.raises(BaseModelError, match="no adapters"):
        SharedModel.assemble(build_toy(tmp_path / "toy"), {})


def test_the_server_loads_the_base_once_for_all(run: Path) -> None:
    [(name, source)] = Directory([Company(run, opener=Folder)]).sources().items()
    assert (name, source.base) == (str(run), str(run / "0-base" / "model"))
    assert source.adapters == {f"7-dpo-{p}": tuple(str(run / phase / p / "adapter") for phase in ("5-sft", "7-dpo")) for p in ("ada", "bo")}
