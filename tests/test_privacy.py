"""Masks: the same everywhere, back again in the data, and never a secret on the wire."""

import json
import re
import stat
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer, write

from persllm.chat import ScriptedModel
from persllm.config import Recipe, read_recipe
from persllm.errors import ModelError
from persllm.materials import read_folder
from persllm.pipeline import run_recipe
from persllm.privacy import MaskedModel, Masks, is_masked, receivers, refuse_remote, report
from persllm.privacy_settings import PrivacySettings
from persllm.records import Conversation, Message, Reply, Request
from persllm.store import Run

SECRETS = {
    "phone": "+47 22 12 34 56", "mail": "hanne@torvik-honey.example.org", "bank": "DE89 3704 0044 0532 0130 00", "id": "536-22-1897",
    "address": "14 Harbour Lane", "account": "@hanne_of_the_hives", "ip": "203.0.113.77", "word": "Torvik",
}  # fmt: skip
REMOTE = "https://api.example.org/v1"


def asked(*texts: str) -> Request:
    """A request that says these things."""
    return Request(messages=tuple(Message(role="user", content=text) for text in texts))


def test_the_same_thing_has_the_same_mask_in_every_call() -> None:
    masks = Masks(PrivacySettings(words=("Hanne Lund = Hanne",)))
    assert masks.masked("Ring 138 0013 8000 or +1-202-555-0143.") == "Ring [PHONE-1] or [PHONE-2]."
    assert masks.masked("又是13800138000，还是+86 138 0013 8000。") == "又是[PHONE-1]，还是[PHONE-1]。"
    assert masks.masked("HANNE and Hanne Lund, not Hannes") == "[WORD-1] and [WORD-1], not Hannes"
    assert masks.restored(
        "[WORD-1] has [phone-1], 【PHONE 2】 and PHONE-1."
    ) == "HANNE has 138 0013 8000, +1-202-555-0143 and 138 0013 8000.".replace("HANNE", "Hanne Lund")


def test_what_one_place_gave_away_is_masked_in_every_other() -> None:
    masks = Masks(PrivacySettings())
    assert masks.masked("Passport no. 925076473, issued in May.") == "Passport no. [ID-1], issued in May."
    assert masks.masked("He wrote 925076473 on the wall, not 1925076473.") == "He wrote [ID-1] on the wall, not 1925076473."


def test_the_table_outlives_the_process_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "privacy" / "masks.jsonl"
    first = Masks(PrivacySettings(), file)
    assert first.masked("a@b.org, c@d.org") == "[MAIL-1], [MAIL-2]"
    again = Masks(PrivacySettings(), file)
    assert again.masked("c@d.org, new@e.org") == "[MAIL-2], [MAIL-3]"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_numbers_follow_the_materials_and_the_report_holds_no_values(starter: Path) -> None:
    (starter / "materials" / "old" / "experience.md").write_text(
        "## A letter (1987)\nHanne wrote to a@b.org and rang +47 22 12 34 56.\n\n## Two (1988)\nShe wrote to a@b.org.\n"
    )
    folder = read_folder(starter)
    tables = [Masks(PrivacySettings()) for _ in range(2)]
    findings = [masks.of_materials([folder.persona], folder.materials) for masks in tables]
    assert findings[0] == findings[1]
    assert tables[0].by_mask == tables[1].by_mask
    told = report(findings[0])
    assert told["kinds"] == {"mail": 2, "phone": 1}
    assert told["things"] == 2
    assert {(place["source"], place["mask"]) for place in told["places"]} >= {("materials/old/experience.md:4", "[MAIL-1]")}
    assert "a@b.org" not in json.dumps(told)


def test_a_mask_that_stood_in_the_materials_stays_what_it_was(starter: Path) -> None:
    (starter / "materials" / "old" / "experience.md").write_text("## Odd (1987)\nHanne wrote [MAIL-1] on a jar and meant a@b.org.\n")
    folder = read_folder(starter)
    masks = Masks(PrivacySettings())
    masks.of_materials([folder.persona], folder.materials)
    text = "[MAIL-1] on a jar, a@b.org"
    assert masks.masked(text) == "[MAIL-1] on a jar, [MAIL-2]"
    assert masks.restored(masks.masked(text)) == text


def test_a_model_behind_masks() -> None:
    inner = ScriptedModel(
        lambda request: f"I had {request.messages[-1].content}" if "?" in request.messages[-1].content else "Ask [PHONE-9]."
    )
    model = MaskedModel(inner, Masks(PrivacySettings()))
    replies = dict(model.replies([asked("a@b.org, was it?"), None, asked("and you.")]))
    assert replies[0] == Reply(text="I had a@b.org, was it?")
    assert replies[2].finish == "error"
    assert "[PHONE-9]" in replies[2].error
    assert [request.messages[-1].content for request in inner.requests] == ["[MAIL-1], was it?", "and you."]
    kept = MaskedModel(inner, Masks(PrivacySettings(replies="keep")))
    assert next(kept.replies([asked("a@b.org?")]))[1].text == "I had [MAIL-1]?"
    assert not hasattr(model, "stream")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:1/v1", "http://127.3.2.1/v1"])
def test_nothing_is_masked_for_this_machine_by_default(url: str) -> None:
    assert not is_masked(PrivacySettings(), [url])
    assert is_masked(PrivacySettings(), [url, REMOTE])
    assert is_masked(PrivacySettings(mask="always"), [url])
    assert not is_masked(PrivacySettings(mask="never"), [REMOTE])


def recipe(*settings: str) -> Recipe:
    """The demo with a model that annotates."""
    return read_recipe("demo", ("constructor.engine=llm", "constructor.api.model=m", *settings))


def test_every_address_is_named_and_refused_if_none_may_be() -> None:
    far = recipe(f"constructor.api.url={REMOTE}", "constructor.apis=[{url: http://127.0.0.1:9/v1}, {url: http://10.0.0.7/v1}]")
    assert [(one.setting, one.local, one.masked) for one in receivers(far)] == [
        ("constructor.api", False, True), ("constructor.apis.0", True, True), ("constructor.apis.1", False, True),
    ]  # fmt: skip
    refuse_remote(far)
    with pytest.raises(ModelError, match=r"constructor\.api \(https://api\.example\.org/v1\), constructor\.apis\.1"):
        refuse_remote(far, local_only=True)
    refuse_remote(recipe("constructor.api.url=http://127.0.0.1:9/v1"), local_only=True)


@pytest.mark.parametrize(
    "url",
    ["http://localhost.example.org/v1", "http://127.0.0.1@example.org/v1", "http://0.0.0.0.example.org", "http://example.org#127.0.0.1"],
)
def test_an_address_that_only_looks_local_is_elsewhere(url: str) -> None:
    with pytest.raises(ModelError, match="nothing may leave"):
        refuse_remote(recipe(f"constructor.api.url={url}"), local_only=True)


def test_the_environment_forbids_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERSLLM_LOCAL_ONLY", "1")
    with pytest.raises(ModelError, match="nothing may leave"):
        run_recipe(recipe(f"constructor.api.url={REMOTE}"), tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_command_says_where_text_goes_and_refuses(
    starter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from persllm.cli import main

    settings = ["--set", "constructor.engine=llm", "--set", f"constructor.api.url={REMOTE}", "--set", "constructor.api.model=m"]
    monkeypatch.setattr("sys.argv", ["persllm", "run", str(starter / "recipe.yaml"), "--runs", str(tmp_path), "--dry-run", *settings])
    main()
    told = capsys.readouterr().err
    assert f"will be sent to {REMOTE} (constructor.api, not on this machine; masked: " in told
    monkeypatch.setattr("sys.argv", ["persllm", "run", str(starter / "recipe.yaml"), "--runs", str(tmp_path), "--local-only", *settings])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "persllm: nothing may leave this machine" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/config.json"))


def test_the_verifying_model_is_an_address_as_well() -> None:
    far = recipe("constructor.engine=extractive", "checks.verify.share=0.1", f"checks.verify.api.url={REMOTE}", "checks.verify.api.model=m")
    assert [(one.setting, one.masked) for one in receivers(far)] == [("checks.verify.api", True)]
    with pytest.raises(ModelError, match=r"checks\.verify\.api"):
        refuse_remote(far, local_only=True)
    assert not receivers(recipe("constructor.engine=extractive", f"checks.verify.api.url={REMOTE}"))


def secret_person(folder: Path) -> None:
    """Plant a secret of every kind in the starter's materials."""
    lines = [f"## Secret {number} (198{number})\nHanne kept {value} in the honey house." for number, value in enumerate(SECRETS.values())]
    (folder / "materials" / "old" / "experience.md").write_text("\n\n".join(lines))
    for name in ("young/experience.md", "old/knowledge.md", "young/knowledge.md"):
        (folder / "materials" / name).write_text("## A day (1962)\nHanne painted the door.")


def telling(request: Asked) -> str:
    """As the fake server writes, but every answer tells everything that looks like a mask in the prompt."""
    found = " ".join(sorted(set(re.findall(r"\[[A-Z]+-\d+\]", json.dumps(request.messages)))))
    return write(request) if '{"inputs"' in request.last else write(request) + f" I kept {found} there, in the house by the sea."


SMALL = ("base.hidden_size=32", "base.layers=1", "base.vocabulary=400", "base.pretraining_tokens=2000", "threads=1")


def run_to_answers(starter: Path, runs: Path, url: str, *settings: str) -> Run:
    """The starter's recipe with an annotator, in two runs of the program, up to the answers."""
    wanted = ("constructor.engine=llm", f"constructor.api.url={url}", "constructor.api.model=fake", "constructor.questions_per_material=1")
    made = read_recipe(starter / "recipe.yaml", (*wanted, "privacy.mask=always", "privacy.words=[Torvik]", *SMALL, *settings))
    run_recipe(made, runs, until="2-questions", cache=runs / "cache")
    return run_recipe(made, runs, until="3-answers", cache=runs / "cache")


def test_not_one_planted_secret_arrives_and_the_data_hold_the_users_words(starter: Path, tmp_path: Path) -> None:
    secret_person(starter)
    with FakeServer(answer=telling) as server:
        run = run_to_answers(starter, tmp_path / "runs", server.url)
        arrived = json.dumps(server.bodies, ensure_ascii=False)
    assert len(server.bodies) > 30
    assert "[PHONE-1]" in arrived
    assert not [value for value in SECRETS.values() if value.lower() in arrived.lower()]
    conversations = run.step("3-answers").records(Conversation)
    told = " ".join(conversation.answer.content for conversation in conversations)
    assert not [value for value in SECRETS.values() if value not in told]
    assert "[PHONE-" not in told
    shown = json.loads((run.path / "privacy" / "report.json").read_text())
    assert set(shown["kinds"]) == set(SECRETS)
    leaky = [
        file for file in run.path.rglob("*") if file.is_file() and stat.S_IMODE(file.stat().st_mode) != 0o600 and "privacy" in file.parts
    ]
    assert [file.name for file in leaky] == ["report.json"]
    assert not [value for value in SECRETS.values() if value in leaky[0].read_text()]
    cached = b"".join(file.read_bytes() for file in (tmp_path / "runs" / "cache").rglob("*") if file.is_file())
    assert not [value for value in SECRETS.values() if value.encode() in cached]
