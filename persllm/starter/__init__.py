"""What `persllm new DIR` writes: a small person that runs as it is, to be replaced piece by piece by one's own."""

import json
import shutil
from pathlib import Path

from persllm.errors import RunError
from persllm.store import disk_trouble

HERE = Path(__file__).parent


def write_starter(directory: Path) -> Path:
    """Write the folder and return the path of its recipe; RunError if there is something already."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunError(f"{directory}: exists and is not empty. Give another folder; nothing was changed.")
    with disk_trouble(directory):
        shutil.copytree(HERE, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
        recipe = directory / "recipe.yaml"
        recipe.write_text(recipe_for(directory.resolve().name), encoding="utf-8")
    return recipe


def recipe_for(name: str) -> str:
    """The text of a recipe of that name for the one person in whose folder it stands."""
    return f"name: {json.dumps(name)}\n{(HERE / 'recipe.yaml').read_text(encoding='utf-8')}"
