"""Split, clean, mix: nothing leaks between train and test, nothing is dropped silently."""

from pathlib import Path

import pytest

from persllm import dataset, pairs
from persllm.checks import Checker
from persllm.config import DpoSettings, MixtureSettings
from persllm.construct_extractive import Constructor
from persllm.constructor_settings import ConstructorSettings
from persllm.embedding import near_duplicates, overlap
from persllm.general import bundled_files, read_general
from persllm.materials import read_folder
from persllm.records import Conversation, Question

WORLD = Path(dataset.__file__).parent / "world"


@pytest.fixture(scope="module")
def folders():
    return [read_folder(WORLD / name) for name in ("tolk", "pell")]


@pytest.fixture(scope="module")
def constructed(folders) -> tuple[list[Question], list[Conversation]]:
    asked, made = [], []
    for folder in folders:
        others = [m for other in folders if other is not folder for m in other.materials]
        constructor = Constructor(folder.persona, folder.materials, others, ConstructorSettings(questions_per_material=2))
        for _, (questions, _) in constructor.raise_questions(folder.materials):
            asked += questions
            for _, (found, _) in constructor.answer_questions(questions):
                made += found
    return asked, made


@pytest.fixture(scope="module")
def conversations(constructed) -> list[Conversation]:
    return constructed[1]


@pytest.fixture(scope="module")
def made(folders, constructed) -> dataset.Dataset:
    return make(folders, *constructed)


def make(folders, questions, conversations) -> dataset.Dataset:
    materials = [m for folder in folders for m in folder.materials]
    general = read_general(bundled_files({"en"}))
    personas = [f.persona for f in folders]
    return dataset.make_dataset(conversations, materials, personas, general, MixtureSettings(), 0, Checker(personas, materials, questions))


def test_no_held_out_material_is_trained_on(made, folders) -> None:
    materials = [m for folder in folders for m in folder.materials]
    held = dataset.held_out_materials(materials, 0.2)
    assert 0.15 < len(held) / len(materials) < 0.25
    assert not held & {e for c in made.conversations for e in c.evidence}
    tested = {i.id for i in made.test if i.set == "generalisation"}
    assert tested
    assert {(m.persona, m.stage, m.kind) for m in materials if m.identity in held} == {(m.persona, m.stage, m.kind) for m in materials}


def test_no_test_question_is_near_a_training_question(made) -> None:
    from persllm.embedding import Vectors

    for place, trained in dataset.by_place(made.conversations).items():
        asked = ["\n".join(m.content for m in i.messages) for i in made.test if (i.persona, i.stage) == place]
        nearest = Vectors([dataset.question_text(c) for c in trained]).nearest(asked)
        assert all(similarity < 0.95 for _, similarity in nearest)


def test_the_mixture_repeats_and_keeps_the_share_of_analyses(made) -> None:
    own = [c for c in made.train if c.persona]
    assert len(own) == 2 * len(made.conversations)
    assert abs(sum(bool(c.answer.thought) for c in own) / len(own) - 0.5) < 0.05
    assert abs(len(made.train) - 1.15 * len(own)) <= 1
    assert not any(dataset.is_held_out(c) for c in made.train if not c.persona)


def test_every_test_set_is_there_with_wrong_answers(made) -> None:
    sets = {i.set for i in made.test}
    assert sets == {"recall", "generalisation", "induction", "control", "future", "stage", "paraphrase", "past", "general"}
    assert all(i.candidates for i in made.test if i.set in ("induction", "control", "future"))
    assert all(c.text != i.reference for i in made.test for c in i.candidates)
    assert {i.family for i in made.test if i.set == "induction" and not i.trained_family} >= {"authority", "pressure", "you_are_an_ai"}
    assert all(i.prefill for i in made.test if i.set == "induction" and i.family == "prefilled")


def test_nothing_is_lost_without_a_reason(made, conversations) -> None:
    reasons = {d.reason for d in made.dropped}
    assert reasons <= {"repeated", "near-duplicate question", "test question near a training question"}
    kept = {c.identity for c in made.conversations} | {d.item for d in made.dropped}
    unheld = [c for c in conversations if not c.held_out and not set(c.evidence) & held_of(made, conversations)]
    assert {c.identity for c in unheld} <= kept


def held_of(made, conversations) -> set[str]:
    trained = {e for c in made.conversations for e in c.evidence}
    return {e for c in conversations for e in c.evidence} - trained


def test_twice_the_same(made, folders, constructed) -> None:
    assert make(folders, *constructed) == made


def test_pairs_have_a_guaranteed_contrast(made, folders) -> None:
    found, dropped = pairs.make_pairs(made.conversations, [f.persona for f in folders], DpoSettings(pairs=250), 0)
    assert len(found) == 250
    counts = {contrast: sum(pair.contrast == contrast for pair in found) for contrast in DpoSettings().contrasts}
    assert min(counts.values()) >= 20
    origin = {c.identity: c for c in made.conversations}
    for pair in found:
        chosen, rejected = origin[pair.chosen_from], origin[pair.rejected_from]
        assert pair.chosen.content != pair.rejected.content
        if pair.contrast == "stage":
            assert (chosen.persona, chosen.stage != rejected.stage) == (rejected.persona, True)
        if pair.contrast == "persona":
            assert chosen.persona != rejected.persona
        if pair.contrast in ("stage", "persona"):
            assert not set(chosen.evidence) & set(rejected.evidence)
            assert overlap(chosen.answer.content.lower().split(), rejected.answer.content.lower().split()) <= 0.7
    assert {d.reason for d in dropped} <= {f"no contrast by {name}" for name in ("stage", "persona", "future")}


def test_near_duplicates_keep_the_first() -> None:
    assert near_duplicates(["Where is the bell?", "Who are you?", "WHERE is the bell?", "Where is the bell?"], 0.95) == {2: 0, 3: 0}
