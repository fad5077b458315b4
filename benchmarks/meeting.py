"""How fast agents meet: one meeting alone, and several side by side, on a finished run of several persons.

python benchmarks/meeting.py runs/demo --agents 6 --turns 50
"""

import argparse
import time
from pathlib import Path

from persllm.agent import Company
from persllm.meeting.comparison import table_of
from persllm.meeting.course import hold
from persllm.meeting.scene import Scene, SeatSettings
from persllm.meeting.seats import Hall
from persllm.shared_base import open_model


def main() -> None:
    """Print a line for each size."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("run")
    words.add_argument("--agents", type=int, default=6)
    words.add_argument("--turns", type=int, default=50, help="turns of each agent")
    words.add_argument("--side-by-side", type=int, nargs="*", default=[1, 8])
    words.add_argument("--threads", type=int, default=1, help="small models are fastest on one")
    given = words.parse_args()
    hall = Hall(lambda folder: open_model(Path(folder), given.threads))
    persons = list(Company(Path(given.run)).personas.values())
    seats = tuple(SeatSettings(persona=f"{p.id}@{p.stages[-1].id}") for p in persons[: given.agents])
    end = {"turns": given.turns * len(seats), "silence": 10_000}
    scene = Scene(title="bench", opening="What is new in the valley?", run=given.run, seats=seats, end=end, policy="urge", kept=4)
    print(f"{'agents':>6} {'turns':>6} {'meetings':>8} {'seconds':>8} {'turns/s':>8}")
    for count in given.side_by_side:
        meetings = table_of(scene, hall, count)
        begun = time.monotonic()
        hold(meetings, lambda meeting, turn: None)
        seconds = time.monotonic() - begun
        turns = sum(len(meeting.turns) for meeting in meetings)
        print(f"{len(seats):6} {end['turns']:6} {count:8} {seconds:8.1f} {turns / seconds:8.1f}")


if __name__ == "__main__":
    main()
