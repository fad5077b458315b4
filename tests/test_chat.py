"""Talking to models: every way a server can fail, the kept replies, and stopping."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer

from persllm.chat import ApiModel, ScriptedModel
from persllm.constructor_settings import ApiSettings
from persllm.errors import ModelError, RunError
from persllm.records import Message, Reply, Request, Sampling, Usage

KEY = "sk-very-secret-0123456789"


def request(text: object, **fields) -> Request:
    return Request(messages=(Message(role="user", content=str(text)),), **fields)


def api(server: FakeServer, cache: Path | None = None, **settings) -> ApiModel:
    return ApiModel(ApiSettings(**{"url": server.url, "model": "fake", "retries": 1, "timeout": 5.0, "rest": 0.01} | settings), cache)


def one(server: FakeServer, **settings) -> Reply:
    [(place, reply)] = list(api(server, **settings).replies([request("hello")]))
    assert place == 0
    return reply


def first_only(fault: str):
    return lambda asked: fault if asked.turn == 0 else ""


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "cut body"])
def test_what_may_pass_is_tried_again(fault: str) -> None:
    with FakeServer(first_only(fault), lambda asked: "Nobody thanked us for it.") as server:
        assert one(server) == Reply(text="Nobody thanked us for it.", usage=Usage(prompt_tokens=7, completion_tokens=3))
        assert server.requests == 2


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        ("429", "429", 2),
        ("500", "500", 2),
        ("400", "400", 1),
        ("cut", "connection failed", 2),
        ("empty", "empty reply", 1),
        ("filter", "content filter", 1),
        ("html", "not a chat completion", 1),
    ],
)
def test_what_does_not_pass_is_an_error_that_says_why(fault: str, error: str, requests: int) -> None:
    with FakeServer(lambda asked: fault) as server:
        reply = one(server)
        assert (reply.finish, reply.text) == ("error", "")
        assert error in reply.error
        assert server.requests == requests


def test_a_server_that_hangs_is_left_after_the_time_out() -> None:
    with FakeServer(lambda asked: "hang") as server:
        began = time.monotonic()
        assert one(server, timeout=0.3, retries=0).error == "no answer within 0.3 s"
        assert time.monotonic() - began < 3


def test_nobody_at_the_address() -> None:
    with FakeServer() as server:
        url = server.url
    [(_, reply)] = list(ApiModel(ApiSettings(url=url, model="fake", retries=0)).replies([request("hello")]))
    assert reply.error.startswith("connection failed")


@pytest.mark.parametrize(
    ("status", "words"), [("401", "refuses the key in SOME_KEY"), ("403", "refuses the key"), ("404", "knows no model fake")]
)
def test_what_every_call_would_meet_stops_at_once(monkeypatch, status: str, words: str) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    with FakeServer(lambda asked: status) as server:
        with pytest.raises(ModelError, match=words) as caught:
            list(api(server, key_variable="SOME_KEY", concurrency=2).replies([request(i) for i in range(50)]))
        assert KEY not in str(caught.value)
        assert server.requests <= 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "m"}, "api.url is empty"),
        ({"url": "http://127.0.0.1:1/v1"}, "api.model is empty"),
        ({"url": "https://models.example/v1", "model": "m", "key_variable": "NO_SUCH_KEY"}, "variable NO_SUCH_KEY"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        ApiModel(ApiSettings(**settings))


@pytest.mark.parametrize("fault", ["thought", "inline thought"])
def test_reasoning_is_kept_apart(fault: str) -> None:
    with FakeServer(lambda asked: fault, lambda asked: "Nobody thanked us for it.") as server:
        reply = one(server)
    assert (reply.thought, reply.text) == ("Let me see.", "Nobody thanked us for it.")


def test_a_reply_that_was_cut_says_so() -> None:
    with FakeServer(lambda asked: "length") as server:
        assert one(server).finish == "length"


def test_what_is_sent() -> None:
    with FakeServer() as server:
        sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=11, seed=3)
        talk = (
            Message(role="system", content="s"),
            Message(role="assistant", content="a", thought="hidden"),
            Message(role="user", content="u"),
        )
        plain = Request(messages=talk, sampling=sampling)
        list(api(server).replies([plain, plain.model_copy(update={"persona": "ada", "stage": "late", "prefill": "Yes,"})]))
        plain_body, person_body = sorted(server.bodies, key=len)
    roles = [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "u"}]
    assert plain_body == {"model": "fake", "messages": roles, "temperature": 0.5, "top_p": 0.9, "max_tokens": 11, "seed": 3}
    assert person_body["chat_template_kwargs"] == {"persona": "ada", "stage": "late", "analysis": False}
    assert person_body["messages"][-1] == {"role": "assistant", "content": "Yes,"}


def test_many_calls_are_in_flight_but_not_more_than_allowed() -> None:
    def slow(asked: Asked) -> str:
        time.sleep(0.05)
        return ""

    with FakeServer(slow) as server:
        list(api(server, concurrency=5).replies([request(i) for i in range(30)]))
        assert server.most_busy == 5


def storm(asked: Asked) -> str:
    """A fault by the number in the text: some pass, some never do."""
    number = int(asked.last)
    lasting = {1: "500", 2: "empty", 3: "400"}
    passing = {4: "429", 5: "500", 6: "429"}
    return lasting.get(number % 20) or (
        passing.get(number % 20, "") if asked.turn == 0 else "cut" if number == 44 and asked.turn == 1 else ""
    )


def test_a_storm_loses_nothing_doubles_nothing_and_counts_each_failure(tmp_path: Path) -> None:
    with FakeServer(storm) as server:
        model = api(server, tmp_path, retries=2)
        replies = list(model.replies([request(i) for i in range(200)]))
        assert sorted(place for place, _ in replies) == list(range(200))
        assert {place for place, reply in replies if reply.finish == "error"} == {i for i in range(200) if i % 20 in (1, 2, 3)}
        assert (model.tally.calls, model.tally.failed, model.tally.cached) == (170, 30, 0)
        tries = {1: 3, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2}
        sent = {int(messages[0][1]): count for messages, count in server.counts.items()}
        assert sent == {i: tries.get(i % 20, 1) + (i == 44) for i in range(200)}
        before = server.requests
        again = api(server, tmp_path, retries=0)
        assert len(list(again.replies([request(i) for i in range(200)]))) == 200
        assert (again.tally.calls, again.tally.failed, again.tally.cached) == (0, 30, 170)
        assert server.requests == before + 30


def test_a_second_run_asks_nothing_also_at_another_address(tmp_path: Path) -> None:
    requests = [request(i) for i in range(20)]
    with FakeServer() as server:
        first = sorted(api(server, tmp_path).replies(requests))
    with FakeServer() as other:
        model = api(other, tmp_path)
        assert sorted(model.replies(requests)) == first
        assert other.requests == 0
        assert model.tally.usage == Usage()
        changed = [*requests[:1], request(0, sampling=Sampling(seed=1)), request(0, stage="late")]
        assert len(list(model.replies(changed))) == 3
        list(api(other, tmp_path, model="another").replies(requests[:1]))
        assert other.requests == 3


def test_equal_requests_are_asked_once() -> None:
    with FakeServer() as server:
        replies = dict(api(server).replies([request("a"), request("b"), request("a")]))
        assert replies[0] == replies[2]
        assert server.requests == 2


def test_leaving_the_loop_cancels_what_is_in_flight(tmp_path: Path) -> None:
    with FakeServer(lambda asked: "hang" if asked.last != "0" else "") as server:
        began = time.monotonic()
        for _ in api(server, tmp_path, concurrency=4).replies([request(i) for i in range(40)]):
            break
        assert time.monotonic() - began < 5
        time.sleep(0.3)
        assert server.requests <= 5


SCRIPT = """
import sys
from persllm.chat import ApiModel
from persllm.constructor_settings import ApiSettings
from persllm.records import Message, Request

model = ApiModel(ApiSettings(url=sys.argv[1], model="fake", concurrency=4))
try:
    for place, reply in model.replies([Request(messages=(Message(role="user", content=str(i)),)) for i in range(400)]):
        print(place, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


BARE = """
import sys, time
import persllm.chat
print("ready", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


def seconds_to_stop(process: subprocess.Popen) -> float:
    """From the signal to the end of the process."""
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=30)
    return time.monotonic() - began


def bare_seconds() -> float:
    """The same for a process that has nothing to stop: what this machine takes now."""
    process = subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE)
    process.stdout.readline()
    return seconds_to_stop(process)


@pytest.mark.parametrize("manner", ["hang", "slow"])
def test_ctrl_c_stops_within_a_second_and_nothing_more_is_asked(manner: str) -> None:
    def faults(asked: Asked) -> str:
        time.sleep(0.1 if manner == "slow" else 0)
        return "hang" if manner == "hang" else ""

    with FakeServer(faults) as server:
        bare = bare_seconds()
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, server.url], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while server.requests < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        before = server.requests
        stopping = seconds_to_stop(process)
        asked = server.requests
        time.sleep(0.5)
        # What the machine takes for any stop comes on top; calls under way when the signal came may have arrived since.
        assert stopping < 1 + 3 * max(bare, bare_seconds())
        assert process.returncode == 130
        assert server.requests == asked
        assert asked - before <= 4 * (1 if manner == "hang" else 1 + stopping / 0.1)


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    with FakeServer(lambda asked: {"1": "500", "2": "400", "3": "429"}.get(asked.last, "")) as server:
        model = api(server, tmp_path, key_variable="SOME_KEY", retries=0)
        replies = [reply for _, reply in model.replies([request(i) for i in range(6)])]
        assert server.keys == {f"Bearer {KEY}"}
    assert sum("***" in reply.error for reply in replies) == 3
    kept = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if KEY.encode() in file.read_bytes()]
    assert KEY not in repr(replies) + repr(model.settings) + repr(model.tally)


def test_a_broken_file_of_kept_replies_is_named(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite").write_bytes(b"this is no database at all" * 100)
    with FakeServer() as server, pytest.raises(RunError, match=r"replies\.sqlite: .*remove the file"):
        api(server, tmp_path)


def test_a_scripted_model_says_its_lines() -> None:
    model = ScriptedModel(["one", Reply(text="two", finish="length")])
    assert [reply.text for _, reply in model.replies([request(1), request(2)])] == ["one", "two"]
    assert next(model.replies([request(3)]))[1].finish == "error"
    echo = ScriptedModel(lambda asked: asked.messages[-1].content.upper())
    assert list(echo.replies([request("hm")])) == [(0, Reply(text="HM"))]
