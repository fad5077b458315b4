"""The page's interface over real HTTP: every seat answers, blind stays blind, and what is corrected becomes preference pairs."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from toy_run import build_run

from persllm.agent import Company
from persllm.chat import ScriptedModel
from persllm.corrections import Correction, add_correction, correction_pairs, read_corrections
from persllm.listening import in_background
from persllm.records import Message, Reply, Request
from persllm.store import Run
from persllm.web.app import FILES, PAGE, web_app


def scripted(request: Request) -> Reply:
    """A model that says who it is and what it heard; a fault on demand; a tag on demand."""
    if "fail" in request.messages[-1].content:
        return Reply(finish="error", error="out of order")
    heard = sum(message.role == "user" for message in request.messages)
    return Reply(text=f"<b>{request.persona or 'nobody'}</b> at {request.stage or 'no stage'}, question {heard}", thought="Let me see.")


class Client:
    """Talks to the page's interface."""

    def __init__(self, url: str, run: Run):
        self.url, self.run = url, run

    def call(self, path: str, /, **body: object) -> dict:
        return json.loads(self.text(path, **body))

    def text(self, path: str, /, **body: object) -> str:
        request = HttpRequest(self.url + path, json.dumps(body).encode() if body else None, {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def refused(self, path: str, /, **body: object) -> tuple[int, str]:
        with pytest.raises(HTTPError) as caught:
            self.call(path, **body)
        return caught.value.code, json.loads(caught.value.read())["error"]["message"]

    def say(self, table: str, text: str) -> list[dict]:
        """The whole answers, in the order of the seats."""
        events = [json.loads(line) for line in self.text("/api/say", table=table, text=text).split("\n") if line]
        pieces = {seat: "".join(e["piece"] for e in events if e["seat"] == seat and "piece" in e) for seat in {e["seat"] for e in events}}
        wholes = [event for event in events if "piece" not in event]
        assert all(pieces[event["seat"]] in ("", event.get("text")) for event in wholes), "the pieces make the answer"
        return wholes


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    run = build_run(tmp_path)
    company = Company(run, opener=lambda folder: ScriptedModel(scripted))
    with in_background(web_app(company)) as url:
        yield Client(url, Run.open(run))


EARLY, LATE = {"persona": "ada", "stage": "early"}, {"persona": "ada", "stage": "late"}
TRAINED, PROMPTED = {**LATE, "taker": "sft"}, {**LATE, "taker": "prompted"}


def test_persons_stages_and_the_label(client: Client) -> None:
    found = client.call("/api/persons")
    assert [person["id"] for person in found["persons"]] == ["ada", "bo"]
    assert [stage["id"] for stage in found["persons"][0]["stages"]] == ["early", "late"]
    page = client.text("/")
    assert 'id="label" role="note"' in page
    assert not any(mark in page for mark in ("http://", "https://", "<script>", "onclick", "style=")), "nothing foreign, nothing inline"
    words = json.loads(client.text("/words.json"))
    assert set(words["en"]) == set(words["zh"])
    assert "not a human being" in words["en"]["label"]
    for name in ("script", "page"):
        assert "innerHTML" not in (PAGE / FILES["/page.js"][0]).read_text(), name


def test_one_question_at_every_stage_and_the_talk_goes_on(client: Client) -> None:
    table = client.call("/api/table", seats=[EARLY, LATE])
    assert [seat["stage"] for seat in table["seats"]] == ["early", "late"]
    first = client.say(table["table"], "Who are you?")
    assert [answer["text"] for answer in first] == ["<b>ada</b> at early, question 1", "<b>ada</b> at late, question 1"]
    assert [answer["text"] for answer in client.say(table["table"], "And now?")] == [
        "<b>ada</b> at early, question 2", "<b>ada</b> at late, question 2",
    ]  # fmt: skip
    again = [json.loads(line) for line in client.text("/api/again", table=table["table"]).split("\n") if line]
    assert [event["text"] for event in again if "text" in event] == ["<b>ada</b> at early, question 2", "<b>ada</b> at late, question 2"]


def test_one_that_fails_does_not_stop_the_others(client: Client) -> None:
    table = client.call("/api/table", seats=[EARLY, LATE])
    assert [answer["error"] for answer in client.say(table["table"], "fail")] == ["out of order"] * 2
    assert client.say(table["table"], "Well?")[0]["text"].startswith("<b>ada</b> at early")


def test_blind_means_blind_until_asked(client: Client) -> None:
    orders = set()
    for _ in range(24):
        table = client.call("/api/table", seats=[TRAINED, PROMPTED], blind=True)
        assert table["seats"] == [{"letter": "A"}, {"letter": "B"}]
        answers = client.say(table["table"], "Who are you?")
        assert client.refused("/api/nearest", table=table["table"], answer=answers[0]["answer"])[0] == 409
        orders.add(tuple(seat["taker"] for seat in client.call("/api/reveal", table=table["table"])["seats"]))
    assert orders == {("sft", "prompted"), ("prompted", "sft")}


def test_evidence_has_file_and_line(client: Client) -> None:
    table = client.call("/api/table", seats=[LATE])
    [answer] = client.say(table["table"], "Which colour?")
    passages = client.call("/api/nearest", table=table["table"], answer=answer["answer"])["passages"]
    assert passages
    assert all(passage["source"].startswith("ada/m.md:") for passage in passages)


def test_corrections_become_pairs(client: Client) -> None:
    table = client.call("/api/table", seats=[TRAINED, PROMPTED])["table"]
    trained, prompted = client.say(table, "Who are you?")
    client.call("/api/judge", table=table, answer=trained["answer"], kind="edit", better="I am Ada.")
    client.call("/api/judge", table=table, answer=trained["answer"], kind="edit", better="I am Ada, and old.")
    client.call("/api/judge", table=table, answer=prompted["answer"], kind="prefer", better=trained["answer"])
    client.call("/api/judge", table=table, answer=trained["answer"], kind="up")
    kept = read_corrections(client.run)
    assert [correction.kind for correction in kept] == ["edit", "edit", "prefer", "up"]
    assert kept[2].better_taker == "sft"
    pairs, lone = correction_pairs(kept)
    assert lone == 1
    assert [(pair.chosen.content, pair.rejected.content) for pair in pairs] == [
        ("I am Ada, and old.", "<b>ada</b> at late, question 1"),
        ("<b>ada</b> at late, question 1", prompted["text"]),
    ], "the last word on an answer counts"
    assert all((pair.persona, pair.stage, pair.contrast) == ("ada", "late", "correction") for pair in pairs)


def test_thumbs_on_one_prompt_make_a_pair(tmp_path: Path) -> None:
    run = Run(build_run(tmp_path))
    said = {
        "at": "2026-01-01T00:00:00Z",
        "persona": "ada",
        "stage": "late",
        "taker": "sft",
        "prompt": (Message(role="user", content="Hm?"),),
    }
    for kind, answer in (("up", "Good."), ("down", "Bad."), ("down", "Worse.")):
        add_correction(run, Correction(kind=kind, answer=answer, **said))
    pairs, lone = correction_pairs(read_corrections(run))
    assert [(pair.chosen.content, pair.rejected.content) for pair in pairs] == [("Good.", "Bad.")]
    assert lone == 1


BAD = {
    "nobody": ("/api/table", {"seats": [{"persona": "eve", "stage": "late"}]}, "no person"),
    "no stage": ("/api/table", {"seats": [{"persona": "ada", "stage": "war"}]}, "war"),
    "too many": ("/api/table", {"seats": [EARLY] * 7}, "seats"),
    "no seat": ("/api/table", {"seats": []}, "seats"),
    "a forgotten talk": ("/api/say", {"table": "nothing", "text": "Hm?"}, "no longer kept"),
    "no words": ("/api/say", {"table": "x", "text": ""}, "text"),
    "too many words": ("/api/say", {"table": "x", "text": "y" * 2001}, "text"),
    "an unknown key": ("/api/again", {"table": "x", "path": "/etc/passwd"}, "path"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_in_one_line(name: str, client: Client) -> None:
    path, body, words = BAD[name]
    status, message = client.refused(path, **body)
    assert status in (400, 404)
    assert words in message


def test_answers_of_different_questions_are_not_compared(client: Client) -> None:
    table = client.call("/api/table", seats=[EARLY, LATE])["table"]
    early, late = client.say(table, "Who?")
    assert "same person" in client.refused("/api/judge", table=table, answer=early["answer"], kind="prefer", better=late["answer"])[1]
    assert "no such answer" in client.refused("/api/judge", table=table, answer="other", kind="up")[1]
    assert read_corrections(client.run) == []


def test_no_way_from_a_request_to_the_file_system(client: Client) -> None:
    for path in ("/../config.json", "/page/../../config.json", "/%2e%2e/config.json", "/page.js/../../../etc/passwd", "/config.json"):
        assert client.refused(path)[0] == 404
