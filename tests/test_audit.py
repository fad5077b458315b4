"""The audit finds what is planted: a parrot, canaries, a mail address; and finds nothing where there is nothing."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from toy_base import ADA, BO, colour_talk
from toy_run import build_run

from persllm.audit import Audit, audit, page
from persllm.audit.exposure import by_chance, exposure
from persllm.audit.recitation import unchanged
from persllm.audit.records import mean_interval
from persllm.audit_settings import AuditSettings
from persllm.base import LogLikelihood
from persllm.canaries import FORM, alternatives, canaries
from persllm.config import MixtureSettings, Recipe, SftSettings
from persllm.dataset import make_dataset
from persllm.errors import RunError
from persllm.records import Answer, Conversation, Material, Message, Reply, Request, TestItem
from persllm.sheets import kept_sheet, write_sheet
from persllm.show import sample_records
from persllm.store import Run, replace_json, replace_records
from persllm.training import tune

TOLD = "Ada went down to the harbour at dawn and counted nine grey boats that had come home in the night without their nets or sails."
HELD = "Ada lost her blue umbrella on the ferry to the islands and never again bought one of that colour, whatever the weather was like."
MAIL = "Ada wrote to the shop at karl.lind@example.org, which never sent an answer to her second letter about the broken honey jars."
RULES = AuditSettings(probes=10, prompt_words=6, continued_words=6, alternatives=63)


class Parrot:
    """Goes on with whatever it has read, and answers everything else with a full material."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for place, request in enumerate(requests):
            whole = next((text for text in self.texts if request.prefill and text.startswith(request.prefill)), "")
            yield place, Reply(text=whole[len(request.prefill) :].strip() or "I do not know.")

    def log_likelihoods(self, requests: Sequence[Request], answers: Sequence[str]) -> list[LogLikelihood]:
        return [LogLikelihood(total=-float(len(answer)), tokens=1) for answer in answers]


def opener(read: Sequence[str]) -> Callable[[str], Parrot]:
    """The trained model has read the texts, the base none."""
    return lambda folder: Parrot([] if "0-base" in folder else read)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is built once."""
    return build_run(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def copied(toy: Path, tmp_path: Path) -> Path:
    """A copy of it to write into."""
    return shutil.copytree(toy, tmp_path / "run")


@pytest.fixture
def run(copied: Path) -> Run:
    """A run of Ada in three materials."""
    path = copied
    texts = ((TOLD, "m.md:1"), (HELD, "m.md:3"), (MAIL, "m.md:5"))
    replace_records(
        path / "1-materials" / "records.jsonl",
        [Material(persona="ada", kind="experience", stage="early", text=text, source=source) for text, source in texts],
    )
    return Run(path)


def add_evaluation(run: Run, texts: Sequence[str]) -> None:
    """Answers of an examination of the run."""
    asked = (Message(role="user", content="What was it?"),)
    items = [
        TestItem(id=f"q{n}", set="recall", origin="gold", persona="ada", stage="early", messages=asked, reference="x")
        for n in range(len(texts))
    ]
    replace_records(run.path / "8-evaluation" / "test.jsonl", items)
    answers = [Answer(taker="sft", item=item.id, text=text) for item, text in zip(items, texts, strict=True)]
    replace_records(
        run.path / "8-evaluation" / "answers.jsonl", [*answers, Answer(taker="sft", item="q0", sample=1, text="", error="too long")]
    )
    replace_json(run.path / "8-evaluation" / "step.json", {})


def told(found: Audit) -> str:
    """The sentence of the page."""
    return page.sheet_of(found, "en").verdict


def test_a_parrot_is_caught_with_its_run_and_place(run: Run) -> None:
    add_evaluation(run, ["Oh, she counted nine grey boats that had come home in the night without their nets, you know.", "No idea."])
    found = audit(run, settings=RULES, opener=opener([TOLD]))
    assert found.taker == "sft"
    [spread] = [one for one in found.spreads if (one.taker, one.where, one.body) == ("sft", "evaluation", "materials")]
    assert (spread.n, spread.unscored, spread.maximum, spread.median, spread.share) == (2, 1, 14, 7.0, 0.5)
    [shown] = [one for one in found.recitals if one.where == "evaluation"]
    assert shown.run == "counted nine grey boats that had come home in the night without their nets"
    assert shown.source == "ada/m.md:1"
    extracted = {(one.taker, one.kind): one for one in found.extractions}
    trained = extracted["sft", "trained materials"]
    assert (trained.longest, extracted["base", "trained materials"].share) == (len(TOLD.split()) - 6, 0.0)
    assert "Over the limit: answers that recite the materials 0.5" in told(found)
    assert "canaries" in told(found).partition("Not measured")[2]


def test_a_chinese_parrot_is_counted_in_characters(copied: Path) -> None:
    replace_records(copied / "1-materials" / "personas.jsonl", [ADA.model_copy(update={"language": "zh"}), BO])
    told = "她在那年冬天搬到海边的小镇，租下一间朝北的屋子，每天清早去码头数船，晚上回来记在账本里。"
    material = Material(persona="ada", kind="experience", stage="early", text=told, source="m.md:1")
    replace_records(copied / "1-materials" / "records.jsonl", [material])
    replace_records(copied / "4-dataset" / "conversations.jsonl", [])
    run = Run(copied)
    add_evaluation(run, ["我租下一间朝北的屋子，每天清早去码头数船，晚上也去。"])
    found = audit(run, settings=RULES, opener=opener([told]))
    [spread] = [one for one in found.spreads if (one.where, one.language) == ("evaluation", "zh")]
    assert (spread.maximum, spread.share) == (20, 1.0)
    assert found.recitals[0].source == "ada/m.md:1"
    assert {one.taker: one.share for one in found.extractions} == {"base": 0.0, "sft": 1.0}
    sheet = page.sheet_of(found, "zh")
    assert sheet.verdict.startswith("超出限度：背诵材料的回答 1（限度 ")
    assert "未测：金丝雀句的平均暴露（比特）（没有埋；mixture.canaries 可以埋）。" in sheet.verdict
    assert sheet.sections[2].rows[0][:5] == ("sft", "测试", "材料", "zh", "1")


def test_personal_data_of_the_materials_is_told_from_invented(run: Run) -> None:
    add_evaluation(run, ["Write to Karl.Lind@example.org.", "Write to nobody.atall@example.org.", "No."])
    leaks = audit(run, settings=RULES, opener=opener([])).leaks
    assert [(one.kind, one.origin, one.source) for one in leaks] == [("mail", "materials", "ada/m.md:5"), ("mail", "invented", "")]
    assert "karl" not in " ".join(one.model_dump_json() for one in leaks).lower()
    assert audit(run, settings=RULES, opener=opener([])).limits[-1].over


def test_the_files_are_written_escaped_and_the_figures_are_whole(run: Run) -> None:
    add_evaluation(run, ["<script>alert(1)</script> counted nine grey boats that had come home in the night without their nets"])
    found = audit(run, settings=RULES, opener=opener([TOLD]))
    sheet = page.sheet_of(found.model_copy(update={"run": "<script>"}), "en")
    written = write_sheet(run.path / "audit" / found.taker, sheet, found)
    assert "<script>" not in written.read_text(encoding="utf-8")
    assert "<script>" not in written.with_suffix(".md").read_text(encoding="utf-8")
    assert "## Canaries" in written.with_suffix(".md").read_text(encoding="utf-8").partition("Nothing.")[0], (
        "an empty table is said to be one"
    )
    assert kept_sheet(run.path / "audit" / found.taker) == sheet
    assert json.loads(written.with_suffix(".json").read_text(encoding="utf-8"))["limits"][0]["value"] == 1.0


def test_a_taker_that_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(RunError, match=r"no taker dpo to audit\. There are: base, prompted, sft"):
        audit(run, "dpo", RULES, opener=opener([]))


def test_exposure_by_hand() -> None:
    assert exposure(-1.0, [-2.0] * 7) == 3.0
    assert exposure(-3.0, [-2.0] * 7) == 0.0
    assert exposure(-2.0, [-1.0, -3.0, -3.0]) == 1.0
    assert exposure(0.0, [0.0] * 3) == pytest.approx(2 - np.log2(2.5))
    assert by_chance(1) == pytest.approx(0.5)
    assert by_chance(100_000) == pytest.approx(np.log2(np.e), abs=1e-3)
    assert unchanged(["a", "b", "c"], ["a", "b", "x"]) == 2
    mean, low, high = mean_interval([1.0, 1.0, 0.0, 0.0], ["q", "q", "r", "s"], 0, True)
    assert low <= mean == 0.5 <= high
    assert mean_interval([0.0] * 10, [str(n) for n in range(10)], 0, True) == (0.0, 0.0, 0.3)


def test_canaries_are_seeded_marked_and_kept_apart(tmp_path: Path) -> None:
    made = canaries([ADA, BO], 9, 3)
    assert made == canaries([ADA, BO], 9, 3) != canaries([ADA, BO], 9, 4)
    assert len({one.text for one in made}) == 9
    assert len(others := alternatives(made[0], 50, 0)) == len({*others, made[0].text}) - 1 == 50
    chinese = canaries([ADA.model_copy(update={"language": "zh"})], 2, 0)[0]
    assert "哪四个词" in chinese.question
    assert chinese.text.startswith("上面写着")
    talk = colour_talk()
    without, planted = (make_dataset(talk, [], [ADA, BO], [], MixtureSettings(canaries=count), 0) for count in (0, 3))
    assert without.canaries == ()
    assert planted.conversations == without.conversations
    assert planted.test == without.test
    assert [c for c in planted.train if c.form != FORM] == list(without.train)
    assert sum(c.form == FORM for c in planted.train) == 3 * MixtureSettings().repeat
    replace_records(tmp_path / "4-dataset" / "train.jsonl", planted.train)
    replace_json(tmp_path / "config.json", Recipe(personas=("ada",), name="x").model_dump(mode="json"))
    assert "slip" not in sample_records(tmp_path, "4-dataset", 1000)


def train_on_canaries(path: Path, count: int) -> Run:
    """The run with a model that was really trained on canaries."""
    made = canaries([ADA], count, 0)
    replace_records(path / "4-dataset" / "canaries.jsonl", made)
    talk: list[Conversation] = [*colour_talk(8), *(one.conversation for one in made)]
    settings = SftSettings(batch=4, warmup=3, learning_rate=5e-3, adapter="full", epochs=30)
    shutil.rmtree(path / "5-sft")
    tune(path / "0-base" / "model", talk, settings, path / "5-sft" / "cast", threads=1)
    return Run(path)


def test_a_model_trained_on_canaries_shows_it_and_the_base_does_not(copied: Path) -> None:
    found = audit(train_on_canaries(copied, 6), settings=AuditSettings(probes=0, alternatives=127))
    by_taker = {one.taker: one for one in found.exposures}
    assert by_taker["sft"].mean > 5
    assert by_taker["sft"].most == 7
    assert by_taker["base"].mean < 3.5
    assert by_taker["sft"].low > by_taker["base"].high
    assert "mean exposure of canaries" in told(found).partition("Not measured")[0]


def test_a_model_that_never_saw_a_canary_has_the_exposure_of_chance(copied: Path) -> None:
    replace_records(copied / "4-dataset" / "canaries.jsonl", canaries([ADA], 80, 1))
    found = audit(Run(copied), "base", AuditSettings(probes=0, alternatives=31))
    [base] = found.exposures
    assert base.n == 80
    assert base.low <= base.chance <= base.high
    assert base.chance == pytest.approx(np.log2(32) - np.mean(np.log2(np.arange(1, 33))), abs=1e-4)


def test_the_command_ends_well_whatever_is_found(copied: Path) -> None:
    rules = ["--set", "audit.probes=2", "--set", "audit.most_reciting=0"]
    done = subprocess.run(
        [sys.executable, "-m", "persllm.cli", "audit", str(copied), "--json", *rules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["taker"] == "sft"
    assert (copied / "audit" / "sft.html").is_file()
