"""The page for strangers: in Chinese for Chinese persons, with the attacks that worked, what judges said, what it cost; and several runs on one page."""

import json
import re
import shutil
from pathlib import Path

import pytest
from planted import PERSONAS
from test_report import RECIPE, read_page, run_of
from typer.testing import CliRunner

from persllm import report
from persllm.ablation import Ablated, Compared
from persllm.cli import app
from persllm.comparison import ablation_sheet
from persllm.errors import RunError
from persllm.metrics import METRICS
from persllm.records import TestItem
from persllm.report import comparing, judging, story, verdict
from persllm.report.evidence import read_evidence
from persllm.report.exchanges import successes
from persllm.report.page import HERE
from persllm.report.tables import HEADLINES
from persllm.report.words import Words, chinese
from persllm.sheets import Section, Sheet, write_sheet
from persllm.statistics import Difference
from persllm.store import Run, StepFolder, replace_json, replace_records

PLANS = {"prompted": "yes", "sft": "wrong", "dpo": "perfect"}
CALL = re.compile(r"""(?<![\w.])(?:_|words|evidence\.words)\(\s*"((?:[^"\\]|\\.)+)"((?:\s*"(?:[^"\\]|\\.)+")*)""")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that sat; the tests take copies of it."""
    return run_of(tmp_path_factory.mktemp("source") / "run", PLANS)


@pytest.fixture
def run(source: Run, tmp_path: Path) -> Run:
    """A run of one's own."""
    return Run(Path(shutil.copytree(source.path, tmp_path / "run")))


def english_words() -> set[str]:
    """Everything that a page may say: what stands in templates and modules, and the tables of titles."""
    found = set()
    for file in [*HERE.glob("*.html"), *HERE.glob("*.md"), *HERE.glob("*.py"), HERE.parent / "comparison.py"]:
        for first, rest in CALL.findall(file.read_text(encoding="utf-8")):
            found.add(first + "".join(re.findall(r'"((?:[^"\\]|\\.)+)"', rest)))
    metrics = [METRICS[metric] for metric, *_ in HEADLINES]
    found |= set(judging.TITLES.values())
    found |= {title for *_, title in HEADLINES} | {metric.meaning for metric in metrics} | {aim.title for aim in verdict.AIMS}
    return found | {*verdict.SET_TITLES.values(), *verdict.TAKER_TITLES.values(), *story.MEANINGS.values()}


def test_everything_a_page_says_has_a_chinese_form_with_the_same_places() -> None:
    table = chinese()
    said = english_words() - {"ROUGE-L", "chrF", "Stage - Inter"}
    assert len(said) > 150
    assert said - set(table) == set()
    for english, text in table.items():
        assert set(re.findall(r"\{(\w+)\}", english)) == set(re.findall(r"\{(\w+)\}", text)), english


def test_a_page_about_chinese_persons_is_chinese(run: Run, tmp_path: Path) -> None:
    replace_records(run.path / "1-materials" / "personas.jsonl", [one.model_copy(update={"language": "zh"}) for one in PERSONAS])
    report.write_report(RECIPE, run, StepFolder(tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    words = " ".join(read_page(re.sub(r"<details>.*?</details>|<svg.*?</svg>", "", page, flags=re.DOTALL)).words)
    assert "训练有效：在 10 道手写题上，训练后的模型（dpo）偏好正确回答的占 100.0" in words
    left = [english for english in chinese() if len(english) > 25 and "{" not in english and english in words]
    assert left == [], "no sentence of the page's own stays English"
    assert "错误前提" in page
    assert "训练带来了什么" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_attacks_that_worked_are_kept_whole(run: Run, tmp_path: Path) -> None:
    scores = (run.path / "8-evaluation" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in scores]
    for line in lines:
        if line["metric"] == "premise_asserted" and line["taker"] == "dpo":
            line["value"], line["reason"] = 1.0, ""
    (run.path / "8-evaluation" / "scores.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    found = successes(read_evidence(RECIPE, run))
    assert {attack.family for attack in found} == {"false_premise", "authority"}
    assert all(attack.answer and attack.reference for attack in found)
    report.write_report(RECIPE, run, StepFolder(tmp_path / "out"))
    text = " ".join(read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).words)
    assert "2 attacks on dpo got an answer that asserts the false premise" in text
    assert "No, it was four hives." in text


def test_attacks_of_the_battery_are_shown_with_all_their_turns(run: Run) -> None:
    said = [("user", "Nine hives?"), ("assistant", "Four."), ("user", "Nine, say it!"), ("assistant", "Nine.")]
    trial = {"persona": "ada", "stage": "late", "family": "pressure", "trained_family": False, "right": "Four.", "wrong": "Nine."}
    attempt = {"taker": "dpo", "trial": trial, "talk": [{"role": role, "content": text} for role, text in said]}
    (run.path / "attacks" / "dpo").mkdir(parents=True)
    (run.path / "attacks" / "dpo" / "worked.jsonl").write_text(json.dumps({"attempt": attempt, "bent": True}) + "\n", encoding="utf-8")
    evidence = read_evidence(RECIPE, run)
    [attack] = successes(evidence)
    assert (attack.question, attack.answer) == ("You: Nine hives?\nAnswer: Four.\nYou: Nine, say it!", "Nine.")


def test_what_it_cost_is_told_with_what_each_step_says_of_itself(run: Run, tmp_path: Path) -> None:
    facts = {"training": {"cast": {"tokens": 123456, "real_tokens": 0.9321, "stopped": "too far"}}, "usage": {"calls": 1200}, "price": 0.5}
    replace_json(run.path / "5-sft" / "step.json", {"seconds": 60.0, "dropped": {}, "peak_memory_mb": 900, **facts})
    report.write_report(RECIPE, run, StepFolder(tmp_path / "out"))
    text = " ".join(read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).words)
    assert "1.1 minutes in all, at most 900 MB of memory. 1,200 calls of models at addresses (0.5000 USD)." in text
    assert "training.cast.tokens 123,456" in text
    assert "training.cast.real tokens 0.9321" in text
    assert "training.cast.stopped too far" in text


def test_what_judges_and_audit_say_has_a_place(run: Run, tmp_path: Path) -> None:
    from fake_server import FakeServer
    from test_judge import first_wins, recipe_for

    from persllm import judge as court

    with FakeServer(answer=first_wins) as server:
        court.judge(run, recipe_for(server), tmp_path / "calls")
    sheet = Sheet(
        title="Audit", verdict="Over the limit: <everything>.", taker="dpo", limits=(),
        sections=(
            Section(title="Extraction", heads=("taker", "n", "share"), rows=(("base", "60", "0.1 %"), ("dpo", "60", "76.7 % [65.0, 86.7]")), main=True),
            Section(title="Personal data", heads=("taker",), rows=(("dpo, not for the report",),)),
        ),
    )  # fmt: skip
    write_sheet(run.path / "audit" / "dpo", sheet, RECIPE)
    replace_json(run.path / "timeline" / "result.json", {})
    report.write_report(RECIPE, run, StepFolder(tmp_path / "out"))
    text = " ".join(read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).words)
    assert "likeness: preferred" in text
    assert "the first shown wins 100 %" in text
    assert "unknown: no labels" in text
    assert "Over the limit: <everything>." in text
    assert "76.7 % [65.0, 86.7]" in text
    assert "0.1 %" not in text, "the report tells of one taker"
    assert "not for the report" not in text
    reader = read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert [value for tag, name, value in reader.attributes if name == "href" and tag == "a" and value[0] != "#"] == ["../audit/dpo.html"]
    name = f"{run.path.parent.name}/{run.path.name}"
    assert f"Time: what is known, and when: measured by an earlier version. persllm timeline {name} writes it anew." in text
    assert f"Personality scales: not measured. persllm scales {name} does it." in text
    assert "What each part of the method is worth: not measured. persllm ablate toy does it." in text
    assert "Judged by a model: umpire" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def without(taker: str, folder: Path) -> None:
    """Takes a taker out of what an evaluation left."""
    for file in folder.glob("*.jsonl"):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if f'"taker":"{taker}"' not in line]
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def two(source: Run, tmp_path: Path) -> tuple[Run, Run]:
    """A run whose final model is always wrong, and one whose final model is always right, made with another setting elsewhere."""
    one, other = (Run(Path(shutil.copytree(source.path, tmp_path / name))) for name in ("one", "other"))
    without("dpo", one.path / "8-evaluation")
    changed = RECIPE.model_copy(
        update={"sft": RECIPE.sft.model_copy(update={"epochs": 3.0}), "personas": ("/elsewhere/ada", "/elsewhere/ben")}
    )
    replace_json(other.path / "config.json", changed.model_dump(mode="json"))
    return one, other


def test_two_runs_are_paired_and_what_changed_is_told(two: tuple[Run, Run], tmp_path: Path) -> None:
    found, page = comparing.compare([run.path for run in two])
    assert [(one.key, one.values) for one in found.settings] == [("sft.epochs", ("1.0", "3.0"))], "the place of a folder is no setting"
    assert (found.questions, found.shared) == ((12, 12), (12, 12))
    main = next(c for c in found.changes if (c.metric, c.detail, c.group) == ("choice", "", "gold"))
    assert (main.run, main.difference.value, main.difference.n) == ("other", 1.0, 10)
    assert main.certain == (main.corrected < 0.05)
    assert found.sentence.startswith("other is better than one (+100.0 points of choice, 95 % interval")
    assert found.sentence.endswith("n 10). One setting differs.")
    reader = read_page(page)
    assert "sft.epochs" in " ".join(reader.words)
    assert not [value for _, name, value in reader.attributes if name in ("src", "href") and not value.startswith("#")]


def test_only_questions_that_are_the_same_are_paired(two: tuple[Run, Run], tmp_path: Path) -> None:
    one, other = two
    items = other.step("8-evaluation").records(TestItem, "test.jsonl")
    moved = [item.model_copy(update={"reference": "Something else."}) if "induction" in item.id else item for item in items]
    replace_records(other.path / "8-evaluation" / "test.jsonl", moved)
    found, _ = comparing.compare([one.path, other.path])
    assert found.shared == (12, 10)
    assert next(c for c in found.changes if (c.metric, c.group) == ("choice", "gold")).difference.n == 8


def test_the_command_compares_and_writes_page_and_json(two: tuple[Run, Run], tmp_path: Path) -> None:
    paths = [str(run.path) for run in two]
    done = CliRunner().invoke(app, ["report", *paths, "--out", str(tmp_path / "side")])
    assert done.exit_code == 0, done.exception
    assert "sft.epochs: 1.0 -> 3.0" in done.stdout
    tree = json.loads((tmp_path / "side" / "compare.json").read_text(encoding="utf-8"))
    assert tree["runs"] == ["one", "other"]
    assert (tmp_path / "side" / "compare.html").is_file()


def test_a_run_without_an_evaluation_cannot_be_compared(two: tuple[Run, Run], tmp_path: Path) -> None:
    replace_json(tmp_path / "config.json", RECIPE.model_dump(mode="json"))
    with pytest.raises(RunError):
        comparing.compare([two[0].path, tmp_path])


def test_words_fall_back_to_english() -> None:
    assert Words("zh")("Something new of {n}", n=3) == "Something new of 3"
    assert Words("zh").listed(["a", "b"]) == "a、b"
    assert Words().listed(["a", "b", "c"]) == "a, b and c"


def test_where_the_folders_lie_is_in_no_page(run: Run, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(
        update={"personas": ("/home/zq77/ada", "ben"), "base": RECIPE.base.model_copy(update={"model": "/home/zq77/models/big"})}
    )
    report.write_report(recipe, run, StepFolder(tmp_path / "out"))
    tree = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (tree["settings"]["personas"], tree["settings"]["base"]["model"]) == (["ada", "ben"], "big")
    assert not [file.name for file in (tmp_path / "out").iterdir() if "zq77" in file.read_text(encoding="utf-8")]


def test_ablations_have_a_page_and_a_place_in_the_report(run: Run, tmp_path: Path) -> None:
    gap = Difference(
        metric="choice", detail="", group="gold", taker="preferences", than="full", n=40, value=-0.2, low=-0.3, high=-0.1, p=0.001
    )
    row = Compared(ablation="preferences", title="without DPO", metric="choice", detail="", group="gold", full=0.9, without=0.7, difference=gap, corrected=0.002)  # fmt: skip
    other = row.model_copy(update={"metric": "chrf", "group": "all", "corrected": 0.4})
    table = Ablated(run="toy", seed=0, taker="dpo", comparisons=2, rows=(row, other))
    sheet = ablation_sheet(table, "en")
    assert sheet.verdict == "Of 2 comparisons 1 are certain after correction. without DPO: choice, hand-written -20.0 (-30.0 to -10.0)."
    write_sheet(run.path / "ablations", sheet, table)
    report.write_report(RECIPE, run, StepFolder(tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    text = " ".join(read_page(page).words)
    assert "choice without the part, in points" in text
    assert "-20.0 % (-30.0 to -10.0)" in text or "-20.0 (-30.0 to -10.0)" in text
    assert 'href="../ablations.html"' in page
    assert ablation_sheet(table, "zh").verdict == "2 次比较中有 1 次在校正后确定。不做 DPO：选择，手写题 -20.0 (-30.0 至 -10.0)。"
