"""Scales: known persons get known scores, the textbook's reliability comes out, and files of other makers are read."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from toy_base import ADA, BO
from toy_run import build_run
from typer.testing import CliRunner

from persllm.cli import app
from persllm.errors import ConfigError, RunError
from persllm.records import Persona, Stage
from persllm.scales.agreement import agreement, read_labels
from persllm.scales.asking import NEUTRAL, Place, places, put, questions, wordings
from persllm.scales.page import sheet_of
from persllm.scales.radar import radar
from persllm.scales.reading import read_scale, scale_of
from persllm.scales.reliability import alpha, reliabilities, split_half, standing
from persllm.scales.result import put_scale
from persllm.scales.scoring import changes, expected, interval, sat_of, scores, sign_flip
from persllm.sheets import rendered
from persllm.store import Run
from persllm.takers import Taker

SHARED = Path(os.environ.get("PERSLLM_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "scales"
SHORT = read_scale()
CLAUSES = {code: {SHORT.clause(item, code): item for item in SHORT.items} for code in ("en", "zh")}
WANTED = {"E": 5, "A": 4, "C": 3, "N": 1, "O": 2}


class Scripted:
    """Ticks what `choose` says about the question, 1 to 5; None makes all options alike."""

    def __init__(self, choose, options):
        self.choose, self.options, self.asked = choose, options, 0

    def log_likelihoods(self, requests, answers):
        self.asked += len(answers)
        ticked = [self.choose(request) for request in requests]
        return [
            SimpleNamespace(total=0.0 if tick in (None, self.options.index(answer) + 1) else -1000.0, tokens=1)
            for tick, answer in zip(ticked, answers, strict=True)
        ]


def persons(count: int, language: str = "en") -> list[Persona]:
    """Persons of two stages."""
    stages = (Stage(id="early"), Stage(id="late"))
    return [Persona(id=f"p{number}", name=f"P {number}", language=language, profile="Sails.", stages=stages) for number in range(count)]


def sit(choose, language="en", count=1, scale=None, name="dpo"):
    """What a scripted taker ticks."""
    people, chosen = persons(count, language), scale or read_scale()
    taker = Taker(name=name, manner="trained", personas={p.id: p for p in people}, models={p.id: "m" for p in people})
    model = Scripted(choose, wordings(language).options)
    answers = [one for _, (made, _) in put(taker, chosen, "interview", places(taker, people), lambda folder: model) for one in made]
    return chosen, sat_of(chosen, answers), answers


def item_of(request, language="en"):
    """The statement that is asked; None for one that says nothing."""
    text = request.messages[-1].content
    return next((item for clause, item in CLAUSES[language].items() if clause in text), None)


def perfect(language="en"):
    """A person that ticks WANTED."""

    def choose(request):
        item = item_of(request, language)
        return None if item is None else WANTED[item.domain] if item.key == 1 else 6 - WANTED[item.domain]

    return choose


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_perfect_person_gets_the_known_scores(language):
    scale, sat, _ = sit(perfect(language), language)
    assert {row.domain: row.value for row in scores(scale, sat)} == WANTED
    assert all(row.n == 8 and row.unscored == 0 and row.plain == row.value for row in scores(scale, sat))
    assert all(row.order_effect == row.retest == row.acquiescence == 0 for row in reliabilities(scale, sat))


def test_a_yes_sayer_is_taken_back_to_the_middle_and_shown():
    scale, sat, _ = sit(lambda request: 5)
    assert all(row.value == 3 and row.plain == 3 for row in scores(scale, sat))
    assert all(row.acquiescence == 2 and row.alpha is None for row in reliabilities(scale, sat))


def test_who_ticks_what_is_named_first_is_shown_by_the_order_effect():
    low, high = wordings("en").options[0], wordings("en").options[-1]

    def first(request):
        text = request.messages[-1].content
        return None if item_of(request) is None else 1 if text.index(low) < text.index(high) else 5

    scale, sat, _ = sit(first, count=2)
    found = reliabilities(scale, sat)
    assert all(row.order_effect == 4 and row.acquiescence == 0 and row.spread == 0 for row in found)
    assert not standing("dpo", found, []).reliable


def test_calibration_takes_off_what_an_option_is_worth_by_itself():
    assert expected(np.log([0.0 + 1e-300, 1e-300, 1e-300, 1e-300, 1.0])) == pytest.approx(5)
    assert expected(np.array([-1.0, -2.0, -3.0, -4.0, -5.0]) - np.array([-1.0, -2.0, -3.0, -4.0, -5.0])) == 3.0
    assert expected(np.log([0.5, 0.25, 0.25, 1e-300, 1e-300])) == pytest.approx(1.75)


def test_alpha_split_half_and_p_as_by_hand():
    table = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])  # variances 1 and 1, of the sum 3; correlation 0.5
    assert alpha(table) == pytest.approx(2 / 3)
    assert split_half(table) == pytest.approx(2 / 3)
    assert sign_flip(np.array([1.0, 1.0, 1.0])) == pytest.approx(2 / 8)
    assert sign_flip(np.zeros(3)) == 1.0
    assert interval(np.array([2.0, 2.0])) == (2.0, 2.0)
    assert interval(np.array([])) == (None, None)


def test_a_change_of_one_domain_is_found_and_the_others_are_not():
    """At the later stage one person agrees more with what is keyed to E, by steps that differ from item to item."""

    def choose(request):
        item = item_of(request)
        if item is None:
            return None
        moved = item.domain == "E" and request.stage == "late"
        return 3 + item.key * (1 + int(item.id[1:]) % 2 if moved else 0)

    scale, sat, _ = sit(choose)
    found = {row.domain: row for row in changes(scale, sat)}
    assert found["E"].value == 1.5
    assert found["E"].p == pytest.approx(2 / 2**8, abs=1e-5)
    assert found["E"].adjusted == pytest.approx(5 * 2 / 2**8, abs=1e-5)  # Benjamini-Hochberg: the smallest of five
    assert [domain for domain, row in found.items() if row.certain] == ["E"]
    assert all(row.value == 0 and row.p == 1 for domain, row in found.items() if domain != "E")


def test_persons_that_differ_are_reliable():
    def choose(request):
        item = item_of(request)
        number = int(request.persona[1:])
        return None if item is None else (1, 3, 5)[number] if item.key == 1 else (5, 3, 1)[number]

    scale, sat, _ = sit(choose, count=3)
    found = reliabilities(scale, sat)
    assert all(row.alpha == 1 and row.split_half == 1 and row.retest_r == 1 and row.order_effect == 0 for row in found)
    assert standing("dpo", found, []).reliable


def test_a_taker_that_knows_nobody_is_asked_once_for_each_language():
    people = [*persons(3), *persons(1, "zh")]
    base = Taker(name="base", manner="plain", personas={p.id: p for p in people}, models={p.id: "m" for p in people})
    assert len(places(base, people)) == 2 * 4
    assert {(place.persona, place.stage) for place in places(base, people)} == {("", "")}


def test_what_does_not_fit_the_model_is_unscored():
    class Narrow(Scripted):
        def log_likelihoods(self, requests, answers):
            if any("quarrel" in request.messages[-1].content for request in requests):
                raise RunError("does not fit")
            return super().log_likelihoods(requests, answers)

    people, scale = persons(1), read_scale()
    taker = Taker(name="dpo", manner="trained", personas={p.id: p for p in people}, models={p.id: "m" for p in people})
    model = Narrow(perfect(), wordings("en").options)
    answers = [one for _, (made, _) in put(taker, scale, "interview", places(taker, people), lambda folder: model) for one in made]
    found = {row.domain: row for row in scores(scale, sat_of(scale, answers))}
    assert (found["A"].n, found["A"].unscored, found["A"].value) == (7, 1, 4)
    assert (found["E"].n, found["E"].unscored) == (8, 0)


def test_labels_of_people_are_set_beside_every_taker(tmp_path):
    scale, sat, _ = sit(perfect(), count=2)
    file = tmp_path / "labels.csv"
    file.write_text("persona,stage,E,A,C,N,O\np0,early,5,4,3,1,2\np1,,4,4,3,1,\n")
    [found] = agreement(*read_labels(file, scale, persons(2)), scale, sat, scores(scale, sat))
    assert (found.n, found.missing, found.kind) == (9, 0, "domains")
    assert found.error == pytest.approx(1 / 9, abs=1e-4)
    assert found.guess == pytest.approx(np.abs(np.array([5, 4, 3, 1, 2, 4, 4, 3, 1]) - 3).mean(), abs=1e-4)
    file.write_text("persona,stage,item,answer\np0,early,E1,5\np0,early,E3,1\np0,late,A1,4\n")
    [found] = agreement(*read_labels(file, scale, persons(2)), scale, sat, scores(scale, sat))
    assert (found.n, found.error, found.r, found.kind) == (3, 0, 1, "items")
    for text, complaint in (
        ("persona,stage,E\np9,early,3\n", "line 2: no p9"),
        ("persona,stage,E\np0,early,9\n", "line 2: '9' is no number"),
        ("persona,stage,Z\np0,early,9\n", "needs columns"),
        ("persona,stage,item,answer\np0,early,E99,3\n", "no item E99"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=complaint):
            read_labels(file, scale, persons(2))


# Files ---------------------------------------------------------------------------------------------------


def place(language="en", form=0, backwards=False):
    return Place(taker="dpo", persona="p0", stage="early", language=language, form=form, backwards=backwards)


def test_other_forms_are_read_and_faults_named(tmp_path):
    scale = scale_of([{"id": 1, "text": "Sing in the bath.", "keyed": "minus", "domain": "E", "facet": 2}], "x.json")
    [item] = scale.items
    assert (item.key, scale.sentence(item, "en"), scale.clause(item, "en")) == (-1, "I sing in the bath.", "you sing in the bath")
    poles = {"items": [{"id": 1, "left": "sceptical", "right": "wants to believe"}], "scores": {"FT": {"weights": {"1": -1}}}}
    both = scale_of(poles, "y.json")
    assert (both.items[0].domain, both.items[0].key) == ("FT", -1)
    text, options = questions(both, "interview", place())["1"]
    assert text.index("sceptical") < text.index("wants to believe")
    assert options[0] == wordings("en").poles[0]
    text, options = questions(both, "interview", place(backwards=True))["1"]
    assert text.index("wants to believe") < text.index("sceptical")
    assert options[0] == wordings("en").poles[-1]  # the lowest option means the left pole, which is now the second
    for wrong, complaint in (
        ({"items": [{"id": 1, "left": "a", "right": "b"}]}, "item 1 needs"),
        ({"items": []}, "no items"),
        ({"items": [{"id": 1, "text": "a", "domain": "E", "key": 1}] * 2}, "same id"),
        ({"items": [{"id": 1, "text": "a", "domain": "E", "key": 1}], "options": ["a"]}, "must be 5 labels"),
        ({"items": [{"id": 1, "left": "a", "right": "b"}], "scores": {"X": {"weights": {"1": 2}}}}, "only 1 and -1"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            scale_of(wrong, "z.json")
    with pytest.raises(ConfigError, match="not a scale that can be read"):
        read_scale(str(tmp_path / "none.json"))


def test_a_folder_by_language_with_its_own_labels(tmp_path):
    rows = {"en": "Worry about things", "zh-cn": "杞人忧天"}
    for code, text in rows.items():
        (tmp_path / code).mkdir()
        found = [{"id": "a-b", "text": text, "keyed": "plus", "domain": "N"}]
        (tmp_path / code / "questions.json").write_text(json.dumps(found), encoding="utf-8")
    listed = ",".join(f"{{ text: 'Level {n}', score: {n}, color: {n} }}" for n in range(1, 6))
    turned = listed.replace("Level", "No")
    (tmp_path / "en" / "choices.js").write_text(f"module.exports = {{ plus: [{listed}], minus: [{turned}] }}")
    scale = read_scale(str(tmp_path))
    assert scale.items[0].text == {"en": "Worry about things", "zh": "杞人忧天"}
    assert scale.options == {"en": tuple(f"Level {n}" for n in range(1, 6))}
    assert scale.clause(scale.items[0], "zh") == "你杞人忧天"
    text, options = questions(scale, "survey", place(backwards=True))["a-b"]
    assert "I worry about things." in text
    assert "Level 5, Level 4" in text
    assert options[0] == "Level 1"
    text, _ = questions(scale, "interview", place())["a-b"]
    assert "Is it so that you worry about things?" in text
    assert sum(item.startswith(NEUTRAL) for item in questions(scale, "interview", place())) == 3


@pytest.mark.skipif(not SHARED.is_dir(), reason="no scales outside the project: PERSLLM_SHARED")
@pytest.mark.parametrize(
    ("name", "items", "domains"),
    [
        ("compiled/ipip_50.json", 50, "EACNO"), ("compiled/mini_ipip.json", 20, "EACNO"), ("compiled/ipip_neo_120.json", 120, "NEOAC"),
        ("compiled/ipip_neo_300.json", 300, "NEOAC"), ("ipip_neo_120_b5johnson", 120, "NEOAC"),
    ],
)  # fmt: skip
def test_public_scales_are_read(name, items, domains):
    scale = read_scale(str(SHARED / name))
    assert len(scale.items) == items
    assert scale.domains == tuple(domains)
    assert scale.fragments
    assert all(scale.clause(item, "en").startswith("you ") for item in scale.items)
    if "b5" in name:
        assert len(scale.options["en"]) == len(scale.options["zh"]) == 5
        assert all(scale.clause(item, "zh") for item in scale.items)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no scales outside the project: PERSLLM_SHARED")
def test_a_scale_of_two_poles_is_read_with_its_keys():
    scale = read_scale(str(SHARED / "compiled" / "oejts_1_2.json"))
    published = {"IE": 30, "SN": 12, "FT": 30, "JP": 18}  # the constants of its formulas are its reversed items, at 6 each
    assert {domain: 6 * sum(item.key == -1 for item in scale.of(domain)) for domain in scale.domains} == published


# A run ---------------------------------------------------------------------------------------------------


def test_the_verb_asks_once_writes_pages_and_goes_on_after_a_cut(tmp_path):
    run = build_run(tmp_path)
    scale = tmp_path / "two.json"
    rows = [{"id": f"{d}{k}", "text": f"I like {d} {k}.", "domain": d, "key": k} for d in ("E", "A", "C") for k in (1, -1)]
    scale.write_text(json.dumps({"name": "Two of each", "items": rows}))
    done = CliRunner().invoke(app, ["scales", str(run), "--scale", str(scale), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["takers"] == ["base", "prompted", "sft"]
    assert {(row["taker"], row["persona"], row["stage"]) for row in found["scores"]} >= {("base", "", ""), ("sft", "ada", "late")}
    folder = run / "scales" / "two-of-each"
    page = (folder / "result.html").read_text()
    assert "<svg" in page
    assert "Ada Lind" in page
    log = (folder / "sft" / "records.jsonl").read_bytes()

    def refuse(path):
        raise AssertionError("a finished taker is not asked again")

    again = put_scale(Run(run), read_scale(str(scale)), opener=refuse)
    assert again.model_dump(mode="json") == found
    (folder / "sft" / "step.json").unlink()
    lines = log.decode().splitlines()
    half = [json.loads(line) for line in lines]
    first = half[0]["place"]
    kept = [row for row in half if row["place"] == first]
    entry = {"item": Place.model_validate(first).identity, "records": kept, "dropped": []}
    (folder / "sft" / "items.jsonl").write_text(json.dumps(entry) + "\n{torn")
    put_scale(Run(run), read_scale(str(scale)))
    assert (folder / "sft" / "records.jsonl").read_bytes() == log
    with pytest.raises(RunError, match="no model of dpo"):
        put_scale(Run(run), read_scale(str(scale)), names=["dpo"])
    rows[0]["text"] = "I like another thing."
    scale.write_text(json.dumps({"name": "Two of each", "items": rows}))
    with pytest.raises(RunError, match="--redo"):
        put_scale(Run(run), read_scale(str(scale)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_in_both_languages_hold_every_part_and_escape(language, tmp_path):
    from persllm.scales.result import Result

    scale, sat, _ = sit(perfect(language), language, count=2)
    scored, moved, reliable = scores(scale, sat), changes(scale, sat), reliabilities(scale, sat)
    found = Result(
        run="<b>run", scale=scale, wording="interview", takers=("dpo",), persons={"p0": "P 0", "p1": "P <1>"},
        standings=(standing("dpo", reliable, moved),), scores=tuple(scored), changes=tuple(moved), reliability=tuple(reliable),
    )  # fmt: skip
    page = rendered(sheet_of(found, language), html=True)
    assert "&lt;b&gt;run" in page
    assert "<1>" not in page
    assert ("外向性" if language == "zh" else "Extraversion") in page
    assert "| dpo | P 0 |" in rendered(sheet_of(found, language), html=False)
    assert radar(scored, "dpo", "base", {"E": "E", "A": "A"}, found.persons) == ""


def test_ada_and_bo_have_other_stages():
    """The toy persons differ in their stages, so places must come from each person."""
    taker = Taker(name="sft", manner="trained", personas={p.id: p for p in (ADA, BO)}, models={"ada": "m", "bo": "m"})
    assert {(p.persona, p.stage) for p in places(taker, [ADA, BO])} == {("ada", "early"), ("ada", "late"), ("bo", "late"), ("bo", "after")}
