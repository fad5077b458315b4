"""How fast a person is trained: our step beside TRL as it comes and beside a bare PyTorch loop, as ratios in one run.

    python benchmarks/training.py cpu runs/demo --rows 1200 --pairs 240 --rounds 3 --threads 2
    python benchmarks/training.py gpu --shapes 0.5B,1.7B,8B --tokens 2048

`cpu` trains the run's own base on its own samples and pairs. Every measurement is a process of its own (peak memory), rounds go
through all ways in turn, the table holds medians. All read the same samples, batch and number of threads:

- ours: `persllm.training.tune` and `prefer`, whole calls.
- plain: SFTTrainer and DPOTrainer with the messages, everything as TRL has it, batch and threads apart.
- plain fp32: the same without bfloat16, which many processors have no arithmetic for.
- bare: a PyTorch loop with what we know helps: like lengths, scores only where an answer stands, the reference computed once.

"step" is real tokens a second between the first and the last step; "whole" is everything after the imports: reading the base,
tokenising, training, writing. `gpu` trains random weights of three common shapes on random tokens with our trainer, full and LoRA, and
sets them against the bfloat16 rate of a matrix product measured there (six operations a weight and token, four where the base stays
as it is, and those of attention). It needs one CUDA GPU.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from persllm.config import DpoSettings, SftSettings
from persllm.records import Conversation, PreferencePair

BATCH = 12
WAYS = ("ours", "plain fp32", "plain", "bare")


class Watch:
    """When the first and the last step ended."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.steps = 0

    def __call__(self, done: int, total: int) -> None:
        self.last, self.steps = time.monotonic(), done
        self.first = self.first or self.last


# One measurement: a process of its own ---------------------------------------------------------------------


def measure(way: str, phase: str, run: Path, rows: int, threads: int) -> dict[str, float]:
    """Train in one way; real tokens a second by step and as a whole, and peak memory in MiB."""
    import torch

    import persllm.training.trainers  # noqa: F401  (imports are not measured)
    from persllm.base import load_parts

    torch.set_num_threads(threads)
    kind, file = (Conversation, "4-dataset/train.jsonl") if phase == "sft" else (PreferencePair, "6-pairs/records.jsonl")
    with (run / file).open(encoding="utf-8") as lines:
        samples = [kind.model_validate_json(line) for line, _ in zip(lines, range(rows), strict=False)]
    base = run / "0-base" / "model"
    tokens = real_tokens(load_parts(str(base), "auto")[0], samples)
    watch = Watch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with TemporaryDirectory() as folder:
        began = time.monotonic()
        WAY[way.split()[0]](phase, way, base, samples, Path(folder), threads, watch)
        whole = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steps = tokens * (watch.steps - 1) / watch.steps / (watch.last - watch.first)
    return {"step": steps, "whole": tokens / whole, "peak": peak / 1024, "before": before / 1024}


def real_tokens(tokenizer: Any, samples: Sequence[Any]) -> int:
    """Tokens of all samples, nothing padded; for pairs the prompt counts with each answer."""
    from persllm.training.samples import dpo_rows, sft_tokens

    if isinstance(samples[0], Conversation):
        return sum(len(prompt) + len(answer) for prompt, answer in sft_tokens(tokenizer, samples))
    return sum(2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in dpo_rows(tokenizer, samples))


def ours(phase: str, way: str, base: Path, samples: Sequence[Any], folder: Path, threads: int, watch: Watch) -> None:
    """Our two trainings."""
    from persllm.training import prefer, tune

    if phase == "sft":
        tune(base, samples, SftSettings(batch=BATCH, epochs=1, adapter="full"), folder, threads=threads, progress=watch)
    else:
        (folder / "sft").mkdir()
        (folder / "sft" / "model").symlink_to(base.resolve())
        prefer(
            base,
            folder / "sft",
            samples,
            DpoSettings(batch=BATCH, epochs=1, adapter="full"),
            folder / "dpo",
            threads=threads,
            progress=watch,
        )


def plain(phase: str, way: str, base: Path, samples: Sequence[Any], folder: Path, threads: int, watch: Watch) -> None:
    """TRL's trainers on the messages."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch(state.global_step, state.max_steps)

    config, trainer = (SFTConfig, SFTTrainer) if phase == "sft" else (DPOConfig, DPOTrainer)
    settings = config(
        output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=1, use_cpu=True, disable_tqdm=True,
        **({"bf16": False} if way.endswith("fp32") else {}),
    )  # fmt: skip
    rows = [messages_of(sample) for sample in samples]
    job = trainer(model=str(base), args=settings, train_dataset=Dataset.from_list(rows), callbacks=[Steps()])
    job.train()
    job.save_model(str(folder / "model"))


def messages_of(sample: Any) -> dict[str, Any]:
    """A sample in TRL's conversational form; who answers is told to the template."""
    spoken = [{"role": message.role, "content": message.content} for message in sample.prompt]
    asked = {"chat_template_kwargs": {"persona": sample.persona, "stage": sample.stage}}
    if isinstance(sample, Conversation):
        return asked | {"messages": [*spoken, {"role": "assistant", "content": sample.answer.content}]}
    sides = {side: [{"role": "assistant", "content": getattr(sample, side).content}] for side in ("chosen", "rejected")}
    return asked | {"prompt": spoken} | sides


def bare(phase: str, way: str, base: Path, samples: Sequence[Any], folder: Path, threads: int, watch: Watch) -> None:
    """A loop without any trainer."""
    import torch

    from persllm.base import load_parts
    from persllm.training.samples import dpo_rows, in_order, sft_tokens

    tokenizer, model = load_parts(str(base), "auto")
    settings = SftSettings(batch=BATCH, epochs=1) if phase == "sft" else DpoSettings(batch=BATCH, epochs=1)
    if phase == "sft":
        rows: list[Any] = [{"rows": [(prompt, answer)]} for prompt, answer in sft_tokens(tokenizer, samples)]
    else:
        rows = [{"rows": [(r["prompt_ids"], r["chosen_ids"]), (r["prompt_ids"], r["rejected_ids"])]} for r in dpo_rows(tokenizer, samples)]
    order = in_order([sum(len(p) + len(a) for p, a in row["rows"]) for row in rows], settings, 0)
    batches = [[rows[place] for place in order[start : start + BATCH]] for start in range(0, len(order), BATCH)]
    if phase == "dpo":
        with torch.no_grad():
            for batch in batches:
                for row, worth in zip(batch, bare_worth(model, batch).view(-1, 2).tolist(), strict=True):
                    row["reference"] = worth
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    model.train()
    for step, batch in enumerate(batches):
        loss = bare_sft_loss(model, batch) if phase == "sft" else bare_dpo_loss(model, batch, settings)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        watch(step + 1, len(batches))
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def bare_losses(model: Any, batch: Sequence[Any]) -> tuple[Any, Any]:
    """Loss of every answer token, and the row it is of."""
    import torch

    rows = [pair for sample in batch for pair in sample["rows"]]
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.tensor([p + a + [0] * (longest - len(p) - len(a)) for p, a in rows])
    labels = torch.tensor([[-100] * (len(p) - 1) + a + [-100] * (longest - len(p) - len(a) + 1) for p, a in rows])
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    place = (labels != -100).nonzero()
    logits = model.lm_head(hidden[place[:, 0], place[:, 1]])
    return torch.nn.functional.cross_entropy(logits, labels[labels != -100], reduction="none"), place[:, 0]


def bare_sft_loss(model: Any, batch: Sequence[Any]) -> Any:
    """Mean over the answer tokens."""
    return bare_losses(model, batch)[0].mean()


def bare_worth(model: Any, batch: Sequence[Any]) -> Any:
    """Log-likelihood of each answer."""
    import torch

    losses, rows = bare_losses(model, batch)
    return torch.zeros(2 * len(batch)).index_add(0, rows, -losses)


def bare_dpo_loss(model: Any, batch: Sequence[Any], settings: DpoSettings) -> Any:
    """The sigmoid loss with the share of the ordinary one that our settings have."""
    import torch

    losses, rows = bare_losses(model, batch)
    worth = torch.zeros(2 * len(batch)).index_add(0, rows, -losses).view(-1, 2)
    gain = worth - torch.tensor([row["reference"] for row in batch])
    chosen = losses[rows % 2 == 0].mean()
    return -torch.nn.functional.logsigmoid(settings.beta * (gain[:, 0] - gain[:, 1])).mean() + settings.sft_weight * chosen


WAY: dict[str, Callable[..., None]] = {"ours": ours, "plain": plain, "bare": bare}


# All of them -----------------------------------------------------------------------------------------------


def compare(given: argparse.Namespace) -> None:
    """Print a table for each phase."""
    for phase in given.phases.split(","):
        rows = given.rows if phase == "sft" else given.pairs
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(given.rounds):
            for way in given.ways.split(","):
                found[way].append(alone(way, phase, given.run, rows, given.threads))
        tell(phase, rows, found)


def alone(way: str, phase: str, run: Path, rows: int, threads: int) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "one", str(run), "--way", way, "--phase", phase, "--rows", str(rows), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{way}, {phase}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().split("\n")[-1])


def tell(phase: str, rows: int, found: dict[str, list[dict[str, float]]]) -> None:
    """The table of one phase."""
    middle = {way: {key: statistics.median(one[key] for one in results) for key in results[0]} for way, results in found.items()}
    print(f"{phase}: {rows} samples, batch {BATCH}")
    print(f"{'':12} {'tokens/s, step':>14} {'whole':>8} {'ours / it, step':>16} {'whole':>8} {'peak MiB':>9} {'of it imports':>14}")
    for way, one in middle.items():
        ratios = [middle["ours"][key] / one[key] for key in ("step", "whole")] if "ours" in middle else [math.nan] * 2
        print(
            f"{way:12} {one['step']:14.0f} {one['whole']:8.0f} {ratios[0]:16.2f} {ratios[1]:8.2f} {one['peak']:9.0f} {one['before']:14.0f}",
            flush=True,
        )


def main() -> None:
    """Read the arguments."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = words.add_subparsers(dest="mode", required=True)
    for name in ("cpu", "one"):
        mode = modes.add_parser(name)
        mode.add_argument("run", type=Path)
        mode.add_argument("--rows", type=int, default=1200)
        mode.add_argument("--pairs", type=int, default=240)
        mode.add_argument("--threads", type=int, default=2)
        mode.add_argument("--rounds", type=int, default=3)
        mode.add_argument("--ways", default=",".join(WAYS))
        mode.add_argument("--phases", default="sft,dpo")
        mode.add_argument("--way", choices=WAYS)
        mode.add_argument("--phase", choices=("sft", "dpo"))
    mode = modes.add_parser("gpu")
    mode.add_argument("--shapes", default="0.5B,1.7B,8B")
    mode.add_argument("--tokens", type=int, default=2048)
    mode.add_argument("--steps", type=int, default=12)
    given = words.parse_args()
    if given.mode == "cpu":
        compare(given)
    elif given.mode == "one":
        print(json.dumps(measure(given.way, given.phase, given.run, given.rows, given.threads)))
    else:
        from training_gpu import compare as compare_shapes

        compare_shapes(given.shapes.split(","), given.tokens, given.steps)


if __name__ == "__main__":
    main()
