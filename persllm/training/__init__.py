"""Personified tuning and automatic DPO on TRL and PEFT (paper sections 3.3 and 3.4).

Samples are tokens with a loss on the answer alone; one that is too long is dropped and named, never cut. `lora`
trains low-rank matrices and the rows of the control tokens; `full` all weights. DPO starts from the merged SFT
model with a fresh adapter, and what that model finds likely is computed once, before: handed the SFT adapter
itself, TRL would make its reference without the rows of the control tokens. What comes out is `model`, a complete
model folder, and for LoRA also `adapter`.

A training that was killed goes on from its last complete checkpoint and ends in the same weights to the byte.

Limits: a changed library or number of threads moves the last digits; a checkpoint of such a run is not told apart.
"""

from collections.abc import Sequence
from pathlib import Path

from persllm.base import LocalModel, load_parts
from persllm.config import DpoSettings, SftSettings
from persllm.records import Conversation, Dropped, PreferencePair, fingerprint
from persllm.store import Progress, silent
from persllm.training.job import Job, prepare_torch
from persllm.training.samples import dpo_rows, in_order, sft_tokens, with_reference


def tune(
    base: Path, conversations: Sequence[Conversation], settings: SftSettings, folder: Path,
    seed: int = 0, threads: int = 2, progress: Progress = silent,
) -> list[Dropped]:  # fmt: skip
    """Train the base on the answers of conversations; the model is `folder/model`, its losses `folder/curve.jsonl`.

    Returns what was dropped. TrainingError if nothing is left or the loss is not a number.
    """
    job = Job(folder, settings, fingerprint(["sft", settings.model_dump(mode="json"), seed, threads, [c.identity for c in conversations]]))
    if job.finished:
        return job.dropped
    prepare_torch(seed, threads)
    tokenizer, model = load_parts(str(base), "auto")
    rows = [{"input_ids": p + a, "labels": [-100] * len(p) + a} for p, a in sft_tokens(tokenizer, conversations)]
    kept = job.fitting(conversations, rows, [len(row["input_ids"]) for row in rows])
    order = in_order([len(row["input_ids"]) for row in kept], settings, seed)
    return job.train("sft", model, tokenizer, [kept[place] for place in order], seed, progress)


def prefer(
    base: Path, sft: Path, pairs: Sequence[PreferencePair], settings: DpoSettings, folder: Path,
    seed: int = 0, threads: int = 2, progress: Progress = silent,
) -> list[Dropped]:  # fmt: skip
    """DPO from the model in `sft/model` on preference pairs; the model is `folder/model`.

    `base` is not read: the SFT model holds it. Returns what was dropped; TrainingError as for `tune`.
    """
    job = Job(folder, settings, fingerprint(["dpo", settings.model_dump(mode="json"), seed, threads, [p.identity for p in pairs]]))
    if job.finished:
        return job.dropped
    prepare_torch(seed, threads)
    tokenizer, model = load_parts(str(sft / "model"), "auto")
    rows = dpo_rows(tokenizer, pairs)
    lengths = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows]
    kept = with_reference(LocalModel(model, tokenizer), job.fitting(pairs, rows, lengths), settings.batch)
    order = in_order([len(row["prompt_ids"]) + len(row["chosen_ids"]) for row in kept], settings, seed)
    return job.train("dpo", model, tokenizer, [kept[place] for place in order], seed, progress)
