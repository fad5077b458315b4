"""The second model of the dataset step, where `checks.verify` wants one: asks it about a sample and counts how far it agrees.

Its calls count against the run's budget and are kept like all others. Verdicts go to `verified.jsonl` of the step.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from persllm.chat import ApiModel, Ledger, ReplyCache, below
from persllm.checks import CHECKS, Checker
from persllm.checks.verify import agreement, sampled, verify
from persllm.config import Recipe, VerifySettings
from persllm.errors import ConfigError
from persllm.privacy import guarded
from persllm.records import Conversation, Dropped
from persllm.store import Progress, StepFolder


def check_verifier(settings: VerifySettings) -> None:
    """ConfigError if a sample is wanted and nobody is named to look through it."""
    for name in ("url", "model") if settings.share else ():
        if not getattr(settings.api, name):
            raise ConfigError(
                f"checks.verify.share is {settings.share} and checks.verify.api.{name} is empty. Name the model that verifies, or set the share to 0."
            )


def verify_sample(
    recipe: Recipe, checker: Checker, conversations: Sequence[Conversation], dropped: Sequence[Dropped], folder: StepFolder, spending: Path,
    kept: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Facts for step.json: agreement with the checks, or nothing if no sample is wanted. ModelError if the model is of no use."""
    settings = recipe.checks.verify
    if not settings.share:
        return {}
    by_checks = {entry.item for entry in dropped if entry.reason in {check.name for check in CHECKS}}
    others = {entry.item for entry in dropped} - by_checks
    cases = [checker.case(one) for one in sampled(conversations, settings.share, recipe.seed) if one.identity not in others]
    verified = []
    with closing(Ledger(recipe.budget, spending, folder.path.name)) as accounts, closing(ReplyCache(kept)) as replies:
        model = guarded(
            ApiModel(settings.api, replies, (), accounts, below("checks.verify.api")),
            recipe.privacy,
            [settings.api.url],
            spending.parent / "privacy",
        )
        for one in verify(cases, by_checks, model, settings):
            verified.append(one)
            progress(len(verified), len(cases))
        spent = accounts.spent[folder.path.name]
    verified.sort(key=lambda one: one.item)
    folder.write("verified.jsonl", verified)
    usage = spent.model_dump(include={"calls", "prompt_tokens", "completion_tokens"})
    return {"verified": agreement(verified, settings.api.model, recipe.seed).model_dump(mode="json"), "usage": usage}
