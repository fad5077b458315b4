"""choice: does the model prefer the right answer?

The log-likelihood per token of the reference is set against that of each wrong answer to the same question. An item
is right if the reference beats all of them; a tie is not a preference. `choice_against` and `margin` look at one kind
of wrong answer. `choice_pmi` first takes off what each text is worth by itself: its likelihood under the same model
after an empty prompt, so that a text is not preferred for being commonplace.

Limits: no answer is generated; a model may rank well and still write badly. Answers of other persons differ in manner
as well as in content, so `choice_against other_person` is easier than `choice_against confusion`.
"""

from collections import defaultdict

from persllm.metrics.sitting import Given, Sitting
from persllm.records import Score, TestItem


def score(sitting: Sitting) -> list[Score]:
    """choice and choice_pmi per item; choice_against and margin (nats per token) per item and kind."""
    found: list[Score] = []
    for item in sitting.items.values():
        if item.candidates and item.set != "general":
            found += [*by_kind(sitting, item), overall(sitting, item, "choice"), overall(sitting, item, "choice_pmi")]
    return found


def worth(sitting: Sitting, item: TestItem, place: int, corrected: bool = False, given: Given = "question") -> float | None:
    """Log-likelihood per token of one text, less its own without a question if corrected."""
    asked = sitting.per_token(item, place, given)
    if not corrected or asked is None:
        return asked
    alone = sitting.per_token(item, place, "nothing")
    return None if alone is None else asked - alone


def margins(sitting: Sitting, item: TestItem, corrected: bool = False, given: Given = "question") -> list[float] | None:
    """Reference less each candidate; None if one of them has no likelihood."""
    values = [worth(sitting, item, place, corrected, given) for place in range(len(item.candidates) + 1)]
    first, *others = [value for value in values if value is not None] or [0.0]
    return [first - other for other in others] if None not in values else None


def overall(sitting: Sitting, item: TestItem, metric: str) -> Score:
    """Whether the reference beats every candidate."""
    chance = 1 / (1 + len(item.candidates))
    found = margins(sitting, item, metric == "choice_pmi")
    if found is None:
        return sitting.score(metric, item, None, why_not(sitting, item), chance=chance)
    return sitting.score(metric, item, all(margin > 0 for margin in found), chance=chance)


def by_kind(sitting: Sitting, item: TestItem) -> list[Score]:
    """Whether, and by how much, the reference beats the candidates of each kind."""
    found, kinds = margins(sitting, item), defaultdict(list)
    for place, candidate in enumerate(item.candidates):
        kinds[candidate.kind].append(found[place] if found else None)
    scores = []
    for kind, members in kinds.items():
        least = min(members) if found else None
        why = "" if found else why_not(sitting, item)
        chance = 1 / (1 + len(members))
        scores.append(sitting.score("choice_against", item, None if least is None else least > 0, why, kind, chance))
        scores.append(sitting.score("margin", item, least, why, kind))
    return scores


def prefers_reference(sitting: Sitting, item: TestItem, kind: str) -> tuple[bool | None, str]:
    """Whether the reference beats all candidates of a kind, and why not known if so; None if there is none of the kind."""
    places = [place for place, candidate in enumerate(item.candidates) if candidate.kind == kind]
    if not places:
        return None, f"no wrong answer of the kind {kind}"
    found = margins(sitting, item)
    return (None, why_not(sitting, item)) if found is None else (all(found[place] > 0 for place in places), "")


def why_not(sitting: Sitting, item: TestItem) -> str:
    """The first reason for a missing likelihood."""
    for (item_id, _, _), likelihood in sitting.likelihoods.items():
        if item_id == item.id and likelihood.error:
            return likelihood.error
    return "no likelihood"
