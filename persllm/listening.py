"""What everything that listens has in common: who may come in, how much, and what goes out with every answer.

`make_app` gives a FastAPI application behind a `Guard`; `open_socket` and `run_server` let it listen. On the
loopback no key is needed; then a request must name this machine as its host, so that a foreign page cannot come
in by a name of its own that points here. Everywhere else there is a key: from the environment, or made and shown
once. A request that a page of another origin sends is refused, so nothing is shared across origins, neither to
read nor to write. Bodies are read whole, within a size and a time, before the application sees them.

Limits: no TLS (put a reverse proxy in front for that); a rate is counted per address, which a proxy hides.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

from persllm.errors import ConfigError, PersllmError, RunError
from persllm.records import Record

log = logging.getLogger("persllm")

KEY_VARIABLE = "PERSLLM_API_KEY"
"""Environment variable that holds the key."""
SHORTEST_KEY = 16
"""Characters that a key must have where others can reach us."""
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
MOST_CLIENTS = 10_000
"""Addresses whose rate is kept in mind; the one not seen for longest is forgotten first."""
STOP_SECONDS = 5
"""How long running answers may go on when the server is to stop."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy: own scripts and styles from files of their own, nothing inline, nothing foreign."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What goes out with every answer that does not say otherwise itself."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Limits(Record):
    """How much may come in."""

    body_bytes: int = Field(1_000_000, ge=1)
    """Largest body of a request."""
    body_seconds: float = Field(20.0, gt=0)
    """Longest time for the body to come in."""
    per_minute: int = Field(0, ge=0)
    """Requests per minute from one address; 0 sets no limit."""
    at_once: int = Field(512, ge=1)
    """Requests that are under way at the same time."""


class Refused(Exception):
    """A request that is turned away; becomes an error body of the OpenAI form."""

    def __init__(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


def error_body(status: int, message: str, code: str = "") -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


# Keys ----------------------------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_for(host: str, variable: str = KEY_VARIABLE) -> tuple[str, bool]:
    """(key, whether it was made now): that of the environment; else none on the loopback, and a fresh one elsewhere.

    ConfigError if the key in the environment is too short to keep others out.
    """
    key = os.environ.get(variable, "")
    if key and len(key) < SHORTEST_KEY and not is_loopback(host):
        raise ConfigError(f"{variable}: a key of {len(key)} characters is too short. Take at least {SHORTEST_KEY}, or unset it to get one.")
    if key or is_loopback(host):
        return key, False
    return secrets.token_urlsafe(24), True


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


# The guard -----------------------------------------------------------------------------------------------


class Guard:
    """The ASGI layer around an application."""

    def __init__(self, app: Any, key: str, limits: Limits, open_paths: tuple[str, ...]):
        self.app, self.key, self.limits, self.open_paths = app, key, limits, open_paths
        self.cookie = f"persllm-{hashlib.sha256(b'name' + key.encode()).hexdigest()[:8]}"
        self.pass_ = hashlib.sha256(b"pass" + key.encode()).hexdigest()
        """What the cookie holds: proof of the key, but not the key."""
        self.rates: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self.guarded(scope, receive, Outgoing(send))

    async def guarded(self, scope: Scope, receive: Receive, send: "Outgoing") -> None:
        """One request; whatever goes wrong, no trace of it goes out."""
        self.under_way += 1
        try:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            self.check_origin(headers)
            self.check_rate(scope)
            if (way_in := self.check_key(scope, headers)) is not None:
                await send.plain(303, b"", way_in)
                return
            await self.app(scope, replayed(await self.body(headers, receive), receive), send)
        except Refused as refusal:
            await send.error(refusal.status, refusal.message, refusal.code, refusal.headers)
        except Exception:
            log.exception("an error while answering %s", scope["path"])
            await send.error(500, "an error of ours; the server's log says more")
        finally:
            self.under_way -= 1

    def check_origin(self, headers: dict[str, str]) -> None:
        """Refuse pages of other origins, and, where no key protects us, names that are not this machine's."""
        host = headers.get("host", "")
        if not self.key and name_of(host) not in LOOPBACK_NAMES:
            raise Refused(403, "this server answers this machine alone, by the name localhost or 127.0.0.1", "host_not_allowed")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, "requests from pages of another origin are refused", "origin_not_allowed")

    def check_rate(self, scope: Scope) -> None:
        """Refuse what is too much at once, or too much from one address."""
        if self.under_way > self.limits.at_once:
            raise Refused(429, f"{self.limits.at_once} requests are under way", "too_many_requests", {"retry-after": "1"})
        most = self.limits.per_minute
        if not most:
            return
        client, moment = (scope.get("client") or ("",))[0], time.monotonic()
        left, before = self.rates.pop(client, (float(most), moment))
        left = min(float(most), left + (moment - before) * most / 60)
        self.rates[client] = (max(0.0, left - 1), moment)
        if len(self.rates) > MOST_CLIENTS:
            self.rates.popitem(last=False)
        if left < 1:
            wait = str(max(1, round((1 - left) * 60 / most + 0.5)))
            raise Refused(429, f"more than {most} requests in a minute", "rate_limit_exceeded", {"retry-after": wait})

    def check_key(self, scope: Scope, headers: dict[str, str]) -> dict[str, str] | None:
        """Refuse who has no key. A page opened with `?token=KEY` gets a cookie and the way back without the token."""
        path = scope["path"]
        if not self.key or any(path == open_ or (open_.endswith("/") and path.startswith(open_)) for open_ in self.open_paths):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if (scheme.lower() == "bearer" and same(given.strip(), self.key)) or same(cookie_in(headers, self.cookie), self.pass_):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and same(dict(query).get("token", ""), self.key):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            cookie = f"{self.cookie}={self.pass_}; HttpOnly; SameSite=Strict; Path=/"
            return {"set-cookie": cookie, "location": f"/{path.strip('/')}" + (f"?{rest}" if rest else "")}
        raise Refused(
            401, "the key is missing or wrong: send it as `Authorization: Bearer KEY`", "invalid_api_key", {"www-authenticate": "Bearer"}
        )

    async def body(self, headers: dict[str, str], receive: Receive) -> bytes:
        """The whole body, within size and time."""
        most, parts, size = self.limits.body_bytes, [], 0
        too_large = Refused(413, f"the body is larger than {most} bytes", "body_too_large", {"connection": "close"})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise too_large
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the body is not complete", "body_incomplete")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise too_large
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, "the body came too slowly", "body_too_slow", {"connection": "close"}) from None


class Outgoing:
    """What sends an answer, with the headers that go with every one."""

    def __init__(self, send: Send):
        self.send, self.begun = send, False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Send on what the application sends."""
        if message["type"] == "http.response.start":
            self.begun = True
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await self.send(message)

    async def plain(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """A whole answer; nothing if another one has begun."""
        if self.begun:
            return
        sent = {"content-length": str(len(body)), **headers}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
        await self({"type": "http.response.start", "status": status, "headers": encoded})
        await self({"type": "http.response.body", "body": body})

    async def error(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        """An error as a whole answer."""
        body = json.dumps(error_body(status, message, code)).encode()
        await self.plain(status, body, {"content-type": "application/json", **(headers or {})})


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, then goes on, so that a hang-up is still heard."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return next_message


def name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def cookie_in(headers: dict[str, str], name: str) -> str:
    """The value of a cookie; empty if there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


# Application and server ----------------------------------------------------------------------------------


def make_app(
    title: str,
    key: str = "",
    limits: Limits | None = None,
    open_paths: tuple[str, ...] = ("/health",),
    lifespan: Any = None,
) -> tuple[Any, Guard]:
    """(FastAPI application, the guard around it). Routes go to the first; the second is what listens.

    `open_paths` need no key: exact paths, or beginnings that end in `/`. PersllmError if FastAPI is not installed.
    """
    try:
        import fastapi
        from fastapi.exceptions import RequestValidationError
        from starlette.exceptions import HTTPException
    except ImportError:
        raise ConfigError("listening needs FastAPI and uvicorn: pip install 'persllm[serve]'.") from None

    app = fastapi.FastAPI(title=title, docs_url=None, redoc_url=None, lifespan=lifespan)

    def answer(status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> Any:
        return fastapi.responses.JSONResponse(error_body(status, message, code), status, headers)

    app.add_exception_handler(Refused, lambda request, e: answer(e.status, e.message, e.code, e.headers))
    app.add_exception_handler(HTTPException, lambda request, e: answer(e.status_code, str(e.detail), headers=e.headers))
    app.add_exception_handler(RequestValidationError, lambda request, e: answer(400, told(e.errors()), "invalid_request"))
    app.add_exception_handler(PersllmError, lambda request, e: answer(400, str(e)))
    return app, Guard(app, key, limits or Limits(), open_paths)


def told(errors: Any) -> str:
    """What is wrong with a request, in one line, without repeating what was sent."""
    lines = [f"{'.'.join(str(part) for part in error['loc'] if part != 'body') or 'body'}: {error['msg']}" for error in errors]
    return "; ".join(lines[:5])


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. RunError if the address is not to be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise RunError(
            f"{host}:{port}: cannot listen here ({error}). Take another --port, 0 for a free one, or stop what uses it."
        ) from None


def url_of(listener: socket.socket) -> str:
    """The address of a listening socket for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(app: Any, listener: socket.socket, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until SIGINT or SIGTERM, then end running answers and return. `ready` gets the address once requests are taken."""
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again when all is closed
        server_of(app, lambda: ready(url_of(listener))).run(sockets=[listener])


@contextlib.contextmanager
def in_background(app: Any) -> Iterator[str]:
    """The address of an application that is served by a thread on a free port of the loopback, until the end of `with`."""
    listener, up = open_socket("127.0.0.1", 0), threading.Event()
    server = server_of(app, up.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        if not up.wait(30):
            raise RunError("the server did not come up within 30 s; the log says more.")
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS + 10)


def server_of(app: Any, ready: Callable[[], None]) -> Any:
    """A uvicorn server that says when it takes requests."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    return Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, ws="none",
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )  # fmt: skip
