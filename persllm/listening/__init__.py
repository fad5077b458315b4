"""What everything that listens has in common: who may come in, how much, and what goes out with every answer.

`make_app` gives a FastAPI application behind a `Guard`; `open_socket` and `run_server` let it listen. On the
loopback no key is needed; then a request must name this machine as its host, so that a foreign page cannot come
in by a name of its own that points here. Everywhere else there is a key: from the environment, or made and shown
once. A request that a page of another origin sends is refused, so nothing is shared across origins, neither to
read nor to write. Bodies are read whole, within a size and a time, before the application sees them.

Limits: no TLS (put a reverse proxy in front for that); a rate is counted per address, which a proxy hides.
"""

from persllm.listening.app import make_app
from persllm.listening.guard import HEADERS, POLICY, Guard
from persllm.listening.keys import KEY_VARIABLE, is_loopback, key_for
from persllm.listening.refusals import ErrorBody, Limits, Refused, error_body
from persllm.listening.server import in_background, open_socket, run_server, url_of

__all__ = [
    "HEADERS", "KEY_VARIABLE", "POLICY", "ErrorBody", "Guard", "Limits", "Refused", "error_body", "in_background", "is_loopback", "key_for", "make_app",
    "open_socket", "run_server", "url_of",
]  # fmt: skip
