"""Verbs that write what other programs read."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.errors import MaterialError


def export(
    target: Annotated[Path, typer.Argument(help="A persona folder or a run folder.")],
    out: Annotated[Path, typer.Argument(help="NAME.json or NAME.png: a character card. A folder: a data set of Hugging Face.")],
    persona: Annotated[str, typer.Option(help="For a card: which person; needed if the run has several.")] = "",
    stage: Annotated[str, typer.Option(help="For a card: which stage; the last one if not given.")] = "",
    image: Annotated[Optional[Path], typer.Option(help="For a card: a PNG to write it into; a plain one if not given.")] = None,
    form: Annotated[str, typer.Option("--as", help="For a data set: jsonl, parquet or disk (save_to_disk).")] = "jsonl",
) -> None:
    """Write a character card (V3, in a PNG also V2), or the materials and conversations as a data set with its card."""
    from persllm.exporting import CARDS, export_card

    if out.suffix.lower() in CARDS:
        print(f"{out}: the card of {export_card(target, out, persona, stage, image)}")
        return
    if out.suffix:
        raise MaterialError(f"{out}: give NAME.json or NAME.png for a character card, or a folder for a data set.")
    from persllm.published import export_dataset

    counts = export_dataset(target, out, form)
    print(f"{out}: {', '.join(f'{count} {name}' for name, count in counts.items())}; see {out / 'README.md'}")
