"""`persllm ingest` with a model: asked only where the rules are not sure, checked, masked, kept, never trusted when it fails."""

import json
import re
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer
from test_ingestion import STORY, asked, review
from typer.testing import CliRunner

from persllm.cli import app
from persllm.constructor_settings import ApiSettings
from persllm.errors import ModelError
from persllm.ingestion import Annotator, AnnotatorSettings, ingest
from persllm.materials import read_folder
from persllm.privacy_settings import PrivacySettings

NOVEL = """CHAPTER I

The rain beat on the windows of the mill all evening long, and nobody had come up the hill.

Karl Holm was a sailor. Karl Holm had come a long way, and he was wet. Pia Brand had come with him.

"Who goes there?" asked Ada Lorn.

"Only I," said Karl Holm. "Will you let me in, Ada?"

"Come in," said Ada. "But leave your boots at the door."

Ada went to the fire and she put the kettle on. Her number was 212-555-0147, and Karl and Pia sat down beside her.

"There is nothing here that is worth a shilling to anybody."

The fire burned.

"The mill itself is worth a great deal to me."

Somebody laughed at that.

"I sold my boat," said Karl.

"Then you are a fool," said Ada.
"""
LATE = "\nCHAPTER IV\n\nThe wheel lay still.\n"


def annotator(url: str, kept: Path, **privacy) -> Annotator:
    settings = AnnotatorSettings(api=ApiSettings(url=url, model="fake", retries=0), privacy=PrivacySettings(**privacy))
    return Annotator(settings, kept)


def names_ada(asked_: Asked) -> str:
    """Every speech in the marks is Ada's; every passage an experience."""
    prompt = asked_.last
    if '{"spoken"' not in prompt:
        return "experience"
    found = re.findall(r"<(\d+)>(.*?)</\1>", prompt, re.DOTALL)
    return json.dumps({"spoken": [{"number": int(n), "words": words[:30], "speaker": "Ada Lorn", "to": []} for n, words in found]})


def spoken(folder: Path) -> list[tuple[str, str]]:
    return [(t.speaker, t.text) for m in read_folder(folder).materials for t in m.turns]


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    (tmp_path / "novel.txt").write_text(NOVEL)
    return tmp_path / "novel.txt"


def test_only_what_the_rules_left_open_is_asked_and_named(novel: Path, tmp_path: Path) -> None:
    ingest(asked(novel), tmp_path / "rules")
    with FakeServer(answer=names_ada) as server:
        made = ingest(asked(novel), tmp_path / "ada", annotator=annotator(server.url, tmp_path / "kept"))
        again = ingest(asked(novel), tmp_path / "twice", annotator=annotator(server.url, tmp_path / "kept"))
        prompts = "\n".join(body["messages"][0]["content"] for body in server.bodies)
        calls = server.requests
    marked = [found for found in re.findall(r"<(\d+)>(.*?)</\1>", prompts) if found[1] != "words"]  # the prompt's own example
    assert marked
    assert "Who goes there?" not in [words for _, words in marked]
    before, after = spoken(tmp_path / "rules"), spoken(tmp_path / "ada")
    new = [words for _, words in marked if ("Ada Lorn", words) in after and ("Ada Lorn", words) not in before]
    assert new
    assert {line for line in before if line[0] == "Ada Lorn"} <= set(after)
    assert (made.asked.speakers, made.asked.calls, made.asked.failed) == (len({number for number, _ in marked}), calls, 0)
    assert (again.asked.calls, again.asked.kept) == (0, calls)
    assert json.loads((tmp_path / "ada" / "ingest.json").read_text())["options"]["annotated_by"] == f"fake at {server.url}"


def test_what_cannot_be_checked_is_refused_and_stays_open(novel: Path, tmp_path: Path) -> None:
    def invents(asked_: Asked) -> str:
        numbers = re.findall(r"<(\d+)>", asked_.last)
        return json.dumps({"spoken": [{"number": int(n), "words": "words of my own", "speaker": "Ada Lorn"} for n in numbers]})

    ingest(asked(novel), tmp_path / "rules")
    with FakeServer(answer=invents) as server:
        made = ingest(asked(novel), tmp_path / "ada", annotator=annotator(server.url, tmp_path / "kept"))
    assert made.asked.speakers == 0
    assert made.dropped["the model: not the words of this speech"] >= 1
    assert spoken(tmp_path / "ada") == spoken(tmp_path / "rules")


def test_a_kind_in_doubt_is_settled_and_one_that_cannot_be_stays_in_review(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY + LATE)
    plain = ingest(asked(tmp_path / "story.txt"), tmp_path / "plain")
    with FakeServer(answer=lambda asked_: "knowledge" if "wheel" in asked_.last else "experience") as server:
        made = ingest(asked(tmp_path / "story.txt"), tmp_path / "ada", annotator=annotator(server.url, tmp_path / "kept"))
        assert server.requests == plain.review == 2
    assert made.asked.kinds == 1
    [left] = review(tmp_path / "ada")
    assert "Nobody in the valley" in left["text"]
    assert left["doubt"].endswith("the model: experience")
    assert any("wheel" in m.text and m.kind == "knowledge" for m in read_folder(tmp_path / "ada").materials)


def test_a_failed_call_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY + LATE)
    with FakeServer(faults=lambda asked_: "500" if "wheel" in asked_.last else "", answer=lambda asked_: "knowledge") as server:
        made = ingest(asked(tmp_path / "story.txt"), tmp_path / "ada", annotator=annotator(server.url, tmp_path / "kept"))
    assert (made.asked.failed, made.asked.kinds, made.review) == (1, 1, 1)
    assert review(tmp_path / "ada")[0]["doubt"].endswith("the model: no answer")
    with (
        FakeServer(faults=lambda asked_: "500") as server,
        pytest.raises(ModelError, match=r"not one of 2 calls was answered\. Nothing was"),
    ):
        ingest(asked(tmp_path / "story.txt"), tmp_path / "none", annotator=annotator(server.url, tmp_path / "other"))
    assert not (tmp_path / "none").exists()


def test_personal_data_are_masked_and_come_back(novel: Path, tmp_path: Path) -> None:
    with FakeServer(answer=names_ada) as server:
        ingest(asked(novel), tmp_path / "ada", annotator=annotator(server.url, tmp_path / "kept", mask="always"))
        sent = json.dumps(server.bodies)
    assert "[PHONE-1]" in sent
    assert "555-0147" not in sent
    assert "555-0147" in "".join(m.text + m.situation for m in read_folder(tmp_path / "ada").materials)


def test_nothing_leaves_where_nothing_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = AnnotatorSettings(api=ApiSettings(url="https://api.example.com/v1", model="m"))
    with pytest.raises(ModelError, match=r"--address \(https://api\.example\.com/v1\)\. Nothing was sent"):
        Annotator(far, tmp_path, local_only=True)
    monkeypatch.setenv("PERSLLM_LOCAL_ONLY", "1")
    with pytest.raises(ModelError, match="leave --address out"):
        Annotator(far, tmp_path)


def test_the_command_names_the_address_and_a_dry_run_asks_nobody(novel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSLLM_CACHE", str(tmp_path / "cache"))
    with FakeServer(answer=names_ada) as server:
        line = ["ingest", str(novel), "--person", "Ada Lorn", "--alias", "Ada", "--into", str(tmp_path / "ada")]
        line += ["--address", server.url, "--model", "fake"]
        dry = CliRunner().invoke(app, [*line, "--dry-run"])
        assert (dry.exit_code, server.requests) == (0, 0)
        assert "1 calls at most" in dry.output
        done = CliRunner().invoke(app, [*line, "--set", "privacy.mask=always"])
        assert (done.exit_code, server.requests) == (0, 1)
    assert f"will be sent to {server.url} (--address, on this machine; masked" in done.output
    assert re.search(r"the model: 1 calls, 0 replies kept from earlier, 0 failed; it named \d speakers", done.output)
