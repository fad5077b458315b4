"""Conversations to a training set and test sets: reject with reason, deduplicate, split by material, mix.

Two questions are kept apart. `recall`: new wordings about materials that were trained on. `generalisation`:
materials that were held out whole, one fifth, spread over kinds and stages. No test question is as similar as
`near_duplicate` to a training question of the same person and stage. General conversations are split by the
hash of their content, the same way for every run. The sets `stage`, `paraphrase` and `past` are raised by `test_sets`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from persllm import test_sets
from persllm.canaries import Canary, canaries
from persllm.checks import Checker
from persllm.config import MixtureSettings
from persllm.embedding import MOST_OVERLAP, Vectors, near_any, near_duplicates, overlap
from persllm.general import is_held_out
from persllm.languages import language
from persllm.materials import held_out_materials
from persllm.mixture import Measure, mix
from persllm.records import Candidate, Conversation, Dropped, Material, Persona, Record, TestItem, fingerprint

QUESTIONS = ("question", "opinion")


class Dataset(Record):
    """What the step writes."""

    conversations: tuple[Conversation, ...]
    """The trained conversations, each once."""
    train: tuple[Conversation, ...]
    """The mixture as it is trained: repeated, with and without analysis, with general data, shuffled."""
    test: tuple[TestItem, ...]
    dropped: tuple[Dropped, ...]
    canaries: tuple[Canary, ...] = ()
    """What was planted in `train`, and stands nowhere else."""


def make_dataset(
    conversations: Sequence[Conversation], materials: Sequence[Material], personas: Sequence[Persona], general: Sequence[Conversation],
    mixture: MixtureSettings, seed: int, checker: Checker | None = None, measure: Measure | None = None,
) -> Dataset:  # fmt: skip
    """Split, clean and mix; the same input gives the same output to the byte. Without a checker, one of the default settings.

    `measure` counts tokens, for a mixture by tokens; without one they are estimated.
    """
    held = held_out_materials(materials, mixture.held_out_materials)
    checker = checker or Checker(personas, materials)
    sound, dropped = reject(conversations, checker)
    trained = [c for c in sound if not c.held_out and not held & set(c.evidence)]
    asked = [
        c
        for c in sound
        if (c.held_out and not held & set(c.evidence)) or (held & set(c.evidence) and c.kind in QUESTIONS and not c.held_out)
    ]
    trained, more = without_near_duplicates(trained, mixture.near_duplicate)
    asked, leaks = without_leaks(asked, trained, mixture.near_duplicate)
    drafts, unfit = test_sets.raised(personas, materials, held, asked)
    passed, faulty = checker.knowing(draft.question for draft in drafts).sort(draft.conversation for draft in drafts)
    passed, near = without_leaks(passed, trained, mixture.near_duplicate)
    learnt = [c for c in trained if c.kind not in mixture.left_out]
    general_train = [c for c in general if c.persona or not is_held_out(c)]
    general_test = [c for c in general if not c.persona and is_held_out(c)]
    items = [
        *test_items(asked, trained, personas, held, mixture.test_items_per_set, seed, {c.form for c in learnt if c.kind == "induction"}),
        *test_sets.items(drafts, {c.identity for c in passed}, mixture.test_items_per_set, seed),
        *general_items(general_test, mixture.test_items_per_set),
    ]
    planted = canaries(personas, mixture.canaries, seed)
    return Dataset(
        conversations=tuple(learnt),
        train=tuple(mix([*learnt, *(canary.conversation for canary in planted)], general_train, mixture, seed, measure)),
        test=tuple(items),
        dropped=(*dropped, *more, *leaks, *unfit, *faulty, *near),
        canaries=tuple(planted),
    )


def reject(conversations: Iterable[Conversation], checker: Checker) -> tuple[list[Conversation], list[Dropped]]:
    """The conversations that can be trained on, and the others with the reason: repeated, or what a check found."""
    fresh: list[Conversation] = []
    repeated: list[Dropped] = []
    seen: set[tuple[str, ...]] = set()
    for conversation in conversations:
        key = (conversation.persona, conversation.stage, *(message.content for message in conversation.messages))
        if key in seen:
            repeated.append(Dropped(item=conversation.identity, reason="repeated", detail=conversation.messages[0].content[:200]))
        else:
            fresh.append(conversation)
        seen.add(key)
    sound, dropped = checker.sort(fresh)
    return sound, [*repeated, *dropped]


def question_text(conversation: Conversation) -> str:
    """What is asked, with the turns before it."""
    return "\n".join(message.content for message in conversation.prompt)


def by_place(conversations: Iterable[Conversation]) -> dict[tuple[str, str], list[Conversation]]:
    """Conversations by person and stage."""
    groups: dict[tuple[str, str], list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        groups[conversation.persona, conversation.stage].append(conversation)
    return groups


def without_near_duplicates(conversations: Sequence[Conversation], threshold: float) -> tuple[list[Conversation], list[Dropped]]:
    """Drop what asks nearly the same and is answered the same; a false premise beside its true twin stays."""
    groups: dict[tuple[str, str, str], list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        groups[conversation.persona, conversation.stage, conversation.answer.content].append(conversation)
    lost: dict[str, Dropped] = {}
    for members in groups.values():
        for place, other in near_duplicates([question_text(c) for c in members], threshold).items():
            detail = f"like {members[other].identity}: {members[place].messages[-2].content[:200]}"
            lost[members[place].identity] = Dropped(item=members[place].identity, reason="near-duplicate question", detail=detail)
    return [c for c in conversations if c.identity not in lost], list(lost.values())


def without_leaks(
    asked: Sequence[Conversation], trained: Sequence[Conversation], threshold: float
) -> tuple[list[Conversation], list[Dropped]]:
    """Drop test questions that are as good as a training question of the same person and stage."""
    trained_at, lost = by_place(trained), {}
    for place, members in by_place(asked).items():
        if place not in trained_at:
            continue
        near = near_any([question_text(c) for c in members], [question_text(c) for c in trained_at[place]], threshold)
        for conversation in (members[position] for position in sorted(near)):
            lost[conversation.identity] = Dropped(
                item=conversation.identity,
                reason="test question near a training question",
                detail=conversation.messages[-2].content[:200],
            )
    return [c for c in asked if c.identity not in lost], list(lost.values())


# Test sets -----------------------------------------------------------------------------------------------


class Rivals:
    """Finds what somebody else, or the same person at another stage, said to the most similar question."""

    def __init__(self, trained: Sequence[Conversation]):
        self.groups = by_place(c for c in trained if c.kind in (*QUESTIONS, "exchange"))
        self.vectors = {place: Vectors([question_text(c) for c in members]) for place, members in self.groups.items()}

    def find(self, conversation: Conversation, places: Iterable[tuple[str, str]], code: str) -> Conversation | None:
        """The answer at one of the places to the question most like this one; None if all answers are too alike."""
        words = language(code).words
        best: tuple[float, Conversation] | None = None
        for place in places:
            if place not in self.groups:
                continue
            [(position, similarity)] = self.vectors[place].nearest([question_text(conversation)])
            other = self.groups[place][position]
            alike = overlap(words(other.answer.content), words(conversation.answer.content)) > MOST_OVERLAP
            if not alike and not set(other.evidence) & set(conversation.evidence) and (best is None or similarity > best[0]):
                best = (similarity, other)
        return best[1] if best else None


def test_items(
    asked: Sequence[Conversation],
    trained: Sequence[Conversation],
    personas: Sequence[Persona],
    held: set[str],
    most: int,
    seed: int,
    families: set[str],
) -> list[TestItem]:
    """The constructed test items, spread over persons and stages; `families` are the kinds of attack that are trained."""
    by_set: dict[str, list[Conversation]] = defaultdict(list)
    for conversation in asked:
        by_set[set_of(conversation, held)].append(conversation)
    codes = {persona.id: persona for persona in personas}
    # A trained wrong answer beside an untrained right one would measure memory: both sides are untrained here.
    untrained = Rivals([conversation for conversation in asked if held & set(conversation.evidence)])
    rivals = Rivals(trained)
    items: list[TestItem] = []
    for name in sorted(by_set):
        for conversation in spread(by_set[name], most, seed):
            items.append(test_item(conversation, name, untrained if name == "generalisation" else rivals, codes, families))
    return items


def set_of(conversation: Conversation, held: set[str]) -> str:
    """The test set a held-out conversation belongs to."""
    if held & set(conversation.evidence):
        return "generalisation"
    return {"induction": "induction", "control": "control", "future": "future"}.get(conversation.kind, "recall")


def spread(conversations: Sequence[Conversation], most: int, seed: int) -> list[Conversation]:
    """At most so many, taken in turn from every person, stage and form, and one per question group."""
    groups: dict[tuple[str, str, str], dict[str, Conversation]] = defaultdict(dict)
    for conversation in sorted(conversations, key=lambda c: fingerprint([seed, c.identity])):
        groups[conversation.persona, conversation.stage, conversation.form].setdefault(conversation.group, conversation)
    queues = [list(groups[key].values()) for key in sorted(groups)]
    chosen: list[Conversation] = []
    for round_ in range(max((len(queue) for queue in queues), default=0)):
        chosen += [queue[round_] for queue in sorted(queues, key=lambda q: fingerprint([seed, q[0].identity])) if round_ < len(queue)]
    return chosen[:most]


def test_item(conversation: Conversation, name: str, rivals: Rivals, personas: dict[str, Persona], families: set[str]) -> TestItem:
    """A held-out conversation as an examination question with the wrong answers that can be had."""
    persona = personas[conversation.persona]
    code, answer = persona.language, conversation.answer.content
    candidates: list[Candidate] = []
    if conversation.rejected:
        kind = {"induction": "accepting", "control": "denying", "future": "leak"}.get(conversation.kind, "confusion")
        candidates.append(Candidate(kind=kind, text=conversation.rejected))
    if conversation.kind in QUESTIONS:
        others = [(other.id, conversation.stage) for other in personas.values() if other.id != persona.id]
        stages = [(persona.id, stage.id) for stage in persona.stages if stage.id != conversation.stage]
        for kind, places in (("other_person", others), ("other_stage", stages)):
            rival = rivals.find(conversation, places, code)
            if rival:
                candidates.append(Candidate(kind=kind, text=rival.answer.content))
    if name == "future" and not candidates:
        last = [
            (other.id, other.stages[-1].id)
            for other in personas.values()
            if (other.id, other.stages[-1].id) != (persona.id, conversation.stage)
        ]
        rival = rivals.find(conversation, last, code)
        candidates += [Candidate(kind="leak", text=rival.answer.content)] if rival else []
    prefilled = conversation.form == "prefilled" and conversation.kind == "induction"
    return TestItem(
        id=conversation.identity, set=name, origin="constructed", persona=persona.id, stage=conversation.stage, messages=conversation.prompt,
        reference=answer, candidates=tuple(candidates), family=conversation.form if conversation.kind in ("induction", "control") else "",
        trained_family=conversation.form in families, group=conversation.group, facts=() if name == "future" else facts_of(answer, conversation.rejected, code),
        prefill=language(code).sentences(conversation.rejected)[0] if prefilled else "",
    )  # fmt: skip


def facts_of(answer: str, rejected: str, code: str) -> tuple[str, ...]:
    """The words that the right answer has and the wrong one has not: what a test of facts looks for."""
    if not rejected:
        return ()
    words = language(code).words
    wrong = set(words(rejected))
    rest = [word for word in words(language(code).sentences(answer)[-1]) if word not in wrong]
    return tuple(dict.fromkeys(rest))[:3]


def general_items(conversations: Sequence[Conversation], most: int) -> list[TestItem]:
    """Held-out general conversations, for the metric `forgetting`."""
    return [
        TestItem(id=c.identity, set="general", origin="constructed", persona="", stage="", messages=c.prompt, reference=c.answer.content)
        for c in sorted(conversations, key=lambda c: c.identity)[:most]
    ]
