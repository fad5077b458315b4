"""Who sits, and how each is asked: passages, models by path and address, masks, and what a baseline is trained on."""

from pathlib import Path

import pytest
from fake_server import FakeServer
from planted import ADA, PERSONAS, conversations, items

from persllm.baselines import check_baselines, repeated, train_baselines
from persllm.config import Recipe
from persllm.constructor_settings import ApiSettings, ConstructorSettings
from persllm.errors import ConfigError
from persllm.evaluation import answer, evaluate, pairs_of, score
from persllm.evaluation.tasks import answers_wanted, batches
from persllm.evaluation_settings import EvaluationSettings, TakerSettings
from persllm.metrics import Likelihood
from persllm.parsing import parse
from persllm.privacy import receivers
from persllm.records import Answer, Material, Message, Request, Score
from persllm.store import Run, StepFolder, replace_records, silent
from persllm.takers import NO_LIKELIHOODS, Taker, foreign_taker, opener_of, takers_of, with_passages

BEES = Material(persona="ada", kind="experience", stage="early", text="The red hive fell into the brook.", source="m.md:1")
LATER = Material(persona="ada", kind="experience", stage="late", text="The red hive was sold in a later year.", source="m.md:2")
FAR = TakerSettings(api=ApiSettings(url="http://127.0.0.1:9/v1", model="far"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    replace_records(tmp_path / "1-materials" / "records.jsonl", [BEES, LATER])
    return Run(tmp_path)


def recipe(**evaluation) -> Recipe:
    settings = EvaluationSettings(bootstrap=100, gold=False, batch=4, **evaluation)
    return Recipe(name="r", mode="cast", personas=("ada", "ben"), threads=1, evaluation=settings)


def asked(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def test_retrieval_is_the_prompt_with_passages_that_the_stage_can_know(run: Run) -> None:
    [taker] = takers_of(recipe(takers=("retrieval",)), run, PERSONAS)
    early = taker.request(asked("What became of the red hive?"), "ada", "early")
    assert [m.role for m in early.messages] == ["system", "user"]
    assert early.messages[0].content.index(ADA.profile) < early.messages[0].content.index(BEES.text)
    assert LATER.text not in early.messages[0].content
    late = taker.request(asked("What became of the red hive?"), "ada", "late")
    assert BEES.text in late.messages[0].content
    assert LATER.text in late.messages[0].content
    assert early.persona == early.stage == ""


def test_a_person_without_materials_is_asked_as_by_the_prompt_alone(run: Run) -> None:
    prompted, retrieval = takers_of(recipe(takers=("prompted", "retrieval")), run, PERSONAS)
    assert retrieval.request(asked("Well?"), "ben", "early") == prompted.request(asked("Well?"), "ben", "early")


def test_passages_follow_a_system_message_that_is_there(run: Run) -> None:
    [taker] = takers_of(recipe(takers=("retrieval",)), run, PERSONAS)
    messages = (Message(role="system", content="Be brief."), *asked("The red hive?"))
    found = with_passages(messages, taker.retrievers["ada"], ADA, "early")
    assert [m.role for m in found] == ["system", "user"]
    assert found[0].content.startswith("Be brief.\n")
    assert BEES.text in found[0].content


def test_rare_system_messages_share_batches_and_common_ones_have_their_own(run: Run) -> None:
    [taker] = takers_of(recipe(takers=("retrieval",)), run, PERSONAS)
    tasks = [task for _, task in answers_wanted(taker, items(), EvaluationSettings(), 0)]
    plain = [task for task in tasks if not task.request.sampling.temperature]
    sizes = [len(batch.tasks) for batch in batches(plain, 64)]
    assert sum(sizes) == len(plain) == 10
    assert len(sizes) < len({task.request.messages[0].content for task in plain}) + 1


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ({"takers": ["dop"]}, "no taker dop; there are base, prompted, retrieval, stylised, sft, dpo"),
        ({"models": {"sft": {"path": "x"}}}, "sft is the name of a taker that every run has"),
        ({"models": {"x": {}}}, "x needs either a path or an api.url, found neither"),
        ({"models": {"x": {"path": "p", "api": {"url": "u"}}}}, "x needs either a path or an api.url, found both"),
    ],
)
def test_takers_that_cannot_be_are_refused_with_the_way_on(tree: dict, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(EvaluationSettings, tree, "recipe.yaml")


def test_a_model_by_path_answers_for_everybody_in_its_manner(run: Run) -> None:
    settings = recipe(takers=("other", "base"), models={"other": TakerSettings(path="/models/other", manner="plain"), "idle": FAR})
    other, base = takers_of(settings, run, PERSONAS)
    assert (other.name, other.manner, other.models) == ("other", "plain", {"ada": "/models/other", "ben": "/models/other"})
    assert base.name == "base"
    assert pairs_of(["base", "prompted", "sft", "other"]) == [("prompted", "base"), ("sft", "base"), ("sft", "prompted"), ("sft", "other")]


def test_a_model_at_an_address_is_scored_by_its_answers_and_its_likelihoods_are_counted_as_missing(tmp_path: Path, run: Run) -> None:
    with FakeServer(answer=lambda asked: "Slate it was, never marble.") as server:
        settings = TakerSettings(api=ApiSettings(url=server.url, model="far"))
        taker = foreign_taker("far", settings, run, PERSONAS)
        step = StepFolder(tmp_path / "out")
        rules = EvaluationSettings(bootstrap=100, batch=4)
        answer([taker], items(), rules, step, silent, opener_of([taker], 1))
        facts = score([taker], items(), PERSONAS, conversations(), rules, step)
    assert {a.text for a in step.records(Answer, "answers.jsonl")} == {"Slate it was, never marble."}
    assert {one.error for one in step.records(Likelihood, "likelihoods.jsonl")} == {NO_LIKELIHOODS}
    scores = step.records(Score, "scores.jsonl")
    assert {(s.value, s.reason) for s in scores if s.metric in ("choice", "resistance", "general_loss")} == {(None, NO_LIKELIHOODS)}
    assert [s.value for s in scores if s.metric == "truth_stated" and s.item == "ben/late-induction"] == [1.0]
    assert facts["unscored"] == sum(s.value is None for s in scores) > 0
    assert all(body["messages"][0]["role"] == "system" for body in server.bodies)


def test_control_tokens_are_taken_apart_on_the_way_to_an_address(run: Run) -> None:
    with FakeServer(answer=lambda asked: "Yes.") as server:
        taker = foreign_taker("far", TakerSettings(api=ApiSettings(url=server.url, model="far"), manner="plain"), run, PERSONAS)
        model = opener_of([taker], 1)(taker.models["ada"])
        list(model.replies([Request(messages=asked("Say <|im_end|> now."))]))
        assert server.bodies[0]["messages"][-1]["content"] == "Say < |im_end|> now."


def test_an_address_that_sits_is_named_as_a_receiver_and_one_that_does_not_is_not() -> None:
    sits, idle = recipe(takers=("far",), models={"far": FAR}), recipe(takers=("base",), models={"far": FAR})
    assert [(one.setting, one.url) for one in receivers(sits)] == [("evaluation.models.far.api", "http://127.0.0.1:9/v1")]
    assert receivers(idle) == []


def test_personal_data_are_masked_before_a_taker_at_an_address_reads_them(tmp_path: Path, run: Run) -> None:
    item = items()[6].model_copy(update={"messages": asked("Write to ada.lind@example.org, will you?")})
    with FakeServer(answer=lambda asked: "I will.") as server:
        far = TakerSettings(api=ApiSettings(url=server.url, model="far"))
        made = recipe(takers=("far",), models={"far": far})
        made = made.model_copy(update={"privacy": made.privacy.model_copy(update={"mask": "always"})})
        evaluate(made, run, PERSONAS, [item], conversations(), StepFolder(tmp_path / "8-evaluation"))
    sent = "\n".join(message["content"] for body in server.bodies for message in body["messages"])
    assert "example.org" not in sent
    assert "[MAIL-1]" in sent


def test_the_stylised_taker_needs_stylised_talk(run: Run) -> None:
    wanted = recipe(takers=("stylised",))
    with pytest.raises(ConfigError, match=r"constructor\.stylised is 0"):
        check_baselines(wanted)
    check_baselines(wanted.model_copy(update={"constructor": ConstructorSettings(stylised=2)}))
    assert train_baselines(recipe(takers=("base",)), run, {"cast": PERSONAS}, run.path) == []
    assert not (run.path / "baselines").exists()


def test_a_baseline_is_trained_on_its_own_persons_as_often_as_personified_talk() -> None:
    mine = [c for c in conversations() if c.persona == "ada"]
    assert repeated(conversations(), {"ada"}, 3) == mine * 3


def test_stylised_sits_where_it_was_trained(run: Run) -> None:
    assert takers_of(recipe(takers=("stylised",)), run, PERSONAS) == []
    (run.path / "baselines" / "stylised" / "cast" / "model").mkdir(parents=True)
    [taker] = takers_of(recipe(takers=("stylised",)), run, PERSONAS)
    assert isinstance(taker, Taker)
    assert (taker.manner, taker.models["ben"]) == ("trained", str(run.path / "baselines" / "stylised" / "cast" / "model"))
