"""Books that persona.yaml declares under `sources:`, read into materials anew in every run.

An entry names files and their format; `read_source` hands each file to the maker of materials for that format, which
returns the materials and, apart from them, what it left out and why.
"""

from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Literal

from pydantic import Field

from persllm.parsing import Settings
from persllm.records import Dropped, Material, MaterialKind, Persona
from persllm.sources.letters import letter_materials

MAKERS = {"letters": letter_materials}
LOOKED_FOR = {"letters": "numbers that stand alone on a line and count up (`1.`, `2.`), or headings in capitals (`TO SOMEBODY.`)"}


class SourceSettings(Settings):
    """One entry of `sources:` in persona.yaml."""

    files: str = Field(min_length=1)
    """Pattern of the files, such as `letters/*.txt`, relative to the persona's folder; may be absolute."""
    format: Literal["letters"]
    """How the files are written: `letters` is a book of dated letters of one person."""
    kind: MaterialKind = "speech"
    """What the materials are."""
    author: str = ""
    """The writer's name as the files sign it, if it is neither the person's name nor an alias."""


def read_source(source: SourceSettings, folder: Path, persona: Persona, complaints: list[str]) -> tuple[list[Material], list[Dropped]]:
    """The materials of one source, and what was left out with the reason; what must be mended is added to `complaints`."""
    materials: list[Material] = []
    dropped: list[Dropped] = []
    for name, text in texts(source, folder, complaints):
        found = MAKERS[source.format](text, name, source.kind, source.author, persona)
        if found is None:
            complaints.append(
                f"{folder.name}/{name}: no {source.format} found; looked for {LOOKED_FOR[source.format]}. Correct the file or remove it."
            )
            continue
        materials += found[0]
        dropped += found[1]
    return materials, dropped


def texts(source: SourceSettings, folder: Path, complaints: list[str]) -> Iterator[tuple[str, str]]:
    """(name relative to the folder, text) of the files of a source, in the order of their names."""
    files = [file for name in sorted(glob(source.files, root_dir=folder, recursive=True)) if (file := folder / name).is_file()]
    if not files:
        note = "README.md there says where to get them. " if (folder / "README.md").is_file() else ""
        complaints.append(
            f'{folder.name}/{source.files}: no such file. {note}Put plain text (UTF-8) there, or correct "files" under "sources" in persona.yaml.'
        )
    for file in files:
        name = str(file.relative_to(folder)) if file.is_relative_to(folder) else file.name
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = file.read_bytes()[: error.start].count(b"\n") + 1
            complaints.append(f"{folder.name}/{name}, line {line}: not UTF-8. Save the file as UTF-8.")
            continue
        yield name, text
