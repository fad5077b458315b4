"""Stages told by new tokens, by reserved tokens, in words: the same two persons, questions and seeds, three trainings each.

For every question of the test sets whose right answer differs between the stages of a person, the answer of the stage
is set against that of the other one, by likelihood per token. `choice` is the share in which the stage's own is
preferred, `both` the share in which it is preferred when either stage is asked (a model that does not read the stage
gets none), `typed` the same as `choice` with the mark of the other stage typed by the user after the question.

Usage: stage_tokens.py [--seeds N] [--epochs E] [--items N] [--runs DIR]
"""

import argparse
import itertools
import shutil
from pathlib import Path

from persllm.base import LocalModel, load_tokenizer, save_whole
from persllm.config import BaseSettings, Recipe, SftSettings, read_recipe
from persllm.pipeline import default_cache, run_recipe
from persllm.records import Conversation, Message, Persona, Request, TestItem
from persllm.small_base import small_base
from persllm.statistics import wilson
from persllm.templates import marks_by_tokens, marks_in_words, tokens_of
from persllm.training import tune

WAYS = ("new", "reserved", "text")
RESERVED = 8


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--runs", type=Path, default=Path("runs/bench-stage-tokens"))
    return parser.parse_args()


def recipe_of(model: Path) -> Recipe:
    """The demo's recipe for its first two persons, over a base that keeps tokens in reserve."""
    demo = read_recipe("demo", (f"base.model={model}", "name=data", "dpo.pairs=0"))
    return demo.model_copy(update={"personas": demo.personas[:2]})


def base_with_reserve(folder: Path) -> Path:
    """The small base with tokens in reserve, whose rows were never trained."""
    if not folder.is_dir():
        from transformers import AutoModelForCausalLM

        source = small_base(BaseSettings(), {"en"}, default_cache())
        tokenizer, model = load_tokenizer(str(source)), AutoModelForCausalLM.from_pretrained(source, dtype="float32")
        tokenizer.add_tokens([f"<|reserved_special_token_{n}|>" for n in range(RESERVED)])
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        save_whole(model, tokenizer, folder)
    return folder


def contrasts(items: list[TestItem]) -> list[tuple[TestItem, str]]:
    """(question, answer of the other stage), the questions that have one."""
    return [(item, c.text) for item in items for c in item.candidates if c.kind == "other_stage"]


def measured(
    model: LocalModel, personas: list[Persona], asked: list[tuple[TestItem, str]], marks: dict[str, str]
) -> list[tuple[bool, bool, bool]]:
    """(own answer preferred at its stage, and also the other's at the other stage, still preferred with the other's mark typed) of each question."""
    stages = {persona.id: [stage.id for stage in persona.stages] for persona in personas}
    requests: list[Request] = []
    for item, _ in asked:
        other = next(stage for stage in stages[item.persona] if stage != item.stage)
        typed = (*item.messages[:-1], Message(role="user", content=f"{item.messages[-1].content} {marks[item.persona, other]}"))
        plain = {"persona": item.persona, "messages": item.messages}
        requests += [
            Request(stage=item.stage, **plain),
            Request(stage=other, **plain),
            Request(stage=item.stage, persona=item.persona, messages=typed),
        ]
    texts = list(itertools.chain.from_iterable([(item.reference, wrong)] * 3 for item, wrong in asked))
    scored = model.log_likelihoods([r for r in requests for _ in range(2)], [text for pair in texts for text in pair])
    values = [one.total / one.tokens for one in scored]
    own = [values[place] > values[place + 1] for place in range(0, len(values), 2)]
    return [(here, here and not there, typed) for here, there, typed in zip(own[::3], own[1::3], own[2::3], strict=True)]


def main() -> None:
    """Train and print the table."""
    given = arguments()
    shutil.rmtree(given.runs, ignore_errors=True)
    recipe = recipe_of(base_with_reserve(given.runs / "raw"))
    settings = recipe.sft.model_copy(update={"epochs": given.epochs})
    print(f"{'stages told by':16}{'choice':>26}{'both':>26}{'typed':>26}")
    for way in WAYS:
        wanted = recipe.model_copy(update={"name": way, "base": recipe.base.model_copy(update={"stage_tokens": way})})
        run = run_recipe(wanted, given.runs, until="dataset")
        step = run.step("4-dataset")
        personas = run.step("1-materials").records(Persona, "personas.jsonl")
        asked = contrasts([*step.records(TestItem, "test.jsonl")])[: given.items]
        found = [
            result
            for seed in range(given.seeds)
            for result in trained(run.path, settings, seed, step.records(Conversation, "train.jsonl"), personas, asked)
        ]
        print(f"{way:16}" + "".join(f"{told([one[place] for one in found]):>26}" for place in range(3)), flush=True)
    print(
        f"{len(asked)} questions, {given.seeds} seeds; share, 95 % interval (Wilson, over questions times seeds); guessing: 0.50, 0.25, 0.50"
    )


def trained(
    run: Path, settings: SftSettings, seed: int, samples: list[Conversation], personas: list[Persona], asked: list[tuple[TestItem, str]]
) -> list[tuple[bool, bool, bool]]:
    """What a model trained with a seed prefers."""
    folder = run / f"sft-{seed}"
    tune(run / "0-base" / "model", samples, settings, folder, seed, threads=1)
    model = LocalModel.load(folder / "model", threads=1)
    return measured(model, personas, asked, marks_of(model, personas))


def marks_of(model: LocalModel, personas: list[Persona]) -> dict[tuple[str, str], str]:
    """(person, stage) -> how it is told to this model."""
    tokens = tokens_of(model.tokenizer.chat_template)
    marks = marks_by_tokens(personas, tokens) if tokens else marks_in_words(personas)
    return {(persona, stage): mark for persona, stages in marks.stages.items() for stage, mark in stages.items()}


def told(values: list[bool]) -> str:
    """Share and interval."""
    low, high = wilson(sum(values), len(values))
    return f"{sum(values) / len(values):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
