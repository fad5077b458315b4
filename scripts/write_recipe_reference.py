"""Write docs/recipes.md from the settings: `python scripts/write_recipe_reference.py`. A test compares the two."""

from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from persllm.config import Recipe

FILE = Path(__file__).parent.parent / "docs" / "recipes.md"
HEAD = """# Recipes: every setting

Written by `scripts/write_recipe_reference.py` from `persllm/config.py`; do not edit by hand.

A recipe is one YAML file. Unknown keys are refused, with the nearest known key. `--set a.b=value` overrides a
single key; the value is read as YAML. Folders of persons are relative to the recipe.
"""


def words_for(annotation: Any) -> str:
    """A type in words a user of YAML understands."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in get_args(annotation))
    if origin is tuple:
        return f"list of {words_for(get_args(annotation)[0])}"
    if origin in (Union, UnionType):
        return " or ".join(words_for(part) for part in get_args(annotation) if part is not type(None))
    if origin is dict:
        return "mapping"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(annotation.__name__, "section")


def default_of(field: Any) -> str:
    """The default as it would stand in YAML."""
    if field.is_required():
        return "**required**"
    value = field.default
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value if value != '' else chr(34) * 2}`"


def section(model: type[BaseModel], path: str) -> list[str]:
    """The table of one section, and those of the sections in it."""
    title = path or "Top level"
    lines = ["", f"## {title}", "", (model.__doc__ or "").strip(), "", "| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    inner: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            inner += section(type(field.default), f"{path}.{name}" if path else name)
            continue
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {words_for(field.annotation)} | {default_of(field)} | {meaning} |")
    return lines + inner


def reference() -> str:
    """The whole page."""
    return HEAD + "\n".join(section(Recipe, "")) + "\n"


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
