"""Which person a model name means: `person@stage`, or `person` at the last stage; `run/person@stage` where names clash.

Where several results answer, the first does so by the bare name, and each by a name that ends with it: `person@stage:v1`.
Results that are adapters share one base in memory, whatever person, phase or version they are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from persllm.adapters import Assembly, chain_of
from persllm.agent import Agent, Company


@dataclass(frozen=True)
class Folder:
    """The model of a folder that is loaded elsewhere."""

    path: str
    adapter: str = ""
    """Which adapter of it, if it is a base that carries several."""


@dataclass(frozen=True)
class Place:
    """What a name means."""

    company: Company
    persona: str
    stage: str
    taker: str


class Directory:
    """All persons of some runs, by the names they can be asked by."""

    def __init__(self, companies: Sequence[Company], takers: Sequence[str] = (), retrieval: bool = False):
        self.names: dict[str, Place] = {}
        self.retrieval = retrieval
        self.takers = tuple(dict.fromkeys(takers)) or ("",)
        """Results that answer; the first one by the bare name. Empty for the one in use."""
        self.agents: dict[str, Agent] = {}
        count = Counter(persona for company in companies for persona in company.personas)
        endings = [("", self.takers[0]), *((f":{taker}", taker) for taker in self.takers if len(self.takers) > 1)]
        for company in companies:
            for persona in company.personas.values():
                own = persona.id if count[persona.id] == 1 else f"{company.run.path.resolve().name}/{persona.id}"
                stages = [(own, persona.stages[-1].id), *((f"{own}@{stage.id}", stage.id) for stage in persona.stages)]
                for ending, taker in endings:
                    self.names |= {f"{name}{ending}": Place(company, persona.id, stage, taker) for name, stage in stages}

    def named(self, name: str, stage: str) -> str:
        """The name of the same person and result at another stage."""
        who, _, taker = name.rpartition(":") if name.rpartition(":")[2] in self.takers else (name, "", "")
        return f"{who.partition('@')[0]}@{stage}{f':{taker}' if taker else ''}"

    def agent(self, name: str) -> Agent | None:
        """The person of that name; None if there is none. What was said is not kept: clients send it each time."""
        if name not in self.names:
            return None
        if name not in self.agents:
            place = self.names[name]
            agent = place.company.agent(place.persona, place.stage, place.taker, self.retrieval)
            self.agents[name] = replace(agent, model=self.model(place)) if isinstance(agent.model, Folder) else agent
        return self.agents[name]

    def model(self, place: Place) -> Folder:
        """Where the model that a name means is found, once all are loaded."""
        folder = self.folder(place)
        adapter = self.shared(place.company).get(folder, "")
        return Folder(str(place.company.run.path), adapter) if adapter else Folder(folder)

    def shared(self, company: Company) -> dict[str, str]:
        """Model folder -> name of its adapter on the base of a run; nothing if there is but one, which then is loaded whole."""
        folders = dict.fromkeys(self.folder(place) for place in self.names.values() if place.company is company)
        adapted = [folder for folder in folders if self.chain(company, folder)]
        return {folder: adapter_name(company, folder) for folder in adapted} if len(adapted) > 1 else {}

    def folder(self, place: Place) -> str:
        """The folder of the model that a name means; empty if it is not here."""
        return place.company.chosen(place.persona, place.taker)[1]

    def chain(self, company: Company, folder: str) -> tuple[str, ...]:
        """The adapters that make up the model of a folder; none if all its weights were trained, or it was not trained."""
        own = Path(folder).relative_to(company.run.path) if folder and Path(folder).is_relative_to(company.run.path) else Path()
        return tuple(map(str, chain_of(company.run, str(own)))) if len(own.parts) > 2 else ()

    def sources(self) -> dict[str, Assembly]:
        """What has to be loaded to answer by all names. RunError if a person has no model."""
        found: dict[str, Assembly] = {}
        for name, place in self.names.items():
            agent = self.agent(name)
            if agent is None or not isinstance(agent.model, Folder):
                continue
            run = place.company.run.path
            if agent.model.adapter:
                chains = {adapter: self.chain(place.company, folder) for folder, adapter in self.shared(place.company).items()}
                found[agent.model.path] = Assembly(base=str(run / "0-base" / "model"), adapters=chains)
            else:
                found[agent.model.path] = Assembly(base=agent.model.path)
        return found


def adapter_name(company: Company, folder: str) -> str:
    """A name for the adapter of a model folder, without the dots that PEFT does not take."""
    return "-".join(Path(folder).relative_to(company.run.path).parts[:-1]).replace(".", "_")
