"""What a version is trained on: new corrections, repeated so that they weigh, and old pairs, so that nothing is lost.

A correction that an earlier version in the line has learnt is old. Of many new ones a share is held out for good, all
corrections of one prompt together; the choice rests on their content and the seed, never on their order.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from persllm.corrections import correction_pairs, read_corrections
from persllm.improve_settings import ImproveSettings
from persllm.records import Persona, PreferencePair, fingerprint
from persllm.store import Run, read_records
from persllm.versions import Version


@dataclass(frozen=True)
class Lesson:
    """What is learnt, and what is not."""

    corrections: int
    """Corrections in the file."""
    new: list[PreferencePair]
    """Each once."""
    learnt: list[PreferencePair]
    """Learnt by the version in use."""
    held_out: list[PreferencePair]
    groups: dict[str, list[PreferencePair]]
    """Model -> all it is trained on; models without new corrections are left out."""
    old: int
    """Pairs in `groups` that are old."""
    lone: int
    foreign: int

    @property
    def data(self) -> str:
        """Fingerprint of all that is trained on."""
        return fingerprint({name: [pair.identity for pair in pairs] for name, pairs in self.groups.items()})


def lesson_of(run: Run, personas: Sequence[Persona], line: Sequence[Version], settings: ImproveSettings, mode: str, seed: int) -> Lesson:
    """The lesson for the next version; `line` is the version in use with all it came from."""
    said = read_corrections(run)
    pairs, lone = correction_pairs(said)
    places = {(persona.id, stage.id) for persona in personas for stage in persona.stages}
    known = {identity for version in line for identity in version.learnt}
    own = [pair for pair in pairs if (pair.persona, pair.stage) in places]
    learnt = [pair for pair in own if pair.identity in known]
    kept_out = {identity for version in line for identity in version.held_out} if settings.held_out else set()
    held_before = [pair for pair in own if pair.identity in kept_out]
    fresh = [pair for pair in own if pair.identity not in known | kept_out]
    new, held = parted(fresh, settings, seed)
    pool = [*old_pairs(run), *learnt]
    groups, old = mixed(new, pool, settings, mode, seed)
    return Lesson(
        corrections=len(said), new=new, learnt=learnt, held_out=[*held_before, *held], groups=groups, old=old, lone=lone, foreign=len(pairs) - len(own)
    )  # fmt: skip


def old_pairs(run: Run) -> list[PreferencePair]:
    """The pairs that the run itself was trained on; none if it was made without."""
    file = run.path / "6-pairs" / "records.jsonl"
    return read_records(file, PreferencePair) if file.is_file() else []


def parted(pairs: Sequence[PreferencePair], settings: ImproveSettings, seed: int) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """(trained on, held out); pairs of one prompt stay together."""
    prompts = {pair.identity: fingerprint([seed, pair.persona, pair.stage, [m.model_dump() for m in pair.prompt]]) for pair in pairs}
    different = sorted(set(prompts.values()))
    enough = len(different) >= settings.held_out_from and settings.held_out > 0
    chosen = set(different[: max(1, round(settings.held_out * len(different)))]) if enough else set()
    return (
        [pair for pair in pairs if prompts[pair.identity] not in chosen],
        [pair for pair in pairs if prompts[pair.identity] in chosen],
    )


def mixed(
    new: Sequence[PreferencePair], pool: Sequence[PreferencePair], settings: ImproveSettings, mode: str, seed: int
) -> tuple[dict[str, list[PreferencePair]], int]:
    """(model -> its pairs, how many of them are old)."""
    groups: dict[str, list[PreferencePair]] = {}
    old = 0
    for name in dict.fromkeys("cast" if mode == "cast" else pair.persona for pair in new):
        own = [pair for pair in new if name in ("cast", pair.persona)] * settings.repeat
        wanted = math.ceil(settings.old * len(own))
        others = drawn([pair for pair in pool if name in ("cast", pair.persona)], wanted, seed)
        groups[name] = [*own, *others]
        old += len(others)
    return groups, old


def drawn(pool: Sequence[PreferencePair], wanted: int, seed: int) -> list[PreferencePair]:
    """So many pairs, as even over contrasts and persons as the pool allows; all of it if there are fewer."""
    ranks: dict[tuple[str, str], int] = defaultdict(int)
    ranked = []
    for pair in sorted(pool, key=lambda pair: fingerprint([seed, "old", pair.identity])):
        ranks[pair.contrast, pair.persona] += 1
        ranked.append((ranks[pair.contrast, pair.persona], pair))
    return [pair for _, pair in sorted(ranked, key=lambda entry: entry[0])[:wanted]]
