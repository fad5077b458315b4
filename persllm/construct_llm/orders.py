"""What is asked for, before any model is asked: kinds, angles, stances, families and shapes, by their shares.

All is drawn from hashes of the material and the stage, so that the same materials and settings give the same
orders, whatever was made before.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

from persllm.constructor_settings import ConstructorSettings, InductionFamily
from persllm.records import Material, Record, Stage, fingerprint

SHAPES = ("short", "long", "direct", "indirect", "letter", "casual", "formal")
MOVES = ("deeper", "detail", "doubt", "own")
"""How the other one goes on in a talk."""


class Order(Record):
    """One input that is asked for."""

    form: str
    """The angle, stance or family; for what is unknown the topic; empty for the future."""
    shape: str
    """How it is to be put."""


def orders_for(kind: str, material: Material, stage: Stage, settings: ConstructorSettings) -> list[Order]:
    """The inputs of one kind that are asked for about a material at a stage; inductions with one of an unseen family."""
    key = (material.identity, stage.id, kind)
    if kind == "unknown":
        return shaped(stage.unknown if settings.kinds.future else (), key)
    count = rounded(settings.questions_per_material * getattr(settings.kinds, kind), *key)
    if kind == "question":
        return shaped(drawn(settings.angles.model_dump(), count, *key), key)
    if kind == "opinion":
        return shaped(drawn(settings.stances.model_dump(), count, *key), key)
    if kind == "induction":
        trained = {family: getattr(settings.family_shares, family) for family in settings.families}
        unseen = {family: 1.0 for family in get_args(InductionFamily) if family not in settings.families}
        return shaped([*drawn(trained, count, *key), *drawn(unseen, min(count, 1), *key, "unseen")], key)
    return shaped([""] * count, key)


def shaped(forms: Sequence[str], key: Sequence[object]) -> list[Order]:
    """Each form with a shape; no shape twice before all were there."""
    shapes = drawn(dict.fromkeys(SHAPES, 1.0), len(forms), *key, "shape")
    return [Order(form=form, shape=shape) for form, shape in zip(forms, shapes, strict=True)]


def chance(*key: object) -> float:
    """A number from 0 up to 1 that depends on the key alone."""
    return int(fingerprint([str(part) for part in key])[:12], 16) / 16**12


def rounded(number: float, *key: object) -> int:
    """The number as a whole one, so that the mean over many keys is the number."""
    whole = int(number)
    return whole + (chance(*key, "rounded") < number - whole)


def drawn(shares: Mapping[str, float], count: int, *key: object) -> list[str]:
    """`count` names, each as often as its share says, give or take one (systematic sampling over a shuffled row)."""
    names = sorted((name for name, share in shares.items() if share > 0), key=lambda name: chance(*key, name))
    total = sum(shares[name] for name in names)
    found: list[str] = []
    for number in range(count if names else 0):
        point = (chance(*key, "start") + number) / count * total
        for name in names:
            point -= shares[name]
            if point < 0:
                break
        found.append(name)
    return found
