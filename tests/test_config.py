"""Recipes: strict, with the nearest known key, and overridden by `--set`."""

from pathlib import Path

import pytest

from persllm.config import read_recipe
from persllm.errors import ConfigError
from persllm.parsing import apply_override, flatten


def recipe(folder: Path, text: str) -> Path:
    file = folder / "toy.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_recipe_is_named_after_its_file_and_finds_personas_beside_it(tmp_path: Path) -> None:
    read = read_recipe(recipe(tmp_path, "personas: [ada]\n"), ("sft.epochs=3", "mode=cast"))
    assert (read.name, read.mode, read.sft.epochs, read.personas) == ("toy", "cast", 3.0, (str(tmp_path / "ada"),))


def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"toy\.yaml: unknown key sft\.epoch; did you mean epochs\?"):
        read_recipe(recipe(tmp_path, "personas: [ada]\nsft: {epoch: 3}\n"))


def test_a_wrong_value_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mode: .*'duo'"):
        read_recipe(recipe(tmp_path, "personas: [ada]\nmode: duo\n"))


@pytest.mark.parametrize(
    "wrong",
    ["sft.epochs=-1", "sft.epochs=0", "sft.epochs=.inf", "sft.batch=0", "dpo.warmup=-1", "dpo.pairs=-1", "sft.learning_rate=.nan", "base.layers=0",
     "threads=0", "seed=-1", "evaluation.batch=0", "evaluation.max_tokens=0", "constructor.objective_words=0", "constructor.api.temperature=-1"],
)  # fmt: skip
def test_a_number_that_nothing_could_be_made_with_is_refused(wrong: str, tmp_path: Path) -> None:
    key = wrong.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"{key}: Input should be"):
        read_recipe(recipe(tmp_path, "personas: [ada]\n"), (wrong,))


def test_what_our_own_checks_refuse_is_said_in_their_words(tmp_path: Path) -> None:
    file = recipe(tmp_path, "personas: [ada]\nevaluation: {takers: [nobody]}\n")
    with pytest.raises(ConfigError, match=r"toy\.yaml: evaluation\.takers: no taker nobody; there are"):
        read_recipe(file)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="personas is missing"):
        read_recipe(recipe(tmp_path, "mode: cast\n"))


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        read_recipe(recipe(tmp_path, "personas: [ada]\nmode: ]\n"))


def test_a_missing_recipe_names_the_bundled_ones() -> None:
    with pytest.raises(ConfigError, match="demo"):
        read_recipe("nowhere.yaml")


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="key=value"):
        apply_override({}, "sft.epochs")


def test_flatten_names_every_leaf() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [2]}) == {"a.b": 1, "a.c": {}, "d": [2]}
