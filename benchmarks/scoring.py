"""How fast answers are scored by likelihood, against one sample at a time in the same run, with the same numbers.

    python benchmarks/scoring.py runs/demo --items 100

Both sides score the same texts of the run's test set for `prompted` and for the last trained taker: every reference and
every wrong answer, after its question and after nothing. The baseline is what a plain script does: one forward pass over
prompt and answer for each text. The examination cuts batches of like beginnings and reads what they share once. Each side
is timed several times in turn, and the medians are compared. A number that differs by more than the tolerance, in
nats per token, ends the benchmark with exit code 1.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from persllm.base import LocalModel
from persllm.evaluation.one import entrant_of
from persllm.evaluation.tasks import Task, batches, carry_out, likelihoods_wanted
from persllm.records import Persona, TestItem
from persllm.rendering import answers_to_ids, prompts_to_ids
from persllm.store import Run
from persllm.takers import open_local, taker_named


def main() -> None:
    """Measure, and print a table and, with --json, a line for machines."""
    settings = arguments()
    run = Run.open(settings.run)
    models: dict[str, LocalModel] = {}
    rows = []
    for taker in ("prompted", entrant_of(str(settings.run)).taker):
        tasks = tasks_of(run, taker, settings.items)
        for folder in {task.model for task in tasks}:
            models[folder] = models.get(folder) or open_local(folder, settings.threads)
        rows.append(compared(taker, tasks, models, settings))
    print(f"{'taker':10} {'texts':>6} {'one at a time, s':>17} {'in batches, s':>14} {'times':>6} {'largest difference, nats a token':>33}")
    for row in rows:
        print(
            f"{row['taker']:10} {row['texts']:6} {row['alone']:17.2f} {row['batches']:14.2f} {row['times']:6.1f} {row['difference']:33.1e}"
        )
    if settings.json:
        print(json.dumps(rows))
    if max(row["difference"] for row in rows) > settings.tolerance:
        raise SystemExit(1)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--items", type=int, default=100, help="questions, in equal steps over the test set")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-4, help="nats per token")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="`processor` on a machine that others use too")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def tasks_of(run: Run, name: str, count: int) -> list[Task]:
    """The texts to be scored for one taker."""
    folder = next(f for f in ("8-evaluation", "4-dataset") if (run.step(f).path / "test.jsonl").is_file())
    items = run.step(folder).records(TestItem, "test.jsonl")
    chosen = items[:: max(1, len(items) // count)][:count]
    taker = taker_named(name, run.recipe.mode, run, run.step("1-materials").records(Persona, "personas.jsonl"))
    tasks = {task.identity: task for _, task in likelihoods_wanted(taker, chosen) if task}
    return list(tasks.values())


def compared(taker: str, tasks: Sequence[Task], models: dict[str, LocalModel], settings: argparse.Namespace) -> dict[str, float | str]:
    """Both ways in turn."""
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "alone": lambda: {task.identity: one_at_a_time(models[task.model], task) for task in tasks},
        "batches": lambda: in_batches(tasks, models, settings.batch),
    }
    clock = time.process_time if settings.clock == "processor" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, dict[str, float]] = {}
    for _ in range(settings.rounds):
        for name, way in ways.items():
            started = clock()
            found[name] = way()
            times[name].append(clock() - started)
    alone, batched = (statistics.median(times[name]) for name in ways)
    difference = max(abs(found["alone"][key] - found["batches"][key]) for key in found["alone"])
    return {
        "taker": taker,
        "texts": len(tasks),
        "alone": round(alone, 3),
        "batches": round(batched, 3),
        "times": round(alone / batched, 2),
        "difference": difference,
    }


def in_batches(tasks: Sequence[Task], models: dict[str, LocalModel], size: int) -> dict[str, float]:
    """As the examination does it: nats per token by task."""
    found = {}
    for _, (results, _) in carry_out(batches(tasks, size), models.__getitem__):
        for result in results:
            found[result.task] = result.total / result.tokens
    return found


def one_at_a_time(model: LocalModel, task: Task) -> float:
    """One forward pass over prompt and answer: nats per token."""
    import torch

    [prompt], [answer] = prompts_to_ids(model.tokenizer, [task.request]), answers_to_ids(model.tokenizer, [task.text or ""])
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([prompt + answer], device=model.model.device)).logits[0].float()
    chances = logits[len(prompt) - 1 : -1].log_softmax(-1)
    return float(chances.gather(1, torch.tensor(answer, device=chances.device).unsqueeze(1)).double().sum()) / len(answer)


if __name__ == "__main__":
    main()
