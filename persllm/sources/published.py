"""A data set of Hugging Face that persllm wrote: its materials, back as passages. JSONL, Parquet, or as saved to disk.

Exchanges keep their situation, and each is a thread of its own. Limit: the kinds of prose are told anew.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources.bounded import head_of, lines, parse_json
from persllm.sources.json_items import mended, taken

name = "published"
FILES = ("materials/train.jsonl", "materials/train.parquet", "materials/dataset_dict.json")


def recognises(path: Path, head: bytes) -> bool:
    """Whether a folder has materials and a README.md of ours."""
    return (
        path.is_dir()
        and (path / "README.md").is_file()
        and any((path / file).is_file() for file in FILES)
        and b"persllm" in head_of(path / "README.md")
    )


def read(path: Path) -> Iterator[Passage | Dropped]:
    """The passages of all materials."""
    for place, row in rows(path):
        if isinstance(row, Dropped):
            yield row
            continue
        found = taken(place, passages, row, place)
        yield from [found] if isinstance(found, Dropped) else found


def rows(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, row) of every material."""
    if (path / FILES[0]).is_file():
        for line in lines(path / FILES[0]):
            place = f"{path.name}/{FILES[0]}"
            if isinstance(line, Dropped):
                yield place, line
            elif line.text.strip():
                place = f"{place}:{line.number}"
                yield place, taken(place, lambda text: mended(parse_json(text)), line.text)
        return
    for number, row in enumerate(table_rows(path), 1):
        yield f"{path.name}/materials:{number}", row


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of Parquet, or of what was saved to disk."""
    try:
        if (path / FILES[1]).is_file():
            import pyarrow.parquet

            for batch in pyarrow.parquet.ParquetFile(path / FILES[1]).iter_batches():
                yield from batch.to_pylist()
            return
        import datasets

        yield from datasets.load_from_disk(str(path / "materials"))["train"]
    except (OSError, ValueError, KeyError) as error:
        raise MaterialError(f"{path.name}: the data set cannot be read ({str(error)[:120]}). Export it again.") from error


def passages(row: dict[str, Any], place: str) -> list[Passage]:
    """The passages of one material."""
    title, date, situation = row.get("title") or "", row.get("date") or "", row.get("situation") or ""
    turns = row.get("turns") or []
    if not turns:
        return [Passage(text=row["text"], source=place, heading=title, date=date)]
    form = "letter" if len(turns) == 1 and title else "utterance"
    return [
        Passage(
            text=turn["text"],
            source=place,
            form=form,
            heading=title,
            date=date,
            speaker=turn["speaker"],
            to=(turn["to"],) if turn.get("to") else (),
            thread=row["id"],
            situation=situation,
        )
        for turn in turns
    ]
