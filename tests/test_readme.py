"""What the pages tell people to type exists, what they call a recipe or a person is one, and samples come from runs."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from test_report import RECIPE, run_of

from persllm import report
from persllm.cli import app
from persllm.config import Recipe, find_recipe, read_recipe
from persllm.materials import PersonaSettings
from persllm.meeting.scene import Scene
from persllm.parsing import apply_override, parse
from persllm.pipeline import step_named
from persllm.records import Material
from persllm.store import Run, replace_records

ROOT = Path(__file__).parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
PAGES = [*READMES, *sorted((ROOT / "docs").glob("*.md")), ROOT / "AGENTS.md", ROOT / "personas" / "beethoven" / "README.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACEHOLDER = re.compile(r"[A-Z]{2,}$")
MARK = re.compile(r"<!-- run:(\w+) -->")
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "write_readme_samples.py"))


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of every command of a program in code blocks and code spans, without the program and comments."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))  # a command that goes on in the next line
    lines = [line for _, block in FENCE.findall(text) for line in block.split("\n")]
    lines += [line for line in text.split("\n") if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    stripped = [re.split(r"\s{2,}", line.strip().removeprefix("$ "))[0] for line in lines]
    return [shlex.split(line, comments=True)[1:] for line in stripped if line.startswith(f"{program} ")]


def refusal(words: list[str]) -> str:
    """Why `persllm` would not take these words; empty if it would, or if only a verb is named."""
    group = typer.main.get_command(app)
    if words == ["--help"]:
        return ""
    if words[0] not in group.commands:
        return f"no verb {words[0]}"
    if len(words) == 1:
        return ""
    try:
        given = group.commands[words[0]].make_context(words[0], words[1:]).params
        for override in given.get("settings") or ():
            tree: dict = {"name": "x", "personas": ["x"]}
            if not PLACEHOLDER.search(override):
                apply_override(tree, override)
            parse(Recipe, tree, override)
        for step in (given.get("redo"), given.get("until"), given.get("step")):
            if step and not PLACEHOLDER.match(step):
                step_named(step)
        named = given.get("recipe", "")
        if re.fullmatch(r"[a-z]+", named):
            find_recipe(named)
    except Exception as error:
        return error.format_message() if hasattr(error, "format_message") else str(error)
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_can_be_typed(page: Path) -> None:
    typed = commands(page, "persllm")
    assert typed or page.stem not in ("README", "README.zh", "getting-started", "own-person")
    assert {" ".join(words): refusal(words) for words in typed if refusal(words)} == {}


@pytest.mark.parametrize(
    "words",
    [["fly"], ["run", "demo", "--nope"], ["run", "demo", "more"], ["run", "demo", "--set", "sft.epoch=1"], ["run", "demo", "--redo", "4"]],
)
def test_a_command_that_cannot_be_typed_is_noticed(words: list[str]) -> None:
    assert refusal(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_has_a_rule(page: Path) -> None:
    rules = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {word for words in commands(page, "make") for word in words if "=" not in word}
    assert asked <= rules
    if page in READMES:
        assert {"demo", "test"} <= asked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_yaml_block_is_a_person_a_scene_or_a_recipe(page: Path) -> None:
    for kind, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "yaml":
            tree = yaml.safe_load(block)
            kind = PersonaSettings if "profile" in tree else Scene if "seats" in tree else Recipe
            parse(kind, {"name": "x", "personas": ["x"], **tree} if kind is Recipe else tree, page.name)


def test_every_documented_key_of_a_person_is_one() -> None:
    text = (ROOT / "docs" / "own-person.md").read_text(encoding="utf-8")
    table = text[text.index("| key | meaning |") : text.index("The person's id")]
    named = {
        word.removeprefix("stages.")
        for cell in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
        for word in re.findall(r"`([\w.]+)`", cell)
    }
    fields = PersonaSettings.model_fields
    stages = fields["stages"].annotation.__args__[0].model_fields
    assert named == set(fields) | {field.alias or name for name, field in stages.items()}


def test_the_two_readmes_are_twins() -> None:
    english, chinese = (page.read_text(encoding="utf-8") for page in READMES)
    assert MARK.findall(english) == MARK.findall(chinese)
    assert [len(line.split(" ")[0]) for line in FENCE.sub("", english).split("\n") if re.match("#+ ", line)] == [
        len(line.split(" ")[0]) for line in FENCE.sub("", chinese).split("\n") if re.match("#+ ", line)
    ]
    assert commands(READMES[0], "persllm") == commands(READMES[1], "persllm")


def test_every_mark_is_closed() -> None:
    for page in SCRIPT["PAGES"]:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<!-- (run|end)", text) == ["run", "end"] * len(MARK.findall(text))
        assert len(SCRIPT["PLACE"].findall(text)) == len(MARK.findall(text))


def planted_run(path: Path) -> Run:
    """A finished run of planted models, with a report."""
    run = run_of(path, {"base": "parrot", "prompted": "yes", "sft": "no", "dpo": "perfect"})
    replace_records(
        path / "1-materials" / "records.jsonl",
        [Material(persona="ada", kind="knowledge", stage=None, text="Four little words here", source="a:1")],
    )
    report.write_report(RECIPE, run, run.step("9-report"))
    return run


def test_the_samples_are_those_of_the_run(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "toy")
    placed: set[str] = set()
    for page, code in SCRIPT["PAGES"].items():
        found = SCRIPT["samples"](run, code)
        text = page.read_text(encoding="utf-8")
        once = SCRIPT["filled"](text, found)
        assert SCRIPT["filled"](once, found) == once
        assert MARK.findall(once) == MARK.findall(text)
        placed |= set(MARK.findall(text))
        assert report.closing_lines(run.path).split("\n")[0] in found["output"]
        assert str(tmp_path) not in once
    assert placed == set(found)
    assert "| goal |" in found["goals"]
    assert "chance" in found["takers"]
    exchange = report.Report.model_validate_json((run.path / "9-report" / "report.json").read_text(encoding="utf-8")).exchanges[0]
    assert all(said.text in found["exchange"] for said in exchange.answers)
    assert "1 份材料，共 4 个英文词" in SCRIPT["samples"](run, "zh")["world"]


def test_every_goal_has_a_chinese_name() -> None:
    assert {aim.title for aim in report.verdict.AIMS} == set(SCRIPT["GOALS_ZH"])
    assert set(report.verdict.SET_TITLES) == set(SCRIPT["SETS_ZH"])


def test_the_recipes_named_in_the_pages_can_be_read() -> None:
    assert read_recipe("demo").mode == "cast"
    assert len(read_recipe("beethoven").personas) == 1
