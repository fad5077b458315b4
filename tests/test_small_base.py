"""The bundled base and its nursery: nothing of the bundled world, everything kept, complete or absent."""

import re
from pathlib import Path

import pytest
from toy_base import TOY
from transformers import AutoTokenizer

from persllm import general
from persllm.nursery import Nurse, nursery, words
from persllm.small_base import endless_batches, ensure_small_base, lessons, rate_at

WORLD = Path(general.__file__).parent.parent / "world"
SIGNS = re.compile(r"\b[A-Z][a-z]+\b")


def test_the_nursery_is_the_same_for_one_seed_and_another_for_another() -> None:
    assert nursery(20, seed=3) == nursery(20, seed=3) != nursery(20, seed=4)


def test_every_nursery_conversation_can_be_trained_on() -> None:
    for conversation in nursery(2000, seed=0):
        roles = [message.role for message in conversation.messages if message.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message.content and "{" not in message.content for message in conversation.messages)


def test_right_claims_are_confirmed_and_wrong_ones_corrected_from_what_was_told() -> None:
    nurse = Nurse(0)
    for _ in range(300):
        little = nurse.little()
        told = {doing.clause for doing in little.doings}
        for ask, openings in ((nurse.true_claim, words().affirm), (nurse.false_claim, words().deny)):
            question, answer = ask(little)
            opening = next(opening for opening in sorted(openings, key=len, reverse=True) if answer.startswith(opening))
            fact = answer.removeprefix(opening).removeprefix(" I ").removesuffix(".")
            assert fact in told
            claimed = [part for doing in little.doings for part in (doing.town, doing.year, doing.friend) if part and part in question]
            named = set(re.findall(r"\b\d{4}\b", question))
            if ask == nurse.true_claim:
                assert named <= {year for doing in little.doings for year in re.findall(r"\d{4}", doing.year)}
            else:
                assert any(value and value not in question for value in re.split(r" in | with ", fact)) or not claimed


def test_no_name_of_the_bundled_world_is_in_the_nursery() -> None:
    inside = [
        re.findall(r"(?<![.?!:\"] )(?<!^)\b[A-Z][a-z]{2,}\b", file.read_text(encoding="utf-8"), re.M)
        for file in WORLD.rglob("*.*")
        if file.is_file()
    ]
    names = {name for found in inside for name in found}
    assert {"Tolk", "Kelmar", "Sennoway"} <= names
    own = {name for group in (words().first_she, words().first_he, words().last, words().town) for text in group for name in text.split()}
    assert own & names == set()


def test_a_tenth_of_the_general_conversations_is_kept_away() -> None:
    everything = general.read_general(general.bundled_files({"en", "zh"}))
    held = [conversation for conversation in everything if general.is_held_out(conversation)]
    assert 0.07 < len(held) / len(everything) < 0.13
    assert not {conversation.identity for conversation in lessons(TOY, 0)} & {conversation.identity for conversation in held}


def test_it_is_built_once_and_again_for_other_settings(tmp_path: Path) -> None:
    first = ensure_small_base(TOY, tmp_path, threads=1)
    before = (first / "model.safetensors").stat().st_mtime_ns
    assert ensure_small_base(TOY, tmp_path, threads=1) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == before
    other = ensure_small_base(TOY.model_copy(update={"pretraining_tokens": 4_000}), tmp_path, threads=1)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted([first.name, other.name])


def test_any_text_can_be_written_and_roles_are_single_tokens(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ensure_small_base(TOY, tmp_path, threads=1))
    for text in ("In 1147, „so“ — said she.", "你是谁？", "a  b\n\tc 🜚"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    talk = [{"role": "user", "content": "a"}]
    ids = tokenizer.apply_chat_template(talk, add_generation_prompt=True)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|user|>", "a", "<|end|>", "<|assistant|>"]


def test_batches_are_of_like_length_and_every_row_comes_once_in_a_pass() -> None:
    rows = [[place] * (5 + 40 * (place % 7)) for place in range(210)]
    batches = endless_batches(rows, seed=0)
    seen: list[int] = []
    while len(seen) < len(rows):
        batch = next(batches)
        assert len(batch) * max(map(len, batch)) <= 2048
        seen += [row[0] for row in batch]
    assert sorted(seen) == list(range(210))


@pytest.mark.parametrize("steps", [1, 20, 400])
def test_the_rate_rises_to_its_peak_and_falls_to_a_tenth(steps: int) -> None:
    rates = [rate_at(step, steps) for step in range(steps)]
    assert max(rates) == 1.0
    assert steps == 1 or rates[-1] == pytest.approx(0.1, abs=0.02)
