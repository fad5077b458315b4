"""What a trainer reads: samples as tokens, the reference's likelihoods, and the order of the training.

The order is made once, before, all epochs in one row: a run that goes on from a checkpoint reads what it would have read.
"""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from persllm.base import LocalModel, with_like_prompts
from persllm.config import TrainingSettings
from persllm.records import Conversation, PreferencePair, Request
from persllm.rendering import answers_to_ids, prompts_to_ids
from persllm.thought import language_of, written
from persllm.training.world import from_all, own_share, processes

Row = dict[str, Any]
"""A sample as TRL takes it: columns of token ids, and for pairs the likelihoods under the model before."""
WINDOW = 50
"""Batches among which samples of like length are brought together."""
CURRICULUM_WINDOW = 8
"""The same where the order matters."""


def sft_tokens(tokenizer: Any, conversations: Sequence[Conversation]) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) as token ids for each conversation; an answer with a thought is asked for by the analysis variable."""
    requests = [
        Request(messages=c.prompt, persona=c.persona, stage=c.stage, analysis=bool(c.persona and c.answer.thought)) for c in conversations
    ]
    answers = [written(c.answer, language_of(c.answer.content)) for c in conversations]
    return list(zip(prompts_to_ids(tokenizer, requests), answers_to_ids(tokenizer, answers), strict=True))


def token_counter(base: Path) -> Callable[[Sequence[Conversation]], list[int]]:
    """Counts the tokens of conversations as they are trained, by the tokenizer in a model folder."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    return lambda conversations: [len(prompt) + len(answer) for prompt, answer in sft_tokens(tokenizer, conversations)]


def dpo_rows(tokenizer: Any, pairs: Sequence[PreferencePair]) -> list[Row]:
    """Prompt, chosen and rejected answer as token ids for each pair."""
    requests = [Request(messages=p.prompt, persona=p.persona, stage=p.stage, analysis=bool(p.persona and p.chosen.thought)) for p in pairs]
    prompts = prompts_to_ids(tokenizer, requests)
    chosen, rejected = (
        answers_to_ids(tokenizer, [written(message, language_of(message.content)) for message in messages])
        for messages in ([p.chosen for p in pairs], [p.rejected for p in pairs])
    )
    return [{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in zip(prompts, chosen, rejected, strict=True)]


def with_reference(reference: LocalModel, rows: Sequence[Row], batch: int, tail: float | None = None) -> list[Row]:
    """Each pair with the log-likelihoods that the model before the training gives to both answers.

    `tail` weighs the tokens by which one answer is longer than the other, as TRL's `ld_alpha` does.
    """
    filled = [dict(row) for row in own_share(rows)]
    for places in with_like_prompts([row["prompt_ids"] for row in filled], batch):
        prompts = [filled[p]["prompt_ids"] for p in places]
        shared = [min(len(filled[p]["chosen_ids"]), len(filled[p]["rejected_ids"])) for p in places]
        for side in ("chosen", "rejected"):
            answers = [filled[p][f"{side}_ids"] for p in places]
            totals = reference.score(prompts, answers)
            if tail is not None:
                heads = reference.score(prompts, [answer[:length] for answer, length in zip(answers, shared, strict=True)])
                totals = [head + tail * (total - head) for head, total in zip(heads, totals, strict=True)]
            for place, total in zip(places, totals, strict=True):
                filled[place][f"ref_{side}_logps"] = total
    return from_all(filled, len(rows))


def filled_up(rows: list[Row], batch: int, padding: int | None) -> list[Row]:
    """Rows whose last batch is whole where several processes share it: SFT gets rows without a label, which count nothing.

    Pairs have no such row; Accelerate repeats the first ones for the processes that would have none.
    """
    missing = -len(rows) % batch
    if processes() == 1 or not missing or "labels" not in rows[0]:
        return rows
    return rows + [{"input_ids": [padding or 0] * 2, "labels": [-100] * 2}] * missing


def one_stage(rows: Sequence[Row]) -> list[Row]:
    """Pairs as TRL's trainers without a reference take them; the loss is on the answers."""
    made: list[Row] = []
    for row in rows:
        made.append({"prompt": "", "chosen": "", "rejected": "", "ref_chosen_logps": row["ref_chosen_logps"]})
        for side in ("chosen", "rejected"):
            prompt, answer = row["prompt_ids"], row[f"{side}_ids"]
            made[-1][f"{side}_input_ids"] = prompt + answer
            made[-1][f"{side}_attention_mask"] = [1] * len(prompt + answer)
            made[-1][f"{side}_labels"] = [-100] * len(prompt) + answer
    return made


def sequence_lengths(row: Row) -> list[int]:
    """Tokens of each sequence that a sample is read as: one, or for a pair two."""
    if "input_ids" in row:
        return [len(row["input_ids"])]
    return [len(row["prompt_ids"]) + len(row[f"{side}_ids"]) for side in ("chosen", "rejected")]


def real_share(lengths: Sequence[Sequence[int]], batch: int) -> float:
    """Share of real tokens among all that are computed, when every sequence is padded to the longest of its batch."""
    batches = [[length for sample in lengths[i : i + batch] for length in sample] for i in range(0, len(lengths), batch)]
    return sum(map(sum, batches)) / sum(max(members) * len(members) for members in batches)


def in_order(lengths: Sequence[int], settings: TrainingSettings, seed: int) -> list[int]:
    """Positions of the samples in the order of training, all epochs in one row, batches of like length.

    A curriculum keeps the order: that of the samples as they come (`stages`), or of their lengths.
    """
    dice = random.Random(seed)
    order = getattr(settings, "order", "shuffled")
    wanted = max(1, math.ceil(settings.epochs * len(lengths)))
    kept = sorted(range(len(lengths)), key=lambda place: lengths[place] if order == "length" else 0)
    places: list[int] = []
    while len(places) < wanted:
        places += dice.sample(kept, len(kept)) if order == "shuffled" else kept
    ordered: list[int] = []
    step = (WINDOW if order == "shuffled" else CURRICULUM_WINDOW) * settings.batch
    for start in range(0, wanted, step):
        window = sorted(places[start : min(start + step, wanted)], key=lambda place: lengths[place])
        whole = len(window) // settings.batch * settings.batch
        batches = [window[i : i + settings.batch] for i in range(0, whole, settings.batch)]
        dice.shuffle(batches)
        ordered += [place for batch in batches for place in batch] + window[whole:]
    return ordered
