"""Cosine of embeddings: vectors by a rule from a real server, faults of it, an encoder of random weights, and what may not be sent."""

import json
import math
from pathlib import Path

import pytest
from fake_server import FakeServer
from planted import PERSONAS, Planted, conversations, item, items

from persllm.chat import EmbeddingModel
from persllm.chat.vectors import checked
from persllm.cli import main
from persllm.config import Recipe
from persllm.constructor_settings import AddressSettings
from persllm.errors import ConfigError, ModelError
from persllm.evaluation import by_meaning, evaluate, score, sittings
from persllm.evaluation.cosines import Vector, compare
from persllm.evaluation_settings import EmbeddingSettings, EvaluationSettings
from persllm.metrics import METRICS, cosine
from persllm.metrics.cosine import other_questions
from persllm.parsing import parse
from persllm.privacy import receivers
from persllm.records import Answer, Score
from persllm.report.tables import HEADLINES
from persllm.statistics import Figure
from persllm.step_settings import evaluation_settings
from persllm.store import Run, StepFolder, read_records
from persllm.takers import Taker

HIVES = item("knowledge", "ada", "early", "How many hives?", "Four.", {})
TEA = item("knowledge", "ada", "late", "What do you drink?", "Bitter tea.", {})
PAPER = [HIVES, TEA]
TABLE = {"Four.": [3.0, 4.0], "Bitter tea.": [0.0, 2.0], "Some hives.": [1.0, 0.0], "Tea.": [0.0, 1.0]}
"""Cosines: Four./Some hives. 3/5; Four./Bitter tea. 4/5; Bitter tea./Tea. 1."""
BY_ID = {persona.id: persona for persona in PERSONAS}
TAKER = Taker(name="sft", manner="trained", personas=BY_ID, models=dict.fromkeys(BY_ID, "perfect"))
QUICK = {"retries": 1, "rest": 0.01, "timeout": 5.0}


def model(server: FakeServer, batch: int = 8, **settings) -> EmbeddingModel:
    return EmbeddingModel(AddressSettings(url=server.url, model="enc", **QUICK | settings), batch)


def said(hives: str = "Some hives.", tea: str = "Tea.") -> list[Answer]:
    return [Answer(taker="sft", item=one.id, sample=0, text=text) for one, text in ((HIVES, hives), (TEA, tea))]


def compared(server: FakeServer, kept: Path, answers: list[Answer] | None = None, **settings) -> dict:
    """(stage, what) -> cosine, or the reason for none."""
    found = compare(["sft"], PAPER, answers or said(), model(server, **settings), kept)
    return {(one.item.partition("/")[2].partition("-")[0], one.said): one.error or one.value for one in found}


def recipe(url: str = "", path: str = "", **more) -> Recipe:
    embeddings = {"path": path, "api": {"url": url, "model": "enc" if url else "", **QUICK}}
    return parse(
        Recipe,
        {"name": "r", "personas": ["ada"], "threads": 1, "evaluation": {"bootstrap": 100, "gold": False, "embeddings": embeddings}, **more},
        "r.yaml",
    )


def test_cosines_are_those_of_the_vectors_and_each_text_is_sent_once(tmp_path: Path) -> None:
    with FakeServer(vector=TABLE.get) as server:
        found = compared(server, tmp_path)
        assert found == {("early", "answer"): 0.6, ("early", "other"): 0.8, ("late", "answer"): 1.0, ("late", "other"): 0.8}
        assert server.bodies == [{"model": "enc", "input": ["Some hives.", "Four.", "Bitter tea.", "Tea."]}]
        assert compared(server, tmp_path) == found
        assert server.requests == 1
        assert compared(server, tmp_path, said(hives="Tea."))["early", "answer"] == 0.8
        assert server.requests == 1
    [file] = tmp_path.iterdir()
    assert len(read_records(file, Vector)) == 4


def test_texts_are_cut_into_calls_and_another_address_has_vectors_of_its_own(tmp_path: Path) -> None:
    with FakeServer(vector=TABLE.get) as server, FakeServer(vector=lambda text: TABLE[text][::-1]) as other:
        assert compared(server, tmp_path, batch=3)["early", "answer"] == 0.6
        assert sorted(len(body["input"]) for body in server.bodies) == [1, 3]
        assert compared(other, tmp_path)["early", "answer"] == 0.6
        assert other.requests == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fault_that_passes_is_retried(tmp_path: Path) -> None:
    with FakeServer(lambda asked: "500" if asked.turn == 0 else "", vector=TABLE.get) as server:
        assert compared(server, tmp_path)["early", "answer"] == 0.6
        assert server.requests == 2


@pytest.mark.parametrize(
    ("fault", "reason"), [("500", "error 500: no: 500"), ("short", "0 vectors came back for 1 texts"), ("html", "not a list of embeddings")]
)
def test_a_server_that_fails_leaves_all_unscored_with_its_reason_and_nothing_kept(fault: str, reason: str, tmp_path: Path) -> None:
    with FakeServer(lambda asked: fault, vector=TABLE.get) as server:
        found = compared(server, tmp_path)
    assert len(found) == 4
    assert all(reason in str(why) for why in found.values())
    assert not list(tmp_path.iterdir())
    with FakeServer(vector=TABLE.get) as server:
        assert compared(server, tmp_path)["early", "answer"] == 0.6


def test_one_text_that_is_refused_costs_no_other_its_vector(tmp_path: Path) -> None:
    with FakeServer(lambda asked: "refuse too long" if ("user", "Some hives.") in asked.messages else "", vector=TABLE.get) as server:
        found = compared(server, tmp_path)
    assert "too long" in found.pop(("early", "answer"))
    assert found == {("early", "other"): 0.8, ("late", "answer"): 1.0, ("late", "other"): 0.8}


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([math.nan, 1.0], "something else than numbers"), ([None, 1.0], "something else than numbers"), ([math.inf, 1.0], "something else than numbers"),
        (["1", "0"], "something else than numbers"), ([10**400, 1], "something else than numbers"), ([0.0, 0.0], "no length"), ([], "no vector"),
        ("AAAA", "no vector"), ([1.0, 0.0, 0.0], "a vector of 3 numbers, others have 2"),
    ],
)  # fmt: skip
def test_a_vector_that_is_none_leaves_its_pair_alone_unscored(vector: object, reason: str, tmp_path: Path) -> None:
    with FakeServer(vector=lambda text: vector if text == "Some hives." else TABLE[text]) as server:
        found = compared(server, tmp_path)
    assert reason in found.pop(("early", "answer"))
    assert found == {("early", "other"): 0.8, ("late", "answer"): 1.0, ("late", "other"): 0.8}
    [file] = tmp_path.iterdir()
    assert len(read_records(file, Vector)) == 3


def test_a_vector_is_scaled_to_length_one() -> None:
    assert checked([3, 4]).numbers == (0.6, 0.8)


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_refused_key_or_an_unknown_model_ends_it_with_the_setting(status: str, tmp_path: Path) -> None:
    with FakeServer(lambda asked: status) as server, pytest.raises(ModelError, match=r"OPENAI_API_KEY|evaluation\.embeddings\.api\.model"):
        compared(server, tmp_path)


def test_the_other_question_is_one_of_the_same_person_and_set_that_asks_something_else() -> None:
    paper = [*items(), HIVES, TEA, item("knowledge", "ben", "late", "What do you cut?", "Slate.", {})]
    found = {mine: other.id for mine, other in other_questions(paper).items()}
    assert found == {HIVES.id: TEA.id, TEA.id: HIVES.id}  # the shared question and the paraphrases ask the same; ben has one alone
    three = [HIVES, HIVES.model_copy(update={"id": "again"}), TEA]
    assert {mine: other.id for mine, other in other_questions(three).items()} == {HIVES.id: TEA.id, "again": TEA.id, TEA.id: HIVES.id}


def examined(folder: Path, wanted: Recipe, answers: list[Answer]) -> StepFolder:
    """The two questions with given answers, scored."""
    step = StepFolder(folder / "8")
    step.write("answers.jsonl", answers)
    step.write("likelihoods.jsonl", [])
    by_meaning(wanted, [TAKER], PAPER, step, folder / "kept", folder / "privacy", PERSONAS, [])
    score([TAKER], PAPER, PERSONAS, conversations(), wanted.evaluation, step)
    return step


def figures(step: StepFolder) -> dict[str, tuple]:
    return {
        f.metric: (f.value, f.n, f.unscored) for f in step.records(Figure, "figures.jsonl") if f.group == "all" and "cosine" in f.metric
    }


def test_scores_and_figures_hold_what_could_be_measured_and_count_the_rest(tmp_path: Path) -> None:
    silent = Answer(taker="sft", item=TEA.id, sample=0, text="", error="no power")
    with FakeServer(vector=TABLE.get) as server:
        whole = examined(tmp_path / "whole", recipe(server.url), said())
        half = examined(tmp_path / "half", recipe(server.url), [said()[0], silent])
    assert figures(whole) == {"cosine": (0.8, 2, 0), "cosine_other": (0.8, 2, 0)}
    assert figures(half) == {"cosine": (0.6, 1, 1), "cosine_other": (0.8, 1, 1)}
    left = {(s.metric, s.reason) for s in half.records(Score, "scores.jsonl") if s.value is None and "cosine" in s.metric}
    assert left == {("cosine", "no power"), ("cosine_other", "no power")}
    with FakeServer(lambda asked: "500") as server:
        broken = examined(tmp_path / "broken", recipe(server.url), said())
    assert figures(broken) == {"cosine": (None, 0, 2), "cosine_other": (None, 0, 2)}


def test_without_an_encoder_nothing_is_measured_and_the_step_is_what_it_was(tmp_path: Path) -> None:
    step = examined(tmp_path, recipe(), said())
    assert not (step.path / "cosines.jsonl").exists()
    assert figures(step) == {}
    assert cosine.score(sittings(["sft"], PAPER, PERSONAS, step)[0]) == []
    assert "embeddings" not in evaluation_settings(recipe())["evaluation"]
    assert "privacy" not in evaluation_settings(recipe())
    one, other = recipe("http://127.0.0.1:1/v1"), recipe("http://127.0.0.1:2/v1")
    assert evaluation_settings(one) == evaluation_settings(other) != evaluation_settings(recipe())
    assert evaluation_settings(one)["evaluation"]["embeddings"] == {"path": "", "model": "enc"}


def test_the_examination_of_a_run_asks_the_encoder(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (run.path / "5-sft" / "ada" / "model").mkdir(parents=True)
    (run.path / "5-sft" / "ben" / "model").mkdir(parents=True)
    with FakeServer(vector=lambda text: [float(len(text)), 1.0]) as server:
        wanted = recipe(server.url)
        wanted = wanted.model_copy(update={"evaluation": wanted.evaluation.model_copy(update={"takers": ("sft",)})})
        evaluate(wanted, run, PERSONAS, items(), conversations(), run.step("8-evaluation"), opener=lambda folder: Planted("perfect"))
    found = run.step("8-evaluation").records(Figure, "figures.jsonl")
    assert [f.value for f in found if (f.metric, f.group) == ("cosine", "all")] == [1.0]  # the planted person says the references
    [lone] = [f for f in found if (f.metric, f.group) == ("cosine_other", "set/future")]
    assert (lone.value, lone.unscored) == (None, 1)
    assert (run.path / "kept" / "vectors").is_dir()


def test_personal_data_goes_out_behind_masks(tmp_path: Path) -> None:
    with FakeServer() as server:
        wanted = recipe(server.url, privacy={"mask": "always"})
        examined(tmp_path, wanted, said(hives="Ask +44 20 7946 0958, they know."))
        sent = json.dumps(server.bodies)
    assert "[PHONE-1]" in sent
    assert "7946" not in sent


def test_the_address_is_named_and_refused_where_nothing_may_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    far = recipe("https://api.example.org/v1", privacy={"mask": "remote"})
    assert [(one.setting, one.local, one.masked) for one in receivers(far)] == [("evaluation.embeddings.api", False, True)]
    assert not receivers(recipe())
    assert not receivers(recipe(path="some/encoder"))
    with FakeServer() as server:
        elsewhere = server.url.replace("127.0.0.1", "localhost.localdomain")  # another name for here, which counts as elsewhere
        paper = tmp_path / "test.jsonl"
        paper.write_text(HIVES.model_dump_json() + "\n", encoding="utf-8")
        argv = [
            "persllm",
            "evaluate",
            server.url,
            "--model-name",
            "m",
            "--test",
            str(paper),
            "--taker-manner",
            "plain",
            "--out",
            str(tmp_path / "out"),
            "--local-only",
        ]
        monkeypatch.setattr(
            "sys.argv", [*argv, "--set", f"evaluation.embeddings.api.url={elsewhere}", "--set", "evaluation.embeddings.api.model=enc"]
        )
        with pytest.raises(SystemExit):
            main()
        assert "evaluation.embeddings.api" in capsys.readouterr().err
        assert server.requests == 0
    assert not (tmp_path / "out").exists()


def test_settings_want_one_place_and_a_name() -> None:
    for embeddings, what in (
        ({"path": "x", "api": {"url": "http://127.0.0.1:1/v1", "model": "m"}}, "both"),
        ({"api": {"url": "http://127.0.0.1:1/v1"}}, "model is empty"),
    ):
        with pytest.raises(ConfigError, match=what):
            parse(EvaluationSettings, {"embeddings": embeddings}, "recipe")
    assert not EmbeddingSettings().used


def test_the_report_has_a_row_for_each() -> None:
    assert {metric for metric, *_ in HEADLINES if "cosine" in metric} == {name for name in METRICS if "cosine" in name}


# An encoder in a folder ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights that knows five words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    made = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "four", "bitter", "tea", "some", "hives", "."]
    (made / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab_file=str(made / "vocab.txt"), model_max_length=16).save_pretrained(made)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=16
    )
    BertModel(config).save_pretrained(made)
    return made


def test_a_local_encoder_gives_the_mean_over_the_tokens_alone(folder: Path, tmp_path: Path) -> None:
    import torch

    from persllm.encoder import LocalEncoder

    encoder = LocalEncoder(str(folder), 4, 1)
    short, long = encoder.vectors(["four .", "bitter tea some hives . " * 10])  # one row is padded, the other cut
    ids = encoder.tokenizer("four .", return_tensors="pt")
    with torch.inference_mode():
        alone = encoder.model(**ids).last_hidden_state[0].mean(dim=0)
    assert short.numbers == pytest.approx((alone / alone.norm()).tolist(), abs=1e-6)
    assert math.hypot(*long.numbers) == pytest.approx(1.0)
    step = examined(tmp_path, recipe(path=str(folder)), said(hives="Four.", tea="Some hives."))
    scores = {(s.metric, s.item): s.value for s in step.records(Score, "scores.jsonl") if "cosine" in s.metric}
    assert scores["cosine", HIVES.id] == 1.0
    one, other = encoder.vectors(["Bitter tea.", "Some hives."])
    assert scores["cosine", TEA.id] == pytest.approx(sum(a * b for a, b in zip(one.numbers, other.numbers, strict=True)), abs=2e-6)
    assert scores["cosine_other", TEA.id] == scores["cosine_other", HIVES.id] < 0.9999


def test_an_encoder_that_wants_another_pooling_or_code_or_pickles_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    from persllm.encoder import LocalEncoder

    def refused(name: str, why: str, files: dict[str, object], without: str = "") -> None:
        made = Path(shutil.copytree(folder, tmp_path / name))
        for file, content in files.items():
            (made / file).parent.mkdir(exist_ok=True)
            (made / file).write_text(json.dumps(content), encoding="utf-8")
        if without:
            (made / without).rename(made / "pytorch_model.bin")
        with pytest.raises(ModelError, match=why) as error:
            LocalEncoder(str(made), 4, 1)
        assert "evaluation.embeddings.api" in str(error.value)

    parts = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Dense")]
    refused("cls", "pooling_mode_cls_token", {"1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}})
    refused("dense", "Dense", {"modules.json": parts})
    refused("pickle", "safetensors", {}, without="model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    refused(
        "code",
        "no encoder",
        {"config.json": {**config, "model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.OwnModel"}}},
    )
    mean = Path(shutil.copytree(folder, tmp_path / "mean"))
    (mean / "1_Pooling").mkdir()
    (mean / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}))
    (mean / "modules.json").write_text(json.dumps(parts[:2]))
    assert LocalEncoder(str(mean), 4, 1).vectors(["four ."])[0].numbers
    with pytest.raises(ModelError, match="no encoder"):
        LocalEncoder(str(tmp_path / "nowhere"), 4, 1)
