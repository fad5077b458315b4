"""The verb that learns from corrections."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.display import Display
from persllm.cli.options import JsonOption, RunArgument, SetOption


def improve(
    run: RunArgument,
    listed: Annotated[bool, typer.Option("--list", help="Show the versions there are, and which is in use.")] = False,
    back: Annotated[Optional[int], typer.Option(help="Use this version again; 0 is the run itself.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Use the new version even if something that matters fell.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be trained and compared, change nothing.")] = False,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from the corrections of users: a new version, kept only if nothing that matters fell; with a way back."""
    from persllm import improve as improving

    if listed:
        show_versions(run, as_json)
    elif back is not None:
        improving.back(run, back)
        print(json.dumps({"current": back}) if as_json else f"in use: {name_of(back)}")
    elif dry_run:
        found = improving.outline(run, changed(run, settings))
        print(found.model_dump_json(indent=2) if as_json else told(run, found))
    else:
        made = improving.improve(run, changed(run, settings), keep, Display().bar)
        print(made.model_dump_json(indent=2) if as_json else verdict(run, made, keep))


def changed(run: Path, settings: list[str] | None):
    """The run's recipe with other settings; only those of `improve` may differ."""
    from persllm.config import Recipe
    from persllm.errors import ConfigError
    from persllm.parsing import apply_override, parse
    from persllm.store import Run

    recipe = Run.open(run).recipe
    tree = recipe.model_dump(mode="json")
    for override in settings or []:
        if not override.startswith("improve."):
            raise ConfigError(
                f"--set {override}: only settings of `improve` can differ from the run's own, such as --set improve.repeat=4."
            )
        apply_override(tree, override)
    return parse(Recipe, tree, f"{run}/config.json")


def told(run: Path, found) -> str:
    """What would be done, for people."""
    lines = [
        f"{run}: {counted(found.corrections)}: {found.new} new pairs, {found.learnt} learnt, {found.held_out} held out, "
        f"{found.lone} thumbs without a counterpart, {found.foreign} of other persons or stages"
    ]
    if not found.new:
        return "\n".join([*lines, "nothing to learn."])
    if found.there:
        return "\n".join([*lines, f"version {found.number} was made of just this; nothing would be trained."])
    return "\n".join([
        *lines,
        f"version {found.number} would be trained from {name_of(found.parent)}: {', '.join(found.models)}; {found.pairs} pairs, {found.old} of them old",
        f"and compared with it on {found.items} test items",
    ])  # fmt: skip


def verdict(run: Path, made, forced: bool) -> str:
    """What a version is, and what became of it, for people."""
    lines = [
        f"version {made.number}, from {name_of(made.parent)}: {counted(len(made.learnt))} learnt, {len(made.held_out)} held out, "
        f"{made.pairs} pairs ({made.old} old), {made.seconds:.0f} s"
    ]
    lines.append(f"{'':36} {'n':>4} {'before':>9} {'after':>9} {'change, 95 % interval':>30}")
    for row in made.compared:
        name = f"{row.metric} {row.detail}".strip() if row.group == "test" else f"{row.group}: {row.metric}"
        change = f"{row.change:+.4f} [{row.low:+.4f}, {row.high:+.4f}]" if row.n > 1 else f"{row.change:+.4f}, no interval"
        lines.append(f"{name:36} {row.n:4} {row.before:9.4f} {row.after:9.4f} {change:>30}{'  fell' if row.fallen else ''}")
    lines.append("a change above 0 is better")
    if made.kept:
        return "\n".join([*lines, f"kept: nothing that matters fell. The way back: persllm improve {run} --back {made.parent}"])
    why = "; ".join(made.reasons)
    if forced:
        return "\n".join([*lines, f"in use because of --keep, though {why}. The way back: persllm improve {run} --back {made.parent}"])
    return "\n".join([*lines, f"rejected: {why}. {name_of(made.parent).capitalize()} stays in use; --keep overrides."])


def show_versions(run: Path, as_json: bool) -> None:
    """The versions of a run."""
    from persllm.store import Run
    from persllm.versions import current_number, standing, versions_of

    opened = Run.open(run)
    current, found, valid = current_number(opened), versions_of(opened), {version.number for version in standing(opened)}
    if as_json:
        rows = [{**version.model_dump(mode="json"), "standing": version.number in valid} for version in found]
        print(json.dumps({"current": current, "versions": rows}, ensure_ascii=False, indent=2))
        return
    print(f"{'*' if not current else ' '} 0  the run itself")
    for version in found:
        state = "kept" if version.kept else f"rejected: {'; '.join(version.reasons)}"
        state = state if version.number in valid else f"made before the run was trained anew; {state}"
        origin = f"from {version.parent}, {counted(len(version.learnt))}, {version.made}"
        print(f"{'*' if version.number == current else ' '} {version.number}  {origin}; {state}")


def name_of(number: int) -> str:
    """A version in words."""
    return f"version {number}" if number else "the run itself"


def counted(number: int) -> str:
    """So many corrections."""
    return f"{number} correction{'' if number == 1 else 's'}"
