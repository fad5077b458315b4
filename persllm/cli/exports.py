"""Verbs that write what other programs read."""

import json
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from persllm.cli.options import JsonOption
from persllm.errors import ConfigError, MaterialError

Form = Literal["merged", "adapter", "gguf", "ollama", "vllm", "card", "dataset"]


def export(
    target: Annotated[Path, typer.Argument(help="A run folder; for cards and data sets also a persona folder.")],
    place: Annotated[Optional[Path], typer.Argument(metavar="[OUT]", help="Where to write; the same as --out.")] = None,
    out: Annotated[Optional[Path], typer.Option(help="A folder that is empty or not there; for a card also NAME.json or NAME.png.")] = None,
    to: Annotated[
        Optional[Form], typer.Option(help="What to make; without it a card if OUT is NAME.json or NAME.png, else a data set.")
    ] = None,
    taker: Annotated[str, typer.Option(help="Of models: sft, dpo, a version such as v1, or a tag; the one in use if not given.")] = "",
    persona: Annotated[str, typer.Option(help="Which person; needed where each has a model, and for a card of a run with several.")] = "",
    stage: Annotated[str, typer.Option(help="For a card: which stage; the last one if not given.")] = "",
    image: Annotated[Optional[Path], typer.Option(help="For a card: a PNG to write it into; a plain one if not given.")] = None,
    form: Annotated[str, typer.Option("--as", help="For a data set: jsonl, parquet or disk (save_to_disk).")] = "jsonl",
    llama_cpp: Annotated[
        str, typer.Option("--llama-cpp", help="For gguf: your checkout of llama.cpp, if its converter is not on the PATH.")
    ] = "",
    outtype: Annotated[str, typer.Option(help="For gguf: the number format, as llama.cpp's converter names it.")] = "f16",
    licence: Annotated[str, typer.Option("--licence", help="For the model card: a licence id of the hub, such as apache-2.0.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say names and sizes of the files, write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand a trained model on (merged, adapter, GGUF, Ollama, vLLM), or a character card, or the data as a data set."""
    where = out or place
    if where is None:
        raise ConfigError("export: say where to with --out OUT.")
    if to not in (None, "card", "dataset"):
        model(
            target,
            where,
            {"to": to, "taker": taker, "persona": persona, "llama_cpp": llama_cpp, "outtype": outtype, "licence": licence},
            dry_run,
            as_json,
        )
    elif to == "card" and not where.suffix:
        model(target, where, {"to": to, "taker": taker, "persona": persona, "stage": stage, "licence": licence}, dry_run, as_json)
    elif to != "dataset" and where.suffix:
        from persllm.exporting import CARDS, export_card

        if where.suffix.lower() not in CARDS:
            raise MaterialError(f"{where}: give NAME.json or NAME.png for a character card, or a folder for a data set.")
        print(f"{where}: the card of {export_card(target, where, persona, stage, image)}")
    else:
        from persllm.published import export_dataset

        counts = export_dataset(target, where, form)
        print(f"{where}: {', '.join(f'{count} {name}' for name, count in counts.items())}; see {where / 'README.md'}")


def model(target: Path, out: Path, wishes: dict[str, str], dry_run: bool, as_json: bool) -> None:
    """Export a model, or say what would be written."""
    from persllm.cli.display import Display
    from persllm.release import Wishes, export_model, outline

    if dry_run:
        sizes = outline(target, Wishes(**wishes))
    else:
        with Display().bar(f"export {wishes['to']}") as progress:
            sizes = export_model(target, out, Wishes(**wishes), progress)
    if as_json:
        print(json.dumps({"out": str(out), "written": not dry_run, "files": sizes}, ensure_ascii=False, indent=2))
        return
    for name, size in sizes.items():
        print(f"{size / 1e6:10.3f} MB  {name}")
    print(f"{sum(sizes.values()) / 1e6:10.3f} MB  {'would be written to ' if dry_run else ''}{out}")
