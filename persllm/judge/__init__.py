"""A language model as judge of a run's answers. Optional: no figure of the examination needs one; a judge only adds.

    judge/<model>/verdicts.jsonl    what the judge said, or why not
    judge/<model>/scores.jsonl figures.jsonl differences.jsonl judge.json    made from the verdicts and the labels, without any call

The judge sees letters in place of takers, and everything whose order could tell in both orders. A verdict that exists is
not asked for again, neither here nor, by the kept replies, in another run; so the same command resumes, and with other
labels it only counts anew.

Limits: a judge likes long and smooth answers, and those of its own family; what it says counts as far as it agrees with
human labels. Answers are quoted as JSON strings, which keeps them apart but stops no model from heeding them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path

from persllm.chat import ApiModel, ChatModel, Ledger, ReplyCache, below, on_this_machine
from persllm.chat.ledger import check_prices, likely_tokens
from persllm.config import Recipe
from persllm.errors import ConfigError, RunError
from persllm.judge.asking import PAPER_ASPECTS, PROMPTS, Bench, chosen
from persllm.judge.calibration import Label, agreements, read_labels
from persllm.judge.reading import read
from persllm.judge.records import Agreement, Judged, Plan, Position, Standing, Task, Verdict
from persllm.judge.scoring import SHARES, Docket, positions, score_all, standings
from persllm.privacy import Receiver, guarded, is_masked, refuse_receivers
from persllm.records import Answer, Persona, Score, TestItem, fingerprint
from persllm.statistics import differences, figures
from persllm.store import Progress, Run, StepFolder, read_records, replace_json, silent

__all__ = ["PROMPTS", "Agreement", "Judged", "Plan", "Position", "Standing", "Verdict", "judge", "judgements", "plan", "receiver"]
REPLY = 60
"""Tokens that a verdict is likely to have."""


class Session:
    """One judging of a run: who judges what, where it is kept."""

    def __init__(self, run: Run, recipe: Recipe):
        check_judge(recipe)
        self.run, self.recipe, self.settings = run, recipe, recipe.judge
        evaluation = run.step("8-evaluation")
        self.items = chosen(evaluation.records(TestItem, "test.jsonl"), self.settings, recipe.seed)
        answers = [one for one in evaluation.records(Answer, "answers.jsonl") if one.sample == 0]
        self.takers = self.settings.takers or tuple(dict.fromkeys(answer.taker for answer in answers))
        missing = [name for name in self.takers if name not in {answer.taker for answer in answers}]
        if missing or len(set(self.takers)) < 2 or not self.items:
            raise RunError(self.complaint(missing, sorted({answer.taker for answer in answers})))
        said = {(one.taker, one.item): one.text.strip() for one in answers if not one.error and one.taker in self.takers}
        personas = run.step("1-materials").records(Persona, "personas.jsonl")
        self.bench = Bench(self.settings, personas, said, self.takers, recipe.seed)
        self.folder = StepFolder(run.path / "judge" / folder_name(self.settings.api.model))

    def complaint(self, missing: Sequence[str], present: Sequence[str]) -> str:
        """What the error says."""
        if missing:
            return (
                f"{self.run.path}: no answers of {', '.join(missing)} (judge.takers). Its examination has {', '.join(present) or 'none'}."
            )
        if not self.items:
            return f"{self.run.path}: no question of the sets {', '.join(self.settings.sets)} has a person and a reference. Name others in judge.sets."
        return f"{self.run.path}: only {', '.join(present) or 'nobody'} sat the examination; a judge compares at least two takers."

    def known(self) -> dict[tuple[object, ...], Verdict]:
        """The verdicts of earlier attempts, by task; those without a value are owed again."""
        file = self.folder.path / "verdicts.jsonl"
        found = read_records(file, Verdict) if file.is_file() else []
        return {(*verdict.place, verdict.asked): verdict for verdict in found if verdict.value}

    def dockets(self) -> list[Docket]:
        """What was to be judged, by preset."""
        voices = {item.id: self.bench.voices(item) for item in self.items}
        aspects = {"paper_rank": PAPER_ASPECTS, "paper_accuracy": PAPER_ASPECTS}
        return [
            Docket(name, aspects.get(name, self.settings.aspects), self.takers, voices) for name in dict.fromkeys(self.settings.presets)
        ]

    def sorted_tasks(self, verdicts: Sequence[Verdict]) -> list[Task]:
        """The answers to questions that were sorted by now."""
        matter = {verdict.item: verdict.value for verdict in verdicts if verdict.kind == "sort"}
        return [task for item in self.items if matter.get(item.id) in PAPER_ASPECTS for task in self.bench.accuracy(item, matter[item.id])]


def folder_name(model: str) -> str:
    """The name of a judge's folder: that of the model; with a mark of its own if it has characters that a folder's name cannot have."""
    plain = re.sub(r"[^\w.-]+", "-", model).strip(".-")
    return plain if plain == model else f"{plain}-{fingerprint(model)[:8]}".strip("-")


def check_judge(recipe: Recipe) -> None:
    """ConfigError if no judge is named, or money is counted and the judge has no price."""
    for name in ("url", "model"):
        if not getattr(recipe.judge.api, name):
            raise ConfigError(
                f"judge.api.{name} is empty: there is no judge until you name one, and the annotator is never taken for it. "
                f"For instance --set judge.api.url=http://127.0.0.1:8000/v1 --set judge.api.model=NAME."
            )
    check_prices(recipe.budget, [recipe.judge.api.model])


def receiver(recipe: Recipe, local_only: bool = False) -> Receiver:
    """Who will get text; ModelError if that may not be."""
    url = recipe.judge.api.url
    found = Receiver(setting="judge.api", url=url, local=on_this_machine(url), masked=is_masked(recipe.privacy, [url]))
    refuse_receivers([found], local_only or recipe.privacy.local_only, "leave the judge out")
    return found


def judge(
    run: Run, recipe: Recipe, kept: Path, labels: Path | None = None, progress: Progress = silent, local_only: bool = False
) -> Judged:
    """Ask what is owed, and count. ConfigError, ModelError, BudgetError or RunError with what to mend; what was said until then is kept."""
    session = Session(run, recipe)
    receiver(recipe, local_only)
    human = read_labels(labels) if labels else []
    with run.locked():
        verdicts = ask(session, kept, progress)
        return count(session, verdicts, human)


def ask(session: Session, kept: Path, progress: Progress) -> list[Verdict]:
    """The verdicts on all tasks, those of earlier attempts among them."""
    recipe, settings = session.recipe, session.settings
    known, first = session.known(), session.bench.tasks(session.items)
    made: dict[tuple[object, ...], Verdict] = {}
    spending = session.run.path / "spending.jsonl"
    with closing(Ledger(recipe.budget, spending, "judge")) as accounts, closing(ReplyCache(kept)) as replies:
        api = ApiModel(settings.api, replies, (), accounts, below("judge.api"))
        model = guarded(api, recipe.privacy, [settings.api.url], session.run.path / "privacy")
        second: list[Task] = []
        try:
            collect(model, first, known, made, progress, sum(task.kind == "sort" for task in first) * len(session.takers))
            second = session.sorted_tasks([made[task.place] for task in first])
            collect(model, second, known, made, progress, 0)
        finally:
            session.folder.write("verdicts.jsonl", [made[task.place] for task in (*first, *second) if task.place in made])
    return [made[task.place] for task in (*first, *second)]


def collect(
    model: ChatModel, tasks: Sequence[Task], known: dict[tuple[object, ...], Verdict], made: dict[tuple[object, ...], Verdict],
    progress: Progress, later: int,
) -> None:  # fmt: skip
    """Put the verdict on each task into `made`; `later` is how many tasks may come after these."""
    made |= {task.place: known[key] for task in tasks if (key := (*task.place, task.request.identity)) in known}
    owed = [task for task in tasks if task.place not in made]
    total = len(made) + len(owed) + later
    for place, reply in model.replies(task.request for task in owed):
        made[owed[place].place] = read(owed[place], reply)
        progress(len(made), total)


def count(session: Session, verdicts: Sequence[Verdict], human: Sequence[Label]) -> Judged:
    """Scores, figures and agreement from verdicts and labels; asks nobody."""
    recipe, dockets, items = session.recipe, session.dockets(), session.items
    scores = score_all(verdicts, dockets)
    resamplings, pairs = recipe.evaluation.bootstrap, [(late, early) for early, late in combinations(session.takers, 2)]
    made = figures(scores, items, resamplings, recipe.seed, SHARES)
    gaps = differences(scores, items, pairs, resamplings, recipe.seed, SHARES)
    spent = Ledger(recipe.budget, session.run.path / "spending.jsonl", "judge").spent["judge"]
    found = Judged(
        model=session.settings.api.model, wrote_the_data=wrote_the_data(recipe), takers=session.takers, items=len(items),
        presets=session.settings.presets, verdicts=len(verdicts), unscored=dict(sorted(Counter(v.reason for v in verdicts if not v.value).items())),
        sorted=dict(sorted(Counter(v.value or "unscored" for v in verdicts if v.kind == "sort").items())), positions=tuple(positions(verdicts)),
        standings=tuple(one for docket in dockets if docket.preset == "pairs" for one in standings(verdicts, docket, items, recipe.seed)),
        figures=tuple(one for one in made if one.group == "all"), differences=tuple(one for one in gaps if one.group == "all"),
        agreements=tuple(agreements(human, scores, session.settings.presets)), calls=spent.calls, tokens=spent.tokens, money=round(spent.money, 6),
        currency=recipe.budget.currency,
    )  # fmt: skip
    keep(session.folder, scores, made, gaps, found)
    return found


def keep(folder: StepFolder, scores: Sequence[Score], made: Sequence, gaps: Sequence, found: Judged) -> None:
    """Write everything that is made from verdicts."""
    folder.write("scores.jsonl", scores)
    folder.write("figures.jsonl", made)
    folder.write("differences.jsonl", gaps)
    replace_json(folder.path / "judge.json", found.model_dump(mode="json"))


def wrote_the_data(recipe: Recipe) -> bool:
    """Whether the judge has the name of the model that wrote the training data."""
    return recipe.constructor.engine == "llm" and recipe.judge.api.model in recipe.constructor.models


def plan(run: Run, recipe: Recipe, kept: Path) -> Plan:
    """What a judging would ask and cost, at most; asks nobody and writes nothing."""
    session = Session(run, recipe)
    tasks = session.bench.tasks(session.items)
    known = session.known()
    matter = {verdict.item: verdict.value for verdict in known.values() if verdict.kind == "sort"}
    sorting = {task.item for task in tasks if task.kind == "sort"}
    tasks += [task for item in session.items if item.id in sorting for task in session.bench.accuracy(item, later_aspect(matter, item.id))]
    owed = [task for task in tasks if (*task.place, task.request.identity) not in known]
    owed = list({task.request.identity: task for task in owed}.values())
    prompts = sum(likely_tokens(message.content) for task in owed for message in task.request.messages)
    accounts, price = Ledger(recipe.budget), recipe.budget.prices.get(recipe.judge.api.model)

    def cost(each: int) -> float | None:
        return round((price.input * prompts + price.output * each * len(owed)) / 1e6, 4) if price else None

    return Plan(
        model=recipe.judge.api.model, items=len(session.items), takers=session.takers, calls=len(owed), kept=len(tasks) - len(owed),
        prompt_tokens=prompts, completion_tokens=REPLY * len(owed), price=cost(REPLY), price_at_most=cost(recipe.judge.api.max_tokens),
        currency=accounts.budget.currency, by_preset=dict(Counter(task.preset for task in owed)),
    )  # fmt: skip


def later_aspect(matter: dict[str, str], item: str) -> str:
    """What a question rests on, or knowledge while nobody has said so."""
    return matter[item] if matter.get(item) in PAPER_ASPECTS else PAPER_ASPECTS[0]


def judgements(path: Path) -> list[Judged]:
    """What judges have said of a run, one for each that was asked; what earlier versions kept under another name counts if there is nothing newer."""
    found = [(file, Judged.model_validate_json(file.read_text(encoding="utf-8"))) for file in sorted(path.glob("judge/*/judge.json"))]
    in_place_last = sorted(found, key=lambda one: one[0].parent.name == folder_name(one[1].model))
    return list({judged.model: judged for _, judged in in_place_last}.values())
