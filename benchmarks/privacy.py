"""What is taken for personal in texts that hold next to nothing of the kind: the bundled persons and any text files given.

    python benchmarks/privacy.py FILE ...

Prints characters, seconds, counts by kind, and every piece found with what stands around it, to be judged by eye.
"""

import sys
import time
from collections import Counter
from pathlib import Path

from persllm.privacy import find_personal

WORLD = Path(__file__).parent.parent / "persllm" / "world"
AROUND = 25
"""Characters shown on either side of a piece."""


def main() -> None:
    """One block for the bundled persons, one for each file."""
    bundled = "\n".join(file.read_text(encoding="utf-8") for file in sorted(WORLD.rglob("*")) if file.is_file())
    texts = [("bundled persons", bundled), *((name, Path(name).read_text(encoding="utf-8", errors="replace")) for name in sys.argv[1:])]
    for name, text in texts:
        started = time.perf_counter()
        found = find_personal(text)
        seconds = time.perf_counter() - started
        print(f"{name}: {len(text)} characters, {seconds:.1f} s, {dict(Counter(piece.kind for piece in found))}")
        for piece in found:
            around = text[max(0, piece.start - AROUND) : piece.end + AROUND]
            print(f"    {piece.kind:8} {' '.join(piece.text.split())}   in: {' '.join(around.split())}")


if __name__ == "__main__":
    main()
