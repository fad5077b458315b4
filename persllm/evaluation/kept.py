"""Answers and likelihoods of earlier examinations, found by content: the weights of the model and what it was asked, by which
version of persllm.

One file of results for each model, `kept/FINGERPRINT.jsonl`, written when an examination is answered in full: so a killed
one cuts its batches anew as it had cut them. An examination with other settings, or with more questions, asks only what
was not asked before. Failures are not kept.

Limits: what was weighed in a batch of other company may differ in the last digits from what would be weighed now. What a
model at an address says is not kept: nobody can tell what stands behind it, and with which masks it was asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import persllm
from persllm.evaluation.tasks import Result, Task
from persllm.records import fingerprint
from persllm.store import read_records, replace_records
from persllm.weights import weights_of


class Kept:
    """The results kept in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.models: dict[str, str] = {}

    def found(self, tasks: Sequence[Task]) -> dict[str, Result]:
        """Identity of a task -> its result, for the tasks that were done before."""
        tasks = [task for task in tasks if Path(task.model).is_dir()]
        known = {name: {r.task: r for r in self.results(name)} for name in {self.model_of(task) for task in tasks}}
        found = {task.identity: known[self.model_of(task)].get(self.key(task)) for task in tasks}
        return {identity: result.model_copy(update={"task": identity}) for identity, result in found.items() if result}

    def keep(self, tasks: Iterable[Task], results: Mapping[str, Result]) -> None:
        """Keep the good results of these tasks, beside those that are kept already."""
        by_model: dict[str, dict[str, Result]] = {}
        for task in tasks:
            result = results[task.identity]
            if Path(task.model).is_dir() and not result.error and not (result.reply and result.reply.finish == "error"):
                key = self.key(task)
                by_model.setdefault(self.model_of(task), {})[key] = result.model_copy(update={"task": key})
        for name, fresh in by_model.items():
            before = {result.task: result for result in self.results(name)}
            if not fresh.keys() <= before.keys():
                merged = {**fresh, **before}
                replace_records(self.file(name), [merged[key] for key in sorted(merged)])

    def results(self, name: str) -> list[Result]:
        """What is kept of one model."""
        return read_records(self.file(name), Result) if self.file(name).is_file() else []

    def file(self, name: str) -> Path:
        """Where the results of one model stand."""
        return self.folder / f"{name}.jsonl"

    def model_of(self, task: Task) -> str:
        """The fingerprint of the model of a task."""
        if task.model not in self.models:
            self.models[task.model] = fingerprint_of(task.model)
        return self.models[task.model]

    def key(self, task: Task) -> str:
        """What is asked, wherever the model stands."""
        return fingerprint([persllm.__version__, task.request.model_dump(mode="json"), task.text])


def fingerprint_of(source: str) -> str:
    """Of a folder that of its model (`persllm.weights`); of anything else that of its name."""
    return weights_of(Path(source)) if Path(source).is_dir() else fingerprint(source)
