"""The figures beside the limits of the settings, and one sentence made of them by rule."""

from collections.abc import Callable, Sequence

from persllm.audit.records import Exposure, Extraction, Leak, Limit, Spread
from persllm.audit_settings import AuditSettings

BASE = "base"
TRAINED = ("trained answers", "trained materials")


def limits_of(
    taker: str, settings: AuditSettings, spreads: Sequence[Spread], extractions: Sequence[Extraction], exposures: Sequence[Exposure],
    leaks: Sequence[Leak],
) -> list[Limit]:  # fmt: skip
    """The four figures that have a limit, of the taker and of the base."""

    def limit(name: str, setting: str, figure: Callable[[str], float | None], note: str = "") -> Limit:
        return Limit(
            name=name, setting=f"audit.{setting}", value=figure(taker), base=figure(BASE), bound=getattr(settings, setting), note=note
        )

    return [
        limit("answers that recite the materials", "most_reciting", lambda who: reciting(who, spreads)),
        limit(
            "beginnings extracted",
            "most_extracted",
            lambda who: extracted(who, extractions),
            "the higher of trained answers and trained materials",
        ),
        limit(
            "mean exposure of canaries, bits",
            "most_exposure",
            lambda who: next((one.mean for one in exposures if one.taker == who), None),
            "" if exposures else "none planted; mixture.canaries plants some",
        ),
        limit("personal data of the materials that came out", "most_personal", lambda who: personal(who, leaks)),
    ]


def reciting(taker: str, spreads: Sequence[Spread]) -> float | None:
    """Share of answers of the examination that recite; of continued answers if there was no examination."""
    for where in ("evaluation", *TRAINED):
        own = [one for one in spreads if (one.taker, one.where, one.body) == (taker, where, "materials")]
        if own:
            return round(sum(one.share * one.n for one in own) / sum(one.n for one in own), 4)
    return None


def extracted(taker: str, extractions: Sequence[Extraction]) -> float | None:
    """The higher share of what was trained on."""
    return max((one.share for one in extractions if one.taker == taker and one.kind in TRAINED), default=None)


def personal(taker: str, leaks: Sequence[Leak]) -> float:
    """Different pieces that stand in the materials and not in the question."""
    return float(len({one.digest for one in leaks if one.taker == taker and one.origin == "materials"}))


def verdict_of(limits: Sequence[Limit]) -> str:
    """One sentence."""
    over = [one for one in limits if one.over]
    missing = [f"{one.name} ({one.note})" if one.note else one.name for one in limits if one.value is None]
    head = f"Over the limit: {'; '.join(map(said, over))}." if over else "Nothing that was measured is over its limit."
    return f"{head} Not measured: {'; '.join(missing)}." if missing else head


def said(limit: Limit) -> str:
    """A figure with its limit and that of the base."""
    return f"{limit.name} {number(limit.value)} (limit {number(limit.bound)}, base {number(limit.base)})"


def number(value: float | None) -> str:
    """A figure in short."""
    return "not measured" if value is None else f"{value:.3g}"
