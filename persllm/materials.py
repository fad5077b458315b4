"""A persona folder to a Persona and its Materials, or to complaints with file and line.

    persona.yaml                      who the person is, and the stages
    materials/<stage>/speech.jsonl    exchanges: {"date", "situation", "turns": [{"speaker", "to", "text"}]}
    materials/<stage>/experience.md   what the person lived: a `## Heading (date)` per episode; below it, if taken from
                                      a book or chat, `<!-- from: file:line -->` (in JSONL: "origin")
    materials/<stage>/knowledge.md    what the person knows: a `## Heading` per article
    materials/timeless/...            what holds at every stage
    sources: in persona.yaml          books of letters and the like, read by `persllm.sources.declared`

Speech may also be Markdown with `Name: words` lines below each heading. All complaints are collected, so that one
reading names every line that must be mended.
"""

import datetime
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from glob import glob
from hashlib import file_digest
from pathlib import Path

from pydantic import Field, model_validator

from persllm.errors import MaterialError
from persllm.material_files import MaterialReader
from persllm.packed import NumberSet
from persllm.parsing import Settings, parse, read_yaml
from persllm.records import Dropped, Material, Persona, Record, Stage, Voice, fingerprint
from persllm.sources.declared import SourceSettings, read_source


class StageSettings(Settings):
    """A stage in persona.yaml."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = ""
    summary: str = ""
    start: str | int | datetime.date = Field("", alias="from")
    end: str | int | datetime.date = Field("", alias="to")
    unknown: tuple[str, ...] = ()
    voice: Voice = Voice()


class PersonaSettings(Settings):
    """The file persona.yaml."""

    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    pronouns: str = Field("they", pattern="^(she|he|they)$")
    language: str = Field("en", pattern="^(en|zh)$")
    profile: str = Field(min_length=1)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    sources: tuple[SourceSettings, ...] = ()

    @model_validator(mode="after")
    def unique_stages(self) -> "PersonaSettings":
        """Two stages of one id would share a token."""
        twice = [stage for stage, n in Counter(stage.id for stage in self.stages).items() if n > 1]
        if twice:
            raise ValueError(f"stage {twice[0]} occurs twice")
        return self


class Folder(Record):
    """What a persona folder holds."""

    persona: Persona
    materials: tuple[Material, ...]
    dropped: tuple[Dropped, ...] = ()
    """What a source holds but cannot be used, with the reason."""


def read_persona(path: Path) -> tuple[Persona, PersonaSettings]:
    """The person of a folder; MaterialError or ConfigError in one line if persona.yaml cannot be used."""
    file = path / "persona.yaml"
    if not path.is_dir():
        raise MaterialError(f"{path}: no such folder. `persllm new {path}` makes one that runs as it is.")
    if not file.is_file():
        raise MaterialError(f"{path}: persona.yaml is missing. `persllm new DIR` shows what it looks like.")
    settings = parse(PersonaSettings, read_yaml(file), str(file))
    return make_persona(path.name, settings), settings


class FolderStream:
    """A persona folder read as a stream, for folders of any size.

    Iterate over it once: it yields Materials, and Dropped for what a source holds but cannot be used. Afterwards
    `complaints` names every line that must be mended.
    """

    def __init__(self, path: Path):
        self.path = path
        self.persona, self.settings = read_persona(path)
        self.reader = MaterialReader(path, self.persona)

    def __iter__(self) -> Iterator[Material | Dropped]:
        seen = NumberSet()
        stages: set[str | None] = set()
        for entry in self.entries():
            if isinstance(entry, Material):
                stages.add(entry.stage)
                if not seen.add(hash((entry.stage, entry.text))):
                    yield Dropped(item=f"{self.persona.id}/{entry.source}", reason="repeated", detail=entry.text[:200])
                    continue
            yield entry
        if not self.complaints:
            self.complaints.extend(lacking(self.persona, stages, self.path))

    def entries(self) -> Iterator[Material | Dropped]:
        """Everything in the materials and then in the sources, repetitions too."""
        yield from self.reader.read_all()
        for source in self.settings.sources:
            found, lost = read_source(source, self.path, self.persona, self.complaints)
            yield from found
            yield from lost

    @property
    def complaints(self) -> list[str]:
        """What must be mended, with file and line; complete after the iteration."""
        return self.reader.complaints


def read_folder(path: Path) -> Folder:
    """Read a persona folder; MaterialError with one line per complaint if anything in it cannot be used."""
    stream = FolderStream(path)
    entries = list(stream)
    if stream.complaints:
        raise MaterialError("\n".join(stream.complaints))
    return Folder(
        persona=stream.persona,
        materials=tuple(entry for entry in entries if isinstance(entry, Material)),
        dropped=tuple(entry for entry in entries if isinstance(entry, Dropped)),
    )


def folder_fingerprint(path: Path) -> str:
    """Hash of all that materials are made of: persona.yaml, materials/, and the files of its sources."""
    file = path / "persona.yaml"
    patterns = [source.files for source in parse(PersonaSettings, read_yaml(file), str(file)).sources]
    inside = [found for found in (path / "materials").rglob("*") if not found.name.startswith(".")]
    outside = [path / name for pattern in patterns for name in glob(pattern, root_dir=path, recursive=True)]
    files = sorted(found for found in {file, *inside, *outside} if found.is_file())
    names = [str(found.relative_to(path) if found.is_relative_to(path) else found.name) for found in files]
    return fingerprint([(name, digest(found)) for name, found in zip(names, files, strict=True)])


def digest(file: Path) -> str:
    """SHA-256 of a file's content."""
    with open(file, "rb") as handle:
        return file_digest(handle, "sha256").hexdigest()


def make_persona(folder: str, settings: PersonaSettings) -> Persona:
    """The record of the person that persona.yaml describes."""
    stages = tuple(
        Stage(
            id=stage.id, title=stage.title, summary=stage.summary.strip(), start=str(stage.start), end=str(stage.end),
            unknown=stage.unknown, voice=stage.voice,
        )
        for stage in settings.stages
    )  # fmt: skip
    identity = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or f"person-{fingerprint(folder)[:6]}"
    values = settings.model_dump(exclude={"stages", "sources", "profile"})
    return Persona(id=identity, profile=settings.profile.strip(), stages=stages, **values)


def lacking(persona: Persona, have: Collection[str | None], path: Path) -> list[str]:
    """Complaints about a person or a stage without any material; `have` are the stages that have some."""
    if not have:
        return [f"{path / 'materials'}: no materials. Put speech.jsonl, experience.md or knowledge.md into materials/<stage>/."]
    empty = [stage.id for stage in persona.stages if stage.id not in have]
    return [
        f'{path / "materials"}: stage "{stage}" of {persona.name} has no materials. Add some to materials/{stage}/ or remove the stage from persona.yaml.'
        for stage in empty
    ]


def held_out_materials(materials: Sequence[Material], share: float) -> set[str]:
    """Identities of the materials never trained on: a share of each person, stage and kind that has enough."""
    groups: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for material in materials:
        groups[material.persona, material.stage, material.kind].append(material.identity)
    chosen: set[str] = set()
    for members in groups.values():
        chosen |= set(sorted(members)[: int(len(members) * share + 0.5) if len(members) > 2 else 0])
    return chosen
