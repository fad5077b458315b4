"""A data set out and back in: the rows of a run, its card, and the same exchanges again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_provenance_of_samples import ida, run  # noqa: F401

from persllm.errors import MaterialError, RunError
from persllm.ingestion import ingest, request_of
from persllm.materials import read_folder
from persllm.published import export_dataset


@pytest.mark.parametrize("form", ["jsonl", "parquet", "disk"])
def test_exchanges_survive_the_way_out_and_back(form: str, ida: Path, tmp_path: Path) -> None:  # noqa: F811
    counts = export_dataset(ida, tmp_path / "out", form)
    before = read_folder(ida).materials
    assert counts == {"materials/train": len(before)}
    ingest(request_of([tmp_path / "out"], "Ida Fenwick", (), "", "", "", ""), tmp_path / "again")
    after = read_folder(tmp_path / "again").materials
    assert [(m.turns, m.situation, m.date) for m in after] == [(m.turns, m.situation, m.date) for m in before]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_rows_of_a_run_are_read_by_the_library_and_told_in_the_card(form: str, run, tmp_path: Path) -> None:  # noqa: F811
    import datasets

    run.step("1-materials").write("personas.jsonl", [read_folder(Path(run.recipe.personas[0])).persona])
    counts = export_dataset(run.path, tmp_path / "out", form)
    head, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)[1:]
    card = yaml.safe_load(head)
    assert (card["language"], card["size_categories"]) == (["en"], ["n<1K"])
    assert "Pass them on only if the persons agreed" in text
    assert "- result.json: 2 materials" in text
    assert f"| conversations/train | {counts['conversations/train']} |" in text
    files = {
        split["split"]: str(tmp_path / "out" / split["path"])
        for config in card["configs"]
        for split in config["data_files"]
        if config["config_name"] == "conversations"
    }
    loaded = datasets.load_dataset("json" if form == "jsonl" else form, data_files=files, cache_dir=str(tmp_path / "cache"))
    assert len(loaded["train"]) == counts["conversations/train"]
    row = loaded["train"][0]
    assert row["messages"][-1]["role"] == "assistant"
    assert row["origins"][0].startswith(("result.json:", "WhatsApp"))
    assert json.dumps(row)


def test_nothing_is_overwritten_and_unknown_forms_are_named(ida: Path, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(RunError, match="not empty"):
        export_dataset(ida, ida, "jsonl")
    with pytest.raises(MaterialError, match="jsonl, parquet, disk"):
        export_dataset(ida, tmp_path / "out", "csv")
    command = [sys.executable, "-m", "persllm.cli", "export", str(ida), str(tmp_path / "set"), "--as", "parquet"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"{tmp_path / 'set'}: 4 materials/train")
