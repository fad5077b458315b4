"""Batches that grow and shrink while they are written, and pieces that add up to the whole."""

import random

import pytest
from toy_base import build_toy

from persllm.base import LocalModel
from persllm.records import Message, Piece, Request, Sampling
from persllm.rendering import prompts_to_ids
from persllm.thought import parted
from persllm.writing import Writing


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.load(build_toy(tmp_path_factory.mktemp("generation") / "toy"), threads=1)


def requests(count: int) -> list[Request]:
    """Questions of several lengths with several lengths of answers, greedy and drawn."""
    return [
        Request(
            messages=(Message(role="user", content=f"Number {place}? " + "Tell me of the sea. " * (place % 4)),),
            persona="ada",
            stage="late",
            sampling=Sampling(max_tokens=3 + place % 7, temperature=float(place % 2), seed=place),
        )
        for place in range(count)
    ]


def test_who_joins_late_gets_the_same_answer(model: LocalModel) -> None:
    asked = requests(12)
    prompts = prompts_to_ids(model.tokenizer, asked)
    alone = [model.generate([prompt], [request])[0] for prompt, request in zip(prompts, asked, strict=True)]
    dice, batch, rows, waiting = random.Random(1), model.batch(), {}, list(range(12))
    while waiting or batch.busy:
        joining = [waiting.pop(0) for _ in range(min(len(waiting), dice.randrange(3)))]
        assert batch.joinable
        rows.update(zip(joining, batch.admit([prompts[p] for p in joining], [asked[p] for p in joining]), strict=True))
        if batch.busy:
            batch.step()
    assert [rows[place].written for place in range(12)] == alone


def test_who_leaves_frees_the_place_and_disturbs_nobody(model: LocalModel) -> None:
    asked = [request.model_copy(update={"sampling": Sampling(max_tokens=9)}) for request in requests(4)]
    prompts = prompts_to_ids(model.tokenizer, asked)
    alone = model.generate(prompts, asked)
    batch = model.batch()
    rows = batch.admit(prompts, asked)
    batch.step()
    for row in rows[:2]:
        row.left = True
    while batch.busy:
        batch.step()
        assert len(batch.rows) <= 2
    assert [len(row.written) for row in rows[:2]] == [1, 1]
    assert [row.written for row in rows[2:]] == alone[2:]


@pytest.mark.parametrize(
    "text",
    [
        "I bake bread.", "[Analysis] They ask. [Response] I bake bread.", "[分析] 他问。 [回应] 我烤面包。",
        "  [Analysis] no end", "[Anal", "[ a bracket", "naïve 面包 🍞 end", "", "one\n\ntwo  three ",
    ],
)  # fmt: skip
def test_pieces_add_up_to_the_whole(model: LocalModel, text: str) -> None:
    writing, tokens = Writing(model.tokenizer), model.tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = [piece for token in tokens if (piece := writing.add(token))] + [piece for piece in [writing.end()] if piece]
    together = ("".join(piece.thought for piece in pieces), "".join(piece.text for piece in pieces))
    assert together == parted(model.tokenizer.decode(tokens))
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert (together[1] == "" or "[Res" not in together[0]) or "[Response]" not in text


def test_a_stop_is_never_told_in_part(model: LocalModel) -> None:
    writing = Writing(model.tokenizer, stops=["STOP", "never"])
    told: list[Piece] = []
    for token in model.tokenizer("I bake ST and STOP more", add_special_tokens=False)["input_ids"]:
        if (piece := writing.add(token)) is not None:
            told.append(piece)
        if writing.stopped:
            break
    assert "".join(piece.text for piece in told) == "I bake ST and"
