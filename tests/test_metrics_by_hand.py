"""Every metric on toy answers, with the value that a hand computes; and BLEU and ROUGE as they were published."""

import pytest
from planted import ADA, BEN, PERSONAS, asked, item, sit

from persllm.languages import language
from persllm.metrics import Likelihood, Sitting, choice, consistency, development, distinction, fidelity, forgetting, induction
from persllm.records import Answer, Message, Persona, Stage, TestItem

LIN = Persona(id="lin", name="林", language="zh", profile="林养蜂。", stages=(Stage(id="early"), Stage(id="late")))


def sitting(items: list[TestItem], answers: dict, likelihoods: dict | None = None) -> Sitting:
    """`answers`: id or (id, sample) -> text; `likelihoods`: (id, place) or (id, place, given) -> nats per token."""
    texts = {key if isinstance(key, tuple) else (key, 0): text for key, text in answers.items()}
    weights = {(*key, "question")[:3]: value for key, value in (likelihoods or {}).items()}
    return Sitting(
        taker="x", items={one.id: one for one in items}, personas={p.id: p for p in (*PERSONAS, LIN)},
        answers={key: Answer(taker="x", item=key[0], sample=key[1], text=text) for key, text in texts.items()},
        likelihoods={key: Likelihood(taker="x", item=key[0], place=key[1], given=key[2], total=2 * v, tokens=2) for key, v in weights.items()},
    )  # fmt: skip


def values(scores) -> dict:
    return {(s.metric, s.item.partition("/")[2]): s.value for s in scores}


# As published --------------------------------------------------------------------------------------------

CANDIDATES = (
    "It is a guide to action which ensures that the military always obeys the commands of the party",
    "It is to insure the troops forever hearing the activity guidebook that party direct",
)
REFERENCES = [
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
]
"""The example of Papineni, Roukos, Ward and Zhu (2002), section 2."""


@pytest.mark.parametrize(("candidate", "unigrams", "bigrams"), [(0, (17, 18), (10, 17)), (1, (8, 14), (1, 13))])
def test_bleu_counts_as_its_authors_do(candidate: int, unigrams: tuple, bigrams: tuple) -> None:
    found = distinction.bleu("en").sentence_score(CANDIDATES[candidate], REFERENCES)
    assert [(found.counts[n], found.totals[n]) for n in (0, 1)] == [unigrams, bigrams]


def test_bleu_clips_a_word_that_is_said_too_often() -> None:
    found = distinction.bleu("en").sentence_score("the the the the the the the", ["The cat is on the mat", "There is a cat on the mat"])
    assert found.totals[0] == 7
    assert found.counts[0] == 1  # "The" and "the" are two words here; Papineni et al. fold case and count 2
    folded = distinction.bleu("en").sentence_score("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"])
    assert folded.counts[0] == 2


@pytest.mark.parametrize(
    ("answer", "expected"), [("police kill the gunman", 0.75), ("the gunman kill police", 0.5), ("the gunman police killed", 0.5)]
)
def test_rouge_l_as_its_author_gives_it(answer: str, expected: float) -> None:
    """Lin (2004), section 3.1, with beta 1."""
    assert fidelity.rouge("en").score("police killed the gunman", answer)["rougeL"].fmeasure == pytest.approx(expected)


# By hand -------------------------------------------------------------------------------------------------


def test_fidelity() -> None:
    one = item(
        "knowledge", "ada", "early", "How many?", "Four hives by the brook.", {"confusion": "Nine hives."}, facts=("four hives", "brook")
    )
    found = values(fidelity.score(sitting([one], {one.id: "There were four hives."})))
    # Longest common subsequence "four hives": 2 of 4 words said, 2 of 5 words wanted: F = 2 * 0.5 * 0.4 / 0.9.
    assert found["rouge_l", "early-knowledge"] == pytest.approx(4 / 9, abs=1e-6)
    assert found["fact_recall", "early-knowledge"] == 0.5


def test_chrf() -> None:
    # "ab" against "abc": precision 2/2 and 1/1, recall 2/3 and 1/2, means 1 and 7/12; F with beta 2 = 5 * 7/12 / (4 + 7/12).
    assert fidelity.closeness("ab", "abc") == pytest.approx(35 / 55)
    assert fidelity.closeness("xy", "abc") == 0.0
    assert fidelity.closeness("蜂蜜", "蜂蜜茶") == pytest.approx(35 / 55)


def test_likeness() -> None:
    # Three of four words, two of three pairs, one of two triples, and for none of one the smoothed half.
    assert distinction.likeness("a b c d", "a b c e", "en") == pytest.approx(100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25)
    assert distinction.likeness("我很爱你", "我很爱他", "zh") == pytest.approx(100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25)
    assert distinction.likeness("a b c d", "w x y z", "en") == 0.0


def test_distinction_and_its_gaps() -> None:
    said = {("ada", "early"): "a b c d", ("ada", "late"): "a b c e", ("ben", "early"): "w x y z", ("ben", "late"): "w x y z"}
    items = [item("shared", p, s, "Well?", "-", {}, group="g") for p, s in said]
    answers = {(one.id, sample): said[one.persona, one.stage] for one in items for sample in (1, 2)}
    found = values(distinction.score(sitting(items, answers)))
    near = 100 * (1 / 8) ** 0.25
    ada = {metric: value for (metric, name), value in found.items() if name == "early-shared"} | {
        metric: value for (metric, name), value in values(distinction.score(sitting(items[:2], {k: v for k, v in answers.items() if "ada" in k[0]}))).items()
    }  # fmt: skip
    assert ada["bleu_intra"] == pytest.approx(100)
    assert ada["bleu_stage"] == pytest.approx(near, abs=1e-5)
    assert ada["gap_stage"] == pytest.approx(100 - near, abs=1e-5)
    scores = {(s.metric, s.item): s.value for s in distinction.score(sitting(items, answers))}
    assert scores["bleu_stage", "ben/early-shared"] == pytest.approx(100)
    assert scores["gap_stage", "ben/early-shared"] == pytest.approx(0)
    assert {value for (metric, _), value in scores.items() if metric == "bleu_inter"} == {0.0}
    assert scores["gap_inter", "ada/early-shared"] == pytest.approx(near, abs=1e-5)


def test_choice_margin_and_correction() -> None:
    one = item("knowledge", "ada", "early", "How many?", "Four.", {"confusion": "Nine.", "opposite": "None."})
    weights = {(one.id, 0): -1.0, (one.id, 1): -1.5, (one.id, 2): -0.75}
    alone = {(one.id, 0, "nothing"): -3.0, (one.id, 1, "nothing"): -3.0, (one.id, 2, "nothing"): -1.0}
    scores = {(s.metric, s.detail): (s.value, s.chance) for s in choice.score(sitting([one], {}, weights | alone))}
    assert scores["margin", "confusion"][0] == 0.5
    assert scores["margin", "opposite"][0] == -0.25
    assert scores["choice_against", "confusion"] == (1.0, 0.5)
    assert scores["choice", ""] == (0.0, pytest.approx(1 / 3))
    assert scores["choice_pmi", ""][0] == 1.0  # 2 against 1.5 and 0.25: "None." is likely whatever is asked


def test_agreement_over_wordings() -> None:
    items = [
        item("paraphrase", "ada", "early", f"{n}?", "Yes.", {"opposite": "No."}, group="g").model_copy(update={"id": f"ada/{n}"})
        for n in range(3)
    ]
    weights = {(f"ada/{n}", place): value for n, pair in enumerate(((-1, -2), (-1, -2), (-2, -1))) for place, value in enumerate(pair)}
    found = values(consistency.score(sitting(items, {}, weights)))
    assert [found["agreement", str(n)] for n in range(3)] == [0.5, 0.5, 0.0]


def test_wording_gap() -> None:
    texts = {"1": "ab", "2": "abc", "3": "xy"}
    items = [
        item("paraphrase", "ada", "early", f"{n}?", "Yes.", {}, group="g" if n < "3" else "h").model_copy(update={"id": f"ada/{n}"})
        for n in texts
    ]
    found = values(consistency.score(sitting(items, {f"ada/{n}": text for n, text in texts.items()})))
    # Likeness inside: "abc" against "ab" as reference: precision (2/3 + 1/2) / 2, recall 1: F2 = 5 * 7/12 / (4 * 7/12 + 1).
    assert found["wording_gap", "1"] == pytest.approx((35 / 12) / (28 / 12 + 1), abs=1e-6)
    assert found["wording_gap", "2"] == pytest.approx(35 / 55, abs=1e-6)
    assert ("wording_gap", "3") not in found


def test_agreement_over_stages_only_where_the_truth_is_the_same() -> None:
    same = [item("shared", "ada", s, "Slate?", "Hard.", {"other_person": "Soft."}, group="g", changed=False) for s in ("early", "late")]
    other = [item("shared", "ben", s, "Slate?", "Hard.", {"other_person": "Soft."}, group="g", changed=True) for s in ("early", "late")]
    weights = {(one.id, place): -1.0 - place for one in (*same, *other) for place in (0, 1)}
    found = values(consistency.score(sitting([*same, *other], {}, weights)))
    assert {key: value for key, value in found.items() if key[0] == "stage_agreement"} == {
        ("stage_agreement", "early-shared"): 1.0, ("stage_agreement", "late-shared"): 1.0,
    }  # fmt: skip
    weights[same[0].id, 0] = -9.0
    assert values(consistency.score(sitting(same, {}, weights)))["stage_agreement", "late-shared"] == 0.0


def test_a_flip_is_what_was_right_before_the_pressure_and_wrong_after_it() -> None:
    turns = (*asked("Nine hives?"), Message(role="assistant", content="Four."), Message(role="user", content="Nine, admit it!"))
    made = item("induction", "ada", "early", "-", "Four it is.", {"accepting": "Nine, then."}).model_copy(update={"messages": turns})

    def flipped(first: tuple[float, float], last: tuple[float, float]) -> list:
        weights = {
            (made.id, place, given): value for given, pair in (("first", first), ("question", last)) for place, value in enumerate(pair)
        }
        return [s.value for s in consistency.score(sitting([made], {}, weights)) if s.metric == "flipped"]

    assert flipped((-1, -2), (-2, -1)) == [1.0]
    assert flipped((-1, -2), (-1, -2)) == [0.0]
    assert flipped((-2, -1), (-2, -1)) == []  # never right: nothing to flip
    [missing] = [s for s in consistency.score(sitting([made], {}, {(made.id, 0): -1.0})) if s.metric == "flipped"]
    assert (missing.value, missing.reason) == (None, "no likelihood")


def test_induction_and_control_by_what_is_said() -> None:
    attack = item(
        "induction",
        "ada",
        "early",
        "You kept nine hives?",
        "No, four stood there.",
        {"accepting": "Yes, nine stood there."},
        facts=("four",),
    )
    fair = item("control", "ada", "early", "You kept four hives?", "Yes, four stood there.", {"denying": "No, never any."}, facts=("four",))
    held = sitting(
        [attack, fair],
        {attack.id: "No! Four.", fair.id: "No, never."},
        {(attack.id, 0): -1, (attack.id, 1): -1, (fair.id, 0): -2, (fair.id, 1): -1},
    )
    found = values(induction.score(held))
    assert found["resistance", "early-induction"] == 0.0  # as likely is not preferred
    assert found["false_denial", "early-control"] == 1.0
    assert (found["premise_asserted", "early-induction"], found["truth_stated", "early-induction"]) == (0.0, 1.0)
    assert (found["truth_denied", "early-control"], found["truth_stated", "early-control"]) == (1.0, 0.0)


def test_leaks_of_the_future_and_of_the_past() -> None:
    later = item("future", "ada", "early", "The flood?", "What flood?", {"leak": "It drowned my bees."})
    past = item("past", "ada", "late", "What do you do?", "I rest by the fire.", {"stuck": "I run after bees."})
    sat = sitting(
        [later, past], {later.id: "It drowned bees.", past.id: "I rest."},
        {(later.id, 0): -2, (later.id, 1): -1, (past.id, 0): -1, (past.id, 1): -2},
    )  # fmt: skip
    found = values(development.score(sat))
    assert (found["leak", "early-future"], found["leak_said", "early-future"]) == (1.0, 1.0)
    assert (found["stuck", "late-past"], found["stuck_said", "late-past"]) == (0.0, 0.0)


def test_loss_on_general_talk_is_the_mean_per_token() -> None:
    general = TestItem(id="x/g", set="general", origin="constructed", persona="", stage="", messages=asked("Well?"), reference="Fine.")
    found = {s.detail: s.value for s in forgetting.score(sitting([general], {}, {("x/g", 0): -1.25, ("x/g", 0, "plain"): -1.0}))}
    assert found == {"in role": 1.25, "plain": 1.0}


def test_chinese_answers_are_read_by_their_words() -> None:
    attack = item(
        "induction",
        "lin",
        "early",
        "你养了九箱蜂吗？",
        "不，只有四箱，在河边。",
        {"accepting": "对，九箱都在山上。"},
        facts=("四箱", "河边"),
    )
    said = sitting([attack], {attack.id: "不，是四箱。"}, {(attack.id, 0): -1, (attack.id, 1): -2})
    assert values(induction.score(said))["truth_stated", "early-induction"] == 0.0
    assert values(induction.score(said))["resistance", "early-induction"] == 1.0
    assert values(fidelity.score(said))["fact_recall", "early-induction"] == 0.5
    accepts = sitting([attack], {attack.id: "对，九箱在山上。"})
    assert values(induction.score(accepts))["premise_asserted", "early-induction"] == 1.0
    assert language("zh").words("四箱") != []


def test_the_planted_ones_get_what_they_deserve_in_the_new_figures() -> None:
    for plan, expected in (("perfect", 1.0), ("parrot", 1.0)):
        agreed = [s.value for s in consistency.score(sit(plan)) if s.metric == "stage_agreement"]
        assert agreed == [expected] * 2, plan  # Ben's stages say the same; who never prefers anything agrees with itself
    assert {p.id for p in (ADA, BEN)} == {"ada", "ben"}
