"""Which thing has which mask: the same everywhere in a run, numbered in the order of the materials.

The table is a file of the run folder that only its owner can read. A thing that first comes up in a call (a number
that a model made up, a word of a user) gets the next number and is written down before the call is made.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from persllm.privacy.checksums import digits_of
from persllm.privacy.detectors import KINDS, Personal, PersonalKind, find_personal
from persllm.privacy_settings import PrivacySettings
from persllm.records import Material, Persona, Record
from persllm.store import disk_trouble, read_records

NUMBERED = ("phone", "bank", "id")
"""Kinds that are the same thing however their digits are grouped."""
EXACT = re.compile(rf"\[({'|'.join(kind.upper() for kind in KINDS)})-(\d+)\]")
LOOSE = re.compile(rf"[\[【［]\s*({'|'.join(KINDS)})\s*[-‐‑–—_ ]?\s*(\d+)\s*[\]】］]", re.IGNORECASE)
"""A mask as a model may write it: other brackets, other dashes, small letters."""
BARE = re.compile(rf"(?<![A-Za-z])({'|'.join(kind.upper() for kind in KINDS)})-(\d+)(?!\d)")
"""A mask without its brackets."""
LINES_KEPT = 50_000
"""Lines of which is remembered what is in them; the same materials stand in very many prompts."""


class Mask(Record):
    """A thing and what stands for it."""

    mask: str
    """`[PHONE-2]`."""
    kind: PersonalKind
    value: str
    """The thing as it was first written."""


class Finding(Record):
    """Something personal in the materials, without saying what."""

    person: str
    source: str
    """`file:line` of the piece, or `persona.yaml`."""
    kind: PersonalKind
    mask: str
    times: int


class Masks:
    """The masks of a run. `file` keeps them; without one they last as long as the object."""

    def __init__(self, settings: PrivacySettings, file: Path | None = None):
        self.settings, self.file = settings, file
        self.groups = [[form.strip() for form in entry.split("=") if form.strip()] for entry in settings.words]
        self.words = [form for group in self.groups for form in group]
        self.by_value: dict[tuple[str, str], Mask] = {}
        self.by_mask: dict[str, Mask] = {}
        self.counts: Counter[str] = Counter()
        """How often each mask was put in, in what was sent."""
        self.literal: set[str] = set()
        """What looks like a mask in the user's own texts; no mask gets such a name."""
        self.seen: dict[str, list[Personal]] = {}
        """Line -> what is personal in it, as long as nothing new is learnt."""
        for mask in read_records(file, Mask) if file and file.is_file() else ():
            self.learn(mask)

    def of_materials(self, personas: Sequence[Persona], materials: Sequence[Material]) -> list[Finding]:
        """Number everything that is in the materials, in their order, and say where it stands."""
        findings = []
        texts = list(texts_of(personas, materials))
        self.literal = {match[0] for _, _, text in texts for match in EXACT.finditer(text)} - self.by_mask.keys()
        for person, source, text in texts:
            seen = Counter(self.mask_of(piece).mask for piece in self.find(text))
            findings += [
                Finding(person=person, source=source, kind=self.by_mask[mask].kind, mask=mask, times=times) for mask, times in seen.items()
            ]
        self.save()
        return findings

    def find(self, text: str) -> list[Personal]:
        """The personal pieces of a text, as the settings want them, and everything that was found elsewhere before."""
        pieces, start = [], 0
        for line in text.split("\n"):
            if line not in self.seen:
                if len(self.seen) >= LINES_KEPT:
                    self.seen.clear()
                self.seen[line] = self.find_in_line(line)
            pieces += [piece.model_copy(update={"start": piece.start + start, "end": piece.end + start}) for piece in self.seen[line]]
            start += len(line) + 1
        return pieces

    def find_in_line(self, line: str) -> list[Personal]:
        """The same for one line."""
        pieces = find_personal(line, self.settings.regions, self.words, self.settings.kinds)
        for match in self.known.finditer(line) if self.by_mask else ():
            if all(match.end() <= other.start or match.start() >= other.end for other in pieces):
                pieces.append(Personal(start=match.start(), end=match.end(), kind=self.kinds[match[0].lower()], text=match[0]))
        return sorted(pieces, key=lambda piece: piece.start)

    @cached_property
    def kinds(self) -> dict[str, PersonalKind]:
        """Value, in small letters -> kind, of everything in the table."""
        return {mask.value.lower(): mask.kind for mask in self.by_mask.values()}

    @cached_property
    def known(self) -> re.Pattern[str]:
        """Every value in the table, the longest first, as a whole word."""
        values = sorted(self.kinds, key=len, reverse=True)
        return re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])" for value in values), re.IGNORECASE)

    def masked(self, text: str) -> str:
        """The text with a mask for everything personal in it."""
        before = len(self.by_mask)
        parts, end = [], 0
        for piece in self.find(text):
            mask = self.mask_of(piece)
            self.counts[mask.mask] += 1
            parts += [text[end : piece.start], mask.mask]
            end = piece.end
        if len(self.by_mask) > before:
            self.save()
        return "".join([*parts, text[end:]])

    def restored(self, text: str) -> str:
        """The text with the user's own words again, also where a model wrote the mask a little otherwise."""

        def own(match: re.Match[str]) -> str:
            known = self.by_mask.get(f"[{match[1].upper()}-{int(match[2])}]")
            return known.value if known else match[0]

        return BARE.sub(own, LOOSE.sub(own, text))

    def unknown_in(self, text: str) -> str:
        """The first mask in a reply that stands for nothing; empty if there is none."""
        return next((match[0] for match in EXACT.finditer(text) if match[0] not in self.by_mask and match[0] not in self.literal), "")

    def mask_of(self, piece: Personal) -> Mask:
        """The mask of a piece; a new one if it was never seen."""
        key = (piece.kind, self.same(piece.kind, piece.text))
        if key not in self.by_value:
            value = self.first_form(piece.text) if piece.kind == "word" else piece.text
            self.learn(Mask(mask=self.next_name(piece.kind), kind=piece.kind, value=value))
        return self.by_value[key]

    def next_name(self, kind: str) -> str:
        """The next free mask of a kind."""
        names = (f"[{kind.upper()}-{number}]" for number in itertools.count(1 + sum(one.kind == kind for one in self.by_mask.values())))
        return next(name for name in names if name not in self.literal and name not in self.by_mask)

    def same(self, kind: str, text: str) -> str:
        """What is equal for two spellings of one thing."""
        if kind in NUMBERED:
            digits = digits_of(text)
            letters = "".join(re.findall("[A-Z]", text.upper()))
            return f"{letters}{digits[-11:] if kind == 'phone' and len(digits) == 13 and digits.startswith('86') else digits}"
        return self.first_form(text).lower() if kind == "word" else re.sub(r"\s+", " ", text.lower())

    def first_form(self, word: str) -> str:
        """The first of the forms that the settings name for one thing."""
        return next((group[0] for group in self.groups if word.lower() in [form.lower() for form in group]), word)

    def learn(self, mask: Mask) -> None:
        """Take a mask into the table."""
        self.by_mask[mask.mask] = self.by_value[mask.kind, self.same(mask.kind, mask.value)] = mask
        self.seen.clear()
        for stale in ("kinds", "known"):
            self.__dict__.pop(stale, None)

    def save(self) -> None:
        """Write the table so that only its owner can read it, whole or not at all."""
        if self.file:
            replace_private(self.file, "".join(f"{mask.model_dump_json()}\n" for mask in self.by_mask.values()))


def texts_of(personas: Sequence[Persona], materials: Sequence[Material]) -> Iterator[tuple[str, str, str]]:
    """(person, source, text) of all that a call may tell of the persons."""
    for persona in personas:
        stages = [part for stage in persona.stages for part in (stage.title, stage.summary, *stage.unknown)]
        yield persona.id, "persona.yaml", "\n".join([persona.name, *persona.aliases, persona.profile, *stages])
    for material in materials:
        yield material.persona, material.source, "\n".join(part for part in (material.title, material.situation, material.text) if part)


def report(findings: Iterable[Finding]) -> dict[str, object]:
    """Counts by kind and by person, and each place: what may be shown, since it holds no value."""
    findings = list(findings)
    kinds, persons = Counter(), {}
    for finding in findings:
        kinds[finding.kind] += finding.times
        persons.setdefault(finding.person, Counter())[finding.kind] += finding.times
    return {
        "things": len({finding.mask for finding in findings}),
        "kinds": dict(sorted(kinds.items())),
        "persons": {person: dict(sorted(counts.items())) for person, counts in persons.items()},
        "places": [finding.model_dump() for finding in findings],
    }


def replace_private(file: Path, text: str) -> None:
    """Write a whole file that only its owner can read (mode 0600), in a folder that only its owner can open (0700)."""
    with disk_trouble(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_name(f".{file.name}.fresh")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(fresh, file)
