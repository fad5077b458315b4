"""Retrieval: nothing from the future, the best first, whole materials within the budget."""

import pytest

from persllm.records import Material, Persona, Stage
from persllm.retrieval import OBJECTIVE, SUBJECTIVE, Retriever

ADA = Persona(id="ada", name="Ada", profile="A founder.", stages=tuple(Stage(id=name) for name in ("early", "middle", "late")))


def material(kind: str, stage: str | None, text: str, persona: str = "ada") -> Material:
    return Material(persona=persona, kind=kind, stage=stage, text=text, source=f"{kind}.md:{len(text)}")


BELL = material("experience", "early", "I cast the first bell in the old foundry. It cracked. Nobody was hurt.")
LAKE = material("experience", "middle", "I crossed the frozen lake on foot. The ice held.")
FIRE = material("experience", "late", "The foundry burnt down with the bell in it.")
SAND = material("knowledge", None, "Sand for a bell mould must be dry.")
TALK = material("speech", "early", "A bell, a bell! Give me sand.")
SIGH = material("speech", "late", "The bell is silent now.")
OTHER = material("experience", "early", "A bell of another person.", persona="bob")
ALL = Retriever([LAKE, FIRE, BELL, SAND, TALK, SIGH, OTHER], "en")


def found(query: str, stage: str, kinds: tuple = OBJECTIVE, budget: int = 1000) -> list[Material]:
    return ALL.retrieve(query, stage, ADA, kinds, budget)


@pytest.mark.parametrize(("stage", "known"), [("early", [BELL, SAND]), ("middle", [LAKE, BELL, SAND]), ("late", [LAKE, FIRE, BELL, SAND])])
def test_only_what_can_be_known_at_the_stage_is_found(stage: str, known: list[Material]) -> None:
    assert sorted(m.text for m in found("bell foundry fire lake", stage)) == sorted(m.text for m in known)


def test_speech_is_of_that_very_stage() -> None:
    assert found("bell", "early", SUBJECTIVE) == [TALK]
    assert found("bell", "middle", SUBJECTIVE) == []
    assert found("bell", "late", SUBJECTIVE) == [SIGH]


def test_the_best_comes_first_and_the_order_never_changes() -> None:
    assert found("Did the ice on the lake hold?", "middle")[0] == LAKE
    assert found("dry sand", "middle")[0] == SAND
    again = Retriever(ALL.materials, "en")
    assert [m.identity for m in again.retrieve("a bell", "late", ADA, OBJECTIVE, 99)] == [
        m.identity for m in found("a bell", "late", budget=99)
    ]


def test_words_of_the_future_weigh_nothing() -> None:
    without = Retriever([LAKE, BELL, SAND, TALK], "en")
    assert without.ranked("bell foundry", "middle", ADA, OBJECTIVE) == ALL.ranked("bell foundry", "middle", ADA, OBJECTIVE)


def test_the_budget_takes_whole_materials_and_cuts_the_last_at_a_sentence() -> None:
    assert found("dry sand", "early", budget=8) == [SAND]
    first, last = found("dry sand", "early", budget=21)
    assert first == SAND
    assert last.text == "I cast the first bell in the old foundry. It cracked."
    assert found("dry sand", "early", budget=7) == []
    assert found("dry sand", "early", budget=0) == []


def test_lines_of_an_exchange_stay_lines_when_cut() -> None:
    assert ALL.cut("Ada: One two. Three.\nBob: Four five six.", 5) == "Ada: One two. Three."
    assert ALL.cut("Ada: One two. Three.\nBob: Four five. Six.", 7) == "Ada: One two. Three.\nBob: Four five."


@pytest.mark.parametrize("query", ["", "?!", "zeppelin"])
def test_a_query_that_shares_no_word_takes_the_given_order(query: str) -> None:
    assert found(query, "middle") == [LAKE, BELL, SAND]


def test_a_stage_that_is_none_of_the_persons_is_refused() -> None:
    with pytest.raises(KeyError):
        found("bell", "childhood")


def test_materials_without_words_do_no_harm() -> None:
    silent = material("speech", "early", "...")
    assert Retriever([silent], "en").retrieve("bell", "early", ADA, SUBJECTIVE, 10) == [silent]
