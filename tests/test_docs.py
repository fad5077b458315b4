"""The documents tell the truth: the recipe reference is what the settings say, and links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_recipe_reference_is_up_to_date() -> None:
    written = runpy.run_path(str(ROOT / "scripts" / "write_recipe_reference.py"))["reference"]()
    assert (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8") == written, "run scripts/write_recipe_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_agents_md_is_short() -> None:
    assert (ROOT / "AGENTS.md").read_text(encoding="utf-8").count("\n") <= 60
