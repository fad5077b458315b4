"""`persllm evaluate MODEL --test`: what counts as a model, what as a test, and what is refused."""

import json
from pathlib import Path

import pytest
from fake_server import FakeServer
from planted import ADA, PERSONAS, Planted, conversations, items
from typer.testing import CliRunner

from persllm.cli import app
from persllm.config import Recipe
from persllm.errors import ConfigError, MaterialError, RunError
from persllm.evaluation.one import entrant_of, put_to_test, taker_for
from persllm.evaluation.paper import NEAR, near_trained, read_paper
from persllm.evaluation_settings import EvaluationSettings
from persllm.records import Material
from persllm.statistics import Figure
from persllm.store import replace_json, replace_records

RULES = Recipe(name="x", personas=("-",), threads=1, evaluation=EvaluationSettings(bootstrap=100, batch=4))
GOLD = {"id": "q1", "set": "attitude", "stage": "early", "question": "Well?", "reference": "Fine.", "wrong": {"opposite": "Bad."}}


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    replace_records(tmp_path / "t.jsonl", items())
    return tmp_path / "t.jsonl"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    replace_json(folder / "config.json", Recipe(name="run", mode="cast", personas=("ada", "ben")).model_dump(mode="json"))
    replace_records(folder / "1-materials" / "personas.jsonl", PERSONAS)
    bees = Material(persona="ada", kind="experience", stage="early", text="Four hives stood there.", source="m.md:1")
    replace_records(folder / "1-materials" / "records.jsonl", [bees])
    replace_records(folder / "4-dataset" / "conversations.jsonl", conversations())
    replace_records(folder / "4-dataset" / "test.jsonl", items()[:6])
    (folder / "5-sft" / "cast" / "model").mkdir(parents=True)
    return folder


def figure(folder, metric: str) -> float:
    figures = [f for f in folder.records(Figure, "figures.jsonl") if f.taker != "reference"]
    [found] = [f.value for f in figures if (f.metric, f.group, f.detail) == (metric, "all", "")]
    return found


def test_a_model_folder_is_put_to_a_file_of_items_without_any_run(tmp_path: Path, test_file: Path) -> None:
    (tmp_path / "weights").mkdir()
    put = [entrant_of(str(tmp_path / "weights")), test_file, RULES, [], "", tmp_path / "out"]
    folder, facts = put_to_test(*put, opener=lambda source: Planted("perfect"))
    assert figure(folder, "choice") == 0.7  # told of nobody, it gives the four persons of one question the same answer
    assert (facts["items"], facts["unscored"], facts["near_trained"]) == (12, 0, None)
    assert folder.finished
    again, _ = put_to_test(*put, opener=None)
    assert figure(again, "choice") == 0.7
    replace_records(test_file, items()[:4])
    with pytest.raises(RunError, match="other settings"):
        put_to_test(*put, opener=lambda source: Planted("perfect"))


def test_a_taker_of_a_run_is_put_to_the_questions_of_the_run(tmp_path: Path, run: Path) -> None:
    folder, facts = put_to_test(entrant_of(str(run)), run, RULES, [], "", tmp_path / "out", opener=lambda source: Planted("perfect"))
    assert (facts["takers"], facts["items"]) == (["run-sft"], 6)
    assert figure(folder, "choice") == 1.0
    assert [entrant_of(f"{run}:{name}").taker for name in ("sft", "base", "retrieval")] == ["sft", "base", "retrieval"]
    with pytest.raises(RunError, match=r"no taker dpo\. There are: sft, base, prompted, retrieval"):
        entrant_of(f"{run}:dpo")


def test_manners_need_what_they_tell(tmp_path: Path, run: Path, test_file: Path) -> None:
    alone, known = read_paper(test_file), read_paper(run)
    entrant = entrant_of("org/name")
    assert taker_for(entrant, alone, RULES, "").manner == "plain"
    assert taker_for(entrant, known, RULES, "").manner == "prompted"
    assert taker_for(entrant, known, RULES, "retrieval").retrievers["ada"].materials
    for manner, complaint in (("prompted", "profile, which is not known"), ("retrieval", "profile, which"), ("loud", "choose plain")):
        with pytest.raises(ConfigError, match=complaint):
            taker_for(entrant, alone, RULES, manner)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "chat_template.jinja").write_text("{%- set persons = {} -%}")
    assert taker_for(entrant_of(str(tmp_path / "m")), known, RULES, "").manner == "trained"


def test_hand_written_questions_belong_to_one_person(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    file = tmp_path / "ada" / "gold.jsonl"
    file.write_text(json.dumps(GOLD))
    with pytest.raises(MaterialError, match=r"belong to one person, found 0\. Give --persona"):
        read_paper(file)
    (tmp_path / "ada" / "persona.yaml").write_text(
        "name: Ada\nprofile: Ada keeps bees.\nstages:\n  - id: early\n    title: Girl\n    summary: Small.\n"
    )
    for test in (file, tmp_path / "ada"):
        paper = read_paper(test)
        assert [(i.persona, i.reference) for i in paper.items] == [("ada", "Fine.")]
        assert paper.profiles
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text(json.dumps(GOLD))
    assert read_paper(elsewhere, [tmp_path / "ada"]).items[0].id == "ada/q1"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no questions in it"),
        ("{", "line 1: not valid JSON"),
        ("[]", "line 1: expected a JSON object, found list"),
        ('{"messages": []}', "line 1: id: Field required"),
    ],
)
def test_what_is_no_test_is_refused_with_its_line(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(MaterialError, match=complaint):
        read_paper(tmp_path / "bad.jsonl")
    with pytest.raises(MaterialError, match="no such test"):
        read_paper(tmp_path / "none.jsonl")


def test_questions_to_strangers_and_twice_the_same_id_are_refused(run: Path, tmp_path: Path) -> None:
    replace_records(tmp_path / "t.jsonl", [items()[0].model_copy(update={"persona": "cid"})])
    from persllm.store import Run

    with pytest.raises(MaterialError, match="cid/early, who are not known"):
        read_paper(tmp_path / "t.jsonl", run=Run(run))
    replace_records(tmp_path / "t.jsonl", [items()[0], items()[0]])
    with pytest.raises(MaterialError, match="occurs twice"):
        read_paper(tmp_path / "t.jsonl")


def test_questions_that_were_trained_are_counted() -> None:
    trained = conversations()[0].model_copy(update={"messages": (*items()[4].messages, conversations()[0].answer)})
    assert trained.persona == ADA.id
    assert [(d.item, d.reason) for d in near_trained(items(), [trained], 0.95)] == [("ada/early-induction", NEAR)]
    assert near_trained(items(), conversations(), 0.95) == []


def test_the_command_puts_an_address_to_a_test_and_names_it_before(tmp_path: Path, test_file: Path) -> None:
    with FakeServer(answer=lambda asked: "Slate it was, never marble.") as server:
        words = [
            "evaluate",
            server.url,
            "--model-name",
            "far",
            "--taker-manner",
            "plain",
            "--test",
            str(test_file),
            "--out",
            str(tmp_path / "o"),
        ]
        words += ["--set", "evaluation.bootstrap=100", "--set", "threads=1"]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "truth stated against a false premise" in done.output
    assert f"text of the materials will be sent to {server.url}" in done.output
    assert "scores could not be taken" in done.output
