"""Who judges what: every rater gets the units that were judged least so far, and sides are evened out.

A unit is an item with two takers (a pair) or one (a rating). Where several units were judged equally often, and where both
sides were equally frequent, a hash of seed, rater and unit decides: balanced, and impossible to foresee from one's own tasks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from persllm.records import Record, fingerprint
from persllm.study.design import StudyItem, StudySettings

TaskKind = Literal["pair", "rating", "check"]


class Task(Record):
    """One thing a rater is to judge."""

    kind: TaskKind
    item: str
    """Id of the item."""
    left: str
    """The taker on the left, or the only one."""
    right: str = ""
    expected: str = ""
    """For a check: what must be chosen, `left` or `right`."""

    @property
    def unit(self) -> tuple[str, ...]:
        """What is counted: the item and its takers, whatever their sides."""
        return (self.kind, self.item, *sorted((self.left, self.right)))


def units(settings: StudySettings, items: Sequence[StudyItem]) -> list[Task]:
    """Everything that can be judged."""
    pairs = [Task(kind="pair", item=item.id, left=one, right=other) for item in items for one, other in combinations(settings.takers, 2)]
    singles = [Task(kind="rating", item=item.id, left=taker) for item in items for taker in settings.takers]
    return pairs if settings.tasks == "pairs" else singles if settings.tasks == "ratings" else pairs + singles


def tasks_for(rater: str, settings: StudySettings, items: Sequence[StudyItem], given: Sequence[Task]) -> list[Task]:
    """The tasks of a new rater; `given` are those that others have judged or still have before them."""
    counts = Counter(task.unit for task in given)
    sides = Counter((task.unit, task.left) for task in given)
    kinds = Counter(task.kind for task in given)
    chosen: list[Task] = []
    left = units(settings, items)
    while left and len(chosen) < settings.tasks_per_rater:
        used = Counter(task.item for task in chosen)
        best = min(left, key=lambda task: (used[task.item], counts[task.unit], kinds[task.kind], draw(settings, rater, *task.unit)))
        left.remove(best)
        kinds[best.kind] += 1
        chosen.append(turned(best, sides, settings, rater))
    chosen.sort(key=lambda task: draw(settings, rater, "order", *task.unit))
    return with_checks(chosen, rater, settings, items)


def turned(task: Task, sides: Mapping[tuple[tuple[str, ...], str], int], settings: StudySettings, rater: str) -> Task:
    """A pair with the taker on the left that stood there less often."""
    if task.kind != "pair":
        return task
    here, there = sides.get((task.unit, task.left), 0), sides.get((task.unit, task.right), 0)
    swap = there < here or (there == here and int(draw(settings, rater, "side", *task.unit), 16) % 2 == 1)
    return task.model_copy(update={"left": task.right, "right": task.left}) if swap else task


def with_checks(tasks: Sequence[Task], rater: str, settings: StudySettings, items: Sequence[StudyItem]) -> list[Task]:
    """The tasks with attention checks at drawn places, never the first."""
    found = list(tasks)
    for number in range(settings.attention_checks):
        luck = int(draw(settings, rater, "check", str(number)), 16)
        item = items[luck % len(items)]
        check = Task(
            kind="check", item=item.id, left=settings.takers[0], right=settings.takers[1], expected=("left", "right")[luck // 7 % 2]
        )
        found.insert(1 + luck // 11 % max(len(found), 1), check)
    return found


def draw(settings: StudySettings, *key: str) -> str:
    """A number, as hexadecimal digits, that only seed and key decide."""
    return fingerprint([settings.seed, *key])
