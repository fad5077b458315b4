"""The process that owns the models: orders come in on standard input, events go out on standard output, as JSON lines.

It is started by `persllm.serve.process`, never by hand. It ends when its input ends, so that it does not outlive
who started it. Whatever libraries print goes to standard error.
"""

import json
import os
import queue
import signal
import sys
import threading
from typing import Any, TextIO

from persllm.errors import PersllmError
from persllm.records import Reply
from persllm.serve.lane import Event, Lane
from persllm.serve.orders import Manners, Order


def main() -> None:
    """Load what the first line names, say what it is like, then answer orders until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the front, which closes our input
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1 << 16)
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    try:
        lanes = {name: Lane(loaded(source, settings["threads"]), settings["rows"]) for name, source in settings["sources"].items()}
    except PersllmError as error:
        send(out, {"failed": str(error)})
        return
    send(out, {"manners": {folder: manners(lane.model).model_dump() for folder, lane in lanes.items()}})
    orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(orders,), daemon=True).start()
    serve(lanes, orders, out)


def loaded(source: dict[str, Any], threads: int) -> Any:
    """The model of a folder, or a base with adapters."""
    from persllm.adapters import Assembly
    from persllm.shared_base import open_source

    return open_source(Assembly.model_validate(source), threads)


def manners(model: Any) -> Manners:
    """What a model is like."""
    from persllm.agent import suiting

    return Manners(context=model.context, sampling=suiting(model))


def listen(orders: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """The thread that reads the input; None is its end."""
    for line in sys.stdin:
        orders.put(json.loads(line))
    orders.put(None)


def serve(lanes: dict[str, Lane], orders: queue.SimpleQueue[dict[str, Any] | None], out: TextIO) -> None:
    """Take orders in between two steps; wait for one when there is nothing to do."""
    while True:
        while not orders.empty() or not any(lane.busy for lane in lanes.values()):
            order = orders.get()
            if order is None:
                return
            take(lanes, order)
        events = [event for lane in lanes.values() if lane.busy for event in step(lane)]
        if events:
            send(out, {"events": [[number, "reply" if isinstance(part, Reply) else "piece", part.model_dump()] for number, part in events]})


def take(lanes: dict[str, Lane], entry: dict[str, Any]) -> None:
    """A new order, or one that is given up."""
    if "leave" in entry:
        for lane in lanes.values():
            lane.leave(entry["leave"])
    else:
        order = Order.model_validate(entry["order"])
        lanes[order.folder].waiting.append((entry["number"], order))


def step(lane: Lane) -> list[Event]:
    """One step; if it fails, for lack of memory for instance, everybody in the batch is told, and the batch is begun anew."""
    try:
        return list(lane.step())
    except (RuntimeError, MemoryError) as error:
        print(f"a step failed: {error}", file=sys.stderr, flush=True)
        lost = list(lane.seats)
        lane.seats, lane.batch = {}, lane.model.batch()
        return [(number, Reply(finish="error", error="the model failed at this step")) for number in lost]


def send(out: TextIO, entry: dict[str, Any]) -> None:
    """One line to the front; if nobody reads any more, the process is at its end."""
    try:
        out.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
