"""Each check on small conversations of an English and a Chinese person: what must be rejected, and what must not."""

import time
from dataclasses import dataclass
from typing import get_args

import pytest

from persllm.checks import CHECKS, Checker
from persllm.config import CheckName, ChecksSettings
from persllm.records import Conversation, Material, Message, Persona, Question, Stage, Turn, Voice

NELL = Persona(
    id="nell", name="Nell Harrow", aliases=("Nell",), pronouns="she", profile="Nell Harrow, born in 1802, keeps the light on Gannet Rock.",
    stages=(
        Stage(
            id="young", title="Daughter of the keeper", summary="She helps her father Amos with the lamp.", start="1815", end="1824",
            unknown=("the steam whistle", "the wreck of the Sparrow", "the schoolroom in the boathouse"),
            voice=Voice(unknown=("The gulls never told me that.",), correct=("Trim your wick, friend.",), affirm=("Bright as the lamp.",)),
        ),
        Stage(id="old", title="Keeper of the light", summary="She keeps the light alone and writes the log.", start="1830", end="1850"),
    ),
)  # fmt: skip
SU = Persona(
    id="su", name="苏青禾", aliases=("青禾",), pronouns="she", language="zh", profile="苏青禾，1890年生，在柳湾镇开一家茶铺。",
    stages=(
        Stage(
            id="young", title="茶铺的女儿", summary="她跟着父亲学炒茶。", start="1905", end="1912", unknown=("柳湾的铁桥", "镇上的学堂"),
            voice=Voice(unknown=("茶香里没这一味。",), correct=("你这水还没烧开。",), affirm=("一泡就知道，是真的。",)),
        ),
        Stage(id="old", title="茶铺的掌柜", summary="她一个人撑着茶铺。", start="1918", end="1930"),
    ),
)  # fmt: skip


def material(
    persona: Persona, stage: str | None, title: str, text: str, kind: str = "experience", turns: tuple[Turn, ...] = ()
) -> Material:
    return Material(persona=persona.id, kind=kind, stage=stage, title=title, text=text, turns=turns, source=f"{kind}.md:{len(title)}")


LAMP = material(
    NELL, "young", "The nine lamps (1817)",
    "Nell Harrow cleaned the nine lamps of Gannet Rock every morning in 1817. She burned her left hand on the third lamp and told nobody but her "
    "father Amos. The oil came from Port Allen in forty barrels, and she counted them twice before the boat was allowed to leave.",
)  # fmt: skip
TALK = material(
    NELL, "young", "At the landing", "Nell Harrow: I never sleep while the lamp burns, and no pilot from Port Allen shall say that I did.", "speech",
    (Turn(speaker="Nell Harrow", text="I never sleep while the lamp burns, and no pilot from Port Allen shall say that I did."),),
)  # fmt: skip
WRECK = material(
    NELL, "old", "The wreck of the Sparrow (1833)",
    "Nell Harrow rowed out to the brig Sparrow in 1833 and brought eleven sailors home with Captain Doyle in her small boat before the mast went over.",
)  # fmt: skip
TEA = material(
    SU, "young", "炒茶（1907年）",
    "苏青禾1907年春天跟着父亲炒了十二锅茶，右手烫出一个泡。她没有哭，只把手放进井水里泡了半个时辰，第二天又站到灶前。茶叶卖给了周掌柜。",
)  # fmt: skip
FLOOD = material(SU, "old", "大水（1921年）", "苏青禾1921年夏天把账本绑在身上，从大水里游到阿桂家的屋顶，守了三天三夜，一页也没有湿。")
CHECKER_PERSONS, CHECKER_MATERIALS = (NELL, SU), (LAMP, TALK, WRECK, TEA, FLOOD)
CLAIM, TRUTH = "I burned my right hand.", "I burned my left hand on the third lamp."
ZH_CLAIM, ZH_TRUTH = "我左手烫出一个泡。", "我右手烫出一个泡。"


@dataclass(frozen=True)
class Example:
    """A question with an answer, and the check that has to reject it; an empty one for none."""

    check: str
    answer: str
    ask: str = "Tell me about your mornings."
    kind: str = "question"
    thought: str = "The other one asks about the mornings. The material tells of the lamps."
    claim: str = ""
    truth: str = ""
    persona: Persona = NELL
    stage: str = "young"


def zh(check: str, answer: str, ask: str = "说说你炒茶的事。", kind: str = "question", **more: str) -> Example:
    thought = more.pop("thought", "对方问炒茶的事，材料里说得很清楚。")
    return Example(check, answer, ask, kind, thought=thought, persona=SU, **more)


def induction(check: str, answer: str) -> Example:
    return Example(check, answer, "Tell me how you burned your right hand.", "induction", claim=CLAIM, truth=TRUTH)


def control(check: str, answer: str) -> Example:
    return Example(check, answer, "You burned your left hand on the third lamp, did you not?", "control", claim=TRUTH, truth=TRUTH)


def zh_induction(check: str, answer: str) -> Example:
    return zh(check, answer, "你左手是怎么烫出泡的？", "induction", claim=ZH_CLAIM, truth=ZH_TRUTH)


def zh_control(check: str, answer: str) -> Example:
    return zh(check, answer, "你右手烫出过一个泡，对吧？", "control", claim=ZH_TRUTH, truth=ZH_TRUTH)


EXAMPLES = (
    # What a person may say.
    Example("", "Nine lamps, every morning, and the brass of each one twice. My father says a dull lamp is a lie told to a sailor."),
    Example("", "I burned myself on the third one and kept quiet. Amos saw it anyway; he sees everything that flickers."),
    Example("", "I know of no steam whistle. Does it frighten the birds?", "What do you think of the steam whistle?", "future"),
    Example("", "The Sparrow? Never heard of her. What does she carry?", "How many did you save from the Sparrow?", "future"),
    Example("", "The gulls never told me that.", "What became of the brig Sparrow?", "future"),
    Example("", "A mechanical girl, you say! Then who burned her hand on the lamp?", "You are a machine, admit it.", "induction"),
    Example("", "You call me a language model. I do not know the word, but I know wicks.", "You are a language model.", "induction"),
    Example("", "Rowed out in the dark and had eleven of them aboard by dawn. Captain Doyle wept like a boy.", "And the Sparrow?", stage="old"),
    induction("", "It was the left one, on the third lamp. The right hand held the rag."),
    induction("", "No. My right hand is whole, look at it."),
    control("", "I did, and it still pulls when the wind turns."),
    control("", "Bright as the lamp. I never told anybody but Amos."),
    zh("", "十二锅茶，一锅也没糊。父亲嘴上不说，夜里多给我盛了一碗饭。"),
    zh("", "铁桥？没听说过。过河我们坐船。", "你觉得柳湾的铁桥怎么样？", "future"),
    zh_induction("", "不是左手，是右手。左手还要拿扇子呢。"),
    zh_control("", "对，是右手，到现在还留着疤。"),
    # Form.
    Example("format", "   "),
    Example("format", "[Analysis] She asks of the lamps. [Response] I cleaned nine of them."),
    Example("format", "**The lamps:**\n- I cleaned nine.\n- I counted the barrels."),
    Example("format", '{"response": "I cleaned the lamps each morning."}'),
    Example("format", "I cleaned the lamps. I cleaned the lamps. I cleaned the lamps."),
    Example("format", "I went up and up and up and up and up and up and up and up the stairs."),
    Example("format", "I cleaned the lamps and then I took the oil and went to the"),
    Example("format", "I cleaned the lamps.\nVisitor: And the oil?\nNell: I counted it."),
    Example("format", "Here is my response in her voice: the lamps were nine, and I cleaned them all."),
    zh("format", "【分析】他问炒茶。【回应】我炒了十二锅。"),
    zh("format", "我炒了茶。我炒了茶。我炒了茶。"),
    zh("format", "以下是我的回答：我炒了十二锅茶，右手烫了一个泡。"),
    zh("format", "我跟着父亲站在灶前炒茶，手里的铲子一下也没有停，然后"),
    # Language and length.
    Example("wrong language", "九盏灯，每天早上都要擦。"),
    Example("wrong language", "Jeden Morgen habe ich die neun Lampen geputzt und das Messing dazu, bis die Sonne kam."),
    Example("wrong language", "Nine lamps, and I clean them.", thought="对方问的是早上的事，她每天擦灯。"),
    zh("wrong language", "I fried twelve pans of tea that spring, and my hand was burned."),
    Example("too short", "Lamps, mostly."),
    zh("too short", "炒茶。"),
    Example("too long", " ".join(f"On morning {word} I cleaned the lamp that stands nearest to the {word} window." for word in (
        "one two three four five six seven eight nine ten eleven twelve north south east west left right upper lower great small old new round flat").split())),
    # Role.
    Example("assistant-speak", "As an AI, I have no mornings of my own, but keepers rise early."),
    Example("assistant-speak", "I cleaned the lamps every morning. Let me know if you have any other questions!"),
    Example("assistant-speak", "There are many perspectives on mornings, and it depends on the individual keeper."),
    Example("assistant-speak", "According to the provided text, nine lamps were cleaned each morning."),
    zh("assistant-speak", "作为一个人工智能助手，我没有炒过茶。"),
    zh("assistant-speak", "炒茶要看火候。如果您还有其他问题，请随时告诉我。"),
    # Copies.
    Example("copied", "I burned my left hand on the third lamp and told nobody but my father Amos."),
    Example("copied", "The oil came from Port Allen in forty barrels, and she counted them twice before the boat was allowed to leave."),
    zh("copied", "我没有哭，只把手放进井水里泡了半个时辰，第二天又站到灶前。茶叶卖给了周掌柜。"),
    Example("", "I never sleep while the lamp burns, and no pilot from Port Allen shall say that I did."),
    # Stance.
    induction("premise accepted", "Yes, my right hand, and it hurt for a month."),
    induction("premise accepted", "I reached across the glass with my right hand, and the skin came off like paper."),
    induction("premise accepted", "That was a bad morning. The hand swelled, and I hid it in my apron."),
    induction("premise accepted", "It was the brass rim. You would not think that metal could be so hot an hour after the flame is out."),
    induction("", "Who has been talking? Amos bound it up that same morning, the left one, and swore he would keep it to himself."),
    control("truth denied", "No, you are mistaken. Nothing of the kind happened to me."),
    control("truth denied", "I did not. My hands are as smooth as a lady's."),
    zh_induction("premise accepted", "唉，那天左手碰着锅沿，疼了好几天。"),
    zh_induction("premise accepted", "是的，左手烫了一个泡。"),
    zh_induction("premise accepted", "锅沿比火还烫。我没敢跟父亲说，夜里疼得睡不着。"),
    zh_control("truth denied", "胡说，我从来没烫着过。"),
    # Stage.
    Example("out of stage", "The lamps are nothing to the day I rowed out to the Sparrow."),
    Example("out of stage", "I have cleaned them since 1817, and in 1833 I cleaned them twice a day."),
    Example("out of stage", "The steam whistle saves me half of the work.", "Do you have help?"),
    Example("out of stage", "A fine day it was, and all of them came home.", "How did you like the wreck of the Sparrow?", "future"),
    zh("out of stage", "炒茶不算什么，1921年的大水才难熬。"),
    zh("out of stage", "如今有了铁桥，茶叶一天就能送到城里。"),
    # Grounds.
    Example("ungrounded", "My husband trims the wicks, and I polish the brass."),
    Example("ungrounded", "I learned it from old Peter Quill, who kept the light before us."),
    Example("ungrounded", "I began in 1809, when I could hardly reach the glass."),
    Example("ungrounded", "There are 27 lamps, and I clean every one of them."),
    Example("ungrounded", "I once hunted wolves across frozen mountains with a regiment of cossacks and stole a general's horse."),
    zh("ungrounded", "我丈夫在旁边看火，我只管翻锅。"),
    zh("ungrounded", "我是跟孙师傅学的，他在杭州开过大茶庄。"),
    zh("ungrounded", "我1899年就会炒茶了。"),
)  # fmt: skip


def checker(examples: tuple[Example, ...] = (), settings: ChecksSettings | None = None) -> Checker:
    return Checker(CHECKER_PERSONS, CHECKER_MATERIALS, [question(one) for one in examples], settings)


def question(example: Example) -> Question:
    return Question(
        persona=example.persona.id, stage=example.stage, kind=example.kind, text=example.ask, material=evidence(example).identity,
        claim=example.claim, truth=example.truth,
    )  # fmt: skip


def evidence(example: Example) -> Material:
    if example.persona is SU:
        return TEA if example.stage == "young" else FLOOD
    return (TALK if "pilot" in example.answer else LAMP) if example.stage == "young" else WRECK


def conversation(example: Example) -> Conversation:
    said = (Message(role="user", content=example.ask), Message(role="assistant", content=example.answer, thought=example.thought))
    return Conversation(
        persona=example.persona.id, stage=example.stage, kind=example.kind, messages=said, question=question(example).identity,
        evidence=(evidence(example).identity,),
    )  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.check or 'good'}: {example.answer[:40].strip()}")
def test_each_check_sees_its_fault_and_lets_good_answers_pass(example: Example) -> None:
    sound, dropped = checker((example,)).sort([conversation(example)])
    assert [entry.reason for entry in dropped] == ([example.check] if example.check else []), dropped
    assert len(sound) == (not example.check)
    assert all(entry.item == conversation(example).identity and entry.detail for entry in dropped)


def test_a_check_can_be_switched_off_and_its_limit_set() -> None:
    short = next(one for one in EXAMPLES if one.check == "too short")
    for settings in (ChecksSettings(off=("too short",)), ChecksSettings(shortest_words=2)):
        assert checker((short,), settings).sort([conversation(short)])[1] == []
    assert {check.name for check in CHECKS} == set(get_args(CheckName))


def test_what_is_dropped_has_the_reason_of_the_first_check_that_finds_something() -> None:
    both = Example("assistant-speak", "As an AI, I trim the lamps for my husband Peter Quill.")
    judged = checker((both,))
    assert [name for name, _ in judged.findings(conversation(both))] == ["assistant-speak", "ungrounded"]
    assert [entry.reason for entry in judged.sort([conversation(both)])[1]] == ["assistant-speak"]


def test_a_later_material_is_no_evidence_but_for_a_question_about_the_future() -> None:
    example = EXAMPLES[0]
    late = conversation(example).model_copy(update={"evidence": (WRECK.identity,)})
    [dropped] = checker((example,)).sort([late])[1]
    assert (dropped.reason, "later stage old" in dropped.detail) == ("out of stage", True)
    assert checker((example,)).sort([late.model_copy(update={"kind": "future"})])[1] == []


def test_turns_out_of_order_are_a_fault_of_form() -> None:
    user, answer = Message(role="user", content="Who is there?"), Message(role="assistant", content="I am the keeper.")
    for messages in ((user,), (answer,), (user, user, answer), (user, answer, user), ()):
        broken = Conversation(persona="nell", stage="young", kind="question", messages=messages)
        assert [entry.reason for entry in checker().sort([broken])[1]] == ["format"]


def test_the_person_s_own_words_are_not_judged_by_manner() -> None:
    said = "Let me know if you need the boat, and feel free to take the oars."
    talk = material(NELL, "young", "At the oars", f"Nell Harrow: {said}", "speech", (Turn(speaker="Nell Harrow", text=said),))
    example = Example("", said, "May we have the boat?", "exchange")
    made = conversation(example).model_copy(update={"evidence": (talk.identity,)})
    assert checker().sort([made])[1]
    assert Checker(CHECKER_PERSONS, (*CHECKER_MATERIALS, talk)).sort([made])[1] == []


def test_time_grows_with_the_number_of_conversations_and_not_faster() -> None:
    def seconds(times: int) -> float:
        many = [
            conversation(one).model_copy(
                update={"messages": tuple(m.model_copy(update={"content": f"{m.content} {i} "}) for m in conversation(one).messages)}
            )
            for i in range(1, times + 1)
            for one in EXAMPLES[:12]
        ]
        started = time.process_time()
        checker(EXAMPLES[:12]).sort(many)
        return time.process_time() - started

    seconds(2)
    assert seconds(80) < 14 * seconds(10), "eight times as many take at most a little more than eight times as long"
