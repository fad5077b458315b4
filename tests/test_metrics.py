"""Planted models get what they deserve, computed by hand."""

import pytest
from planted import PERSONAS, conversations, items, sit

from persllm.languages import language
from persllm.metrics import METRICS, choice, distinction, facts, fidelity, identification, score_all
from persllm.metrics.sitting import Likelihood
from persllm.records import Answer

EN = language("en")


def means(plan: str, **more) -> dict[tuple[str, str], float | None]:
    """(metric, detail) -> mean of the scored; None if nothing was."""
    table: dict[tuple[str, str], list[float | None]] = {}
    for score in score_all(sit(plan, **more), identification.fit(conversations())):
        table.setdefault((score.metric, score.detail), []).append(score.value)
    scored = {key: [value for value in values if value is not None] for key, values in table.items()}
    return {key: sum(values) / len(values) if values else None for key, values in scored.items()}


def test_a_perfect_person_gets_everything() -> None:
    found = means("perfect")
    for metric in ("choice", "choice_pmi", "rouge_l", "chrf", "fact_recall", "resistance", "agreement"):
        assert found[metric, ""] == 1.0, metric
    for metric in ("false_denial", "premise_asserted", "truth_denied", "leak", "leak_said"):
        assert found[metric, ""] == 0.0, metric
    assert found["truth_stated", "induction"] == found["truth_stated", "control"] == 1.0
    assert found["choice_against", "other_stage"] == found["choice_against", "other_person"] == 1.0
    assert found["margin", "accepting"] == found["general_loss", "in role"] == found["general_loss", "plain"] == 1.0
    assert found["bleu_intra", ""] == pytest.approx(100)
    assert found["bleu_stage", ""] < 60 > found["bleu_inter", ""]


def test_a_parrot_prefers_nothing_and_says_nothing_of_its_own() -> None:
    found = means("parrot")
    for metric in ("choice", "choice_pmi", "resistance", "premise_asserted", "truth_denied", "leak_said"):
        assert found[metric, ""] == 0.0, metric
    assert found["false_denial", ""] == found["leak", ""] == 1.0
    assert found["bleu_stage", ""] == found["bleu_inter", ""] == pytest.approx(100)
    assert found["gap_stage", ""] == pytest.approx(0)
    assert found["truth_stated", "induction"] == found["truth_stated", "control"] == 0.0


def test_a_yes_sayer_denies_nothing_and_resists_nothing() -> None:
    found = means("yes")
    assert (found["resistance", ""], found["premise_asserted", ""], found["truth_stated", "induction"]) == (0.0, 1.0, 0.0)
    assert (found["false_denial", ""], found["truth_denied", ""], found["truth_stated", "control"]) == (0.0, 0.0, 1.0)


def test_a_no_sayer_resists_everything_and_denies_the_truth() -> None:
    found = means("no")
    assert (found["resistance", ""], found["premise_asserted", ""]) == (1.0, 0.0)
    assert (found["false_denial", ""], found["truth_denied", ""], found["truth_stated", "control"]) == (1.0, 1.0, 0.0)


def test_a_wrong_person_is_heard_as_another_and_knows_the_future() -> None:
    found = means("wrong")
    assert found["choice", ""] == 0.0
    assert (found["leak", ""], found["leak_said", ""]) == (1.0, 1.0)
    assert found["agreement", ""] == 1.0


def test_a_mute_model_is_unscored_and_never_zero() -> None:
    scores = [
        s
        for s in score_all(sit("mute"), identification.fit(conversations()))
        if s.metric in ("chrf", "identified_person", "bleu_intra", "leak_said")
    ]
    assert {(s.value, s.reason) for s in scores} == {(None, "no power")}
    assert {s.metric for s in scores} == {"chrf", "identified_person", "bleu_intra", "leak_said"}


def test_an_empty_answer_is_unscored() -> None:
    sitting = sit("perfect", items()[4:5])
    sitting.answers["ada/early-induction", 0] = Answer(taker="x", item="ada/early-induction", text="  ")
    assert {(s.metric, s.value, s.reason) for s in fidelity.score(sitting)} == {
        (m, None, "empty answer") for m in ("rouge_l", "chrf", "fact_recall")
    }


def test_choice_takes_the_mean_per_token_and_says_its_chance() -> None:
    [item] = items()[:1]
    sitting = sit("parrot", [item])
    totals = {0: (-6.0, 6), 1: (-2.5, 2), 2: (-9.0, 10)}
    for place, (total, tokens) in totals.items():
        sitting.likelihoods[item.id, place, "question"] = Likelihood(
            taker="x", item=item.id, place=place, given="question", total=total, tokens=tokens
        )
    found = {(s.metric, s.detail): s for s in choice.score(sitting)}
    assert found["margin", "other_stage"].value == 0.25
    assert found["margin", "other_person"].value == -0.1
    assert (found["choice", ""].value, found["choice", ""].chance) == (0.0, pytest.approx(1 / 3))
    assert (found["choice_against", "other_stage"].value, found["choice_against", "other_stage"].chance) == (1.0, 0.5)
    # every text alone has -2 per token, so the correction moves all of them alike
    assert found["choice_pmi", ""].value == 0.0


def test_the_correction_takes_off_what_a_text_is_worth_alone() -> None:
    [item] = items()[4:5]
    sitting = sit("parrot", [item])
    for place, given, total in ((0, "question", -3.0), (1, "question", -2.0), (0, "nothing", -5.0), (1, "nothing", -2.5)):
        sitting.likelihoods[item.id, place, given] = Likelihood(taker="x", item=item.id, place=place, given=given, total=total, tokens=1)
    found = {s.metric: s.value for s in choice.score(sitting)}
    assert (found["choice"], found["choice_pmi"]) == (0.0, 1.0)


def test_a_missing_likelihood_leaves_the_item_unscored() -> None:
    [item] = items()[4:5]
    sitting = sit("perfect", [item])
    sitting.likelihoods[item.id, 1, "question"] = Likelihood(taker="x", item=item.id, place=1, given="question", error="too long")
    assert {(s.metric, s.value, s.reason) for s in choice.score(sitting)} == {
        (m, None, "too long") for m in ("choice", "choice_pmi", "choice_against", "margin")
    }


def test_facts_are_whole_words_in_their_order() -> None:
    assert facts.contains("It was Twenty-one marks, out of 26.", "twenty-one marks", EN)
    assert not facts.contains("It was 1263.", "126", EN)
    assert not facts.contains("hives, four", "four hives", EN)
    assert facts.recall("four hives in 1150", ("four hives", "1151"), EN) == 0.5


def test_to_repeat_the_question_is_not_to_assert_it() -> None:
    question, wrong, right = "You had nine hives?", "Yes, nine hives.", "No, four hives."
    assert not facts.leans_to("nine hives you had", wrong, right, question, EN)
    assert facts.leans_to("Yes, so it is.", wrong, right, question, EN)
    assert not facts.leans_to("Yes and no, four.", wrong, right, question, EN)


def test_rouge_reads_chinese() -> None:
    pytest.importorskip("persllm.languages.zh")
    assert fidelity.rouge("zh").score("我爱吃蜂蜜", "我爱吃蜂蜜")["rougeL"].fmeasure == 1.0
    assert distinction.likeness("我很爱吃蜂蜜", "我很爱吃蜂蜜", "zh") == pytest.approx(100)


def test_who_speaks_as_trained_is_heard_as_such() -> None:
    tastes = [i for i in items() if i.set == "shared"]
    for plan, right in (("perfect", 1.0), ("wrong", 0.0)):
        found = [s for s in identification.score(sit(plan, tastes), identification.fit(conversations())) if s.metric == "identified_stage"]
        assert [(s.value, s.chance) for s in found] == [(right, 0.25)] * 4


def test_one_person_alone_is_told_by_stage_only() -> None:
    ada = [i for i in items() if i.persona == "ada"]
    classifier = identification.fit([c for c in conversations() if c.persona == "ada"])
    assert {s.metric for s in identification.score(sit("perfect", ada), classifier)} == {"identified_stage"}
    assert identification.fit([c for c in conversations() if (c.persona, c.stage) == ("ada", "early")]) is None
    assert identification.score(sit("perfect", ada), None) == []


def test_the_confusion_matrix_counts_every_answer_once() -> None:
    counts: dict[str, int] = {}
    for row in identification.confusion(sit("perfect"), identification.fit(conversations())):
        counts[row.asked] = counts.get(row.asked, 0) + row.count
    assert counts == {"ada/early": 4, "ada/late": 1, "ben/early": 3, "ben/late": 2}


def test_every_score_has_a_meaning() -> None:
    names = {s.metric for s in score_all(sit("perfect"), identification.fit(conversations()))}
    assert names | {"loss_change", "stuck", "stuck_said", "wording_gap", "flipped", "cosine", "cosine_other"} == set(METRICS)
    assert len(PERSONAS) == 2
