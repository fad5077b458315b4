"""Conversations made by a language model, as in the paper (section 3.2).

For every material and its stage the model raises questions from several angles, opinions, inductions with a true
twin each (`control`), and inputs about the future; then it answers each in role, from materials retrieved for it:
what the person lived and knows, and how the person speaks, apart. The stage is said in every call. An induction
also brings its wrong answer, the premise accepted, a control the truth denied, the future an answer that knows
it: rejected answers whose contrast is certain. Some talks go on, and some questions of one stage are put to the
others, so that two stages can be told apart by their answers to one question.

`orders` says what is asked for, `raising` asks for inputs, `answering` for answers, `examples` shows the form on
the person's own life, `scene` holds what every call says, `carrying` does the work of many items side by side.
Limits: what the model makes up beyond the materials is forbidden by the prompt and not detected here.
"""

from collections.abc import Collection, Iterator, Sequence

from persllm.chat import ChatModel
from persllm.construct_llm.answering import Answering
from persllm.construct_llm.carrying import carry_out
from persllm.construct_llm.raising import Raising
from persllm.construct_llm.scene import Scene
from persllm.constructor_settings import ConstructorSettings
from persllm.records import Conversation, Dropped, Material, Persona, Question


class LlmConstructor:
    """Raises questions about the materials of one person and answers them, through a model one talks to.

    Materials in `held_out` (identities) are retrieved only for questions that were raised from one of them, so
    that no answer that is trained on tells what the test sets keep.
    """

    def __init__(
        self,
        persona: Persona,
        materials: Sequence[Material],
        settings: ConstructorSettings,
        model: ChatModel,
        held_out: Collection[str] = (),
    ):
        self.model = model
        self.scene = Scene(persona, materials, settings, held_out)
        self.raising, self.answering = Raising(self.scene), Answering(self.scene)

    def raise_questions(self, materials: Sequence[Material]) -> Iterator[tuple[Material, tuple[list[Question], list[Dropped]]]]:
        """Every material with the questions raised from it, as they are ready. ModelError if the model is of no use."""
        return carry_out(self.model, materials, self.raising.raised)

    def answer_questions(self, questions: Sequence[Question]) -> Iterator[tuple[Question, tuple[list[Conversation], list[Dropped]]]]:
        """Every question with its conversation, as they are ready. ModelError if the model is of no use."""
        return carry_out(self.model, questions, self.answering.answered)
