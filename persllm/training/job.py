"""One training in one folder: rows in, model out, checkpoints on the way."""

import json
import math
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.base import load_parts, save_whole
from persllm.config import DpoSettings, TrainingSettings
from persllm.errors import TrainingError
from persllm.records import Conversation, Dropped, PreferencePair
from persllm.store import Progress, replace_json, replace_text
from persllm.training.arguments import adapter_settings, training_arguments
from persllm.training.curve import curve
from persllm.training.samples import Row, one_stage, real_share, sequence_lengths


class Job:
    """One training in one folder: finished when `trained.json` is there; checkpoints until then."""

    def __init__(self, folder: Path, settings: TrainingSettings, made_with: str):
        self.folder, self.settings, self.made_with = folder, settings, made_with
        self.dropped: list[Dropped] = []
        self.facts: dict[str, Any] = {}
        """What `step.json` tells of the training."""
        self.finished = False
        file = folder / "trained.json"
        if file.is_file():
            done = json.loads(file.read_text(encoding="utf-8"))
            self.finished = done["made_with"] == made_with
            self.dropped = [Dropped.model_validate(entry) for entry in done["dropped"]] if self.finished else []
            self.facts = done.get("facts", {}) if self.finished else {}

    def fitting(self, items: Sequence[Conversation | PreferencePair], rows: Sequence[Row], lengths: Sequence[int]) -> list[Row]:
        """The rows that are short enough; the others are noted as dropped."""
        most = self.settings.max_length
        self.dropped = [
            Dropped(item=item.identity, reason="too long", detail=f"{length} tokens, at most {most} (max_length)")
            for item, length in zip(items, lengths, strict=True)
            if length > most
        ]
        kept = [row for row, length in zip(rows, lengths, strict=True) if length <= most]
        if not kept:
            raise TrainingError(
                f"{self.folder}: no samples to train on ({len(rows)} given, all longer than max_length {most} tokens). Raise max_length."
                if rows
                else f"{self.folder}: no samples to train on. Give more materials, or leave this phase out."
            )
        return kept

    def train(self, phase: str, model: Any, tokenizer: Any, rows: list[Row], seed: int, progress: Progress) -> list[Dropped]:
        """Train, keep curve and model, remove the checkpoints, and return what was dropped."""
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from transformers import PrinterCallback

        from persllm.training.guards import Guard, fallen
        from persllm.training.trainers import Watch, mend_head

        disable_progress_bar()
        steps = math.ceil(len(rows) / self.settings.batch)
        lengths = [sequence_lengths(row) for row in rows]
        share = round(real_share(lengths, self.settings.batch), 4)
        self.facts = {"samples": len(rows), "steps": steps, "tokens": sum(map(sum, lengths)), "real_tokens": share}
        method = self.settings.method if isinstance(self.settings, DpoSettings) else phase
        arguments = training_arguments(phase, self.settings, self.folder / "checkpoints", steps, seed)
        trainer = trainer_of(method)(
            model=model, args=arguments, processing_class=tokenizer, train_dataset=Dataset.from_list(rows if method in ("sft", "dpo") else one_stage(rows)),
            peft_config=adapter_settings(model, tokenizer, self.settings.rank) if self.settings.adapter == "lora" else None,
        )  # fmt: skip
        guard = Guard(self.settings.most_fall if isinstance(self.settings, DpoSettings) else 0.0)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watch(self.made_with, progress))
        trainer.add_callback(guard)
        mend_head(trainer.model)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            trainer.train(resume_from_checkpoint=self.last_checkpoint())
        model = self.go_back(trainer, tokenizer, guard) if guard.stopped else trainer.accelerator.unwrap_model(trainer.model)
        self.facts |= fallen(trainer.state.log_history, guard.most) if phase == "dpo" else {}
        self.keep(model, tokenizer, trainer.state.log_history)
        return self.dropped

    def go_back(self, trainer: Any, tokenizer: Any, guard: Any) -> Any:
        """The model with the last weights that are known to be good; as it was at the start if no checkpoint has such."""
        from peft import PeftModel, get_peft_model

        from persllm.training.guards import proven

        checkpoint = self.last_checkpoint(before=proven(trainer.state.log_history, guard.most))
        self.facts |= {"stopped": guard.stopped, "kept_step": int(checkpoint.rpartition("-")[2]) if checkpoint else 0}
        start = trainer.accelerator.unwrap_model(trainer.model).config._name_or_path
        if self.settings.adapter == "full":
            return load_parts(checkpoint or start, "auto")[1]
        fresh = load_parts(start, "auto")[1]
        if checkpoint:
            return PeftModel.from_pretrained(fresh, checkpoint)
        return get_peft_model(fresh, adapter_settings(fresh, tokenizer, self.settings.rank))

    def last_checkpoint(self, before: int | None = None) -> str | None:
        """The newest complete checkpoint of this very training, or the newest before a step; torn and foreign ones are removed."""
        from persllm.training.trainers import COMPLETE

        found: list[tuple[int, Path]] = []
        for checkpoint in (self.folder / "checkpoints").glob("checkpoint-*"):
            mark = checkpoint / COMPLETE
            if mark.is_file() and mark.read_text(encoding="utf-8") == self.made_with:
                found.append((int(checkpoint.name.rpartition("-")[2]), checkpoint))
            else:
                shutil.rmtree(checkpoint, ignore_errors=True)
        found = [one for one in found if before is None or one[0] < before]
        return str(max(found)[1]) if found else None

    def keep(self, model: Any, tokenizer: Any, history: list[dict[str, Any]]) -> None:
        """Write adapter, model and curve, then the mark that the training is finished."""
        if self.settings.adapter == "lora":
            shutil.rmtree(self.folder / "adapter", ignore_errors=True)
            model.save_pretrained(self.folder / "adapter", save_embedding_layers=False)
            (self.folder / "adapter" / "README.md").unlink(missing_ok=True)
            model = model.merge_and_unload()
        model.__dict__.pop("forward", None)
        save_whole(model, tokenizer, self.folder / "model")
        replace_text(self.folder / "curve.jsonl", "".join(f"{json.dumps(point)}\n" for point in curve(history)))
        dropped = [d.model_dump() for d in self.dropped]
        replace_json(self.folder / "trained.json", {"made_with": self.made_with, "dropped": dropped, "facts": self.facts})
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)


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
