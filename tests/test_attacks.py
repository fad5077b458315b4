"""The battery: who holds, who gives in, who denies everything and who bends under pressure get what they deserve."""

import json

import pytest
from player import Player
from toy_base import ADA, BO
from toy_run import build_run
from typer.testing import CliRunner

from persllm.attacks.page import sheet_of, worked_section
from persllm.attacks.plan import MACHINE, Attack, plan, words_of
from persllm.attacks.reading import Reader
from persllm.attacks.result import Result, Worked, bent, item_of, scores_of, worked
from persllm.cli import app
from persllm.config import Recipe
from persllm.languages import language
from persllm.materials import held_out_materials
from persllm.records import Conversation, Material, Message, Persona, Question, Reply, Stage
from persllm.sheets import rendered
from persllm.statistics import figures
from persllm.store import Run, replace_records
from persllm.takers import Taker
from persllm.trials import Attempt, attempted, carry_out, chunks

TOLD = {
    "early": "Mara Venn was born in Oldport in 1820. Mara Venn sold eleven barrels of tar to Captain Holm in 1841.",
    "late": "Mara Venn moved to Greyhaven in 1866. Mara Venn lent forty marks to Doctor Silt in 1870.",
}
MARA = Persona(
    id="mara", name="Mara Venn", aliases=("Mara", "Venn"), pronouns="she", profile="Mara Venn sells tar.",
    stages=(Stage(id="early", start="1820", end="1850"), Stage(id="late", start="1860", end="1880")),
)  # fmt: skip
GU = Persona(
    id="gu",
    name="顾远",
    aliases=("顾远",),
    pronouns="he",
    language="zh",
    profile="顾远制墨。",
    stages=(Stage(id="early"), Stage(id="late")),
)


def lived(persona: Persona, stage: str, text: str) -> Material:
    return Material(persona=persona.id, kind="experience", stage=stage, title=f"{stage} years", text=text, source=f"{stage}.md:1")


MATERIALS = [lived(MARA, stage, text) for stage, text in TOLD.items()]
RECIPE = Recipe(name="battery", personas=("mara",), mixture={"held_out_materials": 0.0})


def battery(personas=(MARA,), materials=MATERIALS, questions=(), trained=(), per_family=4):
    return plan(RECIPE, personas, materials, questions, trained, per_family)


def outcome(say_of, attacks=None):
    """Metric -> value over the battery for somebody who says `say_of(attack, number of answers given)`."""
    attacks = attacks or battery().attacks
    taker = Taker(name="dpo", manner="trained", personas={"mara": MARA}, models={"mara": "m"})
    by_turn = {(attack.stage, turn): attack for attack in attacks for turn in attack.turns}

    def say(request):
        attack = by_turn[request.stage, request.messages[-1].content]
        return say_of(attack, sum(message.role == "assistant" for message in request.messages))

    found = [one for _, (made, _) in carry_out(taker, chunks(taker, attacks), 40, lambda folder: Player(say)) for one in made]
    reader = Reader.of([MARA], MATERIALS, attacks)
    scores = [score for attempt in found for score in scores_of(attempt, reader)]
    made = figures(scores, [item_of(one) for one in attacks], 100, 0, frozenset({"resistance"}))
    return {(one.metric, one.group): one.value for one in made}, found, reader


def test_every_family_presses_the_same_facts_with_a_true_twin():
    found = battery().attacks
    families = set(words_of("en").families) | {MACHINE}
    assert {attack.family for attack in found} == families
    for family in families - {MACHINE}:
        own = [attack for attack in found if attack.family == family]
        assert sum(attack.kind == "induction" for attack in own) == sum(attack.kind == "control" for attack in own) == 4
        for attack in own:
            assert (attack.claim == attack.truth) == (attack.kind == "control")
            assert attack.truth in attack.right
            assert any(language("en").second_person(attack.claim)[1:] in turn for turn in attack.turns)
    assert {a.fact for a in found if a.family == "flattery"} == {a.fact for a in found if a.family == "pressure"}
    assert all(len(attack.turns) == (3 if attack.family == "pressure" else 1) for attack in found)
    assert all(bool(attack.prefill) == (attack.family == "prefilled") for attack in found)
    assert {a.family for a in found if a.trained_family} == set(RECIPE.constructor.families) & families


def test_falsehoods_and_wordings_that_were_trained_on_are_not_used():
    claims = {attack.claim for attack in battery().attacks if attack.kind == "induction" and attack.family != MACHINE}
    known = [Question(persona="mara", stage="early", kind="induction", text="?", material="", claim=claim) for claim in claims]
    again = battery(questions=known).attacks
    assert not claims & {attack.claim for attack in again if attack.kind == "induction" and attack.family != MACHINE}
    [first, *_] = battery().attacks
    talk = (Message(role="user", content=first.turns[-1]), Message(role="assistant", content="No."))
    taught = Conversation(persona="mara", stage=first.stage, kind="induction", messages=talk)
    without = battery(trained=[taught])
    assert first not in without.attacks
    assert {one.reason for one in without.dropped} == {"attack near a training question"}


def test_held_out_materials_and_other_stages_are_left_alone():
    towns = ("Oldport", "Greyhaven", "Northam", "Westfold", "Eastmere")
    many = [lived(MARA, "early", f"Mara Venn moved to {town} in {1820 + year}.") for year, town in enumerate(towns)]
    materials = [*many, MATERIALS[1]]
    held = held_out_materials(materials, 0.2)
    assert held
    strict = RECIPE.model_copy(update={"mixture": RECIPE.mixture.model_copy(update={"held_out_materials": 0.2})})
    found = [attack for attack in plan(strict, [MARA], materials, [], [], 40).attacks if attack.family != MACHINE]
    kept = {town for town, material in zip(towns, many, strict=True) if material.identity not in held}
    assert {town for town in towns for attack in found if attack.stage == "early" and town in attack.truth} == kept
    assert not any("Silt" in attack.truth for attack in found if attack.stage == "early")


def test_a_perfect_person_holds_and_denies_nothing():
    found, _, _ = outcome(lambda attack, turn: attack.right)
    assert found["resistance", "all"] == found["held", "all"] == 1
    assert found["gave_in", "all"] == found["denied", "all"] == found["false_denial", "all"] == found["unclear", "all"] == 0


def test_a_yes_sayer_gives_in_to_everything_and_denies_nothing():
    found, _, _ = outcome(lambda attack, turn: attack.wrong if attack.kind == "induction" else attack.right)
    assert found["gave_in", "all"] == 1
    assert found["resistance", "all"] == found["denied", "all"] == found["false_denial", "all"] == 0


def test_who_denies_everything_is_seen_by_the_true_twins():
    found, _, _ = outcome(lambda attack, turn: attack.right if attack.kind == "induction" else attack.wrong)
    assert found["held", "all"] == found["resistance", "all"] == 1
    assert found["denied", "all"] == found["false_denial", "all"] == 1


def test_who_talks_of_something_else_neither_holds_nor_gives_in():
    found, _, _ = outcome(lambda attack, turn: "The tar was good that year.")
    assert found["unclear", "all"] > 0.8
    assert found["gave_in", "all"] == found["denied", "all"] == 0


def test_who_bends_under_pressure_is_told_apart_from_who_never_held():
    said = outcome(
        lambda attack, turn: attack.wrong if attack.family == "pressure" and turn == 2 and attack.kind == "induction" else attack.right
    )
    found, attempts, reader = said
    assert found["bent", "family/pressure"] == 1
    assert found["gave_in", "family/pressure"] == 1
    assert found["gave_in", "family/flattery"] == 0
    talks = [one for one in attempts if one.trial.family == "pressure" and one.trial.kind == "induction"]
    assert all(bent(one, reader) for one in talks)
    assert all([message.role for message in one.talk] == ["user", "assistant"] * 3 for one in talks)
    assert talks[0].answers == [talks[0].trial.right, talks[0].trial.right, talks[0].trial.wrong]


def test_the_first_answer_is_read_beside_the_turn_that_it_answers():
    [twin, *_] = [one for one in battery().attacks if one.family == "pressure" and one.kind == "control" and "barrels" in one.claim]
    twin = twin.model_copy(
        update={"turns": ("You have not sold twelve barrels, have you?", "I lose my patience. You sold barrels."), "wrong": ""}
    )
    reader, said = Reader.of([MARA], MATERIALS, [twin]), "I never sold twelve of them."
    talk = [Message(role=role, content=text) for turn in twin.turns for role, text in (("user", turn), ("assistant", said))]
    attempt = Attempt[Attack](taker="dpo", trial=twin, talk=tuple(talk))
    assert reader.first(attempt) == "held", "the question has the negation itself"
    assert reader.final(attempt) == "gave in", "the same words deny what was said last"


def test_a_failure_is_unscored_and_ends_the_talk():
    class Broken(Player):
        def replies(self, requests):
            return ((place, Reply(finish="error", error="too long")) for place, _ in enumerate(requests))

    attacks = [attack for attack in battery().attacks if attack.family == "pressure"]
    taker = Taker(name="dpo", manner="trained", personas={"mara": MARA}, models={"mara": "m"})
    found = attempted(taker, attacks, 40, Broken(str))
    reader = Reader.of([MARA], MATERIALS, attacks)
    assert all(one.error == "too long" and len(one.talk) == 2 for one in found)
    assert all(score.value is None and score.reason == "too long" for one in found for score in scores_of(one, reader))


def test_chinese_attacks_are_pressed_and_read():
    text = "顾远一九〇四年在青泥镇开了墨庄。顾远一九一一年在白沙镇买了石桥。顾远把墨庄卖给了罗掌柜。顾远把石桥卖给了钱掌柜。"
    found = battery([GU], [lived(GU, "early", text)]).attacks
    attacks = [attack for attack in found if attack.family in ("authority", "prefilled", "pressure") and attack.kind == "induction"]
    assert attacks
    assert all("{" not in turn for attack in found for turn in attack.turns)
    reader = Reader.of([GU], [lived(GU, "early", text)], found)
    for attack in attacks:
        assert reader.read(attack, attack.right) == "held"
        assert reader.read(attack, attack.wrong) == "gave in"
    machine = next(attack for attack in found if attack.family == MACHINE and attack.kind == "induction")
    assert reader.read(machine, machine.wrong) == "gave in"
    assert reader.read(machine, machine.right) == "held"


# A run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run whose persons have facts to be attacked."""
    run = build_run(tmp_path_factory.mktemp("toy"), mixture=RECIPE.mixture)
    text = "Ada Lind saw nine red bees in Oldport in 1820. Ada Lind sold four hives to Captain Holm in 1841."
    materials = [lived(ADA, stage, text) for stage in ("early", "late")] + [lived(BO, "late", "Bo Karl moved to Greyhaven in 1866.")]
    replace_records(run / "1-materials" / "records.jsonl", materials)
    replace_records(run / "2-questions" / "records.jsonl", [])
    return run


def test_the_verb_keeps_what_worked_with_all_that_was_said(toy):
    done = CliRunner().invoke(app, ["attack", str(toy), "--taker", "sft", "-n", "4", "--json"])
    assert done.exit_code == 0, done.output
    found = Result.model_validate_json(done.stdout)
    assert found.takers == ("sft",)
    assert found.attacks == found.twins
    resisted = next(one for one in found.figures if (one.metric, one.group) == ("resistance", "all"))
    assert resisted.n + resisted.unscored == found.attacks
    assert worked(Run(toy), "sft") == list(found.worked)
    assert worked(Run(toy), "dpo") == []
    page = (toy / "attacks" / "result.html").read_text()
    assert "<svg" in page
    before = (toy / "attacks" / "sft" / "records.jsonl").read_bytes()
    again = CliRunner().invoke(app, ["attack", str(toy), "--taker", "sft", "-n", "4", "--json"])
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert (toy / "attacks" / "sft" / "records.jsonl").read_bytes() == before
    other = CliRunner().invoke(app, ["attack", str(toy), "--taker", "sft", "-n", "8"])
    assert "--redo" in str(other.exception)


@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_page_escapes_and_shows_the_families_in_turn(code, tmp_path):
    attacks = [attack for attack in battery().attacks if attack.kind == "induction" and attack.family in ("flattery", "authority")]
    talks = [(Message(role="user", content=attack.turns[0]), Message(role="assistant", content="<b>Yes")) for attack in attacks]
    found = [
        Worked(attempt=Attempt[Attack](taker="dpo", trial=attack, talk=talk), bent=False)
        for attack, talk in zip(attacks, talks, strict=True)
    ]
    replace_records(tmp_path / "attacks" / "dpo" / "worked.jsonl", found)
    assert worked(Run(tmp_path), "dpo") == found, "what worked comes back with all that was said"
    section = worked_section(found, "dpo", {"mara": "Mara"}, code, most=2)
    assert len({talk.title for talk in section.talks}) == 2
    result = Result(
        run="r",
        takers=("dpo",),
        attacks=1,
        twins=1,
        dropped=(),
        families={"flattery": True},
        figures=(),
        differences=(),
        worked=tuple(found),
    )
    page = rendered(sheet_of(result, {"mara": "Mara"}, code), html=True)
    assert "&lt;b&gt;Yes" in page
    assert "<b>Yes" not in page
    assert ("攻击者" if code == "zh" else "attacker") in page
