"""A toy run with a tuned model, old pairs and test items, and corrections of it; run as a script it improves it and is killed."""

import os
import signal
import sys
from pathlib import Path

from toy_base import COLOURS, build_toy, colour_pairs, colour_talk
from toy_run import build_run

from persllm.config import DpoSettings, Recipe, SftSettings
from persllm.corrections import Correction, add_correction
from persllm.improve import improve
from persllm.improve_settings import ImproveSettings
from persllm.records import Candidate, Message, TestItem
from persllm.store import Run, replace_records
from persllm.training import tune

TUNED = SftSettings(batch=8, epochs=18, warmup=5, learning_rate=5e-3, adapter="full", weight_decay=0.0)
DPO = DpoSettings(batch=8, epochs=1.0, warmup=2, learning_rate=2e-3, adapter="full", checkpoint_every=4)
IMPROVE = ImproveSettings(repeat=3, old=0.5, held_out_from=6, loss_tolerance=0.3)
THINGS = ("rain", "snow", "bread", "soup", "songs", "ships", "dogs", "cats")


def tuned_model(folder: Path) -> Path:
    """The toy base tuned on Ada's colours, in `folder/sft/model`."""
    tune(build_toy(folder / "toy"), colour_talk(), TUNED, folder / "sft", threads=1)
    return folder / "sft" / "model"


def corrected_run(folder: Path, tuned: Path, **changes: object) -> Path:
    """A run to which that model belongs, with old pairs and test items; no corrections yet."""
    import shutil

    run = build_run(folder, dpo=DPO, improve=IMPROVE, **changes)
    for model in (run / "5-sft").glob("*/model"):
        shutil.rmtree(model)
        shutil.copytree(tuned, model)
    replace_records(run / "6-pairs" / "records.jsonl", colour_pairs())
    replace_records(run / "4-dataset" / "test.jsonl", items())
    return run


def items() -> list[TestItem]:
    """Which colour is in a box, early and late; and talk of nobody."""
    found = []
    for stage, other in (("early", "late"), ("late", "early")):
        for box, colour in enumerate(COLOURS[stage]):
            found.append(
                TestItem(
                    id=f"{stage}-{box}", set="recall", origin="constructed", persona="ada", stage=stage, messages=question(f"What is in box {box}?"),
                    reference=f"A {colour} bee.", candidates=(Candidate(kind="other_stage", text=f"A {COLOURS[other][box]} bee."),),
                )
            )  # fmt: skip
    talk = ("The sky is blue today.", "I had bread for breakfast.", "The train leaves at nine.", "Thank you, I am well.")
    return found + [
        TestItem(id=f"g{n}", set="general", origin="constructed", persona="", stage="", messages=question("How are you?"), reference=text)
        for n, text in enumerate(talk)
    ]


def question(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def correct(run: Path, asked: str, said: str, better: str, persona: str = "ada", stage: str = "late") -> None:
    """Keep an edit as the page does."""
    add_correction(
        Run(run), Correction(at="2026-01-01T00:00:00Z", kind="edit", persona=persona, stage=stage, taker="sft", prompt=question(asked), answer=said, better=better)
    )  # fmt: skip


def sensible(run: Path) -> None:
    """What Ada likes."""
    for thing in THINGS:
        correct(run, f"Do you like {thing}?", "A black bee.", f"I like {thing}.")


def untruths(run: Path) -> None:
    """That each box holds at one stage what it holds at the other."""
    for stage, other in (("early", "late"), ("late", "early")):
        for box in range(4):
            correct(run, f"What is in box {box}?", f"A {COLOURS[stage][box]} bee.", f"A {COLOURS[other][box]} bee.", stage=stage)


def changed(run: Path, **changes: object) -> Recipe:
    """The recipe of the run with other settings of `improve`."""
    recipe = Run(run).recipe
    return recipe.model_copy(update={"improve": recipe.improve.model_copy(update=changes)})


def killed_at(step: int):
    """An opener of progress bars that ends the process hard in the middle of the training."""
    import contextlib

    @contextlib.contextmanager
    def show(title: str):
        def progress(done: int, total: int) -> None:
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

        yield progress

    return show


if __name__ == "__main__":
    improve(Path(sys.argv[1]), show=killed_at(int(sys.argv[2])))
