"""What an answer with its analysis looks like, shown on the person's own life: no examples of another world.

Two examples for each stage, made without a model: an exchange that the person really had, and a fact of the
person's own with one thing in it swapped and then corrected. Only what can be known at the stage goes in, also
into the swap. Limits: where the materials give no exchange and no fact, that example is missing.
"""

from collections.abc import Collection, Iterator

from persllm.annotation import marks
from persllm.construct_llm.scene import Scene
from persllm.facts import Facts, choose, pick
from persllm.languages import language
from persllm.records import Material, Stage, fingerprint
from persllm.retrieval import can_know
from persllm.wordings import fill, wordings

LONGEST = 60
"""Words (Chinese: characters, twice as many) after which a text is too long for an example."""


class Examples:
    """The examples of one person, made once for each stage."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.tools, self.words = language(scene.code), wordings(scene.code)
        self.made: dict[str, list[tuple[str, str]]] = {}

    def at(self, stage_id: str, avoid: str) -> str:
        """The examples for a stage, but for those from the material that is asked about; `(nothing)` if there are none."""
        if stage_id not in self.made:
            stage = self.scene.persona.stage(stage_id)
            self.made[stage_id] = [*self.exchange(stage), *self.corrected(stage)]
        shown = [text for material, text in self.made[stage_id] if material != avoid]
        return "\n\n".join(shown) or self.scene.say("none")

    def known(self, stage: Stage, kinds: Collection[str]) -> list[Material]:
        """The materials that can be known at a stage, without those of the test sets, in an order of their own."""
        scene = self.scene
        found = [m for m in scene.materials.values() if m.kind in kinds and can_know(m, stage.id, scene.persona)]
        return sorted((m for m in found if m.identity not in scene.held_out), key=lambda m: fingerprint([stage.id, m.identity]))

    def exchange(self, stage: Stage) -> Iterator[tuple[str, str]]:
        """(material, example): something said to the person, and what the person really answered."""
        names = {self.scene.persona.name, *self.scene.persona.aliases}
        for material in self.known(stage, ("speech",)):
            for before, turn in zip(material.turns, material.turns[1:]):
                if turn.speaker in names and before.speaker not in names and self.short(before.text, turn.text):
                    thought = self.scene.say("thought_exchange", speaker=before.speaker, situation=material.situation).strip()
                    yield material.identity, self.example(before.text, " ".join(thought.split("  ")), turn.text)
                    return

    def corrected(self, stage: Stage) -> Iterator[tuple[str, str]]:
        """(material, example): a false statement about the person's own life, and how it is put right."""
        known = self.known(stage, ("experience", "knowledge"))
        facts = Facts(self.scene.persona, known)
        for material in known:
            for fact in facts.of(material)[0]:
                for span in choose(fact.spans, len(fact.spans), material.identity, fact.sentence):
                    false = facts.swap(fact.sentence, span, stage.id)
                    if false and self.short(fact.sentence, false):
                        yield material.identity, self.put_right(stage, fact.sentence, false)
                        return

    def put_right(self, stage: Stage, truth: str, false: str) -> str:
        """The example of a false statement."""
        claim = self.tools.second_person(false)
        asked = fill(pick(self.words.claims["false_premise"].train, truth), clause=claim)
        thought = fill(self.words.thought.induction, claim=claim, truth=truth, topic="")
        opening = pick(stage.voice.correct or self.words.correct, truth)
        return self.example(asked, thought, self.tools.join(opening, truth))

    def example(self, asked: str, thought: str, answer: str) -> str:
        """One example in the form of a reply."""
        analysis, response = marks(self.scene.code, mistaken=False)
        return self.scene.say("example", input=asked, analysis=analysis, thought=thought, response=response, answer=answer)

    def short(self, *texts: str) -> bool:
        """Whether all texts are short enough to be shown."""
        most = LONGEST * (2 if self.scene.code == "zh" else 1)
        return all(len(self.tools.words(text)) <= most for text in texts)
