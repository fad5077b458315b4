"""The model card of an export: Hugging Face's head for machines, and what a reader must know before using it.

Every figure is read from the run; what was not measured is said to be not measured. Scores of another model than the
one that is exported are not told (`persllm.registry`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import persllm
from persllm.metrics import METRICS
from persllm.records import Material, Persona
from persllm.statistics import Figure

if TYPE_CHECKING:
    from persllm.release import Release

HERE = Path(__file__).parent
FAILURES = (
    ("false_denial", "denies what is true (false denial)"), ("truth_denied", "denies what is true, in the generated answer"),
    ("premise_asserted", "accepts a false premise, in the generated answer"), ("leak", "knows the future (future leak)"),
    ("leak_said", "knows the future, in the generated answer"), ("stuck", "stuck in a stage that is over"), ("unsupported", "says what no material supports"),
)  # fmt: skip
"""Rates that every card tells of, measured or not."""
YEAR = re.compile(r"(?<!\d)(\d{3,4})(?!\d)")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def model_card(release: "Release", use: str, library: str = "transformers") -> str:
    """README.md of an export."""
    from huggingface_hub import ModelCard
    from jinja2 import Environment

    told = {persona.language for persona in release.personas} | {"en"}
    words = yaml.safe_load((HERE / "words.yaml").read_text(encoding="utf-8"))
    base = base_of(release)
    facts = {
        "title": release.name, "languages": [words[code] for code in sorted(told)], "about": about(release), "stages": tabled(stages(release.personas)),
        "use": use.strip(), "data": data(release), "scores": scores(release), "failures": tabled(failures(release)), "training": tabled(training(release)),
        "base": base, "version": persllm.__version__, "weights": release.result.weights,
    }  # fmt: skip
    body = Environment(trim_blocks=True, lstrip_blocks=True).from_string((HERE / "card.md").read_text(encoding="utf-8")).render(facts)
    card = ModelCard(f"---\n{head(release, base, library).to_yaml()}\n---\n\n{body}")
    return f"{str(card).strip()}\n"


def head(release: "Release", base: dict[str, str], library: str) -> Any:
    """The head for machines, with the results of the evaluation."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation", task_name="answering in role", dataset_type="persllm", dataset_name=f"test items of {release.run.resolve().name}",
            metric_type=figure.metric, metric_name=f"{METRICS[figure.metric].title} {figure.detail}".strip(), metric_value=figure.value,
            metric_args={"n": figure.n, "low": figure.low, "high": figure.high, "unscored": figure.unscored},
        )
        for figure in release.result.scores
    ]  # fmt: skip
    known = {"license": base["id"]} if base["id"] else {}
    return ModelCardData(
        language=sorted({persona.language for persona in release.personas}), library_name=library, pipeline_tag="text-generation",
        tags=["persllm", "persona", "role-play", "ai-generated"], base_model=base["hub"] or None, model_name=release.name, eval_results=results or None, **known,
    )  # fmt: skip


def base_of(release: "Release") -> dict[str, str]:
    """The base: what it is, its name on the hub if it has one, and its licence as far as it is known here."""
    name = release.recipe.base.model
    local = Path(name).is_dir()
    if name == "small":
        found, text = "apache-2.0", "the small base of persllm"
    else:
        found, text = licence_of(Path(name)) if local else "", f"a local folder named {Path(name).name}" if local else f"`{name}`"
    hub = name if HUB_NAME.fullmatch(name) and not local and name != "small" else ""
    wanted = release.wishes.licence or found
    note = "" if wanted else "Look at the base's own card; its terms bind this model too."
    return {"text": text, "hub": hub, "id": wanted, "licence": found or "not known here", "note": note}


def licence_of(folder: Path) -> str:
    """The licence in the card of a base folder; empty if it names none."""
    file = folder / "README.md"
    parts = file.read_text(encoding="utf-8", errors="replace").split("---\n", 2) if file.is_file() else []
    try:
        found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else {}
    except yaml.YAMLError:
        return ""
    return str(found.get("license") or "") if isinstance(found, dict) else ""


def about(release: "Release") -> str:
    """One sentence on what this is."""
    people = ", ".join(f"{persona.name} ({', '.join(stage.title or stage.id for stage in persona.stages)})" for persona in release.personas)
    how = {"lora": "a LoRA adapter, merged", "full": "all weights"}[release.result.adapter]
    return (
        f"A persona model of {flat(people)}: result `{release.result.name}` of the run `{release.run.resolve().name}`, trained with {how}."
    )


def stages(personas: Sequence[Persona]) -> Iterator[tuple[str, ...]]:
    """A row for each stage."""
    for persona in personas:
        for stage in persona.stages:
            yield persona.name, f"`{persona.id}`", persona.language, stage.title or stage.id, f"`{stage.id}`", stage.start, stage.end


def data(release: "Release") -> dict[str, Any]:
    """Which materials, and the span of their dates."""
    rows = []
    for persona in release.personas:
        own = [material for material in release.materials if material.persona == persona.id]
        dated = [material for material in own if material.date]
        first, last = span(dated)
        counts = (str(sum(m.kind == kind for m in own)) for kind in ("speech", "experience", "knowledge"))
        rows.append(cells((persona.name, *counts, f"{len(dated)} of {len(own)}", first, last)))
    first, last = span(release.materials)
    spans = f"with dates from {first} to {last}" if first else "none of them dated"
    kinds = {"sft": "conversations made from them", "dpo": "conversations made from them, then preference pairs"}
    trained = kinds.get(release.result.name, "conversations made from them, preference pairs, and corrections of users")
    sentence = f"{len(release.materials)} materials, {spans}."
    return {"rows": rows, "sentence": sentence, "trained": trained, "fingerprint": release.result.data}


def span(materials: Sequence[Material]) -> tuple[str, str]:
    """First and last date as they stand in the materials, by year and then as text; empty if there is none with a year."""
    dated = sorted((int(found[1]), m.date) for m in materials if (found := YEAR.search(m.date)))
    return (dated[0][1], dated[-1][1]) if dated else ("", "")


def scores(release: "Release") -> dict[str, Any]:
    """The main figures, beside the untrained rival."""
    result, rival = release.result, rival_of(release)
    against = f"untrained, {next(iter(rival.values())).taker}" if rival else "untrained"
    rows = [
        cells((title(figure), METRICS[figure.metric].meaning, f"{figure.value:.4f}", interval(figure), figure.n, figure.unscored, beside(rival.get(key(figure)))))
        for figure in result.scores
    ]  # fmt: skip
    told = {
        "checked": "On test items that were not trained on, with the fingerprint of the weights checked. Hand-written and constructed items together; "
        "the report of the run tells them apart.",
        "by settings": "On test items that were not trained on. The examination did not write down the weights it saw; by the settings of all steps it saw this model.",
        "stale": "Not told: the model was trained anew, or changed, after it was examined. `persllm evaluate` examines it.",
        "none": "This result was never examined.",
    }  # fmt: skip
    return {"sentence": told[result.scores_state], "rows": rows, "rival": against}


def rival_of(release: "Release") -> dict[tuple[str, str], Figure]:
    """The same figures of the model that was merely told who it is; empty where it did not sit."""
    if release.result.name not in ("sft", "dpo") or not release.result.scores:
        return {}
    group = release.result.scores[0].group
    table = {(f.taker, *key(f)): f for f in release.registry.figures if f.group in (group, "all") and f.value is not None}
    taker = next((name for name in ("prompted", "base") if any(one == name for one, *_ in table)), "")
    return {(metric, detail): figure for (one, metric, detail), figure in table.items() if one == taker}


def failures(release: "Release") -> Iterator[tuple[Any, ...]]:
    """How often it fails in the known ways; what was not measured is said to be so."""
    found = {figure.metric: figure for figure in release.registry.all_of(release.result)}
    for metric, text in FAILURES:
        figure = found.get(metric)
        yield (
            (text, f"{100 * figure.value:.1f} %", interval(figure, 100), chance(figure), figure.n)
            if figure
            else (text, "not measured", "", "", "")
        )


def training(release: "Release") -> Iterator[tuple[str, Any]]:
    """The settings of the phases that made this result."""
    recipe = release.recipe
    phases = {"sft": recipe.sft, "dpo": recipe.dpo}
    if release.result.name == "sft":
        phases.pop("dpo")
    elif recipe.dpo.start == "base":
        phases.pop("sft")
    yield "mode, seed", f"{recipe.mode}, {recipe.seed}"
    for name, phase in phases.items():
        for setting, value in phase.model_dump(mode="json").items():
            if value not in ({}, None):
                yield f"{name}.{setting}", value
    yield "mixture.repeat, general", f"{recipe.mixture.repeat}, {recipe.mixture.general}"
    if release.result.name.startswith("v"):
        yield "corrections", f"version {release.result.name[1:]}, trained from {release.result.parent}"


# Texts ---------------------------------------------------------------------------------------------------


def key(figure: Figure) -> tuple[str, str]:
    """What a figure is of."""
    return figure.metric, figure.detail


def title(figure: Figure) -> str:
    """Name of a figure."""
    return f"{METRICS[figure.metric].title} {figure.detail}".strip()


def interval(figure: Figure, times: float = 1.0) -> str:
    """The interval of a figure."""
    digits = 1 if times > 1 else 4
    return (
        f"{times * figure.low:.{digits}f} to {times * figure.high:.{digits}f}" if figure.low is not None and figure.high is not None else ""
    )


def chance(figure: Figure) -> str:
    """What blind guessing would reach."""
    return f"{100 * figure.chance:.1f} %" if figure.chance is not None else ""


def beside(figure: Figure | None) -> str:
    """The rival's value."""
    return f"{figure.value:.4f}" if figure and figure.value is not None else ""


def tabled(rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    """Rows for a table."""
    return [cells(row) for row in rows]


def cells(row: Sequence[Any]) -> list[str]:
    """A row of a table, in which nothing breaks the table."""
    return [flat(str(cell)) for cell in row]


def flat(text: str) -> str:
    """A text on one line, without the bar of tables and without tags."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
