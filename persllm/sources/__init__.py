"""Books and other files that are not yet materials: one reader per format.

An entry of `sources:` in persona.yaml names files and their format; `read_source` hands them to the reader of
that format. Readers return what they found and, apart from it, what they dropped and why.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from persllm.config import Settings
from persllm.records import Dropped, Material, MaterialKind, Persona


class SourceSettings(Settings):
    """One entry of `sources:` in persona.yaml."""

    files: str = Field(min_length=1)
    """Glob of the files, relative to the persona's folder; may be absolute."""
    format: Literal["letters"]
    """How the files are written."""
    kind: MaterialKind = "speech"
    """What the materials are."""
    author: str = ""
    """The writer's name as the files sign it; empty for the person's own name."""


def read_source(source: SourceSettings, folder: Path, persona: Persona, complaints: list[str]) -> list[Material]:
    """The materials of one source; what cannot be used becomes a complaint."""
    return []
