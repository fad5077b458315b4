"""Write the section on the paper's tables into docs/results.md: `python scripts/write_paper_results.py runs/paper`.

Everything comes from the run: settings, seed, numbers of items, intervals. Tables whose ablations are not finished are
left out and named.
"""

import sys
from pathlib import Path

from persllm.ablation import ABLATIONS, Ablated
from persllm.comparison import ablation_rows, headline_rows
from persllm.metrics import METRICS
from persllm.report.verdict import with_interval
from persllm.statistics import Figure
from persllm.store import Run, replace_text

FILE = Path(__file__).parent.parent / "docs" / "results.md"
BEGIN, END = "<!-- paper: begin -->", "<!-- paper: end -->"
LIKENESS = ("bleu_intra", "bleu_stage", "bleu_inter", "gap_stage", "gap_inter")
PUBLISHED = {"bleu_intra": ("3.53", "3.86"), "bleu_stage": ("3.46", "3.50"), "bleu_inter": ("0.38", "0.33"), "gap_stage": ("0.06", "0.36")}
"""Zeng et al., averages over six characters of a novel, without and with DPO; other persons, other base, no intervals."""


def main() -> None:
    """Put the section where it stood, or at the end."""
    run = Run.open(Path(sys.argv[1]))
    text = FILE.read_text(encoding="utf-8")
    section = f"{BEGIN}\n{section_of(run)}\n{END}"
    if BEGIN in text:
        text = text[: text.index(BEGIN)] + section + text[text.index(END) + len(END) :]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    replace_text(FILE, text)


def section_of(run: Run) -> str:
    """The whole section."""
    figures = run.step("8-evaluation").records(Figure, "figures.jsonl")
    sat = {figure.taker for figure in figures}
    takers = [name for name in run.recipe.evaluation.takers if name in sat]
    return "\n\n".join([
        "## The paper's tables", told(run), "### Single agents compared", markdown(headline_rows(figures, takers)),
        "### Distinction (BLEU)", likeness(figures, takers), "### Ablations", ablations(run),
    ])  # fmt: skip


def told(run: Run) -> str:
    """What was run."""
    recipe = run.recipe
    seconds = sum(step.summary()["seconds"] for step in (run.step(folder.name) for folder in run.path.glob("[0-9]-*")) if step.finished)
    persons = ", ".join(Path(folder).name for folder in recipe.personas)
    base = "the bundled small base" if recipe.base.model == "small" or "small-base" in recipe.base.model else f"`{recipe.base.model}`"
    return (
        f"Written by `scripts/write_paper_results.py` from one run of `make paper` (`recipes/paper/`), seed {recipe.seed}, {recipe.mode}: {persons}; "
        f"{base}, {recipe.mixture.repeat} passes, {recipe.dpo.pairs} pairs at most, {recipe.threads} thread{'s' if recipe.threads > 1 else ''}; "
        f"the full run took {seconds / 60:.0f} minutes. Intervals are 95 % by bootstrap over questions; ↑ and ↓ stand in the report."
    )


def markdown(rows: list[list[str]]) -> str:
    """Rows as a table, the first as its head."""
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest))


def likeness(figures: list[Figure], takers: list[str]) -> str:
    """Intra, Stage, Inter and the gaps; the published ones beside them."""
    table = {(f.metric, f.taker): f for f in figures if f.group == "all"}
    rows = [["", *takers, "n", "paper, without DPO", "paper, with DPO"]]
    for metric in LIKENESS:
        found = [table.get((metric, taker)) for taker in takers]
        n = str(max((f.n for f in found if f), default=0))
        rows.append([METRICS[metric].title, *map(with_interval, found), n, *PUBLISHED.get(metric, ("–", "–"))])
    return markdown(rows)


def ablations(run: Run) -> str:
    """Every part that was left out, against the full run."""
    file = run.path / "ablations.json"
    done = Ablated.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
    there = {row.ablation for row in done.rows} if done else set()
    missing = [ablation.title for ablation in ABLATIONS if ablation.name not in there]
    parts = [markdown(ablation_rows(done))] if done else []
    if done:
        parts.append(
            f"\\* certain at 5 % after Holm's correction for {done.comparisons} comparisons. One training each: what two seeds differ by is not in these intervals."
        )
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
