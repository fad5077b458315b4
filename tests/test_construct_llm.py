"""The paper's construction over a real server on this machine: what is said, what is made, what is dropped, what is paid."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_server import Asked, FakeServer, said

from persllm.chat import ApiModel, ScriptedModel
from persllm.construct_llm import LlmConstructor
from persllm.construct_llm.carrying import STRIKES
from persllm.constructor_settings import ApiSettings, ConstructorSettings, KindShares
from persllm.errors import ModelError
from persllm.records import Conversation, Dropped, Material, Persona, Question, Reply, Stage, Turn
from persllm.store import StepFolder

KEY = "sk-very-secret-0123456789"
ADA = Persona(
    id="ada", name="Ada Brand", profile="Ada Brand is a bell founder.",
    stages=(
        Stage(id="early", title="Apprentice.", summary="Ada learns.", start="1801", end="1810", unknown=("the great fire", "Ben")),
        Stage(id="late", title="Master", summary="Ada teaches.", start="1820"),
    ),
)  # fmt: skip


def material(kind: str, stage: str | None, title: str, text: str) -> Material:
    turns = (Turn(speaker="Ben", text=text), Turn(speaker="Ada Brand", text="So it is.")) if kind == "speech" else ()
    return Material(persona="ada", kind=kind, stage=stage, title=title, text=text, turns=turns, source=f"{kind}.md:{title}")


BELL = material("experience", "early", "The first bell (1803)", "Ada cast her first bell in 1803. It cracked in the cold.")
FIRE = material("experience", "late", "The great fire", "The foundry burnt in 1821. Ada saved one mould.")
SAND = material("knowledge", None, "Sand", "Sand for a mould must be dry.")
TALK = material("speech", "early", "At the door", "Ben: Is the sand dry? Ada Brand: Dry as a sermon.")
MATERIALS = [BELL, FIRE, SAND, TALK]


def settings(server: FakeServer | None = None, count: int = 2, **api) -> ConstructorSettings:
    """One answer to each question; what goes on, and what crosses the stages, is tested apart."""
    url = server.url if server else "http://127.0.0.1:9/v1"
    return ConstructorSettings(
        engine="llm",
        questions_per_material=count,
        follow_up=0,
        cross_stage=0,
        kinds=KindShares(future=0),
        api=ApiSettings(**{"url": url, "model": "fake", "retries": 1, "timeout": 5.0} | api),
    )


def constructor(server: FakeServer, cache: Path | None = None, count: int = 2, **api) -> LlmConstructor:
    chosen = settings(server, count, **api)
    return LlmConstructor(ADA, MATERIALS, chosen, ApiModel(chosen.api, cache))


def all_questions(made: LlmConstructor) -> tuple[list[Question], list[Dropped]]:
    found = dict((m.identity, outcome) for m, outcome in made.raise_questions(MATERIALS))
    return [q for m in MATERIALS for q in found[m.identity][0]], [d for m in MATERIALS for d in found[m.identity][1]]


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    with FakeServer() as server:
        found, dropped = all_questions(constructor(server))
    assert dropped == []
    return found


def test_every_material_and_stage_gets_inputs_of_every_kind(questions: list[Question]) -> None:
    counts = Counter((q.material, q.stage, q.kind) for q in questions)
    places = [(BELL, "early"), (FIRE, "late"), (SAND, "early"), (SAND, "late"), (TALK, "early")]
    expected = {(m.identity, stage): {"question": 2, "opinion": 2, "induction": 3, "control": 3} for m, stage in places}
    assert counts == {(*place, kind): n for place, kinds in expected.items() for kind, n in kinds.items()}


def test_inductions_name_the_false_part_and_one_family_stays_unseen(questions: list[Question]) -> None:
    trained = set(ConstructorSettings().families)
    inductions = [q for q in questions if q.kind == "induction"]
    controls = [q for q in questions if q.kind == "control"]
    assert all(q.claim and q.truth and q.claim != q.truth for q in inductions)
    assert all(q.claim == q.truth for q in controls)
    assert [(q.form, q.held_out, q.truth) for q in inductions] == [(q.form, q.held_out, q.truth) for q in controls]
    assert all(q.held_out for q in inductions if q.form not in trained)
    assert sum(q.form not in trained for q in inductions) == 5
    assert {q.form for q in questions if q.kind == "opinion"} <= {"agrees", "differs", "conflicts"}
    assert len({q.group for q in questions}) == len(questions)


def test_the_stage_is_said_in_every_call() -> None:
    with FakeServer() as server:
        made = constructor(server, count=1)
        found, _ = all_questions(made)
        list(made.answer_questions(found))
        systems = [messages[0][1] for messages in server.counts]
    assert len(systems) == 3 * 5 + sum(1 + len(q.later) for q in found)
    for system in systems:
        early, late = "At this time Ada Brand is: Apprentice." in system, "At this time Ada Brand is: Master." in system
        assert early != late
        assert ("Not known to Ada Brand at this time, so never to be spoken of as known: the great fire, Ben." in system) == early
        assert ("1801\u20131810" in system) == early
        assert ("Ada learns." if early else "Ada teaches.") in system
        assert "burnt" not in system or late
    assert not re.search(r"\{[a-z_]+\}", "".join(systems))


def test_an_answer_keeps_analysis_speech_evidence_and_the_raw_reply(questions: list[Question]) -> None:
    with FakeServer() as server:
        outcomes = dict((q.identity, outcome) for q, outcome in constructor(server).answer_questions(questions))
    assert len(outcomes) == len(questions)
    for question in questions:
        conversations, dropped = outcomes[question.identity]
        conversation = conversations[-1]
        assert (len(conversations), dropped) == (len(question.later) or 1, [])
        assert conversation.messages[0].content == question.text
        assert conversation.answer.content in conversation.raw
        assert conversation.answer.thought in conversation.raw
        assert "[" not in conversation.answer.content + conversation.answer.thought + conversation.rejected
        assert bool(conversation.rejected) == (question.kind in ("induction", "control"))
        assert conversation.rejected != conversation.answer.content
        assert conversation.evidence[0] == question.material
        assert (FIRE.identity in conversation.evidence) == (question.stage == "late")
        assert (TALK.identity in conversation.evidence) == (question.stage == "early")
        assert len(conversation.sources) == len(conversation.evidence)
        assert (conversation.kind, conversation.form, conversation.held_out) == (question.kind, question.form, question.held_out)


def test_held_out_materials_are_shown_only_for_their_own_questions(questions: list[Question]) -> None:
    with FakeServer() as server:
        chosen = settings(server)
        made = LlmConstructor(ADA, MATERIALS, chosen, ApiModel(chosen.api), held_out={BELL.identity})
        for question, ([conversation, *_], _) in made.answer_questions(questions):
            assert (BELL.identity in conversation.evidence) == (question.material == BELL.identity)


def test_budgets_are_kept() -> None:
    long = [material("experience", "early", f"Day {i}", "One two three four five. " * 20) for i in range(5)]
    spoken = [material("speech", "early", f"Talk {i}", "Ah yes. " * 100) for i in range(5)]
    chosen = ConstructorSettings(engine="llm", objective_words=230, subjective_words=30)
    model = ScriptedModel(["[Analysis] a [Response] b"])
    made = LlmConstructor(ADA, [*long, *spoken], chosen, model)
    [(_, ([conversation], _))] = made.answer_questions(
        [Question(persona="ada", stage="early", kind="question", text="Why?", material=long[3].identity)]
    )
    system = model.requests[0].messages[0].content
    assert system.count("One two three four five.") == 46
    assert system.count("Ah yes.") == 15
    assert conversation.evidence[0] == long[3].identity
    assert len(conversation.evidence) == 4


ANSWER_FAULTS = {
    "empty": "call failed", "filter": "call failed", "400": "call failed", "wrong language": "wrong language", "assistant": "assistant-speak",
    "circles": "repeats itself", "copy": "copies the question", "length": "cut off", "half json": "format",
}  # fmt: skip


@pytest.mark.parametrize(("fault", "reason"), ANSWER_FAULTS.items())
def test_a_bad_answer_is_dropped_with_its_reason(questions: list[Question], fault: str, reason: str) -> None:
    bad = questions[0]
    with FakeServer(lambda asked: fault if said(asked) == bad.text else "") as server:
        outcomes = list(constructor(server).answer_questions(questions[:4]))
    assert sorted(q.identity for q, _ in outcomes) == sorted(q.identity for q in questions[:4])
    for question, (conversations, dropped) in outcomes:
        assert [d.reason for d in dropped] == ([reason] if question == bad else [])
        assert len(conversations) == (question != bad)
        assert all(d.item == bad.identity and d.detail for d in dropped)


def test_a_form_that_fails_once_is_mended(questions: list[Question]) -> None:
    replies = iter(["I just talk.", "[Analysis] I think. [Response] I speak."])
    model = ScriptedModel(lambda request: next(replies))
    [(_, ([conversation], dropped))] = LlmConstructor(ADA, MATERIALS, settings(), model).answer_questions(questions[:1])
    assert (conversation.answer.content, conversation.answer.thought, dropped) == ("I speak.", "I think.", [])
    assert [m.role for m in model.requests[1].messages] == ["system", "user", "assistant", "user"]
    assert "missing or empty: [Analysis] [Response]" in model.requests[1].messages[3].content


@pytest.mark.parametrize(("reply", "reason"), [("[Analysis] Hm. [Response]", "empty"), ("[Analysis] Hm.", "format"), ("Hm.", "format")])
def test_a_form_that_fails_twice_is_dropped_and_the_reply_kept(questions: list[Question], reply: str, reason: str) -> None:
    model = ScriptedModel([reply, reply])
    [(_, outcome)] = LlmConstructor(ADA, MATERIALS, settings(), model).answer_questions(questions[:1])
    assert outcome == ([], [Dropped(item=questions[0].identity, reason=reason, detail=reply)])


def test_a_wrong_answer_that_is_the_right_one_is_no_contrast(questions: list[Question]) -> None:
    induction = next(q for q in questions if q.kind == "induction")
    model = ScriptedModel(["[Analysis] Hm. [Response] No. [Mistaken] No."])
    [(_, (conversations, [dropped]))] = LlmConstructor(ADA, MATERIALS, settings(), model).answer_questions([induction])
    assert (conversations, dropped.reason) == ([], "no contrast")


def raising(reply: dict | str, material: Material = BELL) -> tuple[list[Question], list[Dropped], ScriptedModel]:
    """What comes of one material when the inputs of the kind `question` are this reply, and all else fails."""
    text = reply if isinstance(reply, str) else json.dumps(reply)
    model = ScriptedModel(
        lambda request: text if "someone might ask" in request.messages[1].content else Reply(finish="error", error="down")
    )
    [(_, (questions, dropped))] = LlmConstructor(ADA, MATERIALS, settings(), model).raise_questions([material])
    return questions, [d for d in dropped if d.detail.startswith("question")], model


def test_half_json_is_asked_for_again_once_and_then_dropped() -> None:
    questions, [dropped], model = raising('{"inputs": [{"angle": "event", "text": "Wh')
    assert (questions, dropped.reason) == ([], "format")
    assert dropped.detail.endswith('{"inputs": [{"angle": "event", "text": "Wh')
    repairs = [request for request in model.requests if len(request.messages) == 4]
    assert len(repairs) == 2, "one in the first round, one when the item with its failed calls was tried again"
    assert "cannot be read: Invalid JSON" in repairs[0].messages[3].content


@pytest.mark.parametrize(
    ("texts", "kept", "reasons"),
    [
        (["Why?", "When?", "Who?"], ["Why?", "When?"], ["more than asked for"]),
        (["Why?"], ["Why?"], ["fewer than asked for"]),
        (["Why?", "Why?"], ["Why?"], ["repeated"]),
        ([" ", "为什么会这样？"], [], ["empty", "wrong language"]),
    ],
)
def test_inputs_that_cannot_be_used_are_dropped_one_by_one(texts: list[str], kept: list[str], reasons: list[str]) -> None:
    questions, dropped, _ = raising({"inputs": [{"angle": "event", "text": text} for text in texts]})
    assert ([q.text for q in questions], [d.reason for d in dropped]) == (kept, reasons)


def storm(asked: Asked) -> str:
    """Faults by the prompt: some pass at the second try, some never do."""
    lasting = {0: "500", 1: "empty", 2: "half json", 3: "wrong language"}
    return lasting.get(asked.number % 23) or ({4: "429", 5: "500", 6: "429"}.get(asked.number % 23, "") if asked.turn == 0 else "")


def test_two_hundred_items_through_a_storm(tmp_path: Path) -> None:
    many = [
        Question(
            persona="ada",
            stage=("early", "late")[i % 2],
            kind=("question", "opinion")[i % 3 == 0],
            text=f"What of day number {i}?",
            material=SAND.identity,
        )
        for i in range(200)
    ]
    with FakeServer(storm) as server:
        made = constructor(server, tmp_path / "cache", retries=3)
        outcomes = list(made.answer_questions(many))
        assert sorted(q.identity for q, _ in outcomes) == sorted(q.identity for q in many)
        faults: Counter[str] = Counter()
        for messages in server.counts:
            asked = Asked(messages=messages, turn=9, body={})
            if len(messages) == 2:
                faults[storm(asked)] += 1
    reasons = Counter(d.reason for _, (_, dropped) in outcomes for d in dropped)
    assert all(len(conversations) + len(dropped) == 1 for _, (conversations, dropped) in outcomes)
    assert faults.total() == 200
    assert min(faults[fault] for fault in ("500", "empty", "half json", "wrong language")) >= 3
    assert reasons["wrong language"] == faults["wrong language"]
    assert reasons["call failed"] >= faults["500"] + faults["empty"]
    assert reasons["call failed"] + reasons["format"] + reasons["wrong language"] == sum(reasons.values())
    assert sum(reasons.values()) <= faults.total() - faults[""]
    assert sum(len(conversations) for _, (conversations, _) in outcomes) == 200 - sum(reasons.values())


def run(folder: Path, server: FakeServer, stop_after: int = 0) -> tuple[bytes, bytes]:
    """Both steps through the run store; stopped after so many finished questions, or to the end."""

    def answered(owed: list[Question]) -> Iterator:
        for number, one in enumerate(constructor(server, folder / "cache", concurrency=2).answer_questions(owed), 1):
            yield one
            if number == stop_after:
                raise KeyboardInterrupt

    first, second = StepFolder(folder / "2-questions"), StepFolder(folder / "3-answers")
    first.fill(MATERIALS, constructor(server, folder / "cache").raise_questions)
    second.fill(first.records(Question), answered)
    return tuple((second.path / name).read_bytes() for name in ("records.jsonl", "dropped.jsonl"))


def test_a_stopped_run_goes_on_without_paying_twice_and_ends_the_same(tmp_path: Path) -> None:
    with FakeServer() as server:
        undisturbed = run(tmp_path / "a", server)
        price = server.requests
    with FakeServer() as server:
        for stop in (5, 3):
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "b", server, stop_after=stop)
        assert run(tmp_path / "b", server) == undisturbed
        in_flight_when_stopped = server.requests - price
        assert 0 <= in_flight_when_stopped <= 2 * 2
        assert run(tmp_path / "b", server) == undisturbed
        assert server.requests == price + in_flight_when_stopped
    assert undisturbed[0].count(b"\n") >= 50


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_construct_llm import run, At
run(Path(sys.argv[2]), At(sys.argv[3]))
"""


@dataclass(frozen=True)
class At:
    """A server of another process, known by its address."""

    url: str


def test_a_killed_run_goes_on_without_paying_twice_and_ends_the_same(tmp_path: Path) -> None:
    def slow(asked: Asked) -> str:
        time.sleep(0.03)
        return ""

    with FakeServer() as server:
        undisturbed, price = run(tmp_path / "a", server), server.requests
    with FakeServer(slow) as server:
        arguments = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path / "b"), server.url]
        process = subprocess.Popen(arguments)
        deadline = time.monotonic() + 30
        while server.requests < 40 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert 40 <= server.requests < price
        assert run(tmp_path / "b", server) == undisturbed
        assert price <= server.requests <= price + 2, "two calls were in flight"


def test_a_server_that_goes_away_stops_the_step_and_the_rest_stays_owed(tmp_path: Path, questions: list[Question]) -> None:
    folder = StepFolder(tmp_path / "3-answers")
    with FakeServer(lambda asked: "400" if server.requests > 10 else "") as server:
        with pytest.raises(ModelError, match=rf"{STRIKES} calls in a row failed, the last with: .*400"):
            folder.fill(questions, constructor(server, concurrency=1).answer_questions)
    lines = (folder.path / "items.jsonl").read_text().splitlines()
    assert len(lines) == 10
    assert not [line for line in lines if "call failed" in line]
    with FakeServer() as server:
        folder.fill(questions, constructor(server).answer_questions)
        assert server.requests == sum(1 + len(q.later) for q in questions) - 10
    assert len(folder.records(Conversation)) == sum(len(q.later) or 1 for q in questions)


def test_a_server_that_never_answers_is_an_error_not_an_empty_step(questions: list[Question]) -> None:
    with (
        FakeServer(lambda asked: "empty") as server,
        pytest.raises(ModelError, match="not one of the calls succeeded; the last failed with: empty reply"),
    ):
        list(constructor(server).answer_questions(questions[:3]))


def test_an_item_with_a_failed_call_comes_last_after_one_more_try(questions: list[Question]) -> None:
    bad, saved = questions[0].text, questions[1].text

    def faults(asked: Asked) -> str:
        return "400" if said(asked) == bad or (said(asked) == saved and asked.turn == 0) else ""

    with FakeServer(faults) as server:
        outcomes = list(constructor(server).answer_questions(questions[:6]))
    assert [q.text for q, _ in outcomes[-2:]].count(bad) == 1
    assert {q.text: len(conversations) for q, (conversations, _) in outcomes} == {q.text: int(q.text != bad) for q in questions[:6]}


def test_the_key_is_in_no_file_and_no_record(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    with FakeServer(lambda asked: "500" if asked.number % 4 == 0 else "") as server:
        made = constructor(server, tmp_path / "cache", key_variable="SOME_KEY", retries=0)
        folder = StepFolder(tmp_path / "2-questions")
        folder.fill(MATERIALS, made.raise_questions)
        assert server.keys == {f"Bearer {KEY}"}
    dropped = folder.records(Dropped, "dropped.jsonl")
    assert dropped
    assert all("***" in entry.detail for entry in dropped)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


@pytest.mark.skipif(importlib.util.find_spec("persllm.languages.zh") is None, reason="persllm.languages.zh is not there")
def test_a_chinese_person_is_asked_and_answers_in_chinese() -> None:
    stages = (Stage(id="early", title="学徒", summary="他在学铸钟。", start="1801", end="1810", unknown=("大火",)),)
    person = Persona(id="lu", name="陆青", language="zh", profile="陆青是铸钟的匠人。", stages=stages)
    bell = Material(
        persona="lu",
        kind="experience",
        stage="early",
        title="头一口钟",
        text="陆青在一八〇三年铸了头一口钟。钟在寒天里裂了。",
        source="e.md:1",
    )
    with FakeServer() as server:
        chosen = settings(server)
        made = LlmConstructor(person, [bell], chosen, ApiModel(chosen.api))
        [(_, (questions, dropped))] = made.raise_questions([bell])
        assert (len(questions), dropped) == (10, [])
        outcomes = list(made.answer_questions(questions))
        prompts = "".join(text for messages in server.counts for _, text in messages)
    assert all(len(conversations) == (len(q.later) or 1) for q, (conversations, _) in outcomes)
    assert not re.search(r"\{[a-z_]+\}", prompts)
