"""The figures that have a limit in the settings, of the taker and of the base."""

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

    def limit(setting: str, figure: Callable[[str], float | None]) -> Limit:
        return Limit(setting=f"audit.{setting}", value=figure(taker), base=figure(BASE), bound=getattr(settings, setting))

    return [
        limit("most_reciting", lambda who: reciting(who, spreads)),
        limit("most_extracted", lambda who: extracted(who, extractions)),
        limit("most_exposure", lambda who: next((one.mean for one in exposures if one.taker == who), None)),
        limit("most_personal", lambda who: personal(who, leaks)),
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
