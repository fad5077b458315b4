"""Who said it in a Chinese classic, on twice 60 quotations labelled by hand: python benchmarks/chinese_attribution.py FILE.txt

FILE is the novel about the journey to the west (UTF-8, chapters 第N回); the labels name lines of that file and hold none
of its text. The three main characters are given with their other names, as a user gives them by --alias.
"""

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from persllm.novels.rules import Reader  # noqa: E402
from persllm.novels.voices import read  # noqa: E402
from persllm.passages import Passage  # noqa: E402
from persllm.sources import read_path  # noqa: E402
from persllm.statistics import wilson  # noqa: E402

KNOWN = (
    ("行者", "孙行者", "大圣", "孙大圣", "悟空", "孙悟空", "猴王", "美猴王", "齐天大圣"),
    ("八戒", "猪八戒", "呆子", "悟能", "那呆子"),
    ("三藏", "唐僧", "玄奘", "唐三藏", "长老", "唐长老"),
    ("沙僧", "沙和尚", "悟净"),
)


def report(sample: str, rows: list[list[str]], reading: Reader, begins: dict[tuple[int, int], int], lines: dict[str, int]) -> None:
    """Print the figures of one sample; the errors only of the one that was looked at."""
    answers = [(line, label, reading.answers[begins[lines[line], int(start)]]) for line, start, label in rows]
    said = [(line, label, answer) for line, label, answer in answers if answer.speaker]
    right = sum(answer.speaker in label.split("|") for _, label, answer in said)
    if sample == "rules":
        for line, label, answer in said:
            if answer.speaker not in label.split("|"):
                print(f"  line {line}: {answer.speaker} ({answer.basis}, {answer.confidence:.2f}) instead of {label}")
    low, high = wilson(right, len(said))
    print(
        f"sample {sample}: {len(said)} of {len(rows)} answered ({len(said) / len(rows):.1%}), {right / len(said):.1%} right [{low:.1%}-{high:.1%}]"
    )


def main(file: Path) -> None:
    """Print coverage and precision."""
    passages = [found for found in read_path(file, "text") if isinstance(found, Passage)]
    texts = [passage.text for passage in passages]
    started = time.perf_counter()
    reading = read(texts, KNOWN)
    seconds = time.perf_counter() - started
    lines = {passage.source.rsplit(":", 1)[1]: place for place, passage in enumerate(passages)}
    begins = {(piece.paragraph, piece.start): piece.quotation for turn in reading.turns for piece in turn.pieces}
    rows = [
        row.split("\t") for row in (ROOT / "benchmarks" / "journey_labels.tsv").read_text(encoding="utf-8").splitlines() if row[0] != "#"
    ]
    print(f"{len(reading.answers)} quotations in {seconds:.1f} s")
    for sample in ("rules", "test"):
        report(sample, [row[1:] for row in rows if row[0] == sample], reading, begins, lines)
    spoken = sum(bool(answer.speaker) for answer in reading.answers.values())
    print(f"answered in the whole book: {spoken / len(reading.answers):.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
