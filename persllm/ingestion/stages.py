"""Which stage a piece belongs to: by chapter, by file, by date, or all in one."""

import re
from collections.abc import Iterable, Sequence

from pydantic import Field

from persllm.errors import MaterialError
from persllm.ingestion.piece import Piece
from persllm.passages import Passage
from persllm.records import Record, Stage
from persllm.sources.letter_dates import inside
from persllm.staging import propose

MOST_STAGES = 12
RANGE = re.compile(r"\s*([a-z0-9][a-z0-9-]*)\s*:\s*(\d{1,4}(?:-\d{2}){0,2})?\s*(-|–|\.\.)\s*(\d{1,4}(?:-\d{2}){0,2})?\s*")
WAYS = "Ways: chapter, file, or ranges of dates or chapters such as early:1800-1810,late:1811- (chapters: early:1-20,late:21-)"
WHOLE = "life"
"""Id of the stage of a person who has only one."""


class Stages(Record):
    """The stages of a person, and the rule by which pieces are put into them."""

    stages: tuple[Stage, ...]
    rule: str
    """`one`, `chapter`, `file`, `dates` or `chapters`."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Heading or source -> stage, where the rule goes by them."""
    chapters: tuple[str, ...] = ()
    """Headings of the chapters in their order, where the rule counts them."""
    reasons: tuple[str, ...] = ()
    """Why these stages were proposed."""

    def place(self, piece: Piece) -> Piece:
        """The piece with its stage, or with the reason why it has none."""
        stage, doubt = self.look(piece)
        return piece.model_copy(update={"stage": stage, "doubt": doubt})

    def look(self, piece: Piece) -> tuple[str, str]:
        """(stage, "") or ("", why not)."""
        if self.rule == "one":
            return self.stages[0].id, ""
        if self.rule in ("chapter", "file"):
            key = piece.source if self.rule == "file" else piece.heading.split(" / ")[0]
            return (self.keys[key], "") if key in self.keys else ("", f"no stage for {key or 'what stands under no heading'}")
        if self.rule == "chapters":
            number = self.chapters.index(piece.heading) + 1 if piece.heading in self.chapters else 0
            found = [s.id for s in self.stages if int(s.start or 1) <= number <= int(s.end or 10**6)]
            return (found[0], "") if found else ("", f"chapter {number or 'unknown'} is in no stage")
        if not piece.date:
            return ("timeless", "") if piece.kind == "knowledge" else ("", "no date, and stages go by dates")
        found = [stage.id for stage in self.stages if (stage.start or stage.end) and inside(piece.date[:10], stage.start, stage.end)]
        begun = [stage.id for stage in self.stages if stage.id in found and stage.start and piece.date.startswith(stage.start)]
        found = begun if len(found) > 1 and begun else found
        return (found[0], "") if len(found) == 1 else ("", f"{piece.date} is in {'no' if not found else 'more than one'} stage")


def stages_for(wanted: str, before: tuple[Stage, ...], pieces: Iterable[Piece], chapters: tuple[str, ...], code: str) -> Stages:
    """The stages as the user wants them; those of an existing persona.yaml stand. `chapters` are all headings in order."""
    if not before and wanted == "":
        return Stages(stages=(Stage(id=WHOLE, title="The whole life"),), rule="one")
    made = wanted_stages(wanted, pieces, chapters, code) if wanted else None
    return standing(made, before) if before else made or Stages(stages=(), rule="one")


def wanted_stages(wanted: str, pieces: Iterable[Piece], chapters: tuple[str, ...], code: str) -> Stages:
    """The stages that `--stages` describes."""
    if wanted == "propose":
        return proposed(pieces, chapters, code)
    if wanted == "file":
        return keyed([piece.source for piece in pieces], "file")
    if wanted == "chapter":
        return keyed([heading.split(" / ")[0] for heading in chapters], "chapter")
    return ranged(wanted, chapters)


def standing(made: Stages | None, before: tuple[Stage, ...]) -> Stages:
    """The stages of a folder that is there already: by the rule that is wanted, by their dates, or the only one."""
    if made is None:
        alone = len(before) == 1 and not (before[0].start or before[0].end)
        return Stages(stages=before, rule="one" if alone else "dates")
    known = {stage.id for stage in before}
    strange = next((stage.id for stage in made.stages if stage.id not in known), "")
    if strange and made.rule in ("dates", "chapters"):
        raise MaterialError(f"stage {strange} is not in persona.yaml ({', '.join(known)}). Add it there, or name one of these.")
    keys = {key: stage for key, stage in made.keys.items() if stage in known}
    return made.model_copy(update={"keys": keys, "stages": tuple(stage for stage in made.stages if stage.id in known) or before})


def proposed(pieces: Iterable[Piece], chapters: tuple[str, ...], code: str) -> Stages:
    """Stages where the words of the material change, with the reasons."""
    order = {heading: number for number, heading in enumerate(chapters)}
    inside_order = sorted(pieces, key=lambda piece: order.get(piece.heading, -1))
    passages = [
        Passage(text=piece.text or " ".join(turn.text for turn in piece.turns), source=piece.origin, heading=piece.heading, date=piece.date)
        for piece in inside_order
        if not piece.doubt
    ]
    proposal = propose(passages, code)
    told = [f"{change.begins}: {'; '.join(change.reasons)}" for change in proposal.changes]
    seen = tuple(dict.fromkeys(passage.heading for passage in passages))
    return Stages(
        stages=proposal.stages, rule=proposal.rule, chapters=seen if proposal.rule == "chapters" else (), reasons=tuple(filter(None, (*told, proposal.note)))
    )  # fmt: skip


def keyed(keys: Sequence[str], rule: str) -> Stages:
    """One stage per heading or file, in the order in which they come."""
    names = list(dict.fromkeys(keys))
    if not names:
        raise MaterialError(f"--stages {rule}: the sources have no chapters. {WAYS}.")
    if len(names) > MOST_STAGES:
        raise MaterialError(f"--stages {rule}: {len(names)} stages would be too many. Join them to ranges. {WAYS}.")
    found: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        found[name] = unique(slug(name) or f"{'part' if rule == 'chapter' else 'file'}-{number}", found)
    return Stages(stages=tuple(Stage(id=found[name], title=name) for name in names), rule=rule, keys=found)


def unique(wanted: str, taken: dict[str, str]) -> str:
    """A name that is not taken."""
    number = 1
    name = wanted
    while name in taken.values():
        number += 1
        name = f"{wanted}-{number}"
    return name


def slug(text: str) -> str:
    """A short name of small Latin letters and digits; empty if nothing is left."""
    stem = re.sub(r"\.[a-z0-9]{1,5}$", "", text.rsplit("/", 1)[-1].lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:24].strip("-")


def ranged(wanted: str, chapters: tuple[str, ...]) -> Stages:
    """Stages from `early:1800-1810,late:1811-`; numbers of four digits are years, smaller ones chapters."""
    matches = [RANGE.fullmatch(part) for part in wanted.split(",")]
    if not all(matches) or any(not (match[2] or match[4]) for match in matches if match):
        raise MaterialError(f"--stages {wanted}: not understood. {WAYS}.")
    stages = tuple(Stage(id=match[1], start=match[2] or "", end=match[4] or "") for match in matches if match)
    if len({stage.id for stage in stages}) < len(stages):
        raise MaterialError(f"--stages {wanted}: two stages have one name.")
    bounds = [bound for stage in stages for bound in (stage.start, stage.end) if bound]
    if all(len(bound) < 4 for bound in bounds):
        if not chapters:
            raise MaterialError(f"--stages {wanted}: the sources have no chapters. {WAYS}.")
        return Stages(stages=stages, rule="chapters", chapters=chapters)
    return Stages(stages=stages, rule="dates")
