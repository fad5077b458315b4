"""The stage base, and the local model: equal answers in any company, likelihoods exact under padding."""

import filecmp
from pathlib import Path

import pytest
import torch
from toy_base import ADA, BO, TOY, build_toy, said
from transformers import AutoModelForCausalLM, AutoTokenizer

from persllm.base import LocalModel, prepare_base
from persllm.config import BaseSettings
from persllm.errors import BaseModelError
from persllm.generation import draw
from persllm.marking import descriptions, mark
from persllm.records import Message, Request, Sampling
from persllm.templates import ROLE_LINES

QUESTIONS = ["Who are you?", "What is bread, and who bakes it in the night?", "Why?", "Tell me about the sea and the wind.", "No!"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy(tmp_path_factory.mktemp("base") / "toy")


@pytest.fixture(scope="module")
def model(toy: Path) -> LocalModel:
    return LocalModel.load(toy, threads=1)


def asked(sampling: Sampling | None = None) -> list[Request]:
    """The questions, to nobody and to Ada at both stages."""
    places = [{}, {"persona": "ada", "stage": "early"}, {"persona": "ada", "stage": "late", "analysis": True}]
    return [
        Request(messages=(Message(role="user", content=text),), sampling=sampling or Sampling(max_tokens=12), **place)
        for text in QUESTIONS
        for place in places
    ]


def test_greedy_answers_do_not_depend_on_the_batch(model: LocalModel) -> None:
    alone = [next(iter(model.replies([request])))[1] for request in asked()]
    for batch in (1, 4, 64):
        assert [reply for _, reply in sorted(model.replies(asked(), batch=batch), key=lambda pair: pair[0])] == alone


def test_drawn_answers_depend_on_seed_and_question_alone(model: LocalModel) -> None:
    def answers(seed: int, requests: slice = slice(None)) -> list[str]:
        drawn = asked(Sampling(temperature=1.0, top_p=0.9, max_tokens=12, seed=seed))[requests]
        return [reply.text for _, reply in sorted(model.replies(drawn), key=lambda pair: pair[0])]

    assert answers(1) == answers(1)
    assert answers(1)[7:9] == answers(1, slice(7, 9))
    assert answers(1) != answers(2)


def test_rows_of_one_batch_keep_their_own_sampling(model: LocalModel) -> None:
    greedy, warm = asked(Sampling(max_tokens=12)), asked(Sampling(temperature=1.5, max_tokens=5, seed=3))
    together = dict(model.replies([*greedy, *warm]))
    assert [together[place] for place in range(len(greedy))] == [
        reply for _, reply in sorted(model.replies(greedy), key=lambda pair: pair[0])
    ]
    assert all(together[place].usage.completion_tokens <= 5 for place in range(len(greedy), 2 * len(greedy)))


def test_top_p_leaves_the_unlikely_out() -> None:
    class Loaded:
        temperature, top_p = 1.0, 0.75

        def __init__(self, number: float):
            self.number = number

        def roll(self) -> float:
            return self.number

    chances = torch.tensor([[0.2, 0.5, 0.1, 0.2]]).log()
    drawn = [draw(chances, [Loaded(number)])[0] for number in (0.0, 0.55, 0.6, 0.75, 0.99)]
    assert drawn == [1, 1, 0, 0, 3], "0.5 + 0.2 is less than 0.75, so the third is in and the last is out"


def test_a_stopped_answer_is_told_from_a_cut_one(toy: Path) -> None:
    model = LocalModel.load(toy, threads=1)
    request = asked()[0]
    model.stops = set()
    [whole] = model.generate([[7, 8, 9]], [request])
    assert len(whole) == 12
    model.stops = {whole[4]}
    [stopped] = model.generate([[7, 8, 9]], [request])
    assert stopped == whole[: whole.index(whole[4]) + 1]
    assert (model.reply(stopped, 3).finish, model.reply(whole[: whole.index(whole[4])], 3).finish) == ("stop", "length")


def test_a_request_too_long_for_the_model_gets_an_error_and_the_others_an_answer(model: LocalModel) -> None:
    long = Request(messages=(Message(role="user", content="bee " * 2000),), sampling=Sampling(max_tokens=4))
    replies = dict(model.replies([asked()[0], long, asked()[1]]))
    assert [replies[place].finish == "error" for place in range(3)] == [False, True, False]
    assert "1024" in replies[1].error
    with pytest.raises(BaseModelError, match="1024"):
        model.log_likelihoods([long], ["Yes."])


def test_likelihoods_are_exact_under_padding(model: LocalModel) -> None:
    answers = ["Yes.", "I am Ada, and I keep the bees behind the house.", "No <|end|> at all.", ""] * 4
    requests = asked()[:15] + asked()[:1]
    together = model.log_likelihoods(requests, answers, batch=16)
    for request, answer, one in zip(requests, answers, together, strict=True):
        [alone] = model.log_likelihoods([request], [answer])
        assert one.tokens == alone.tokens
        assert one.total == pytest.approx(alone.total, abs=1e-4)


def test_what_all_prompts_begin_with_is_read_once_and_changes_nothing(model: LocalModel) -> None:
    profile = Message(role="system", content="You are Ada Lind. Ada keeps bees behind the house, and she never sleeps before noon. " * 3)
    requests = [request.model_copy(update={"messages": (profile, *request.messages)}) for request in asked()[::3]]
    seen: list[int] = []
    handle = model.model.base_model.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    together = [reply for _, reply in sorted(model.replies(requests), key=lambda pair: pair[0])]
    likely = [one.total for one in model.log_likelihoods(requests, ["I keep bees."] * 5)]
    handle.remove()
    assert together == [next(iter(model.replies([request])))[1] for request in requests]
    assert likely == pytest.approx([model.log_likelihoods([request], ["I keep bees."])[0].total for request in requests], abs=1e-4)
    whole = sum(reply.usage.prompt_tokens for reply in together)
    assert seen[0] + seen[1] < whole / 2


def test_a_likelihood_is_what_the_model_itself_says(model: LocalModel) -> None:
    request, answer = asked()[1], "I am Ada."
    prompt = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTIONS[0]}], add_generation_prompt=True, persona="ada", stage="early"
    )["input_ids"]
    whole = torch.tensor([[*prompt, *model.tokenizer(answer)["input_ids"], model.tokenizer.eos_token_id]])
    with torch.no_grad():
        logits = model.model(whole).logits.log_softmax(-1)
    expected = sum(logits[0, place - 1, whole[0, place]].item() for place in range(len(prompt), whole.shape[1]))
    [found] = model.log_likelihoods([request], [answer])
    assert (found.total, found.tokens) == (pytest.approx(expected, abs=1e-4), whole.shape[1] - len(prompt))


def test_progress_ends_at_the_number_of_requests(model: LocalModel) -> None:
    seen: list[tuple[int, int]] = []
    list(model.replies(asked(), batch=4, progress=lambda done, total: seen.append((done, total))))
    model.log_likelihoods(asked(), ["Yes."] * 15, batch=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 15), (8, 15), (12, 15), (15, 15)] * 2


# The stage base ------------------------------------------------------------------------------------------


def test_rows_of_stages_begin_as_the_mean_of_their_words(toy: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(toy), AutoModelForCausalLM.from_pretrained(toy)
    rows = model.get_input_embeddings().weight
    text = descriptions([ADA, BO])["<|stage:ada-late|>"]
    assert text == "old woman Ada is tired."
    assert torch.allclose(rows[tokenizer.convert_tokens_to_ids("<|stage:ada-late|>")], rows[tokenizer(text)["input_ids"]].mean(0))
    assert model.get_output_embeddings().weight is rows


def test_spare_rows_are_used_and_never_cut(toy: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(toy), AutoModelForCausalLM.from_pretrained(toy)
    model.resize_token_embeddings(700, mean_resizing=False)
    mark(model, tokenizer, [ADA, BO.model_copy(update={"stages": (ADA.stages[0].model_copy(update={"id": "new"}),)})], "new")
    assert model.get_input_embeddings().weight.shape[0] == 700
    assert len(tokenizer) == 606


def test_two_builds_agree_to_the_byte(tmp_path: Path) -> None:
    one, two = (build_toy(tmp_path / name / "toy", pretraining_tokens=5_000) for name in ("one", "two"))
    names = [file.name for file in one.iterdir()]
    assert filecmp.cmpfiles(one, two, names, shallow=False) == (names, [], [])


def test_without_stage_tokens_the_vocabulary_stays_as_it_is(tmp_path: Path, toy: Path) -> None:
    prepare_base(BaseSettings(model=str(toy), stage_tokens="text"), [ADA], tmp_path / "plain", tmp_path, threads=1)
    plain = AutoTokenizer.from_pretrained(tmp_path / "plain")
    assert len(plain) == len(AutoTokenizer.from_pretrained(toy))


@pytest.mark.parametrize("name", ["nobody/no-such-model", "/no/such/folder"])
def test_a_missing_base_is_named_with_the_ways_on(tmp_path: Path, name: str) -> None:
    with pytest.raises(BaseModelError) as caught:
        prepare_base(BaseSettings(model=name), [ADA], tmp_path / "model", tmp_path)
    assert name in str(caught.value)
    assert "base.model=small" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_a_folder_without_a_model_is_a_missing_base(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BaseModelError, match="empty"):
        LocalModel.load(tmp_path / "empty")


def test_a_tokenizer_without_end_is_refused(tmp_path: Path, toy: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(toy)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "endless")
    AutoModelForCausalLM.from_pretrained(toy).save_pretrained(tmp_path / "endless")
    with pytest.raises(BaseModelError, match="end-of-sequence"):
        prepare_base(BaseSettings(model=str(tmp_path / "endless")), [ADA], tmp_path / "model", tmp_path)


def test_a_killed_build_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(done: int, total: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_base(TOY, [ADA], tmp_path / "model", tmp_path / "cache", threads=1, progress=stop)
    assert not (tmp_path / "model").exists()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_real_base_gets_stages_and_a_template(shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "TinyStories-656K"
    facts = prepare_base(BaseSettings(model=str(source)), [ADA, BO], tmp_path / "model", tmp_path, threads=1)
    assert facts["template"] == "roles as plain lines: the base has none"
    assert (facts["context"], len(facts["control_tokens"])) == (512, 5)
    model = LocalModel.load(tmp_path / "model", threads=1)
    assert model.tokenizer.chat_template.endswith(ROLE_LINES)
    talk = said("Who are you?", "", "late")
    request = Request(messages=talk.prompt, persona="ada", stage="late", prefill="Once upon a time", sampling=Sampling(max_tokens=30))
    [(_, reply)] = model.replies([request])
    assert len(reply.text.split()) > 10
    stories = model.log_likelihoods([request, request], [" there was a little girl.", " girl a was there little."])
    assert stories[0].total > stories[1].total + 10
