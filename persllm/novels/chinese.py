"""Who said it in a Chinese novel, without a word list of names.

Speech is led in by a clause that ends in a verb of speech (`某某笑道：“...”`), or followed by one. Names are found by the
clauses themselves: a string that often begins them, before many different continuations, is a name. A speaker stands at
the head of the clause; whoever follows `对`, `与`, `向` is spoken to. Where only `他` or nothing leads in, turns of two are
alternated, with a confidence that is below what is said. Limits: other names of one person are joined only if one holds
the other, or if the user names them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from persllm.novels.book import Attribution, Character, Piece
from persllm.novels.turns import make_turns

FEWEST = 4
"""Clauses that a name must begin."""
MOST_ONE_NEXT = 0.6
"""A string that nearly always goes on with one character is only a part of a name."""
SENTENCE = re.compile(r"[。！？!?…\n]")
CLAUSE = re.compile(r"[，,；;、]")
TRIM = "：:；;，,、—“”「」『』‘’ 　"
UNFINISHED = frozenset("妖猴老小大众")
"""Characters that need another one to be somebody."""
LONGEST_BARE = 8
"""Characters of a clause without a name whose subject is that of the sentence before."""
THRESHOLD = 0.7
SURE, LIKELY, CONTINUED, ALTERNATING = 0.9, 0.85, 0.6, 0.5
"""Confidence by what an answer rests on; checked against quotations labelled by hand (docs/design/novels.md)."""


class Lists(NamedTuple):
    """The word lists."""

    ends: tuple[str, ...]
    openings: tuple[str, ...]
    particles: frozenset[str]
    objects: frozenset[str]
    not_names: frozenset[str]
    groups: tuple[str, ...]
    called: tuple[str, ...]


@cache
def lists() -> Lists:
    """The word lists, read once."""
    raw = {key: value.split() for key, value in yaml.safe_load((Path(__file__).parent / "zh.yaml").read_text(encoding="utf-8")).items()}
    return Lists(
        tuple(raw["ends"]), tuple(sorted(raw["openings"], key=len, reverse=True)), frozenset(raw["particles"]), frozenset(raw["objects"]),
        frozenset(raw["not_names"]), tuple(raw["groups"]), tuple(raw["called"]),
    )  # fmt: skip


def lead_of(text: str, before: int, start: int) -> str:
    """The narration between the words before and a piece."""
    return re.split(r"[”」]", text[before:start].rstrip(TRIM))[-1].strip(TRIM)


def head(clause: str) -> str:
    """A clause without what may stand before its subject."""
    changed = True
    while changed and clause:
        changed = False
        for opening in lists().openings:
            if clause.startswith(opening):
                clause, changed = clause[len(opening) :], True
        if clause[:1] in lists().particles and len(clause) > 2:
            clause, changed = clause[1:], True
    return clause


class ChineseReading:
    """A Chinese novel read by the rules; the same answers as the English `Reading`."""

    def __init__(self, paragraphs: Sequence[str], pieces: Sequence[Piece], known: Sequence[Sequence[str]] = ()):
        self.paragraphs, self.pieces = paragraphs, pieces
        self.turns = make_turns(paragraphs, pieces, one_speaker=False)
        self.leads = self.all_leads()
        names = self.find_names() | {name for group in known for name in group}
        self.names = sorted(names, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, self.names))) if self.names else re.compile(r"(?!)")
        self.owner = self.join(known)
        self.characters = self.make_characters()
        self.answers: dict[int, Attribution] = {}
        self.answer_all()

    def all_leads(self) -> list[tuple[str, str]]:
        """(narration before, narration after) of every piece."""
        found = []
        for number, piece in enumerate(self.pieces):
            text = self.paragraphs[piece.paragraph]
            previous = self.pieces[number - 1] if number else None
            following = self.pieces[number + 1] if number + 1 < len(self.pieces) else None
            before = previous.end if previous and previous.paragraph == piece.paragraph else 0
            after = following.start if following and following.paragraph == piece.paragraph else len(text)
            lead = lead_of(text, before, piece.start)
            if not lead and piece.paragraph and (not previous or previous.paragraph != piece.paragraph):
                above = self.paragraphs[piece.paragraph - 1].rstrip()
                lead = lead_of(above, 0, len(above))[-80:] if above.endswith(("：", ":", "；", "道")) else ""
            found.append((lead, text[piece.end : after].lstrip(TRIM)))
        return found

    def find_names(self) -> set[str]:
        """Strings that often begin a clause that leads in speech, before many different continuations."""
        following: dict[str, Counter[str]] = defaultdict(Counter)
        for lead, _ in self.leads:
            sentence = SENTENCE.split(lead)[-1]
            if not sentence.endswith(lists().ends):
                continue
            for clause in {head(sentence), head(CLAUSE.split(sentence)[-1]), sentence if sentence.startswith("那") else head(sentence)}:
                for size in (2, 3, 4, 5):
                    if len(clause) > size:
                        following[clause[:size]][clause[size]] += 1
        names = set()
        for text, after in following.items():
            total = after.total()
            often = total >= FEWEST and max(after.values()) <= max(MOST_ONE_NEXT * total, 1)
            by_verb = after["道"] + after["曰"] + after["说"] >= max(2, 0.3 * total) and total >= FEWEST - 1
            clean = (
                all("\u4e00" <= letter <= "\u9fff" for letter in text)
                and not any(word in text for word in lists().not_names)
                and text[-1] not in "道曰说笑问叫即又听闻大见"
                and text[0] not in "一不"
            )
            if clean and (often or by_verb):
                names.add(text)
        longer = {name for name in names if any(name != other and name.startswith(other) and following[name].total() < 0.12 * following[other].total() for other in names)}  # fmt: skip
        return {
            name
            for name in names - longer
            if not (name[0] == "那" and (name[1:] in names or name[1:] in UNFINISHED)) and name[0] not in "群众诸"
        }

    def join(self, known: Sequence[Sequence[str]]) -> dict[str, str]:
        """Name -> the name it is joined to: one that it ends (八戒 in 猪八戒), or as the user says."""
        counts = Counter(self.pattern.findall("\n".join(self.paragraphs)))
        self.counts = counts
        owner: dict[str, str] = {}
        for name in self.names:
            longer = [other for other in self.names if other != name and other.endswith(name) and len(name) > 1]
            owner[name] = max(longer, key=lambda other: counts[other]) if longer and len({other[-len(name) :] for other in longer}) == 1 and len(longer) == 1 else name  # fmt: skip
        for group in known:
            for name in group:
                owner[name] = group[0]
        return {name: owner.get(target, target) for name, target in owner.items()}

    def make_characters(self) -> list[Character]:
        """The characters, the most frequent first."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name, target in self.owner.items():
            groups[target].append(name)
        found = []
        for target, forms in groups.items():
            ranked = sorted(forms, key=lambda form: (-self.counts[form], form))
            found.append(Character(name=target, aliases=tuple(ranked), mentions=sum(self.counts[form] for form in forms)))
        return sorted(found, key=lambda one: -one.mentions)

    def answer_all(self) -> None:
        """One answer per quotation, in order, each with the ones before it in view."""
        spoken: list[str] = []
        last = ""
        for number, piece in enumerate(self.pieces):
            if piece.quotation in self.answers:
                continue
            lead, after = self.leads[number]
            who, to, confidence, basis = self.by_lead(lead, last)
            if not who or confidence < LIKELY:
                later = self.by_tail(after)
                who, confidence, basis = (later, LIKELY, "name") if later else (who, confidence, basis)
            if not who and len(spoken) > 1 and spoken[-2] != spoken[-1]:
                who, confidence, basis = spoken[-2], ALTERNATING, "conversation"
            said = who if confidence >= THRESHOLD else ""
            listeners = to or tuple([spoken[-1]] if spoken and said and spoken[-1] != who else [])
            self.answers[piece.quotation] = Attribution(
                quotation=piece.quotation, speaker=said, best=who, confidence=confidence if who else 0.0, basis=basis,
                to=listeners if said else (),
            )  # fmt: skip
            if who:
                spoken.append(who)
            mentioned = [self.owner[m] for m in self.pattern.findall(lead)]
            last = mentioned[0] if mentioned else last

    def by_lead(self, lead: str, last: str) -> tuple[str, tuple[str, ...], float, str]:
        """(speaker, addressees, confidence, basis) by the narration before the words."""
        sentences = [part for part in SENTENCE.split(lead) if part]
        if not sentences:
            return "", (), 0.0, "conversation"
        sentence = sentences[-1]
        if not sentence.endswith(lists().ends):
            return "", (), 0.0, "conversation"
        clause = CLAUSE.split(sentence)[-1]
        for text, confidence in ((clause, SURE), (sentence, LIKELY)):
            subject, to = self.subject(text)
            if subject:
                return subject, to, confidence, "name"
        if re.match(r"[他她]", head(clause)):
            return "", (), 0.0, "pronoun"
        if any(group in sentence[:4] for group in lists().groups):
            return "", (), 0.0, "group"
        earlier = [
            found[0] for part in reversed(sentences[:-1]) if (found := [self.owner[m] for m in self.pattern.findall(head(part)[:8])])
        ]
        return (earlier[0], (), CONTINUED, "action") if earlier else ("", (), 0.0, "conversation")

    def subject(self, text: str) -> tuple[str, tuple[str, ...]]:
        """(the first name that is nobody's object, names behind a word such as 对)."""
        subject, to = "", []
        for match in self.pattern.finditer(text):
            before = text[max(0, match.start() - 1) : match.start()]
            group = text[match.end() : match.end() + 1] in ("等", "们")
            if before in lists().objects and (subject or match.start() > 1):
                to.append(self.owner[match[0]])
            elif (
                not subject and not group and len(head(text[: match.start()])) <= 6 and text[: match.start()][-1:] not in ("群", "众", "些")
            ):
                subject = self.owner[match[0]]
        return subject, tuple(dict.fromkeys(name for name in to if name != subject))

    def by_tail(self, after: str) -> str:
        """The speaker named behind the words: `“……”某某说。`"""
        clause = re.split(r"[。，,！？；：:“「]", after, maxsplit=1)[0]
        match = self.pattern.match(head(clause))
        rest = head(clause)[match.end() :] if match else ""
        closed = after[len(clause) : len(clause) + 1] in ("。", "，", ",")
        return self.owner[match[0]] if match and closed and len(rest) <= 6 and rest.endswith(lists().ends) else ""
