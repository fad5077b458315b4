"""A trained result on its way to other programs: a folder that is whole or not there, with a model card.

    merged   safetensors, tokenizer and chat template: what any server of Hugging Face models takes
    adapter  the stage base and one adapter on it
    gguf     for llama.cpp, through the converter of a checkout that the user has
    ollama   the merged model and a Modelfile for each person and stage
    vllm     the merged model and scripts that start vLLM, and our server before it
    card     a character card, as PNG and JSON

A form says what it consists of before anything is written (`Contents`), so a dry run can tell names and sizes.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from persllm.config import Recipe
from persllm.errors import ConfigError, RunError
from persllm.records import Material, Persona, Record
from persllm.registry import Registry, Result
from persllm.store import Progress, read_records, replace_text, silent, whole_folder

FORMS = ("merged", "adapter", "gguf", "ollama", "vllm", "card")


class Wishes(Record):
    """What is wanted of an export."""

    to: str
    """One of FORMS."""
    taker: str = ""
    """sft, dpo, a version or a tag; the result in use if empty."""
    persona: str = ""
    """Where each person has a model of its own, or for one person of several."""
    stage: str = ""
    """For a character card; the last one if empty."""
    llama_cpp: str = ""
    """Checkout of llama.cpp; empty looks for the converter on the PATH."""
    outtype: str = "f16"
    """Number format of a GGUF, as the converter names it."""
    licence: str = ""
    """Licence for the card, as the hub names it; that of the base if empty and known."""


@dataclass(frozen=True)
class Release:
    """A result with all that its export tells of."""

    registry: Registry
    result: Result
    personas: list[Persona]
    """The persons that the model plays."""
    materials: list[Material]
    """Their materials."""
    wishes: Wishes

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return self.registry.recipe

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.registry.run.path

    @property
    def model(self) -> Path:
        """The model folder of the result."""
        return self.run / self.result.folder

    @property
    def name(self) -> str:
        """A name for files: the run and the result."""
        alone = f"-{self.personas[0].id}" if len(self.personas) == 1 and self.recipe.mode == "solo" else ""
        return f"{self.run.resolve().name}{alone}-{self.result.name}"


@dataclass(frozen=True)
class Contents:
    """What an export consists of, by names below its folder."""

    texts: dict[str, str] = field(default_factory=dict)
    """Files with their text."""
    copies: dict[str, Path] = field(default_factory=dict)
    """Files that are copied as they are."""
    made: dict[str, tuple[int, Callable[[Path], Any]]] = field(default_factory=dict)
    """Files that are made on the spot: bytes, about, and what makes them at a path."""

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every file; of made ones, about."""
        return {
            **{name: len(text.encode()) for name, text in self.texts.items()}, **{name: file.stat().st_size for name, file in self.copies.items()},
            **{name: size for name, (size, _) in self.made.items()},
        }  # fmt: skip

    def write(self, folder: Path, progress: Progress = silent) -> None:
        """Write all of it to a fresh folder."""
        done, total = 0, len(self.texts) + len(self.copies) + len(self.made)
        for name, text in self.texts.items():
            replace_text(folder / name, text)
            if name.endswith(".sh"):
                (folder / name).chmod(0o755)
        for name, file in self.copies.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / name)
            progress(done := done + 1, total)
        for name, (_, make) in self.made.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            make(folder / name)
            progress(done := done + 1, total)


def opened(path: Path, wishes: Wishes) -> Release:
    """The result that is to be exported. RunError if there is no such, or a choice; ConfigError for an unknown form."""
    if wishes.to not in FORMS:
        raise ConfigError(f"--to {wishes.to}: not known. Forms: {', '.join(FORMS)}, and dataset.")
    registry = Registry(path)
    people = {persona.id: persona for persona in registry.personas}
    if wishes.persona and wishes.persona not in people:
        raise RunError(f"{path}: no person {wishes.persona}. There are: {', '.join(people)}.")
    result = registry.find(wishes.taker, wishes.persona)
    if not result.weights:
        raise RunError(f"{path / result.folder}: no model there. Finish the run with persllm run.")
    own = {material for material in result.persons}
    materials = [m for m in read_records(path / "1-materials" / "records.jsonl", Material) if m.persona in own]
    return Release(registry=registry, result=result, personas=[people[one] for one in result.persons], materials=materials, wishes=wishes)


def contents_of(release: Release) -> Contents:
    """What an export will consist of; refuses before anything is written."""
    from persllm.release import adapter, gguf, merged, ollama, portrait, vllm

    forms: dict[str, Callable[[Release], Contents]] = {
        "merged": merged.contents, "adapter": adapter.contents, "gguf": gguf.contents, "ollama": ollama.contents,
        "vllm": vllm.contents, "card": portrait.contents,
    }  # fmt: skip
    return forms[release.wishes.to](release)


def export_model(path: Path, out: Path, wishes: Wishes, progress: Progress = silent) -> dict[str, int]:
    """Write an export and return name and size of every file; RunError if the folder is not empty."""
    release = opened(path, wishes)
    with whole_folder(out) as fresh:
        contents_of(release).write(fresh, progress)
        return {str(file.relative_to(fresh)): file.stat().st_size for file in sorted(fresh.rglob("*")) if file.is_file()}


def outline(path: Path, wishes: Wishes) -> dict[str, int]:
    """What an export would write: name and size of every file, of made ones about."""
    return contents_of(opened(path, wishes)).sizes
