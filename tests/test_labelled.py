"""The hand-labelled set is well-formed: what it says about itself is so."""

from collections import Counter

from labelled_set import REASONS, labelled_set

from persllm.languages import language


def test_two_hundred_different_conversations() -> None:
    entries = labelled_set()
    assert len(entries) == 200
    assert len({entry.id for entry in entries}) == 200
    assert len({entry.conversation.identity for entry in entries}) == 200
    assert len({entry.conversation.answer.content for entry in entries}) == 200
    assert sum(not entry.expected for entry in entries) == 90
    assert sum(entry.persona.language == "zh" for entry in entries) == 60


def test_each_defect_often_enough() -> None:
    counts = Counter(reason for entry in labelled_set() for reason in entry.expected)
    assert set(counts) == set(REASONS)
    assert min(counts.values()) >= 9, counts
    assert sum(len(entry.expected) == 2 for entry in labelled_set()) >= 5
    for code in ("en", "zh"):
        own = Counter(reason for entry in labelled_set() if entry.persona.language == code for reason in entry.expected)
        assert min(own[reason] for reason in REASONS) >= 3, own


def test_labels_do_not_contradict_the_records() -> None:
    for entry in labelled_set():
        assert not entry.expected & entry.debatable, entry.id
        assert entry.debatable <= set(REASONS), entry.id
        kind = entry.conversation.kind
        assert entry.persona.stage(entry.conversation.stage), entry.id
        assert "premise_accepted" not in entry.expected or kind == "induction", entry.id
        assert "truth_denied" not in entry.expected or kind == "control", entry.id
        if kind in ("induction", "control"):
            assert entry.question.claim, entry.id
            assert entry.question.truth, entry.id
            assert (entry.question.claim == entry.question.truth) == (kind == "control"), entry.id
            assert entry.conversation.rejected, entry.id
            assert entry.conversation.rejected != entry.conversation.answer.content, entry.id


def test_evidence_was_there_at_the_stage() -> None:
    for entry in labelled_set():
        own = {material.identity: material for material in entry.materials}
        stage = entry.persona.order(entry.conversation.stage)
        for identity in entry.conversation.evidence:
            material = own[identity]
            assert material.stage is None or entry.persona.order(material.stage) <= stage, entry.id


def test_lengths_are_as_the_labels_say() -> None:
    for entry in labelled_set():
        answer, code = entry.conversation.answer.content, entry.persona.language
        words = len(language(code).words(answer))
        assert ("too_long" in entry.expected) == (words > (400 if code == "en" else 500)), (entry.id, words)
        if "too_short" in entry.expected:
            assert words <= 3, entry.id
        elif not entry.expected & {"format", "wrong_language"}:
            assert words >= 6, (entry.id, words)
