"""One training in one folder: rows in, model out, checkpoints on the way."""

import json
import logging
import math
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.base import save_whole
from persllm.config import DpoSettings, SftSettings, TrainingSettings
from persllm.errors import TrainingError
from persllm.launching import JOB, LOG, SAMPLES, TOLD, Launch, run_launched
from persllm.records import Conversation, Dropped, PreferencePair
from persllm.store import Progress, noted, replace_json, replace_records, replace_text
from persllm.trackers import own_run, tensorboard_beside
from persllm.training import checkpoints
from persllm.training.adapters import Trainable
from persllm.training.arguments import training_arguments
from persllm.training.curve import curve
from persllm.training.packing import packed
from persllm.training.samples import Row, filled_up, one_stage, real_share, sequence_lengths
from persllm.training.trouble import not_a_number, ways_on
from persllm.training.world import dealt, processes, rank, wait_for_all

log = logging.getLogger("persllm")
MEMORY = "memory.json"
"""Memory foreseen and measured, which no two runs have alike to the byte."""
MARGIN = 0.8
"""A training is refused if so much of what is foreseen is more than there is: the forecast is to be right within a fifth."""


class Job:
    """One training in one folder: finished when `trained.json` is there; checkpoints until then."""

    def __init__(self, folder: Path, settings: TrainingSettings, made_with: str, start: Path):
        self.folder, self.settings, self.made_with, self.start = folder, settings, made_with, start
        self.dropped: list[Dropped] = []
        self.facts: dict[str, Any] = {}
        """What `step.json` tells of the training."""
        self.memory: dict[str, int] = {}
        self.finished = False
        self.look()

    def look(self) -> None:
        """Whether the training is finished, and what it dropped."""
        file = self.folder / "trained.json"
        if file.is_file():
            done = json.loads(file.read_text(encoding="utf-8"))
            self.finished = done["made_with"] == self.made_with
            self.dropped = [Dropped.model_validate(entry) for entry in done["dropped"]] if self.finished else []
            self.facts = done.get("facts", {}) if self.finished else {}

    def fitting(self, items: Sequence[Conversation | PreferencePair], rows: Sequence[Row], lengths: Sequence[int], most: int) -> list[Row]:
        """The rows of at most so many tokens; the others are noted as dropped."""
        self.dropped = [
            Dropped(item=item.identity, reason="too long", detail=f"{length} tokens, at most {most} (max_length)")
            for item, length in zip(items, lengths, strict=True)
            if length > most
        ]
        kept = [{**row, "sample": item.identity} for item, row, length in zip(items, rows, lengths, strict=True) if length <= most]
        if not kept:
            raise TrainingError(
                f"{self.folder}: no samples to train on ({len(rows)} given, all longer than max_length {most} tokens). Raise max_length."
                if rows
                else f"{self.folder}: no samples to train on. Give more materials, or leave this phase out."
            )
        return kept

    def launched(
        self, launch: Launch, parts: dict[str, Any], samples: Sequence[Conversation] | Sequence[PreferencePair], progress: Progress
    ) -> list[Dropped]:
        """Train in the processes of a launcher, and return what was dropped."""
        replace_records(self.folder / SAMPLES, samples)
        job = {**parts, "made_with": self.made_with, "settings": self.settings.model_dump(mode="json")}
        run_launched(launch, self.folder, job, progress)
        self.look()
        if not self.finished:
            raise TrainingError(f"{self.folder}: the launched processes ended without a trained model; see {self.folder / LOG}.")
        return self.dropped

    def foresee(self, base: Trainable, rows: Sequence[Row]) -> None:
        """Forecast the memory before the base is loaded; TrainingError if there is clearly not so much, a line in the log if there may not be."""
        from persllm.training.footprint import heaviest, needed, room, scored_lengths

        at_once = dealt(self.settings.batch, self.settings.micro_batch, base.phase)[0]
        load = heaviest([scored_lengths(row) for row in rows], at_once)
        if isinstance(self.settings, DpoSettings) and self.settings.method != "dpo":  # TRL's trainers score every position there
            load = load.model_copy(update={"answers": load.rows * load.length})
        there = room()
        need = needed(base.footprint(load), there)
        self.memory = {"memory_foreseen_mb": round(need * 1000)}
        said = (
            f"{base.phase}: about {need:.1f} GB are needed ({load.rows} sequences of up to {load.length} tokens at once), and there are {there:.1f}. "
            f"{ways_on(base.phase, self.settings)}"
        )
        if need * MARGIN > there and processes() == 1:
            raise TrainingError(said)
        if need > there:
            log.warning(said)

    def train(self, phase: str, base: Trainable, rows: list[Row], seed: int, progress: Progress) -> list[Dropped]:
        """Train, keep curve and model, remove the checkpoints, and return what was dropped."""
        from persllm.training.footprint import peak
        from persllm.training.guards import Guard, fallen

        trainer = self.trainer(phase, base, rows, seed, progress)
        guard = Guard(self.settings.most_fall if isinstance(self.settings, DpoSettings) else 0.0)
        trainer.add_callback(guard)
        start = self.last_checkpoint(trainer.accelerator, progress)
        with warnings.catch_warnings(), own_run(self.settings):
            warnings.filterwarnings("ignore", category=FutureWarning)
            trainer.train(resume_from_checkpoint=start)
        history = trainer.state.log_history
        if rank() == 0:
            replace_json(self.folder / MEMORY, {**self.memory, "memory_measured_mb": round(peak() * 1000)})
        self.facts |= fallen(history, guard.most) if phase == "dpo" else {}
        self.keep(self.trained(trainer, base, guard), base, history)
        return self.dropped

    def trainer(self, phase: str, base: Trainable, rows: list[Row], seed: int, progress: Progress) -> Any:
        """TRL's trainer of these rows, as this project uses it."""
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from transformers import PrinterCallback

        from persllm.training.trainers import Watch, mend_head

        disable_progress_bar()
        steps = math.ceil(len(rows) / self.settings.batch)
        lengths = [sequence_lengths(row) for row in rows]
        joined = isinstance(self.settings, SftSettings) and packed(base.model, self.settings)
        share = 1.0 if joined else round(real_share(lengths, self.settings.batch), 4)
        self.facts |= {
            "samples": len(rows),
            "steps": steps,
            "tokens": sum(map(sum, lengths)),
            "real_tokens": share,
            **({"packed": True} if joined else {}),
        }
        method = self.settings.method if isinstance(self.settings, DpoSettings) else phase
        arguments = training_arguments(
            phase, self.settings, self.folder / "checkpoints", steps, seed, base.longest, {"padding_free": True} if joined else {}
        )
        plain = [{name: value for name, value in row.items() if name != "sample"} for row in rows]
        plain = plain if method in ("sft", "dpo") else one_stage(plain)
        with tensorboard_beside(self.folder):
            trainer = trainer_of(method)(
                model=base.model, args=arguments, processing_class=base.tokenizer, peft_config=base.adapter(),
                train_dataset=Dataset.from_list(filled_up(plain, self.settings.batch, base.tokenizer.pad_token_id)),
            )  # fmt: skip
        trainer.names = [row.get("sample", "") for row in rows]
        trainer.trouble = self.not_a_number
        trainer.remove_callback(PrinterCallback)
        mark = checkpoints.Mark(made_with=self.made_with, spread=checkpoints.spread_of(trainer.accelerator), processes=processes())
        trainer.add_callback(Watch(mark, progress))
        mend_head(trainer.model, compact=not getattr(arguments, "use_weighting", False))
        return trainer

    def not_a_number(self, what: str, step: int, names: Sequence[str]) -> TrainingError:
        """The error for a loss, gradient or weight that is no number."""
        names = list(dict.fromkeys(names[(step - 1) * self.settings.batch : step * self.settings.batch]))
        found = checkpoints.complete(self.folder / "checkpoints", self.made_with)
        return not_a_number(what, step, names, self.folder, found[-1] if found else None)

    def last_checkpoint(self, accelerator: Any, progress: Progress) -> str | None:
        """The newest complete checkpoint of this very training; torn and foreign ones are removed with a word.

        TrainingError if the processes at hand cannot go on from it.
        """
        folder = self.folder / "checkpoints"
        wait_for_all()
        if rank() == 0:
            for word in checkpoints.remove_others(folder, self.made_with):
                noted(progress, word)
        wait_for_all()
        found = checkpoints.complete(folder, self.made_with)
        if not found:
            return None
        checkpoints.check_spread(found[-1], checkpoints.spread_of(accelerator), processes())
        return str(found[-1])

    def trained(self, trainer: Any, base: Trainable, guard: Any) -> Any:
        """The model that came out; None at every process but the first. Where the guard stopped, the last weights known to be good."""
        if guard.stopped:
            wait_for_all()
            return self.go_back(trainer, base, guard) if rank() == 0 else None
        return trainer.accelerator.unwrap_model(trainer.model) if processes() == 1 else self.brought_together(trainer, base)

    def go_back(self, trainer: Any, base: Trainable, guard: Any) -> Any:
        """The model with the last weights that are known to be good; as it was at the start if no checkpoint has such."""
        from persllm.training.guards import proven

        good = proven(trainer.state.log_history, guard.most)
        found = [one for one in checkpoints.complete(self.folder / "checkpoints", self.made_with) if checkpoints.step_of(one) < good]
        self.facts |= {"stopped": guard.stopped, "kept_step": checkpoints.step_of(found[-1]) if found else 0}
        return base.restored(str(found[-1]) if found else None)

    def keep(self, model: Any, base: Trainable, history: list[dict[str, Any]]) -> None:
        """Write adapter, model and curve, then the mark that the training is finished."""
        if rank() == 0:
            shutil.rmtree(self.folder / "adapter", ignore_errors=True)
            save_whole(base.whole(model, self.folder / "adapter"), base.tokenizer, self.folder / "model")
            replace_text(self.folder / "curve.jsonl", "".join(f"{json.dumps(point)}\n" for point in curve(history)))
            dropped = [d.model_dump() for d in self.dropped]
            replace_json(self.folder / "trained.json", {"made_with": self.made_with, "dropped": dropped, "facts": self.facts})
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
            for name in (SAMPLES, JOB, TOLD):
                (self.folder / name).unlink(missing_ok=True)
        wait_for_all()

    def brought_together(self, trainer: Any, base: Trainable) -> Any:
        """The trained model, read from what all processes wrote; None at every process but the first."""
        written = self.folder / "checkpoints" / "trained"
        trainer.save_model(str(written))
        wait_for_all()
        return base.restored(str(written)) if rank() == 0 else None


def trainer_of(method: str) -> Any:
    """TRL's trainer for a way to train."""
    if method in ("sft", "dpo"):
        from persllm.training.trainers import Preferrer, Tuner

        return Tuner if method == "sft" else Preferrer
    from persllm.training.one_stage import Contrastive, OddsRatio

    return OddsRatio if method == "orpo" else Contrastive


def prepare_torch(seed: int, threads: int) -> None:
    """Threads and seed of everything that is drawn."""
    import torch
    from transformers import set_seed

    torch.set_num_threads(threads)
    set_seed(seed)
