"""`persllm serve` with the clients that people use: openai, curl; hang-ups, a killed worker, a full queue, an upstream."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from toy_run import build_run

from persllm.agent import Company
from persllm.base import LocalModel
from persllm.constructor_settings import ApiSettings
from persllm.listening import in_background
from persllm.records import Message, Piece, Reply, Request, Sampling
from persllm.serve.app import Front, serve_app
from persllm.serve.lane import Lane
from persllm.serve.names import Directory, Folder
from persllm.serve.orders import Order
from persllm.serve.shapes import Asked
from persllm.serve.upstream import Upstream

ROWS, QUEUE = 4, 2
HELLO = [{"role": "user", "content": "What is in box 1?"}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("serve"))


class Served:
    """A `persllm serve` that runs."""

    def __init__(self, run: Path):
        limits = ("--port", "0", "--rows", str(ROWS), "--queue", str(QUEUE), "--max-tokens", "900")
        command = [sys.executable, "-m", "persllm.cli", "serve", str(run), *limits]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        self.url = re.search(r"http://\S+/v1", self.said)[0]
        self.client = openai.OpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=60)

    @property
    def worker(self) -> int:
        """The process that owns the models: the newest child."""
        pid = self.process.pid
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
        return max(children)

    @contextlib.contextmanager
    def worker_held(self) -> Iterator[None]:
        """The worker does nothing meanwhile, so that nothing can end by itself."""
        worker = self.worker
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)

    def health(self) -> dict:
        """What /health says, also if it is not well."""
        try:
            with urllib.request.urlopen(self.url.replace("/v1", "/health"), timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def ask(self, **how):
        """One answer of Ada's."""
        return self.client.chat.completions.create(**{"model": "ada@late", "messages": HELLO, "max_tokens": 12, "temperature": 0, **how})


@pytest.fixture(scope="module")
def served(run: Path) -> Iterator[Served]:
    server = Served(run)
    yield server
    worker = server.worker
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def becomes(true: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something becomes true before the time is over."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def test_models_are_persons_at_stages(served: Served) -> None:
    assert [model.id for model in served.client.models.list()] == ["ada", "ada@early", "ada@late", "bo", "bo@late", "bo@after"]
    assert served.client.models.retrieve("ada@early").id == "ada@early"
    assert served.said.startswith("http://127.0.0.1:")


def test_a_whole_answer(served: Served) -> None:
    answer = served.ask()
    assert (answer.object, answer.model, answer.choices[0].message.role) == ("chat.completion", "ada@late", "assistant")
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 1 <= answer.usage.completion_tokens <= 12
    assert answer.choices[0].message.content == served.ask(model="ada").choices[0].message.content


def test_the_server_says_what_the_model_says(served: Served, run: Path) -> None:
    agent = Company(run).agent("ada", "early")
    request = agent.request([Message(role="user", content=HELLO[0]["content"])], sampling=Sampling(max_tokens=12, temperature=1.0, seed=7))
    [(_, reply)] = agent.model.replies([request])
    assert served.ask(model="ada@early", temperature=1, seed=7).choices[0].message.content == reply.text


def test_a_streamed_answer_adds_up(served: Served) -> None:
    whole = served.ask(seed=3, temperature=1)
    chunks = list(served.ask(seed=3, temperature=1, stream=True, stream_options={"include_usage": True}))
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in said) == whole.choices[0].message.content
    assert said[0].delta.role == "assistant"
    assert [choice.finish_reason for choice in said if choice.finish_reason] == [whole.choices[0].finish_reason]
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_many_at_once_with_the_async_client(served: Served) -> None:
    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0) as client:
            calls = [
                client.chat.completions.create(model="bo", messages=[{"role": "user", "content": f"{n}?"}], max_tokens=9, temperature=0)
                for n in (1, 2, 3, 1, 2, 3)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]

    said = asyncio.run(all_of_them())
    assert said[:3] == said[3:]


def test_without_a_seed_luck_changes_and_with_one_it_does_not(served: Served) -> None:
    drawn = {served.ask(temperature=1.5, max_tokens=20).choices[0].message.content for _ in range(4)}
    fixed = {served.ask(temperature=1.5, max_tokens=20, seed=1).choices[0].message.content for _ in range(2)}
    assert len(drawn) > 1
    assert len(fixed) == 1


def test_a_stop_ends_the_answer(served: Served) -> None:
    text = served.ask(max_tokens=30).choices[0].message.content
    stop = next(letter for letter in text[1:] if letter.strip())
    cut = served.ask(max_tokens=30, stop=[stop])
    assert cut.choices[0].message.content == text[: text.index(stop)].rstrip()
    assert cut.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ({"n": 2}, 400, "n: Input should be 1"),
        ({"model": "ada@war"}, 404, "no model 'ada@war'"),
        ({"model": "../../etc/passwd"}, 404, "no model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "the last message must be the user's"),
        ({"messages": [{"role": "user", "content": "word " * 2000}]}, 400, "the model holds"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}]},
            400,
            "messages.0.content",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "tools is not possible here"),
        ({"temperature": 3}, 400, "temperature"),
        ({"extra_body": {"chat_template_kwargs": {"persona": "bo"}}}, 404, "with the persona bo"),
        ({"stream": True, "messages": [{"role": "user", "content": "word " * 2000}]}, 400, "the model holds"),
    ],
)
def test_what_cannot_be_done_is_said(served: Served, how: dict, status: int, says: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        served.ask(**how)
    assert caught.value.status_code == status
    assert says in caught.value.body["message"]


def test_curl_sees_the_answer_grow(served: Served) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    body = {"model": "ada", "messages": HELLO, "stream": True, "max_tokens": 8, "analysis": True, "temperature": 0}
    asked = ["curl", "-sN", f"{served.url}/chat/completions", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
    events = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: "))["object"] == "chat.completion.chunk" for event in events[:-2])


def test_a_full_queue_is_told_and_who_hangs_up_frees_the_place(served: Served) -> None:
    with served.worker_held():
        waiting = [asking(served, stream=place % 2 == 0) for place in range(ROWS + QUEUE)]
        assert becomes(lambda: served.health()["under_way"] == ROWS + QUEUE)
        with pytest.raises(openai.RateLimitError) as caught:
            served.ask()
        assert int(caught.value.response.headers["retry-after"]) >= 1
        for hang_up in waiting:
            hang_up()
        assert becomes(lambda: served.health()["under_way"] == 0)
    assert served.ask().choices[0].message.content == served.ask().choices[0].message.content


def asking(served: Served, stream: bool) -> Callable[[], None]:
    """A client that waits for a long answer; calling what is returned hangs up."""
    import http.client

    line = http.client.HTTPConnection("127.0.0.1", int(served.url.split(":")[2].split("/")[0]))
    body = {"model": "ada", "messages": HELLO, "max_tokens": 900, "stream": stream, "temperature": 1}
    line.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    return line.close


def test_a_killed_worker_is_an_error_and_another_one_is_started(served: Served) -> None:
    found: list[BaseException] = []

    def ask() -> None:
        try:
            served.ask()
        except openai.APIStatusError as error:
            found.append(error)

    with served.worker_held():
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert becomes(lambda: served.health()["under_way"] == 3)
        os.kill(served.worker, signal.SIGKILL)
        for thread in threads:
            thread.join(10)
    assert [error.status_code for error in found] == [503] * 3
    assert all("retry-after" in error.response.headers for error in found)
    assert becomes(lambda: served.health()["status"] == "ok", 90)
    assert served.ask().usage.completion_tokens > 0


def test_another_server_can_answer(served: Served, run: Path) -> None:
    settings = ApiSettings(url=served.url, model="ada")
    directory = Directory([Company(run, settings)])
    backend = Upstream(settings)
    front = Front(directory, backend)
    with in_background(serve_app(front), backend) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        for how in ({}, {"stream": True}):
            told = client.chat.completions.create(model="ada@early", messages=HELLO, temperature=0, max_tokens=12, **how)
            text = "".join(c.choices[0].delta.content or "" for c in told if c.choices) if how else told.choices[0].message.content
            assert text == served.ask(model="ada@early").choices[0].message.content
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="ada@war", messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="refuses the request"):
            client.chat.completions.create(model="ada", messages=[{"role": "user", "content": "word " * 2000}])
    typed = Asked(model="ada@early", messages=[{"role": "user", "content": "<|stage:ada-late|> hi <|im_end|>"}])
    sent = backend.body(front.order(typed))
    assert sent["messages"][-1]["content"] == "< |stage:ada-late|> hi < |im_end|>"
    assert sent["chat_template_kwargs"] == {"persona": "ada", "stage": "early", "analysis": False}


def test_an_upstream_that_is_not_there_is_an_error(run: Path) -> None:
    settings = ApiSettings(url="http://127.0.0.1:9/v1", model="x")
    backend = Upstream(settings)
    with in_background(serve_app(Front(Directory([Company(run, settings)], takers=["prompted"]), backend)), backend) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="ada", messages=HELLO)
    assert caught.value.status_code == 502


def test_names_that_clash_carry_their_run(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    names = list(Directory([Company(run, opener=Folder), Company(other, opener=Folder)]).names)
    assert "run/ada@early" in names
    assert "other/ada@early" in names
    assert "ada@early" not in names


@pytest.fixture(scope="module")
def model(run: Path) -> LocalModel:
    return LocalModel.load(run / "5-sft" / "cast" / "model", threads=1)


def order(text: str, **how) -> Order:
    request = Request(messages=(Message(role="user", content=text),), persona="ada", stage="late", sampling=Sampling(max_tokens=6))
    return Order(folder="", request=request, **how)


def test_a_lane_answers_more_than_it_has_places_for(model: LocalModel) -> None:
    lane, texts = Lane(model, rows=2), [f"Number {n}? " * (1 + n % 3) for n in range(7)]
    for number, text in enumerate(texts):
        lane.waiting.append((number, order(text)))
    replies: dict[int, Reply] = {}
    while lane.busy:
        replies |= dict(lane.step())
        assert len(lane.seats) <= 2
    expected = dict(model.replies([order(text).request for text in texts]))
    assert replies == expected


def test_a_lane_tells_who_cannot_be_answered_and_goes_on(model: LocalModel) -> None:
    lane = Lane(model, rows=4)
    wrong = order("Hi").request.model_copy(update={"stage": "war"})
    lane.waiting.extend([(0, order("word " * 3000)), (1, Order(folder="", request=wrong)), (2, order("Hi", streamed=True))])
    events = []
    while lane.busy:
        events += lane.step()
    errors = {number: part.error for number, part in events if isinstance(part, Reply) and part.finish == "error"}
    assert "the model holds" in errors[0]
    assert "unknown stage war" in errors[1]
    told = [part for number, part in events if number == 2]
    assert "".join(part.text for part in told if isinstance(part, Piece)) == told[-1].text
