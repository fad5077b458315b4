"""What `ingest` gives back and keeps in ingest.json."""

from pydantic import Field

from persllm.ingestion.annotator import Asked
from persllm.records import Record


class SourceRecord(Record):
    """One source as it was taken in."""

    name: str
    """As the user named it, below the folder that was given."""
    sha256: str
    size: int
    format: str
    reason: str
    """Why it was read in this format."""
    materials: int = 0
    """Pieces that became materials."""
    files: dict[str, str] = Field(default_factory=dict)
    """File below the persona's folder -> SHA-256 of what was written."""


class Ingested(Record):
    """What was made."""

    folder: str
    name: str
    language: str
    stages: tuple[str, ...]
    sources: tuple[SourceRecord, ...]
    """All sources of the folder, those of earlier times too."""
    added: tuple[str, ...]
    """Names of the sources added now."""
    kept: tuple[str, ...]
    """Names of the sources that were there already."""
    counts: dict[str, dict[str, int]]
    """Stage -> kind -> materials, of what was added now."""
    review: int
    """Pieces that wait for a decision in review.jsonl."""
    dropped: dict[str, int]
    """Reason -> how often something could not be read or used."""
    to_confirm: tuple[str, ...]
    """What was drafted in persona.yaml and should be looked at."""
    reasons: tuple[str, ...] = ()
    """Why these stages were proposed, if they were."""
    verdict: str = ""
    """The doctor's verdict: what training can reach with the folder."""
    remarks: tuple[str, ...] = ()
    """The doctor's reasons and warnings."""
    asked: Asked | None = None
    """What asking a model came to; None if none was asked."""
    written: bool
    """False after a dry run, or if there was nothing to add."""
