"""What may be asked of one address now: its pace, and whether it is left alone after failures.

The pace is foreseen: a call begins only if requests and tokens of the last minute leave room for it, its tokens
taken as the prompt's likely length and the longest reply, and set right when the reply has come. What a server
says by `Retry-After` holds for the whole address. Times are seconds of a monotonic clock, given by the caller.
"""

from collections import deque
from dataclasses import dataclass

MINUTE = 60.5
"""A minute with a margin: the server's clock sees a call later than ours, and not always as much later."""
PROBES = 4
"""So many probes in a row failed: the address is taken for gone."""


@dataclass
class Begun:
    """A call that counts towards the pace."""

    when: float
    tokens: int
    counted: bool = True
    """Whether it lies within the minute."""


class Pace:
    """Requests and tokens within the last minute; 0 is no limit."""

    def __init__(self, requests: int, tokens: int, minute: float = MINUTE):
        self.requests, self.tokens, self.minute = requests, tokens, minute
        self.begun: deque[Begun] = deque()
        self.total = 0
        self.held_until = 0.0

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until a call of so many tokens may begin. One that is larger than the limit waits for an empty minute."""
        while self.begun and self.begun[0].when + self.minute <= now:
            old = self.begun.popleft()
            old.counted, self.total = False, self.total - old.tokens
        until = self.held_until
        if self.requests and len(self.begun) >= self.requests:
            until = max(until, self.begun[len(self.begun) - self.requests].when + self.minute)
        if self.tokens:
            room = self.tokens - tokens - self.total
            for one in self.begun:
                if room >= 0:
                    break
                room += one.tokens
                until = max(until, one.when + self.minute)
        return max(0.0, until - now)

    def begin(self, tokens: int, now: float) -> Begun:
        """Note a call that begins."""
        one = Begun(now, tokens)
        if self.requests or self.tokens:
            self.begun.append(one)
            self.total += tokens
        return one

    def set_right(self, one: Begun, tokens: int) -> None:
        """Put in what a call really came to."""
        if one.counted and (self.requests or self.tokens):
            self.total += tokens - one.tokens
            one.tokens = tokens

    def hold(self, seconds: float, now: float) -> None:
        """Begin nothing for so long: the server asked for it."""
        self.held_until = max(self.held_until, now + seconds)


class Breaker:
    """Opens after so many failures in a row; after a rest lets one probe through, and closes again if it succeeds."""

    def __init__(self, failures: int, rest: float):
        self.most, self.rest = failures, rest
        self.failures = self.probes = 0
        self.until: float | None = None
        self.probing = False

    @property
    def open(self) -> bool:
        """Whether the address is left alone."""
        return self.until is not None

    @property
    def gone(self) -> bool:
        """Whether so many probes failed that nothing is to be expected of the address."""
        return self.probes >= PROBES

    def wait(self, now: float) -> float:
        """Seconds until a call may begin; without end while a probe is under way."""
        if self.until is None:
            return 0.0
        return float("inf") if self.probing else max(0.0, self.until - now)

    def begin(self) -> None:
        """A call begins: it is the probe if the breaker is open."""
        self.probing = self.open

    def succeeded(self) -> None:
        """The server answered, whatever it said."""
        self.failures = self.probes = 0
        self.until, self.probing = None, False

    def failed(self, probe: bool, now: float) -> None:
        """No answer, or the server's own fault."""
        self.failures += 1
        if probe:
            self.probes, self.probing = self.probes + 1, False
        if probe or (self.until is None and self.failures >= self.most):
            self.until = now + self.rest * 2**self.probes

    def given_up(self, probe: bool) -> None:
        """A call was cancelled: it tells nothing of the server."""
        self.probing = self.probing and not probe
