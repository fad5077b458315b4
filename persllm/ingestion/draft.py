"""The drafts of persona.yaml and recipe.yaml: what is known, and what the user is to confirm."""

import json
from collections.abc import Sequence

from persllm.ingestion.people import Person
from persllm.ingestion.result import SourceRecord
from persllm.ingestion.stages import Stages
from persllm.starter import recipe_for

PROFILE = {
    "en": "{name} is known here from {sources}.",
    "zh": "{name}：材料来自{sources}。",
}
JOINT = {"en": (", ", " and "), "zh": ("、", "和")}


def persona_yaml(person: Person, stages: Stages, used: set[str], sources: Sequence[SourceRecord]) -> str:
    """A draft of persona.yaml; what should be looked at is marked."""
    code = person.language
    comma, last = JOINT[code]
    names = [source.name for source in sources[:6]]
    listed = comma.join(names[:-1]) + (last if len(names) > 1 else "") + names[-1]
    rows = [
        "# Drafted by `persllm ingest`. Lines marked with CONFIRM are guesses: look at them and take the mark away.",
        f"name: {quoted(person.name)}",
        f"aliases: {quoted(list(person.names[1:]))}"
        + (f"    # CONFIRM those found in the text: {', '.join(person.learnt)}" if person.learnt else ""),
        f"pronouns: {person.pronoun}".ljust(40) + "# CONFIRM: she, he or they, as the materials speak of the person",
        f"language: {code}",
        "# CONFIRM: who the person is, two or three sentences in the third person, true at every stage",
        f"profile: {quoted(PROFILE[code].format(name=person.name, sources=listed))}",
        "stages:".ljust(40) + "# CONFIRM: in order of time; give each a title, a summary, and what is `unknown` then",
    ]
    rows += [f"  # proposed: {line(reason)}" for reason in stages.reasons]
    for stage in stages.stages:
        if stage.id not in used:
            continue
        rows.append(f"  - id: {stage.id}")
        if stage.title:
            rows.append(f"    title: {quoted(stage.title)}")
        if stages.rule == "dates":
            rows += [f"    {key}: {quoted(value)}" for key, value in (("from", stage.start), ("to", stage.end)) if value]
        if stage.summary:
            rows.append(f"    summary: {quoted(stage.summary)}")
    return "\n".join(rows) + "\n"


def quoted(value: object) -> str:
    """A value as YAML on one line."""
    return json.dumps(value, ensure_ascii=False)


def line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def to_confirm(stages: Stages, person: Person) -> tuple[str, ...]:
    """What a person should look at before the first run."""
    return (
        *(["aliases"] if person.learnt else []),
        "pronouns",
        "profile",
        f"stages ({', '.join(stage.id for stage in stages.stages)}): titles, summaries, unknown",
    )


def recipe_yaml(name: str) -> str:
    """A recipe that runs: the starter's, under this name."""
    return recipe_for(name)
