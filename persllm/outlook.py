"""What a recipe will make of its persons and ask of a machine, told before anything is done.

The extractive constructor is cheap, so it is simply run: on all materials of a small folder, on an even sample of a large
one. For a language model as constructor the counts follow from the settings. Tokens are estimated from words.

Limits: near-duplicates between samples are not foreseen, nor the time of the evaluation.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from persllm import general
from persllm.checks import Checker
from persllm.config import Recipe
from persllm.dataset import make_dataset
from persllm.doctor import TOKENS_PER_WORD, Examination
from persllm.languages import language
from persllm.machines import GPUS, START, Machine, Shape, architecture, hours, operations, shape_of, this_machine
from persllm.records import Conversation, Material, Persona, Question, Record

if TYPE_CHECKING:
    from persllm.training.footprint import Footprint

MARKS = 6
"""Tokens of a chat template around a message."""
LONGEST = 1.5
"""The longest sample of a batch, in means."""
SCORED = 0.6
"""Share of the tokens of a sample that are the answer."""
ANSWER = 117
"""Words of a conversation that a language model makes (the paper's average)."""


class MachineOutlook(Record):
    """One machine."""

    machine: str
    memory: float
    """GB it has."""
    needed: float
    """GB the training takes."""
    hours: float
    """Hours of tuning and DPO together."""

    @property
    def fits(self) -> bool:
        """Whether it has the memory."""
        return self.needed < self.memory


class Outlook(Record):
    """What a recipe will make and need."""

    conversations: int
    """Different conversations that are trained on."""
    samples: int
    """Samples of the mixture: repeated, with general data."""
    tokens: int
    """Tokens of one pass over the mixture."""
    pairs: int
    """Preference pairs, at most."""
    base: str
    parameters: float | None
    """Parameters of the base; None if nothing tells."""
    machines: tuple[MachineOutlook, ...]
    assumptions: tuple[str, ...]
    """What the figures rest on."""


def outlook(recipe: Recipe, examinations: Sequence[Examination]) -> Outlook:
    """The outlook for a recipe whose folders were examined."""
    counts, how = (constructed if recipe.constructor.engine == "extractive" else expected)(recipe, examinations)
    conversations, samples, tokens = counts
    shape = shape_of(recipe.base)
    assumptions = [how, f"tokens per word: {', '.join(f'{rate} {code}' for code, rate in TOKENS_PER_WORD.items())}"]
    machines: list[MachineOutlook] = []
    if shape is None:
        assumptions.append(f"size of {recipe.base.model}: nothing tells it; give a local path to have memory and time forecast")
    else:
        mean, stages = tokens / max(samples, 1), sum(len(examination.persona.stages) for examination in examinations)
        prints = {bfloat16: footprints(recipe, shape, mean, stages, bfloat16) for bfloat16 in (False, True)}
        known = (this_machine(recipe.threads), *GPUS)
        machines = [on_machine(machine, recipe, shape, samples, tokens, prints[machine.bfloat16]) for machine in known]
        assumptions.append(
            f"{shape.parameters / 1e6:,.1f} million parameters, from {shape.source}; samples of {mean:.0f} tokens, the longest {LONGEST} times that; "
            "time at 35 % of the matrix rate, within a factor of two"
        )
    return Outlook(
        conversations=conversations, samples=samples, tokens=tokens, pairs=min(recipe.dpo.pairs, conversations), base=recipe.base.model,
        parameters=shape.parameters if shape else None, machines=tuple(machines), assumptions=tuple(assumptions),
    )  # fmt: skip


def on_machine(machine: Machine, recipe: Recipe, shape: Shape, samples: int, tokens: int, prints: "Sequence[Footprint]") -> MachineOutlook:
    """Memory and time of tuning and DPO on one machine."""
    mean = tokens / max(samples, 1)
    groups = 1 if recipe.mode == "cast" else len(recipe.personas)
    work = operations(shape, recipe.sft.adapter, tokens * recipe.sft.epochs)
    work += operations(shape, recipe.dpo.adapter, 2 * mean * min(recipe.dpo.pairs * groups, samples) * recipe.dpo.epochs) * 4 / 3
    needed = max(one.training if machine.gpu else one.peak for one in prints)
    return MachineOutlook(machine=machine.name, memory=machine.memory, needed=needed, hours=hours(work, machine))


def footprints(recipe: Recipe, shape: Shape, mean: float, stages: int, bfloat16: bool) -> "list[Footprint]":
    """What tuning and DPO take, on a machine that computes in bfloat16 or not."""
    from persllm.training.footprint import Load, footprint

    phases = [(recipe.sft, 1), *([(recipe.dpo, 2)] if recipe.dpo.pairs else [])]
    found = []
    for settings, sides in phases:
        precision = settings.precision if settings.precision != "auto" else "mixed" if bfloat16 else "float32"
        length = round(min(mean * LONGEST, settings.max_length or mean * LONGEST))
        rows = settings.batch * sides
        load = Load(rows=rows, length=length, answers=round(rows * length * SCORED))
        wanted = settings.model_copy(update={"precision": precision})
        found.append(footprint(architecture(recipe.base, shape), wanted, load, stages + 1, START))
    return found


def constructed(recipe: Recipe, examinations: Sequence[Examination]) -> tuple[tuple[int, int, int], str]:
    """(conversations, samples, tokens) from running the extractive constructor on what the examinations kept."""
    personas = [examination.persona for examination in examinations]
    sample = [material for examination in examinations for material in examination.sample]
    count = sum(sum(examination.languages.values()) for examination in examinations)
    questions, conversations = extracted(recipe, personas, sample)
    checker = Checker(personas, sample, questions, recipe.checks)
    made = make_dataset(conversations, sample, personas, general.talk(recipe.mixture, personas), recipe.mixture, recipe.seed, checker)
    factor = count / max(len(sample), 1)
    tokens = sum(tokens_of(conversation, personas) for conversation in made.train)
    how = "the constructor was run on all materials" if factor == 1 else f"the constructor was run on {len(sample)} of {count} materials"
    return (round(len(made.conversations) * factor), round(len(made.train) * factor), round(tokens * factor)), how


def extracted(recipe: Recipe, personas: Sequence[Persona], materials: Sequence[Material]) -> tuple[list[Question], list[Conversation]]:
    """What the extractive constructor makes of materials."""
    from persllm.construct_extractive import Constructor

    asked: list[Question] = []
    found: list[Conversation] = []
    for persona in personas:
        own = [material for material in materials if material.persona == persona.id]
        constructor = Constructor(persona, own, [material for material in materials if material.persona != persona.id], recipe.constructor)
        questions = [question for _, (raised, _) in constructor.raise_questions(own) for question in raised]
        asked += questions
        found += [conversation for _, (answered, _) in constructor.answer_questions(questions) for conversation in answered]
    return asked, found


def expected(recipe: Recipe, examinations: Sequence[Examination]) -> tuple[tuple[int, int, int], str]:
    """(conversations, samples, tokens) as the settings of the language model's constructor give them."""
    each = 4 * recipe.constructor.questions_per_material
    count = sum(sum(examination.languages.values()) for examination in examinations)
    conversations = round(count * each * (1 - recipe.mixture.held_out_materials) * 0.8)
    samples = round(conversations * recipe.mixture.repeat * (1 + recipe.mixture.general))
    rate = TOKENS_PER_WORD[examinations[0].persona.language]
    return (conversations, samples, round(samples * ANSWER * rate)), f"{each} inputs per material, {ANSWER} words a conversation"


def tokens_of(conversation: Conversation, personas: Sequence[Persona]) -> int:
    """Tokens of a conversation, estimated."""
    code = next((persona.language for persona in personas if persona.id == conversation.persona), personas[0].language)
    text = " ".join(f"{message.content} {message.thought}" for message in conversation.messages)
    return round(len(language(code).words(text)) * TOKENS_PER_WORD[code]) + MARKS * (len(conversation.messages) + 1)
