"""The test sets `stage`, `paraphrase` and `past`, raised from the materials by rule, whichever engine made the training data.

`raised` looks for questions in the materials (`by_rule`) and among the held-out questions that were put to one person at
several stages (`twins`). Each comes as a draft: the question with its answer as a conversation, so that it can pass the same
checks and the same search for leaks as everything else, and the wrong answers. `items` keeps the groups that came through
whole: half of a paraphrase group, or one stage of a question to two, measures nothing.

What was held out is not asked for here: a trained wrong answer beside an untrained right one would measure memory.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from persllm.records import Conversation, Dropped, Material, Persona, TestItem, fingerprint
from persllm.test_sets.by_rule import Raiser
from persllm.test_sets.drafts import Draft
from persllm.test_sets.twins import twins

__all__ = ["GROUPED", "Draft", "first_of_each_set", "items", "raised"]

GROUPED = frozenset({"stage", "paraphrase"})
"""Sets whose groups are taken whole or not at all."""


def raised(
    personas: Sequence[Persona], materials: Sequence[Material], held: Collection[str], asked: Iterable[Conversation]
) -> tuple[list[Draft], list[Dropped]]:
    """Drafts of all persons, and what no question could be made of. `asked` are the held-out conversations of the constructor."""
    found = [one for persona in personas for one in Raiser(persona, materials, held).raised()]
    found += twins(asked, personas, materials)
    return [one for one in found if isinstance(one, Draft)], [one for one in found if isinstance(one, Dropped)]


def items(drafts: Sequence[Draft], passed: Collection[str], most: int, seed: int) -> list[TestItem]:
    """At most so many items of each set, spread over persons, stages and forms; `passed` are the conversations that came through."""
    found: list[TestItem] = []
    for name in sorted({draft.set for draft in drafts}):
        groups: dict[str, list[Draft]] = defaultdict(list)
        for draft in drafts:
            if draft.set == name:
                groups[draft.conversation.group].append(draft)
        sound = {key: members for key, members in groups.items() if all(one.conversation.identity in passed for one in members)}
        count = 0
        for key in in_turn(sound, seed):
            if count + len(sound[key]) <= most:
                found += [draft.item() for draft in sound[key]]
                count += len(sound[key])
    return found


def in_turn(groups: Mapping[str, Sequence[Draft]], seed: int) -> list[str]:
    """The groups of a set, one of every person, first stage and form after the other."""
    queues: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for key in sorted(groups, key=lambda one: fingerprint([seed, one])):
        first = groups[key][0].conversation
        queues[first.persona, first.stage, first.form].append(key)
    ordered = sorted(queues, key=lambda one: fingerprint([seed, *one]))
    longest = max(map(len, queues.values()), default=0)
    return [queues[key][place] for place in range(longest) for key in ordered if place < len(queues[key])]


def first_of_each_set(found: Sequence[TestItem], most: int) -> list[TestItem]:
    """At most so many constructed items of every set, the first ones: the dataset step has spread them over persons, stages and
    forms already. Groups of the grouped sets are taken whole or not at all."""
    counts: dict[str, int] = defaultdict(int)
    kept: set[str] = set()
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in found:
        key = f"{item.persona} {item.group}" if item.set in GROUPED and item.group else item.id
        groups[item.set, key].append(item.id)
    for (name, _), members in groups.items():
        if counts[name] + len(members) <= most:
            counts[name] += len(members)
            kept |= set(members)
    return [item for item in found if item.id in kept]
