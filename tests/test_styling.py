"""General talk in a person's voice: what a model makes of it, what rules make of it, and what is trained."""

import json
from pathlib import Path

import pytest
from fake_server import FakeServer, plausible
from test_construct_llm import ADA, MATERIALS

from persllm import general, styling
from persllm.chat import ApiModel, ScriptedModel
from persllm.config import MixtureSettings
from persllm.construct_llm.scene import Scene
from persllm.constructor_settings import ApiSettings, ConstructorSettings
from persllm.errors import ConfigError
from persllm.general import bundled_files, is_held_out, read_general
from persllm.mixture import mix
from persllm.records import Conversation, Message, Voice
from persllm.store import StepFolder

TALK = read_general(bundled_files({"en", "zh"}))
VOICE = Voice(affirm=("By my mould, yes.",), correct=("Never.",), unknown=("Not in my foundry.",))
SPOKEN = ADA.model_copy(update={"stages": tuple(stage.model_copy(update={"voice": VOICE}) for stage in ADA.stages)})
SETTINGS = ConstructorSettings(engine="llm", subjective_words=40)


def task(asked: str = "Is the sky blue?", answer: str = "Yes, on a clear day it is.", stage: str = "early") -> styling.Task:
    said = (Message(role="user", content=asked), Message(role="assistant", content=answer))
    return styling.Task(persona="ada", stage=stage, general=Conversation(persona="", stage="", kind="general", messages=said))


def told(reply: dict | str, *more: str) -> tuple[list[Conversation], list[str], ScriptedModel]:
    model = ScriptedModel([reply if isinstance(reply, str) else json.dumps(reply), *more])
    [(_, (made, dropped))] = styling.LlmStylist(Scene(ADA, MATERIALS, SETTINGS), model).restyled([task()])
    return made, [entry.reason for entry in dropped], model


def test_an_answer_is_told_anew_at_the_stage_and_from_how_the_person_talks() -> None:
    [made], dropped, model = told({"known": True, "text": "Blue it is, when the smoke lets you see."})
    assert dropped == []
    assert (made.persona, made.stage, made.kind, made.form) == ("ada", "early", "general", "restyled")
    assert [m.content for m in made.messages] == ["Is the sky blue?", "Blue it is, when the smoke lets you see."]
    system = model.requests[0].messages[0].content
    assert "is: Apprentice." in system
    assert "Dry as a sermon" in system
    assert "cast her first bell" not in system
    assert json.loads(model.requests[0].json_schema)["required"] == ["known", "text"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"known": False, "text": "Yes, on a clear day it is, they say."}, "declined, and yet answered"),
        ({"known": True, "text": "Yes, on a clear day it is."}, "not told anew"),
        ({"known": True, "text": "As an AI, I see no sky."}, "assistant-speak"),
        ({"known": True, "text": "晴天的时候天是蓝的。"}, "wrong language"),
        ({"known": True, "text": " "}, "empty"),
    ],
)
def test_what_is_no_good_is_dropped_with_its_reason(reply: dict, reason: str) -> None:
    assert told(reply)[:2] == ([], [reason])


def test_a_form_is_mended_once() -> None:
    assert told("Blue.", '{"known": false, "text": "Ask a painter."}')[0][0].form == "declined"
    assert told("Blue.", "Blue!")[1] == ["format"]


def test_rules_change_a_yes_or_no_and_decline_what_comes_later_and_nothing_else() -> None:
    stylist = styling.PlainStylist(SPOKEN)
    assert stylist.told(task()).answer.content == "By my mould, yes. On a clear day it is."
    assert stylist.told(task(answer="No, it is grey.")).answer.content == "Never. It is grey."
    declined = stylist.told(task("What happened in 1969?", "People walked on the moon."))
    assert (declined.answer.content, declined.form) == ("Not in my foundry.", "declined")
    assert stylist.told(task("How high is it?", "Very high.")) is None
    assert stylist.told(task("Well?", "Yes.")) is None


def test_rules_need_a_voice_and_mixing_needs_something_to_mix() -> None:
    with pytest.raises(ConfigError, match=r"ada: constructor\.stylised needs `voice` in persona\.yaml"):
        styling.check_settings([ADA], ConstructorSettings(stylised=3), MixtureSettings())
    with pytest.raises(ConfigError, match=r"mixture\.stylised needs constructor\.stylised, .* found 0"):
        styling.check_settings([SPOKEN], ConstructorSettings(), MixtureSettings(stylised=0.1))
    styling.check_settings([SPOKEN], ConstructorSettings(stylised=3), MixtureSettings(stylised=0.1))


def test_the_step_writes_a_training_set_of_its_own_and_goes_on(tmp_path: Path) -> None:
    answers = StepFolder(tmp_path / "3-answers")
    assert styling.stylised_of(answers) == []
    with FakeServer(answer=plausible) as server:
        chosen = ConstructorSettings(engine="llm", api=ApiSettings(url=server.url, model="fake"))
        stylists = {"ada": styling.LlmStylist(Scene(ADA, MATERIALS, chosen), ApiModel(chosen.api))}
        number = styling.fill(answers, stylists, [ADA], TALK, 6)
        calls = server.requests
        assert styling.fill(answers, stylists, [ADA], TALK, 6) == number
        assert server.requests == calls == 12
    found = styling.stylised_of(answers)
    assert len(found) == number == 12
    assert {(c.persona, c.stage, c.form) for c in found} == {("ada", s, f) for s in ("early", "late") for f in ("restyled", "declined")}
    asked = {c.messages[0].content for c in found}
    assert not asked & {c.messages[0].content for c in TALK if is_held_out(c)}


def test_stylised_talk_is_mixed_in_by_its_share_alone() -> None:
    own = [task(f"Question {i}?").general.model_copy(update={"persona": "ada", "stage": "early", "kind": "question"}) for i in range(20)]
    anew = [styling.conversation_of(task(f"Thing {i}?"), f"Hm {i}.", known=True) for i in range(4)]
    plain = general.talk(MixtureSettings(), [ADA])[:5]
    mixed = mix(own, [*plain, *anew], MixtureSettings(repeat=2, general=0.25, stylised=0.2), 0)
    assert len([c for c in mixed if c.kind == "question"]) == 40
    assert len([c for c in mixed if c.kind == "general" and not c.persona]) == 10
    assert len([c for c in mixed if c.form == "restyled"]) == 8
    assert not [c for c in mix(own, [*plain, *anew], MixtureSettings(), 0) if c.form == "restyled"]
