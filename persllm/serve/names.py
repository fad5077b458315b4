"""Which person a model name means: `person@stage`, or `person` at the last stage; `run/person@stage` where names clash."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from persllm.agent import Agent, Company


@dataclass(frozen=True)
class Folder:
    """The model of a folder that is loaded elsewhere."""

    path: str


class Directory:
    """All persons of some runs, by the names they can be asked by."""

    def __init__(self, companies: Sequence[Company], taker: str = "", retrieval: bool = False):
        self.names: dict[str, tuple[Company, str, str]] = {}
        self.taker, self.retrieval = taker, retrieval
        self.agents: dict[str, Agent] = {}
        count = Counter(persona for company in companies for persona in company.personas)
        for company in companies:
            for persona in company.personas.values():
                own = persona.id if count[persona.id] == 1 else f"{company.run.path.resolve().name}/{persona.id}"
                for name, stage in [(own, persona.stages[-1].id), *((f"{own}@{stage.id}", stage.id) for stage in persona.stages)]:
                    self.names[name] = (company, persona.id, stage)

    def agent(self, name: str) -> Agent | None:
        """The person of that name; None if there is none. What was said is not kept: clients send it each time."""
        if name not in self.names:
            return None
        if name not in self.agents:
            company, persona, stage = self.names[name]
            self.agents[name] = company.agent(persona, stage, self.taker, self.retrieval)
        return self.agents[name]

    def folders(self) -> list[str]:
        """Folders of all models that may be asked, each once. RunError if a person has none."""
        found = [self.agent(name) for name in self.names]
        return list(dict.fromkeys(agent.model.path for agent in found if agent and isinstance(agent.model, Folder)))
