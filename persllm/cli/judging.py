"""The verb that lets a model judge the answers of a run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, LocalOnlyOption, RunArgument, SetOption, changed_recipe


def judge(
    run: RunArgument,
    labels: Annotated[
        Optional[Path], typer.Option(help="CSV of human labels, such as a study's judgements.csv: how far the judge agrees.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many calls it would take, and their price; ask nobody.")] = False,
    settings: SetOption = None,
    as_json: JsonOption = False,
    local_only: LocalOnlyOption = False,
) -> None:
    """Let a model of your choice (--set judge.api.url=... --set judge.api.model=...) rank and score the answers of a run."""
    from persllm import judge as court
    from persllm.pipeline import default_cache
    from persllm.privacy import say
    from persllm.store import Run

    opened = Run.open(run)
    recipe = changed_recipe(opened, settings)
    kept = default_cache() / "calls"
    if dry_run:
        found = court.plan(opened, recipe, kept)
        print(found.model_dump_json(indent=2) if as_json else told_plan(found))
        return
    print(
        say(court.receiver(recipe, local_only), recipe.privacy).replace("text of the materials", "questions and answers"), file=sys.stderr
    )
    with Display().bar("judge") as progress:
        judged = court.judge(opened, recipe, kept, labels, progress, local_only)
    print(judged.model_dump_json(indent=2) if as_json else told(judged))


def told_plan(plan) -> str:
    """A plan, for people."""
    spread = ", ".join(f"{count} {name}" for name, count in plan.by_preset.items())
    price = (
        f"about {plan.price:g} {plan.currency}, at most {plan.price_at_most:g}"
        if plan.price is not None
        else f"no price known: set budget.prices.{plan.model}"
    )
    return (
        f"{plan.items} questions, {len(plan.takers)} takers ({', '.join(plan.takers)}), judge {plan.model}\n"
        f"at most {plan.calls} calls ({spread or 'none'}); {plan.kept} verdicts are there already\n"
        f"about {plan.prompt_tokens} + {plan.completion_tokens} tokens; {price}"
    )


def told(judged) -> str:
    """What came of a judging, for people."""
    from persllm.report.judging import difference_rows, judged_rows, sorted_words, warnings

    lines = [f"judge {judged.model}: {judged.items} questions, {judged.verdicts} verdicts, unscored {sum(judged.unscored.values())}"]
    lines += [f"  {count} {reason}" for reason, count in judged.unscored.items()]
    lines += ["", *table(["", *judged.takers, "n", "unscored", "agreement with human labels"], judged_rows(judged))]
    lines += (
        ["", *table(["over the questions on which both have a verdict", "difference", "n"], difference_rows(judged))]
        if judged.differences
        else []
    )
    lines += ["", sorted_words(judged)] if judged.sorted else []
    lines += ["", *warnings(judged)] if warnings(judged) else []
    money = f", {judged.money:.4f} {judged.currency}" if judged.money else ""
    return "\n".join([*lines, "", f"{judged.calls} calls, {judged.tokens} tokens{money} in all"])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be."""
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)]
