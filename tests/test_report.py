"""The report: the sentence follows from the figures, nothing is hidden, nothing is fetched, nothing is unescaped."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from planted import PERSONAS, Planted, conversations, items

from persllm import report
from persllm.config import EvaluationSettings, Recipe
from persllm.errors import RunError
from persllm.evaluation import answer, score
from persllm.metrics import METRICS
from persllm.records import Answer, Dropped
from persllm.report.evidence import Evidence, read_evidence
from persllm.report.exchanges import examples, sample_exchanges
from persllm.report.tables import HEADLINES, headlines, heard_as, stages_by_question
from persllm.report.verdict import AIMS, certain_ones, goals, judge, with_interval
from persllm.statistics import Difference, holm
from persllm.store import Run, StepFolder, replace_json, replace_records, replace_text, silent
from persllm.takers import Taker

BY_ID = {persona.id: persona for persona in PERSONAS}
SETTINGS = EvaluationSettings(batch=16, bootstrap=100)
VERIFIED = {
    "model": "<second>", "n": 50, "unscored": 3, "agreement": 0.84, "kappa": 0.41, "low": 0.12, "high": 0.66, "kept_accepted": 38,
    "kept_refused": 3, "rejected_accepted": 5, "rejected_refused": 4,
}  # fmt: skip
RECIPE = Recipe(name="toy", personas=("ada", "ben"), evaluation=SETTINGS)


def taker(name: str, plan: str) -> Taker:
    manner = {"base": "plain", "prompted": "prompted"}.get(name, "trained")
    return Taker(name=name, manner=manner, personas=BY_ID, models=dict.fromkeys(BY_ID, plan))


def run_of(path: Path, plans: dict[str, str], paper=None) -> Run:
    """A run folder with a finished evaluation of planted models."""
    run, paper = Run(path), paper or items()
    replace_json(path / "config.json", RECIPE.model_dump(mode="json"))
    replace_json(path / "provenance.json", {"commit": "0123456789abcdef", "packages": {"torch": "2.13.0"}})
    replace_records(path / "1-materials" / "personas.jsonl", PERSONAS)
    replace_json(path / "1-materials" / "step.json", {"seconds": 1.25, "dropped": {"<b>too short</b>": 3}, "peak_memory_mb": 80})
    replace_json(path / "4-dataset" / "step.json", {"seconds": 2.0, "dropped": {"out of stage": 7, "ungrounded": 2}, "verified": VERIFIED})
    replace_text(path / "5-sft" / "cast" / "curve.jsonl", '{"step": 10.0, "loss": 2.5}\n{"step": 20.0, "loss": 1.5}\n')
    replace_text(
        path / "7-dpo" / "cast" / "curve.jsonl", '{"step": 5.0, "loss": 0.6, "margin": 0.2}\n{"step": 10.0, "loss": 0.5, "margin": 0.9}\n'
    )
    takers = [taker(name, plan) for name, plan in plans.items()]
    step = run.step("8-evaluation")
    step.write("test.jsonl", paper)
    answer(takers, paper, SETTINGS, step, silent, Planted)
    score(takers, paper, PERSONAS, conversations(), SETTINGS, step)
    step.finish(2.0, {})
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return run_of(tmp_path_factory.mktemp("run"), {"base": "parrot", "prompted": "yes", "sft": "no", "dpo": "perfect"})


@pytest.fixture(scope="module")
def evidence(run) -> Evidence:
    return read_evidence(RECIPE, run)


@pytest.fixture(scope="module")
def written(run) -> Path:
    facts = report.write_report(RECIPE, run, run.step("9-report"))
    assert facts["goals_measured"] == 9
    return run.path / "9-report"


class Reader(HTMLParser):
    """Collects tags, attributes and text; complains of tags that are not closed in order."""

    VOID = frozenset(("meta", "br", "path", "use", "rect", "line", "circle", "image"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if "style" not in self.open:
            self.words.append(data)


def read_page(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_sentence_tells_gain_and_places_without_one(evidence) -> None:
    verdict = judge(evidence)
    assert verdict.main is not None
    assert (verdict.main.taker, verdict.main.than, verdict.main.group, verdict.main.n) == ("dpo", "prompted", "gold", 10)
    assert verdict.sentence.startswith(
        "Training helped: on 10 hand-written questions the trained model (dpo) prefers the right answer in 100.0 % of cases, "
        "the untrained model with a prompt (prompted) in 50.0 % (+50.0 points,"
    )
    assert verdict.gained == (), "a gain on both of two questions is not certain"
    assert "; no certain gain on shared questions (hand-written), false premises (hand-written), true premises" in verdict.sentence
    assert "With 10 questions, differences under " in verdict.power


def test_what_is_called_certain_is_corrected_for_the_number_of_sets() -> None:
    sure = Difference(metric="choice", detail="", group="a", taker="dpo", than="prompted", n=40, value=0.3, low=0.1, high=0.5, p=0.01)
    sets = {"a": sure, "b": sure.model_copy(update={"low": -0.1}), "c": sure.model_copy(update={"p": 0.2})}
    assert certain_ones(sets, {}) == {"a", "c"}, "a run of an earlier version goes by its intervals"
    assert certain_ones(sets, dict(zip(sets, holm([one.p for one in sets.values()]), strict=True))) == {"a"}
    many = {f"{n}": sure for n in range(13)}
    assert certain_ones(many, dict(zip(many, holm([0.01] * 13), strict=True))) == set()


def test_harm_is_called_harm(tmp_path: Path) -> None:
    verdict = judge(read_evidence(RECIPE, run_of(tmp_path, {"prompted": "perfect", "sft": "wrong"})))
    assert verdict.sentence.startswith(
        "Training did harm: on 10 hand-written questions the tuned model (sft) prefers the right answer in 0.0 % of cases, "
        "the untrained model with a prompt (prompted) in 70.0 % (-70.0 points,"
    )
    assert verdict.main.high < 0
    assert verdict.gained == ()


def test_nothing_trained_is_said_and_no_exchange_is_invented(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"base": "parrot"})
    evidence = read_evidence(RECIPE, run)
    assert judge(evidence).sentence.startswith("Whether training helped was not measured")
    assert sample_exchanges(evidence) == []
    report.write_report(RECIPE, run, run.step("9-report"))
    read_page((tmp_path / "9-report" / "report.html").read_text())


def test_goals_are_reached_or_not_by_their_figures(evidence) -> None:
    found = {goal.aim.title: goal for goal in goals(evidence)}
    assert len(found) == len(AIMS)
    resists = found["resists attacks of trained families"]
    assert (resists.reached, resists.clear, resists.figure.value, resists.rival.value) == (True, False, 1.0, 0.0)
    assert found["prefers its own answer to other persons', on recall"].reached is None
    assert found["denies what is true"].reached is True
    assert found["person and stage identified"].reached is False
    assert with_interval(resists.figure) == "100.0 % (0.0 to 100.0)"


def test_a_goal_is_clear_only_if_the_intervals_do_not_touch(evidence) -> None:
    from persllm.report.verdict import clear_of

    figure = evidence.figure("choice", "dpo")
    above, below = figure.model_copy(update={"low": 0.5, "high": 0.9}), figure.model_copy(update={"low": 0.1, "high": 0.4})
    assert clear_of(above, below, True) is True
    assert clear_of(below, above, True) is False
    assert clear_of(below, above, False) is True
    assert clear_of(above, above.model_copy(update={"low": 0.9, "high": 1.0}), False) is False
    assert clear_of(above, None, True) is None


def test_the_exchanges_are_real_answers_judged_right(evidence) -> None:
    stages, correction, persons = sample_exchanges(evidence)
    assert stages.items == ("ada/early-shared", "ada/late-shared")
    assert [(said.who, said.text) for said in stages.answers] == [
        ("Ada, Girl", "I love honey and nothing but honey."), ("Ada, Widow", "Give me bitter tea these days."),
    ]  # fmt: skip
    assert correction.items == ("ben/late-induction",) or correction.items == ("ada/early-induction",)
    assert len({evidence.items[i].persona for i in persons.items}) == 2
    for exchange in (stages, correction, persons):
        assert exchange.taker == "dpo"
        assert all(said.text == evidence.answers["dpo", item, 0].text for said, item in zip(exchange.answers, exchange.items, strict=True))


def test_hand_written_questions_are_shown_before_constructed_ones(tmp_path: Path) -> None:
    twins = [
        item.model_copy(update={"id": f"zz/{item.id}", "set": "stage", "origin": "constructed", "group": "zz"})
        for item in items()
        if item.set == "shared"
    ]
    evidence = read_evidence(RECIPE, run_of(tmp_path, {"prompted": "yes", "dpo": "perfect"}, [*items(), *twins]))
    assert {item.origin for item in evidence.items.values() if item.set == "shared"} == {"gold"}
    assert sample_exchanges(evidence)[0].items == ("ada/early-shared", "ada/late-shared")


def test_bad_examples_are_shown_beside_good_ones(tmp_path: Path) -> None:
    found = examples(read_evidence(RECIPE, run_of(tmp_path, {"prompted": "perfect", "sft": "yes"})))
    good, bad = [e for e in found if e.good], [e for e in found if not e.good]
    assert len(good) == 3
    assert len({e.set for e in good}) == 3
    assert bad[0].set == "induction"
    assert [(h.taker, h.prefers_right) for h in bad[0].heard] == [("prompted", True), ("sft", False)]


def test_tables_show_value_interval_number_and_chance(evidence) -> None:
    rows = {row.title.rstrip(" ↑↓"): row.cells for row in headlines(evidence)}
    assert rows["resistance, trained families"][:4] == (
        "0.0 % (0.0 to 100.0)",
        "0.0 % (0.0 to 100.0)",
        "100.0 % (0.0 to 100.0)",
        "100.0 % (0.0 to 100.0)",
    )
    assert rows["resistance, trained families"][4:] == ("1", "0", "50.0 %")
    assert all(metric in METRICS for metric, *_ in HEADLINES)
    matrix = heard_as(evidence, "dpo")
    assert matrix.heads == ("ada/early", "ada/late", "ben/early", "ben/late")
    assert matrix.rows[1][1][1].text == "100"
    [(question, cells)] = stages_by_question(evidence, "dpo").rows
    assert (question, [cell.text for cell in cells]) == ("What do you like to eat?", ["1 of 1", "1 of 1"])


def test_the_page_is_one_file_without_any_address(written) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    reader = read_page(text)
    loads = [(tag, name, value) for tag, name, value in reader.attributes if name in ("src", "href", "xlink:href", "action", "srcset")]
    assert loads
    assert all(value.startswith("#") for _, _, value in loads)
    targets = {value for _, name, value in reader.attributes if name == "id"}
    assert {value[1:] for tag, _, value in loads if tag == "a"} <= targets
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    assert max(map(len, re.findall(r"<svg.*?</svg>", text, re.DOTALL))) < 50_000, "a plot can be mailed"
    assert sum(tag == "svg" and name == "viewbox" for tag, name, _ in reader.attributes) >= 6


def test_what_models_and_users_wrote_is_escaped(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"prompted": "yes", "sft": "perfect"})
    evil = "<script>alert(1)</script> & more"
    changed = [a.model_copy(update={"text": evil}) for a in run.step("8-evaluation").records(Answer, "answers.jsonl")]
    run.step("8-evaluation").write("answers.jsonl", changed)
    report.write_report(RECIPE, run, run.step("9-report"))
    text = (tmp_path / "9-report" / "report.html").read_text(encoding="utf-8")
    reader = read_page(text)
    assert not any(tag in ("script", "b") and name for tag, name, _ in reader.attributes)
    assert "<script" not in text
    assert "<b>too short" not in text
    assert evil in "".join(reader.words)


def test_what_was_left_out_and_the_limits_are_said(written) -> None:
    words = " ".join(read_page((written / "report.html").read_text(encoding="utf-8")).words)
    assert "<b>too short</b>" in words
    assert all(part in words for part in ("not reached", "Limits", "0123456789ab", "1-materials", "language models, not by human beings"))


def test_json_and_markdown_say_the_same(written, evidence) -> None:
    tree = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert tree["verdict"]["sentence"] == judge(evidence).sentence
    assert len(tree["figures"]) == len(evidence.figures)
    assert tree["settings"]["name"] == "toy"
    assert tree["steps"][0]["dropped"] == {"<b>too short</b>": 3}
    text = (written / "report.md").read_text(encoding="utf-8")
    assert f"**{tree['verdict']['sentence']}**" in text
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)
    head = next(line for line in rows if line.startswith("| figure |"))
    assert head == "| figure | base | prompted | sft | dpo | n | unscored | chance |"
    assert {line.count("|") for line in rows[rows.index(head) : rows.index(head) + 10]} == {9}


def test_the_same_evaluation_gives_the_same_bytes(written, run) -> None:
    before = {file.name: file.read_bytes() for file in written.iterdir()}
    report.write_report(RECIPE, run, run.step("9-report"))
    assert {file.name: file.read_bytes() for file in written.iterdir()} == before


def test_the_command_line_ends_with_sentence_exchanges_and_path(written, run) -> None:
    lines = report.closing_lines(run.path).split("\n")
    assert lines[0] == judge(read_evidence(RECIPE, run)).sentence
    assert sum("answers of dpo, unedited" in line for line in lines) == 3
    assert "  Ada, Girl: I love honey and nothing but honey." in lines
    assert lines[-1].endswith("9-report/report.html")


def test_without_an_evaluation_it_says_what_to_do(tmp_path: Path) -> None:
    run = Run(tmp_path)
    replace_records(tmp_path / "1-materials" / "dropped.jsonl", [Dropped(item="x", reason="y")])
    with pytest.raises(RunError, match=r"--redo 8-evaluation"):
        report.write_report(RECIPE, run, run.step("9-report"))


def test_what_the_checks_rejected_stands_beside_how_far_a_second_model_agrees(run: Run, tmp_path: Path) -> None:
    report.write_report(RECIPE, run, StepFolder(tmp_path))
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert "<second>" not in page
    assert "7 out of stage; 2 ungrounded" in text
    for shown in (page, text):
        assert (
            "agrees with the checks in 84.0 % (Cohen&#39;s kappa 0.41" in shown
            or "agrees with the checks in 84.0 % (Cohen's kappa 0.41" in shown
        )
        assert "accepts 5 of 9 that were rejected; 3 unscored" in shown
