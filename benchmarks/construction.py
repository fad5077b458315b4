"""How fast conversations are made: calls, deduplication, pair mining. Prints one table for each.

    python benchmarks/construction.py calls --items 20000
    python benchmarks/construction.py duplicates --sizes 10000,100000,1000000
    python benchmarks/construction.py pairs --sizes 10000,100000,1000000

`calls`: a server in a process of its own answers in 200 ms, 64 at once, and refuses more. Compared are the client, the
plain loop that makes one call after the other (on some of the items), and what server and time allow.
`duplicates`: all questions in one group, the worst case; compared with the scan of all against all where that can be
done. `pairs`: the step `6-pairs` on persons, stages and questions of a generator.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from persllm import embedding
from persllm.chat import ApiModel
from persllm.config import DpoSettings
from persllm.constructor_settings import ApiSettings
from persllm.embedding import Vectors, near_duplicates, similar_pairs
from persllm.pairs import make_pairs
from persllm.records import Conversation, Message, Persona, Request, Stage

SERVER = Path(__file__).parent / "slow_server.py"
SECONDS, PLACES = 0.2, 64
THRESHOLD = 0.95
PERSONS, STAGES = 6, 3


def memory() -> float:
    """Memory that this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


# Calls -----------------------------------------------------------------------------------------------------


@contextmanager
def slow_server() -> Iterator[str]:
    """The address of a server that answers in `SECONDS`, `PLACES` at once."""
    command = [sys.executable, str(SERVER), "--seconds", str(SECONDS), "--places", str(PLACES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.stdin.close()


def request(number: int) -> Request:
    """A prompt of the length that an answer in role has: some 900 words."""
    return Request(
        messages=(
            Message(role="system", content="The bell was cast in spring. " * 150),
            Message(role="user", content=f"Question {number}?"),
        )
    )


def calls(items: int, sequential: int, repeats: int) -> None:
    """The table of calls."""
    ideal = PLACES / SECONDS
    rates, loops = [], []
    for _ in range(repeats):
        with slow_server() as url:
            loops.append(one_after_the_other(url, sequential))
            rates.append(through_the_client(url, items))
    rate, loop = statistics.median(rate for rate, _, _ in rates), statistics.median(loops)
    print(f"calls: {items} items, answers in {SECONDS * 1000:.0f} ms, {PLACES} at once, kept on disk; median of {repeats}")
    print(f"{'':28}{'calls/s':>10}{'of the ideal':>14}")
    for name, value in (("the ideal", ideal), ("persllm", rate), (f"one by one ({sequential} items)", loop)):
        print(f"{name:28}{value:>10.1f}{value / ideal:>13.1%}")
    print(f"persllm against one by one: {rate / loop:.1f} times")
    marks = rates[-1][1]
    print(f"memory in MiB, at each tenth of the items: {' '.join(f'{mark:.0f}' for mark in marks)}")
    print(f"processor time of the client: {statistics.median(cpu for _, _, cpu in rates) * 1000:.2f} ms a call")


def through_the_client(url: str, items: int) -> tuple[float, list[float], float]:
    """Calls a second, memory at each tenth, and processor seconds a call."""
    with TemporaryDirectory() as folder:
        model = ApiModel(ApiSettings(url=url, model="slow", concurrency=PLACES), Path(folder))
        marks, done = [], 0
        began, used = time.monotonic(), time.process_time()
        for _, reply in model.replies(map(request, range(items))):
            if reply.finish == "error":
                raise SystemExit(f"a call failed: {reply.error}")
            done += 1
            if done % max(1, items // 10) == 0:
                marks.append(memory())
        seconds, spent = time.monotonic() - began, time.process_time() - used
        if model.tally.calls != items or model.tally.retried:
            raise SystemExit(f"{items} calls were due: {model.tally}")
        model.close()
    return items / seconds, marks, spent / items


def one_after_the_other(url: str, items: int) -> float:
    """Calls a second of the plain loop."""
    began = time.monotonic()
    for number in range(items):
        asked = request(number)
        body = json.dumps({"model": "slow", "messages": [m.model_dump(include={"role", "content"}) for m in asked.messages]}).encode()
        sent = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(sent) as answer:
            json.load(answer)
    return items / (time.monotonic() - began)


# Texts -----------------------------------------------------------------------------------------------------

SYLLABLES = ("ba", "do", "ki", "lu", "me", "ra", "sho", "ti", "ven", "wol", "ga", "pe", "nar", "is", "oth", "ul", "en", "str", "im", "qua")


def questions(count: int, seed: int) -> list[str]:
    """Questions of 6 to 16 words over a vocabulary with the frequencies of a language; one in ten is an earlier one, as
    it is, with another ending, or with another word.
    """
    draw = random.Random(seed)
    words = list(dict.fromkeys("".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(30_000)))
    weights = [1 / (place + 3) for place in range(len(words))]
    stream = iter(draw.choices(words, weights, k=count * 18))
    made: list[str] = []
    for _ in range(count):
        if made and draw.random() < 0.1:
            parts = draw.choice(made).rstrip("?!.").split()
            change = draw.randrange(3)
            if change == 2:
                parts[draw.randrange(len(parts))] = next(stream)
            made.append(" ".join(parts) + ("?" if change == 0 else "!" if change == 1 else "?"))
        else:
            made.append(" ".join(next(stream) for _ in range(draw.randint(6, 16))) + "?")
    return made


def measured(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came out."""
    began = time.monotonic()
    result = work()
    return time.monotonic() - began, result


def duplicates(sizes: list[int], plain: int, seed: int) -> None:
    """The table of deduplication."""
    print(f"duplicates: questions in one group, cosine of {THRESHOLD}; the plain scan up to {plain} texts")
    print(f"{'texts':>10}{'seconds':>10}{'growth':>8}{'MiB':>7}{'dropped':>9}{'plain s':>9}{'pairs':>8}{'found':>9}{'same':>6}")
    last: tuple[int, float] | None = None
    for size in sizes:
        texts = questions(size, seed)
        before = memory()
        seconds, dropped = measured(lambda texts=texts: near_duplicates(texts, THRESHOLD))
        used = max(0.0, peak() - before)
        growth = f"{np.log(seconds / last[1]) / np.log(size / last[0]):.2f}" if last else ""
        last = size, seconds
        row = f"{size:>10}{seconds:>10.1f}{growth:>8}{used:>7.0f}{len(dropped):>9}"
        if size <= plain:
            took, expected = measured(lambda texts=texts: scan(texts))
            matrix = Vectors(texts).matrix
            complete = set(similar_pairs(matrix, THRESHOLD)) if size <= embedding.EXACT else all_pairs(matrix)
            near_linear = {
                pair for rows, others in embedding.met_in_sketches(matrix) for pair in zip(rows.tolist(), others.tolist(), strict=True)
            }
            row += f"{took:>9.1f}{len(complete):>8}{len(complete & near_linear) / max(1, len(complete)):>9.2%}{'yes' if expected == dropped else 'NO':>6}"
        print(row, flush=True)
    print("growth: exponent between this size and the one before, 1 is linear; found: share of all pairs that the sketches alone find;")
    print("same: whether the plain scan drops the same questions for the same reason.")


def peak() -> float:
    """The most memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def scan(texts: list[str]) -> dict[int, int]:
    """Every text against all earlier ones."""
    dropped: dict[int, int] = {}
    for start, block in Vectors(texts).similarities(texts):
        for row in range(block.shape[0]):
            place = start + row
            kept = next((int(other) for other in np.flatnonzero(block[row, :place] >= THRESHOLD) if int(other) not in dropped), None)
            if kept is not None:
                dropped[place] = kept
    return dropped


def all_pairs(matrix) -> set[tuple[int, int]]:
    """All pairs at the threshold, by the complete way."""
    found = set()
    for left, right in embedding.met_in_heads(matrix, THRESHOLD):
        cosines = np.asarray(matrix[left].multiply(matrix[right]).sum(axis=1)).ravel()
        reached = cosines >= THRESHOLD
        found |= set(zip(left[reached].tolist(), right[reached].tolist(), strict=True))
    return found


# Pairs -----------------------------------------------------------------------------------------------------


def conversations(count: int, seed: int) -> list[Conversation]:
    """Questions and answers spread over persons and stages; one in five is an induction with its wrong answer."""
    asked, answers = questions(count, seed), questions(count, seed + 1)
    kinds = ("question", "opinion", "question", "induction", "exchange")
    return [
        Conversation(
            persona=f"p{place % PERSONS}", stage=f"s{place // PERSONS % STAGES}", kind=kinds[place % 5], form="topic",
            messages=(Message(role="user", content=text), Message(role="assistant", content=answer)), evidence=(f"m{place // 4}",),
            rejected=f"Yes, {answer}" if kinds[place % 5] == "induction" else "",
        )
        for place, (text, answer) in enumerate(zip(asked, answers, strict=True))
    ]  # fmt: skip


def pairs(sizes: list[int], plain: int, seed: int) -> None:
    """The table of pair mining."""
    settings = DpoSettings(contrasts=("stage", "persona", "induction"))
    stages = tuple(Stage(id=f"s{i}") for i in range(STAGES))
    persons = [Persona(id=f"p{i}", name=f"Person {i}", profile="A person.", stages=stages) for i in range(PERSONS)]
    print(
        f"pairs: {settings.pairs} pairs out of so many conversations of {PERSONS} persons at {STAGES} stages; the plain search up to {plain}"
    )
    print(f"{'items':>10}{'seconds':>10}{'growth':>8}{'MiB':>7}{'pairs':>7}{'plain s':>9}{'same':>6}")
    last: tuple[int, float] | None = None
    for size in sizes:
        talk = conversations(size, seed)
        before = memory()
        seconds, (made, _) = measured(lambda talk=talk: make_pairs(talk, persons, settings, seed))
        growth = f"{np.log(seconds / last[1]) / np.log(size / last[0]):.2f}" if last else ""
        last = size, seconds
        row = f"{size:>10}{seconds:>10.1f}{growth:>8}{max(0.0, peak() - before):>7.0f}{len(made):>7}"
        if size <= plain:
            mended = embedding.Vectors.nearest
            embedding.Vectors.nearest = plain_nearest
            took, (expected, _) = measured(lambda talk=talk: make_pairs(talk, persons, settings, seed))
            embedding.Vectors.nearest = mended
            row += f"{took:>9.1f}{'yes' if expected == made else 'NO':>6}"
        print(row, flush=True)


def plain_nearest(vectors: Vectors, texts: list[str]) -> list[tuple[int, float]]:
    """The nearest by the product with every row of the corpus."""
    found = []
    for text in texts:
        cosines = np.asarray((vectors.matrix @ vectors.of([text]).T).todense()).ravel()
        found.append((int(cosines.argmax()), float(cosines.max())))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("calls", "duplicates", "pairs"))
    parser.add_argument("--items", type=int, default=20_000, help="calls through the client")
    parser.add_argument("--sequential", type=int, default=50, help="calls one after the other")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", default="10000,100000,1000000", help="sizes of the corpora")
    parser.add_argument("--plain", type=int, default=20_000, help="largest corpus for the plain way")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.what == "calls":
        calls(chosen.items, chosen.sequential, chosen.repeats)
    else:
        (duplicates if chosen.what == "duplicates" else pairs)([int(size) for size in chosen.sizes.split(",")], chosen.plain, chosen.seed)
