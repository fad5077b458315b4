"""A server in a process of its own that answers every call after a given time and refuses more than so many at once.

    python benchmarks/slow_server.py --seconds 0.2 --places 64

It prints its port and is ended by closing its standard input. It does as little as can be, so that what is measured
is the client.
"""

import argparse
import asyncio
import json
import sys

BUSY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def answer() -> bytes:
    """The whole response: a reply of some sixty words."""
    text = "[Analysis] The other one asks for the year. [Response] " + "That was the year in which we cast the great bell. " * 5
    body = json.dumps({
        "id": "x", "object": "chat.completion", "created": 0, "model": "slow",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1200, "completion_tokens": 70, "total_tokens": 1270},
    }).encode()  # fmt: skip
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Slow(asyncio.Protocol):
    """One connection."""

    busy = 0
    """Calls that wait for their answer, over all connections."""

    def __init__(self, seconds: float, places: int, response: bytes):
        self.seconds, self.places, self.response, self.data = seconds, places, response, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Wait for the whole request, then for the time."""
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self.data[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self.data) < end + 4 + length:
            return
        self.data = self.data[end + 4 + length :]
        if Slow.busy >= self.places:
            self.transport.write(BUSY)
            return
        Slow.busy += 1
        asyncio.get_running_loop().call_later(self.seconds, self.answer)

    def answer(self) -> None:
        """Answer and be free again."""
        Slow.busy -= 1
        if not self.transport.is_closing():
            self.transport.write(self.response)


async def serve(seconds: float, places: int) -> None:
    """Serve until the standard input is closed."""
    loop = asyncio.get_running_loop()
    response = answer()
    server = await loop.create_server(lambda: Slow(seconds, places, response), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--places", type=int, default=64)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.seconds, chosen.places))
