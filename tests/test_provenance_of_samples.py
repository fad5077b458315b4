"""From a sample back to the line of a chat, and from a source to all that came of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from persllm.config import MixtureSettings, Recipe
from persllm.construct_extractive import Constructor
from persllm.dataset import make_dataset
from persllm.errors import MaterialError, RunError
from persllm.forgetting import forget
from persllm.ingestion import ingest, request_of
from persllm.materials import read_folder
from persllm.store import Run, replace_json
from persllm.tracing import trace

CHATS = Path(__file__).parent / "sources" / "chats"
WHATSAPP = "WhatsApp Chat with Harbour House.txt"


@pytest.fixture
def ida(tmp_path: Path) -> Path:
    """A person taken in from two chats."""
    folder = tmp_path / "ida"
    ingest(request_of([CHATS / WHATSAPP, CHATS / "result.json"], "Ida Fenwick", (), "", "", "", ""), folder)
    return folder


@pytest.fixture
def run(ida: Path, tmp_path: Path) -> Run:
    """A run over her, up to the data set, with models that were trained as far as their folders go."""
    found, recipe = read_folder(ida), Recipe(name="ida", personas=(str(ida),))
    run = Run(tmp_path / "runs" / "ida")
    constructor = Constructor(found.persona, found.materials, [], recipe.constructor)
    questions = [question for _, (raised, _) in constructor.raise_questions(found.materials) for question in raised]
    made = [conversation for _, (answers, _) in constructor.answer_questions(questions) for conversation in answers]
    data = make_dataset(made, found.materials, [found.persona], [], MixtureSettings(held_out_materials=0.0), 0)
    replace_json(run.path / "config.json", recipe.model_dump(mode="json"))
    run.step("1-materials").write("records.jsonl", found.materials)
    run.step("3-answers").write("records.jsonl", made)
    run.step("4-dataset").write("conversations.jsonl", data.conversations)
    run.step("4-dataset").write("train.jsonl", data.train)
    (run.path / "5-sft" / "ida" / "model").mkdir(parents=True)
    return run


def test_every_trained_sample_leads_to_a_line_that_holds_its_words(run: Run) -> None:
    samples = [json.loads(line) for line in (run.path / "4-dataset" / "train.jsonl").read_text().splitlines()]
    from persllm.tracing import identity_of

    checked = 0
    for sample in samples:
        found = trace(run.path, identity_of(sample))
        for ground in found.grounds:
            file, _, lines = ground.origin.rpartition(":")
            first, _, last = lines.partition("-")
            original = "\n".join((CHATS / file).read_text().split("\n")[int(first) - 1 : int(last or first) + 20])
            if sample["kind"] == "exchange":
                assert sample["messages"][-1]["content"].split("\n")[0].split(".")[0] in original
                checked += 1
    assert checked >= 4


def test_an_id_may_be_shortened_but_must_be_one(run: Run) -> None:
    from persllm.tracing import identity_of

    sample = json.loads((run.path / "4-dataset" / "train.jsonl").read_text().split("\n")[0])
    whole = identity_of(sample)
    assert trace(run.path, whole[:12]).id == whole
    with pytest.raises(RunError, match="nothing with the id ffffffffffff"):
        trace(run.path, "ffffffffffff")
    with pytest.raises(RunError, match="at least 4"):
        trace(run.path, "a")
    command = [sys.executable, "-m", "persllm.cli", "show", str(run.path), "--trace", whole]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "taken from " in shown


def test_forgetting_takes_out_one_source_and_names_runs_and_models(ida: Path, run: Run) -> None:
    before = {file: file.read_bytes() for file in ida.rglob("*") if file.is_file()}
    planned = forget(ida, WHATSAPP, run.path.parent, dry_run=True)
    assert {file: file.read_bytes() for file in ida.rglob("*") if file.is_file()} == before, "a dry run changes nothing"
    [held] = planned.runs
    assert held.materials == 2
    assert held.conversations > 0
    assert held.samples >= held.conversations
    assert held.models == ("5-sft/ida/model",)
    own = ida / "materials" / "life" / "speech-own.jsonl"
    own.write_text('{"turns": [{"speaker": "Ida Fenwick", "text": "Mine."}]}\n')
    done = forget(ida, WHATSAPP, run.path.parent)
    assert done.model_copy(update={"written": False}) == planned
    left = "".join(file.read_text() for file in ida.rglob("*") if file.is_file() and file.name != "persona.yaml")
    assert done.named, "what the profile says is told, not rewritten"
    assert "heron magnet" not in left
    assert "Harbour House" not in left
    assert "Twice. It got no better." in left
    assert own.is_file()
    assert [m.origin.split(":")[0] for m in read_folder(ida).materials if m.origin] == ["result.json", "result.json"]
    with pytest.raises(MaterialError, match=r"no source is called .*Known are: result.json"):
        forget(ida, WHATSAPP)
    again = ingest(request_of([CHATS / WHATSAPP], "Ida Fenwick", (), "", "", "", ""), ida)
    assert again.added == (WHATSAPP,), "what was forgotten can be taken in again"


def test_pieces_of_a_markdown_file_go_by_their_mark(ida: Path) -> None:
    file = ida / "materials" / "life" / "experience.md"
    file.write_text("## The boiler (2024)\n<!-- from: result.json:17 -->\nIda mended it.\n\n## The boat (2023)\nIda sold it.\n")
    forgotten = forget(ida, "result.json")
    assert forgotten.kept["materials/life/experience.md"] == 1
    assert file.read_text() == "## The boat (2023)\nIda sold it.\n"


def test_a_folder_made_by_hand_has_nothing_to_forget(starter: Path) -> None:
    with pytest.raises(MaterialError, match=r"no ingest\.json"):
        forget(starter, "x")
