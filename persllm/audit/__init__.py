"""What the weights of a run keep: runs of the materials, planted canaries, personal data; beside the untrained base.

    audit(run, taker)       asks the models, and returns an `Audit`
    page.sheet_of(found, language)  is its page, which the command writes to RUN/audit/TAKER.json, .md and .html

Limits: a run is found word for word, so a retelling in other words is missed. A beginning is one way to ask; others
may bring out more, so that what does not come out here is not shown to be gone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from persllm.audit import exposure, personal, recitation
from persllm.audit.limits import limits_of
from persllm.audit.records import Audit, Exposure, Probe, Said
from persllm.audit_settings import AuditSettings
from persllm.canaries import Canary
from persllm.config import Recipe
from persllm.errors import RunError
from persllm.materials import held_out_materials
from persllm.records import Answer, Conversation, Material, Persona, Sampling, TestItem, fingerprint
from persllm.store import Progress, Run, silent
from persllm.takers import MANNERS, TRAINED, Examinee, Opener, Taker, open_local, taker_named

__all__ = ["Audit", "audit"]
FOLDER = "audit"
BASE = "base"
Probed = list[tuple[Probe, Said]]


def audit(
    run: Run, taker: str = "", settings: AuditSettings | None = None, progress: Progress = silent, opener: Opener | None = None
) -> Audit:
    """Audit a taker of a finished run; without a name the last trained one. RunError if it was not trained."""
    recipe = run.recipe
    rules = settings or recipe.audit
    personas = {persona.id: persona for persona in run.step("1-materials").records(Persona, "personas.jsonl")}
    materials = run.step("1-materials").records(Material)
    conversations = run.step("4-dataset").records(Conversation, "conversations.jsonl")
    takers = [taker_named(name, recipe.mode, run, list(personas.values())) for name in names_of(run, recipe, taker)]
    held = held_out_materials(materials, recipe.mixture.held_out_materials)
    asked = recitation.probes(materials, conversations, held, personas, rules, recipe.seed)
    probed, exposures = examine(
        takers, asked, planted_in(run), recipe, rules, progress, opener or partial(open_local, threads=recipe.threads)
    )
    said = [*answers_of(run, {one.name for one in takers}, personas), *(one for _, one in probed)]
    spreads, recitals = [], []
    for body in recitation.bodies(materials, conversations, personas):
        more, shown = recitation.recitations(said, body, rules, recipe.seed)
        spreads += more
        recitals += shown if body.name == "materials" else []
    extracted = recitation.extractions(probed, rules, recipe.seed)
    leaked = personal.leaks(said, materials, recipe.privacy)
    limits = limits_of(takers[-1].name, rules, spreads, extracted, exposures, leaked)
    return Audit(
        run=recipe.name, taker=takers[-1].name, limits=tuple(limits), spreads=tuple(spreads), recitals=tuple(recitals),
        extractions=tuple(extracted), exposures=tuple(exposures), leaks=tuple(leaked), leaks_searched=sum(not one.error for one in said),
    )  # fmt: skip


def names_of(run: Run, recipe: Recipe, wanted: str) -> list[str]:
    """The base and the audited taker, the base alone if it is that; RunError if the taker is not to be had."""
    there = [name for name, step in TRAINED.items() if any(run.path.glob(f"{step}/*/model"))]
    known = [*MANNERS, *there]
    if wanted and wanted not in known:
        raise RunError(f"{run.path}: no taker {wanted} to audit. There are: {', '.join(known)}.")
    if not wanted and not there:
        raise RunError(f"{run.path}: no model was trained here yet. Finish it with persllm run RECIPE, or give --taker base.")
    return list(dict.fromkeys([BASE, wanted or there[-1]]))


def planted_in(run: Run) -> list[Canary]:
    """The canaries of a run; none if none were planted."""
    planted = run.step("4-dataset").path / "canaries.jsonl"
    return run.step("4-dataset").records(Canary, "canaries.jsonl") if planted.is_file() else []


def answers_of(run: Run, takers: set[str], personas: Mapping[str, Persona]) -> Iterator[Said]:
    """What the takers answered in the examination of the run, if there was one."""
    folder = run.step("8-evaluation")
    if not folder.finished:
        return
    items = {item.id: item for item in folder.records(TestItem, "test.jsonl")}
    for answer in folder.records(Answer, "answers.jsonl"):
        item = items.get(answer.item)
        if answer.taker in takers and item and item.persona in personas:
            yield Said(
                taker=answer.taker, where="evaluation", unit=answer.item, persona=item.persona, language=personas[item.persona].language,
                before=item.prefill, asked="\n".join(message.content for message in item.messages), text=answer.text, error=answer.error,
            )  # fmt: skip


# Asking --------------------------------------------------------------------------------------------------


class Desk:
    """The model that is open; one at a time, so that memory holds."""

    def __init__(self, opener: Opener):
        self.opener = opener
        self.folder = ""
        self.model: Examinee | None = None

    def model_of(self, folder: str) -> Examinee:
        """The model of a folder."""
        if self.model is None or self.folder != folder:
            self.model = None
            self.folder, self.model = folder, self.opener(folder)
        return self.model


def examine(
    takers: Sequence[Taker], asked: Sequence[Probe], planted: Sequence[Canary], recipe: Recipe, settings: AuditSettings,
    progress: Progress, opener: Opener,
) -> tuple[Probed, list[Exposure]]:  # fmt: skip
    """Every probe and every canary put to every taker."""
    desk, total, done = Desk(opener), len(takers) * (len(asked) + len(planted)), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    probed: Probed = []
    exposures: list[Exposure] = []
    for taker in takers:
        probed += put(taker, asked, desk, settings, step)
        measured = exposure.measure(taker, planted, desk.model_of, settings.alternatives, recipe.seed, step)
        exposures += [measured] if measured else []
    return probed, exposures


def put(taker: Taker, asked: Sequence[Probe], desk: Desk, settings: AuditSettings, step: Callable[[], None]) -> Probed:
    """What one taker went on with after each beginning."""
    found: Probed = []
    sampling = Sampling(max_tokens=settings.max_tokens)
    for folder in dict.fromkeys(taker.models.values()):
        own = [probe for probe in asked if taker.models.get(probe.persona) == folder]
        requests = [taker.request(probe.messages, probe.persona, probe.stage, probe.prefill, sampling) for probe in own]
        for place, reply in desk.model_of(folder).replies(requests) if own else ():
            found.append((own[place], answered(taker, own[place], reply.text, reply.error)))
            step()
    return sorted(found, key=lambda pair: fingerprint(pair[0].model_dump(mode="json")))


def answered(taker: Taker, probe: Probe, text: str, error: str) -> Said:
    """A reply to a probe."""
    return Said(
        taker=taker.name, where=probe.kind, unit=probe.source, persona=probe.persona, language=taker.personas[probe.persona].language,
        before=probe.prefill, asked="\n".join(message.content for message in probe.messages), text=text, error=error,
    )  # fmt: skip
