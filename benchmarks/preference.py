"""Which way to learn preferences does most for the SFT model of a finished run, on questions that were held out.

    python benchmarks/preference.py runs/demo [--pairs 600] [--items 60] [--rates 5e-5,2e-4] [--threads 1]

Every way starts from the same SFT model (one-stage ORPO from the untrained base), takes so many pairs, and is trained
once at each learning rate. The rate is chosen on one half of the questions and the figures are those of the other half;
a question with all its wordings is in one half. `choice` is the share of questions whose right answer is likelier, per
token, than every wrong one; the difference to the SFT model is paired, with a bootstrap interval over questions.
`general` is the loss on general talk without a person, less that of the SFT model, in nats per token.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from persllm.base import LocalModel
from persllm.config import DpoSettings
from persllm.negatives import answers_of
from persllm.pairs import facts_of, make_pairs
from persllm.records import Conversation, Persona, PreferencePair, Request, TestItem, fingerprint
from persllm.statistics import unit
from persllm.store import Run, StepFolder, read_records
from persllm.training import facts_of as training_facts
from persllm.training import prefer

RESAMPLINGS = 1000
HEAD = ["way", "choice", "minus sft", "induction", "control", "general", "rate; pairs; on the first half by rate"]


@dataclass(frozen=True)
class Way:
    """One way to learn preferences."""

    name: str
    changes: dict[str, object]
    rate_factor: float = 1.0
    """From the rates of the command line to those of this way."""


def ways(settings: DpoSettings) -> list[Way]:
    """What is compared."""
    contrasts = settings.contrasts
    return [
        Way("dpo, static", {}),
        Way("dpo, static, no sft term", {"sft_weight": 0.0}),
        Way("dpo, static + generic", {"contrasts": (*contrasts, "generic")}),
        Way("dpo, on-policy", {"negatives": "on-policy"}),
        Way("dpo, on-policy + own", {"negatives": "on-policy", "contrasts": (*contrasts, "own"), "shares": {"own": 2.0}}),
        Way("simpo, static", {"method": "simpo", "beta": 2.0}),
        Way("orpo from the SFT model", {"method": "orpo"}),
        Way("orpo from the base, 4 passes", {"method": "orpo", "start": "base", "epochs": 4.0, "most_fall": 0.0}, 20.0),
    ]


@dataclass(frozen=True)
class Marks:
    """What a model got: right or not by question, its loss on general talk."""

    choice: dict[str, bool]
    general: float


def main() -> None:
    """Train, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--items", type=int, default=60, help="at most so many questions of each test set, constructed and hand-written")
    parser.add_argument("--rates", default="5e-5,2e-4")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", default="", help="only ways whose name contains one of these words, parted by commas")
    given = parser.parse_args()
    run = Run.open(given.run)
    recipe = run.recipe.model_copy(update={"threads": given.threads})
    personas = run.step("1-materials").records(Persona, "personas.jsonl")
    conversations = run.step("4-dataset").records(Conversation, "conversations.jsonl")
    items = list(examination(run, given.items))
    half = {item.id: int(fingerprint(["half", unit(item)]), 16) % 2 for item in items}
    sft, base = given.run / "5-sft" / "cast", given.run / "0-base" / "model"
    started = time.monotonic()
    before = marks(sft / "model", items, given.threads)
    print(
        f"{sum(map(len, by_half(items, half)))} questions, {[len(part) for part in by_half(items, half)]} to choose the rate and to report",
        flush=True,
    )
    print(lines([HEAD, ["---"] * len(HEAD)]))
    print(lines([row("untrained base", "", marks(base, items, given.threads), before, items, half)]))
    print(lines([row("sft", "", before, before, items, half)]), flush=True)
    for way in (one for one in ways(recipe.dpo) if any(word in one.name for word in given.ways.split(","))):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            wanted = recipe.dpo.model_copy(update={"pairs": given.pairs, "batch": 12, **way.changes})
            asked = recipe.model_copy(update={"dpo": wanted})
            model_of = {persona.id: "cast" for persona in personas}
            answers = answers_of(run, asked, conversations, personas, model_of, StepFolder(folder / "pairs"), lambda done, total: None)
            pairs, _ = make_pairs(conversations, personas, wanted, recipe.seed, answers)
            tried = list(
                trained(
                    way,
                    pairs,
                    wanted,
                    base,
                    sft,
                    folder,
                    [float(rate) for rate in given.rates.split(",")],
                    recipe.seed,
                    given.threads,
                    items,
                )
            )
        best = max(tried, key=lambda one: share(one[1], items, half, 0))
        note = f"{best[0]:.0e}{'; stopped by the guard' if best[2].get('stopped') else ''}; {said_of(pairs, answers)}"
        note += "; " + ", ".join(f"{rate:.0e}: {share(m, items, half, 0):.3f}, fall {facts['fall']:.2f}" for rate, m, facts in tried)
        print(lines([row(way.name, note, best[1], before, items, half)]), flush=True)
    print(f"{time.monotonic() - started:.0f} s")


def examination(run: Run, most: int) -> Iterator[TestItem]:
    """At most so many items of each set, constructed and hand-written, as the run put them."""
    counts: dict[tuple[str, str], int] = {}
    gold = [item for item in read_records(run.path / "8-evaluation" / "test.jsonl", TestItem) if item.origin == "gold"]
    for item in [*run.step("4-dataset").records(TestItem, "test.jsonl"), *gold]:
        counts[item.set, item.origin] = counts.get((item.set, item.origin), 0) + 1
        if counts[item.set, item.origin] <= most and (item.candidates or item.set == "general"):
            yield item


def by_half(items: Sequence[TestItem], half: dict[str, int]) -> list[list[TestItem]]:
    """The questions with wrong answers, by half."""
    return [[item for item in items if item.candidates and half[item.id] == part] for part in (0, 1)]


def trained(
    way: Way, pairs: Sequence[PreferencePair], settings: DpoSettings, base: Path, sft: Path, folder: Path,
    rates: Sequence[float], seed: int, threads: int, items: Sequence[TestItem],
) -> Iterator[tuple[float, Marks, dict[str, object]]]:  # fmt: skip
    """(rate, marks, facts of the training) for each rate."""
    for rate in rates:
        wanted = settings.model_copy(update={"learning_rate": rate * way.rate_factor})
        place = folder / f"{rate}"
        prefer(base, sft, pairs, wanted, place, seed, threads)
        yield rate * way.rate_factor, marks(place / "model", items, threads), training_facts(place)


def marks(folder: Path, items: Sequence[TestItem], threads: int) -> Marks:
    """Which right answers a model finds the likeliest, and its loss on general talk."""
    model = LocalModel.load(folder, threads=threads)
    texts = [(item, text) for item in items for text in (item.reference, *(candidate.text for candidate in item.candidates))]
    asked = [Request(messages=item.messages, persona=item.persona, stage=item.stage, prefill=item.prefill) for item, _ in texts]
    found = model.log_likelihoods(asked, [text for _, text in texts])
    each: dict[str, list[float]] = {}
    general = [0.0, 0]
    for (item, _), one in zip(texts, found, strict=True):
        each.setdefault(item.id, []).append(one.total / one.tokens)
        if item.set == "general":
            general = [general[0] - one.total, general[1] + one.tokens]
    choice = {item.id: all(each[item.id][0] > other for other in each[item.id][1:]) for item in items if item.candidates}
    return Marks(choice, general[0] / max(general[1], 1))


def share(found: Marks, items: Sequence[TestItem], half: dict[str, int], part: int) -> float:
    """Share of right choices in one half."""
    return float(np.mean([found.choice[item.id] for item in by_half(items, half)[part]]))


def row(name: str, note: str, found: Marks, before: Marks, items: Sequence[TestItem], half: dict[str, int]) -> list[str]:
    """A line of the table, from the half that is reported."""
    asked = by_half(items, half)[1]
    right = [float(found.choice[item.id]) for item in asked]
    gained = [float(found.choice[item.id]) - before.choice[item.id] for item in asked]
    parts = [[item for item in asked if item.set == kind] for kind in ("induction", "control")]
    shares = [f"{np.mean([found.choice[item.id] for item in part]):.2f}" for part in parts]
    return [
        name,
        interval(right, asked),
        interval(gained, asked, "+.3f") if found is not before else "",
        *shares,
        f"{found.general - before.general:+.2f}",
        note,
    ]


def interval(values: Sequence[float], asked: Sequence[TestItem], form: str = ".3f") -> str:
    """Mean and 95 % bootstrap interval; wordings of one question are drawn together."""
    units = {name: place for place, name in enumerate(dict.fromkeys(map(unit, asked)))}
    sums, counts = np.zeros(len(units)), np.zeros(len(units))
    for value, item in zip(values, asked, strict=True):
        sums[units[unit(item)]] += value
        counts[units[unit(item)]] += 1
    draws = np.random.default_rng(0).multinomial(len(units), np.full(len(units), 1 / len(units)), size=RESAMPLINGS)
    low, high = np.percentile((draws @ sums) / (draws @ counts), [2.5, 97.5])
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"


def said_of(pairs: Sequence[PreferencePair], answers: object) -> str:
    """How many pairs, and how many of them with an answer of a model."""
    facts = facts_of(pairs, answers)
    return f"{facts['pairs']} pairs, {sum(facts.get('sampled', {}).values())} sampled"


def lines(rows: Sequence[Sequence[str]]) -> str:
    """Lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
