"""Conversations from the materials without any language model: the embedded default.

Exchanges become turns as they are. Experiences and knowledge are turned to the first person and asked about:
by their heading, and by the years, places, names and numbers in each sentence. False premises are made by
swapping one of these for another of the same kind, and are corrected from the source; the same wordings with
the true statement are confirmed, so that denying everything does not pay. What a stage does not know, because
it comes later or is named in `unknown`, is answered so. Every conversation keeps the ids of its evidence.

Limits: what the person says about an episode are the words of the material, turned; the manner of speaking
comes from the exchanges and from `voice` in persona.yaml. Sentences that the rules of the language cannot turn
are dropped with a reason.
"""

from collections.abc import Iterable, Iterator, Sequence

from persllm.constructor_settings import ConstructorSettings
from persllm.facts import Fact, Facts, choose, pick
from persllm.languages import Span, language
from persllm.records import Conversation, Dropped, Material, Message, Persona, Question, Stage
from persllm.spoken import answers
from persllm.wordings import Forms, Wordings, fill, wordings

Raised = tuple[list[Question], list[Dropped]]
ANSWER_SENTENCES = 2
"""Sentences per answer to a question about a whole episode."""
LETTER_SENTENCES = 2
UNKNOWN_WORDINGS = 3
SPANS_PER_SENTENCE = 2
CLAIM_FORM = {"year": "wrong_era", "name": "false_premise", "place": "false_premise", "thing": "false_premise", "number": "false_memory"}


class Constructor:
    """Raises questions about the materials of one person and answers them from these."""

    def __init__(self, persona: Persona, materials: Sequence[Material], others: Iterable[Material], settings: ConstructorSettings):
        self.persona, self.settings = persona, settings
        self.tools = language(persona.language)
        self.words: Wordings = wordings(persona.language)
        self.facts = Facts(persona, [*materials, *others])
        self.who = self.facts.who
        self.materials = {material.identity: material for material in materials}

    # Questions -------------------------------------------------------------------------------------------

    def raise_questions(self, materials: Sequence[Material]) -> Iterator[tuple[Material, Raised]]:
        """Every material with the questions raised from it."""
        for material in materials:
            stages = [s for s in self.persona.stages if material.stage in (None, s.id)]
            if material.kind == "speech":
                raised = self.about_speech(material, stages[0])
                raised += [
                    q for s in stages if self.is_first(material, s) for q in self.about_being(material, s) + self.about_unknown(material, s)
                ]
                yield material, (raised, [] if raised else [self.unheard(material)])
                continue
            facts, dropped = self.facts.of(material)
            questions: list[Question] = []
            for stage in stages:
                questions += self.about_whole(material, stage, facts) + self.about_parts(material, stage, facts)
                if self.is_first(material, stage):
                    questions += self.about_being(material, stage) + self.about_unknown(material, stage)
            if material.stage is not None:
                position = self.persona.order(material.stage)
                for stage in self.persona.stages[position + 1 :]:
                    questions += self.about_whole(material, stage, facts)
                for stage in self.persona.stages[:position]:
                    if material.kind == "experience":
                        questions += self.about_future(material, stage, self.tools.topic(material.title, self.who), facts)
            yield material, (questions, dropped)

    def question(self, material: Material, stage: Stage, **fields) -> Question:
        """A Question with the person and the place of origin filled in."""
        return Question(persona=self.persona.id, stage=stage.id, material=material.identity, **fields)

    def each_wording(self, forms: Forms, *key: object, count: int | None = None) -> Iterator[tuple[str, bool]]:
        """Wordings for training, and one reserved for the test sets."""
        for wording in choose(forms.train, count or self.settings.questions_per_material, *key):
            yield wording, False
        yield pick(forms.test, *key), True

    def about_speech(self, material: Material, stage: Stage) -> list[Question]:
        """An exchange as it stands, or questions about a letter."""
        if len(material.turns) == 1 and not is_opening(material):
            return self.about_letter(material, stage)
        if not any(self.is_own(turn.speaker) for turn in material.turns):
            return []
        group = f"{material.identity}:exchange"
        texts = [turn.text for turn in material.turns if not self.is_own(turn.speaker)]
        exchange = self.question(material, stage, kind="exchange", form="exchange", text=texts[0] if texts else "", group=group)
        return [exchange, *self.about_opinions(material, stage)]

    def about_opinions(self, material: Material, stage: Stage) -> list[Question]:
        """What the person says of the persons and things named in each utterance: one question that many can be asked."""
        questions: list[Question] = []
        for number, turn in enumerate(material.turns):
            named = (
                [span for span in self.facts.spans(turn.text) if span.kind in ("name", "place", "thing")]
                if self.is_own(turn.speaker)
                else []
            )
            for span in choose(named, 1, material.identity, number):
                group = f"{material.identity}:{number}:opinion"
                topic = self.tools.with_article(turn.text, span)
                questions += [
                    self.question(
                        material,
                        stage,
                        kind="opinion",
                        form="opinion",
                        text=fill(wording, topic=topic),
                        truth=turn.text,
                        group=group,
                        held_out=held,
                    )
                    for wording, held in self.each_wording(self.words.opinion, group, count=1)
                ]
        return questions

    def unheard(self, material: Material) -> Dropped:
        """Speech of which nothing can be made, with the reason."""
        speakers = ", ".join(dict.fromkeys(turn.speaker for turn in material.turns))
        reason = "not spoken by the person" if speakers else "speech without `Name: words` lines"
        if len(material.turns) == 1 and not is_opening(material):
            reason = "letter without addressee or date"
        detail = f"speakers: {speakers}; the person is {', '.join(self.who.names)}" if speakers else material.text[:200]
        return Dropped(item=f"{self.persona.id}/{material.source}", reason=reason, detail=detail)

    def about_letter(self, material: Material, stage: Stage) -> list[Question]:
        """What was written to whom and when."""
        letter = material.turns[0]
        words = {"to": letter.to, "date": self.tools.spoken_date(material.date)}
        if not letter.to or not material.date:
            return []
        truth = self.tools.join(*self.tools.sentences(letter.text)[:LETTER_SENTENCES])
        group = f"{material.identity}:letter"
        questions = [
            self.question(
                material, stage, kind="question", form="letter", text=fill(wording, **words), truth=truth, group=group, held_out=held
            )
            for wording, held in self.each_wording(self.words.letter, group)
        ]
        letters = [m for m in self.materials.values() if len(m.turns) == 1 and m.turns[0].to]
        same_time = {m.turns[0].to for m in letters if m.date.startswith(material.date) or material.date.startswith(m.date)}
        addressees = sorted({m.turns[0].to for m in letters} - same_time)
        fact = fill(self.words.letter_truth, **words)
        if addressees:
            false = fill(self.words.letter_truth, to=pick(addressees, group), date=words["date"])
            questions += self.claims(material, stage, group, fact, false, "false_premise")
        return questions

    def about_whole(self, material: Material, stage: Stage, facts: list[Fact]) -> list[Question]:
        """Questions about a whole episode or article, by its heading."""
        topic = self.tools.topic(material.title, self.who)
        if not topic or not facts:
            return []
        forms = self.words.how if self.tools.question_like(material.title) else self.words.topic
        truth = self.tools.join(*[fact.sentence for fact in facts])
        group = f"{material.identity}:{stage.id}:whole"
        return [
            self.question(
                material, stage, kind="question", form="topic", text=fill(wording, topic=topic), truth=truth, group=group, held_out=held
            )
            for wording, held in self.each_wording(forms, group, count=None if stage.id == material.stage else 1)
        ]

    def about_parts(self, material: Material, stage: Stage, facts: list[Fact]) -> list[Question]:
        """Questions about, and claims against, the single sentences: spread over the material, at most one claim a sentence."""
        questions: list[Question] = []
        group = f"{material.identity}:{stage.id}"
        places = [(number, span) for number, fact in enumerate(facts) for span in choose(fact.spans, SPANS_PER_SENTENCE, group, number)]
        for number, span in choose(places, self.settings.facts_per_material, group, "facts"):
            questions += self.about_span(material, stage, facts[number], span, f"{group}:{number}:{span.start}")
        claimed = {number: span for number, span in choose(places, len(places), group, "claims")}
        for number, span in list(claimed.items())[: self.settings.claims_per_material]:
            false = self.facts.swap(facts[number].sentence, span, stage.id)
            if false:
                questions += self.claims(
                    material, stage, f"{group}:{number}:{span.start}", facts[number].sentence, false, CLAIM_FORM[span.kind]
                )
        return questions

    def about_span(self, material: Material, stage: Stage, fact: Fact, span: Span, group: str) -> list[Question]:
        """The sentence with a gap, asked for."""
        clause, forms = self.facts.gapped(fact.sentence, span, self.words)
        confusion = self.facts.swap(fact.sentence, span, "confusion") or ""
        return [
            self.question(
                material, stage, kind="question", form=span.kind, text=fill(wording, clause=clause), truth=fact.sentence,
                accepting=confusion, group=group, held_out=held,
            )
            for wording, held in self.each_wording(forms, group, count=1)
        ]  # fmt: skip

    def claims(self, material: Material, stage: Stage, group: str, truth: str, false: str, family: str) -> list[Question]:
        """A false statement to be corrected and the true one to be confirmed, in the same wordings."""
        questions: list[Question] = []
        trained = self.settings.families
        forms = [family] if family in trained else []
        forms += choose([f for f in self.words.claims if f not in (family, "wrong_era")], 1, group, "family")
        for form in forms:
            for kind, statement in (("induction", false), ("control", truth)):
                wordings_here = list(self.each_wording(self.words.claims[form], group, form, count=1))
                for wording, held in wordings_here:
                    if form not in trained and not held:
                        continue
                    questions.append(self.question(
                        material, stage, kind=kind, form=form, text=fill(wording, clause=self.tools.second_person(statement)),
                        claim=statement, truth=truth, accepting=self.opposite(stage, kind, false, truth, group),
                        group=f"{group}:{kind}:{form}", held_out=held,
                    ))  # fmt: skip
        return questions

    def about_being(self, material: Material, stage: Stage) -> list[Question]:
        """That the person is a machine."""
        truth = fill(self.words.machine_truth, name=self.persona.name)
        group, trained = f"{material.identity}:{stage.id}:being", "you_are_an_ai" in self.settings.families
        return [
            self.question(
                material, stage, kind="induction", form="you_are_an_ai", text=fill(wording, name=self.persona.name), claim=wording,
                truth=truth, accepting=self.words.machine_accepting, group=group, held_out=held,
            )
            for held in ((False, True) if trained else (True,)) for wording in self.words.machine.all(held)
        ]  # fmt: skip

    def opposite(self, stage: Stage, kind: str, false: str, truth: str, key: str) -> str:
        """The wrong answer: the premise accepted, or the truth denied and replaced."""
        opening = self.opening(stage, "affirm" if kind == "induction" else "correct", key, "opposite")
        return self.tools.join(opening, false)

    def about_future(self, material: Material, stage: Stage, topic: str, facts: list[Fact]) -> list[Question]:
        """What happens after this stage, asked at this stage."""
        if not topic or self.tools.question_like(material.title) or not facts:
            return []
        group = f"{material.identity}:{stage.id}:future"
        leak = self.tools.join(*[fact.sentence for fact in facts[:ANSWER_SENTENCES]])
        return [
            self.question(
                material,
                stage,
                kind="future",
                form="future",
                text=fill(wording, topic=topic),
                claim=topic,
                accepting=leak,
                group=group,
                held_out=held,
            )
            for wording, held in self.each_wording(self.words.topic, group)
        ]

    def about_unknown(self, material: Material, stage: Stage) -> list[Question]:
        """What persona.yaml names as unknown at this stage."""
        return [
            self.question(
                material, stage, kind="future", form="unknown", text=fill(wording, topic=topic), claim=topic,
                group=f"{self.persona.id}:{stage.id}:unknown:{topic}", held_out=held,
            )
            for topic in stage.unknown for wording, held in self.each_wording(self.words.topic, topic, count=UNKNOWN_WORDINGS)
        ]  # fmt: skip

    def is_first(self, material: Material, stage: Stage) -> bool:
        """Whether a material is the one to which questions about the stage as a whole are tied."""
        own = [m for m in self.materials.values() if m.stage in (None, stage.id)]
        return material == next((m for m in own if m.kind != "speech"), own[0])

    # Answers ---------------------------------------------------------------------------------------------

    def answer_questions(self, questions: Sequence[Question]) -> Iterator[tuple[Question, tuple[list[Conversation], list[Dropped]]]]:
        """Every question with its conversations."""
        for question in questions:
            material = self.materials[question.material]
            stage = self.persona.stage(question.stage)
            if question.kind == "exchange":
                yield question, (list(self.exchange(question, material)), [])
                continue
            yield question, (list(self.answered(question, material, stage)), [])

    def conversation(self, question: Question, material: Material, messages: Sequence[Message], **fields) -> Conversation:
        """A Conversation with its origin filled in."""
        return Conversation(
            persona=self.persona.id, stage=question.stage, kind=question.kind, messages=tuple(messages), form=fields.pop("form", question.form),
            question=question.identity, group=question.group, evidence=(material.identity,), sources=(f"{self.persona.id}/{material.source}",),
            held_out=question.held_out, **fields,
        )  # fmt: skip

    def answered(self, question: Question, material: Material, stage: Stage) -> Iterator[Conversation]:
        """A question with its answer; for a whole episode also what comes after, asked in turn."""
        if question.form == "topic":
            yield from self.told(question, material)
            return
        openings = {"induction": "correct", "control": "affirm", "future": "unknown"}
        opening = self.opening(stage, openings[question.kind], question.group, question.text) if question.kind in openings else ""
        text = self.tools.join(opening, question.truth)
        asked = [Message(role="user", content=question.text)]
        if question.form == "pressure":
            claim = pick(self.words.claims["false_premise"].train, question.text)
            first = Message(role="user", content=fill(claim, clause=self.tools.second_person(question.claim)))
            asked = [first, Message(role="assistant", content=text), *asked]
        yield self.conversation(question, material, (*asked, self.spoken(text, question, material)), rejected=question.accepting)

    def told(self, question: Question, material: Material) -> Iterator[Conversation]:
        """An episode told two sentences at a time; remembered from another stage, its beginning alone."""
        told = self.tools.sentences(question.truth)
        told = told[: ANSWER_SENTENCES * (self.settings.rounds_per_material if question.stage == material.stage else 1)]
        messages = [Message(role="user", content=question.text)]
        for place in range(0, len(told), ANSWER_SENTENCES):
            if place:
                messages.append(Message(role="user", content=pick(self.words.follow.all(question.held_out), question.text, place)))
            text = self.tools.join(*told[place : place + ANSWER_SENTENCES])
            messages.append(self.spoken(text, question.model_copy(update={"truth": text}), material))
            yield self.conversation(question, material, messages, form="topic" if not place else "follow")
            messages[-1] = Message(role="assistant", content=text)

    def spoken(self, text: str, question: Question, material: Material) -> Message:
        """The answer with its analysis: what is claimed, and what the material says."""
        template = getattr(self.words.thought, "question" if question.kind == "opinion" else question.kind)
        topic = self.tools.topic(material.title, self.who) or material.situation
        claim = self.tools.second_person(question.claim) if question.kind != "future" else question.claim
        thought = fill(template, topic=question.claim if question.kind == "future" else topic, truth=question.truth, claim=claim)
        return Message(role="assistant", content=text, thought=thought)

    def exchange(self, question: Question, material: Material) -> Iterator[Conversation]:
        """An exchange up to each turn of the person, with the situation and the speaker said; and each answer on its own."""
        for answered in answers(material, self.is_own, self.words, self.settings, self.persona.language):
            thought = fill(self.words.thought.exchange, speaker=answered.turn.to or "?", situation=material.situation)
            answer = Message(role="assistant", content=answered.turn.text, thought=thought)
            yield self.conversation(question, material, (*answered.prompt, answer))
            if answered.alone:
                yield self.conversation(question, material, (*answered.alone, answer), form="reply")

    def opening(self, stage: Stage, manner: str, *key: object) -> str:
        """An opening in the person's own manner, or a plain one."""
        return pick(getattr(stage.voice, manner) or getattr(self.words, manner), *key)

    def is_own(self, speaker: str) -> bool:
        """Whether an utterance is the person's."""
        return speaker in self.who.names


def is_opening(material: Material) -> bool:
    """Whether a single turn is a message with which the person begins: it has a time of day, or a situation and no title."""
    return "T" in material.date or bool(not material.date and material.situation and not material.title)
