"""Pretrain the shipped small base from public-domain novels and BSD-licensed dialogues.

    python scripts/pretrain_small_base.py NOVELS DIALOGUES WORK [--measure MODEL ...]

NOVELS is a folder of plain texts, DIALOGUES a .jsonl.gz of {"turns": [...]}, WORK keeps the checkpoint, the log and
the result `WORK/model`. A killed run goes on from its checkpoint and ends in the same weights. What it reads:

- pieces of novels, half of them as plain text, half as a turn and what follows it; and what their characters say to
  each other, as turns. Whole novels are held out.
- the dialogues, as turns. Every fiftieth is held out.
- the nursery and the bundled general conversations, which every small base reads (persllm.small_base.lessons).

With --measure nothing is trained: the held-out losses of the model folders named are printed.

The rate rises, stays, and falls in the last quarter of the steps, where the share of talk is larger. Equal inputs, seed,
threads and library versions give equal weights.
"""

import argparse
import gzip
import json
import math
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from persllm import general
from persllm.config import BaseSettings
from persllm.nursery import nursery
from persllm.small_base import CONTEXT, END, build_model, build_tokenizer, endless_batches, text_of, token_losses

SHAPE = BaseSettings(hidden_size=192, layers=4, vocabulary=4096, learning_rate=2e-3)
HELD_NOVELS = ("113_the_secret_garden", "219_heart_of_darkness", "550_silas_marner", "74_the_adventures_of_tom_sawyer")
HELD_DIALOGUE = 50
"""Every so manieth dialogue is held out."""
PIECE = 900
"""Characters of a piece of a novel, about 230 tokens."""
NOVEL_CHARACTERS, SPOKEN_CHARACTERS = 17_000_000, 8_000_000
"""How much of the novels is read as prose and as talk between characters."""
NURSERY, GENERAL_PASSES = 6000, 4
WARMUP_STEPS, FALL = 200, 0.25
SAVE_EVERY, MEASURE_EVERY, HELD_ROWS = 100, 500, 240

Text = str
CARD = """# Model card: the small base

A Llama-architecture model of {parameters:,} parameters (width {width}, {layers} layers, {heads} heads, tied embeddings, context 1,024) with
its own byte-level BPE of {vocabulary:,} tokens and a chat template with the roles system, user and assistant. bf16. English.

It is the base of the bundled demo: something that a laptop can train into a person in minutes. It writes sentences;
it knows nothing, follows no instructions, and what it says of anybody or anything is made up. Not for any other use.

## Data and licence

| read | licence |
| --- | --- |
| English novels of the 18th to the early 20th century, from LitBank's collection: pieces as text, and what characters say to each other as turns | public domain in the US |
| Self-dialogue Corpus (Fainberg et al. 2018), chit-chat of crowd workers, worker ids removed | BSD 3-Clause, Copyright (c) 2017 |
| the nursery and the general conversations of this package | Apache-2.0 |

The weights are under this package's licence, Apache-2.0. Novels carry the views of their time, the dialogues those of their writers;
nothing was filtered. No text of the bundled persons was read.

## Training

{steps:,} steps of about 2,048 tokens, {tokens:,} tokens in all; AdamW, peak rate {rate}, level for three quarters of the steps, then falling
along a line. `scripts/pretrain_small_base.py`, seed {seed}, {threads} thread(s), torch {torch}, transformers {transformers}, tokenizers
{tokenizers}; another library, processor or number of threads moves the last digits. A test holds that short runs, killed or not, end in
equal files; the whole was trained once, interrupted and taken up again.

## Held out

Novels held out whole: {held}; and every {dialogue}th dialogue.

| held out | nats per token | bits per byte |
| --- | --- | --- |
{losses}
"""


# What is read --------------------------------------------------------------------------------------------


def turns(said: Sequence[str]) -> Text:
    """Texts as turns of user and assistant, the last one the assistant's."""
    even = said[: len(said) // 2 * 2]
    return "".join(f"<|{'user' if place % 2 == 0 else 'assistant'}|>{text}{END}" for place, text in enumerate(even))


def paragraphs(novel: str) -> list[str]:
    """The paragraphs of a plain text, one line each, in plain ASCII quotation marks and without headings."""
    plain = novel.translate(str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "_": None, "\ufeff": None}))
    plain = re.sub(r"\s*(?:--+|—)\s*", " - ", plain)
    joined = (" ".join(block.split()) for block in re.split(r"\n\s*\n", plain))
    return [text for text in joined if len(text) > 15 and text[-1] in ".!?\"':;," and not text.isupper()]


def prose(novel: Sequence[str]) -> Iterator[Text]:
    """Pieces of some paragraphs; every second one as a turn and what follows it."""
    piece: list[str] = []
    asked = False
    for text in novel:
        piece.append(text)
        if sum(map(len, piece)) > PIECE * 0.7 or len(text) > PIECE:
            whole = cut("\n".join(piece))
            asked = not asked
            head, _, rest = whole.partition("\n")
            yield turns([head, rest]) if asked and rest else whole + END
            piece = []


def cut(text: str) -> str:
    """The text up to the last sentence that ends within PIECE characters."""
    if len(text) <= PIECE:
        return text
    ends = [found.end() for found in re.finditer(r"[.!?][\"']?(?=\s)", text[:PIECE])]
    return text[: ends[-1]] if ends else text[:PIECE]


def spoken(novel: Sequence[str]) -> Iterator[Text]:
    """Runs of paragraphs that begin with a quotation, as turns: what is said, without who says it."""
    run: list[str] = []
    for text in [*novel, ""]:
        said = " ".join(part.strip() for part in re.findall(r'"([^"]+)"', text)) if text.startswith('"') else ""
        full = sum(map(len, run)) + len(said) > PIECE or len(run) == 6
        if (not said or full) and len(run) > 1:
            yield turns(run)
        run = ([] if full else run) + [sentence(said)] if said else []


def sentence(text: str) -> str:
    """A text that begins with a capital and ends with a full stop."""
    text = re.sub(r"\bi\b(?!\.)", "I", re.sub(r",$", "", " ".join(text.split())))
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?\"'" else ".") if text else text


def dialogues(file: Path) -> list[Text]:
    """The dialogues as turns; a longer one is cut in two."""
    found = []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            said = [sentence(text) for text in json.loads(line)["turns"]]
            said = [text for text in said if text]
            if len(said) > 1:
                found.append(turns(said))
    return found


class Corpus:
    """Texts to read in the main part and in the fall of the rate, and the texts held out."""

    def __init__(self, novels: Path, talk: Path, seed: int):
        dice = random.Random(seed)
        books = {file.stem: paragraphs(file.read_text(encoding="utf-8", errors="replace")) for file in sorted(novels.glob("*.txt"))}
        read = [book for name, book in books.items() if name not in HELD_NOVELS]
        pieces = some((text for book in read for text in prose(book)), NOVEL_CHARACTERS, dice)
        said = some((text for book in read for text in spoken(book)), SPOKEN_CHARACTERS, dice)
        chat = dialogues(talk)
        little = [text_of(conversation) for conversation in nursery(NURSERY, seed)]
        everyday = [
            text_of(conversation)
            for conversation in general.read_general(general.bundled_files({"en"}))
            if not general.is_held_out(conversation)
        ]
        kept = [text for place, text in enumerate(chat) if place % HELD_DIALOGUE]
        dice.shuffle(kept)
        late = len(kept) // 4
        self.main = pieces[len(pieces) // 6 :] + said[len(said) // 4 :] + kept[late:] + little[NURSERY // 2 :] + everyday * GENERAL_PASSES
        self.fall = pieces[: len(pieces) // 6] + said[: len(said) // 4] + kept[:late] + little[: NURSERY // 2] + everyday * GENERAL_PASSES
        held = [text for name in HELD_NOVELS for text in prose(books.get(name, []))]
        self.held = {
            "novels": dice.sample(held, min(HELD_ROWS, len(held))),
            "dialogues": [text for place, text in enumerate(chat) if place % HELD_DIALOGUE == 0][:HELD_ROWS],
        }


def some(texts: Iterator[Text], characters: int, dice: random.Random) -> list[Text]:
    """A random choice of so many characters in all."""
    everything = list(texts)
    dice.shuffle(everything)
    total, count = 0, 0
    while count < len(everything) and total < characters:
        total += len(everything[count])
        count += 1
    return everything[:count]


# How it is read ------------------------------------------------------------------------------------------


def rate(step: int, steps: int) -> float:
    """The share of the peak rate: up, level, and down along a straight line to a twentieth."""
    fall = start_of_fall(steps)
    if step < fall:
        return min(1.0, (step + 1) / WARMUP_STEPS)
    return max(0.05, 1 - 0.95 * (step - fall) / max(1, steps - fall))


def start_of_fall(steps: int) -> int:
    """The first step of the fall."""
    return round(steps * (1 - FALL))


@torch.no_grad()
def held_out_loss(model: Any, tokenizer: Any, texts: Sequence[Text]) -> dict[str, float]:
    """Nats per token, and bits per byte of what stands between the role tokens; comparable over tokenizers."""
    model.eval()
    rows = sorted(tokenizer(list(texts), add_special_tokens=False)["input_ids"], key=len)
    found = [token_losses(model, [row[:CONTEXT] for row in rows[start : start + 8]]).double() for start in range(0, len(rows), 8)]
    model.train()
    total, tokens = sum(float(part.sum()) for part in found), sum(map(len, found))
    size = sum(len(re.sub(r"<\|[a-z]+\|>", "", text).encode()) for text in texts)
    return {"nats_per_token": round(total / tokens, 4), "bits_per_byte": round(total / math.log(2) / size, 4)}


class Schooling:
    """A model, its optimizer and where it is in what it reads; saved whole and taken up again."""

    def __init__(self, corpus: Corpus, work: Path, seed: int):
        self.corpus, self.work, self.seed = corpus, work, seed
        torch.manual_seed(seed)
        self.tokenizer = build_tokenizer(sorted(corpus.main), SHAPE.vocabulary)
        self.model = build_model(SHAPE, self.tokenizer)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=SHAPE.learning_rate, betas=(0.9, 0.98), weight_decay=0.1, fused=True)
        self.step, self.tokens = 0, 0

    def rows(self, texts: Sequence[Text]) -> list[list[int]]:
        """Texts as tokens; those longer than the context are left out."""
        return [row for row in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if len(row) <= CONTEXT]

    def batches(self, steps: int) -> Iterator[list[list[int]]]:
        """The batches from the present step on."""
        fall = start_of_fall(steps)
        main, late = endless_batches(self.rows(self.corpus.main), self.seed), endless_batches(self.rows(self.corpus.fall), self.seed)
        for step in range(steps):
            batch = next(main if step < fall else late)
            if step >= self.step:
                yield batch

    def run(self, steps: int) -> None:
        """Read until the last step."""
        self.load()
        self.model.train()
        began = time.monotonic()
        for batch in self.batches(steps):
            for group in self.optimizer.param_groups:
                group["lr"] = SHAPE.learning_rate * rate(self.step, steps)
            loss = token_losses(self.model, batch).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
            self.tokens += sum(map(len, batch))
            if self.step % 50 == 0 or self.step == steps:
                self.log(
                    {"step": self.step, "tokens": self.tokens, "loss": round(loss.item(), 4), "seconds": round(time.monotonic() - began)}
                )
            if self.step % MEASURE_EVERY == 0 or self.step == steps:
                self.log(
                    {"step": self.step}
                    | {name: held_out_loss(self.model, self.tokenizer, texts) for name, texts in self.corpus.held.items() if texts}
                )
            if self.step % SAVE_EVERY == 0 or self.step == steps:
                self.save()
        self.finish()

    def log(self, entry: dict[str, Any]) -> None:
        """A line on the screen and in the log."""
        print(json.dumps(entry), flush=True)
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Replace the checkpoint."""
        fresh = self.work / "fresh.pt"
        torch.save(
            {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step, "tokens": self.tokens}, fresh
        )
        os.replace(fresh, self.work / "checkpoint.pt")

    def load(self) -> None:
        """Take up the checkpoint, if there is one."""
        file = self.work / "checkpoint.pt"
        if file.is_file():
            kept = torch.load(file, weights_only=True)
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.step, self.tokens = kept["step"], kept["tokens"]

    def finish(self) -> None:
        """Write the model in bf16, with the tokenizer and its template, and the card with what is then measured."""
        folder = self.work / "model"
        self.model.eval().to(torch.bfloat16).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "MODEL_CARD.md").write_text(card(self, measure(folder, self.corpus)), encoding="utf-8")


def measure(folder: Path, corpus: Corpus) -> dict[str, dict[str, float]]:
    """The held-out losses of a model folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {name: held_out_loss(model, AutoTokenizer.from_pretrained(folder), texts) for name, texts in corpus.held.items() if texts}


def card(school: Schooling, measured: dict[str, dict[str, float]]) -> str:
    """The model card."""
    import tokenizers
    import transformers

    losses = "\n".join(f"| {name} | {found['nats_per_token']} | {found['bits_per_byte']} |" for name, found in measured.items())
    return CARD.format(
        parameters=sum(weight.numel() for weight in school.model.parameters()), width=SHAPE.hidden_size, layers=SHAPE.layers,
        heads=school.model.config.num_attention_heads, vocabulary=SHAPE.vocabulary, steps=school.step, tokens=school.tokens, rate=SHAPE.learning_rate,
        seed=school.seed, threads=torch.get_num_threads(), torch=torch.__version__, transformers=transformers.__version__,
        tokenizers=tokenizers.__version__, held=", ".join(f"`{name}`" for name in HELD_NOVELS), dialogue=HELD_DIALOGUE, losses=losses,
    )  # fmt: skip


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("novels", type=Path)
    parser.add_argument("dialogues", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--measure", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    wanted.work.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(wanted.novels, wanted.dialogues, wanted.seed)
    for folder in wanted.measure:
        print(json.dumps({"model": folder.name} | measure(folder, corpus)))
    if not wanted.measure:
        Schooling(corpus, wanted.work, wanted.seed).run(wanted.steps)


if __name__ == "__main__":
    main()
