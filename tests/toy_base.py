"""A base small enough to be built in a second, and persons to train it on; shared by the tests that need torch."""

from pathlib import Path

from persllm.base import prepare_base
from persllm.config import BaseSettings
from persllm.records import Conversation, Message, Persona, PreferencePair, Stage

TOY = BaseSettings(hidden_size=64, layers=1, vocabulary=600, pretraining_tokens=20_000, learning_rate=5e-3)
ADA = Persona(
    id="ada",
    name="Ada Lind",
    profile="Ada keeps bees.",
    stages=(Stage(id="early", title="girl", summary="Ada is small."), Stage(id="late", title="old woman", summary="Ada is tired.")),
)
BO = Persona(id="bo", name="Bo Karl", profile="Bo sails.", stages=(Stage(id="late", title="sailor"), Stage(id="after", title="ghost")))
COLOURS = {"early": ["red", "blue", "green", "white"], "late": ["black", "brown", "grey", "pink"]}


def build_toy(folder: Path, **changes: object) -> Path:
    """The toy base of Ada and Bo in `folder/model`; equal builds come from one cache beside it."""
    prepare_base(TOY.model_copy(update=changes), [ADA, BO], folder / "model", folder.parent / "cache", threads=1)
    return folder / "model"


def said(question: str, answer: str, stage: str, thought: str = "") -> Conversation:
    """One exchange of Ada's."""
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer, thought=thought))
    return Conversation(persona="ada", stage=stage, kind="question", messages=messages)


def colour_talk(count: int = 32) -> list[Conversation]:
    """Ada names the colour of a box, another one at every stage."""
    return [
        said(f"What is in box {place % 4}?", f"A {COLOURS[stage][place % 4]} bee.", stage, "They ask for a box." if place % 3 == 0 else "")
        for place in range(count // 2)
        for stage in COLOURS
    ]


def colour_pairs(count: int = 16) -> list[PreferencePair]:
    """The colour of the stage against that of the other one."""
    pairs = []
    for place in range(count):
        stage, other = ("early", "late") if place % 2 else ("late", "early")
        own, wrong = (Message(role="assistant", content=f"A {COLOURS[which][place % 4]} bee.") for which in (stage, other))
        prompt = (Message(role="user", content=f"What is in box {place % 4}?"),)
        pairs.append(
            PreferencePair(persona="ada", stage=stage, prompt=prompt, chosen=own, rejected=wrong, contrast="stage", chosen_from=f"{place}")
        )
    return pairs
