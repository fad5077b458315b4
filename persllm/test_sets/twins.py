"""Held-out questions that the LLM constructor put to one person at several stages, as questions of the set `stage`.

That the answers share few words does not show that the truth has changed. It has if the question asks for an opinion, or
if the material that one answer rests on first is not yet known at the stage of the other one; no other twins are taken.
Limits: an opinion may be said in other words and be the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from persllm.records import Candidate, Conversation, Dropped, Material, Persona
from persllm.retrieval import can_know
from persllm.test_sets.drafts import Draft, apart


def twins(asked: Iterable[Conversation], personas: Sequence[Persona], materials: Sequence[Material]) -> Iterator[Draft | Dropped]:
    """Drafts of the twins whose true answers differ; a Dropped for those whose words do not."""
    by_id = {persona.id: persona for persona in personas}
    own = {material.identity: material for material in materials}
    groups: dict[tuple[str, str, str], dict[str, Conversation]] = defaultdict(dict)
    for one in asked:
        if one.held_out and one.kind in ("question", "opinion") and one.group and len(one.prompt) == 1:
            groups[one.persona, one.group, one.prompt[0].content].setdefault(one.stage, one)
    for (name, group, text), found in groups.items():
        persona = by_id[name]
        members = [found[stage.id] for stage in persona.stages if stage.id in found]
        if len(members) < 2 or not all(differ(one, other, persona, own) for one, other in combinations(members, 2)):
            continue
        if not apart([one.answer.content for one in members], persona.language):
            yield Dropped(item=members[0].identity, reason="answers of the stages too alike", detail=text[:200])
            continue
        for one in members:
            others = tuple(Candidate(kind="other_stage", text=other.answer.content) for other in members if other is not one)
            yield Draft(
                set="stage",
                conversation=one.model_copy(update={"group": f"{group}:stages", "form": "twin"}),
                candidates=others,
                changed=True,
            )


def differ(one: Conversation, other: Conversation, persona: Persona, materials: dict[str, Material]) -> bool:
    """Whether the true answers of two stages differ."""
    if one.kind == "opinion":
        return True
    return any(
        left.evidence and left.evidence[0] in materials and not can_know(materials[left.evidence[0]], right.stage, persona)
        for left, right in ((one, other), (other, one))
        if persona.order(left.stage) > persona.order(right.stage)
    )
