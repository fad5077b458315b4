"""The sets `stage`, `paraphrase` and `past` from toy materials: what is asked, what is right, what is wrong, all by hand."""

import pytest

from persllm import dataset, test_sets
from persllm.checks import Checker
from persllm.config import MixtureSettings
from persllm.records import Conversation, Material, Message, Persona, Stage, TestItem, Turn, Voice
from persllm.test_sets.by_rule import Raiser
from persllm.test_sets.drafts import Draft, apart
from persllm.test_sets.twins import twins

ADA = Persona(
    id="ada", name="Ada Moor", aliases=("Ada",), pronouns="she", profile="Ada Moor keeps bees.",
    stages=(Stage(id="young", voice=Voice(unknown=("Never heard a buzz of it.",))), Stage(id="old")),
)  # fmt: skip
LIN = Persona(
    id="lin", name="林小舟", aliases=("小舟",), pronouns="she", language="zh", profile="林小舟养蜂。",
    stages=(Stage(id="young", voice=Voice(unknown=("一声也没听过。",))), Stage(id="old")),
)  # fmt: skip


def lived(stage: str | None, title: str, text: str, persona: str = "ada", kind: str = "experience") -> Material:
    return Material(persona=persona, kind=kind, stage=stage, title=title, text=text, source=f"{title}:1")


def said(stage: str, text: str, to: str = "A pedlar") -> Material:
    turns = (Turn(speaker=to, to="Ada Moor", text="What news?"), Turn(speaker="Ada Moor", to=to, text=text))
    return Material(persona="ada", kind="speech", stage=stage, text=text, turns=turns, source=f"speech.jsonl:{len(text)}")


SWARM = lived("young", "The great swarm (May 1150)", "Ada caught 40 bees in May 1150. She met Tom Reed at the gate.")
FLOOD = lived("old", "The flood (June 1170)", "Ada lost 12 hives in June 1170. She told Bea Hill of it.")
FENCE = lived("old", "At the fence (June 1171)", "Ada mended 7 posts in June 1171. She paid Tom Reed for it.")
EARLY_TOM = said("young", "Tom Reed is a thief and I would not sell him a spoon of honey.")
LATE_TOM = said("old", "Tom Reed sat by me when the hives drowned. There is no better neighbour on this hill.")
WORLD = [SWARM, FLOOD, FENCE, EARLY_TOM, LATE_TOM]


def drafts(materials, persona=ADA, held=()) -> list[Draft]:
    return [one for one in Raiser(persona, materials, held).raised() if isinstance(one, Draft)]


def told(found, *sets: str) -> list[tuple[str, str, str, tuple[tuple[str, str], ...], bool | None]]:
    """Set, stage, right answer, wrong answers, whether the truth changed."""
    return [
        (one.set, one.conversation.stage, one.conversation.answer.content, tuple((c.kind, c.text) for c in one.candidates), one.changed)
        for one in found
        if one.set in sets
    ]


def of_form(found, *forms: str) -> list[Draft]:
    return [one for one in found if one.conversation.form in forms]


def everything_to(monkeypatch, past: bool) -> None:
    """Whatever has changed is asked for in one of the two sets."""
    monkeypatch.setattr(Raiser, "goes_to_past", lambda self, group: past)


def test_an_episode_is_unknown_before_its_stage(monkeypatch) -> None:
    everything_to(monkeypatch, past=False)
    knowing, ignorant = "I lost 12 hives in June 1170. I told Bea Hill of it.", "Never heard a buzz of it."
    found = of_form(drafts(WORLD), "before")
    assert told(found, "stage") == [
        ("stage", "young", ignorant, (("other_stage", knowing),), True),
        ("stage", "old", knowing, (("other_stage", ignorant),), True),
    ]
    assert len({one.conversation.prompt for one in found}) == len({one.conversation.group for one in found}) == 1
    assert "the flood" in found[0].conversation.prompt[0].content


def test_an_opinion_has_the_words_of_each_stage(monkeypatch) -> None:
    everything_to(monkeypatch, past=False)
    found = of_form(drafts(WORLD), "opinion")
    early, late = EARLY_TOM.turns[1].text, LATE_TOM.turns[1].text
    assert told(found, "stage") == [
        ("stage", "young", early, (("other_stage", late),), True),
        ("stage", "old", late, (("other_stage", early),), True),
    ]
    assert all("Tom Reed" in one.conversation.prompt[0].content for one in found)


def test_the_past_is_what_was_true_at_the_earlier_stage_only(monkeypatch) -> None:
    everything_to(monkeypatch, past=True)
    found = drafts(WORLD)
    assert sorted(told(found, "past")) == sorted([
        ("past", "old", LATE_TOM.turns[1].text, (("stuck", EARLY_TOM.turns[1].text),), None),
        ("past", "old", "I lost 12 hives in June 1170. I told Bea Hill of it.", (("stuck", "Never heard a buzz of it."),), None),
    ])  # fmt: skip
    assert not [one for one in found if one.set == "stage" and one.changed]


def test_a_contrast_is_asked_for_once() -> None:
    found = drafts(WORLD)
    sets = {one.conversation.group: one.set for one in of_form(found, "before", "opinion")}
    assert len(sets) == 2
    assert all(sets[one.conversation.group] == one.set for one in of_form(found, "before", "opinion"))


def test_the_truth_of_a_remembered_episode_is_the_same() -> None:
    found = of_form(drafts(WORLD), "same")
    truth = "I caught 40 bees in May 1150. I met Tom Reed at the gate."
    assert [(one.conversation.stage, one.conversation.answer.content, one.changed) for one in found] == [
        ("young", truth, False), ("old", truth, False),
    ]  # fmt: skip
    [wrong] = {one.candidates[0].text for one in found}
    assert wrong.endswith("I met Tom Reed at the gate."), "a number or a date is swapped before a name is"
    assert wrong != truth


def test_what_holds_always_is_asked_at_every_stage() -> None:
    always = lived(None, "The keeping of bees", "Ada keeps 30 hives on the hill. She feeds them in June.", kind="knowledge")
    stages = [one.conversation.stage for one in of_form(drafts([always, FLOOD]), "same")]
    assert stages == ["young", "old"]


def test_wordings_of_a_group_differ_and_mean_the_same() -> None:
    groups: dict[str, list[Draft]] = {}
    for one in drafts(WORLD):
        if one.set == "paraphrase":
            groups.setdefault(one.conversation.group, []).append(one)
    assert len(groups) == 5, "a heading of two, a gap of all three"
    for members in groups.values():
        assert len({one.conversation.prompt for one in members}) == len(members) == 3
        assert len({(one.conversation.answer.content, one.candidates, one.facts) for one in members}) == 1
        assert members[0].candidates[0].kind == "confusion"
        assert members[0].candidates[0].text != members[0].conversation.answer.content


@pytest.mark.parametrize(("persona", "title"), [(ADA, "At the fence"), (LIN, "在渡口")])
def test_a_heading_that_is_no_name_is_not_asked_for(persona, title) -> None:
    text = "Ada mended 7 posts in June 1171." if persona is ADA else "林小舟在1171年6月修了七根木桩。"
    assert not of_form(drafts([lived("old", title, text, persona.id)], persona), "before", "topic", "same")


def test_whoever_is_spoken_to_is_not_spoken_of() -> None:
    vocative = said("young", "Take your spoon of honey, Tom Reed, and go down the hill with it.", to="Tom Reed")
    assert not of_form(drafts([SWARM, FLOOD, vocative, LATE_TOM]), "opinion")


def test_answers_too_alike_are_no_contrast() -> None:
    again = said("old", "Tom Reed is a thief and I would not sell him a spoon of good honey.")
    found = list(Raiser(ADA, [SWARM, FLOOD, EARLY_TOM, again], ()).opinions())
    assert [(one.reason, one.detail) for one in found] == [("answers of the stages too alike", "Tom Reed")]
    assert apart(["one two three four", "one two three six"], "en"), "three words of five are 0.6, and so many may be shared"
    assert not apart(["one two three four", "one two three four six"], "en")


def test_what_is_held_out_is_not_asked_for() -> None:
    found = drafts(WORLD, held={FLOOD.identity})
    assert FLOOD.identity not in {e for one in found for e in one.conversation.evidence}
    assert SWARM.identity in {e for one in found for e in one.conversation.evidence}


def test_what_was_known_before_is_not_unknown() -> None:
    known = lived("young", "Warnings (May 1149)", "Ada heard of the flood in May 1149.")
    assert not of_form(drafts([*WORLD, known]), "before")


def test_in_chinese(monkeypatch) -> None:
    everything_to(monkeypatch, past=False)
    swarm = lived("young", "第一回 大蜂群（1905年5月）", "林小舟在1905年5月收了四十只蜂。", "lin")
    flood = lived("old", "第二回 山洪（1925年6月）", "林小舟在1925年6月丢了十二箱蜂。", "lin")
    found = drafts([swarm, flood], LIN)
    assert told(of_form(found, "before"), "stage") == [
        ("stage", "young", "一声也没听过。", (("other_stage", "我在1925年6月丢了十二箱蜂。"),), True),
        ("stage", "old", "我在1925年6月丢了十二箱蜂。", (("other_stage", "一声也没听过。"),), True),
    ]
    assert [one.conversation.stage for one in of_form(found, "same")] == ["young", "old"]
    asked = [one.conversation.prompt[0].content for one in of_form(found, "topic") if "山洪" in one.conversation.prompt[0].content]
    assert sorted(asked) == sorted(["老听人提到山洪，你会怎么说？", "请用你自己的话讲讲山洪。", "山洪的来龙去脉是什么？"])


# Twins ---------------------------------------------------------------------------------------------------


def asked_at(stage: str, answer: str, kind: str, *evidence: Material, held_out: bool = True) -> Conversation:
    messages = (Message(role="user", content="And the flood?"), Message(role="assistant", content=answer))
    return Conversation(
        persona="ada", stage=stage, kind=kind, messages=messages, group="g", held_out=held_out,
        evidence=tuple(one.identity for one in evidence),
    )  # fmt: skip


NOTHING, LOST = "What flood should that be, pray?", "It took twelve of my hives."


@pytest.mark.parametrize(
    ("kind", "late", "expected"),
    [("question", FLOOD, 2), ("question", SWARM, 0), ("opinion", SWARM, 2)],
    ids=["not yet known", "remembered", "opinion"],
)
def test_twins_whose_truth_must_differ(kind, late, expected) -> None:
    put = [asked_at("young", NOTHING, kind, SWARM), asked_at("old", LOST, kind, late)]
    found = list(twins(put, [ADA], WORLD))
    assert len(found) == expected
    if expected:
        assert told(found, "stage") == [
            ("stage", "young", NOTHING, (("other_stage", LOST),), True),
            ("stage", "old", LOST, (("other_stage", NOTHING),), True),
        ]


def test_trained_twins_are_no_test() -> None:
    put = [asked_at("young", NOTHING, "opinion", held_out=False), asked_at("old", LOST, "opinion", held_out=False)]
    assert list(twins(put, [ADA], WORLD)) == []


# Choosing ------------------------------------------------------------------------------------------------


def test_groups_come_whole_or_not_at_all() -> None:
    found = drafts(WORLD)
    everyone = {one.conversation.identity for one in found}
    some = test_sets.items(found, everyone, 4, 0)
    assert [item.set for item in some].count("paraphrase") == 3
    lost = next(one.conversation for one in found if one.set == "paraphrase")
    left = test_sets.items(found, everyone - {lost.identity}, 100, 0)
    assert lost.group not in {item.group for item in left}
    assert test_sets.items(found, everyone, 4, 0) == some


def test_the_examination_takes_groups_whole() -> None:
    def item(name: str, number: int, group: str) -> TestItem:
        return TestItem(
            id=f"{name}{number}", set=name, origin="constructed", persona="ada", stage="old", messages=(), reference="", group=group
        )

    found = [item("recall", n, "one") for n in range(3)] + [item("stage", n, f"g{n // 2}") for n in range(6)]
    assert [one.id for one in test_sets.first_of_each_set(found, 2)] == ["recall0", "recall1", "stage0", "stage1"]
    assert [one.id for one in test_sets.first_of_each_set(found, 3)] == ["recall0", "recall1", "recall2", "stage0", "stage1"]


def test_a_leak_takes_its_group_out_of_the_dataset() -> None:
    made = make([])
    group = [item for item in made.test if item.set == "paraphrase" and "the flood" in item.messages[0].content]
    assert len(group) == 3
    messages = (*group[0].messages, Message(role="assistant", content="It was in June."))
    leak = Conversation(persona="ada", stage="old", kind="question", messages=messages, evidence=(FLOOD.identity,))
    again = make([leak])
    assert not [item for item in again.test if item.group == group[0].group]
    assert "test question near a training question" in {one.reason for one in again.dropped}


def make(conversations) -> dataset.Dataset:
    return dataset.make_dataset(conversations, WORLD, [ADA], [], MixtureSettings(held_out_materials=0), 0, Checker([ADA], WORLD))
