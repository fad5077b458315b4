"""The verb that lets several agents meet."""

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from persllm.cli.options import JsonOption, SetOption
from persllm.errors import ConfigError


def meet(
    scene: Annotated[str, typer.Argument(help="A scene file, or a bundled scene: cooperation, conflict, older-self.")],
    run: Annotated[str, typer.Option(help="The run folder of all seats that name no other, in place of the scene's.")] = "",
    out: Annotated[Optional[Path], typer.Option(help="Where transcripts and figures go; meetings/SCENE if not given.")] = None,
    meetings: Annotated[int, typer.Option(min=1, help="So many meetings, with one seed each, side by side.")] = 1,
    compare: Annotated[str, typer.Option(help="The same seeds once more with all persons played by this taker: prompted, base, sft.")] = "",
    stage_scan: Annotated[bool, typer.Option("--stage-scan", help="All combinations of the stages of the persons.")] = False,
    runner: Annotated[str, typer.Option(help="For --stage-scan: local or ray.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="For --runner ray: workers on this machine.")] = 2,
    measure: Annotated[bool, typer.Option(help="Bleed, drift, opinions and own field at the end.")] = True,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let agents meet in a scene: persons of runs, prompted models, a human. What they say is made by models."""
    from persllm.meeting import read_scene, results_of, rows_of

    if runner not in ("local", "ray"):
        raise ConfigError(f"--runner {runner}: local or ray.")
    if stage_scan and compare:
        raise ConfigError("--stage-scan and --compare do not go together; compare one scene at a time.")
    read = read_scene(scene, tuple(settings or ()), run)
    folder = out or Path("meetings") / (Path(scene).stem + ("-stages" if stage_scan else ""))
    alone = meetings == 1 and not compare and not stage_scan
    held = held_with_progress(read, folder, meetings, compare, stage_scan, runner, workers, alone and not as_json)
    results = results_of(held, folder) if measure else None
    if as_json:
        files = [str(folder / meeting.variant / f"seed-{meeting.seed}.jsonl") for meeting in held]
        print(json.dumps({"meetings": files, **(results.model_dump(mode="json") if results else {})}, ensure_ascii=False, indent=2))
        return
    if results:
        print("\n".join(["", *rows_of(results)]))
    print(f"\n{folder}: {len(held)} meetings, {sum(len(meeting.turns) for meeting in held)} turns (.jsonl, .md, .html)")


def held_with_progress(scene, folder: Path, count: int, against: str, stages: bool, runner: str, workers: int, aloud: bool) -> list:
    """The meetings, held; a single one is shown as it is spoken, several with a bar."""
    from persllm.cli.display import Display
    from persllm.meeting import meet as hold
    from persllm.meeting import scan

    if aloud:
        print(f"{scene.title}. What follows is said by language models, not by human beings.\n")
        return hold(scene, folder, say, at_the_keyboard, count)
    with Display().bar("meeting") as progress:
        spoken = iter(range(1, 1 << 62))
        if stages:
            return scan(scene, folder, lambda meeting, turn: progress(next(spoken), None), count, runner, workers)
        total = scene.end.turns * count * (2 if against else 1)
        return hold(scene, folder, lambda meeting, turn: progress(next(spoken), total), at_the_keyboard, count, against)


def say(meeting, turn) -> None:
    """Print a turn."""
    if turn.by == "model":
        print(f"{turn.name}: {turn.text or f'[nothing: {turn.error or turn.why}]'}", flush=True)


def at_the_keyboard(meeting, seat) -> str | None:
    """What a human says; None at the end of the input, or /quit."""
    try:
        text = input(f"{seat.name}> ").strip()
    except EOFError:
        return None
    return None if text in ("/quit", "/exit") else text
