"""What is trained, in which share: personified conversations repeated, general ones beside them.

A share counts samples, as in the paper, or tokens: general answers are often several times as long as a person's, so a
seventh of the samples can be half of what is read. General conversations that do not suffice are repeated.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from persllm.config import MixtureSettings
from persllm.languages import CHINESE, language
from persllm.records import Conversation, Message, Persona, fingerprint

Measure = Callable[[Sequence[Conversation]], Sequence[int]]
"""Tokens of each conversation, question and answer."""
TOKENS_PER_WORD = 1.4
"""What is estimated without a tokenizer."""
Drawn = tuple[str, Conversation]
"""What a sample is sorted by, and the sample."""


def mix(
    trained: Sequence[Conversation], general: Sequence[Conversation], settings: MixtureSettings, seed: int, measure: Measure | None = None
) -> list[Conversation]:
    """Personified conversations repeated, a share of them with analysis, and general ones, plain and stylised, in a shuffled order."""
    mixed = list(repeated(trained, settings, seed))
    plain = [c for c in general if not c.persona]
    stylised = sorted((c for c in general if c.persona), key=lambda c: fingerprint([seed, "stylised", c.identity]))
    weigh = (measure or estimated) if settings.general_by == "tokens" else one_each
    whole = sum(weigh([conversation for _, conversation in mixed]))
    added: list[Drawn] = []
    for members, share in ((plain, settings.general), (stylised, settings.stylised)):
        added += taken(members, weigh(members), share * whole, seed)
    return [conversation for _, conversation in sorted([*mixed, *added], key=lambda pair: pair[0])]


def repeated(trained: Sequence[Conversation], settings: MixtureSettings, seed: int) -> Iterator[Drawn]:
    """Every personified conversation as often as it is wanted, with its analysis or without."""
    for turn in range(settings.repeat):
        for conversation in trained:
            draw = fingerprint([seed, turn, conversation.identity])
            keeps = int(draw[:8], 16) / 16**8 < settings.chain_of_thought
            yield draw, conversation if keeps else without_thought(conversation)


def taken(members: Sequence[Conversation], weights: Sequence[int], wanted: float, seed: int) -> Iterator[Drawn]:
    """Conversations in their order, from the beginning again if they do not suffice, until their weights come nearest to what is wanted."""
    total, place = 0, 0
    while members and total + weights[place % len(members)] / 2 <= wanted and wanted > 0:
        turn, rest = divmod(place, len(members))
        total, place = total + weights[rest], place + 1
        yield fingerprint([seed, "general", turn, members[rest].identity]), members[rest]


def one_each(conversations: Sequence[Conversation]) -> list[int]:
    """The weights of a mixture by samples."""
    return [1] * len(conversations)


def estimated(conversations: Sequence[Conversation]) -> list[int]:
    """Tokens without a tokenizer: by words, and by characters in Chinese."""
    texts = [" ".join(f"{message.content} {message.thought}" for message in conversation.messages) for conversation in conversations]
    return [1 + round(TOKENS_PER_WORD * len(language("zh" if CHINESE.search(text) else "en").words(text))) for text in texts]


def without_thought(conversation: Conversation) -> Conversation:
    """The conversation with the answer alone."""
    answer = Message(role="assistant", content=conversation.answer.content)
    return conversation.model_copy(update={"messages": (*conversation.prompt, answer)})


def by_stages(samples: Sequence[Conversation], personas: Sequence[Persona]) -> list[Conversation]:
    """Early stages first, those of all persons side by side; what belongs to no stage is spread over the whole."""
    places = {(p.id, s.id): (p.order(s.id), len(p.stages)) for p in personas for s in p.stages}

    def moment(place: int) -> tuple[float, int]:
        sample = samples[place]
        luck = int(fingerprint(["moment", place, sample.identity])[:8], 16) / 16**8
        order, count = places.get((sample.persona, sample.stage), (0, 1))
        return (order + luck) / count, place

    return [samples[place] for place in sorted(range(len(samples)), key=moment)]


def shares(samples: Sequence[Conversation], measure: Measure | None = None) -> dict[str, dict[str, int]]:
    """What `step.json` tells of a mixture: samples by kind, general ones apart, and their tokens if they were counted."""
    names = ["general" if c.kind == "general" and not c.persona else "stylised" if c.kind == "general" else "personified" for c in samples]
    found = {"samples": dict(Counter(names))}
    if measure:
        tokens: Counter[str] = Counter()
        for name, count in zip(names, measure(samples), strict=True):
            tokens[name] += count
        found["tokens"] = dict(tokens)
    return found
