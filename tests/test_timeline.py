"""Time: who knows the future, who forgets the past, and who was away get what they deserve."""

import json

import pytest
from player import Player
from toy_base import ADA
from toy_run import build_run
from typer.testing import CliRunner

from persllm.cli import app
from persllm.records import Conversation, Material, Message, Persona, Score, Stage, TestItem
from persllm.sheets import rendered
from persllm.statistics import figures
from persllm.store import Run, replace_json, replace_records
from persllm.takers import Taker
from persllm.timeline.page import sheet_of
from persllm.timeline.plan import plan
from persllm.timeline.questions import questions_of
from persllm.timeline.result import SHARES, Result, cells, item_of, scores_of
from persllm.trials import carry_out, chunks

HOME = Stage(id="home", start="1800", end="1820", unknown=("the Great Fire of Oldport",))
SEA = Stage(id="sea", start="1821", end="1840", unknown=("the Great Fire of Oldport",))
BACK = Stage(id="back", start="1841", end="1860")
MARA = Persona(id="mara", name="Mara Venn", aliases=("Mara",), pronouns="she", profile="Mara Venn sells tar.", stages=(HOME, SEA, BACK))
HOLM = Persona(id="holm", name="Per Holm", pronouns="he", profile="Per Holm stays.", stages=(Stage(id="all", start="1800", end="1860"),))


def lived(persona: str, stage: str, title: str, text: str, date: str = "") -> Material:
    return Material(persona=persona, kind="experience", stage=stage, title=title, text=text, source=f"{title}.md:1", date=date)


MATERIALS = [
    lived("mara", "home", "The Tar Barrels", "Mara sold eleven barrels of tar in 1812."),
    lived("mara", "sea", "The White Whale", "Mara saw a white whale in 1830."),
    lived("mara", "back", "The Green House", "Mara bought a green house in 1850."),
    lived("holm", "all", "The Great Fire", "Per Holm saw the Great Fire of Oldport eat nine streets.", "1835"),
]


def probes(trained=()):
    return plan([MARA, HOLM], MATERIALS, trained, 0.0, 0.95, 8)


def mine(kind):
    return [probe for probe in probes().probes if probe.persona == "mara" and probe.kind == kind]


def outcome(say_of):
    """(metric, kind) -> share over Mara's probes, for somebody who says `say_of(probe)`; and the cells."""
    asked = [probe for probe in probes().probes if probe.persona == "mara"]
    by_turn = {(probe.stage, probe.turns[0]): probe for probe in asked}
    taker = Taker(name="dpo", manner="trained", personas={"mara": MARA}, models={"mara": "m"})
    player = Player(lambda request: say_of(by_turn[request.stage, request.messages[-1].content]))
    attempts = [one for _, (made, _) in carry_out(taker, chunks(taker, asked), 40, lambda folder: player) for one in made]
    scores = [score for attempt in attempts for score in scores_of(attempt)]
    made = figures(scores, [item_of(probe) for probe in asked], 100, 0, SHARES)
    found = {(one.metric, one.group.removeprefix("family/")): one.value for one in made if one.group.startswith("family/")}
    return found, cells(attempts, scores)


def test_one_question_is_asked_at_every_stage_and_is_of_another_kind_at_each():
    assert [(probe.about, probe.stage) for probe in mine("present")] == [("home", "home"), ("sea", "sea"), ("back", "back")]
    assert {(p.about, p.stage) for p in mine("remembered")} == {("home", "sea"), ("home", "back"), ("sea", "back")}
    lived_future = {(p.about, p.stage) for p in mine("future") if p.about}
    assert lived_future == {("sea", "home"), ("back", "home"), ("back", "sea")}
    for matter in {probe.matter for probe in mine("present")}:
        assert len({probe.turns for probe in probes().probes if probe.matter == matter}) == 1
    assert all(probe.right == (probe.knowing if probe.kind in ("present", "remembered") else probe.ignorant) for probe in probes().probes)


def test_what_is_named_unknown_is_missed_if_it_had_happened_and_of_the_future_if_not():
    [missed] = mine("absence")
    assert (missed.stage, missed.topic) == ("sea", "the Great Fire of Oldport")
    assert missed.wrong == missed.knowing == "Per Holm saw the Great Fire of Oldport eat nine streets."
    [later] = [probe for probe in mine("future") if not probe.about]
    assert later.stage == "home"


def test_an_undated_last_stage_has_missed_what_it_does_not_know_and_nobody_tells():
    stages = (Stage(id="early"), Stage(id="late", unknown=("the Green Comet",)))
    away = Persona(id="away", name="A Way", profile="Away.", stages=stages)
    [probe] = plan([away], [], [], 0.0, 0.95, 8).probes
    assert (probe.kind, probe.stage, probe.knowing) == ("absence", "late", "")


def test_who_knows_what_is_to_be_known_and_nothing_else():
    found, grid = outcome(lambda probe: probe.right)
    assert found["admits", "present"] == 0
    assert found["admits", "future"] == found["admits", "absence"] == 1
    for metric in ("knows", "tells"):
        assert found[metric, "present"] == found[metric, "remembered"] == 1
        assert found[metric, "future"] == found[metric, "absence"] == 0
    shares = {(cell.about, cell.stage): (cell.knows, cell.n) for cell in grid if not cell.persona}
    assert shares["home", "back"] == (1, 1)
    assert shares["back", "home"] == (0, 1)
    assert shares["", "sea"] == (0, 1)


def test_who_knows_everything_leaks_and_who_knows_nothing_has_forgotten():
    found, _ = outcome(lambda probe: probe.knowing)
    assert {(metric, value) for (metric, _), value in found.items()} == {("knows", 1), ("tells", 1), ("admits", 0)}
    found, _ = outcome(lambda probe: probe.ignorant)
    assert {(metric, value) for (metric, _), value in found.items()} == {("knows", 0), ("tells", 0), ("admits", 1)}


def test_other_words_for_not_knowing_count_as_well():
    """What is said, and found likely, is another of the voice's openings than the first."""
    found, _ = outcome(lambda probe: probe.ignorances[-1])
    assert {(metric, value) for (metric, _), value in found.items()} == {("knows", 0), ("tells", 0), ("admits", 1)}


def test_what_nobody_tells_of_is_unscored_and_not_zero():
    stages = (Stage(id="early", unknown=("the Green Comet",)), Stage(id="late"))
    away = Persona(id="mara", name="A Way", profile="Away.", stages=stages)
    [probe] = plan([away], [], [], 0.0, 0.95, 8).probes
    taker = Taker(name="dpo", manner="trained", personas={"mara": away}, models={"mara": "m"})
    [(_, ([attempt], _))] = carry_out(taker, chunks(taker, [probe]), 40, lambda folder: Player(lambda request: "I saw it."))
    assert [(score.metric, score.value, score.reason) for score in scores_of(attempt)] == [
        ("knows", None, "nobody tells of it"), ("tells", None, "nobody tells of it"), ("admits", 0.0, ""),
    ]  # fmt: skip


def test_a_probe_that_was_trained_on_at_that_stage_is_left_out():
    [first, *_] = mine("present")
    talk = (Message(role="user", content=first.turns[0]), Message(role="assistant", content="Yes."))
    found = probes([Conversation(persona="mara", stage="home", kind="question", messages=talk)])
    assert first not in found.probes
    assert [one.reason for one in found.dropped] == ["probe near a training question"]
    assert any(probe.matter == first.matter and probe.stage == "sea" for probe in found.probes)


def test_chinese_probes():
    stages = (Stage(id="early", start="1904", end="1911", unknown=("青泥江上的石桥",)), Stage(id="late", start="1921", end="1930"))
    gu = Persona(id="gu", name="顾远", pronouns="he", language="zh", profile="顾远制墨。", stages=stages)
    found = plan([gu], [lived("gu", "late", "石桥通车", "顾远一九二五年走过青泥江上的石桥。")], [], 0.0, 0.95, 8).probes
    named = next(probe for probe in found if not probe.about)
    assert (named.kind, named.knowing) == ("future", "我一九二五年走过青泥江上的石桥。")
    assert {probe.kind for probe in found if probe.about} == {"future", "present"}


# A run ---------------------------------------------------------------------------------------------------


def shared(stage, changed, text="What of bees?"):
    said = (Message(role="user", content=text),)
    return TestItem(
        id=f"{stage}{text}", set="shared", origin="gold", persona="ada", stage=stage, messages=said, reference="B.", changed=changed
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run of Ada with something to ask about, and an examination."""
    run = build_run(tmp_path_factory.mktemp("toy"))
    told = [lived("ada", "early", "The Red Box", "Ada saw a red box."), lived("ada", "late", "The Black Hive", "Ada sold a black hive.")]
    replace_records(run / "1-materials" / "records.jsonl", told)
    items = [shared("early", True), shared("late", True), shared("early", False, "Who are you?"), shared("late", False, "Who are you?")]
    wanted = [(item, "other_stage" if item.changed else "other_person") for item in items]
    scores = [
        Score(metric="choice_against", taker="sft", item=item.id, value=float(item.stage == "late"), detail=detail)
        for item, detail in wanted
    ]
    replace_records(run / "8-evaluation" / "test.jsonl", items)
    replace_records(run / "8-evaluation" / "scores.jsonl", scores)
    replace_json(run / "8-evaluation" / "step.json", {})
    return run


def test_the_verb_writes_the_maps_and_asks_once(toy):
    done = CliRunner().invoke(app, ["timeline", str(toy), "--taker", "sft", "--json"])
    assert done.exit_code == 0, done.output
    found = Result.model_validate_json(done.stdout)
    assert found.stages == ("early", "late", "after")
    assert found.probes == {"present": 2, "remembered": 1, "future": 1}
    assert {(one.text, one.changed, one.stage, one.right) for one in found.questions} == {
        ("What of bees?", True, "early", 0.0), ("What of bees?", True, "late", 1.0), ("Who are you?", False, "early", 0.0),
        ("Who are you?", False, "late", 1.0),
    }  # fmt: skip
    page = (toy / "timeline" / "result.html").read_text()
    assert page.count("<svg") == 2
    before = (toy / "timeline" / "sft" / "records.jsonl").read_bytes()
    again = CliRunner().invoke(app, ["timeline", str(toy), "--taker", "sft", "--json"])
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert (toy / "timeline" / "sft" / "records.jsonl").read_bytes() == before
    assert questions_of(Run(toy), ["dpo"]) == []
    for language in ("en", "zh"):
        assert "sft" in rendered(sheet_of(found, language), html=True)
    assert ADA.id in {cell.persona for cell in found.cells}
