"""From a scene to meetings, their figures, and trained against prompted on the same scenes and seeds."""

from collections.abc import Sequence
from pathlib import Path

from persllm.errors import ConfigError
from persllm.meeting.course import Ask, Heard, Meeting
from persllm.meeting.folder import hold_in, taken
from persllm.meeting.ground import Grounds
from persllm.meeting.measures import MeetingDifference, MeetingFigure, by_part, differences_of, figures_of, marks_of
from persllm.meeting.opinions import opinion_marks
from persllm.meeting.policies import Relevance
from persllm.meeting.scene import Scene
from persllm.meeting.seats import Hall
from persllm.records import Record
from persllm.store import replace_json
from persllm.takers import MANNERS, TRAINED

OWN = "as-set"
"""The variant of a scene as it is written."""


class Results(Record):
    """What meetings came to."""

    scene: str
    """The title."""
    figures: tuple[MeetingFigure, ...]
    differences: tuple[MeetingDifference, ...] = ()
    by_part: dict[str, list[float | None]]
    """`variant/metric` -> its mean in each quarter of the meeting."""


def table_of(scene: Scene, hall: Hall, count: int = 1, variant: str = OWN) -> list[Meeting]:
    """`count` meetings of a scene, with seeds from the scene's on, at one table."""
    seats = hall.seats(scene)
    moderator = hall.fill(scene.moderator, scene) if scene.moderator else None
    if count > 1 and any(seat.agent is None for seat in seats):
        raise ConfigError("a human can be in one meeting at a time; leave --meetings away, or the human.")
    relevance = Relevance(seats)
    return [Meeting(scene, seats, scene.seed + number, variant, moderator, relevance=relevance) for number in range(count)]


def played_by(scene: Scene, taker: str) -> Scene:
    """The scene with all persons of runs played by one taker. ConfigError if there is no such taker."""
    known = (*TRAINED, *MANNERS)
    if taker not in known:
        raise ConfigError(f"--compare {taker}: no such taker; choose one of {', '.join(known)}.")
    seats = tuple(seat.model_copy(update={"taker": taker}) if seat.persona else seat for seat in scene.seats)
    return scene.model_copy(update={"seats": seats})


def meet(
    scene: Scene, folder: Path, heard: Heard, ask: Ask | None = None, count: int = 1, against: str = "", hall: Hall | None = None
) -> list[Meeting]:
    """Hold `count` meetings of a scene, and as many with another taker; what is in the folder already goes on."""
    hall = hall or Hall()
    scenes = {OWN: scene, **({against: played_by(scene, against)} if against else {})}
    with taken(folder, {"scene": scene.model_dump(mode="json"), "meetings": count}):
        meetings = [meeting for variant, one in scenes.items() for meeting in table_of(one, hall, count, variant)]
        for variant in scenes:
            hold_in(folder, [meeting for meeting in meetings if meeting.variant == variant], heard, ask)
    return meetings


def results_of(meetings: Sequence[Meeting], folder: Path | None = None, grounds: Grounds | None = None) -> Results | None:
    """The figures of meetings, also written to `results.json` in the folder; None if no person of a run took part."""
    grounds = grounds or Grounds()
    marks = [*marks_of(meetings, grounds), *opinion_marks(meetings, grounds)]
    if not marks:
        return None
    variants = list(dict.fromkeys(meeting.variant for meeting in meetings))
    differences = [one for than in variants[1:] for one in differences_of(marks, variants[0], than)]
    results = Results(
        scene=meetings[0].scene.title,
        figures=tuple(figures_of(marks, chances(meetings, grounds))),
        differences=tuple(differences),
        by_part=by_part(marks),
    )
    if folder:
        replace_json(folder / "results.json", results.model_dump(mode="json"))
    return results


def chances(meetings: Sequence[Meeting], grounds: Grounds) -> dict[str, float]:
    """What blind guessing would have, if all persons come from one run."""
    runs = {seat.run for meeting in meetings for seat in meeting.seats if seat.persona}
    classifier = grounds.of(next(iter(runs))).classifier if len(runs) == 1 else None
    if classifier is None:
        return {}
    return {"identified": 1 / len({person for person, _ in classifier.places}), "identified_stage": 1 / len(classifier.places)}


def rows_of(results: Results) -> list[str]:
    """The figures as lines of a table."""
    lines = [f"{'metric':26} {'played by':12} {'value':>7}  {'95 % interval':>17} {'n':>5} {'meetings':>8}  over"]
    for one in results.figures:
        chance = f"  (chance {one.chance:.2f})" if one.chance else ""
        ends = f"{one.low:.3f} to {one.high:.3f}"
        lines.append(f"{one.metric:26} {one.variant:12} {one.value:7.3f}  {ends:>17} {one.n:5} {one.meetings:8}  {one.over}{chance}")
    for one in results.differences:
        ends = f"{one.low:+.3f} to {one.high:+.3f}"
        lines.append(f"{one.metric:26} {f'less {one.than}':13} {one.value:+.3f}  {ends:>17} {'':5} {one.meetings:8}  {one.over}")
    return lines
