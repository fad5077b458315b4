"""Several runs side by side: what changed in the settings, and what that did to the figures.

Two runs are paired over the questions that are the same in both: by identity, with words and wrong answers. Their
final models are compared, each by its own; the first run is what the others are measured against.

Limits: a difference between runs is that of all their settings together, chance in training included: a run with another
seed tells how much that is.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persllm.errors import RunError
from persllm.metrics import METRICS, SHARES
from persllm.parsing import flatten
from persllm.records import Record, Score, TestItem
from persllm.report.evidence import Evidence, read_evidence, read_json
from persllm.report.page import HERE, rendered
from persllm.report.plots import bars
from persllm.report.tables import HEADLINES, Row
from persllm.report.verdict import goals, hand_written_first, judge, title_of, with_interval
from persllm.report.words import Words
from persllm.statistics import CERTAIN, Difference, Figure, differences, holm
from persllm.store import Run, StepFolder, replace_json, replace_text

UNTOLD = {"name", "personas"}
"""Settings that differ with the place of a run and change nothing."""


class Setting(Record):
    """A setting in which the runs differ."""

    key: str
    values: tuple[str, ...]
    """By run; `not set` where a run has no such setting."""


class Change(Record):
    """A figure of a run against that of the first one."""

    run: str
    metric: str
    detail: str
    group: str
    difference: Difference | None
    """Over the questions that are the same; None if there are none."""
    corrected: float | None
    """Its p-value, corrected by Holm for the number of figures of this run."""

    @property
    def certain(self) -> bool:
        """Whether the change is larger than chance explains."""
        found = self.difference
        return found is not None and (found.low > 0 or found.high < 0) and self.corrected is not None and self.corrected < CERTAIN


class Comparison(Record):
    """Several runs."""

    runs: tuple[str, ...]
    finals: tuple[str, ...]
    """The final model of each."""
    sentence: str
    settings: tuple[Setting, ...]
    questions: tuple[int, ...]
    """Questions of each."""
    shared: tuple[int, ...]
    """Of them, the same as in the first run."""
    verdicts: tuple[str, ...]
    figures: tuple[Figure, ...]
    """Of the final models; `taker` names the run."""
    changes: tuple[Change, ...]


def compare(paths: Sequence[Path]) -> tuple[Comparison, str]:
    """The comparison of at least two runs, and its page. RunError if one has no evaluation."""
    evidences = [read_evidence(Run.open(path).recipe, Run.open(path)) for path in paths]
    names = names_of(paths)
    for path, evidence in zip(paths, evidences, strict=True):
        if not evidence.final:
            raise RunError(f"{path}: nothing trained sat the examination, so there is nothing to compare.")
    changes = [change for name, one in list(zip(names, evidences, strict=True))[1:] for change in changes_of(name, one, evidences[0])]
    found = Comparison(
        runs=tuple(names), finals=tuple(one.final for one in evidences), settings=tuple(settings_of(evidences)),
        questions=tuple(len(one.items) for one in evidences), shared=tuple(len(same_items(one, evidences[0])) for one in evidences),
        verdicts=tuple(judge(one).sentence for one in evidences), changes=tuple(changes), sentence="",
        figures=tuple(figure for name, one in zip(names, evidences, strict=True) for figure in final_figures(name, one)),
    )  # fmt: skip
    found = found.model_copy(update={"sentence": sentence(found, words_of(evidences))})
    return found, page(found, evidences)


def words_of(evidences: Sequence[Evidence]) -> Words:
    """Chinese if all pages are."""
    return Words("zh" if all(one.words.language == "zh" for one in evidences) else "en")


def names_of(paths: Sequence[Path]) -> list[str]:
    """The names of the folders; with the folder above where two are the same."""
    names = [path.resolve().name for path in paths]
    return [f"{path.resolve().parent.name}/{name}" if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def settings_of(evidences: Sequence[Evidence]) -> list[Setting]:
    """Every setting in which the runs differ, and the versions and materials that they were made from."""
    flat = [told_settings(one) for one in evidences]
    keys = sorted({key for one in flat for key in one})
    table = {key: tuple(one.get(key, "not set") for one in flat) for key in keys}
    return [Setting(key=key, values=values) for key, values in table.items() if len(set(values)) > 1]


def told_settings(evidence: Evidence) -> dict[str, str]:
    """The settings of a run by their path; folders of persons by name and content, wherever they lie."""
    tree = evidence.recipe.model_dump(mode="json", exclude=UNTOLD)
    made = read_json(evidence.path / "1-materials" / "made-with").get("settings", {})
    more = {
        "personas": ", ".join(Path(folder).name for folder in evidence.recipe.personas),
        **{f"materials of {name}": content for name, content in made.get("folders", {}).items()},
        **{name: evidence.provenance[name] for name in ("persllm", "commit") if name in evidence.provenance},
    }
    return {key: shown(value) for key, value in {**flatten(tree), **more}.items()}


def shown(value: Any) -> str:
    """A value of a setting."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def same_items(one: Evidence, other: Evidence) -> list[TestItem]:
    """The questions of a run that another has too, word for word."""
    there = {item.identity for item in other.items.values()}
    return [item for item in one.items.values() if item.identity in there]


def final_figures(name: str, evidence: Evidence) -> list[Figure]:
    """The headline figures of a run's final model, under the run's name."""
    found = [evidence.figures.get((metric, detail, evidence.final, group)) for metric, detail, group, _ in HEADLINES]
    return [figure.model_copy(update={"taker": name}) for figure in found if figure is not None]


def changes_of(name: str, one: Evidence, first: Evidence) -> list[Change]:
    """What is otherwise in a run than in the first one, by headline."""
    items = same_items(one, first)
    scores = [*renamed(one, items, name), *renamed(first, items, "")]
    settings = first.recipe.evaluation
    made = differences(scores, items, [(name, "")], settings.bootstrap, first.recipe.seed, SHARES) if items else []
    table = {(found.metric, found.detail, found.group): found for found in made}
    wanted = [(metric, detail, group) for metric, detail, group, _ in HEADLINES]
    present = [key for key in wanted if key in table]
    corrected = dict(zip(present, holm([table[key].p or 1.0 for key in present]), strict=True))
    return [
        Change(run=name, metric=key[0], detail=key[1], group=key[2], difference=table.get(key), corrected=corrected.get(key))
        for key in wanted
    ]


def renamed(evidence: Evidence, items: Sequence[TestItem], name: str) -> list[Score]:
    """The scores of a run's final model on some items, under another name."""
    kept, wanted = {item.id for item in items}, {metric for metric, *_ in HEADLINES}
    return [
        score.model_copy(update={"taker": name})
        for score in evidence.scores.values()
        if score.taker == evidence.final and score.item in kept and score.metric in wanted
    ]


def sentence(found: Comparison, words: Words) -> str:
    """What changed, by rule: the main figure of each run against the first."""
    group = "gold" if any(one.group == "gold" and one.metric == "choice" for one in found.figures) else "constructed"
    parts = []
    for name in found.runs[1:]:
        main = next((c for c in found.changes if (c.run, c.metric, c.detail, c.group) == (name, "choice", "", group)), None)
        if main is None or main.difference is None:
            parts.append(words("{run} and {first} share no question, so they cannot be paired", run=name, first=found.runs[0]))
            continue
        d = main.difference
        effect = "is better than" if d.low > 0 else "is worse than" if d.high < 0 else "is not certainly different from"
        parts.append(words(
            "{run} {effect} {first} ({value} points of choice, 95 % interval {low} to {high}, n {n})", run=name, effect=words(effect),
            first=found.runs[0], value=f"{100 * d.value:+.1f}", low=f"{100 * d.low:+.1f}", high=f"{100 * d.high:+.1f}", n=d.n,
        ))  # fmt: skip
    settings = words("{count} settings differ", count=len(found.settings)) if len(found.settings) != 1 else words("one setting differs")
    gap = "" if words.language == "zh" else " "
    return f"{words('; ').join(parts)}{words('.')}{gap}{settings[0].upper()}{settings[1:]}{words('.')}"


# The page ------------------------------------------------------------------------------------------------


def page(found: Comparison, evidences: Sequence[Evidence]) -> str:
    """One self-contained page."""
    from markupsafe import Markup

    words = words_of(evidences)
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return rendered(
        "compare.html", True, _=words, language=words.language, style=Markup(style), found=found, rows=rows_of(found, words),
        plots={"choice": Markup(choice_plot(evidences, found.runs, words))}, goals=goal_rows(evidences, words), steps=step_rows(evidences),
    )  # fmt: skip


def rows_of(found: Comparison, words: Words) -> list[Row]:
    """Every headline: the figure of each run, and what each later run changed."""
    rows = []
    for metric, detail, group, title in HEADLINES:
        key = (metric, detail, group)
        figures = [
            next((f for f in found.figures if f.taker == name and (f.metric, f.detail, f.group) == key), None) for name in found.runs
        ]
        if any(figure is not None and figure.value is not None for figure in figures):
            changes = [c for c in found.changes if (c.metric, c.detail, c.group) == key]
            arrow = {"higher": " \u2191", "lower": " \u2193", "beside": ""}[METRICS[metric].better]
            cells = (*(with_interval(figure, words) for figure in figures), *(change_cell(change, words) for change in changes))
            rows.append(Row(title=words(title) + arrow, meaning=words(METRICS[metric].meaning), cells=cells))
    return rows


def change_cell(change: Change, words: Words) -> str:
    """A change with its interval, marked if it is certain."""
    found = change.difference
    if found is None:
        return "\u2013"
    share = METRICS[found.metric].unit == "share"
    value, low, high = (f"{100 * end:+.1f}" if share else f"{end:+.3f}" for end in (found.value, found.low, found.high))
    return f"{value}{' *' if change.certain else ''} ({words('{low} to {high}', low=low, high=high)})"


def choice_plot(evidences: Sequence[Evidence], names: Sequence[str], words: Words) -> str:
    """Choice of the final models on every test set."""
    sets = {f"{item.origin}/{item.set}" for one in evidences for item in one.items.values() if item.candidates}
    groups = sorted(sets, key=hand_written_first)
    cells = {name: [one.figure("choice", one.final, group) for group in groups] for name, one in zip(names, evidences, strict=True)}
    return bars("compare", [title_of(group, words) for group in groups], cells, words("right answer preferred (%)"), words)


def goal_rows(evidences: Sequence[Evidence], words: Words) -> list[Row]:
    """What became of the goals in each run."""
    table = [goals(one) for one in evidences]
    marks = {True: "reached", False: "not reached", None: "not measured"}
    rows = []
    for same in zip(*table, strict=True):
        cells = [f"{with_interval(goal.figure, words)} {words(marks[goal.reached])}" if goal.figure else "\u2013" for goal in same]
        rows.append(Row(title=words(same[0].aim.title), cells=tuple(cells)))
    return rows


def step_rows(evidences: Sequence[Evidence]) -> list[Row]:
    """Seconds of each step, and what it left out."""
    tables: list[Mapping[str, Any]] = [{step.folder: step for step in one.steps} for one in evidences]
    rows = []
    for folder in sorted({folder for table in tables for folder in table}):
        cells = [
            f"{table[folder].seconds:.0f} s, {sum(table[folder].dropped.values())}" if folder in table else "\u2013" for table in tables
        ]
        rows.append(Row(title=folder, cells=tuple(cells)))
    return rows


def write_comparison(paths: Sequence[Path], out: Path | None = None) -> tuple[Comparison, Path]:
    """Write the page and the same as JSON; by default beside the first run, as `compare-A-B`. Returns the page's file."""
    found, text = compare(paths)
    name = "-".join(["compare", *(one.replace("/", "-") for one in found.runs)])
    folder = StepFolder(out or paths[0].resolve().parent / name).path
    replace_json(folder / "compare.json", found.model_dump(mode="json"))
    replace_text(folder / "compare.html", text)
    return found, folder / "compare.html"


def told(found: Comparison, file: Path) -> str:
    """What the command line says: the sentence, the settings, the headline figures."""
    lines = [found.sentence, ""]
    lines += [f"  {one.key}: {' -> '.join(one.values)}" for one in found.settings]
    lines += [
        f"  {share} of {count} questions of {name} are those of {found.runs[0]}"
        for name, count, share in zip(found.runs[1:], found.questions[1:], found.shared[1:], strict=True)
    ]
    for row in rows_of(found, Words()):
        if any(cell.partition(" ")[2].startswith("*") for cell in row.cells):
            lines.append(f"  * {row.title}: {' -> '.join(row.cells[: len(found.runs)])}")
    return "\n".join([*lines, "", f"* certain after correction for the number of figures. All figures: {file}"])
