"""Personified tuning and automatic DPO on TRL and PEFT (paper sections 3.3 and 3.4).

Samples are tokens with a loss on the answer alone; one that is too long is dropped and named, never cut. `lora`
trains low-rank matrices and the rows of the control tokens; `full` all weights. DPO starts from the merged SFT
model with a fresh adapter, and what that model finds likely is computed once, before: handed the SFT adapter
itself, TRL would make its reference without the rows of the control tokens. What comes out is `model`, a complete
model folder, and for LoRA also `adapter`.

A training that was killed goes on from its last complete checkpoint and ends in the same weights to the byte.

Limits: a changed library or number of threads moves the last digits; a checkpoint of such a run is not told apart.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.config import TRAINING_WAYS, DpoSettings, SftSettings, TrainingSettings
from persllm.errors import TrainingError
from persllm.launching import Launch
from persllm.records import Conversation, Dropped, PreferencePair, fingerprint
from persllm.store import Progress, silent
from persllm.training.adapters import Trainable
from persllm.training.job import MEMORY, Job, prepare_torch
from persllm.training.samples import dpo_rows, in_order, sft_tokens, with_reference
from persllm.training.trouble import memory_trouble
from persllm.weights import file_fingerprint

WHOLE_BATCH = ("aot", "aot_unpaired")
"""Losses of DPO that compare the pairs of a batch with each other."""


def tune(
    base: Path, conversations: Sequence[Conversation], settings: SftSettings, folder: Path,
    seed: int = 0, threads: int = 2, progress: Progress = silent, launch: Launch | None = None,
) -> list[Dropped]:  # fmt: skip
    """Train the base on the answers of conversations; the model is `folder/model`, its losses `folder/curve.jsonl`.

    `launch` trains on several devices. Returns what was dropped. TrainingError if nothing is left, a loss is not a number, or
    memory is wanting.
    """
    job = Job(folder, settings, made_with("sft", settings, seed, threads, conversations), base)
    if job.finished:
        return job.dropped
    if launch:
        return job.launched(launch, {"phase": "sft", "start": str(base), "seed": seed, "threads": threads}, conversations, progress)
    with memory_trouble("sft", settings, folder):
        prepare_torch(seed, threads)
        raw = Trainable(base, settings, "sft")
        rows = [{"input_ids": p + a, "labels": [-100] * len(p) + a} for p, a in sft_tokens(raw.tokenizer, conversations)]
        kept = job.fitting(conversations, rows, [len(row["input_ids"]) for row in rows], raw.longest)
        job.foresee(raw, kept)
        order = in_order([len(row["input_ids"]) for row in kept], settings, seed)
        return job.train("sft", raw, [kept[place] for place in order], seed, progress)


def prefer(
    base: Path, sft: Path, pairs: Sequence[PreferencePair], settings: DpoSettings, folder: Path,
    seed: int = 0, threads: int = 2, progress: Progress = silent, launch: Launch | None = None,
) -> list[Dropped]:  # fmt: skip
    """DPO, or what `settings.method` names, from the model in `sft/model` on preference pairs; the model is `folder/model`.

    `base` is read only if the settings start from it. Returns what was dropped; TrainingError as for `tune`.
    """
    check_preferences(settings)
    start = base if settings.start == "base" else sft / "model"
    job = Job(folder, settings, made_with("dpo", settings, seed, threads, pairs), start)
    if job.finished:
        return job.dropped
    if launch:
        parts = {"phase": "dpo", "base": str(base), "start": str(sft), "seed": seed, "threads": threads}
        return job.launched(launch, parts, pairs, progress)
    with memory_trouble("dpo", settings, folder):
        prepare_torch(seed, threads)
        tuned = Trainable(start, settings, "dpo")
        rows = dpo_rows(tuned.tokenizer, pairs)
        lengths = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows]
        fitting = job.fitting(pairs, rows, lengths, tuned.longest)
        job.foresee(tuned, fitting)
        once = settings.method != "dpo" or settings.reference == "precomputed"
        kept = with_reference(tuned.speaking(), fitting, settings.batch, settings.ld_alpha) if once else fitting
        order = in_order([len(row["prompt_ids"]) + len(row["chosen_ids"]) for row in kept], settings, seed)
        return job.train("dpo", tuned, [kept[place] for place in order], seed, progress)


def check_preferences(settings: DpoSettings) -> None:
    """Refuse settings of `dpo` that do not go together, with a TrainingError."""
    if settings.method == "dpo" and settings.start == "base":
        raise TrainingError(
            "dpo.start=base: DPO pulls towards the SFT model and starts there. Set dpo.method to orpo, cpo or simpo, or dpo.start to sft."
        )
    if settings.reference == "adapter" and settings.adapter == "full":
        raise TrainingError(
            "dpo.reference=adapter: all weights are trained, so there is no adapter to switch off. Set dpo.reference=precomputed, or dpo.adapter=lora."
        )
    if settings.method != "dpo" and (settings.ld_alpha is not None or settings.loss != DpoSettings().loss):
        raise TrainingError(f"dpo.loss and dpo.ld_alpha belong to dpo.method=dpo; {settings.method} has a loss of its own. Leave them out.")
    whole = settings.method if settings.method != "dpo" else next((name for name in settings.loss if name in WHOLE_BATCH), "")
    if settings.micro_batch and whole:
        raise TrainingError(
            f"dpo.micro_batch: the loss of {whole} looks at a batch as a whole and would be another in parts. Lower dpo.batch."
        )
    if settings.method == "dpo" and not settings.loss:
        raise TrainingError("dpo.loss is empty. Name one of TRL's losses with its weight, such as {sigmoid: 1.0}.")


def facts_of(folder: Path) -> dict[str, Any]:
    """What a finished training in a folder tells of itself: samples, steps, tokens, the share of real ones, whether it was stopped, memory."""
    done, memory = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {} for file in (folder / "trained.json", folder / MEMORY)
    )
    return {**done.get("facts", {}), **memory} if done else {}


def made_with(
    phase: str, settings: TrainingSettings, seed: int, threads: int, samples: Sequence[Conversation] | Sequence[PreferencePair]
) -> str:
    """The fingerprint of everything the trained weights depend on, but for their last digits."""
    return fingerprint([phase, settings.model_dump(mode="json", exclude=TRAINING_WAYS), seed, threads, [s.identity for s in samples]])


def facts_of_step(folder: Path, names: Sequence[str], data: Path) -> dict[str, Any]:
    """What a training step tells of its models, and the fingerprint of the file of all samples that they were trained on."""
    facts = {name: facts_of(folder / name) for name in names}
    return {"models": list(names), "training": facts, "data": file_fingerprint(data)}
