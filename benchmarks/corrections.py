"""What `persllm improve` makes of simulated users: python benchmarks/corrections.py runs/demo [--corrections 24]

The user asks questions of the data set's test items that the examination does not put, and corrects each answer with the
item's reference. A second user corrects the same answers with references of other persons: nonsense that should be
refused. Both begin with a copy of the run, which is removed at the end; the run itself is not touched.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from persllm.agent import Company
from persllm.cli.improve import verdict
from persllm.corrections import Correction, add_correction
from persllm.improve import improve
from persllm.records import TestItem
from persllm.store import Run, now, read_records

SETS = ("recall", "generalisation")


def spare_items(run: Run, count: int) -> list[TestItem]:
    """Test items that the examination does not put, sets in turn."""
    put = {item.id for item in read_records(run.path / "8-evaluation" / "test.jsonl", TestItem)}
    every = [item for item in read_records(run.path / "4-dataset" / "test.jsonl", TestItem) if item.id not in put]
    queues = [[item for item in every if item.set == name] for name in SETS]
    return [item for both in zip(*queues, strict=False) for item in both][:count]


def answers(run: Run, items: list[TestItem]) -> list[str]:
    """What the model in use says to each item."""
    company = Company(run.path)
    found = []
    for item in items:
        agent = company.agent(item.persona, item.stage)
        [(_, reply)] = agent.model.replies([agent.request(list(item.messages))])
        found.append(reply.text)
    return found


def correct(run: Run, items: list[TestItem], said: list[str], better: list[str]) -> int:
    """Keep an edit of each answer that was not right; how many."""
    wrong = [
        (item, answer, text) for item, answer, text in zip(items, said, better, strict=True) if answer.strip() != text.strip() and answer
    ]
    for item, answer, text in wrong:
        add_correction(run, Correction(
            at=now(), kind="edit", persona=item.persona, stage=item.stage, taker="dpo", prompt=tuple(item.messages), answer=answer, better=text,
        ))  # fmt: skip
    return len(wrong)


def others(items: list[TestItem]) -> list[str]:
    """For each item the reference of another person, with the words turned round."""
    return [
        " ".join(reversed(next(other for other in (*items[place + 1 :], *items) if other.persona != item.persona).reference.split()))
        for place, item in enumerate(items)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--corrections", type=int, default=24)
    parser.add_argument("--set", action="append", default=[], help="improve.x=value")
    parser.add_argument("--kinds", default="right,wrong")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for kind in arguments.kinds.split(","):
            copy = Path(work) / kind
            shutil.copytree(arguments.run, copy)
            measure(Run.open(copy), kind, arguments)


def measure(run: Run, kind: str, arguments: argparse.Namespace) -> None:
    """One user: corrections, the new version, and its comparison."""
    from persllm.cli.improve import changed

    items = spare_items(run, arguments.corrections)
    said = answers(run, items)
    count = correct(run, items, said, [item.reference for item in items] if kind == "right" else others(items))
    started = time.monotonic()
    made = improve(run.path, changed(run.path, arguments.set))
    print(
        f"\n{kind} corrections: {count} of {len(items)} answers corrected; {time.monotonic() - started:.0f} s\n{verdict(run.path, made, False)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
