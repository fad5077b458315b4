"""The tables of a report: headline figures by taker, distinction, the stages question by question, who was heard as whom."""

from collections.abc import Sequence

from persllm.metrics import METRICS
from persllm.records import Record
from persllm.report.evidence import Evidence
from persllm.report.verdict import corrected_chances, hand_written_first, percent, points, title_of, with_interval
from persllm.report.words import ENGLISH, Words
from persllm.statistics import Difference, Figure

HEADLINES: tuple[tuple[str, str, str, str], ...] = (
    ("choice", "", "gold", "choice, hand-written"),
    ("choice_pmi", "", "gold", "choice corrected, hand-written"),
    ("choice", "", "constructed", "choice, constructed"),
    ("choice_against", "other_person", "all", "against other persons"),
    ("choice_against", "other_stage", "all", "against the other stage"),
    ("choice_against", "other_stage", "changed", "against the other stage, where the truth differs"),
    ("choice_against", "confusion", "all", "against a confused fact"),
    ("choice_against", "opposite", "all", "against the opposite view"),
    ("rouge_l", "", "all", "ROUGE-L"),
    ("chrf", "", "all", "chrF"),
    ("cosine", "", "all", "cosine of embeddings"),
    ("cosine_other", "", "all", "cosine of embeddings, floor"),
    ("fact_recall", "", "all", "fact recall"),
    ("identified_person", "", "all", "person identified"),
    ("identified_stage", "", "all", "person and stage identified"),
    ("resistance", "", "families/trained", "resistance, trained families"),
    ("resistance", "", "families/unseen", "resistance, unseen families"),
    ("false_denial", "", "all", "false denial"),
    ("premise_asserted", "", "all", "premise asserted in the answer"),
    ("truth_denied", "", "all", "truth denied in the answer"),
    ("truth_stated", "induction", "all", "truth stated against a false premise"),
    ("leak", "", "all", "future leak"),
    ("leak_said", "", "all", "future leak in the answer"),
    ("stuck", "", "gold", "stuck in the past, hand-written"),
    ("stuck", "", "constructed", "stuck in the past, constructed"),
    ("gap_stage", "", "changed", "Intra - Stage where the truth differs"),
    ("gap_inter", "", "all", "Stage - Inter"),
    ("agreement", "", "gold", "agreement over wordings, hand-written"),
    ("agreement", "", "constructed", "agreement over wordings, constructed"),
    ("stage_agreement", "", "gold", "agreement over stages where the truth is the same, hand-written"),
    ("stage_agreement", "", "constructed", "agreement over stages where the truth is the same, constructed"),
    ("wording_gap", "", "all", "wording gap"),
    ("general_loss", "plain", "all", "loss on general talk"),
    ("general_loss", "in role", "all", "loss on general talk, in role"),
    ("loss_change", "in role", "all", "change of it, in role"),
)  # fmt: skip
"""(metric, detail, group, title) of the rows of the main table."""


class Row(Record):
    """A row of a table; `cells` are printed as they are."""

    title: str
    meaning: str = ""
    cells: tuple[str, ...]


class Shade(Record):
    """A cell of a matrix: what is printed, and how dark it is, 0 to 1."""

    text: str
    dark: float


class Matrix(Record):
    """A shaded table."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...]], ...]


def headlines(evidence: Evidence) -> list[Row]:
    """Value with interval for every taker, then items, unscored and chance; rows nobody was scored on are left out."""
    rows = []
    for metric, detail, group, title in HEADLINES:
        found = [evidence.figures.get((metric, detail, taker, group)) for taker in evidence.takers]
        present = [figure for figure in found if figure is not None]
        if any(figure.value is not None for figure in present):
            chance = next((figure.chance for figure in present if figure.chance is not None), None)
            last = (
                spread([figure.n for figure in present], evidence.words),
                spread([figure.unscored for figure in present], evidence.words),
                "\u2013" if chance is None else f"{percent(chance)} %",
            )
            arrow = {"higher": " \u2191", "lower": " \u2193", "beside": ""}[METRICS[metric].better]
            meaning = evidence.words(METRICS[metric].meaning)
            rows.append(Row(title=evidence.words(title) + arrow, meaning=meaning, cells=(*evidence_cells(evidence, found), *last)))
    return rows


def evidence_cells(evidence: Evidence, found: Sequence[Figure | None]) -> tuple[str, ...]:
    """Values with their intervals, in the language of the page."""
    return tuple(with_interval(figure, evidence.words) for figure in found)


def spread(numbers: Sequence[int], words: Words = ENGLISH) -> str:
    """`60`, or `58 to 60` where takers differ."""
    return str(numbers[0]) if len(set(numbers)) == 1 else words("{low} to {high}", low=min(numbers), high=max(numbers))


def compared(evidence: Evidence) -> list[tuple[str, str]]:
    """Which takers the table of gains sets side by side: tuning against the prompt, DPO against tuning, the final model against all rivals."""
    wanted = [("sft", "prompted"), ("dpo", "sft"), *((evidence.final, name) for name in evidence.rivals)]
    present = {(taker, than) for *_, taker, than in evidence.differences}
    return [pair for pair in dict.fromkeys(wanted) if pair in present]


def gains(evidence: Evidence) -> list[Row]:
    """What each phase of the training changed in choice, on every test set: paired differences in points, and what could be seen."""
    pairs, words = compared(evidence), evidence.words
    sets = {g for m, _, g, _, _ in evidence.differences if m == "choice" and g.startswith(("gold/", "constructed/"))}
    sets = [evidence.main_group, *sorted((group for group in sets if "families" not in group), key=hand_written_first)]
    corrected = corrected_chances(evidence)
    rows = []
    for group in dict.fromkeys(sets):
        found = [evidence.difference("choice", taker, than, group) for taker, than in pairs]
        main = evidence.difference("choice", evidence.final, evidence.rival, group)
        title = title_of(group, words) if "/" in group else words({"gold": "all hand-written", "all": "all"}[group])
        cells = tuple(point_cell(evidence, one) for one in found)
        seen = percent(main.visible) if main and main.visible else "\u2013"
        if any(found):
            n = spread([d.n for d in found if d], words)
            rows.append(Row(title=title, cells=(*cells, chance_cell(corrected.get(group)), seen, n)))
    return rows


def point_cell(evidence: Evidence, found: Difference | None) -> str:
    """A difference in points."""
    if found is None:
        return "\u2013"
    return f"{points(found.value)} ({evidence.words('{low} to {high}', low=points(found.low), high=points(found.high))})"


def chance_cell(chance: float | None) -> str:
    """A corrected p-value."""
    return "\u2013" if chance is None else "< 0.001" if chance < 0.001 else f"{chance:.3f}"


def gain_heads(evidence: Evidence) -> list[str]:
    """The heads of `gains`."""
    words = evidence.words
    return [*(f"{one} \u2212 {other}" for one, other in compared(evidence)), words("p, corrected"), words("visible from"), "n"]


def likeness(evidence: Evidence) -> list[Row]:
    """Intra, Stage, Inter and the gaps, by taker; where the truth differs, and everywhere."""
    rows = []
    for group, where in (("all", ""), ("changed", ", truth differs"), ("unchanged", ", truth is the same")):
        for metric in ("bleu_intra", "bleu_stage", "bleu_inter", "gap_stage", "gap_inter"):
            found = [evidence.figure(metric, taker, group) for taker in evidence.takers]
            if any(found):
                rows.append(
                    Row(title=evidence.words(METRICS[metric].title) + evidence.words(where), cells=tuple(evidence_cells(evidence, found)))
                )
    return rows


def heard_as(evidence: Evidence, taker: str) -> Matrix | None:
    """The confusion matrix of a taker: rows are who was to speak, columns who was heard, in per cent of the row."""
    cells = {(row.asked, row.heard): row.count for row in evidence.confusion if row.taker == taker}
    places = [f"{persona.id}/{stage.id}" for persona in evidence.personas.values() for stage in persona.stages]
    asked = [place for place in places if any(a == place for a, _ in cells)]
    if not asked:
        return None
    rows = []
    for place in asked:
        total = sum(count for (a, _), count in cells.items() if a == place)
        shares = [cells.get((place, heard), 0) / total for heard in places]
        rows.append((place, tuple(Shade(text=f"{100 * share:.0f}" if share else "", dark=share) for share in shares)))
    return Matrix(heads=tuple(places), rows=tuple(rows))


def stages_by_question(evidence: Evidence, taker: str) -> Matrix | None:
    """Shared questions whose answer changed, by stage: share of the persons whose own stage's answer is preferred."""
    table: dict[str, dict[str, list[float]]] = {}
    for item in evidence.items.values():
        value = evidence.value("choice_against", taker, item.id, "other_stage")
        if item.set == "shared" and value is not None:
            table.setdefault(item.messages[-1].content, {}).setdefault(item.stage, []).append(value)
    stages = tuple(dict.fromkeys(stage.id for persona in evidence.personas.values() for stage in persona.stages))
    rows = []
    for question, row in table.items():
        shares = [(sum(row[stage]), len(row[stage])) if stage in row else None for stage in stages]
        cells = [
            Shade(text="", dark=0.0)
            if cell is None
            else Shade(text=evidence.words("{part} of {whole}", part=f"{cell[0]:.0f}", whole=cell[1]), dark=cell[0] / cell[1])
            for cell in shares
        ]
        rows.append((question, tuple(cells)))
    return Matrix(heads=stages, rows=tuple(rows)) if rows else None


def by_person(evidence: Evidence) -> list[Row]:
    """The main figure of the final model for every person and stage."""
    rows = []
    for persona in evidence.personas.values():
        groups = [f"person/{persona.id}", *(f"place/{persona.id}/{stage.id}" for stage in persona.stages)]
        names = [persona.name, *(f"\u2003{stage.title or stage.id}" for stage in persona.stages)]
        for group, name in zip(groups, names, strict=True):
            cells = [evidence.figure(metric, evidence.final, group) for metric in ("choice", "identified_stage", "chrf")]
            if any(cells):
                rows.append(Row(title=name, cells=tuple(evidence_cells(evidence, cells))))
    return rows
