"""Ablations: what is shared, what is made again, and the table on toy runs whose differences are known by hand."""

import json
import os
from pathlib import Path

import pytest
from planted import PERSONAS, Planted, conversations, items

from persllm.ablation import ABLATIONS, FULL, chosen, compare, last_taker, link_tree, plan, share, varied
from persllm.baselines import check_baselines
from persllm.comparison import ablation_rows, aligned
from persllm.config import Recipe, read_recipe
from persllm.errors import ConfigError
from persllm.evaluation import answer
from persllm.evaluation_settings import EvaluationSettings
from persllm.parsing import flatten
from persllm.pipeline import STEPS, made_with
from persllm.store import Run, StepFolder, replace_json, replace_records, silent
from persllm.takers import Taker

RULES = EvaluationSettings(bootstrap=200, batch=4)
BY_ID = {persona.id: persona for persona in PERSONAS}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("chinese")


def states(recipe: Recipe, runs: Path, name: str) -> dict[str, str]:
    return {row.step: row.state for row in plan(recipe, runs, chosen([name])) if row.ablation == name}


def test_every_ablation_changes_what_it_says_and_nothing_else(recipe: Recipe) -> None:
    before = flatten(recipe.model_dump(mode="json"))
    for ablation in ABLATIONS:
        after = flatten(varied(recipe, ablation).model_dump(mode="json"))
        changed = {key for key in before | after if before.get(key) != after.get(key)} - {"name", "evaluation.takers"}
        assert changed <= {setting.split("=")[0] for setting in ablation.settings}, ablation.name
        assert bool(changed) == bool(ablation.settings), ablation.name
        assert varied(recipe, ablation).evaluation.takers == ("dpo",)


def test_only_what_depends_on_the_part_is_made_again(recipe: Recipe, tmp_path: Path) -> None:
    assert [step for step, state in states(recipe, tmp_path, "persona_pairs").items() if state == "to do"] == [
        "6-pairs",
        "7-dpo",
        "8-evaluation",
    ]
    assert [step for step, state in states(recipe, tmp_path, "stage_tokens").items() if state == "to do"] == [
        "0-base", "5-sft", "6-pairs", "7-dpo", "8-evaluation",
    ]  # fmt: skip
    assert [step for step, state in states(recipe, tmp_path, "chain_of_thought").items() if state == "shared"] == [
        "0-base", "1-materials", "2-questions", "3-answers",
    ]  # fmt: skip


def test_unknown_parts_and_untrained_takers_are_refused(recipe: Recipe) -> None:
    with pytest.raises(ConfigError, match="no such part"):
        chosen(["luck"])
    untrained = recipe.model_copy(update={"evaluation": EvaluationSettings(takers=("base",))})
    with pytest.raises(ConfigError, match="no trained taker sits"):
        last_taker(untrained)
    without = recipe.model_copy(update={"dpo": recipe.dpo.model_copy(update={"pairs": 0})})
    assert last_taker(without) == "sft"


def finished(run: Run, recipe: Recipe, steps: list[str]) -> None:
    for step in STEPS:
        if step.folder in steps:
            folder = run.step(step.folder)
            folder.begin(made_with(step, recipe))
            (folder.path / "deep").mkdir()
            (folder.path / "deep" / "records.jsonl").write_text(step.folder)
            folder.finish(1.0, {})


def test_steps_are_shared_whole_if_they_were_made_with_the_same(recipe: Recipe, tmp_path: Path) -> None:
    full, other = Run(tmp_path / "full"), Run(tmp_path / "other")
    finished(full, recipe, ["0-base", "1-materials", "4-dataset"])
    (full.path / "2-questions").mkdir()
    wanted = varied(recipe, chosen(["chain_of_thought"])[0])
    assert share(full, other, wanted) == ["0-base", "1-materials"]
    assert sorted(p.name for p in other.path.iterdir() if p.is_dir()) == ["0-base", "1-materials"]
    one, two = (run.path / "0-base" / "deep" / "records.jsonl" for run in (full, other))
    assert os.path.samefile(one, two)
    replace_json(two, "mine")
    assert one.read_text() == "0-base"
    assert share(full, other, wanted) == []


def test_a_tree_is_copied_where_links_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")

    def refused(*_: object) -> None:
        raise OSError("other disk")

    monkeypatch.setattr(os, "link", refused)
    link_tree(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b" / "file").read_text() == "x"


def sat(folder: Path, plan_: str) -> Run:
    """A run whose dpo answered by plan."""
    run = Run(folder)
    replace_records(run.path / "1-materials" / "personas.jsonl", PERSONAS)
    replace_records(run.path / "4-dataset" / "conversations.jsonl", conversations())
    replace_records(run.path / "8-evaluation" / "test.jsonl", items())
    taker = Taker(name="dpo", manner="trained", personas=BY_ID, models=dict.fromkeys(BY_ID, plan_))
    answer([taker], items(), RULES, StepFolder(run.path / "8-evaluation"), silent, Planted)
    return run


def test_differences_are_paired_and_corrected_for_their_number(tmp_path: Path) -> None:
    recipe = Recipe(name="full", mode="cast", personas=("ada", "ben"), evaluation=RULES)
    made = {
        FULL: (sat(tmp_path / "a", "perfect"), "dpo"),
        "induction": (sat(tmp_path / "b", "yes"), "dpo"),
        "chain_of_thought": (sat(tmp_path / "c", "perfect"), "dpo"),
    }
    table = compare(made, recipe, "dpo")
    rows = {(row.ablation, row.metric, row.detail, row.group): row for row in table.rows}
    gold = rows["induction", "choice", "", "gold"]
    # Of ten questions the yes-sayer loses the two inductions.
    assert (gold.full, gold.without, gold.difference.value, gold.difference.n) == (1.0, 0.8, -0.2, 10)
    assert rows["induction", "resistance", "", "families/trained"].difference.value == -1.0
    assert rows["induction", "false_denial", "", "all"].difference.value == 0.0
    same = [row for row in table.rows if row.ablation == "chain_of_thought"]
    assert {row.difference.value for row in same} == {0.0}
    assert table.comparisons == len(table.rows)
    assert all(row.corrected >= row.difference.p for row in table.rows)
    assert {row.corrected for row in same} == {1.0}
    printed = aligned(ablation_rows(table))
    assert "without anti-induction" in printed
    assert json.loads(table.model_dump_json())["rows"][0]["difference"]["taker"] == "induction"


def test_kinds_that_are_left_out_are_not_trained_and_the_test_stays(tmp_path: Path) -> None:
    from persllm.config import MixtureSettings
    from persllm.dataset import make_dataset
    from persllm.pipeline import Work, answer_questions, raise_questions, read_materials

    small = read_recipe("demo").model_copy(update={"personas": read_recipe("demo").personas[:1]})
    run = Run(tmp_path)
    for step, do in (("1-materials", read_materials), ("2-questions", raise_questions), ("3-answers", answer_questions)):
        do(Work(recipe=small, run=run, folder=run.step(step), progress=silent, cache=tmp_path))
    work = Work(recipe=small, run=run, folder=run.step("4-dataset"), progress=silent, cache=tmp_path)
    from persllm.records import Conversation

    said = run.step("3-answers").records(Conversation)
    full, without = (
        make_dataset(said, work.materials, work.personas, [], MixtureSettings(left_out=kinds), 0)
        for kinds in ((), ("induction", "control"))
    )
    assert {"induction", "control"} <= {c.kind for c in full.conversations}
    assert not {"induction", "control"} & {c.kind for c in (*without.conversations, *without.train)}
    assert [i.id for i in without.test] == [i.id for i in full.test]
    assert any(i.trained_family for i in full.test)
    assert not any(i.trained_family for i in without.test)


@pytest.mark.parametrize("name", ["world", "real"])
def test_the_recipes_of_the_paper_let_every_taker_sit_and_every_part_be_left_out(name: str) -> None:
    made = read_recipe(Path(__file__).parent.parent / "recipes" / "paper" / f"{name}.yaml")
    assert set(made.evaluation.takers) == {"base", "prompted", "retrieval", "stylised", "sft", "dpo"}
    check_baselines(made)
    assert all(varied(made, ablation).name == f"{made.name}-without-{ablation.name}" for ablation in ABLATIONS)
    assert all((Path(folder) / "persona.yaml").is_file() for folder in made.personas)
