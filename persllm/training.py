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
import math
import random
import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persllm.base import LocalModel, load_parts, save_whole, with_like_prompts
from persllm.config import DpoSettings, SftSettings, TrainingSettings
from persllm.errors import TrainingError
from persllm.records import Conversation, Dropped, PreferencePair, Request, fingerprint
from persllm.rendering import answers_to_ids, prompts_to_ids
from persllm.store import Progress, replace_json, replace_text, silent
from persllm.templates import is_control_token
from persllm.thought import language_of, written

Row = dict[str, Any]
"""A sample as TRL takes it: columns of token ids, and for pairs the likelihoods under the model before."""
WINDOW = 50
"""Batches among which samples of like length are brought together."""
MOST_LOGGED = 10
"""At most so many steps between two points of the curve."""
POINTS = 20
"""A short training has at least so many points, if it has so many steps."""


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


# Samples -------------------------------------------------------------------------------------------------


def sft_tokens(tokenizer: Any, conversations: Sequence[Conversation]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) as token ids for each conversation; an answer with a thought is asked for by the analysis variable."""
    requests = [
        Request(messages=c.prompt, persona=c.persona, stage=c.stage, analysis=bool(c.persona and c.answer.thought)) for c in conversations
    ]
    answers = [written(c.answer, language_of(c.answer.content)) for c in conversations]
    return list(zip(prompts_to_ids(tokenizer, requests), answers_to_ids(tokenizer, answers), strict=True))


def dpo_rows(tokenizer: Any, pairs: Sequence[PreferencePair]) -> list[Row]:
    """Prompt, chosen and rejected answer as token ids for each pair."""
    requests = [Request(messages=p.prompt, persona=p.persona, stage=p.stage, analysis=bool(p.persona and p.chosen.thought)) for p in pairs]
    prompts = prompts_to_ids(tokenizer, requests)
    chosen, rejected = (
        answers_to_ids(tokenizer, [written(message, language_of(message.content)) for message in messages])
        for messages in ([p.chosen for p in pairs], [p.rejected for p in pairs])
    )
    return [{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in zip(prompts, chosen, rejected, strict=True)]


def with_reference(reference: LocalModel, rows: Sequence[Row], batch: int) -> list[Row]:
    """Each pair with the log-likelihoods that the model before the training gives to both answers."""
    filled = [dict(row) for row in rows]
    for places in with_like_prompts([row["prompt_ids"] for row in rows], batch):
        for side in ("chosen", "rejected"):
            totals = reference.score([rows[p]["prompt_ids"] for p in places], [rows[p][f"{side}_ids"] for p in places])
            for place, total in zip(places, totals, strict=True):
                filled[place][f"ref_{side}_logps"] = total
    return filled


def in_order(lengths: Sequence[int], settings: TrainingSettings, seed: int) -> list[int]:
    """Positions of the samples in the order of training, all epochs in one row, batches of like length."""
    dice = random.Random(seed)
    wanted = max(1, math.ceil(settings.epochs * len(lengths)))
    places: list[int] = []
    while len(places) < wanted:
        places += dice.sample(range(len(lengths)), len(lengths))
    ordered: list[int] = []
    step = WINDOW * settings.batch
    for start in range(0, wanted, step):
        window = sorted(places[start : min(start + step, wanted)], key=lambda place: lengths[place])
        whole = len(window) // settings.batch * settings.batch
        batches = [window[i : i + settings.batch] for i in range(0, whole, settings.batch)]
        dice.shuffle(batches)
        ordered += [place for batch in batches for place in batch] + window[whole:]
    return ordered


# A training ----------------------------------------------------------------------------------------------


class Job:
    """One training in one folder: finished when `trained.json` is there; checkpoints until then."""

    def __init__(self, folder: Path, settings: TrainingSettings, made_with: str):
        self.folder, self.settings, self.made_with = folder, settings, made_with
        self.dropped: list[Dropped] = []
        self.finished = False
        file = folder / "trained.json"
        if file.is_file():
            done = json.loads(file.read_text(encoding="utf-8"))
            self.finished = done["made_with"] == made_with
            self.dropped = [Dropped.model_validate(entry) for entry in done["dropped"]] if self.finished else []

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

        from persllm.trainers import Preferrer, Tuner, Watch, mend_head

        disable_progress_bar()
        steps = math.ceil(len(rows) / self.settings.batch)
        arguments = training_arguments(phase, self.settings, self.folder / "checkpoints", steps, seed)
        trainer = (Tuner if phase == "sft" else Preferrer)(
            model=model, args=arguments, processing_class=tokenizer, train_dataset=Dataset.from_list(rows),
            peft_config=adapter_settings(model, tokenizer, self.settings.rank) if self.settings.adapter == "lora" else None,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watch(self.made_with, progress))
        mend_head(trainer.model)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            trainer.train(resume_from_checkpoint=self.last_checkpoint())
        self.keep(trainer, tokenizer)
        return self.dropped

    def last_checkpoint(self) -> str | None:
        """The newest complete checkpoint of this very training; torn and foreign ones are removed."""
        from persllm.trainers import COMPLETE

        found: list[tuple[int, Path]] = []
        for checkpoint in (self.folder / "checkpoints").glob("checkpoint-*"):
            mark = checkpoint / COMPLETE
            if mark.is_file() and mark.read_text(encoding="utf-8") == self.made_with:
                found.append((int(checkpoint.name.rpartition("-")[2]), checkpoint))
            else:
                shutil.rmtree(checkpoint, ignore_errors=True)
        return str(max(found)[1]) if found else None

    def keep(self, trainer: Any, tokenizer: Any) -> None:
        """Write adapter, model and curve, then the mark that the training is finished."""
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self.settings.adapter == "lora":
            shutil.rmtree(self.folder / "adapter", ignore_errors=True)
            model.save_pretrained(self.folder / "adapter", save_embedding_layers=False)
            (self.folder / "adapter" / "README.md").unlink(missing_ok=True)
            model = model.merge_and_unload()
        model.__dict__.pop("forward", None)
        save_whole(model, tokenizer, self.folder / "model")
        replace_text(self.folder / "curve.jsonl", "".join(f"{json.dumps(point)}\n" for point in curve(trainer.state.log_history)))
        replace_json(self.folder / "trained.json", {"made_with": self.made_with, "dropped": [d.model_dump() for d in self.dropped]})
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)


def prepare_torch(seed: int, threads: int) -> None:
    """Threads and seed of everything that is drawn."""
    import torch
    from transformers import set_seed

    torch.set_num_threads(threads)
    set_seed(seed)


def training_arguments(phase: str, settings: TrainingSettings, folder: Path, steps: int, seed: int) -> Any:
    """SFTConfig or DPOConfig; `settings.arguments` has the last word. TrainingError if it names what TRL does not know."""
    import torch
    from trl import DPOConfig, SFTConfig

    log_every = max(n for n in range(1, max(1, min(MOST_LOGGED, steps // POINTS)) + 1) if settings.checkpoint_every % n == 0)
    arguments: dict[str, Any] = {
        "output_dir": str(folder), "per_device_train_batch_size": settings.batch, "num_train_epochs": 1, "train_sampling_strategy": "sequential",
        "learning_rate": settings.learning_rate, "warmup_steps": min(settings.warmup, steps // 5), "weight_decay": settings.weight_decay,
        "max_length": None, "seed": seed, "save_steps": settings.checkpoint_every, "save_total_limit": 2, "logging_steps": log_every,
        "logging_nan_inf_filter": False, "report_to": "none", "disable_tqdm": True, "activation_checkpointing": False,
        "bf16": False, "use_cpu": not torch.cuda.is_available(), "dataloader_pin_memory": False,
    }  # fmt: skip
    if phase == "sft":
        arguments |= {"dataset_kwargs": {"skip_prepare_dataset": True}}
    if isinstance(settings, DpoSettings):
        arguments |= {"beta": settings.beta, "precompute_ref_log_probs": True, "loss_type": ["sigmoid"]}
        if settings.sft_weight > 0:
            arguments |= {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, settings.sft_weight]}
    try:
        return (SFTConfig if phase == "sft" else DPOConfig)(**{**arguments, **settings.arguments})
    except TypeError as error:
        unknown = re.sub(r".*argument ", "", str(error))
        raise TrainingError(f"{phase}.arguments: TRL knows no {unknown}. See the parameters of its {phase.upper()}Config.") from None


def adapter_settings(model: Any, tokenizer: Any, rank: int) -> Any:
    """A LoRA on all linear layers, with the rows of the control tokens; those of the output too where it is not tied."""
    from peft import LoraConfig

    tokens = sorted(i for token, i in tokenizer.get_added_vocab().items() if is_control_token(token))
    names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
    rows = {names[id(model.get_input_embeddings())]: tokens}
    if not model.config.tie_word_embeddings:
        rows[names[id(model.get_output_embeddings())]] = tokens
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM", trainable_token_indices=rows if tokens else None
    )


def curve(history: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The points of the training curve: step, loss, and for DPO margin, accuracy and log-likelihood per token of both sides."""
    names = {
        "step": "step", "loss": "loss", "margin": "rewards/margins", "accuracy": "rewards/accuracies",
        "chosen": "logps/chosen", "rejected": "logps/rejected",
    }  # fmt: skip
    points = [{name: float(point[key]) for name, key in names.items() if key in point} for point in history if "loss" in point]
    for point, logged in zip(points, (p for p in history if "loss" in p), strict=True):
        for side in {"chosen", "rejected"} & set(point):
            point[side] /= logged[f"tokens/{side}"]
    return points
