"""One scene over all combinations of the stages of its persons: hundreds of meetings, here in step or over Ray.

Here all meetings advance together, and everyone who speaks at a turn is answered in one batch for each model. Over
Ray the meetings are cut into shards; every worker opens the runs for itself, so they must be readable where it runs.
A cluster that is there is used (`RAY_ADDRESS`); else one is started on this machine and ended with the scan. Batches
differ between the two ways, so that an utterance may differ where two words are equally likely to the last digits.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from persllm.errors import ConfigError
from persllm.meeting.comparison import table_of
from persllm.meeting.course import Heard, Meeting, hold
from persllm.meeting.folder import hold_in, recall, taken, transcript, write_readable
from persllm.meeting.scene import Scene
from persllm.meeting.seats import Hall
from persllm.meeting.turn import Turn
from persllm.store import replace_records

STORE_BYTES = 100_000_000
"""Memory of the object store that is started for a scan; transcripts are small."""
TOGETHER = 64
"""Meetings that advance in step; more would not make batches faster."""


def stage_scenes(scene: Scene, hall: Hall) -> dict[str, Scene]:
    """Name of a combination -> the scene with its stages. ConfigError if no seat is a person of a run."""
    choices = []
    for seat in scene.seats:
        persona = seat.persona.partition("@")[0]
        stages = hall.company(seat.run or scene.run, seat).persona(persona).stages if persona else ()
        choices.append([seat.model_copy(update={"persona": f"{persona}@{stage.id}"}) for stage in stages] or [seat])
    if not any(seat.persona for seat in scene.seats):
        raise ConfigError("a stage scan needs a person of a run in at least one seat.")
    found = {}
    for seats in itertools.product(*choices):
        persons = [seat.persona for seat in seats if seat.persona]
        if len(set(persons)) == len(persons):
            found["+".join(person.replace("@", "-") for person in persons)] = scene.model_copy(update={"seats": tuple(seats)})
    return found


def scan(
    scene: Scene, folder: Path, heard: Heard, count: int = 1, runner: Literal["local", "ray"] = "local", workers: int = 2
) -> list[Meeting]:
    """`count` meetings of every combination of stages, in `folder/COMBINATION/`; what is there already is not held again."""
    hall = Hall()
    with taken(folder, {"scene": scene.model_dump(mode="json"), "meetings": count, "stage_scan": True}):
        scenes = stage_scenes(scene, hall)
        meetings = [meeting for name, one in scenes.items() for meeting in table_of(one, hall, count, name)]
        if any(seat.agent is None for meeting in meetings for seat in meeting.seats):
            raise ConfigError("a human cannot be in a stage scan; take the seat out of the scene.")
        if runner == "ray":
            hold_over_ray(meetings, folder, heard, workers)
        else:
            for start in range(0, len(meetings), TOGETHER):
                hold_in(folder, meetings[start : start + TOGETHER], heard)
    return meetings


def hold_over_ray(meetings: Sequence[Meeting], folder: Path, heard: Heard, workers: int) -> None:
    """Hold the meetings that are not over yet on the workers of a cluster; each is on disk when it is over."""
    for meeting in meetings:
        recall(folder, [meeting])
    owed = [meeting for meeting in meetings if not meeting.ending]
    size = max(1, min(TOGETHER, -(-len(owed) // (2 * workers))))
    shards = [owed[start : start + size] for start in range(0, len(owed), size)]
    if not shards:
        return
    with cluster(workers) as ray:
        remote = ray.remote(num_cpus=1, max_retries=2)(held)
        jobs = {remote.remote([(m.scene.model_dump_json(), m.variant, m.seed) for m in shard]): shard for shard in shards}
        waiting = list(jobs)
        while waiting:
            [ready], waiting = ray.wait(waiting, num_returns=1)
            for meeting, turns in zip(jobs[ready], ray.get(ready), strict=True):
                meeting.turns = [Turn.model_validate_json(turn) for turn in turns]
                replace_records(transcript(folder, meeting), meeting.turns)
                write_readable(folder, meeting)
                for turn in meeting.turns:
                    heard(meeting, turn)


def held(jobs: Sequence[tuple[str, str, int]]) -> list[list[str]]:
    """Hold meetings given as (scene, variant, seed), for a worker; the turns of each, as JSON."""
    hall, meetings = Hall(), []
    for text, variant, seed in jobs:
        scene = Scene.model_validate_json(text).model_copy(update={"seed": seed})
        meetings += table_of(scene, hall, 1, variant)
    hold(meetings, lambda meeting, turn: None)
    return [[turn.model_dump_json() for turn in meeting.turns] for meeting in meetings]


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """Ray, connected to a cluster that is there, or to one on this machine that ends with this."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError('--runner ray needs Ray: pip install "persllm[ray]", or leave the option away.') from None
    started = not ray.is_initialized()
    if started:
        own = {} if os.environ.get("RAY_ADDRESS") else {
            "num_cpus": workers, "include_dashboard": False, "object_store_memory": STORE_BYTES,
        }  # fmt: skip
        ray.init(logging_level="ERROR", log_to_driver=False, **own)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
