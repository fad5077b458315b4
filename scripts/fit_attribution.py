"""Learn the weights of the attribution rules from nine novels: python scripts/fit_attribution.py ../shared/data/novels/pdnc

The numbers go into persllm/novels/weights.json. Confidence is calibrated, and the threshold set, on answers of a model
that did not see the novel (each of the nine left out in turn). `--only-left-out` prints these figures and writes nothing.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.novels_gold import BUILD, TYPES, GoldNovel, match_characters, read_gold  # noqa: E402
from persllm.novels.chain import Habits  # noqa: E402
from persllm.novels.features import NAMES, SITUATIONS, FeatureMaker  # noqa: E402
from persllm.novels.ranking import Weights, believe, chain, nothing, rank  # noqa: E402
from persllm.novels.scene import Scene  # noqa: E402
from persllm.novels.trust import EVIDENCE, calibrated, evidence, likeliest  # noqa: E402
from persllm.statistics import wilson  # noqa: E402

L2 = 0.5
L2_OWN = 8.0
"""The same for what a situation has of its own."""
PRECISION = 0.95
"""Aimed at on the left-out novels, above the goal of 0.92, so that other novels have a margin."""
LARGEST_GAP = 4
"""Paragraphs between two turns from which on the habits are one."""
UNLEARNT = Weights(np.zeros(0), Habits(()), np.zeros(0), np.zeros(0), {}, 0.5)
Sample = tuple[np.ndarray, np.ndarray]


class Prepared(NamedTuple):
    """A novel ready for learning."""

    gold: GoldNovel
    maker: FeatureMaker
    meant: list[int | None]


def prepare(folder: Path) -> Prepared:
    """Read a novel and make its features."""
    gold = read_gold(folder)
    scene = Scene(gold.paragraphs, gold.pieces)
    return Prepared(gold, FeatureMaker(scene), match_characters(scene.characters, gold))


def speakers(novel: Prepared, number: int) -> set[int | None]:
    """The gold speakers of a turn."""
    return {novel.gold.quotations[piece.quotation].speaker for piece in novel.maker.views[number].turn.pieces}


def samples(novel: Prepared, beliefs: Sequence[dict[int, float]], chained: Sequence[dict[int, float]]) -> dict[int, list[Sample]]:
    """Situation -> (features of the candidates, which are right) of the turns whose speaker is among the candidates."""
    found: dict[int, list[Sample]] = {}
    for number, view in enumerate(novel.maker.views):
        true = speakers(novel, number)
        right = np.array([novel.meant[one] in true for one in view.candidates])
        if len(true) == 1 and None not in true and right.any():
            found.setdefault(view.situation, []).append((novel.maker.rows(number, beliefs, chained), right))
    return found


def fit(groups: Sequence[dict[int, list[Sample]]]) -> np.ndarray:
    """Weights that make the right candidates likely: a softmax over each turn's candidates.

    The table of a situation is a shared one plus a difference of its own that is held smaller, so that rare situations
    learn from frequent ones.
    """
    data = [(situation, *sample) for group in groups for situation, samples in sorted(group.items()) for sample in samples]
    sizes = [len(rows) for _, rows, _ in data]
    rows, right = np.concatenate([r for _, r, _ in data]), np.concatenate([y for _, _, y in data]).astype(float)
    begins, owner = np.r_[0, np.cumsum(sizes)[:-1]], np.repeat(np.arange(len(sizes)), sizes)
    kind = np.repeat([situation for situation, _, _ in data], sizes)
    places = [np.flatnonzero(kind == situation) for situation in range(len(SITUATIONS))]
    parts = [rows[place] for place in places]
    shape = (len(SITUATIONS) + 1, rows.shape[1])

    def loss(flat):
        shared, own = flat.reshape(shape)[0], flat.reshape(shape)[1:]
        score = np.empty(len(rows))
        for place, part, difference in zip(places, parts, own):
            score[place] = part @ (shared + difference)
        power = np.exp(score - np.maximum.reduceat(score, begins)[owner])
        whole, good = np.add.reduceat(power, begins), np.add.reduceat(power * right, begins)
        rest = power / whole[owner] - power * right / good[owner]
        slopes = np.array([part.T @ rest[place] for place, part in zip(places, parts)])
        slope = np.vstack([slopes.sum(axis=0) + L2 * shared, slopes + L2_OWN * own])
        return (np.log(whole) - np.log(good)).sum() + (L2 * (shared @ shared) + L2_OWN * (own * own).sum()) / 2, slope.ravel()

    best = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 400}).x.reshape(shape)
    return best[0] + best[1:]


def learn(novels: Sequence[Prepared]) -> Weights:
    """The weights of both kinds of passes; no calibration yet."""
    empty = [nothing(novel.maker) for novel in novels]
    alone = fit([samples(novel, belief, belief) for novel, belief in zip(novels, empty)])
    habits = learn_habits(novels)
    chained = [chain(novel.maker, believe(novel.maker, belief, belief, alone), habits) for novel, belief in zip(novels, empty)]
    beliefs = chained
    first = fit([samples(novel, belief, own) for novel, belief, own in zip(novels, beliefs, chained)])
    beliefs = [believe(novel.maker, belief, own, first) for novel, belief, own in zip(novels, beliefs, chained)]
    later = first
    for _ in range(2):
        later = fit([samples(novel, belief, own) for novel, belief, own in zip(novels, beliefs, chained)])
        beliefs = [believe(novel.maker, belief, own, later) for novel, belief, own in zip(novels, beliefs, chained)]
    return Weights(alone, habits, first, later, {}, 0.5)


def learn_habits(novels: Sequence[Prepared]) -> Habits:
    """How often the same one speaks again, the one before, or another, by the paragraphs between."""
    counts = np.ones((LARGEST_GAP + 1, 3))
    for novel in novels:
        true = [speakers(novel, number) for number in range(len(novel.maker.views))]
        for number in range(2, len(true)):
            gap = min(LARGEST_GAP, novel.maker.gap(number - 1, number))
            counts[gap][0 if true[number] == true[number - 1] else 1 if true[number] == true[number - 2] else 2] += 1
    return Habits(tuple(tuple((row / row.sum()).round(4).tolist()) for row in counts))


class Outcome(NamedTuple):
    """How one quotation came out."""

    novel: str
    type: str
    situation: str
    evidence: np.ndarray
    right: bool


def outcomes(novel: Prepared, weights: Weights) -> list[Outcome]:
    """Every quotation of a novel; one without candidates is not right, and never sure."""
    found = []
    passes = rank(novel.maker, weights)
    for number, belief in enumerate(passes.last):
        view = novel.maker.views[number]
        best = likeliest(belief)
        proofs = evidence(novel.maker, number, passes) if belief else np.array([-50.0] + [0.0] * (len(EVIDENCE) - 1))
        for quotation in dict.fromkeys(piece.quotation for piece in view.turn.pieces):
            said = novel.gold.quotations[quotation]
            right = best >= 0 and said.speaker is not None and novel.meant[best] == said.speaker
            found.append(Outcome(novel.gold.name, said.type, SITUATIONS[view.situation], proofs, right))
    return found


def calibrate(rows: Sequence[Outcome]) -> dict[str, tuple[float, ...]]:
    """A logistic regression of being right on the evidence, with a constant for each situation and all other weights shared."""
    rows = [row for row in rows if row.evidence[0] > 0]
    proofs = np.array([row.evidence for row in rows])
    spread = np.where(proofs.std(axis=0) > 1e-6, proofs.std(axis=0), 1.0)
    kind = np.array([SITUATIONS.index(row.situation) for row in rows])
    design = np.c_[proofs / spread, np.eye(len(SITUATIONS))[kind]]
    right = np.array([row.right for row in rows])

    def loss(w):
        score = design @ w
        chance = 1 / (1 + np.exp(-score))
        return np.logaddexp(0, np.where(right, -score, score)).sum() + (w @ w) / 2, design.T @ (chance - right) + w

    w = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    shared = w[: proofs.shape[1]] / spread
    return {
        name: tuple((shared + np.eye(len(shared))[0] * w[proofs.shape[1] + place]).round(4).tolist())
        for place, name in enumerate(SITUATIONS)
    }


def threshold(weights: Weights, rows: Sequence[Outcome]) -> tuple[float, float, float]:
    """(the lowest confidence at which the answers given are precise enough, coverage, precision)."""
    ranked = sorted(((calibrated(weights.calibration[row.situation], row.evidence), row.right) for row in rows), reverse=True)
    good, best = 0, (1.0, 0.0, 1.0)
    for number, (confidence, right) in enumerate(ranked, 1):
        good += right
        if number >= 50 and good / number >= PRECISION:
            best = (round(confidence, 4), number / len(ranked), good / number)
    return best


def left_out_figures(left_out: Sequence[Sequence[Outcome]]) -> None:
    """Print what each novel gets by weights, confidence and threshold of the others; and all of them together."""
    said: list[Outcome] = []
    for own in left_out:
        others = [row for other in left_out if other is not own for row in other]
        weights = UNLEARNT._replace(calibration=calibrate(others))
        limit = threshold(weights, others)[0]
        answered = [row for row in own if calibrated(weights.calibration[row.situation], row.evidence) >= limit]
        said += answered
        right = sum(row.right for row in own) / len(own)
        print(f"{own[0].novel}: accuracy {right:.3f} of {len(own)}, threshold of the others {limit}: {figures(answered, own)}")
    every = [row for own in left_out for row in own]
    print(f"all, each left out: accuracy {sum(row.right for row in every) / len(every):.3f}, {figures(said, every)}")
    for kind in TYPES:
        print(f"  {kind.lower()}: {figures([row for row in said if row.type == kind], [row for row in every if row.type == kind])}")


def figures(said: Sequence[Outcome], every: Sequence[Outcome]) -> str:
    """Coverage and precision with its interval."""
    good = sum(row.right for row in said)
    low, high = wilson(good, len(said))
    return f"coverage {len(said) / len(every):.3f}, precision {good / max(1, len(said)):.3f} [{low:.3f}, {high:.3f}]"


def write(weights: Weights) -> None:
    """The table that comes with persllm."""
    table = {
        "made_by": "scripts/fit_attribution.py", "features": list(NAMES), "situations": list(SITUATIONS), "evidence": list(EVIDENCE),
        "threshold": weights.threshold, "calibration": weights.calibration, "habits": weights.habits.by_gap,
        "alone": weights.alone.round(3).tolist(), "first": weights.first.round(3).tolist(), "later": weights.later.round(3).tolist(),
    }  # fmt: skip
    (ROOT / "persllm" / "novels" / "weights.json").write_text(json.dumps(table, indent=None) + "\n", encoding="utf-8")


def main() -> None:
    """Learn, calibrate, say what came out, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("novels", type=Path, help="folder of the corpus, a folder for each novel")
    parser.add_argument("--only-left-out", action="store_true", help="say how each novel comes out by the others, and write nothing")
    options = parser.parse_args()
    novels = [prepare(options.novels / name) for name in BUILD]
    left_out = [outcomes(novel, learn([other for other in novels if other is not novel])) for novel in novels]
    left_out_figures(left_out)
    if options.only_left_out:
        return
    rows = [row for own in left_out for row in own]
    weights = learn(novels)._replace(calibration=calibrate(rows))
    write(weights._replace(threshold=threshold(weights, rows)[0]))


if __name__ == "__main__":
    main()
