"""What comes out word for word: the longest runs in answers, and texts that a model goes on with by itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from persllm.audit.records import Extraction, Probe, Recital, Said, Spread, mean_interval
from persllm.audit_settings import AuditSettings
from persllm.languages import language
from persllm.overlap import OverlapIndex
from persllm.records import Conversation, Material, Message, Persona, fingerprint

WORDS = Path(__file__).parent / "words.yaml"


class Body:
    """Texts with their places, to be found again word for word; one index for each language."""

    def __init__(self, name: str, texts: Sequence[tuple[str, str, str]]):
        self.name = name
        by_code: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for code, source, text in texts:
            by_code[code].append((source, text))
        self.sources = {code: [source for source, _ in members] for code, members in by_code.items()}
        self.indexes = {code: OverlapIndex([language(code).words(text) for _, text in members]) for code, members in by_code.items()}

    def recital(self, said: Said) -> Recital:
        """The longest run of something said."""
        words = language(said.language).words(said.text)
        found = self.indexes[said.language].longest(words)
        run = ("" if said.language == "zh" else " ").join(words[found.start : found.start + found.length])
        source = self.sources[said.language][found.text] if found.text >= 0 else ""
        return Recital(taker=said.taker, where=said.where, length=found.length, run=run, answer=said.text, source=source)


def bodies(materials: Sequence[Material], conversations: Sequence[Conversation], personas: Mapping[str, Persona]) -> list[Body]:
    """The materials, and the answers that were trained on: these say `I` where the materials may say `she`."""
    trained = [c for c in conversations if c.persona in personas]
    return [
        Body("materials", [(personas[m.persona].language, f"{m.persona}/{m.source}", m.text) for m in materials]),
        Body("trained answers", [(personas[c.persona].language, (*c.sources, "")[0], c.answer.content) for c in trained]),
    ]


def recitations(said: Sequence[Said], body: Body, settings: AuditSettings, seed: int) -> tuple[list[Spread], list[Recital]]:
    """How long the runs are by taker, place and language; and of each taker's answers the longest."""
    groups: dict[tuple[str, str, str], list[Said]] = defaultdict(list)
    for one in said:
        groups[one.taker, one.where, one.language].append(one)
    spreads: list[Spread] = []
    shown: list[Recital] = []
    for (taker, where, code), members in groups.items():
        scored = [one for one in members if not one.error and code in body.indexes]
        if not scored:
            continue
        found = [body.recital(one) for one in scored]
        lengths = [recital.length for recital in found]
        bound = settings.overlap_characters if code == "zh" else settings.overlap_words
        share, low, high = mean_interval([float(length >= bound) for length in lengths], [one.unit for one in scored], seed, True)
        spreads.append(
            Spread(
                taker=taker,
                where=where,
                body=body.name,
                language=code,
                n=len(scored),
                unscored=len(members) - len(scored),
                share=share,
                low=low,
                high=high,
                median=float(np.median(lengths)),
                ninetieth=float(np.percentile(lengths, 90)),
                maximum=max(lengths),
            )
        )
        shown += [recital for recital in found if recital.length >= bound]
    return spreads, longest(shown, settings.examples)


def longest(recitals: Sequence[Recital], most: int) -> list[Recital]:
    """The longest ones of each taker, each run once."""
    found: dict[str, dict[str, Recital]] = defaultdict(dict)
    for recital in sorted(recitals, key=lambda one: (-one.length, one.run)):
        own = found[recital.taker]
        if len(own) < most:
            own.setdefault(recital.run, recital)
    return [recital for own in found.values() for recital in own.values()]


# Probes --------------------------------------------------------------------------------------------------


def probes(
    materials: Sequence[Material], conversations: Sequence[Conversation], held: set[str], personas: Mapping[str, Persona],
    settings: AuditSettings, seed: int,
) -> list[Probe]:  # fmt: skip
    """Beginnings of trained answers after the trained question, and of materials, with those never trained on beside them."""
    go_on = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    found: dict[str, dict[str, Probe]] = defaultdict(dict)
    for c in sorted(conversations, key=lambda c: fingerprint([seed, c.identity])):
        if c.persona in personas and c.sources:
            begun = beginning(c.answer.content, personas[c.persona].language, settings)
            if begun:
                place = {"persona": c.persona, "stage": c.stage, "source": c.sources[0], "messages": c.prompt}
                found["trained answers"].setdefault(
                    c.sources[0], Probe(kind="trained answers", prefill=begun[0], expected=begun[1], **place)
                )
    for m in sorted(materials, key=lambda m: fingerprint([seed, m.identity])):
        persona = personas[m.persona]
        begun = beginning(m.text, persona.language, settings) if m.kind != "speech" else None
        if begun:
            kind, asked = (
                "held-out materials" if m.identity in held else "trained materials",
                Message(role="user", content=go_on[persona.language]),
            )
            stage = m.stage or persona.stages[-1].id
            place = {"persona": m.persona, "stage": stage, "source": f"{m.persona}/{m.source}", "messages": (asked,)}
            found[kind][m.identity] = Probe(kind=kind, prefill=begun[0], expected=begun[1], **place)
    return [probe for members in found.values() for probe in list(members.values())[: settings.probes]]


def beginning(text: str, code: str, settings: AuditSettings) -> tuple[str, tuple[str, ...]] | None:
    """The first words of a text as they stand, and the rest as words; None if it is too short to tell anything."""
    words = list(language(code).WORD.finditer(text))
    if len(words) < settings.prompt_words + settings.continued_words:
        return None
    end = words[settings.prompt_words - 1].end()
    return text[:end], tuple(language(code).words(text[end:]))


def extractions(probed: Sequence[tuple[Probe, Said]], settings: AuditSettings, seed: int) -> list[Extraction]:
    """How often each taker went on with the words of the text."""
    groups: dict[tuple[str, str], list[tuple[Probe, Said]]] = defaultdict(list)
    for probe, said in probed:
        groups[said.taker, probe.kind].append((probe, said))
    found = []
    for (taker, kind), members in groups.items():
        scored = [(probe, said) for probe, said in members if not said.error]
        if not scored:
            continue
        lengths = [unchanged(probe.expected, language(said.language).words(said.text)) for probe, said in scored]
        values = [float(length >= settings.continued_words) for length in lengths]
        share, low, high = mean_interval(values, [said.unit for _, said in scored], seed, True)
        unscored = len(members) - len(scored)
        found.append(
            Extraction(taker=taker, kind=kind, n=len(scored), unscored=unscored, share=share, low=low, high=high, longest=max(lengths))
        )
    return found


def unchanged(expected: Sequence[str], said: Sequence[str]) -> int:
    """Words with which both begin."""
    for place, (one, other) in enumerate(zip(expected, said, strict=False)):
        if one != other:
            return place
    return min(len(expected), len(said))
