"""The ASGI layer around every application that listens."""

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from persllm.listening.keys import same
from persllm.listening.refusals import Limits, Refused, error_body

log = logging.getLogger("persllm")

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
MOST_CLIENTS = 10_000
"""Addresses whose rate is kept in mind; the one not seen for longest is forgotten first."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy: own scripts and styles from files of their own, nothing inline, nothing foreign."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer` a browser sends the forms of our own pages as from origin `null`
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What goes out with every answer that does not say otherwise itself."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


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
