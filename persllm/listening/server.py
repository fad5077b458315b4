"""Sockets, and servers that say when they are ready and stop when they are told to."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from persllm.errors import RunError

STOP_SECONDS = 5
"""How long running answers may go on when the server is to stop."""
UP_SECONDS = 120
"""How long a server in the background may take to come up."""


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


def run_server(app: Any, listener: socket.socket, ready: Callable[[str], None] = lambda url: None, around: Any = None) -> None:
    """Serve until SIGINT or SIGTERM, then end running answers and return. `ready` gets the address once requests are taken.

    `around` is an async context that is entered before and left after; what it raises is raised here.
    """
    asyncio.run(serve_within(server_of(app, lambda: ready(url_of(listener))), listener, around))


@contextlib.contextmanager
def in_background(app: Any, around: Any = None) -> Iterator[str]:
    """The address of an application that is served by a thread on a free port of the loopback, until the end of `with`."""
    listener, done = open_socket("127.0.0.1", 0), threading.Event()
    failures: list[BaseException] = []
    server = server_of(app, done.set)

    def run() -> None:
        try:
            asyncio.run(serve_within(server, listener, around))
        except BaseException as error:
            failures.append(error)
        done.set()

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    try:
        if not done.wait(UP_SECONDS):
            raise RunError(f"the server did not come up within {UP_SECONDS} s; the log says more.")
        if failures:
            raise failures[0]
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS + 10)


async def serve_within(server: Any, listener: socket.socket, around: Any) -> None:
    """Serve with something around it that lives in the same event loop."""
    async with around or contextlib.nullcontext():
        await server.serve(sockets=[listener])


def server_of(app: Any, ready: Callable[[], None]) -> Any:
    """A uvicorn server that says when it takes requests, and that takes a signal for what it is: the wish that it stop."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn would raise the signal again when it has stopped, in the middle of what stands around it
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

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
