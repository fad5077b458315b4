"""How fast `persllm check` reads a large persona folder, and how much memory it takes.

    python benchmarks/doctor.py [MEGABYTES ...]

Each size is read in a process of its own: half of the text is exchanges, half experiences, made of invented words that
occur as unevenly as words do. What is told is the time, the rate, and the peak memory above that of an empty process.
"""

import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PERSONA = """name: Mara Tilk
aliases: [Mara]
language: en
profile: Mara Tilk keeps the archive of a harbour town.
stages:
  - id: early
    title: Clerk
  - id: late
    title: Keeper of the archive
"""


def make_folder(folder: Path, megabytes: float) -> None:
    """Write a persona folder of about this size."""
    dice = random.Random(0)
    syllables = [a + b for a in "bcdfglmnprstv" for b in "aeiou"]
    words = ["".join(dice.choices(syllables, k=dice.choice((1, 2, 2, 3)))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))

    def text(count: int) -> str:
        return " ".join(dice.choices(words, cum_weights=weights, k=count)).capitalize() + "."

    (folder / "persona.yaml").write_text(PERSONA, encoding="utf-8")
    share = megabytes * 1_000_000 / 4
    for stage in ("early", "late"):
        (folder / "materials" / stage).mkdir(parents=True)
        with open(folder / "materials" / stage / "speech.jsonl", "w", encoding="utf-8") as file:
            while file.tell() < share:
                turns = [{"speaker": ("Boat", "Mara")[n % 2], "text": text(18)} for n in range(4)]
                file.write(json.dumps({"situation": text(6), "turns": turns}) + "\n")
        with open(folder / "materials" / stage / "experience.md", "w", encoding="utf-8") as file:
            while file.tell() < share:
                file.write(f"## {text(4)}\nMara {text(110)}\n\n")


def measure(folder: Path) -> None:
    """Examine a folder; print seconds and megabytes of memory, before and at the peak."""
    from persllm.doctor import examine

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    found = examine(folder)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, found.materials]))


def main(sizes: list[float]) -> None:
    """One line for each size."""
    print(f"{'MB':>6} {'materials':>10} {'seconds':>8} {'MB/s':>6} {'memory above start, MB':>23}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            make_folder(Path(place), size)
            command = [sys.executable, __file__, "--measure", place]
            seconds, before, peak, materials = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{size:6g} {materials:10d} {seconds:8.1f} {size / seconds:6.1f} {peak - before:23.0f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
    else:
        main([float(size) for size in sys.argv[1:]] or [10, 30, 100])
