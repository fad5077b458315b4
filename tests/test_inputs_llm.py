"""What the LLM constructor asks for and makes: shares, stages, pressure over turns, talks, two stages on one question, examples."""

from collections import Counter

import pytest
from fake_server import FakeServer, plausible
from test_construct_llm import ADA, BELL, FIRE, MATERIALS, SAND, TALK, material

from persllm.chat import ApiModel, ScriptedModel
from persllm.config import DpoSettings, MixtureSettings
from persllm.construct_llm import LlmConstructor
from persllm.construct_llm.examples import Examples
from persllm.construct_llm.orders import SHAPES, drawn, orders_for, rounded
from persllm.construct_llm.scene import Scene
from persllm.constructor_settings import AngleShares, ApiSettings, ConstructorSettings, FamilyShares, KindShares
from persllm.dataset import make_dataset
from persllm.pairs import make_pairs
from persllm.records import Conversation, Dropped, Question


def settings(url: str = "http://127.0.0.1:9/v1", **more) -> ConstructorSettings:
    return ConstructorSettings(engine="llm", api=ApiSettings(url=url, model="fake", retries=1, timeout=5.0), **more)


def raise_all(chosen: ConstructorSettings) -> tuple[list[Question], list[str]]:
    """All questions about the materials, and what the model was told last."""
    with FakeServer(answer=plausible) as server:
        api = chosen.api.model_copy(update={"url": server.url})
        made = LlmConstructor(ADA, MATERIALS, chosen, ApiModel(api))
        found = [q for _, (questions, _) in made.raise_questions(MATERIALS) for q in questions]
        return found, [text for messages in server.counts for _, text in messages]


def answer(
    questions: list[Question], chosen: ConstructorSettings, held_out: tuple[str, ...] = ()
) -> tuple[list[Conversation], list[Dropped]]:
    with FakeServer(answer=plausible) as server:
        api = chosen.api.model_copy(update={"url": server.url})
        outcomes = list(LlmConstructor(ADA, MATERIALS, chosen, ApiModel(api), held_out).answer_questions(questions))
    return [c for _, (made, _) in outcomes for c in made], [d for _, (_, dropped) in outcomes for d in dropped]


# Orders --------------------------------------------------------------------------------------------------


def test_drawing_keeps_the_shares_over_many_materials() -> None:
    counts = Counter(name for key in range(400) for name in drawn({"a": 2.0, "b": 1.0, "c": 1.0, "never": 0.0}, 2, key))
    assert counts["a"] == pytest.approx(400, rel=0.02)
    assert counts["b"] == pytest.approx(200, rel=0.2)
    assert counts.keys() == {"a", "b", "c"}
    assert sum(rounded(0.34, key) for key in range(1000)) == pytest.approx(340, abs=45)
    assert drawn({}, 3, "k") == []


def test_angles_families_and_kinds_follow_the_settings() -> None:
    chosen = settings(
        questions_per_material=5, angles=AngleShares(event=0, relations=0, opinions=0, profession=3, daily_life=2), kinds=KindShares(opinion=0),
        families=("flattery", "authority"), family_shares=FamilyShares(authority=0),
    )  # fmt: skip
    forms = Counter(order.form for order in orders_for("question", BELL, ADA.stages[0], chosen))
    assert forms == {"profession": 3, "daily_life": 2}
    assert orders_for("opinion", BELL, ADA.stages[0], chosen) == []
    *trained, unseen = [order.form for order in orders_for("induction", BELL, ADA.stages[0], chosen)]
    assert trained == ["flattery"] * 5
    assert unseen not in chosen.families


def test_every_input_has_a_form_of_its_own_as_long_as_there_are_some() -> None:
    shapes = [order.shape for order in orders_for("question", BELL, ADA.stages[0], settings(questions_per_material=7))]
    assert sorted(shapes) == sorted(SHAPES)
    found, prompts = raise_all(settings(questions_per_material=2))
    assert len({q.shape for q in found}) >= 5
    assert any("Manner: Written like a few lines of a letter" in text for text in prompts)


def test_nothing_to_ask_for_is_no_call() -> None:
    model = ScriptedModel([])
    nothing = settings(kinds=KindShares(question=0, opinion=0, induction=0, future=0))
    assert [outcome for _, outcome in LlmConstructor(ADA, MATERIALS, nothing, model).raise_questions(MATERIALS)] == [([], [])] * 4
    assert model.requests == []


# Stages --------------------------------------------------------------------------------------------------


def test_who_asks_is_told_what_must_not_be_asked_and_answers_never_are() -> None:
    found, prompts = raise_all(settings(questions_per_material=1))
    early = [text for text in prompts if text.startswith("You invent") and "is: Apprentice." in text]
    assert any("nobody may speak to Ada Brand as if Ada Brand knew of them: the great fire" in text for text in early)
    with FakeServer(answer=plausible) as server:
        chosen = settings(server.url, follow_up=0)
        list(LlmConstructor(ADA, MATERIALS, chosen, ApiModel(chosen.api)).answer_questions([q for q in found if q.stage == "early"]))
        roles = [messages[0][1] for messages in server.counts]
    assert roles
    assert not [text for text in roles if "nobody may speak" in text or "burnt" in text]


def test_a_question_that_takes_the_unknown_for_known_is_dropped() -> None:
    text = '{"inputs": [{"angle": "event", "text": "How did the Great Fire begin?"}]}'
    model = ScriptedModel(lambda request: text if "someone might ask" in request.messages[1].content else '{"inputs": []}')
    [(_, (questions, dropped))] = LlmConstructor(ADA, MATERIALS, settings(questions_per_material=1), model).raise_questions([BELL])
    assert [q for q in questions if q.kind == "question"] == []
    assert "asks for what is not yet known" in [d.reason for d in dropped]


def test_the_future_is_asked_for_and_not_known() -> None:
    found, _ = raise_all(settings(questions_per_material=1, kinds=KindShares(future=1.0)))
    future = [q for q in found if q.kind == "future"]
    assert Counter((q.material, q.stage, q.form) for q in future) == {
        (FIRE.identity, "early", "future"): 1, (BELL.identity, "early", "unknown"): 2,
    }  # fmt: skip
    made, dropped = answer(future, settings())
    assert dropped == []
    for conversation in made:
        question = next(q for q in future if q.identity == conversation.question)
        assert conversation.rejected == question.accepting != conversation.answer.content
        assert "burnt" not in conversation.answer.content
        assert question.material in conversation.evidence
    pairs, _ = make_pairs(made, [ADA], DpoSettings(contrasts=("future",)), 0)
    assert len(pairs) == len(made)


# Turns ---------------------------------------------------------------------------------------------------


def test_pressure_is_several_turns_and_so_is_its_twin() -> None:
    found, _ = raise_all(settings(questions_per_material=1, families=("pressure",), kinds=KindShares(question=0, opinion=0, future=0)))
    pressed = [q for q in found if q.form == "pressure"]
    assert {q.kind for q in pressed} == {"induction", "control"}
    assert all(len(q.later) == 2 and q.claim for q in pressed)
    made, dropped = answer(pressed, settings())
    assert dropped == []
    assert Counter(len(c.messages) for c in made) == {4: len(pressed), 6: len(pressed)}
    for conversation in made:
        assert [m.role for m in conversation.messages] == ["user", "assistant"] * (len(conversation.messages) // 2)
        assert len({m.content for m in conversation.messages}) == len(conversation.messages)
        assert not any(m.thought for m in conversation.messages[:-1])
        assert conversation.answer.thought
        assert conversation.rejected


def test_insisting_only_once_is_no_pressure() -> None:
    entry = (
        '{"family": "pressure", "text": "t?", "claim": "c.", "truth": "r.", "control": "o?", "pressing": ["p"], "control_pressing": ["q"]}'
    )
    model = ScriptedModel(lambda request: f'{{"inputs": [{entry}]}}')
    chosen = settings(questions_per_material=1, families=("pressure",), kinds=KindShares(question=0, opinion=0, future=0))
    [(_, (questions, dropped))] = LlmConstructor(ADA, MATERIALS, chosen, model).raise_questions([SAND.model_copy(update={"stage": "late"})])
    assert questions == []
    assert [d.reason for d in dropped][:2] == ["no pressure over turns"] * 2


def test_some_talks_go_on_for_up_to_five_answers() -> None:
    found, _ = raise_all(settings(questions_per_material=4, cross_stage=0, kinds=KindShares(induction=0, future=0)))
    made, dropped = answer(found, settings(follow_up=1.0))
    assert dropped == []
    lengths = Counter(max(len(c.messages) // 2 for c in made if c.question == q.identity) for q in found)
    assert set(lengths) == {1, 2, 3, 4, 5}, "those of the test sets stay alone"
    assert lengths[1] == sum(q.held_out for q in found)
    assert {c.form for c in made if len(c.messages) > 2} == {"follow"}
    assert max(len(c.messages) for c in answer(found, settings(follow_up=1.0, turns=2))[0]) == 4


# Two stages on one question ------------------------------------------------------------------------------


def test_one_question_is_answered_at_both_stages_and_makes_the_first_pairs() -> None:
    chosen = settings(questions_per_material=3, cross_stage=1.0, follow_up=0, kinds=KindShares(future=0))
    found, _ = raise_all(chosen)
    crossed = [q for q in found if q.raised_at]
    plain = [q for q in found if q.kind in ("question", "opinion") and not q.raised_at]
    assert len(crossed) == len(plain)
    assert {q.held_out for q in crossed} == {True, False}, "those of the test sets too, for the set stage"
    assert {(q.stage, q.raised_at) for q in crossed} == {("late", "early"), ("early", "late")}
    made, _ = answer(found, chosen)
    assert not [c for c in made if c.stage == "early" and FIRE.identity in c.evidence]
    pairs, _ = make_pairs(made, [ADA], DpoSettings(contrasts=("stage",), pairs=12), 0)
    by_identity = {c.identity: c for c in made}
    assert len(pairs) == 12
    for pair in pairs:
        chosen_from, rejected_from = by_identity[pair.chosen_from], by_identity[pair.rejected_from]
        assert chosen_from.prompt == rejected_from.prompt
        assert chosen_from.stage != rejected_from.stage


def test_questions_about_held_out_materials_never_cross_and_those_of_the_test_sets_are_the_set_stage() -> None:
    chosen = settings(questions_per_material=3, cross_stage=1.0)
    with FakeServer(answer=plausible) as server:
        api = chosen.api.model_copy(update={"url": server.url})
        made = LlmConstructor(ADA, MATERIALS, chosen, ApiModel(api), held_out={BELL.identity})
        found = [q for _, (questions, _) in made.raise_questions(MATERIALS) for q in questions]
    assert not [q for q in found if q.raised_at and q.material == BELL.identity]
    conversations, _ = answer(found, chosen, held_out=(BELL.identity,))
    split = make_dataset(conversations, MATERIALS, [ADA], [], MixtureSettings(), 0)
    assert {item.set for item in split.test} >= {"recall", "induction"}
    assert not {c.question for c in split.conversations} & {q.identity for q in found if q.held_out}
    asked = {(q.stage, q.text) for q in found if q.held_out and q.kind in ("question", "opinion")}
    twins = [item for item in split.test if item.set == "stage" and (item.stage, item.messages[0].content) in asked]
    assert {item.stage for item in twins} == {"early", "late"}
    assert all(item.changed and item.candidates[0].kind == "other_stage" for item in twins)


# Examples ------------------------------------------------------------------------------------------------


def test_examples_come_from_the_persons_own_life_at_that_time() -> None:
    examples = Examples(Scene(ADA, MATERIALS, settings()))
    early, late = examples.at("early", avoid=""), examples.at("late", avoid="")
    assert "Is the sand dry" not in late
    assert "[Analysis]" in early
    assert "[Response]" in early
    assert "1821" not in early
    assert "burnt" not in early
    assert "1803" in early + late
    assert examples.at("early", avoid="") == Examples(Scene(ADA, MATERIALS, settings())).at("early", avoid="")


def test_the_material_that_is_asked_about_is_no_example_and_held_out_ones_neither() -> None:
    scene = Scene(ADA, MATERIALS, settings(), held_out=(BELL.identity,))
    assert "bell" not in Examples(scene).at("early", avoid="")
    alone = Examples(Scene(ADA, [TALK], settings()))
    assert alone.at("early", avoid=TALK.identity) == "(nothing)"


def test_word_budgets_count_chinese_by_characters() -> None:
    zh = ADA.model_copy(update={"language": "zh"})
    days = [material("experience", "early", f"某日{i}", "炉火烧了一整天。" * 20) for i in range(5)]
    scene = Scene(zh, days, settings(objective_words=210))
    found = scene.retriever.retrieve("炉火", "early", zh, ("experience",), 210)
    assert sum(len(m.text.replace("。", "")) for m in found) == 210
