"""Conversations from materials for the persons of a run: by which constructor, from where it is asked, and for how much.

The extractive constructor works in this process. The LLM constructor asks a model from here, or from the nodes of a
Ray cluster (`constructor.runner`); both make the same records. What its calls come to is written into the run's
`spending.jsonl`, over all attempts, and held against `budget`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from persllm import general, styling
from persllm.chat import ApiModel, ChatModel, Ledger, ReplyCache
from persllm.config import Recipe
from persllm.construct_llm import LlmConstructor
from persllm.construct_llm.scene import Scene
from persllm.materials import held_out_materials
from persllm.privacy import guarded, is_masked, masks_for
from persllm.records import Material, Persona, Question, Record
from persllm.store import Outcome, Progress, StepFolder

Outcomes = Iterator[tuple[Record, Outcome]]
MAKES = {"2-questions": "raise_questions", "3-answers": "answer_questions"}
"""Which way of a constructor fills which step."""


class Construction:
    """The construction of one run. `spending` is the file of what calls came to, `kept` the folder of kept replies."""

    def __init__(self, recipe: Recipe, personas: Sequence[Persona], materials: Sequence[Material], spending: Path, kept: Path):
        self.recipe, self.personas, self.materials = recipe, personas, materials
        self.spending, self.kept = spending, kept

    def raise_questions(self, folder: StepFolder, progress: Progress) -> dict[str, Any]:
        """Inputs about every material; returns facts for step.json."""
        return self.fill(folder, self.materials, progress)

    def answer_questions(self, questions: Sequence[Question], folder: StepFolder, progress: Progress) -> dict[str, Any]:
        """Every question answered; returns facts for step.json."""
        return self.fill(folder, questions, progress)

    def fill(self, folder: StepFolder, items: Sequence[Record], progress: Progress) -> dict[str, Any]:
        """Do the owed items of a step."""
        step = folder.path.name
        ways = {"extractive": self.by_rule, "llm": self.from_here}
        if self.recipe.constructor.runner == "ray":
            ways["llm"] = self.from_cluster
        with ways[self.recipe.constructor.engine](step) as work:
            folder.fill(items, work, progress)
        return self.spent(step)

    def of_each_person(self, constructor_for: Callable[[Persona], Any], step: str) -> Callable[[list[Any]], Outcomes]:
        """The work on owed items, one person after the other."""

        def work(owed: list[Any]) -> Outcomes:
            for persona in self.personas:
                own = [item for item in owed if item.persona == persona.id]
                if own:
                    yield from getattr(constructor_for(persona), MAKES[step])(own)

        return work

    @contextmanager
    def by_rule(self, step: str) -> Iterator[Callable[[list[Any]], Outcomes]]:
        """The extractive constructor."""
        from persllm.construct_extractive import Constructor

        def constructor_for(persona: Persona) -> Constructor:
            own = [material for material in self.materials if material.persona == persona.id]
            others = [material for material in self.materials if material.persona != persona.id]
            return Constructor(persona, own, others, self.recipe.constructor)

        yield self.of_each_person(constructor_for, step)

    @contextmanager
    def from_here(self, step: str) -> Iterator[Callable[[list[Any]], Outcomes]]:
        """The LLM constructor in this process."""
        settings = self.recipe.constructor
        with self.annotator(step) as model:
            yield self.of_each_person(lambda persona: LlmConstructor(persona, self.materials, settings, model, self.held), step)

    @contextmanager
    def annotator(self, step: str) -> Iterator[ChatModel]:
        """The model that is asked, with its accounts and kept replies."""
        settings = self.recipe.constructor
        with closing(self.ledger(step)) as accounts, closing(ReplyCache(self.kept)) as kept:
            yield self.guarded(ApiModel(settings.api, kept, settings.apis, accounts))

    def stylise(self, folder: StepFolder) -> dict[str, Any]:
        """General conversations told anew in each person's voice, below the step's folder; returns facts for step.json."""
        settings, step = self.recipe.constructor, folder.path.name
        if not settings.stylised:
            return {}
        talk = general.talk(self.recipe.mixture, self.personas)
        if settings.engine == "extractive":
            plain = {persona.id: styling.PlainStylist(persona) for persona in self.personas}
            return {"stylised": styling.fill(folder, plain, self.personas, talk, settings.stylised)}
        with self.annotator(step) as model:
            scenes = {persona.id: Scene(persona, self.materials, settings, self.held) for persona in self.personas}
            stylists = {name: styling.LlmStylist(scene, model) for name, scene in scenes.items()}
            made = styling.fill(folder, stylists, self.personas, talk, settings.stylised)
        return {"stylised": made, **self.spent(step)}

    def guarded(self, model: ChatModel) -> ChatModel:
        """The annotator, behind masks if personal data must not reach it. Every call of a step goes through one such model."""
        urls = [address.url for address in self.recipe.constructor.addresses]
        return guarded(model, self.recipe.privacy, urls, self.spending.parent / "privacy", self.personas, self.materials)

    @contextmanager
    def from_cluster(self, step: str) -> Iterator[Callable[[list[Any]], Outcomes]]:
        """The LLM constructor on the nodes of a Ray cluster."""
        from persllm.cluster import work_on_cluster

        urls = [address.url for address in self.recipe.constructor.addresses]
        masks = None
        if is_masked(self.recipe.privacy, urls):
            masks = masks_for(self.recipe.privacy, self.spending.parent / "privacy", self.personas, self.materials)
        with work_on_cluster(
            self.recipe, self.personas, self.materials, self.held, MAKES[step], step, self.spending, self.kept, masks
        ) as work:
            yield work

    @property
    def held(self) -> set[str]:
        """Identities of the materials that are held out."""
        return held_out_materials(self.materials, self.recipe.mixture.held_out_materials)

    def ledger(self, step: str) -> Ledger:
        """What the run has spent on its annotator, and may still."""
        return Ledger(self.recipe.budget, self.spending, step)

    def spent(self, step: str) -> dict[str, Any]:
        """What a step has come to, over all attempts."""
        if self.recipe.constructor.engine == "extractive":
            return {}
        own = self.ledger(step).spent[step]
        price = {"price": round(own.money, 6), "currency": self.recipe.budget.currency} if self.recipe.budget.prices else {}
        return {"usage": own.model_dump(include={"calls", "prompt_tokens", "completion_tokens"}), **price}
