"""Odd requests against the OpenAPI description: no error of ours, no answer that the description does not know, no file opened.

`PERSLLM_FUZZ` says how many requests per operation; `make check-api` takes a thousand.
"""

import asyncio
import json
import os
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from toy_base import ADA, BO
from toy_run import build_run

from persllm.agent import Agent, Company
from persllm.chat import ScriptedModel
from persllm.listening import Limits, in_background
from persllm.records import Piece, Reply
from persllm.serve.app import Front, serve_app
from persllm.serve.orders import Order
from persllm.web.app import web_app

EXAMPLES = int(os.environ.get("PERSLLM_FUZZ", "10"))
HURRY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


class Parrot:
    """A backend that repeats what was said last."""

    def __init__(self) -> None:
        self.manners: dict = {}
        self.orders: list[Order] = []

    async def __aenter__(self) -> "Parrot":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def replying(self, order: Order) -> AsyncIterator[Piece | Reply]:
        self.orders.append(order)
        text = order.request.messages[-1].content
        if order.streamed:
            yield Piece(text=text)
        await asyncio.sleep(0)
        yield Reply(text=text)

    def health(self) -> dict[str, object]:
        return {"status": "ok", "under_way": 0}


class Two:
    """A directory of Ada and Bo without a run behind it."""

    def __init__(self) -> None:
        self.names = {f"{person.id}@{stage.id}": (person, stage.id) for person in (ADA, BO) for stage in person.stages}

    def named(self, name: str, stage: str) -> str:
        return f"{name.partition('@')[0]}@{stage}"

    def agent(self, name: str) -> Agent | None:
        if name not in self.names:
            return None
        person, stage = self.names[name]
        return Agent(model=ScriptedModel([]), persona=person, stage=stage)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    backend = Parrot()
    with in_background(serve_app(Front(Two(), backend), limits=Limits(body_bytes=200_000)), backend) as url:
        yield url


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    company = Company(build_run(tmp_path_factory.mktemp("page")), opener=lambda folder: ScriptedModel(lambda request: "Yes."))
    with in_background(web_app(company)) as url:
        yield url


@pytest.mark.parametrize("served", ["address", "page"])
def test_no_answer_that_the_description_does_not_know(served: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(served)
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: pip install persllm[browser]")
    tried = 0
    for found in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations():
        for mode in schemathesis.GenerationMode:
            try:
                cases = found.ok().as_strategy(generation_mode=mode)
                checked(cases)
            except Unsatisfiable:  # an operation without parameters has no wrong ones
                continue
            tried += 1
    assert tried >= 5


def checked(cases: st.SearchStrategy) -> None:
    """Ask every case, and hold the answer against the description."""

    @given(case=cases)
    @HURRY
    def one(case) -> None:
        case.call_and_validate(timeout=20)

    one()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "model", "messages", "temperature", "top_p", "max_tokens", "seed", "stop", "stream", "n", "tools", "stream_options", "analysis", "chat_template_kwargs",
)  # fmt: skip
BODY = st.dictionaries(st.sampled_from(FIELDS), JSON)
GOOD = {"model": "ada@late", "messages": [{"role": "user", "content": "Hi"}]}


def posted(address: str, body: bytes, path: str = "/v1/chat/completions") -> tuple[int, str]:
    """Status and body of a POST."""
    request = urllib.request.Request(f"{address}{path}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@given(odd_fields=BODY)
@HURRY
def test_whatever_a_field_holds_it_is_an_answer_or_a_clear_no(address: str, odd_fields: dict) -> None:
    status, said = posted(address, json.dumps({**GOOD, **odd_fields}).encode())
    assert status in (200, 400, 404)
    if status != 200:
        assert set(json.loads(said)["error"]) == {"message", "type", "param", "code"}
        assert "Traceback" not in said


@given(body=st.binary(max_size=300))
@HURRY
def test_bytes_that_are_no_request(address: str, body: bytes) -> None:
    assert posted(address, body)[0] == 400


@given(text=st.text(min_size=1, max_size=200))
@HURRY
def test_what_is_said_arrives_to_the_letter(address: str, text: str) -> None:
    body = {"model": "ada@late", "messages": [{"role": "user", "content": text}]}
    status, said = posted(address, json.dumps(body).encode())
    assert status == 200
    assert json.loads(said)["choices"][0]["message"]["content"] == text


PATHS = st.sampled_from(["../", "..%2f", "/etc/passwd", "%00", "file:", "\\", "runs/", "config.json", "~", "."])


@pytest.fixture(scope="module")
def opened() -> Iterator["Opened"]:
    watch = Opened()
    sys.addaudithook(watch)
    yield watch
    watch.on = False


class Opened:
    """Files that the server's threads open while it watches."""

    def __init__(self) -> None:
        self.on, self.files = False, []

    def __call__(self, event: str, details: tuple) -> None:
        """The audit hook; it cannot be taken out again, so it can be switched off."""
        if (
            self.on
            and event in ("open", "os.listdir", "os.scandir", "subprocess.Popen")
            and threading.current_thread() is not threading.main_thread()
        ):
            self.files.append((event, details))

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.on = True
        yield
        self.on = False


@given(parts=st.lists(PATHS, min_size=1, max_size=5))
@HURRY
def test_no_way_from_a_request_to_a_file(address: str, opened: Opened, parts: list[str]) -> None:
    name = "".join(parts)
    posted(address, json.dumps(GOOD).encode())  # what is imported at the first request is not what we look for
    with opened.watching():
        status, said = posted(address, json.dumps({**GOOD, "model": name, "chat_template_kwargs": {"stage": name}}).encode())
        for path in (f"/v1/models/{urllib.parse.quote(name)}", f"/{urllib.parse.quote(name)}"):
            assert posted(address, b"", path)[0] in (404, 405)
    assert status == 404
    assert "root:" not in said
    assert opened.files == []
