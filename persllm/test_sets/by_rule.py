"""Questions of the sets `stage`, `paraphrase` and `past` from the materials of one person, in wordings reserved for tests.

    stage       an opinion of somebody or something that the person spoke of at several stages, with the words of each
                an episode by its heading, at its own stage and at the one before, where it is not known
                an episode at its own stage and remembered at the next, or what holds at every stage: the truth is the same
    past        at the later stage: the same kinds of opinions and episodes, with the earlier stage's words as wrong answer
    paraphrase  an episode by its heading, or a sentence with a gap, in all test wordings of the form

An opinion or an episode goes to `stage` or to `past`, by its hash, so that no contrast is counted twice. Wrong answers
are words of another stage, or the right answer with a name, year, place or number swapped.

Limits: that two utterances are about one thing and share few words does not show that the person has changed its mind;
the earlier one is what it said then, and perhaps would say still. Letters are no exchanges and give no opinions here.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from persllm.checks.marks import marks
from persllm.facts import Fact, Facts, choose, pick
from persllm.languages import Span, language
from persllm.records import Candidate, Conversation, Dropped, Material, Message, Persona, QuestionKind, Stage, fingerprint
from persllm.retrieval import can_know
from persllm.test_sets.drafts import Draft, apart
from persllm.wordings import fill, wordings

SENTENCES = 2
"""Sentences of an answer to a question about a whole episode."""
WORDINGS = 3
"""Wordings of a paraphrase group, at most."""
LEAST_WORDINGS = 2
MOST_WORDS, LEAST_WORDS = 60, 8
"""Words of an utterance that is taken for an opinion."""
EARLY = 0.5
"""Whom an utterance names after this share of it, it is not about."""
ALWAYS = 3
"""Stages at which what holds always is asked, at most: the first ones."""
Made = Iterator[Draft | Dropped]


class Raiser:
    """Asks one person."""

    def __init__(self, persona: Persona, materials: Sequence[Material], held: Collection[str]):
        own = [material for material in materials if material.persona == persona.id]
        self.persona, self.all = persona, own
        self.open = [material for material in own if material.identity not in held]
        self.facts = Facts(persona, [*own, *(material for material in materials if material.persona != persona.id)])
        self.tools, self.words = language(persona.language), wordings(persona.language)

    def raised(self) -> Made:
        """Drafts, and what came to nothing with the reason."""
        yield from self.opinions()
        for material in self.open:
            if material.kind == "speech":
                continue
            facts, _ = self.facts.of(material)
            if facts:
                yield from self.about_whole(material, facts)
                yield from self.about_parts(material, facts)

    # Opinions --------------------------------------------------------------------------------------------

    def opinions(self) -> Made:
        """What the person said of one thing at several stages."""
        for topic, said in self.said_of.items():
            stages = [stage for stage in self.persona.stages if stage.id in said]
            if len(stages) < 2:
                continue
            group = f"{self.persona.id}:opinion:{topic}"
            if self.goes_to_past(group):
                stages = stages[-2:]
            chosen = [min(said[stage.id], key=self.closeness) for stage in stages]
            texts = [text for _, _, text in chosen]
            if not apart(texts, self.persona.language):
                yield Dropped(item=group, reason="answers of the stages too alike", detail=topic)
                continue
            question = fill(pick(self.words.opinion.test, group), topic=self.named(topic, texts))
            put = [
                self.conversation(material, stage, "opinion", "opinion", question, text, group)
                for stage, (_, material, text) in zip(stages, chosen, strict=True)
            ]
            yield from self.past(put) if self.goes_to_past(group) else self.changed(put)

    @cached_property
    def said_of(self) -> dict[str, dict[str, list[tuple[int, Material, str]]]]:
        """Topic -> stage -> (how many other things are named, material, utterance)."""
        found: dict[str, dict[str, list[tuple[int, Material, str]]]] = defaultdict(lambda: defaultdict(list))
        for material in self.open:
            if material.kind != "speech" or material.stage is None or len(material.turns) < 2:
                continue
            for turn in material.turns:
                size = len(self.tools.words(turn.text))
                if turn.speaker not in self.facts.who.names or not LEAST_WORDS <= size <= MOST_WORDS:
                    continue
                topics = self.topics_of(turn.text)
                for topic in sorted(topics):
                    if topics[topic] <= EARLY * len(turn.text) and not set(topic.split()) & set(turn.to.split()):
                        found[topic][material.stage].append((len(topics) - 1, material, turn.text))
        return {topic: found[topic] for topic in sorted(found)}

    def topics_of(self, text: str) -> dict[str, int]:
        """Whom and what an utterance names, and where first; not the places where something happens."""
        found: dict[str, int] = {}
        for span in self.facts.spans(text):
            topic = self.full_name(span) if span.kind in ("name", "thing") else ""
            if topic and self.tools.before_gap(text, span) == span.start:
                found.setdefault(topic, span.start)
        return found

    def closeness(self, said: tuple[int, Material, str]) -> tuple[int, int, str]:
        """First the utterance that names the fewest other things, then the longest."""
        others, _, text = said
        return others, -len(self.tools.words(text)), fingerprint(text)

    def full_name(self, span: Span) -> str:
        """The name of the materials that a name in an utterance stands for: `Master Vane` for `Osric Vane`; empty for none."""
        last = span.text.split()[-1]
        full = [name for name in self.persons if last in (name.split()[0], name.split()[-1])]
        if len(full) == 1 and (span.kind == "name" or span.text not in self.facts.kinds):
            return full[0]
        return span.text if span.text in self.facts.kinds and last not in self.own_words else ""

    @cached_property
    def own_words(self) -> set[str]:
        """The words of the person's own names."""
        return {word for name in self.facts.who.names for word in name.split()}

    @cached_property
    def persons(self) -> list[str]:
        """Names of two words of other persons."""
        kinds = {text: counts.most_common(1)[0][0] for text, counts in self.facts.kinds.items()}
        return sorted(
            text for text, kind in kinds.items() if kind == "name" and len(text.split()) == 2 and not self.own_words & set(text.split())
        )

    def named(self, topic: str, texts: Sequence[str]) -> str:
        """A topic with the article that it has in the utterances, or else in the materials."""
        for text in (*texts, *(material.text for material in self.all)):
            start = text.find(topic)
            if start >= 0:
                return self.tools.with_article(text, Span(start=start, end=start + len(topic), kind="thing", text=topic))
        return topic

    # Whole episodes --------------------------------------------------------------------------------------

    def about_whole(self, material: Material, facts: Sequence[Fact]) -> Made:
        """An episode or article by its heading."""
        topic = self.tools.topic(material.title, self.facts.who)
        if not topic or not self.tools.nameable(topic):
            return
        order = self.persona.order(material.stage) if material.stage else -1
        stages = self.persona.stages
        yield from self.in_other_words(material, topic, facts)
        if material.stage is None:
            yield from self.unchanged(material, stages[:ALWAYS], topic, facts)
        elif material.kind == "experience":
            if order + 1 < len(stages):
                yield from self.unchanged(material, stages[order : order + 2], topic, facts)
            if order > 0 and not self.tools.question_like(topic) and not self.is_known(topic, stages[order - 1]):
                yield from self.not_before(material, stages[order - 1], stages[order], topic, facts)

    def not_before(self, material: Material, before: Stage, own: Stage, topic: str, facts: Sequence[Fact]) -> Made:
        """An episode at its stage, and at the one before, where nothing is known of it."""
        group = f"{material.identity}:before"
        ignorant = pick(before.voice.unknown or self.words.unknown, group)
        question = fill(pick(self.words.topic.test, group), topic=topic)
        put = [
            self.conversation(material, before, "future", "before", question, ignorant, group),
            self.conversation(material, own, "question", "before", question, self.told(facts), group),
        ]
        yield from self.past(put) if self.goes_to_past(group) else self.changed(put)

    def unchanged(self, material: Material, stages: Sequence[Stage], topic: str, facts: Sequence[Fact]) -> Made:
        """One question at several stages whose true answer is the same; the wrong one has a fact confused."""
        group, truth = f"{material.identity}:same", self.told(facts)
        wrong = self.confused(facts, topic, group)
        if len(stages) < 2:
            return
        if not wrong:
            yield Dropped(item=f"{self.persona.id}/{material.source}", reason="nothing in it that could be confused", detail=truth[:200])
            return
        question = fill(pick(self.forms(topic), group), topic=topic)
        for stage in stages:
            asked = self.conversation(material, stage, "question", "same", question, truth, group)
            yield Draft(set="stage", conversation=asked, candidates=(Candidate(kind="confusion", text=wrong),), changed=False)

    def in_other_words(self, material: Material, topic: str, facts: Sequence[Fact]) -> Made:
        """A heading in all test wordings."""
        stage = self.persona.stage(material.stage) if material.stage else pick(self.persona.stages, material.identity)
        group = f"{material.identity}:{stage.id}:wordings"
        wrong = self.confused(facts, topic, group)
        if wrong:
            asked = [fill(wording, topic=topic) for wording in choose(self.forms(topic), WORDINGS, group)]
            yield from self.paraphrased(material, stage, "topic", asked, self.told(facts), wrong, group, ())

    def about_parts(self, material: Material, facts: Sequence[Fact]) -> Made:
        """One sentence of a material with a gap, in all test wordings."""
        stage = self.persona.stage(material.stage) if material.stage else pick(self.persona.stages, material.identity)
        group = f"{material.identity}:{stage.id}:gap"
        places = [(fact, span) for fact in facts for span in fact.spans if self.leaves_a_question(fact.sentence, span)]
        for told, span in choose(places, len(places), group):
            wrong = self.facts.swap(told.sentence, span, group)
            if wrong:
                clause, forms = self.facts.gapped(told.sentence, span, self.words)
                asked = [fill(wording, clause=clause) for wording in choose(forms.test, WORDINGS, group)]
                yield from self.paraphrased(material, stage, span.kind, asked, told.sentence, wrong, group, (bare(span.text),))
                return

    def leaves_a_question(self, sentence: str, span: Span) -> bool:
        """Whether a sentence without a span is sound, can be asked for in every wording, and does not say it elsewhere."""
        placed = self.tools.before_gap(sentence, span) < span.start
        owns = sentence[span.end : span.end + 1] in ("的", "'", "’")
        sound = {
            "year": True,
            "number": True,
            "place": placed and not owns,
            "name": not placed and not re.search(r"\bthe $", sentence[: span.start]),
        }
        return sound.get(span.kind, False) and sentence.count(span.text) == 1

    # Drafts ----------------------------------------------------------------------------------------------

    def paraphrased(
        self, material: Material, stage: Stage, form: str, asked: Sequence[str], truth: str, wrong: str, group: str, facts: tuple[str, ...]
    ) -> Iterator[Draft]:
        """A question in several wordings."""
        for text in asked if len(asked) >= LEAST_WORDINGS else ():
            put = self.conversation(material, stage, "question", form, text, truth, group)
            yield Draft(set="paraphrase", conversation=put, candidates=(Candidate(kind="confusion", text=wrong),), facts=facts)

    def changed(self, put: Sequence[Conversation]) -> Iterator[Draft]:
        """One question at several stages, each with the true answers of the others as wrong ones."""
        for one in put:
            others = tuple(Candidate(kind="other_stage", text=other.answer.content) for other in put if other is not one)
            yield Draft(set="stage", conversation=one, candidates=others, changed=True)

    def past(self, put: Sequence[Conversation]) -> Iterator[Draft]:
        """The question at the later of two stages, with what was true at the earlier one as the wrong answer."""
        before, later = put
        yield Draft(set="past", conversation=later, candidates=(Candidate(kind="stuck", text=before.answer.content),))

    def conversation(
        self, material: Material, stage: Stage, kind: QuestionKind, form: str, question: str, answer: str, group: str
    ) -> Conversation:
        """A question with its true answer at a stage."""
        messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
        return Conversation(
            persona=self.persona.id, stage=stage.id, kind=kind, messages=messages, form=form, group=group,
            evidence=(material.identity,), sources=(f"{self.persona.id}/{material.source}",), held_out=True,
        )  # fmt: skip

    def told(self, facts: Sequence[Fact]) -> str:
        """The beginning of an episode."""
        return self.tools.join(*(fact.sentence for fact in facts[:SENTENCES]))

    def confused(self, facts: Sequence[Fact], topic: str, group: str) -> str:
        """The beginning of an episode with one thing swapped that the heading does not name, a number if there is one; empty if there is none."""
        told = list(facts[:SENTENCES])
        places = [(number, span) for number, fact in enumerate(told) for span in fact.spans if span.text.lower() not in topic.lower()]
        for number, span in sorted(choose(places, len(places), group), key=lambda place: place[1].kind not in ("year", "number")):
            false = self.facts.swap(told[number].sentence, span, group)
            if false:
                return self.tools.join(*(false if place == number else fact.sentence for place, fact in enumerate(told)))
        return ""

    def forms(self, topic: str) -> tuple[str, ...]:
        """The test wordings that a heading takes."""
        return self.words.how.test if self.tools.question_like(topic) else self.words.topic.test

    def goes_to_past(self, group: str) -> bool:
        """Whether what has changed is asked for in `past`, and not in `stage`."""
        return int(fingerprint(group), 16) % 2 == 1

    def is_known(self, topic: str, stage: Stage) -> bool:
        """Whether something that is known at a stage has all words of a heading."""
        wanted = set(self.tools.words(topic)) - marks(self.persona.language).common
        return any(wanted <= set(self.tools.words(material.text)) for material in self.all if can_know(material, stage.id, self.persona))


def bare(text: str) -> str:
    """A name, date or number as an answer must have it: `in May 1155` is `May 1155`."""
    words = [word for word in text.split() if word[:1].isupper() or word[:1].isdigit()]
    return " ".join(words) or text.strip()
