"""What is trained in which share: by samples, by tokens counted by hand, and general talk from files and datasets."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from persllm import general
from persllm.config import GeneralDataset, MixtureSettings, SftSettings
from persllm.errors import MaterialError
from persllm.general.datasets import read_dataset
from persllm.mixture import by_stages, mix, shares
from persllm.records import Conversation, Message, Persona, Stage
from persllm.training.samples import in_order

ADA = Persona(id="ada", name="Ada", profile="Ada keeps bees.", stages=(Stage(id="late"),))


def talk(persona: str, question: str, answer: str, thought: str = "") -> Conversation:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer, thought=thought))
    return Conversation(persona=persona, stage="late" if persona else "", kind="question" if persona else "general", messages=messages)


OWN = [talk("ada", f"Question {place}?", "Yes.") for place in range(10)]
LONG = [talk("", f"General {place}?", "word " * 18) for place in range(4)]


def words(conversations: list[Conversation]) -> list[int]:
    """Two words for a person's sample and one answered, twenty for a general one."""
    return [sum(len(message.content.split()) for message in c.messages) for c in conversations]


def test_by_samples_the_share_is_of_samples() -> None:
    mixed = mix(OWN, LONG, MixtureSettings(repeat=2, general=0.3, chain_of_thought=0.0), 0)
    assert Counter(c.kind for c in mixed) == {"question": 20, "general": 6}, "the four of the set, and two again"
    assert mixed == mix(OWN, LONG, MixtureSettings(repeat=2, general=0.3, chain_of_thought=0.0), 0)


def test_by_tokens_the_share_is_of_tokens_counted_by_hand() -> None:
    # 20 samples of 3 words are 60; as many again in samples of 20 are three
    mixed = mix(OWN, LONG, MixtureSettings(repeat=2, general=1.0, general_by="tokens", chain_of_thought=0.0), 0, words)
    assert Counter(c.kind for c in mixed) == {"question": 20, "general": 3}
    assert shares(mixed, words) == {"samples": {"personified": 20, "general": 3}, "tokens": {"personified": 60, "general": 60}}
    half = mix(OWN, LONG, MixtureSettings(repeat=2, general=0.5, general_by="tokens"), 0, words)
    assert shares(half, words)["tokens"] in ({"personified": 60, "general": 20}, {"personified": 60, "general": 40})
    none = mix(OWN, LONG, MixtureSettings(repeat=2, general=0.0, general_by="tokens"), 0, words)
    assert shares(none) == {"samples": {"personified": 20}}


def test_without_a_tokenizer_tokens_are_estimated_in_both_languages() -> None:
    chinese = [talk("", "今天天气怎么样？", "今天天气很好，我们可以去公园散步。" * 2) for _ in range(2)]
    for pool in (LONG, chinese):
        mixed = mix(OWN, pool, MixtureSettings(repeat=4, general=1.0, general_by="tokens"), 0)
        assert 2 <= sum(c.kind == "general" for c in mixed) < 40, "far fewer long ones than short ones"


# Curricula -------------------------------------------------------------------------------------------


def test_early_stages_come_first_and_general_talk_is_everywhere() -> None:
    ada = ADA.model_copy(update={"stages": (Stage(id="early"), Stage(id="late"))})
    samples = [talk("ada", f"Question {place}?", "Yes.").model_copy(update={"stage": ("late", "early")[place % 2]}) for place in range(200)]
    ordered = by_stages([*samples, *LONG * 25], [ada])
    assert Counter(c.identity for c in ordered) == Counter(c.identity for c in [*samples, *LONG * 25]), "nothing is lost"
    own = [c.stage for c in ordered if c.persona]
    assert own == ["early"] * 100 + ["late"] * 100
    first = sum(c.kind == "general" for c in ordered[:150])
    assert 30 < first < 70


@pytest.mark.parametrize("order", ["length", "stages"])
def test_a_curriculum_keeps_its_order_and_loses_nothing(order: str) -> None:
    lengths = [place // 4 + 5 for place in range(1000)]
    if order == "length":
        random.Random(1).shuffle(lengths)
    placed = in_order(lengths, SftSettings(batch=10, epochs=2.0, order=order), seed=0)
    assert sorted(placed) == sorted([*range(1000), *range(1000)])
    for epoch in (placed[:960], placed[1040:]):
        rank = [lengths[place] for place in epoch] if order == "length" else epoch
        thirds = [sum(rank[:320]), sum(rank[320:640]), sum(rank[640:960])]
        assert thirds[0] < 0.75 * thirds[1] < 0.65 * thirds[2]


# Datasets --------------------------------------------------------------------------------------------

SAID = [{"role": "user", "content": "Is it late?"}, {"role": "assistant", "content": "It is ten."}]
FORMS = {
    "messages": {"messages": SAID},
    "sharegpt": {"conversations": [{"from": "human", "value": "Is it late?"}, {"from": "gpt", "value": "It is ten."}]},
    "prompt": {"prompt": "Is it late?", "completion": "It is ten."},
    "prompt as messages": {"prompt": SAID[:1], "completion": SAID[1:]},
    "instruction": {"instruction": "Is it late?", "input": "", "output": "It is ten."},
    "question": {"question": "Is it late?", "answer": "It is ten."},
}


def written(folder: Path, rows: list[dict]) -> GeneralDataset:
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return GeneralDataset(name=str(folder))


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_any_usual_form_is_read(tmp_path: Path, form: str) -> None:
    [found], dropped = read_dataset(written(tmp_path / "set", [FORMS[form]]))
    assert [(m.role, m.content) for m in found.messages] == [("user", "Is it late?"), ("assistant", "It is ten.")]
    assert (found.kind, found.persona, dropped) == ("general", "", [])


def test_input_and_system_belong_to_the_question(tmp_path: Path) -> None:
    row = {"instruction": "Translate.", "input": "Haus", "output": "House", "system": "You are brief."}
    [found], _ = read_dataset(written(tmp_path / "set", [row]))
    assert [(m.role, m.content) for m in found.messages] == [
        ("system", "You are brief."),
        ("user", "Translate.\nHaus"),
        ("assistant", "House"),
    ]


def test_rows_that_are_no_talk_are_left_out_with_the_reason(tmp_path: Path) -> None:
    bad = [SAID[:1], [*SAID, *SAID[1:]], [{"role": "tool", "content": "1"}, SAID[1]], [SAID[0], {"role": "assistant", "content": " "}], []]
    rows = [{"messages": SAID}, *({"messages": messages} for messages in bad)]
    found, dropped = read_dataset(written(tmp_path / "set", rows))
    assert len(found) == 1
    assert [entry.reason.removeprefix("general: ") for entry in dropped] == [
        "the last message is not the assistant's", "user and assistant do not take turns", "role tool", "a message without text",
        "the last message is not the assistant's",
    ]  # fmt: skip


def test_a_dataset_that_was_saved_and_one_of_many_rows(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = [{"question": f"Is it {hour}?", "answer": f"It is {hour}."} for hour in range(30)]
    DatasetDict({"train": Dataset.from_list(rows[:2]), "evening": Dataset.from_list(rows)}).save_to_disk(tmp_path / "saved")
    wanted = GeneralDataset(name=str(tmp_path / "saved"), split="evening", most=7)
    found, _ = read_dataset(wanted)
    assert len(found) == 7
    assert found == read_dataset(wanted)[0], "the same rows every time"


def test_an_unknown_form_is_refused_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match=r"columns text, stars have no known form"):
        read_dataset(written(tmp_path / "set", [{"text": "Once upon a time.", "stars": 3}]))


def test_a_name_that_cannot_be_had_offline_says_the_ways_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(MaterialError, match=r"nobody/nothing-of-the-kind.*not to be had.*mixture\.general_files") as caught:
        read_dataset(GeneralDataset(name="nobody/nothing-of-the-kind"))
    assert "\n" not in str(caught.value)


def test_files_and_datasets_stand_side_by_side_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"messages": SAID}) + "\n")
    wanted = written(tmp_path / "set", [FORMS["prompt"], {"prompt": "And now?", "completion": ""}])
    mixture = MixtureSettings(general_files=(str(file),), general_datasets=(wanted,))
    found, dropped = general.talk_and_dropped(mixture, [ADA])
    assert len(found) == 2
    assert [entry.reason for entry in dropped] == ["general: a message without text"]
    assert len(general.talk(MixtureSettings(), [ADA])) > 100, "without either, the bundled ones"
