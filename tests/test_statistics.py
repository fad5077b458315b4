"""Figures and differences with intervals: exact where they can be computed by hand."""

import pytest

from persllm.records import Message, Score, TestItem
from persllm.statistics import differences, figures, holm, labels, relative_changes, wilson

SHARES = frozenset({"choice"})


def items(count: int, group: str = "", **more) -> list[TestItem]:
    return [
        TestItem(
            id=f"i{n}", set="knowledge", origin="gold", persona="ada", stage="early", messages=(Message(role="user", content="?"),),
            reference="r", group=group, **more,
        )
        for n in range(count)
    ]  # fmt: skip


def scores(values: list[float | None], taker: str = "sft", metric: str = "choice", chance: float | None = None) -> list[Score]:
    return [Score(metric=metric, taker=taker, item=f"i{n}", value=value, chance=chance) for n, value in enumerate(values)]


def figure(found, group="all", **wanted):
    [one] = [f for f in found if f.group == group and all(getattr(f, key) == value for key, value in wanted.items())]
    return one


def test_an_unscored_item_is_counted_and_in_no_mean() -> None:
    one = figure(figures(scores([1.0, 0.0, None, 1.0, 1.0], chance=0.25), items(5), 200, 0, SHARES))
    assert (one.n, one.value, one.unscored, one.chance) == (4, 0.75, 1, 0.25)
    assert 0 <= one.low < 0.75 < one.high <= 1


def test_nothing_scored_has_no_value() -> None:
    one = figure(figures(scores([None, None]), items(2), 200, 0, SHARES))
    assert (one.n, one.value, one.low, one.high, one.unscored, one.chance) == (0, None, None, None, 2, None)


def test_a_full_share_keeps_the_doubt_that_few_questions_leave() -> None:
    assert figure(figures(scores([1.0] * 30), items(30), 200, 0, SHARES)).low == pytest.approx(0.9)
    assert figure(figures(scores([0.0] * 12), items(12), 200, 0, SHARES)).high == 0.25
    assert figure(figures(scores([1.0] * 30), items(30, group="g"), 200, 0, SHARES)).low == 0.0


def test_wordings_of_one_question_are_drawn_together() -> None:
    values = [1.0, 0.0] * 20
    apart = figure(figures(scores(values), items(40), 500, 0, SHARES))
    together = figure(figures(scores(values), items(40, group="g"), 500, 0, SHARES))
    assert together.low == together.high == 0.5
    assert 0.2 < apart.high - apart.low < 0.4


def test_the_interval_of_a_share_is_the_one_of_the_textbook() -> None:
    one = figure(figures(scores([1.0] * 100 + [0.0] * 100), items(200), 4000, 1, SHARES))
    assert one.low == pytest.approx(0.5 - 1.96 * (0.25 / 200) ** 0.5, abs=0.01)
    assert one.high == pytest.approx(0.5 + 1.96 * (0.25 / 200) ** 0.5, abs=0.01)


def test_the_same_seed_gives_the_same_figures() -> None:
    once, again, other = (figures(scores([1.0, 0.0, 1.0, 0.0, 0.0]), items(5), 200, seed, SHARES) for seed in (3, 3, 4))
    assert once == again
    assert figure(once).low <= figure(other).value <= figure(once).high


def test_differences_are_paired() -> None:
    noisy = [float(n % 2) for n in range(60)]
    better = [value + 0.1 for value in noisy]
    [one] = [
        d
        for d in differences([*scores(better), *scores(noisy, "base")], items(60), [("sft", "base")], 300, 0, frozenset())
        if d.group == "all"
    ]
    assert (one.taker, one.than, one.n, one.value, one.low, one.high) == ("sft", "base", 60, 0.1, 0.1, 0.1)


def test_a_difference_takes_only_what_both_have() -> None:
    found = differences(
        [*scores([1.0, None, 1.0]), *scores([0.0, 0.0, None], "base")], items(3), [("sft", "base"), ("dpo", "sft")], 200, 0, SHARES
    )
    assert {(d.n, d.value) for d in found} == {(1, 1.0)}


def test_a_gain_on_every_one_of_few_questions_is_not_certain() -> None:
    few, many = (
        differences([*scores([1.0] * n), *scores([0.0] * n, "base")], items(n), [("sft", "base")], 200, 0, SHARES)[0] for n in (2, 30)
    )
    assert (few.value, few.low, few.high) == (1.0, -0.5, 1.0)
    assert (many.value, many.low, many.high) == (1.0, 0.9, 1.0)


def test_relative_change_against_the_base() -> None:
    losses = [*scores([2.0, 4.0], "base", "general_loss"), *scores([2.2, 4.4], "sft", "general_loss")]
    found = {f.taker: f for f in relative_changes(losses, items(2), "general_loss", ("base", ""), "loss_change", 200, 0)}
    assert (found["sft"].value, found["sft"].low, found["sft"].high) == (0.1, 0.1, 0.1)
    assert found["base"].value == 0.0


def test_the_groups_of_an_item() -> None:
    [item] = items(1, changed=True)
    assert labels(item) == ["all", "gold", "gold/knowledge", "set/knowledge", "person/ada", "stage/early", "place/ada/early", "changed"]
    attack = item.model_copy(update={"set": "induction", "family": "flattery", "trained_family": True, "changed": None})
    assert labels(attack)[-3:] == ["family/flattery", "families/trained", "gold/families/trained"]


def test_a_difference_has_a_chance_and_says_what_could_be_seen() -> None:
    values = [1.0] * 30 + [0.0] * 10
    [one] = [
        d
        for d in differences([*scores(values), *scores([0.0] * 40, "base")], items(40), [("sft", "base")], 2000, 0, SHARES)
        if d.group == "all"
    ]
    assert one.p == pytest.approx(1 / 2001, abs=1e-6), "none of the drawn signs comes near"
    assert one.visible == pytest.approx((1.96 + 0.8416) * (0.75 * 0.25 / 39) ** 0.5, abs=1e-5)


def test_two_questions_are_never_certain_and_no_difference_is_by_chance() -> None:
    few = differences([*scores([1.0, 1.0]), *scores([0.0, 0.0], "base")], items(2), [("sft", "base")], 1000, 0, SHARES)[0]
    assert few.p == pytest.approx(0.5, abs=0.05), "of four pairs of signs two reach as far"
    assert few.visible is None
    none = differences([*scores([1.0, 0.0]), *scores([1.0, 0.0], "base")], items(2), [("sft", "base")], 1000, 0, SHARES)[0]
    assert none.p == 1.0


def test_the_chance_is_that_of_the_binomial() -> None:
    values = [1.0] * 9 + [-1.0]
    one = differences([*scores(values), *scores([0.0] * 10, "base")], items(10), [("sft", "base")], 20000, 0, SHARES)[0]
    assert one.p == pytest.approx(2 * (1 + 10) / 2**10, abs=0.003), "the sign test: at most one of ten against"


def test_the_differences_that_can_be_seen_are_seen_four_times_in_five() -> None:
    import numpy as np

    dice, found = np.random.default_rng(0), []
    for _ in range(300):
        noise = dice.normal(0.3, 1.0, 50)
        [one] = [
            d
            for d in differences([*scores(list(noise)), *scores([0.0] * 50, "base")], items(50), [("sft", "base")], 100, 0, frozenset())
            if d.group == "all"
        ]
        found.append(one.visible)
    seen = np.mean([abs(dice.normal(np.mean(found), 1.0, 50).mean()) > 1.96 / 50**0.5 for _ in range(4000)])
    assert seen == pytest.approx(0.8, abs=0.03)


def test_holm_gives_what_r_gives() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.001, 0.5]) == pytest.approx([0.08, 0.003, 0.5])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilson_as_newcombe_published_it(part: int, whole: int, low: float, high: float) -> None:
    assert wilson(part, whole) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
