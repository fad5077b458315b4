"""One address: how it is asked, what its answers mean, and whether it may be asked now."""

import ipaddress
import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from persllm.chat.limits import Begun, Breaker, Pace
from persllm.chat.wire import Dialect, complaint_in, payload, read_completion
from persllm.constructor_settings import AddressSettings
from persllm.errors import ModelError
from persllm.records import Record, Reply, Request, Usage

ERROR_LENGTH = 300
"""Characters of a server's complaint that are kept."""
LONGEST_WAIT = 600.0
"""Seconds: a server that asks to wait longer has refused the call."""
MAY_PASS = {408, 409, 425, 429}
REFUSES_ALL = {401, 403, 404}
REFUSES_FORM = {400, 422}


class SetBy(Record):
    """By what the user sets an address, as messages call it: settings of a recipe, options of a command. Empty where nothing sets it."""

    url: str
    model: str
    key: str = ""
    """The name of the variable that holds the key."""
    longest: str = ""
    """The longest reply."""


def below(setting: str) -> SetBy:
    """The names of an address that is a section of a recipe, with its longest reply."""
    return SetBy(url=f"{setting}.url", model=f"{setting}.model", key=f"{setting}.key_variable", longest=f"{setting}.max_tokens")


OF_ANNOTATOR = below("constructor.api")


class Outcome(Record):
    """What came of one try."""

    reply: Reply
    sound: bool = True
    """Whether the server did its part; false for its own faults, cut connections and time-outs."""
    may_pass: bool = False
    """Whether another try may succeed."""
    wait: float = 0.0
    """Seconds that the server asked to wait."""
    usage: Usage | None = None
    """What is to be paid for; None if nothing is known of it."""


class Address:
    """A place where calls can be made. Belongs to one event loop at a time."""

    PATH = "chat/completions"
    """What is called below the URL."""

    def __init__(self, settings: AddressSettings, model: str, set_by: SetBy = OF_ANNOTATOR):
        self.settings, self.set_by = settings, set_by
        self.model = settings.model or model
        self.key = os.environ.get(settings.key_variable, "")
        if not self.key and not self.is_local:
            another = f", or name another with {set_by.key}" if set_by.key else ""
            raise ModelError(
                f"{settings.url}: the environment variable {settings.key_variable}, which is to hold the key, is not set. Set it{another}."
            )
        self.endpoint = f"{settings.url.rstrip('/')}/{self.PATH}"
        self.headers = {"Authorization": f"Bearer {self.key or 'none'}", "Content-Type": "application/json"}
        self.dialect = Dialect(structured=settings.structured)
        self.pace = Pace(settings.requests_per_minute, settings.tokens_per_minute)
        self.breaker = Breaker(settings.break_after, settings.rest)
        self.busy = self.begun = 0
        self.refusal: ModelError | None = None
        """Why every further call would fail here."""

    @property
    def is_local(self) -> bool:
        """Whether the address is on this machine, so that nothing leaves it."""
        return on_this_machine(self.settings.url)

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until a call may begin; without end if only another call's end can allow it."""
        if self.refusal or self.busy >= self.settings.concurrency:
            return float("inf")
        return max(self.breaker.wait(now), self.pace.wait(tokens, now))

    def begin(self, tokens: int) -> tuple[Begun, bool]:
        """Take a place for a call: its entry in the pace, and whether it is a probe."""
        self.busy, self.begun = self.busy + 1, self.begun + 1
        self.breaker.begin()
        return self.pace.begin(tokens, time.monotonic()), self.breaker.probing

    def end(self, entry: Begun, probe: bool, outcome: Outcome | None) -> None:
        """Give the place back; None if the call was cancelled."""
        self.busy -= 1
        now = time.monotonic()
        if outcome is None:
            self.breaker.given_up(probe)
            return
        if outcome.sound:
            self.breaker.succeeded()
        else:
            self.breaker.failed(probe, now)
        if outcome.wait:
            self.pace.hold(outcome.wait, now)
        if outcome.usage is not None:
            self.pace.set_right(entry, outcome.usage.prompt_tokens + outcome.usage.completion_tokens)

    def session(self) -> Any:
        """Connections that are kept open between calls. What stays on this machine goes through no proxy."""
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.settings.concurrency),
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
            trust_env=not self.is_local,
        )

    async def ask(self, session: Any, request: Request) -> Outcome:
        """One try; asked again in simpler words if the server does not know ours. ModelError for what every call would meet."""
        dialect = self.dialect
        while True:
            status, headers, body = await self.post(session, request, dialect)
            if status not in REFUSES_FORM:
                break
            simpler = dialect.simpler(complaint_in(body), request)
            if simpler is None:
                break
            dialect = simpler
        if status == 200:
            self.dialect = dialect
            reply = self.read(body, request)
            return Outcome(reply=reply, usage=reply.usage)
        return self.refused(status, headers, complaint_in(body))

    def body(self, request: Request, dialect: Dialect) -> dict[str, Any]:
        """What is sent."""
        return payload(self.model, request, dialect)

    def read(self, body: bytes, request: Request) -> Reply:
        """What came back."""
        return read_completion(body, request.sampling.max_tokens, self.set_by.longest)

    async def post(self, session: Any, request: Request, dialect: Dialect) -> tuple[int, Any, bytes]:
        """Status, headers and body of an answer; status 0 if none came, with the reason for a body."""
        import aiohttp

        try:
            async with session.post(self.endpoint, json=self.body(request, dialect), headers=self.headers) as answer:
                return answer.status, answer.headers, await answer.read()
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return 0, {}, f"no answer within {self.settings.timeout:g} s".encode()
        except (aiohttp.ClientError, OSError) as error:
            never_sent = isinstance(error, aiohttp.ClientConnectorError)
            return -1 if never_sent else 0, {}, f"connection failed: {error or type(error).__name__}".encode()

    def refused(self, status: int, headers: Any, complaint: str) -> Outcome:
        """What an answer means that brings no reply."""
        if status in REFUSES_ALL:
            self.refusal = ModelError(self.say_refusal(status, complaint))
            raise self.refusal
        error = self.scrub(complaint if status <= 0 else f"error {status}: {complaint}")
        wait = asked_to_wait(headers)
        return Outcome(
            reply=Reply(finish="error", error=error),
            sound=0 < status < 500,
            may_pass=(status <= 0 or status >= 500 or status in MAY_PASS) and wait <= LONGEST_WAIT,
            wait=wait if wait <= LONGEST_WAIT else 0.0,
            usage=None if status == 0 else Usage(),
        )

    def say_refusal(self, status: int, complaint: str) -> str:
        """The message for what every further call would meet as well."""
        if status == 404:
            return (
                f"{self.settings.url} knows no model {self.model}, or is not the address of an API "
                f"({self.scrub(complaint)}). Correct {self.set_by.url} (it often ends in /v1) or {self.set_by.model}."
            )
        return f"{self.settings.url} refuses the key in {self.settings.key_variable}. Put a valid one into that variable and run again."

    def scrub(self, text: str) -> str:
        """A text of the server's without the key, in one line and not too long."""
        clean = text.replace(self.key, "***") if self.key else text
        return re.sub(r"\s+", " ", clean).strip()[:ERROR_LENGTH]


def on_this_machine(url: str) -> bool:
    """Whether an address is a loopback one, so that nothing that is sent to it leaves the machine.

    Names are not looked up: any other name than `localhost` counts as elsewhere, also one that leads back here.
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def asked_to_wait(headers: Any) -> float:
    """Seconds that an answer asks to wait: `retry-after-ms`, or `Retry-After` as a number or a date; 0 if it does not."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        said = headers.get("Retry-After", "")
        if not said:
            return 0.0
        if said.replace(".", "", 1).isdigit():
            return float(said)
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
