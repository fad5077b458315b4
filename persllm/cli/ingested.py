"""What `persllm ingest` tells when it is done."""

from collections.abc import Iterator

from persllm.ingestion import Ingested
from persllm.ingestion.annotator import Asked


def lines_of(made: Ingested) -> Iterator[str]:
    """The report, line by line."""
    for source in made.sources:
        if source.name in made.added:
            yield f"{source.name}: {source.format}, {source.materials} materials"
            yield f"  read so because: {source.reason}"
    for name in made.kept:
        yield f"{name}: is in the folder already"
    for stage, kinds in made.counts.items():
        yield f"stage {stage}: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}"
    for reason in made.reasons:
        yield f"  proposed because: {reason}"
    if made.asked:
        yield from told_asked(made.asked)
    if made.review:
        yield f"in doubt: {made.review} pieces wait in review.jsonl with the reason"
    for reason, count in made.dropped.items():
        yield f"left out: {count}, {reason} (dropped.jsonl)"
    if made.to_confirm and made.written:
        yield f"look at persona.yaml: {'; '.join(made.to_confirm)}"
    if made.verdict:
        yield f"doctor: {made.verdict}"
    for line in made.remarks:
        yield f"  {line}"
    if made.written:
        yield f"{made.folder}: ready. Try it: persllm run {made.folder}/recipe.yaml"
    elif not made.added:
        yield f"{made.folder}: nothing new."
    else:
        yield f"{made.folder}: nothing was written (dry run)."


def told_asked(asked: Asked) -> Iterator[str]:
    """What asking the model came to, or would."""
    if asked.forecast:
        kept = f" ({asked.kept} replies are kept from earlier)" if asked.kept else ""
        yield f"the model: {asked.calls} calls at most{kept}, {asked.forecast.in_words()}; nobody is asked in a dry run"
        for limit in asked.forecast.passes:
            yield f"  note: this passes budget.{limit}; what it has no room for would go by the rules"
        yield f"  assumed: {'; '.join(asked.forecast.assumptions)}"
        return
    price = "" if asked.money is None else f", {asked.money:.4f} {asked.currency}"
    yield (
        f"the model: {asked.calls} calls, {asked.kept} replies kept from earlier, {asked.failed} failed{price}; it named {asked.speakers} speakers "
        f"and told {asked.kinds} kinds that the rules had left open"
    )
    if asked.unasked:
        yield (
            f"  {asked.limit} left no room for {asked.unasked} more calls: what they would have asked went by the rules. "
            f"For the rest give another --into and more of a budget; what was answered is kept and costs nothing"
        )
