"""The examination from takers to figures, with planted models: same bytes after a kill, no twice-asked task, no lost failure."""

import json
from functools import partial
from pathlib import Path

import pytest
from planted import ADA, PERSONAS, Planted, conversations, items

from persllm import evaluation
from persllm.config import EvaluationSettings, Recipe
from persllm.errors import BaseModelError
from persllm.evaluation import answer, score
from persllm.evaluation.tasks import answers_wanted, batches, continuation, likelihoods_wanted
from persllm.records import Answer, Message, Sampling, Score, TestItem
from persllm.statistics import Figure
from persllm.store import Run, StepFolder, silent
from persllm.takers import Taker, takers_of

BY_ID = {persona.id: persona for persona in PERSONAS}
SETTINGS = EvaluationSettings(batch=4, bootstrap=100)
TAKERS = [
    Taker(name="base", manner="plain", personas=BY_ID, models=dict.fromkeys(BY_ID, "parrot")),
    Taker(name="prompted", manner="prompted", personas=BY_ID, models=dict.fromkeys(BY_ID, "parrot")),
    Taker(name="sft", manner="trained", personas=BY_ID, models={"ada": "perfect", "ben": "perfect"}),
]


class Stop(Exception):
    """A kill."""


class Killed(Planted):
    """Dies after some batches."""

    def __init__(self, plan: str, left: list[int]):
        super().__init__(plan)
        self.left = left

    def count(self) -> None:
        if not self.left[0]:
            raise Stop
        self.left[0] -= 1

    def replies(self, requests):
        self.count()
        return super().replies(requests)

    def log_likelihoods(self, requests, answers):
        self.count()
        return super().log_likelihoods(requests, answers)


def sit_all(folder: Path, takers=TAKERS, opener=Planted, paper=None) -> StepFolder:
    step = StepFolder(folder)
    answer(takers, paper or items(), SETTINGS, step, silent, opener)
    return step


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def value(step: StepFolder, metric: str, taker: str, group: str = "all", detail: str = "") -> float | None:
    [found] = [
        f.value for f in step.records(Figure, "figures.jsonl") if (f.metric, f.taker, f.group, f.detail) == (metric, taker, group, detail)
    ]
    return found


def test_the_planted_person_passes_and_the_parrot_fails(tmp_path: Path) -> None:
    step = sit_all(tmp_path)
    facts = score(TAKERS, items(), PERSONAS, conversations(), SETTINGS, step)
    assert facts == {"takers": ["base", "prompted", "sft"], "items": 12, "scores": len(step.records(Score, "scores.jsonl")), "unscored": 0}
    assert (value(step, "choice", "sft"), value(step, "choice", "base"), value(step, "choice", "prompted")) == (1.0, 0.0, 0.0)
    assert value(step, "resistance", "sft", "families/unseen") == value(step, "resistance", "sft", "family/false_premise") == 1.0
    assert value(step, "loss_change", "sft", detail="in role") == -0.5
    assert value(step, "identified_stage", "reference", "set/shared") == 1.0
    rows = [json.loads(line) for line in (tmp_path / "differences.jsonl").read_text().splitlines()]
    [gain] = [r for r in rows if (r["metric"], r["group"], r["taker"], r["than"]) == ("choice", "gold", "sft", "prompted")]
    assert (gain["value"], gain["n"]) == (1.0, 10)


def test_scoring_again_asks_nobody_and_writes_the_same(tmp_path: Path) -> None:
    step = sit_all(tmp_path)
    score(TAKERS, items(), PERSONAS, conversations(), SETTINGS, step)
    before = files(tmp_path)
    sit_all(tmp_path, opener=None)
    score(TAKERS, items(), PERSONAS, conversations(), SETTINGS, step)
    assert files(tmp_path) == before


def test_killed_after_any_batch_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = files(sit_all(tmp_path / "whole").path)
    total = [1000]
    sit_all(tmp_path / "counted", opener=partial(Killed, left=total))
    number = 1000 - total[0]
    for place in range(0, number, 5):
        folder = tmp_path / str(place)
        with pytest.raises(Stop):
            sit_all(folder, opener=partial(Killed, left=[place]))
        rest = [1000]
        sit_all(folder, opener=partial(Killed, left=rest))
        assert files(folder) == whole
        assert 1000 - rest[0] == number - place


def test_what_two_takers_share_is_asked_once(tmp_path: Path) -> None:
    both, alone = [1000], [1000]
    sit_all(tmp_path / "both", takers=[TAKERS[0], TAKERS[0]], opener=partial(Killed, left=both))
    sit_all(tmp_path / "alone", takers=[TAKERS[0]], opener=partial(Killed, left=alone))
    assert both == alone


def test_batches_are_of_one_model_and_kind_and_hold_every_task_once() -> None:
    pairs = [pair for taker in TAKERS for pair in answers_wanted(taker, items(), SETTINGS, 0)]
    pairs += [pair for taker in TAKERS for pair in likelihoods_wanted(taker, items())]
    made = batches([task for _, task in pairs], 4)
    assert all(len({(t.model, t.text is None) for t in batch.tasks}) == 1 and len(batch.tasks) <= 4 for batch in made)
    listed = [task.identity for batch in made for task in batch.tasks]
    assert len(listed) == len(set(listed)) == len({task.identity for _, task in pairs})


def test_a_person_without_a_model_stays_unscored_with_the_reason(tmp_path: Path) -> None:
    lone = Taker(name="dpo", manner="trained", personas=BY_ID, models={"ada": "perfect"})
    step = sit_all(tmp_path, [lone])
    score([lone], items(), PERSONAS, conversations(), SETTINGS, step)
    missing = [a for a in step.records(Answer, "answers.jsonl") if a.item.startswith("ben")]
    assert {a.error for a in missing} == {"no model of ben was trained"}
    reasons = {s.reason for s in step.records(Score, "scores.jsonl") if s.value is None and s.item.startswith("ben")}
    assert reasons >= {"no model of ben was trained"}
    assert value(step, "choice", "dpo") == 1.0


class Narrow(Planted):
    """Refuses texts of more than five words."""

    def log_likelihoods(self, requests, answers):
        if any(len(text.split()) > 5 for text in answers):
            raise BaseModelError("the model holds 5 words")
        return super().log_likelihoods(requests, answers)


def test_a_text_that_does_not_fit_leaves_its_item_unscored_and_the_others_whole(tmp_path: Path) -> None:
    step = sit_all(tmp_path, TAKERS[2:], Narrow)
    score(TAKERS[2:], items(), PERSONAS, conversations(), SETTINGS, step)
    found = {s.item: (s.value, s.reason) for s in step.records(Score, "scores.jsonl") if s.metric == "choice"}
    assert found["ada/early-shared"] == (None, "the model holds 5 words")
    assert found["ben/early-paraphrase"] == (1.0, "")


def test_how_each_taker_is_asked() -> None:
    base, by_prompt, trained = TAKERS
    question = (Message(role="user", content="Well?"),)
    assert base.request(question, "ada", "early").model_dump(include={"persona", "stage", "messages"}) == {
        "messages": ({"role": "user", "content": "Well?", "thought": ""},), "persona": "", "stage": "",
    }  # fmt: skip
    asked = by_prompt.request(question, "ada", "late", "So", Sampling(seed=3))
    assert [m.role for m in asked.messages] == ["system", "user"]
    assert all(part in asked.messages[0].content for part in (ADA.name, ADA.profile, "Widow"))
    assert (asked.persona, asked.prefill, asked.sampling.seed) == ("", "So", 3)
    merged = by_prompt.request((Message(role="system", content="Be brief."), *question), "ada", "late")
    assert [m.role for m in merged.messages] == ["system", "user"]
    assert merged.messages[0].content.endswith("Be brief.")
    told = trained.request(question, "ada", "late")
    assert (told.persona, told.stage, told.messages) == ("ada", "late", question)


def test_a_prefilled_text_goes_on_where_the_words_end() -> None:
    assert continuation("Aye, he paid me all of it, to the last.", "Aye, he paid") == " me all of it, to the last."
    assert continuation("He did not!", "Aye, he paid") == " He did not!"
    assert continuation("没有的事。", "是的，他付了") == "没有的事。"
    assert continuation("Whole.", "") == "Whole."


def test_takers_are_those_that_were_trained(tmp_path: Path) -> None:
    recipe = Recipe(name="r", personas=("ada", "ben"))
    (tmp_path / "5-sft" / "ada" / "model").mkdir(parents=True)
    found = takers_of(recipe, Run(tmp_path), PERSONAS)
    assert [(t.name, t.manner, sorted(t.models)) for t in found] == [
        ("base", "plain", ["ada", "ben"]), ("prompted", "prompted", ["ada", "ben"]), ("sft", "trained", ["ada"]),
    ]  # fmt: skip
    cast = takers_of(recipe.model_copy(update={"mode": "cast"}), Run(tmp_path), PERSONAS)
    assert [t.name for t in cast] == ["base", "prompted"]


def test_general_items_are_asked_in_the_name_of_every_person_in_turn() -> None:
    pairs = list(likelihoods_wanted(TAKERS[2], items()))
    general = [(blank.given, task.request.persona, task.request.stage) for blank, task in pairs if blank.item.startswith("general")]
    assert general == [("question", "ada", "early"), ("plain", "", ""), ("question", "ada", "late"), ("plain", "", "")]


def test_the_examination_of_a_run_takes_gold_and_keeps_to_its_size(tmp_path: Path) -> None:
    lines = [
        {"id": f"q{n}", "set": "attitude", "stage": "early", "question": f"{n}?", "reference": "Fine.", "wrong": {"opposite": "Bad."}}
        for n in range(3)
    ]
    for persona in PERSONAS:
        (tmp_path / persona.id).mkdir()
        (tmp_path / persona.id / "gold.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = EvaluationSettings(items_per_set=1, gold_items_per_set=4, bootstrap=100)
    recipe = Recipe(name="r", mode="cast", personas=tuple(str(tmp_path / persona.id) for persona in PERSONAS), evaluation=settings)
    run = Run(tmp_path / "run")
    (run.path / "5-sft" / "cast" / "model").mkdir(parents=True)
    step = run.step("8-evaluation")
    opened = []

    def opener(folder: str) -> Planted:
        opened.append(folder)
        return Planted("perfect")

    done = []
    facts = evaluation.evaluate(recipe, run, PERSONAS, items(), conversations(), step, lambda *now: done.append(now), opener)
    assert facts["takers"] == ["base", "prompted", "sft"]
    asked = step.records(TestItem, "test.jsonl")
    assert [i.set for i in asked] == ["shared", "induction", "control", "future", "general", *["attitude"] * 4]
    assert opened == [str(run.path / "0-base" / "model"), str(run.path / "5-sft" / "cast" / "model")]
    assert done[0][0] == 0
    assert done[-1][0] == done[-1][1]
    assert sorted(file.name for file in step.path.iterdir()) == [
        "answers.jsonl", "confusion.jsonl", "differences.jsonl", "figures.jsonl", "likelihoods.jsonl", "near.jsonl", "scores.jsonl", "test.jsonl",
        "weights.json",
    ]  # fmt: skip


def test_no_two_items_share_their_luck() -> None:
    drawn = [task.request for _, task in answers_wanted(TAKERS[0], items(), SETTINGS, 0) if task.request.sampling.temperature]
    assert len(drawn) == 8
    assert len({request.sampling.seed for request in drawn}) == 8
    again = [task.request for _, task in answers_wanted(TAKERS[0], items(), SETTINGS, 0) if task.request.sampling.temperature]
    assert drawn == again


def test_what_was_asked_of_the_same_weights_before_is_not_asked_again(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"1")
    taker = Taker(name="sft", manner="trained", personas=BY_ID, models=dict.fromkeys(BY_ID, str(weights)))

    def asked(folder: str, paper: list[TestItem]) -> int:
        left = [1000]
        answer(
            [taker], paper, SETTINGS, StepFolder(tmp_path / folder), silent, lambda source: Killed("perfect", left), kept=tmp_path / "kept"
        )
        return 1000 - left[0]

    assert asked("half", items()[:6]) > 0
    assert 0 < asked("whole", items()) < asked_alone(tmp_path, taker)
    assert asked("again", items()) == 0
    assert files(tmp_path / "again") == files(tmp_path / "whole")
    (weights / "model.safetensors").write_bytes(b"2")
    assert asked("other weights", items()) == asked_alone(tmp_path, taker)


def asked_alone(tmp_path: Path, taker: Taker) -> int:
    """Batches that a first examination needs."""
    left = [1000]
    step = StepFolder(tmp_path / "alone" / str(len(list(tmp_path.iterdir()))))
    answer([taker], items(), SETTINGS, step, silent, lambda source: Killed("perfect", left))
    return 1000 - left[0]


def test_a_failure_is_asked_again(tmp_path: Path) -> None:
    for folder, plan in (("mute", "mute"), ("speaks", "perfect")):
        step = StepFolder(tmp_path / folder)
        answer(TAKERS[2:], items(), SETTINGS, step, silent, lambda source, plan=plan: Planted(plan), kept=tmp_path / "kept")
    found = step.records(Answer, "answers.jsonl")
    assert not any(one.error for one in found)
