"""YAML to frozen settings: strict, and with errors that name file, key, what was found, and the nearest known key."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from persllm.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if it is anything else."""
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}. Save the file as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{file}{place}: not valid YAML: {getattr(error, 'problem', error)}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{file}: expected `key: value` lines, found {type(tree).__name__}.")
    return tree


def apply_override(tree: dict[str, Any], override: str) -> None:
    """Put `a.b=value` into a tree; the value is read as YAML."""
    key, separator, value = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {override}: write it as key=value, for instance --set sft.epochs=3.")
    *path, last = key.strip().split(".")
    for name in path:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {name} is a value, not a section.")
    tree[last] = yaml.safe_load(value)


def parse(model: type[Model], tree: dict[str, Any], place: str) -> Model:
    """Validate a tree; the ConfigError names the place, the key, what was found, and the nearest known key."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [f"{place}: {explain(model, problem)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def explain(model: type[BaseModel], problem: Any) -> str:
    """One line about one validation problem."""
    location = [part for part in problem["loc"]]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        known = known_keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}."
        return f"unknown key {key}; {hint}"
    if problem["type"] == "missing":
        return f"{key} is missing."
    return f"{key}: {words_of(problem)}, found {problem['input']!r}." if key else f"{words_of(problem)}."


def words_of(problem: Any) -> str:
    """What a validation found wrong; of our own checks without what Pydantic puts before it."""
    return str(problem["msg"]).removeprefix("Value error, ")


def known_keys(model: type[BaseModel], location: list[Any]) -> list[str]:
    """The keys allowed at a place in a tree of settings."""
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        for candidate in getattr(inner, "__args__", (inner,)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return [field.alias or name for name, field in model.model_fields.items()]


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A tree of settings as `a.b` -> value."""
    if isinstance(tree, dict) and tree:
        flat: dict[str, Any] = {}
        for key, value in tree.items():
            flat |= flatten(value, f"{prefix}{key}.")
        return flat
    return {prefix[:-1]: tree}
