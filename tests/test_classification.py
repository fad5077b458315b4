"""Kinds of passages: by the source where it says so, by rules elsewhere, by a model if wanted; what is unsure says so."""

from pathlib import Path

import pytest

from persllm import classification
from persllm.chat import ScriptedModel
from persllm.classification import classify, classify_with
from persllm.materials import read_folder
from persllm.passages import Passage
from persllm.records import Persona, Stage

ADA = Persona(id="ada", name="Ada Bell", aliases=("Ada",), profile="Ada mends clocks.", stages=(Stage(id="all"),))
LIN = Persona(id="lin", name="林秋", language="zh", profile="林秋是钟匠。", stages=(Stage(id="all"),))
WORLD = Path(classification.__file__).parent / "world"
HELD_OUT = ("pell", "reyl", "fenn")
"""Persons on whom no weight was set."""


@pytest.mark.parametrize(
    ("passage", "kind", "sure"),
    [
        (Passage(text="Good day.", source="a:1", form="utterance", speaker="Ada"), "speech", True),
        (Passage(text="Good day.", source="a:1", form="message", speaker="Tom", to=("Ada Bell",)), "speech", True),
        (Passage(text="Good day.", source="a:1", form="utterance", speaker="Tom", to=("Eve",)), "knowledge", False),
        (Passage(text="Today it rained.", source="a:1", form="diary"), "speech", True),
        (Passage(text="In the winter of 1801 Ada lost her keys. She looked for them all night.", source="a:1"), "experience", True),
        (Passage(text="A clock has two hands. Each is driven by a wheel, and one is always longer.", source="a:1"), "knowledge", True),
    ],
)
def test_what_the_source_or_the_sentence_says(passage: Passage, kind: str, sure: bool) -> None:
    found = classify(passage, ADA)
    assert (found.kind, found.sure) == (kind, sure), found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("一九三二年冬天，林秋离开了家乡。他在城里找到了一间小铺，后来认识了师父。", "experience"),
        ("钟有两根指针，每根都要由齿轮带动。如果齿轮磨损，就必须更换。", "knowledge"),
    ],
)
def test_chinese(text: str, kind: str) -> None:
    found = classify(Passage(text=text, source="a:1"), LIN)
    assert (found.kind, found.sure) == (kind, True), found


def test_on_persons_whom_no_weight_was_set_on() -> None:
    right = sure = count = 0
    for name in HELD_OUT:
        folder = read_folder(WORLD / name)
        for material in folder.materials:
            if material.kind != "speech":
                found = classify(Passage(text=material.text, source=material.source), folder.persona)
                count += 1
                sure += found.sure
                right += found.sure and found.kind == material.kind
    print(f"sure of {sure} of {count}, right in {right} of these")
    assert count == 90
    assert sure / count > 0.8
    assert right / sure > 0.94


def test_a_model_is_asked_and_its_strange_answers_are_none() -> None:
    passages = [Passage(text=f"Text {n}.", source=f"a:{n}") for n in range(3)]
    model = ScriptedModel(["Experience.", "speech or knowledge", "knowledge"])
    found = dict(classify_with(model, passages, ADA))
    assert [found[n] and found[n].kind for n in range(3)] == ["experience", None, "knowledge"]
    assert "Text 0." in model.requests[0].messages[0].content
