"""A data set of Hugging Face made of a run or a persona folder: rows, and a README.md that says what they are.

    materials/train.*              what the person said, lived and knows, with the place it was taken from
    conversations/train.*, test.*  what is trained on, each once, and the test sets (of a run)

`jsonl` and `parquet` are read by `datasets.load_dataset(FOLDER, NAME)`, `disk` by `load_from_disk`. The folder is
written whole or not at all; `persllm ingest FOLDER` takes its materials back.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from persllm.errors import MaterialError
from persllm.exporting import persons_of
from persllm.records import Material, Persona
from persllm.store import replace_text, whole_folder
from persllm.tracing import entries, identity_of

Rows = dict[str, Callable[[], Iterator[dict[str, Any]]]]
"""Split -> its rows."""
FORMS = ("jsonl", "parquet", "disk")
BATCH = 1000
"""Rows that are held at once."""
CONSENT = """## Before you pass this on

These rows hold words and facts of persons. Pass them on only if the persons agreed to it, or if the texts are free (their
authors long dead, or invented). Whoever was merely spoken to in a chat is a person too. Names, addresses and numbers are
as they stood in the sources; nothing was made anonymous. A licence is not given here: add the one that your sources allow."""


def export_dataset(target: Path, out: Path, form: str) -> dict[str, int]:
    """Write the data set and return the number of rows by name; RunError if the folder is not empty."""
    if form not in FORMS:
        raise MaterialError(f"--as {form}: not known. Ways: {', '.join(FORMS)}.")
    persons, materials, _ = persons_of(target)
    parts: dict[str, Rows] = {"materials": {"train": lambda: (material_row(m, persons) for m in materials)}}
    if (target / "4-dataset" / "conversations.jsonl").is_file():
        parts["conversations"] = conversations_of(target, materials)
    counts: dict[str, int] = {}
    with whole_folder(out) as fresh:
        for name, splits in parts.items():
            for split, count in WRITERS[form](fresh / name, splits).items():
                counts[f"{name}/{split}"] = count
        replace_text(fresh / "README.md", readme(target.resolve().name, persons, materials, parts, counts, form))
    return counts


# Rows ----------------------------------------------------------------------------------------------------


def material_row(material: Material, persons: list[Persona]) -> dict[str, Any]:
    """A material as a row."""
    row = material.model_dump(mode="json")
    name = next((person.name for person in persons if person.id == material.persona), material.persona)
    return {"id": material.identity, "name": name, **row, "stage": material.stage or "", "turns": [dict(turn) for turn in row["turns"]]}


def conversations_of(run: Path, materials: list[Material]) -> Rows:
    """The rows of a run's data set."""
    origins = {f"{m.persona}/{m.source}": m.origin for m in materials if m.origin}

    def rows(name: str) -> Iterator[dict[str, Any]]:
        for entry in entries(run / "4-dataset" / name):
            yield conversation_row(entry, origins)

    return {"train": lambda: rows("conversations.jsonl"), "test": lambda: rows("test.jsonl")}


def conversation_row(entry: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    """A conversation or a test item as a row."""
    messages = [{"role": message["role"], "content": message["content"]} for message in entry["messages"]]
    if "reference" in entry:
        messages.append({"role": "assistant", "content": entry["reference"]})
    sources = list(entry.get("sources") or ())
    return {
        "id": identity_of(entry), "persona": entry["persona"], "stage": entry["stage"], "kind": entry.get("kind") or entry.get("set") or "",
        "form": entry.get("form") or entry.get("family") or "", "messages": messages, "analysis": entry["messages"][-1].get("thought") or "",
        "sources": sources, "origins": [origins[source] for source in sources if source in origins],
    }  # fmt: skip


# Files ---------------------------------------------------------------------------------------------------


def as_jsonl(folder: Path, splits: Rows) -> dict[str, int]:
    """A line for each row."""
    folder.mkdir(parents=True)
    counts: dict[str, int] = {}
    for split, rows in splits.items():
        with open(folder / f"{split}.jsonl", "w", encoding="utf-8", newline="\n") as file:
            for row in rows():
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                counts[split] = counts.get(split, 0) + 1
    return counts


def as_parquet(folder: Path, splits: Rows) -> dict[str, int]:
    """Parquet files, in batches of rows."""
    import pyarrow.parquet

    folder.mkdir(parents=True)
    counts: dict[str, int] = {}
    for split, rows in splits.items():
        writer = None
        for table in tables(rows()):
            writer = writer or pyarrow.parquet.ParquetWriter(folder / f"{split}.parquet", table.schema)
            writer.write_table(table)
            counts[split] = counts.get(split, 0) + table.num_rows
        if writer:
            writer.close()
    return counts


def as_disk(folder: Path, splits: Rows) -> dict[str, int]:
    """What `datasets.load_from_disk` reads."""
    import datasets
    import pyarrow

    held = {split: list(tables(rows())) for split, rows in splits.items()}
    made = datasets.DatasetDict({split: datasets.Dataset(pyarrow.concat_tables(found)) for split, found in held.items() if found})
    made.save_to_disk(folder)
    return {split: len(part) for split, part in made.items()}


WRITERS = {"jsonl": as_jsonl, "parquet": as_parquet, "disk": as_disk}


def tables(rows: Iterator[dict[str, Any]]) -> Iterator[Any]:
    """Batches of rows as tables of one schema."""
    import pyarrow

    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield pyarrow.Table.from_pylist(batch, schema=schema(batch[0]))
            batch = []
    if batch:
        yield pyarrow.Table.from_pylist(batch, schema=schema(batch[0]))


def schema(row: dict[str, Any]) -> Any:
    """The columns: texts, lists of texts, and lists of turns or messages."""
    import pyarrow

    text = pyarrow.string()
    lists = {
        "turns": pyarrow.list_(pyarrow.struct([("speaker", text), ("to", text), ("text", text)])),
        "messages": pyarrow.list_(pyarrow.struct([("role", text), ("content", text)])),
        "sources": pyarrow.list_(text), "origins": pyarrow.list_(text),
    }  # fmt: skip
    return pyarrow.schema([(column, lists.get(column, text)) for column in row])


# The card ------------------------------------------------------------------------------------------------


def readme(name: str, persons: list[Persona], materials: list[Material], parts: dict[str, Rows], counts: dict[str, int], form: str) -> str:
    """README.md: a head for machines, and what a reader should know."""
    rows = max(counts.values(), default=0)
    size = next(label for most, label in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (float("inf"), "n>100K")) if rows < most)
    ending = {"jsonl": "jsonl", "parquet": "parquet"}.get(form)
    head: dict[str, Any] = {
        "pretty_name": name, "language": sorted({person.language for person in persons}), "task_categories": ["text-generation"],
        "tags": ["persllm", "persona", "role-play"], "size_categories": [size],
    }  # fmt: skip
    if ending:
        head["configs"] = [
            {
                "config_name": part,
                "data_files": [{"split": split, "path": f"{part}/{split}.{ending}"} for split in splits if f"{part}/{split}" in counts],
            }
            for part, splits in parts.items()
        ]
    files = Counter(
        material.origin.partition(":")[0] or f"{material.persona}/{material.source.partition(':')[0]}" for material in materials
    )
    lines = [f"# {name}", "", "Made with persllm.", "", "## Persons and stages", ""]
    for person in persons:
        stages = "; ".join(f"`{stage.id}`" + (f" {stage.title}" if stage.title else "") for stage in person.stages)
        lines.append(f"- {person.name} (`{person.id}`, {person.language}): {stages}")
    kinds = Counter((m.persona, m.stage or "timeless", m.kind) for m in materials)
    lines += ["", "## Counts", "", "| rows | number |", "| --- | --- |", *(f"| {part} | {count} |" for part, count in counts.items())]
    lines += [f"| {persona}, {stage}: {kind} | {count} |" for (persona, stage, kind), count in sorted(kinds.items())]
    lines += ["", "## Sources", "", *(f"- {file}: {count} materials" for file, count in sorted(files.items())), "", CONSENT, ""]
    return f"---\n{yaml.safe_dump(head, allow_unicode=True, sort_keys=False)}---\n\n" + "\n".join(lines)
