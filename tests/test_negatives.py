"""Sampled wrong answers: who is asked, what is taken for wrong, and a killed sampling that ends as an undisturbed one."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_base import ADA, BO, build_toy, colour_talk, said

from persllm import pairs
from persllm.base import LocalModel
from persllm.config import DpoSettings, SftSettings
from persllm.negatives import Answers, Sampled, askings, chunks_of, sample_answers
from persllm.records import Conversation, PreferencePair
from persllm.store import StepFolder
from persllm.training import tune

ON_POLICY = DpoSettings(contrasts=("stage", "persona", "own", "generic"), negatives="on-policy", pairs=24, samples=2, answer_tokens=24)
MODEL_OF = {"ada": "cast", "bo": "cast"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalModel]:
    """The untrained toy, and one that has half learnt the colours."""
    folder = tmp_path_factory.mktemp("models")
    base = build_toy(folder / "toy")
    settings = SftSettings(batch=8, epochs=3, warmup=2, learning_rate=4e-3, adapter="full", weight_decay=0.0)
    tune(base, colour_talk(48), settings, folder / "sft", threads=1)
    return {"base": LocalModel.load(base, threads=1), "cast": LocalModel.load(folder / "sft" / "model", threads=1)}


def test_everybody_is_asked_who_can_be_wrong() -> None:
    talk = [said(f"Question {place}?", f"Answer number {place}.", "early") for place in range(4)]
    asked = askings(talk, [ADA, BO], ON_POLICY, 0)
    told = {contrast: {(a.persona, a.stage) for a in asked if a.contrast == contrast} for contrast in ON_POLICY.contrasts}
    assert told["generic"] == {("", "")}
    assert told["own"] == {("ada", "early")}
    assert told["stage"] == {("ada", "late")}
    assert told["persona"] <= {("bo", "late"), ("bo", "after")}
    assert len(asked) == 4 * 4 * 2
    alone = askings(talk, [ADA], ON_POLICY, 0)
    assert {a.contrast for a in alone} == {"generic", "own", "stage"}, "there is nobody else to ask"
    static = ON_POLICY.model_copy(update={"negatives": "static"})
    assert {a.contrast for a in askings(talk, [ADA, BO], static, 0)} == {"own", "generic"}
    assert askings(talk, [ADA, BO], DpoSettings(), 0) == [], "nothing is asked unless it is wanted"


def test_an_answer_like_the_chosen_one_is_not_taken_for_wrong() -> None:
    talk = said("Where do you live?", "I live in a small white house by the river.", "late")
    texts = ["I live in a white house by the river.", "We sail tomorrow."]
    answers = Answers([Sampled(conversation=talk.identity, contrast="own", sample=n, text=text) for n, text in enumerate(texts)])
    assert answers.wrong(talk, "own", "en") == "We sail tomorrow."
    assert answers.counts == {"used": 1, "alike": 1}
    assert answers.wrong(talk, "stage", "en") == ""


def test_of_an_induction_only_what_swallows_the_premise_is_wrong() -> None:
    asked = said("You sold the boat, right?", "No, I kept the boat and sold the house.", "late")
    asked = asked.model_copy(update={"kind": "induction", "rejected": "Yes, I sold the boat."})
    texts = ["I never had anything to sell.", "Yes, it is true, I sold the boat."]
    answers = Answers([Sampled(conversation=asked.identity, contrast="induction", sample=n, text=text) for n, text in enumerate(texts)])
    assert answers.wrong(asked, "induction", "en") == "Yes, it is true, I sold the boat."


def test_in_chinese_characters_are_compared() -> None:
    talk = said("你住在哪里？", "我住在河边的白房子里。", "late")
    texts = ["我住在河边的白色房子里。", "明天我们出海。"]
    answers = Answers([Sampled(conversation=talk.identity, contrast="own", sample=n, text=text) for n, text in enumerate(texts)])
    assert answers.wrong(talk, "own", "zh") == "明天我们出海。"


def test_pairs_come_from_real_models_and_are_counted(models: dict[str, LocalModel], tmp_path: Path) -> None:
    talk = [c.model_copy(update={"group": f"box {place % 4}"}) for place, c in enumerate(colour_talk(48))]
    asked = askings(talk, [ADA, BO], ON_POLICY, 0)
    sampled = sample_answers(StepFolder(tmp_path / "sampled"), asked, MODEL_OF, models.__getitem__, ON_POLICY, 0)
    answers = Answers(sampled)
    made, _ = pairs.make_pairs(talk, [ADA, BO], ON_POLICY, 0, answers)
    by_contrast = Counter(pair.contrast for pair in made)
    assert by_contrast["stage"] > 3, by_contrast
    assert {pair.rejected_from for pair in made if pair.contrast == "generic"} == {"base"}
    assert answers.counts["used"] == sum(pair.rejected_from in ("base", "sft") for pair in made) > 3
    summary = StepFolder(tmp_path / "sampled").summary()
    assert summary["asked"] == len(asked) == len(sampled) + sum(summary["dropped"].values()), (
        "every answer is used or dropped with a reason"
    )


class Interrupted(Exception):
    """The process dies."""


def test_a_killed_sampling_ends_in_the_same_answers(models: dict[str, LocalModel], tmp_path: Path) -> None:
    asked = askings([*colour_talk(48), *(said(f"And {place}?", f"So {place}.", "late") for place in range(30))], [ADA, BO], ON_POLICY, 0)
    chunks = len(chunks_of(asked, MODEL_OF))
    assert chunks > 2
    whole = sample_answers(StepFolder(tmp_path / "whole"), asked, MODEL_OF, models.__getitem__, ON_POLICY, 0)

    def dying(done: int, total: int) -> None:
        if done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        sample_answers(StepFolder(tmp_path / "broken"), asked, MODEL_OF, models.__getitem__, ON_POLICY, 0, dying)
    seen: list[tuple[int, int]] = []
    again = sample_answers(
        StepFolder(tmp_path / "broken"), asked, MODEL_OF, models.__getitem__, ON_POLICY, 0, lambda *so_far: seen.append(so_far)
    )
    assert seen[0] == (2, chunks), "what was answered is not asked again"
    assert again == whole
    assert (tmp_path / "broken" / "records.jsonl").read_bytes() == (tmp_path / "whole" / "records.jsonl").read_bytes()
    other = sample_answers(StepFolder(tmp_path / "other"), asked, MODEL_OF, models.__getitem__, ON_POLICY, 1)
    assert other != whole


# Shares and lengths ----------------------------------------------------------------------------------


def talk_of_two() -> list[Conversation]:
    """Ada says different things early and late, and Bo others; a premise beside each."""
    found = []
    for place in range(20):
        for persona, stage in (("ada", "early"), ("ada", "late"), ("bo", "late")):
            words = " ".join(f"{persona}{stage}{chr(97 + place)}{letter}" for letter in "abcdefgh"[: 2 + (place * len(stage)) % 6])
            asked = said(f"What of thing {place}?", words, stage).model_copy(
                update={"persona": persona, "evidence": (f"{persona}{place}{stage}",)}
            )
            found += [asked, asked.model_copy(update={"kind": "induction", "rejected": f"Yes {words}"})]
    return found


def contrasts(made: list[PreferencePair]) -> Counter[str]:
    return Counter(pair.contrast for pair in made)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [({}, {"stage": 10, "persona": 10, "induction": 10}), ({"induction": 3.0}, {"stage": 6, "persona": 6, "induction": 18}), ({"persona": 0.0}, {"stage": 15, "induction": 15})],
)  # fmt: skip
def test_contrasts_are_drawn_by_their_shares(shares: dict[str, float], expected: dict[str, int]) -> None:
    settings = DpoSettings(contrasts=("stage", "persona", "induction"), shares=shares, pairs=30)
    assert contrasts(pairs.make_pairs(talk_of_two(), [ADA, BO], settings, 0)[0]) == expected


def test_answers_unlike_in_length_are_dropped_and_counted() -> None:
    settings = DpoSettings(contrasts=("stage", "persona"), pairs=200, length_ratio=1.5)
    made, dropped = pairs.make_pairs(talk_of_two(), [ADA, BO], settings, 0)
    sizes: Callable[[str], int] = lambda text: len(text.split())  # noqa: E731
    assert made
    assert all(
        max(sizes(p.chosen.content), sizes(p.rejected.content)) <= 1.5 * min(sizes(p.chosen.content), sizes(p.rejected.content))
        for p in made
    )
    assert Counter(d.reason for d in dropped)["answers unlike in length"] > 0
