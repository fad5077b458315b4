"""Is there enough, of what, and how good: what a persona folder holds, before anything is trained.

A folder is read once, as a stream, so that a hundred megabytes take a minute and little memory. The verdict says what
training can reach with these materials: `style and knowledge`, `style only`, or `not enough`, with the reasons. Its
thresholds are settings of the recipe (`doctor:`): rules of thumb, not laws; the user may set them, or the verdict itself.

Limits: tokens are estimated from words; whether a text is true, or in character, is not looked at.
"""

import bisect
import os
import re
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from persllm.config import DoctorSettings, Verdict
from persllm.errors import MaterialError
from persllm.languages import detect, language
from persllm.material_files import KINDS, TIMELESS
from persllm.materials import FolderStream
from persllm.packed import Rows, changes, parts, rows_of
from persllm.privacy import find_personal
from persllm.records import Dropped, Material, Persona, Record, Turn
from persllm.sketches import SIZE, like_earlier, sketch
from persllm.store import Progress, silent

TOKENS_PER_WORD = {"en": 1.35, "zh": 0.9}
"""Tokens of common vocabularies of 100,000 and more per English word, per Chinese character."""
SHORTEST = {"en": 3, "zh": 4}
"""Words (characters) below which a turn teaches little."""
ONE_WORD = {"en": 1, "zh": 2}
"""Words (characters) up to which a turn counts as a one-word reply."""
SUSPECT = re.compile(r"@|://|\d{4}|\d\D{0,3}\d\D{0,3}\d\D{0,3}\d\D{0,3}\d|\b\d{1,4} [A-Z]|\d+\s*[号號]")
"""Lines worth the looking for personal data, which is slow: the others hold no number or address that could be any."""
LOOKED_AT = 400
"""Characters of a text by which its language is told."""
LARGE = 16_000_000
"""Bytes of materials from which on several processes look at them."""
BATCH = 200
"""Materials that a process gets at once."""
WAITING = 16
"""Batches under way at most, which bounds the memory."""
SAMPLE = 240
"""Materials that are kept whole, spread evenly over the folder, to forecast what the constructor makes of them."""


class StageDiagnosis(Record):
    """What there is of one stage."""

    stage: str
    """Id of the stage; `timeless` for what holds at every stage."""
    materials: dict[str, int]
    """Kind -> number of materials."""
    words: dict[str, int]
    """Kind -> words (Chinese: characters)."""
    tokens: dict[str, int]
    """Kind -> tokens, estimated from the words."""
    turns: int = 0
    """Utterances of the person."""
    usable_turns: int = 0
    """Of these, the ones long enough, not repeated, and with something before them that they answer or a person they are said to."""
    situations: int = 0
    """Different things the usable turns answer to."""


class Diagnosis(Record):
    """What `persllm check` says about one person."""

    persona: str
    name: str
    language: str
    stages: tuple[StageDiagnosis, ...]
    turns: int
    usable_turns: int
    situations: int
    one_word_replies: float
    """Share of the person's turns that are a single word."""
    near_duplicates: int
    """Materials much like an earlier one."""
    dropped: dict[str, int]
    """Reason -> what the sources hold but cannot be used."""
    languages: dict[str, float]
    """Language -> share of the materials that look like it."""
    personal_data: dict[str, int]
    """Kind of personal data -> how often it was found."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why the verdict is what it is."""
    warnings: tuple[str, ...]
    """What will make training weak, or should be looked at."""

    @property
    def materials(self) -> int:
        """Number of materials."""
        return sum(sum(stage.materials.values()) for stage in self.stages)

    @property
    def tokens(self) -> int:
        """Tokens of all materials, estimated."""
        return sum(sum(stage.tokens.values()) for stage in self.stages)


class Look(Record):
    """What one text shows by itself: the costly part, which several processes can share."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    words: int
    language: str
    personal: dict[str, int]
    sketch: np.ndarray


def look(texts: Sequence[str], code: str) -> list[Look]:
    """Words, language, personal data and sketch of each text."""
    words = language(code).words
    return [
        Look(words=len(words(text)), language=detect(text[:LOOKED_AT]), personal=personal_data(text), sketch=sketch(text)) for text in texts
    ]


class Examination:
    """Looks at the materials of one person one after the other; what it keeps does not grow with their text."""

    def __init__(self, persona: Persona):
        self.persona, self.tools = persona, language(persona.language)
        self.names = {persona.name, *persona.aliases}
        self.count: dict[str, Counter[str]] = {stage.id: Counter() for stage in persona.stages}
        self.words: dict[str, Counter[str]] = {stage.id: Counter() for stage in persona.stages}
        self.turns: dict[str, Counter[str]] = defaultdict(Counter)
        self.said: dict[str, Rows] = defaultdict(lambda: Rows(2))
        """Stage -> hash of each turn that may be usable, with the hash of what it answers to."""
        self.sketches = Rows(SIZE)
        """The sketch of each material."""
        self.languages: Counter[str] = Counter()
        self.personal: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.unheard = 0
        self.unheard_example = ""
        self.kept: list[tuple[str, int, Material]] = []

    def add(self, material: Material, seen: Look) -> None:
        """Take in one material, of which the text was looked at."""
        stage = material.stage or TIMELESS
        self.count.setdefault(stage, Counter())[material.kind] += 1
        self.words.setdefault(stage, Counter())[material.kind] += seen.words
        self.languages[seen.language] += 1
        self.personal.update(seen.personal)
        self.sketches.add(seen.sketch)
        self.keep(material)
        if material.kind == "speech":
            self.listen(material, stage)

    def keep(self, material: Material) -> None:
        """Hold the materials whose fingerprints are the smallest: an even sample, the same each time."""
        if len(self.kept) < SAMPLE or material.identity < self.kept[-1][0]:
            bisect.insort(self.kept, (material.identity, self.languages.total(), material), key=lambda kept: kept[0])
            del self.kept[SAMPLE:]

    @property
    def sample(self) -> list[Material]:
        """The materials that were held, in the order of the folder."""
        return [material for _, _, material in sorted(self.kept, key=lambda kept: kept[1])]

    def listen(self, material: Material, stage: str) -> None:
        """Count the person's turns of an exchange."""
        before: list[Turn] = []
        for turn in material.turns:
            if turn.speaker in self.names:
                self.turns[stage].update(self.marks(turn, before, material, stage))
            before.append(turn)
        if not any(turn.speaker in self.names for turn in material.turns):
            self.unheard += 1
            who = ", ".join(dict.fromkeys(turn.speaker for turn in material.turns)) or "no `Name: words` lines"
            self.unheard_example = self.unheard_example or f"{material.source} ({who})"

    def marks(self, turn: Turn, before: Sequence[Turn], material: Material, stage: str) -> list[str]:
        """What one turn of the person counts as; one that may be usable is remembered."""
        size, code = len(self.tools.words(turn.text)), self.persona.language
        answered = before[-1].text if before and before[-1].speaker not in self.names else f"{turn.to} {material.situation}".strip()
        if size >= SHORTEST[code] and answered:
            self.said[stage].add(np.array((hash(turn.text), hash(answered)), dtype=np.int64).view(np.uint64))
        return ["all", *(["one word"] if size <= ONE_WORD[code] else [])]

    def usable(self, *stages: str) -> tuple[int, int]:
        """Usable turns of these stages, each text once, and the different things they answer to."""
        said = [self.said[stage] for stage in stages]
        answered = Rows(1)
        for texts, turns in parts(said, 1):
            for rows in rows_of(said, turns[changes(texts)]):
                answered.add(rows[:, 1])
        return len(answered), sum(int(changes(keys).sum()) for keys, _ in parts([answered], 1))

    def total(self, mark: str) -> int:
        """Turns of the person with a mark, over all stages."""
        return sum(counts[mark] for counts in self.turns.values())

    def stage(self, name: str) -> StageDiagnosis:
        """What was found of one stage."""
        rate = TOKENS_PER_WORD[self.persona.language]
        usable, situations = self.usable(name)
        return StageDiagnosis(
            stage=name,
            materials=dict(self.count[name]),
            words=dict(self.words[name]),
            tokens={kind: round(rate * words) for kind, words in self.words[name].items()},
            turns=self.turns[name]["all"],
            usable_turns=usable,
            situations=situations,
        )

    def diagnosis(self, settings: DoctorSettings) -> Diagnosis:
        """The findings, the verdict and its reasons."""
        stages = tuple(self.stage(name) for name in self.count)
        verdict, reasons = judged(self.persona, stages, settings)
        turns, texts = self.total("all"), sum(self.languages.values())
        usable, situations = self.usable(*self.count)
        return Diagnosis(
            persona=self.persona.id, name=self.persona.name, language=self.persona.language, stages=stages,
            turns=turns, usable_turns=usable, situations=situations,
            one_word_replies=self.total("one word") / turns if turns else 0.0,
            near_duplicates=sum(1 for _ in like_earlier([self.sketches])), dropped=dict(self.dropped),
            languages={code: count / texts for code, count in self.languages.most_common()},
            personal_data=dict(self.personal), verdict=verdict, reasons=tuple(reasons), warnings=tuple(self.warnings(stages, settings)),
        )  # fmt: skip

    def warnings(self, stages: Sequence[StageDiagnosis], settings: DoctorSettings) -> list[str]:
        """What will make training weak, or should be looked at."""
        persona, turns = self.persona, self.total("all")
        lived = [stage for stage in stages if stage.stage != TIMELESS]
        found = [
            f"stage {s.stage} is thin: {sum(s.words.values())} words; under {settings.stage_words} little can be learnt"
            for s in lived
            if sum(s.words.values()) < settings.stage_words
        ]
        found += [f"stage {s.stage} has no {kind}" for s in lived for kind in KINDS if not s.materials.get(kind)]
        if len(persona.stages) == 1:
            found.append("one stage only: no development can be trained or measured, and no preference pairs against another stage")
        if self.unheard:
            found.append(
                f"{self.unheard} pieces of speech are not by {persona.name}, such as {self.unheard_example}; add the form of the name to aliases"
            )
        if turns and self.total("one word") / turns > settings.one_word_share:
            found.append(f"{self.total('one word')} of {turns} turns are one word: the model will learn to answer in one word")
        if persona.language not in self.languages:
            found.append(f"language is {persona.language} but the materials look like {', '.join(sorted(self.languages))}")
        if self.personal:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.personal.most_common())
            found.append(f"personal data in the materials: {kinds}; the model can give it away")
        return found


def judged(persona: Persona, stages: Sequence[StageDiagnosis], settings: DoctorSettings) -> tuple[Verdict, list[str]]:
    """The verdict and its reasons, by the thresholds of the settings."""
    usable = sum(stage.usable_turns for stage in stages)
    situations = sum(stage.situations for stage in stages)
    told = {stage.stage: sum(stage.words.get(kind, 0) for kind in ("experience", "knowledge")) for stage in stages}
    timeless = told.get(TIMELESS, 0)
    style = usable >= settings.usable_turns and situations >= settings.situations
    poor = [stage.id for stage in persona.stages if told.get(stage.id, 0) + timeless < settings.told_words]
    reasons = [
        f"{usable} usable turns of the person in {situations} situations (style asks for {settings.usable_turns} in {settings.situations})",
        *(
            f"stage {stage}: {told.get(stage, 0) + timeless} words of experiences and knowledge (knowledge asks for {settings.told_words})"
            for stage in (stage.id for stage in persona.stages)
        ),
    ]
    found: Verdict = (
        "style and knowledge" if style and not poor else "style only" if style else "knowledge only" if not poor else "not enough"
    )
    if settings.verdict and settings.verdict != found:
        return settings.verdict, [f"set in the recipe (doctor.verdict); by the figures it would be: {found}", *reasons]
    return found, reasons


def personal_data(text: str) -> dict[str, int]:
    """How often each kind of personal data stands in the lines of a text that have digits or signs of an address."""
    return dict(Counter(piece.kind for line in text.split("\n") if SUSPECT.search(line) for piece in find_personal(line)))


def examine(path: Path, settings: DoctorSettings | None = None) -> Diagnosis:
    """Examine a persona folder. MaterialError with one line per complaint if anything in it cannot be used."""
    return examined(path).diagnosis(settings or DoctorSettings())


def examined(path: Path, progress: Progress = silent) -> Examination:
    """A persona folder read to its end; progress counts the materials, of which the number is not known before."""
    stream = FolderStream(path)
    examination = Examination(stream.persona)
    for batch, seen in looked_at(materials_of(stream, examination), stream.persona.language, size_of(path)):
        for material, one in zip(batch, seen, strict=True):
            examination.add(material, one)
        progress(sum(examination.languages.values()), 0)
    if stream.complaints:
        raise MaterialError("\n".join(stream.complaints))
    return examination


def materials_of(stream: FolderStream, examination: Examination) -> Iterator[Material]:
    """The materials of a folder; what was left out is counted."""
    for entry in stream:
        if isinstance(entry, Dropped):
            examination.dropped[entry.reason] += 1
        else:
            yield entry


def looked_at(materials: Iterator[Material], code: str, size: int) -> Iterator[tuple[list[Material], list[Look]]]:
    """Batches of materials with what their texts show; a large folder is looked at by several processes."""
    batches = iter(lambda: list(islice(materials, BATCH)), [])
    if size < LARGE:
        yield from ((batch, look([material.text for material in batch], code)) for batch in batches)
        return
    waiting: deque[tuple[list[Material], Future[list[Look]]]] = deque()
    with ProcessPoolExecutor(max_workers=os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(look, [material.text for material in batch], code)))
            if len(waiting) > WAITING:
                done, seen = waiting.popleft()
                yield done, seen.result()
        for batch, seen in waiting:
            yield batch, seen.result()


def size_of(path: Path) -> int:
    """Bytes of the materials."""
    return sum(file.stat().st_size for file in (path / "materials").rglob("*") if file.is_file())


class Overlap(Record):
    """What two persons have in common."""

    one: str
    other: str
    share: float
    """Share of the materials of the person with fewer that are much like one of the other's."""


def overlaps(examinations: Collection[Examination]) -> list[Overlap]:
    """How much each two persons share; materials of both teach the model to confuse them."""
    found = []
    ordered = list(examinations)
    for place, one in enumerate(ordered):
        for other in ordered[:place]:
            few, many = sorted((one, other), key=lambda examination: len(examination.sketches))
            if len(few.sketches):
                pairs = like_earlier([many.sketches, few.sketches])
                shared = sum(text >= len(many.sketches) and earlier < len(many.sketches) for text, earlier in pairs)
                found.append(Overlap(one=other.persona.id, other=one.persona.id, share=shared / len(few.sketches)))
    return found
