"""A second model looks through a sample, and how far it agrees with the checks is told; it rejects nothing.

Agreement is the share of conversations on which both say the same (fit or not), and Cohen's kappa (1960, Educational and
Psychological Measurement 20), which takes off what chance would bring, with a bootstrap interval over conversations.
A call that fails and a verdict that cannot be read are unscored; they are in no figure. Limits: few are rejected, so
kappa needs a large sample; neither side is the truth.
"""

import json
from collections.abc import Collection, Iterator, Sequence

from pydantic import ValidationError

from persllm.agreement import kappa
from persllm.annotation import FENCE
from persllm.chat import ChatModel
from persllm.checks.case import Case
from persllm.checks.known import Known
from persllm.config import VerifySettings
from persllm.prompts import prompt
from persllm.records import Conversation, Material, Message, Record, Request, Sampling, fingerprint

LATER = 20
"""Headings of later materials that the second model is told at most."""


class Verdict(Record):
    """What a second model says of one conversation."""

    in_stage: bool
    """Nothing of what comes later is known."""
    grounded: bool
    """Every fact has a ground; no premise is accepted and no truth denied."""
    in_role: bool
    """A person speaks, in whole sentences of an own making."""
    why: str = ""


class Verified(Record):
    """One conversation of the sample."""

    item: str
    """Identity of the conversation."""
    kept: bool
    """What the checks say."""
    verdict: Verdict | None
    """What the second model says; None if that could not be had."""
    reason: str = ""
    """Why there is no verdict."""

    @property
    def accepted(self) -> bool | None:
        """Whether the second model finds no fault; None if it said nothing."""
        return self.verdict and self.verdict.in_stage and self.verdict.grounded and self.verdict.in_role


class Agreement(Record):
    """How far checks and second model agree."""

    model: str
    n: int
    """Conversations with a verdict."""
    unscored: int
    agreement: float | None
    """Share on which both say the same; None if there is none."""
    kappa: float | None
    """None if one side says the same of all, so that nothing can be told."""
    low: float | None
    """Lower end of kappa's 95 % interval."""
    high: float | None
    kept_accepted: int
    """Kept by the checks and accepted by the model."""
    kept_refused: int
    rejected_accepted: int
    rejected_refused: int

    @property
    def sentence(self) -> str:
        """The agreement in words."""
        head = f"A second model, {self.model}, looked through {self.n + self.unscored} conversations"
        if self.agreement is None:
            return f"{head} and gave no verdict that could be read."
        kappa = "no kappa, since one side says the same of all" if self.kappa is None else f"Cohen's kappa {self.kappa:.2f}"
        kappa += f", 95 % interval {self.low:.2f} to {self.high:.2f}" if self.low is not None else ""
        return (
            f"{head}: on {self.n} with a verdict it agrees with the checks in {100 * self.agreement:.1f} % ({kappa}); it refuses {self.kept_refused} of "
            f"{self.kept_accepted + self.kept_refused} that were kept and accepts {self.rejected_accepted} of "
            f"{self.rejected_accepted + self.rejected_refused} that were rejected; {self.unscored} unscored."
        )


def sampled(conversations: Sequence[Conversation], share: float, seed: int) -> list[Conversation]:
    """A share of the conversations, the same ones in every run with the seed."""
    return [one for one in conversations if int(fingerprint(["verify", seed, one.identity])[:8], 16) < share * 16**8]


def verify(cases: Sequence[Case], rejected: Collection[str], model: ChatModel, settings: VerifySettings) -> Iterator[Verified]:
    """The verdict on each case, as they come in. ModelError for what no further call could mend."""
    sampling = Sampling(temperature=settings.api.temperature, max_tokens=settings.api.max_tokens)
    requests = [request(case, sampling) for case in cases]
    for place, reply in model.replies(requests):
        item = cases[place].conversation.identity
        verdict, reason = (None, f"call failed: {reply.error}") if reply.finish == "error" else read_verdict(reply.text)
        yield Verified(item=item, kept=item not in rejected, verdict=verdict, reason=reason)


def request(case: Case, sampling: Sampling) -> Request:
    """What the second model is asked about a conversation."""
    persona, known = case.known.persona, case.known
    said = "\n".join(f"{persona.name if m.role == 'assistant' else '-'}: {m.content}" for m in case.conversation.messages)
    none = prompt(persona.language, "none")
    text = prompt(
        persona.language, "verify", name=persona.name, profile=persona.profile, stage=told_stage(known), later="\n".join(ahead(case)) or none,
        evidence="\n\n".join(map(told, case.evidence)) or none, conversation=said,
    )  # fmt: skip
    return Request(messages=(Message(role="user", content=text),), sampling=sampling, json_schema=json.dumps(Verdict.model_json_schema()))


def told_stage(known: Known) -> str:
    """Title, years and summary of the stage."""
    stage = known.stage
    years = f"{stage.start}\u2013{stage.end}" if stage.start or stage.end else ""
    return "\n".join(line for line in (stage.title or stage.id, years, stage.summary) if line)


def told(material: Material) -> str:
    """A material with its heading."""
    return "\n".join(part for part in (material.title or material.situation, material.date, material.text) if part)


def ahead(case: Case) -> list[str]:
    """What is named as unknown, and headings of later materials."""
    return [*case.known.stage.unknown, *list(dict.fromkeys(case.known.later_titles))[:LATER]]


def read_verdict(text: str) -> tuple[Verdict | None, str]:
    """The verdict in a reply, which is one JSON object, or why there is none."""
    fenced = FENCE.fullmatch(text)
    try:
        return Verdict.model_validate_json((fenced[1] if fenced else text).strip(), strict=True), ""
    except ValidationError as error:
        return None, f"unreadable verdict ({error.errors()[0]['msg']}): {text[:200]}"


def agreement(verified: Sequence[Verified], model: str, seed: int = 0) -> Agreement:
    """Raw agreement and kappa over the conversations with a verdict."""
    pairs = [(one.kept, bool(one.accepted)) for one in verified if one.verdict is not None]
    cells = ((True, True), (True, False), (False, True), (False, False))
    kept_accepted, kept_refused, rejected_accepted, rejected_refused = (pairs.count(cell) for cell in cells)
    beyond = kappa(pairs, seed=seed)
    return Agreement(
        model=model, n=len(pairs), unscored=len(verified) - len(pairs),
        agreement=round((kept_accepted + rejected_refused) / len(pairs), 4) if pairs else None, kappa=rounded(beyond and beyond.value),
        low=rounded(beyond and beyond.low), high=rounded(beyond and beyond.high), kept_accepted=kept_accepted, kept_refused=kept_refused,
        rejected_accepted=rejected_accepted, rejected_refused=rejected_refused,
    )  # fmt: skip


def rounded(value: float | None) -> float | None:
    """Four digits after the point."""
    return None if value is None else round(value, 4)
