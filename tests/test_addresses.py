"""Several addresses, their limits, breakers and dialects; the storm of two thousand; claims between processes."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer

from persllm.chat import ApiModel, ReplyCache, below
from persllm.chat.limits import Breaker, Pace
from persllm.chat.wire import read_completion
from persllm.constructor_settings import AddressSettings, ApiSettings
from persllm.errors import ModelError
from persllm.ingestion import Annotator, AnnotatorSettings
from persllm.records import Message, Reply, Request
from persllm.takers import Taker, opener_of

SCHEMA = json.dumps({"type": "object", "properties": {"inputs": {"type": "array", "items": {"type": "string"}}}})


def request(text: object, **fields) -> Request:
    return Request(messages=(Message(role="user", content=str(text)),), **fields)


def two(one: FakeServer, other: FakeServer, cache: Path | None = None, more: dict | None = None, **settings) -> ApiModel:
    shared = {"retries": 2, "timeout": 5.0, "rest": 0.02, "break_after": 3} | settings
    return ApiModel(ApiSettings(url=one.url, model="fake", **shared), cache, [AddressSettings(url=other.url, **shared | (more or {}))])


def slow(asked: Asked) -> str:
    time.sleep(0.01)
    return ""


def test_addresses_share_the_calls_by_weight_and_one_name_each() -> None:
    with FakeServer(slow) as one, FakeServer(slow) as other:
        model = two(one, other, more={"weight": 3.0, "model": "same-model-here"})
        assert len(list(model.replies([request(i) for i in range(80)]))) == 80
        assert one.requests + other.requests == 80
        assert 12 <= one.requests <= 40  # 20 by weight alone; whoever is free takes more
        assert {body["model"] for body in one.bodies} == {"fake"}
        assert {body["model"] for body in other.bodies} == {"same-model-here"}


def test_others_take_over_from_an_address_that_fails_and_it_comes_back() -> None:
    broken = threading.Event()
    broken.set()
    with FakeServer(lambda asked: "cut" if broken.is_set() else slow(asked)) as one, FakeServer(slow) as other:
        model = two(one, other, concurrency=4, rest=0.2)  # long enough that no call meets the broken one three times
        replies = [reply for _, reply in model.replies([request(i) for i in range(60)])]
        assert [reply for reply in replies if reply.finish == "error"] == []
        assert 3 <= one.requests <= 20
        assert model.addresses[0].breaker.open
        broken.clear()
        time.sleep(0.5)
        before = one.requests
        assert all(reply.finish == "stop" for _, reply in model.replies([request(f"more {i}") for i in range(60)]))
        assert one.requests > before + 5
        assert not model.addresses[0].breaker.open


def test_one_refused_key_is_no_end_while_another_address_answers() -> None:
    with FakeServer(lambda asked: "401") as one, FakeServer(slow) as other:
        model = two(one, other)
        assert all(reply.finish == "stop" for _, reply in model.replies([request(i) for i in range(30)]))
        assert one.requests <= 8
    with (
        FakeServer(lambda asked: "401") as one,
        FakeServer(lambda asked: "403") as other,
        pytest.raises(ModelError, match="refuses the key"),
    ):
        list(two(one, other).replies([request(i) for i in range(30)]))


def test_when_nobody_answers_any_more_calls_fail_soon_and_say_why() -> None:
    with FakeServer(lambda asked: "500") as one, FakeServer(lambda asked: "cut") as other:
        began = time.monotonic()
        replies = [reply for _, reply in two(one, other, retries=1).replies([request(i) for i in range(300)])]
        assert len(replies) == 300
        assert all(reply.finish == "error" for reply in replies)
        assert any("no address answers any more; the last said" in reply.error for reply in replies)
        assert one.requests + other.requests < 150
        assert time.monotonic() - began < 20


def test_pace_is_foreseen() -> None:
    pace = Pace(requests=3, tokens=100, minute=60.0)
    for when in (0.0, 1.0, 2.0):
        assert pace.wait(10, when) == 0.0
        last = pace.begin(10, when)
    assert pace.wait(10, 5.0) == 55.0  # the first of three leaves the minute at 60
    assert pace.wait(10, 60.0) == 0.0
    assert pace.wait(85, 60.0) == 1.0  # 20 are left in the minute, of which 10 leave at 61
    pace.set_right(last, 70)
    assert pace.wait(15, 61.0) == 0.0
    assert pace.wait(40, 61.0) == 1.0
    assert pace.wait(1000, 61.0) == 1.0  # larger than the limit: when the minute is empty
    pace.hold(9.0, 100.0)
    assert pace.wait(1, 103.0) == 6.0
    assert Pace(0, 0).wait(10**9, 0.0) == 0.0


def test_limits_a_minute_hold_at_the_server() -> None:
    times: list[float] = []
    with FakeServer(lambda asked: times.append(time.monotonic()) or "") as server:
        settings = ApiSettings(url=server.url, model="fake", requests_per_minute=5)
        model = ApiModel(settings)
        model.addresses[0].pace.minute = 0.5
        assert len(list(model.replies([request(i) for i in range(16)]))) == 16
    assert times[-1] - times[0] >= 3 * 0.5 - 0.3


def test_the_breaker() -> None:
    breaker = Breaker(failures=2, rest=1.0)
    breaker.failed(False, 0.0)
    breaker.succeeded()
    breaker.failed(False, 0.0)
    assert breaker.wait(0.0) == 0.0
    breaker.failed(False, 0.0)
    assert (breaker.open, breaker.wait(0.25)) == (True, 0.75)
    breaker.begin()
    assert breaker.probing
    assert breaker.wait(5.0) == float("inf")  # one probe at a time
    breaker.failed(True, 5.0)
    assert breaker.wait(5.0) == 2.0  # twice the rest
    breaker.begin()
    breaker.given_up(True)
    assert breaker.wait(7.0) == 0.0
    breaker.begin()
    breaker.succeeded()
    assert not breaker.open


@pytest.mark.parametrize("word", ["response_format", "max_tokens", "temperature"])
def test_what_a_server_refuses_is_learnt_once(word: str) -> None:
    complaint = {"max_tokens": "Use 'max_completion_tokens' instead."}.get(word, f"'{word}' is not supported")
    with FakeServer(lambda asked: f"refuse {complaint}" if word in asked.body else "") as server:
        model = ApiModel(ApiSettings(url=server.url, model="fake", concurrency=1, retries=0))
        replies = [reply for _, reply in model.replies([request(i, json_schema=SCHEMA) for i in range(10)])]
        assert all(reply.finish == "stop" for reply in replies)
        assert server.requests == 11
        assert word not in server.bodies[-1]
        assert ("response_format" in server.bodies[-1]) == (word != "response_format")
        assert ("max_completion_tokens" in server.bodies[-1]) == (word == "max_tokens")


def test_a_bad_request_is_not_taken_for_a_simpler_server() -> None:
    with FakeServer(lambda asked: "400") as server:
        model = ApiModel(ApiSettings(url=server.url, model="fake", retries=0))
        [(_, reply)] = model.replies([request("x", json_schema=SCHEMA)])
        assert "error 400" in reply.error
        assert model.addresses[0].dialect.structured


@pytest.mark.parametrize(
    ("message", "thought", "text"),
    [
        ({"content": "a", "reasoning_content": "b"}, "b", "a"),
        ({"content": "a", "reasoning": "b"}, "b", "a"),
        ({"content": "<think>b</think>\n\na"}, "b", "a"),
        ({"content": "b\n</think>\na"}, "b", "a"),
        ({"content": "<think>b and no end"}, "", ""),
        ({"content": None, "reasoning_content": "b"}, "", ""),
    ],
)
def test_reasoning_never_gets_into_the_answer(message: dict, thought: str, text: str) -> None:
    reply = read_completion(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode(), 9)
    assert (reply.thought, reply.text, reply.finish) == (thought, text, "stop" if text else "error")
    assert text or "reasoning and no answer" in reply.error


def test_a_wait_of_an_hour_is_a_refusal() -> None:
    with FakeServer(lambda asked: "429 3600") as server:
        began = time.monotonic()
        [(_, reply)] = ApiModel(ApiSettings(url=server.url, model="fake")).replies([request("x")])
        assert "429" in reply.error
        assert server.requests == 1
        assert time.monotonic() - began < 5


STORM = ("429", "500", "cut", "empty", "half json", "wrong language", "circles", "cut body", "html", "hang", "400")


def storm(asked: Asked) -> str:
    """One in three is met by a fault; for half of these the fault stays, `hang` is rare."""
    number = int(asked.last.split()[-1])
    if number % 3:
        return ""
    kind = STORM[number // 3 % len(STORM)]
    if kind == "hang" and number % 5:
        return ""
    return kind if number % 2 or asked.turn == 0 else ""


def test_two_thousand_through_a_storm_nothing_lost_nothing_doubled_each_failure_counted(tmp_path: Path) -> None:
    passing, lasting = {"429", "500", "cut", "cut body", "hang"}, {"empty", "html", "400"}
    with FakeServer(storm) as server:
        settings = ApiSettings(url=server.url, model="fake", concurrency=64, retries=1, timeout=6.0, rest=0.01, break_after=200)
        model = ApiModel(settings, tmp_path)
        asked = [request(f"What of {i}") for i in range(2000)]
        replies = list(model.replies(asked))
        model.close()
        assert sorted(place for place, _ in replies) == list(range(2000))
        faults = {i: storm(Asked((("user", f"What of {i}"),), 0, {})) for i in range(2000)}
        stays = {i for i in faults if faults[i] and i % 2}
        failed = {place for place, reply in replies if reply.finish == "error"}
        expected = {i for i, fault in faults.items() if fault in lasting or (fault in passing and i in stays)}
        assert failed == expected
        assert (model.tally.calls, model.tally.failed) == (2000 - len(expected), len(expected))
        assert model.tally.retried == sum(fault in passing for fault in faults.values())
        sent = {int(messages[0][1].split()[-1]): count for messages, count in server.counts.items()}
        assert sent == {i: 2 if fault in passing else 1 for i, fault in faults.items()}
    kept = ReplyCache(tmp_path)
    assert sum(kept.find(model.identity(one)) is not None for one in asked) == 2000 - len(expected)


def test_two_processes_never_make_the_same_call(tmp_path: Path) -> None:
    with FakeServer(slow) as server:
        settings = ApiSettings(url=server.url, model="fake", concurrency=8)
        asked = [request(i) for i in range(60)]
        models = [ApiModel(settings, tmp_path) for _ in range(3)]
        found: list[dict[int, Reply]] = []
        threads = [threading.Thread(target=lambda model=model: found.append(dict(model.replies(asked)))) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.requests == 60
        assert found[0] == found[1] == found[2]
        assert sum(model.tally.calls for model in models) == 60


def test_the_claim_of_a_process_that_is_gone_is_void(tmp_path: Path) -> None:
    gone = os.fork()
    if not gone:
        os._exit(0)
    os.waitpid(gone, 0)
    host = ReplyCache(tmp_path).holder.split(":")[0]
    assert ReplyCache(tmp_path, f"{host}:{gone}:x").claim("key", 1000)
    other, mine = ReplyCache(tmp_path, "elsewhere:1:x"), ReplyCache(tmp_path)
    assert not mine.claim("key", 10)  # found out now
    assert mine.claim("key", 10)
    assert not other.claim("key", 10)
    mine.release("key")
    assert other.claim("key", -1)
    assert mine.claim("key", 10)  # its time was over
    mine.keep("key", Reply(text="a"))
    assert not other.claim("key", 10)
    assert other.find("key") == Reply(text="a")


FAR = "https://models.example/v1"


def by_judge(settings: ApiSettings) -> ApiModel:
    return ApiModel(settings, set_by=below("judge.api"))


def by_taker(settings: ApiSettings) -> ApiModel:
    taker = Taker("gpt", "prompted", {}, {"ada": settings.url}, api=settings)
    return opener_of([taker], 1)(settings.url).model


def by_ingest(settings: ApiSettings) -> ApiModel:
    return Annotator(AnnotatorSettings(api=settings), Path("unused"), dry_run=False).api


SET_BY = {
    "annotator": (
        ApiModel,
        "constructor.api.url",
        "constructor.api.model",
        "with constructor.api.key_variable",
        ": raise constructor.api.max_tokens",
    ),
    "judge": (by_judge, "judge.api.url", "judge.api.model", "with judge.api.key_variable", ": raise judge.api.max_tokens"),
    "taker": (
        by_taker,
        "evaluation.models.gpt.api.url",
        "evaluation.models.gpt.api.model",
        "with evaluation.models.gpt.api.key_variable",
        "",
    ),
    "ingest": (by_ingest, "--address", "--model", "with --set api.key_variable=NAME", ""),
}


@pytest.mark.parametrize("who", SET_BY)
def test_messages_name_what_sets_the_address(who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, url, model, key, longest = SET_BY[who]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ModelError) as caught:
        opened(ApiSettings(url=FAR, model="m", key_variable="NO_SUCH_KEY"))
    assert str(caught.value).endswith(f"is not set. Set it, or name another {key}.")
    with FakeServer(faults=lambda asked: "404") as server:
        with pytest.raises(ModelError) as caught:
            list(opened(ApiSettings(url=server.url, model="m", retries=0)).replies([request("x")]))
        assert f"Correct {url} (it often ends in /v1) or {model}." in str(caught.value)
    with FakeServer(answer=lambda asked: "<think>no end") as server:
        [(_, reply)] = opened(ApiSettings(url=server.url, model="m", retries=0)).replies([request("x")])
        assert reply.error == f"reasoning and no answer within {request('x').sampling.max_tokens} tokens{longest}"
