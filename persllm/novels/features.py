"""What speaks for and against a candidate as the speaker of a turn, in numbers.

The features are what a reader goes by: the subject of `said`, the gender of a pronoun and who was last named of that
gender, who acts beside the words, whose turn it is, who is called by name, how far away somebody was last mentioned.
Where a neighbouring turn matters, `beliefs` holds how likely each character is as its speaker.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from persllm.novels.book import Mention
from persllm.novels.cues import NOTHING, Cue, CueFinder
from persllm.novels.scene import Scene
from persllm.novels.turns import Turn, by_paragraph
from persllm.novels.words import address_pattern, english

WINDOW = 14
"""Paragraphs before a turn in which candidates are looked for."""
FAR = 90
"""Paragraphs before a turn in which those are looked for who were not named for long, as in a talk of two alone."""
FEWEST_TOLD = 8
"""So many of those told of before a turn are candidates, however far away."""
AHEAD = 2
MOST_CANDIDATES = 24
FAR_APART = 6
"""Turns with more paragraphs between them are not one conversation."""
SITUATIONS = ("name", "pronoun", "description", "action", "before", "none")
NAMES = (
    "cue_same", "cue_gender_fits", "cue_gender_clashes", "cue_other", "narrator_cue", "narrator_is", "second_cue_same", "second_cue_clashes",
    "rank_1", "rank_2", "rank_3", "last_told", "last_subject", "distance", "near_mentions", "in_own_narration", "acts_in_own_narration",
    "next_subject", "calls", "speaks_of", "gender_known_fits", "before_1", "before_1_near", "before_2", "before_2_near", "before_3", "after_1",
    "after_1_near", "after_2", "after_2_near", "called_before", "called_after", "was_called_by_two", "recent_share", "frequency", "described",
    "person_like", "only_quoted", "unbroken_alternation", "leads_in", "subject_of_last_sentence",
    "cue_rank", "same_words_elsewhere", "same_words_nearby",
    "reacts_same", "reacts_gender", "chain", "chain_log",
    "speaks_to_own_gender", "speaks_to_other_gender", "addressed_before_fits", "addressed_before_clashes", "addressed_after_fits", "addressed_after_clashes",
    "talked_about_around", "called_around", "told_around", "acts_around", "told_after",
)  # fmt: skip
PLACE = {name: place for place, name in enumerate(NAMES)}
VOCATIVE_END = re.compile(r"\s*[,!?.;:…—-]|\s*$|['\"’”]")
VOCATIVE_BEFORE = re.compile(
    r"(?:^|[,!?.;:—-]\s*|\b(?:my dear|dear|my|oh|Oh|O|yes|no|sir|well|Well|poor|old|and|Yes|No|Good night|Good-bye|Come|Thank you),?\s*)$"
)
HEADING = re.compile(r"(?:(?:chapter|book|part|volume)\b.{0,80}|[ivxlc]+\.?|\d+\.?)", re.IGNORECASE)
"""A paragraph at which a chapter begins."""
AROUND = 5
"""Turns before and after in which it is counted who is talked about, called and told of."""
NEARBY = 40
"""Turns within which the same description is likely to be of the same person."""
Beliefs = Sequence[Mapping[int, float]]


class TurnView(NamedTuple):
    """What is looked at for one turn, whatever the neighbours."""

    turn: Turn
    cue: Cue
    second: Cue
    """The next surest cue that differs."""
    situation: int
    candidates: tuple[int, ...]
    called: frozenset[int]
    """Who is called by name in the words."""
    named: frozenset[int]
    """Who is named in the words otherwise."""
    fixed: np.ndarray
    """Features that do not depend on the neighbours: (candidates, features)."""


class FeatureMaker:
    """Makes the features of one book."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.finder = CueFinder(scene)
        self.chapters = list(accumulate(bool(HEADING.fullmatch(text.strip())) for text in scene.paragraphs))
        self.of_paragraph = by_paragraph(scene.turns)
        self.ranks = [frozenset(rank_of(alias.split()[0]) for alias in one.aliases if " " in alias) for one in scene.characters]
        self.share = [math.log1p(one.mentions) for one in scene.characters]
        speaking: dict[int, int] = defaultdict(int)
        self.cues = [self.finder.cues(turn) for turn in scene.turns]
        for cues in self.cues:
            for cue in cues[:1]:
                if cue.manner == "speech" and cue.character >= 0:
                    speaking[cue.character] += 1
        self.speaking = speaking
        self.addressed = [addressed_gender(turn.voiced) for turn in scene.turns]
        self.views = [self.view(turn) for turn in scene.turns]
        self.fill_around()
        self.same_words: dict[str, list[int]] = defaultdict(list)
        for number, view in enumerate(self.views):
            if view.cue.phrase:
                self.same_words[view.cue.phrase].append(number)

    def vocatives(self, turn: Turn) -> tuple[frozenset[int], frozenset[int]]:
        """(who is called, who is named) in the words of a turn."""
        called, named = set(), set()
        for mention in self.mentions_in(turn, True):
            text = self.scene.paragraphs[mention.paragraph]
            before = text[: mention.start]
            start = next(p.start for p in turn.pieces if p.paragraph == mention.paragraph and p.start <= mention.start < p.end)
            if VOCATIVE_END.match(text, mention.end) and VOCATIVE_BEFORE.search(
                before[start:].rstrip("_ ") + " " if before[start:].strip() else ""
            ):
                called.add(mention.character)
            else:
                named.add(mention.character)
        return frozenset(called), frozenset(named - called)

    def mentions_in(self, turn: Turn, quoted: bool) -> list[Mention]:
        """Mentions within the turn's own words, or in the narration of its paragraphs."""
        found = []
        for paragraph in turn.paragraphs:
            for mention in self.scene.mentions[paragraph]:
                inside = any(p.paragraph == paragraph and p.start <= mention.start < p.end for p in turn.pieces)
                if inside == quoted and (quoted or not (mention.quoted or self.others_narration(turn, mention))):
                    found.append(mention)
        return found

    def others_narration(self, turn: Turn, mention: Mention) -> bool:
        """Whether a mention stands beside another turn of the same paragraph."""
        for other in self.of_paragraph[mention.paragraph]:
            ends = [(p.start, p.end) for p in self.scene.turns[other].pieces if p.paragraph == mention.paragraph]
            if (other < turn.number and mention.start < ends[-1][1]) or (other > turn.number and mention.start > ends[0][0]):
                return True
        return False

    def told_before(self, turn: Turn) -> list[Mention]:
        """Mentions in the narration before the turn's first words, the nearest first; of those far away only who is new."""
        found: list[Mention] = []
        first = turn.pieces[0]
        for paragraph in range(first.paragraph, max(-1, first.paragraph - FAR), -1):
            here = [m for m in self.scene.mentions[paragraph] if not m.quoted and (paragraph < first.paragraph or m.start < first.start)]
            if first.paragraph - paragraph < WINDOW:
                found += here[::-1]
                continue
            known = {m.character for m in found}
            if len(known) >= FEWEST_TOLD:
                break
            found += list({m.character: m for m in here if m.character not in known}.values())[::-1]
        return found

    def view(self, turn: Turn) -> TurnView:
        """The fixed part of a turn."""
        cues = self.cues[turn.number]
        cue = cues[0] if cues else NOTHING
        second = next(
            (other for other in cues[1:] if (other.subject, other.character, other.gender) != (cue.subject, cue.character, cue.gender)),
            NOTHING,
        )
        called, named = self.vocatives(turn)
        before = self.told_before(turn)
        candidates = self.candidates(turn, cue, before, called)
        situation = SITUATIONS.index(situation_of(cue))
        view = TurnView(turn, cue, second, situation, candidates, called, named, np.zeros((len(candidates), len(NAMES))))
        self.fill(view, before)
        return view

    def candidates(self, turn: Turn, cue: Cue, before: Sequence[Mention], called: frozenset[int]) -> tuple[int, ...]:
        """Who may be the speaker: whoever is named around the turn, and the narrator; the nearest are kept."""
        first, last = turn.paragraphs[0], turn.paragraphs[-1]
        near = [cue.character] if cue.character >= 0 else []
        near += [m.character for m in self.mentions_in(turn, False)]
        near += [m.character for m in before]
        for paragraph in range(last, min(len(self.scene.paragraphs), last + 1 + AHEAD)):
            near += [m.character for m in self.scene.mentions[paragraph] if paragraph > last or not m.quoted]
        for paragraph in range(first, max(-1, first - WINDOW), -1):
            near += [m.character for m in self.scene.mentions[paragraph] if m.quoted]
        if self.scene.narrator >= 0:
            near.insert(1, self.scene.narrator)
        return tuple(list(dict.fromkeys(near))[:MOST_CANDIDATES])

    def fill(self, view: TurnView, before: Sequence[Mention]) -> None:
        """The features that do not depend on the neighbours."""
        scene, turn, cue = self.scene, view.turn, view.cue
        first = turn.paragraphs[0]
        fitting: list[int] = []
        for mention in before:
            if mention.character not in fitting and (cue.gender == "x" or scene.characters[mention.character].gender in (cue.gender, "x")):
                fitting.append(mention.character)
        last_sentence = self.last_subject(before)
        own = self.mentions_in(turn, False)
        after = (
            [m for m in scene.mentions[turn.paragraphs[-1] + 1] if not m.quoted] if turn.paragraphs[-1] + 1 < len(scene.paragraphs) else []
        )
        for row, candidate in enumerate(view.candidates):
            value = view.fixed[row]
            who = scene.characters[candidate]

            def put(name: str, number: float, value: np.ndarray = value) -> None:
                value[PLACE[name]] = number

            put_cue(put, cue, candidate, who.gender, "cue_")
            if view.second.manner:
                put("second_cue_same", view.second.character == candidate)
                put("second_cue_clashes", "x" not in (view.second.gender, who.gender) and view.second.gender != who.gender)
            put("narrator_cue", cue.subject == "narrator" and who.narrator)
            put("narrator_is", who.narrator)
            for rank, name in enumerate(("rank_1", "rank_2", "rank_3")):
                put(name, rank < len(fitting) and fitting[rank] == candidate)
            mine = [m for m in before if m.character == candidate]
            put("last_told", bool(before) and before[0].character == candidate)
            put("last_subject", next((m.character for m in before if m.subject), -1) == candidate)
            put("subject_of_last_sentence", last_sentence == candidate)
            put("distance", math.log1p(first - mine[0].paragraph) if mine else 5.0)
            put("near_mentions", math.log1p(len(mine)))
            put("in_own_narration", any(m.character == candidate for m in own))
            put("acts_in_own_narration", any(m.character == candidate and m.subject for m in own))
            put("leads_in", bool(own) and own[0].character == candidate and own[0].start < turn.pieces[0].start)
            put("next_subject", bool(after) and after[0].character == candidate and after[0].start < 20)
            put("calls", candidate in view.called)
            put("speaks_of", candidate in view.named)
            put("cue_rank", bool(cue.phrase) and rank_of(cue.phrase.split()[-1]) in self.ranks[candidate])
            put("gender_known_fits", cue.gender != "x" and who.gender == cue.gender)
            if who.gender != "x" and (to := self.addressed[turn.number]) != "x":
                put("speaks_to_own_gender", to == who.gender)
                put("speaks_to_other_gender", to != who.gender)
            put("frequency", self.share[candidate] / 8)
            put("described", who.described)
            put("person_like", math.log1p(self.speaking[candidate]) / 5)
            put("only_quoted", not mine)

    def fill_around(self) -> None:
        """The features of who is present: called and told of in the conversation, and not only talked about."""
        for number, view in enumerate(self.views):
            near = self.around(number)
            first, last = self.scene.turns[near[0]].paragraphs[0], self.scene.turns[near[-1]].paragraphs[-1]
            named = Counter(one for other in near if other != number for one in self.views[other].named)
            called = Counter(one for other in near for one in self.views[other].called)
            told: Counter[int] = Counter()
            acts: Counter[int] = Counter()
            after: Counter[int] = Counter()
            for paragraph in range(first, min(len(self.scene.paragraphs), last + 2)):
                for mention in self.scene.mentions[paragraph]:
                    if not mention.quoted:
                        told[mention.character] += 1
                        acts[mention.character] += mention.subject
                        after[mention.character] += paragraph > view.turn.paragraphs[-1]
            for row, candidate in enumerate(view.candidates):
                for name, count in (
                    ("talked_about_around", named), ("called_around", called), ("told_around", told), ("acts_around", acts), ("told_after", after),
                ):  # fmt: skip
                    view.fixed[row][PLACE[name]] = math.log1p(count[candidate])

    def around(self, number: int) -> list[int]:
        """The turns of the conversation around one, itself among them."""
        near = [number]
        for step in (-1, 1):
            other = number
            for _ in range(AROUND):
                other += step
                if not 0 <= other < len(self.scene.turns) or self.gap(other - step, other) > FAR_APART:
                    break
                near.append(other)
        return sorted(near)

    def last_subject(self, before: Sequence[Mention]) -> int:
        """Who acts in the narration that ends nearest before the turn: the first one named in its last sentence."""
        if not before:
            return -1
        paragraph, text = before[0].paragraph, self.scene.paragraphs[before[0].paragraph]
        stops = [m.end() for m in re.finditer(r"[a-z][.!?]\s", text[: before[0].start])]
        start = stops[-1] if stops else 0
        return next(m.character for m in reversed(before) if m.paragraph == paragraph and m.start >= start)

    def rows(self, number: int, beliefs: Beliefs, chained: Beliefs) -> np.ndarray:
        """All features of a turn's candidates, given what is believed of its neighbours, and of all turns in their conversation."""
        view = self.views[number]
        rows = view.fixed.copy()
        for row, candidate in enumerate(view.candidates):
            share = chained[number].get(candidate, 0.0)
            rows[row][PLACE["chain"]] = share
            rows[row][PLACE["chain_log"]] = math.log(share + 0.001)
        for name, others in self.alike(number):
            whole = 1.0 + len(others)
            for row, candidate in enumerate(view.candidates):
                rows[row][PLACE[name]] = sum(beliefs[other].get(candidate, 0.0) for other in others) / whole
        near = {step: self.neighbour(number, step) for step in (-3, -2, -1, 1, 2)}
        for row, candidate in enumerate(view.candidates):
            value = rows[row]
            for step, name in ((-1, "before_1"), (-2, "before_2"), (1, "after_1"), (2, "after_2")):
                other, gap = near[step]
                if other < 0:
                    continue
                belief = beliefs[other].get(candidate, 0.0)
                value[PLACE[name]] = belief
                value[PLACE[f"{name}_near"]] = belief * (gap == abs(step))
            if near[-3][0] >= 0:
                value[PLACE["before_3"]] = beliefs[near[-3][0]].get(candidate, 0.0)
            before, after = near[-1][0], near[1][0]
            gender = self.scene.characters[candidate].gender
            for other, name in ((before, "addressed_before"), (after, "addressed_after")):
                to = self.addressed[other] if other >= 0 else "x"
                if "x" not in (to, gender):
                    value[PLACE[f"{name}_fits" if to == gender else f"{name}_clashes"]] = 1.0
            value[PLACE["called_before"]] = before >= 0 and candidate in self.views[before].called
            value[PLACE["called_after"]] = after >= 0 and candidate in self.views[after].called
            value[PLACE["was_called_by_two"]] = near[-2][0] >= 0 and candidate in self.views[near[-2][0]].called
            if before >= 0 and after >= 0 and near[-1][1] == 1 and near[1][1] == 1:
                value[PLACE["unbroken_alternation"]] = (
                    beliefs[near[-2][0]].get(candidate, 0.0) * beliefs[near[2][0]].get(candidate, 0.0)
                    if min(near[-2][0], near[2][0]) >= 0
                    else 0.0
                )
            recent = range(max(0, number - 10), number)
            value[PLACE["recent_share"]] = sum(beliefs[other].get(candidate, 0.0) for other in recent) / 5
        return rows

    def alike(self, number: int) -> list[tuple[str, list[int]]]:
        """(feature, other turns whose speaker is described by the same words), far and near."""
        phrase = self.views[number].cue.phrase
        others = [other for other in self.same_words.get(phrase, ()) if other != number] if phrase else []
        return [("same_words_elsewhere", others), ("same_words_nearby", [o for o in others if abs(o - number) <= NEARBY])]

    def gap(self, number: int, other: int) -> int:
        """Paragraphs from one turn to another; many more if a chapter begins between them."""
        low, high = sorted((number, other))
        begin, end = self.scene.turns[low].paragraphs[-1], self.scene.turns[high].paragraphs[0]
        return end - begin if self.chapters[begin] == self.chapters[end] else end - begin + WINDOW

    def neighbour(self, number: int, step: int) -> tuple[int, int]:
        """(turn that many steps away, paragraphs between); (-1, 0) if it is not of the same conversation."""
        other = number + step
        if not 0 <= other < len(self.views):
            return -1, 0
        gap = self.gap(number, other)
        return (other, gap) if gap <= FAR_APART + 2 * abs(step) else (-1, 0)


def addressed_gender(voiced: str) -> str:
    """The gender of the one spoken to, if a word like `sir` tells it; x if none does, or two contradict."""
    found = {english().addresses[match[1].lower()] for match in address_pattern().finditer(voiced)}
    return found.pop() if len(found) == 1 else "x"


def rank_of(word: str) -> str:
    """A title as it is written out: `Dr.` is doctor."""
    low = word.lower().rstrip(".")
    return {"dr": "doctor", "capt": "captain", "col": "colonel", "prof": "professor", "lieut": "lieutenant"}.get(low, low)


def put_cue(put, cue: Cue, candidate: int, gender: str, prefix: str) -> None:  # type: ignore[no-untyped-def]
    """The features of how a candidate fits a cue."""
    if not cue.manner:
        return
    put("reacts_same", cue.reacts and cue.character == candidate)
    put("reacts_gender", cue.reacts and cue.character < 0 and gender == cue.gender)
    put(f"{prefix}same", cue.character == candidate)
    if cue.character >= 0:
        put(f"{prefix}other", cue.character != candidate)
    fits = "x" not in (cue.gender, gender) and cue.gender == gender
    put(f"{prefix}gender_fits", fits)
    put(f"{prefix}gender_clashes", "x" not in (cue.gender, gender) and not fits)


def situation_of(cue: Cue) -> str:
    """The kind of weights a cue asks for."""
    if not cue.manner or cue.subject == "group":
        return "none"
    if cue.manner == "speech":
        return "name" if cue.subject in ("name", "narrator") else cue.subject
    return cue.manner
