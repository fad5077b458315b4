"""What listens keeps out who should not come in, and tells nothing it should not."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from persllm.errors import ConfigError, RunError
from persllm.listening import KEY_VARIABLE, Limits, Refused, in_background, key_for, make_app, open_socket

KEY = "a-key-of-more-than-sixteen-letters"


def toy(**how):
    """An application with one good and two bad ways."""
    app, guard = make_app("toy", **how)

    @app.get("/")
    def hello() -> dict:
        return {"said": "hello"}

    @app.get("/health")
    def health() -> dict:
        return {"status": "ok"}

    @app.post("/length")
    async def length(text: dict) -> dict:
        return {"length": len(text["text"])}

    @app.get("/broken")
    def broken() -> dict:
        raise ValueError("secret /etc/passwd")

    @app.get("/no")
    def no() -> dict:
        raise Refused(418, "no tea", "teapot")

    return guard


def ask(url: str, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    connection.close()
    return found


@pytest.fixture(scope="module")
def free():
    with in_background(toy(limits=Limits(body_bytes=1000, body_seconds=0.5))) as url:
        yield url


@pytest.fixture(scope="module")
def locked():
    with in_background(toy(key=KEY)) as url:
        yield url


def test_every_answer_carries_the_headers(free: str) -> None:
    for path in ("/", "/nowhere", "/broken", "/no"):
        _, headers, _ = ask(free, path=path)
        assert "'unsafe-inline'" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_errors_tell_no_trace(free: str) -> None:
    status, _, body = ask(free, path="/broken")
    assert status == 500
    assert "passwd" not in body
    assert "Traceback" not in body
    assert ask(free, path="/no")[::2] == (418, '{"error":{"message":"no tea","type":"invalid_request_error","param":null,"code":"teapot"}}')


def test_a_foreign_name_or_page_is_refused(free: str) -> None:
    assert ask(free)[0] == 200
    assert ask(free, Host="evil.example")[0] == 403
    assert ask(free, Origin="http://evil.example")[0] == 403
    assert ask(free, Origin="null")[0] == 403
    assert ask(free, Origin=free)[0] == 200
    assert ask(free, "OPTIONS", Origin="http://evil.example", Access_Control_Request_Method="POST")[0] == 403


def test_bodies_are_bounded(free: str) -> None:
    assert ask(free, "POST", "/length", b'{"text": "abc"}', Content_Type="application/json")[2] == '{"length":3}'
    assert ask(free, "POST", "/length", b"x" * 2000)[0] == 413
    chunks = b"190\r\n" + b"x" * 400 + b"\r\n"
    with socket.create_connection(
        urlsplit(free).netloc.split(":"), timeout=10
    ) as line:  # all at once, so that no part is unread at the refusal
        line.sendall(b"POST /length HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + 5 * chunks)
        assert b" 413 " in line.recv(1000).split(b"\r\n")[0]


def test_a_body_that_never_comes_is_not_waited_for(free: str) -> None:
    with socket.create_connection(urlsplit(free).netloc.split(":"), timeout=10) as line:
        line.sendall(b"POST /length HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nabc")
        assert b" 408 " in line.recv(1000).split(b"\r\n")[0]


def test_without_the_key_nothing_but_health(locked: str) -> None:
    assert ask(locked)[0] == 401
    assert ask(locked, Authorization="Bearer wrong")[0] == 401
    assert ask(locked, Authorization=f"Bearer {KEY}é")[0] == 401
    assert ask(locked, path="/health")[0] == 200
    assert ask(locked, Authorization=f"Bearer {KEY}")[0] == 200
    assert ask(locked, path="/?token=wrong")[0] == 401


def test_a_token_in_the_address_becomes_a_cookie(locked: str) -> None:
    status, headers, _ = ask(locked, path=f"//evil.example?token={KEY}&a=1")
    assert (status, headers["location"]) == (303, "/evil.example?a=1")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert KEY not in cookie
    assert ask(locked, Cookie=cookie.split(";")[0])[0] == 200
    assert ask(locked, Cookie=cookie.split(";")[0] + "0")[0] == 401


def test_too_many_requests_are_told_when_to_come_again() -> None:
    with in_background(toy(limits=Limits(per_minute=3))) as url:
        found = [ask(url) for _ in range(4)]
    assert [status for status, _, _ in found] == [200, 200, 200, 429]
    assert 1 <= int(found[-1][1]["retry-after"]) <= 21


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert key_for("127.0.0.1") == ("", False)
    assert key_for("::1") == ("", False)
    made, fresh = key_for("0.0.0.0")
    assert fresh
    assert made != key_for("0.0.0.0")[0]
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(ConfigError, match="too short"):
        key_for("192.168.1.5")


def test_a_taken_port_is_told() -> None:
    with open_socket("127.0.0.1", 0) as taken, pytest.raises(RunError, match="Take another --port"):
        open_socket("127.0.0.1", taken.getsockname()[1])


SCRIPT = """
from persllm.listening import make_app, open_socket, run_server
app, guard = make_app("toy")
run_server(guard, open_socket("127.0.0.1", 0), lambda url: print(url, flush=True))
print("closed", flush=True)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(stop: signal.Signals) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGTERM, signal.default_int_handler)"
    )
    child = subprocess.Popen([sys.executable, "-c", code + SCRIPT], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert ask(child.stdout.readline().strip(), path="/nowhere")[0] == 404
    started = time.monotonic()
    child.send_signal(stop)
    assert child.communicate(timeout=15)[0] == "closed\n"
    assert (child.returncode, time.monotonic() - started < 5) == (0, True)
