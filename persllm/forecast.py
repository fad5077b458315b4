"""What a run will ask of its annotator before anything is asked: calls, tokens, price, time.

Calls are counted as the constructor would make them: the orders of every material and stage, then an answer to each
input, the turns after it (their mean), and general conversations told anew. Prompts are measured on a sample of real
ones. What cannot be known is assumed, and every assumption is said: that each input asked for comes and passes, the
length of replies, the speed of the server.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from persllm.annotation import FutureInput, InductionInput, OpinionInput, PlainInput
from persllm.chat.estimates import ASSUMED_SPEED, ASSUMED_TOKENS, Estimate, Load, estimate, prompt_tokens
from persllm.chat.protocol import Silent
from persllm.config import Recipe
from persllm.construct_llm import LlmConstructor
from persllm.construct_llm.orders import Order
from persllm.construct_llm.raising import Call
from persllm.general import talk
from persllm.materials import held_out_materials, read_folder
from persllm.records import Material, Persona, Question, Record, Request
from persllm.styling import LlmStylist, Task, tasks_for

PER_INPUT = {"induction": 130}
"""Tokens of an input in the reply that brings it, where it is not `PER_PLAIN_INPUT`."""
PER_PLAIN_INPUT = 45
PER_ANSWER = 190
"""Tokens of an answer with its analysis."""
PER_RESTYLED = 90
"""Tokens of a general answer told anew."""
PRESSED = 2
"""Utterances that follow a statement under pressure; the prompt asks for two or three."""
PER_NEXT = 40
"""Tokens of what the other one says next."""
SAMPLE = 60
"""Prompts of each sort and person that are measured."""


class Forecast(Estimate):
    """What is to come, if every input comes and passes."""

    questions: int
    """Inputs that are answered."""

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"forecast: {self.calls} calls for {self.questions} inputs and their answers, {self.in_words()}"
        for limit in self.passes:
            yield f"  note: this passes budget.{limit}; the run will end there and go on when it is raised"
        yield f"  assumed: {'; '.join(self.assumptions)}"


def forecast(recipe: Recipe, personas: Sequence[Persona], materials: Sequence[Material]) -> Forecast | None:
    """The forecast for a recipe; None for the extractive constructor, which asks nobody."""
    if recipe.constructor.engine != "llm":
        return None
    held = held_out_materials(materials, recipe.mixture.held_out_materials)
    load, questions = Load(), 0
    general = talk(recipe.mixture, personas) if recipe.constructor.stylised else []
    for persona in personas:
        own = [material for material in materials if material.persona == persona.id]
        constructor = LlmConstructor(persona, own, recipe.constructor, Silent(), held)
        questions += of_person(constructor, own, load)
        if recipe.constructor.stylised:
            stylist = LlmStylist(constructor.scene, Silent())
            restyled(stylist, tasks_for(persona, general, recipe.constructor.stylised, stylist.suits), load)
    return summed(recipe, load, questions)


def forecast_of(recipe: Recipe) -> Forecast | None:
    """The forecast for a recipe from its folders as they are now."""
    if recipe.constructor.engine != "llm":
        return None
    folders = [read_folder(Path(folder)) for folder in recipe.personas]
    return forecast(recipe, [folder.persona for folder in folders], [material for folder in folders for material in folder.materials])


def of_person(constructor: LlmConstructor, materials: Sequence[Material], load: Load) -> int:
    """Add the calls of one person to a load; returns the number of inputs."""
    raising, answering = constructor.raising, constructor.answering
    calls = [call for material in materials for call in raising.calls(material) if call.orders]
    length = mean_length(raising.ask_for(call) for call in sampled(calls))
    questions: list[Question] = []
    for call in calls:
        load.add(1, length, len(call.orders) * PER_INPUT.get(call.kind, PER_PLAIN_INPUT))
        for number, order in enumerate(call.orders):
            for own in raising.to_questions(call, number, likely_input(call, order)):
                questions += [own, *raising.crossed(own)]
    answered = mean_length(next(answering.answered(question))[0] for question in sampled(questions))
    for question in questions:
        further = answering.likely_further(question)
        turns = 1 + len(question.later) + further
        load.add(turns, answered + (turns - 1) * PER_ANSWER / 2, PER_ANSWER)
        load.add(further, length / 2, PER_NEXT)
    return len(questions)


def restyled(stylist: LlmStylist, tasks: Sequence[Task], load: Load) -> None:
    """Add the general conversations that are told anew, a call each."""
    load.add(len(tasks), mean_length(next(stylist.told(task))[0] for task in sampled(tasks)), PER_RESTYLED)


def likely_input(call: Call, order: Order) -> Record:
    """An input of ordinary length, in the place of the one that the model will raise."""
    text = (call.material.title or call.material.text)[:80]
    if call.kind == "question":
        return PlainInput.model_construct(angle=order.form, text=text)
    if call.kind == "opinion":
        return OpinionInput.model_construct(stance=order.form, text=text)
    if call.kind == "induction":
        pressing = (text,) * PRESSED if order.form == "pressure" else ()
        return InductionInput(
            family=order.form, text=text, claim=text, truth=text, control=text, pressing=pressing, control_pressing=pressing
        )
    return FutureInput(text=text, topic=text, leak=text)


def sampled(items: Sequence) -> Sequence:
    """At most `SAMPLE` of them, evenly spread."""
    step = max(1, len(items) // SAMPLE)
    return items[::step][:SAMPLE]


def mean_length(requests: Iterator[list[Request] | Request]) -> float:
    """Tokens of a prompt in the mean."""
    lengths = [prompt_tokens(request) for request in requests]
    return sum(lengths) / len(lengths) if lengths else 0.0


def summed(recipe: Recipe, load: Load, questions: int) -> Forecast:
    """Price, time and budget of a load."""
    constructor = recipe.constructor
    load.calls = round(load.calls)
    load.longest = load.calls * constructor.api.max_tokens
    assumptions = (
        f"every input asked for comes and passes, pressure insists {PRESSED} times, nothing is repaired, tried again or already kept",
        ASSUMED_TOKENS,
        f"{PER_ANSWER} tokens for an answer with its analysis, {PER_PLAIN_INPUT} for an input, {PER_INPUT['induction']} for an induction; "
        "a model that thinks writes more",
        ASSUMED_SPEED,
    )
    addresses, models = constructor.addresses or (constructor.api,), constructor.models or [constructor.api.model]
    return Forecast(**estimate(load, addresses, models, recipe.budget, assumptions).model_dump(), questions=questions)
