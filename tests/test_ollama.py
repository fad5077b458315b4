"""Modelfiles for Ollama: the Go template makes what the chat template makes, for the templates of many families.

The interpreter below knows the part of Go's text/template that the Modelfiles use, by its documentation.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import trl
from test_registry import examined
from toy_base import ADA, build_toy
from toy_run import build_run

from persllm.base import load_parts, role_of_prelude
from persllm.errors import BaseModelError
from persllm.records import Message, Request
from persllm.release import Wishes, export_model
from persllm.release.ollama import literal, pieces_of
from persllm.rendering import render
from persllm.store import replace_text
from persllm.templates import without_prelude

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
REGULAR = ("cohere", "deepseekv3", "gemma3", "gemma4", "glm4moe", "gptoss", "lfm2", "llama3_2", "phi3", "phi3_5", "qwen2_5", "qwen3")
"""Templates that can be told as pieces."""
ACTION = re.compile(r"\{\{ ?(.*?) ?\}\}", re.DOTALL)


def parsed(tokens: list[str], ends: tuple[str, ...]) -> tuple[list[Any], str]:
    """A block up to one of its ends: texts, outputs, branches, loops."""
    block: list[Any] = []
    while tokens:
        text, action = tokens.pop(0), tokens.pop(0) if tokens else ""
        block.append(("text", text))
        if any(action.startswith(end) for end in ends):
            return block, action
        if action.startswith("if "):
            block.append(branch(action, tokens))
        elif action.startswith("range "):
            block.append(("range", parsed(tokens, ("end",))[0]))
        elif action:
            block.append(("out", action))
    return block, ""


def branch(action: str, tokens: list[str]) -> tuple[str, str, list[Any], list[Any]]:
    """An `if` with its `else`."""
    yes, end = parsed(tokens, ("else", "end"))
    if end.startswith("else if "):
        return "if", action.removeprefix("if "), yes, [branch(end.removeprefix("else "), tokens)]
    return "if", action.removeprefix("if "), yes, parsed(tokens, ("end",))[0] if end == "else" else []


def holds(condition: str, data: dict[str, Any], dot: dict[str, Any], left: int) -> bool:
    """Whether a condition is true; `left` messages are still to come, this one counted."""
    condition = condition.removeprefix("(").removesuffix(")") if condition.startswith("(") else condition
    if condition.startswith("not ("):
        return not holds(condition.removeprefix("not (").removesuffix(")"), data, dot, left)
    if condition == ".System":
        return bool(data["System"])
    if condition == "eq (len (slice $.Messages $i)) 1":
        return left == 1
    return dot["Role"] == re.fullmatch(r'eq \.Role "(\w+)"', condition)[1]


def executed(block: list[Any], data: dict[str, Any], dot: dict[str, Any], left: int = 0) -> str:
    """A block with its data."""
    text = ""
    for kind, what, *more in block:
        if kind == "text":
            text += what
        elif kind == "out":
            text += what.strip('"') if what.startswith('"') else data["System"] if what == ".System" else dot["Content"]
        elif kind == "if":
            text += executed(more[0] if holds(what, data, dot, left) else more[1], data, dot, left)
        else:
            text += "".join(executed(what, data, one, len(data["Messages"]) - place) for place, one in enumerate(data["Messages"]))
    return text


def go(template: str, messages: list[Message]) -> str:
    """What Ollama makes of a talk."""
    system = next((m.content for m in messages if m.role == "system"), "")
    data = {"System": system, "Messages": [{"Role": m.role, "Content": m.content} for m in messages]}
    return executed(parsed(ACTION.split(template), ())[0], data, {})


def talks() -> list[list[Message]]:
    turns = [
        ("user", "What is in {{ .System }}?"),
        ("assistant", "A bee."),
        ("user", "两个箱子?"),
        ("assistant", "Two\n\nlines."),
        ("user", "And now?"),
    ]
    one = [Message(role=role, content=content) for role, content in turns]
    short = [one[:1], one[:3], one]
    return [*short, *([Message(role="system", content="Be kind."), *talk] for talk in short)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_parts(str(build_toy(tmp_path_factory.mktemp("ollama"))), "auto")[0]


@pytest.mark.parametrize("name", [*REGULAR, "ours"])
def test_go_makes_what_the_chat_template_makes(tokenizer: Any, name: str) -> None:
    own = tokenizer.chat_template
    try:
        if name != "ours":
            prelude = own.removesuffix(without_prelude(own))
            tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
            role = role_of_prelude(tokenizer)
            tokenizer.chat_template = (
                prelude.replace("'role': 'system'", f"'role': '{role}'").replace("== 'system'", f"== '{role}'") + tokenizer.chat_template
            )
        template = pieces_of(tokenizer, ADA, "early").go
        for talk in talks():
            assert go(template, talk) == render(tokenizer, Request(messages=tuple(talk), persona="ada", stage="early"))
        assert template.count("<|stage:ada-early|>You are Ada Lind.") == 2
    finally:
        tokenizer.chat_template = own


def test_a_template_that_is_not_made_of_pieces_is_refused(tokenizer: Any) -> None:
    own = tokenizer.chat_template
    try:
        tokenizer.chat_template = "{% for m in messages %}{{ loop.index }}. {{ m['content'] | upper }}\n{% endfor %}"
        with pytest.raises(BaseModelError, match="cannot be told to Ollama"):
            pieces_of(tokenizer, ADA, "early")
    finally:
        tokenizer.chat_template = own


def test_marks_of_go_stay_text() -> None:
    assert go(literal("a {{ .System }} b {{ end }}"), []) == "a {{ .System }} b {{ end }}"


def test_a_modelfile_for_each_person_and_stage(tmp_path: Path) -> None:
    run = examined(build_run(tmp_path))
    sizes = export_model(run, tmp_path / "out", Wishes(to="ollama"))
    assert {name for name in sizes if name.startswith("Modelfile")} == {
        "Modelfile.ada-early", "Modelfile.ada-late", "Modelfile.bo-late", "Modelfile.bo-after",
    }  # fmt: skip
    text = (tmp_path / "out" / "Modelfile.ada-early").read_text(encoding="utf-8")
    instructions = re.findall(r"^([A-Z]+) ", re.sub(r'""".*?"""', "", text, flags=re.DOTALL), re.MULTILINE)
    assert instructions[:2] == ["FROM", "TEMPLATE"]
    assert set(instructions) == {"FROM", "TEMPLATE", "PARAMETER"}
    assert text.count("<|stage:ada-early|>You are Ada Lind.") == 2
    assert 'PARAMETER stop "<|end|>"' in text
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()
    assert "ollama create ada-early -f Modelfile.ada-early" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    replace_text(tmp_path / "llama" / "convert_hf_to_gguf.py", "import sys; open(sys.argv[3], 'wb').write(b'GGUF')")
    export_model(run, tmp_path / "smaller", Wishes(to="ollama", persona="bo", llama_cpp=str(tmp_path / "llama"), outtype="q8_0"))
    assert sorted(p.name for p in (tmp_path / "smaller").iterdir()) == [
        "Modelfile.bo-after",
        "Modelfile.bo-late",
        "README.md",
        "run-sft-q8_0.gguf",
    ]
    assert "FROM ./run-sft-q8_0.gguf" in (tmp_path / "smaller" / "Modelfile.bo-late").read_text(encoding="utf-8")
