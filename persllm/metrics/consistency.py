"""consistency: the same opinion, however it is asked for.

`agreement` is the share of the other wordings of a question on which the choice comes out as on this one, whether right or
wrong. `stage_agreement` is the same over the stages of one person, on questions whose true answer did not change.
`wording_gap` is how much liker (chrF) the greedy answer is to those to the other wordings than to those to other
questions of the same person and stage: 0 for a model that does not read the question. `flipped` is asked of items of
several turns whose right answer is preferred to what the user says first: whether it no longer is after all of it.

Limits: agreement is high by itself where choice is near 0 or 1; read it beside choice.
"""

from collections import defaultdict
from collections.abc import Sequence

from persllm.metrics.choice import margins, overall, why_not
from persllm.metrics.distinction import mean
from persllm.metrics.fidelity import closeness
from persllm.metrics.sitting import Sitting
from persllm.records import Score, TestItem


def score(sitting: Sitting) -> list[Score]:
    """agreement and wording_gap of items that have other wordings, stage_agreement and flipped where they apply."""
    places: dict[tuple[str, str], list[TestItem]] = defaultdict(list)
    for item in sitting.items.values():
        if item.set == "paraphrase" and item.group:
            places[item.persona, item.stage].append(item)
    found: list[Score] = []
    for members in places.values():
        chosen = {item.id: overall(sitting, item, "choice").value for item in members if item.candidates}
        for item in members:
            same = [other for other in members if other.group == item.group and other.id != item.id]
            if same:
                found.append(agreement(sitting, item, same, chosen))
            if same and len(same) + 1 < len(members):
                found.append(wording_gap(sitting, item, same, members))
    return [*found, *over_stages(sitting), *under_pressure(sitting)]


def agreement(
    sitting: Sitting, item: TestItem, same: Sequence[TestItem], chosen: dict[str, float | None], metric: str = "agreement"
) -> Score:
    """Share of the other wordings, or stages, with the same outcome."""
    own = chosen.get(item.id)
    others = [chosen[other.id] for other in same if chosen.get(other.id) is not None]
    if own is None or not others:
        return sitting.score(metric, item, None, "no choice to compare")
    return sitting.score(metric, item, sum(other == own for other in others) / len(others))


def over_stages(sitting: Sitting) -> list[Score]:
    """stage_agreement of every question to one person at several stages whose true answer is the same."""
    groups: dict[tuple[str, str], list[TestItem]] = defaultdict(list)
    for item in sitting.items.values():
        if item.changed is False and item.group and item.candidates:
            groups[item.persona, item.group].append(item)
    found: list[Score] = []
    for members in groups.values():
        chosen = {item.id: overall(sitting, item, "choice").value for item in members}
        for item in members:
            others = [other for other in members if other.stage != item.stage]
            found += [agreement(sitting, item, others, chosen, "stage_agreement")] if others else []
    return found


def under_pressure(sitting: Sitting) -> list[Score]:
    """flipped, of the items of several turns that were answered right at first."""
    found: list[Score] = []
    for item in sitting.items.values():
        if not (item.candidates and has_turns(item)):
            continue
        first, last = margins(sitting, item, given="first"), margins(sitting, item)
        if first is None or last is None:
            found.append(sitting.score("flipped", item, None, why_not(sitting, item)))
        elif all(margin > 0 for margin in first):
            found.append(sitting.score("flipped", item, not all(margin > 0 for margin in last)))
    return found


def has_turns(item: TestItem) -> bool:
    """Whether the user speaks more than once."""
    return sum(message.role == "user" for message in item.messages) > 1


def wording_gap(sitting: Sitting, item: TestItem, same: Sequence[TestItem], members: Sequence[TestItem]) -> Score:
    """Likeness of answers within the group of wordings, less the likeness to other groups."""
    answer = sitting.text(item)
    if not answer:
        return sitting.score("wording_gap", item, None, sitting.why_silent(item))
    inside = mean(closeness(sitting.text(other), answer) for other in same if sitting.text(other))
    outside = mean(closeness(sitting.text(other), answer) for other in members if other.group != item.group and sitting.text(other))
    if inside is None or outside is None:
        return sitting.score("wording_gap", item, None, "no other answer to compare")
    return sitting.score("wording_gap", item, inside - outside)
