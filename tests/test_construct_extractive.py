"""The extractive constructor on one small person: what is asked, what is answered, and from what."""

from pathlib import Path

import pytest

from persllm.construct_extractive import Constructor
from persllm.constructor_settings import ConstructorSettings
from persllm.materials import Folder, read_folder
from persllm.records import Conversation, Dropped, Question


def construct(folder: Folder) -> tuple[list[Question], list[Conversation], list[Dropped]]:
    constructor = Constructor(folder.persona, folder.materials, (), ConstructorSettings(questions_per_material=2))
    questions, conversations, dropped = [], [], []
    for _, (raised, lost) in constructor.raise_questions(folder.materials):
        questions += raised
        dropped += lost
    for _, (made, lost) in constructor.answer_questions(questions):
        conversations += made
        dropped += lost
    return questions, conversations, dropped


@pytest.fixture
def made(starter: Path) -> tuple[list[Question], list[Conversation], list[Dropped]]:
    return construct(read_folder(starter))


def test_experiences_are_told_in_the_first_person(made) -> None:
    told = next(c for c in made[1] if c.form == "topic" and "swarm" in c.messages[0].content)
    assert told.answer.content == (
        "I lost a swarm in May 1964 when I forgot to close the third box. I followed the bees across the moor to the chapel and found the swarm under the bell."
    )
    assert told.sources == ("hanne/materials/young/experience.md:4",)


def test_a_false_premise_is_corrected_and_its_true_twin_confirmed(made) -> None:
    false = [c for c in made[1] if c.kind == "induction" and "lost a swarm" in c.answer.content and c.form == "wrong_era"]
    assert false
    for conversation in false:
        assert "May 1964" not in conversation.messages[0].content
        assert conversation.answer.content.endswith("I lost a swarm in May 1964 when I forgot to close the third box.")
        assert conversation.answer.content.startswith(("No! Who says such things?", "That is not true at all."))
        assert "May 1964" not in conversation.rejected
        twin = next(c for c in made[1] if c.kind == "control" and c.group == conversation.group.replace("induction", "control"))
        assert "May 1964" in twin.messages[0].content
        assert twin.answer.content.startswith(("Yes, yes, that is so.", "You saw it right."))


def test_the_analysis_says_what_is_claimed_and_what_is_true(made) -> None:
    conversation = next(c for c in made[1] if c.kind == "induction")
    thought = conversation.answer.thought
    assert thought.startswith("They say that ")
    assert thought.endswith("So they are wrong.")
    assert "What I know: " in thought


def test_what_comes_later_is_not_known(made) -> None:
    asked = [c for c in made[1] if c.kind == "future"]
    assert {c.stage for c in asked} == {"young"}
    assert {c.answer.content for c in asked} <= {"I never heard of it.", "How should I know that?"}
    assert all(c.rejected for c in asked if c.form == "future")
    assert any("the death of Per" in c.messages[0].content for c in asked if c.form == "unknown")
    assert any("the great storm" in c.messages[0].content for c in asked)


def test_earlier_episodes_are_remembered_at_the_later_stage(made) -> None:
    assert any(c.stage == "old" and "swarm" in c.answer.content for c in made[1])


def test_an_exchange_keeps_situation_speaker_and_turns(made) -> None:
    exchange = [c for c in made[1] if c.form == "exchange" and "ferry" in c.messages[0].content and c.stage == "young"]
    assert [len(c.messages) for c in exchange] == [2, 4]
    assert exchange[0].messages[0].content == "(On the quay, waiting for the ferry.) Captain Moe: So you want to sail away from us as well?"
    assert exchange[1].answer.content == "Honey can be bought in any town. I want to see streets with lamps."


def test_wordings_for_the_tests_are_never_trained(made) -> None:
    trained = {c.messages[-2].content for c in made[1] if not c.held_out and c.form == "topic"}
    held = {c.messages[-2].content for c in made[1] if c.held_out and c.form == "topic"}
    assert trained
    assert held
    assert not trained & held


def test_unseen_families_are_held_out(made) -> None:
    families = {c.form for c in made[1] if c.kind == "induction" and not c.held_out}
    assert families <= {"false_premise", "wrong_era", "false_memory", "flattery"}
    assert "you_are_an_ai" in {c.form for c in made[1] if c.kind == "induction" and c.held_out}


def test_every_conversation_keeps_its_evidence(made) -> None:
    assert all(c.evidence and c.sources and c.question for c in made[1])


def test_twice_the_same(starter: Path) -> None:
    folder = read_folder(starter)
    assert [c.identity for c in construct(folder)[1]] == [c.identity for c in construct(folder)[1]]


def test_a_sentence_about_another_she_is_dropped_with_the_reason(starter: Path) -> None:
    (starter / "materials/old/experience-guest.md").write_text(
        "## A guest (1990)\nMarta came from Oslo. She stayed a week. Hanne showed Marta the hives.\n"
    )
    _, conversations, dropped = construct(read_folder(starter))
    assert [d.detail for d in dropped if d.reason == "not turned to the first person"] == ["She stayed a week."]
    assert any("I showed Marta the hives." in c.answer.content for c in conversations)
