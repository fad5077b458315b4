"""The small base: a small Llama-architecture model with its own byte-level BPE, shipped for English, else built at first use.

The shipped one has read novels and dialogues (`scripts/pretrain_small_base.py`, `shipped_base/MODEL_CARD.md`). The built one
reads the bundled general conversations and the nursery's invented little persons, so that it can read a question
and answer in the first person before it becomes anybody. Nothing of the bundled world is among what either reads.
A built one is kept in a cache folder named by all that it depends on, complete or absent.

Limits: a few million parameters and an hour or a minute of reading; it knows nothing of the real world worth asking for.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from persllm import general
from persllm.config import BaseSettings
from persllm.nursery import nursery
from persllm.records import Conversation, fingerprint
from persllm.store import Progress, disk_trouble, silent

EDITION = 1
"""Raised when the way of building changes, so that older caches are not taken for new ones."""
PAD, SYSTEM, USER, ASSISTANT, END = "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|' ~ message['role'] ~ '|>' ~ message['content'] ~ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONTEXT = 1024
"""Longest conversation in tokens."""
BATCH_TOKENS = 2048
"""Tokens per optimizer step of the pretraining."""
WARMUP = 0.05
"""Share of the steps in which the rate rises; after that it falls to a tenth along a cosine."""
SHIPPED = Path(__file__).parent / "shipped_base"
"""The folder of the shipped base, with its card."""
BUILDING = {"hidden_size", "layers", "vocabulary", "pretraining_tokens", "learning_rate"}
"""The settings that a built base depends on."""


def small_base(
    settings: BaseSettings, languages: Collection[str], cache: Path, seed: int = 0, threads: int = 2, progress: Progress = silent
) -> Path:
    """The folder of the small base for persons of these languages: the shipped one, or one built for these settings."""
    return SHIPPED if is_shipped(settings, languages) else ensure_small_base(settings, cache, seed, threads, progress)


def is_shipped(settings: BaseSettings, languages: Collection[str]) -> bool:
    """Whether the shipped base will do: all persons are English and nothing about the building of another is set."""
    return set(languages) == {"en"} and settings.model_dump(include=BUILDING) == BaseSettings().model_dump(include=BUILDING)


def ensure_small_base(settings: BaseSettings, cache: Path, seed: int = 0, threads: int = 2, progress: Progress = silent) -> Path:
    """The folder of the small base, built now if the cache has none for these settings and texts."""
    texts = [text_of(conversation) for conversation in lessons(settings, seed)]
    wanted = settings.model_dump(include=BUILDING)
    folder = cache / f"small-base-{fingerprint([EDITION, TEMPLATE, wanted, seed, threads, texts])}"
    if not folder.is_dir():
        with disk_trouble(cache):
            cache.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=".small-base-", dir=cache))
            fresh.chmod(0o755)
        try:
            build(texts, settings, fresh, seed, threads, progress)
            with disk_trouble(cache):
                os.rename(fresh, folder)
        except OSError:
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def lessons(settings: BaseSettings, seed: int) -> list[Conversation]:
    """What is read: the general conversations that are not held out, and as much of the nursery as the tokens call for."""
    files = general.bundled_files({"en", "zh"})
    bundled = [conversation for conversation in general.read_general(files) if not general.is_held_out(conversation)]
    return bundled + nursery(settings.pretraining_tokens // 100, seed)


def text_of(conversation: Conversation) -> str:
    """A conversation as the template renders it."""
    return "".join(f"<|{message.role}|>{message.content}{END}" for message in conversation.messages)


def build(texts: Sequence[str], settings: BaseSettings, folder: Path, seed: int, threads: int, progress: Progress) -> None:
    """Train tokenizer and model on the texts and write both."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(texts, settings.vocabulary)
    model = build_model(settings, tokenizer)
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    pretrain(model, [row for row in rows if len(row) <= CONTEXT], settings, seed, progress)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def build_tokenizer(texts: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer with one special token per role; any text can be written with it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, SYSTEM, USER, ASSISTANT, END]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, initial_alphabet=sorted(alphabet), show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END, pad_token=PAD, extra_special_tokens=[SYSTEM, USER, ASSISTANT], model_max_length=CONTEXT
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build_model(settings: BaseSettings, tokenizer: Any) -> Any:
    """A Llama-architecture model with fresh weights and tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width = settings.hidden_size
    config = LlamaConfig(
        vocab_size=settings.vocabulary, hidden_size=width, intermediate_size=width * 8 // 3, num_hidden_layers=settings.layers,
        num_attention_heads=max(1, width // 32), num_key_value_heads=max(1, width // 32), max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, initializer_range=width**-0.5 / 2,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def pretrain(model: Any, rows: Sequence[list[int]], settings: BaseSettings, seed: int, progress: Progress) -> None:
    """Next-token training on every token, in batches of like length, until the wanted number of tokens is read."""
    import torch

    steps = max(1, settings.pretraining_tokens // BATCH_TOKENS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps))
    model.train()
    for step, batch in zip(range(steps), endless_batches(rows, seed), strict=False):
        token_losses(model, batch).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        progress(step + 1, steps)
    model.eval()


def token_losses(model: Any, batch: Sequence[list[int]]) -> Any:
    """Loss of every token of a batch but the first of each row, in nats: a tensor of one dimension."""
    import torch

    longest = max(map(len, batch))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
    labels = torch.tensor([row[1:] + [-100] * (longest - len(row) + 1) for row in batch])
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    wanted = labels != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[wanted], reduction="none")


def rate_at(step: int, steps: int) -> float:
    """The share of the peak rate at a step."""
    import math

    rise = max(1, round(steps * WARMUP))
    if step < rise:
        return (step + 1) / rise
    return 0.1 + 0.9 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


def endless_batches(rows: Sequence[list[int]], seed: int) -> Iterator[list[list[int]]]:
    """Batches of about BATCH_TOKENS tokens and like length, pass after pass, each in a new order."""
    dice = random.Random(seed)
    while True:
        order = sorted(range(len(rows)), key=lambda place: (len(rows[place]), dice.random()))
        batches: list[list[list[int]]] = [[]]
        for place in order:
            if (len(batches[-1]) + 1) * len(rows[place]) > BATCH_TOKENS and batches[-1]:
                batches.append([])
            batches[-1].append(rows[place])
        dice.shuffle(batches)
        yield from batches
