"""The nursery: thousands of little invented persons whom the small base talks with before it becomes anybody.

Each has a name, a trade, a town, a friend and a few dated doings; conversations ask for them in many wordings,
state them rightly or wrongly, ask for more, or for what the person cannot know. What is asked stands in the
profile or was said before, so that the base learns to read a question, to answer in the first person, to
confirm and to correct; there is nothing to learn by heart.

Limits: English; doings in the simple past; one word order. No name of the bundled world occurs.
"""

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

from persllm.records import Conversation, Message, Record

SLOT = re.compile(r"\{([a-z_]+)\}")


class Words(Record):
    """The word lists of `words.yaml`."""

    first_she: tuple[str, ...]
    first_he: tuple[str, ...]
    last: tuple[str, ...]
    town: tuple[str, ...]
    place: tuple[str, ...]
    trade: tuple[str, ...]
    made: tuple[str, ...]
    thing: tuple[str, ...]
    goods: tuple[str, ...]
    animal: tuple[str, ...]
    skill: tuple[str, ...]
    topic: tuple[str, ...]
    acts: tuple[str, ...]
    liked: tuple[str, ...]
    traits: tuple[str, ...]
    ask: dict[str, tuple[str, ...]]
    affirm: tuple[str, ...]
    deny: tuple[str, ...]
    ignorance: tuple[str, ...]
    months: tuple[str, ...]
    numbers: tuple[str, ...]


@cache
def words() -> Words:
    """The word lists, read once."""
    return Words.model_validate(yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8")))


class Doing(Record):
    """Something a little person did."""

    base: str
    """`build a boat`."""
    past: str
    """`built a boat`."""
    year: str
    """`1702` or `May 1702`."""
    town: str
    friend: str
    """Who was with them; empty if nobody."""
    number: str = ""
    """The number word in it, if there is one."""

    @property
    def clause(self) -> str:
        """All of it, without the one who did it."""
        company = f" with {self.friend}" if self.friend else ""
        return f"{self.past} in {self.town} in {self.year}{company}"

    @property
    def bare(self) -> str:
        """What was done, without when, where and with whom; a number is left open."""
        return self.past.replace(self.number, "so many", 1) if self.number else self.past


class Little(Record):
    """A little invented person."""

    name: str
    subject: str
    """`She` or `He`."""
    trade: str
    home: str
    born: str
    trait: str
    liked: str
    disliked: str
    doings: tuple[Doing, ...]

    @property
    def profile(self) -> str:
        """The person in the third person."""
        first = self.name.split(" ")[0]
        facts = " ".join(f"{self.subject if place % 2 else first} {doing.clause}." for place, doing in enumerate(self.doings))
        tastes = f"{self.subject} loves {self.liked} and cannot bear {self.disliked}."
        return f"{self.name}, born in {self.born}, is {article(self.trade)} in {self.home} and {self.trait}. {facts} {tastes}"

    @property
    def tale(self) -> str:
        """The person in their own words."""
        facts = " ".join(f"I {doing.clause}." for doing in self.doings)
        return f"My name is {self.name}. I am {article(self.trade)} in {self.home}. {facts} I love {self.liked}, but not {self.disliked}."


Pair = tuple[str, str]
"""What is asked, and what is answered."""


class Nurse:
    """Draws persons and conversations from one source of luck."""

    def __init__(self, seed: int):
        self.dice, self.words = random.Random(seed), words()

    def conversation(self) -> Conversation:
        """One conversation about one little person."""
        little = self.little()
        pairs = self.dialogue(little)
        shape = self.dice.random()
        if shape < 0.55:
            return made([("system", f"You are {little.name}. {little.profile}"), *turns(pairs)])
        if shape < 0.7:
            return made(
                [("system", f"You are {little.name}."), ("user", "Tell me about yourself."), ("assistant", little.tale), *turns(pairs)]
            )
        if shape < 0.85:
            asked, answered = self.dice.choice((self.about_doing, self.about_doing, self.retelling, self.taste))(little)
            return made([("user", f"{little.profile} {turned(asked, little)}"), ("assistant", turned(answered, little))])
        return made([("user", f"Say it as {little.name}: {little.profile}"), ("assistant", little.tale)])

    def little(self) -> Little:
        """A person."""
        she = self.dice.random() < 0.5
        liked, disliked = self.dice.sample(self.words.liked, 2)
        born = self.dice.randint(1300, 1930)
        return Little(
            name=self.name(she), subject="She" if she else "He", trade=self.pick("trade"), home=self.pick("town"), born=self.date(born), trait=self.pick("traits"),
            liked=liked, disliked=disliked, doings=tuple(self.doing(born) for _ in range(self.dice.choice((1, 2, 2, 3)))),
        )  # fmt: skip

    def name(self, she: bool) -> str:
        """A first and a last name."""
        return f"{self.pick('first_she' if she else 'first_he')} {self.pick('last')}"

    def pick(self, name: str) -> str:
        """A word of a list."""
        return self.dice.choice(getattr(self.words, name))

    def date(self, year: int) -> str:
        """A year, at times with a month."""
        return f"{self.pick('months')} {year}" if self.dice.random() < 0.3 else str(year)

    def doing(self, born: int) -> Doing:
        """A dated doing in the life of somebody born in that year."""
        base, past, thing = (part.strip() for part in self.pick("acts").split("|"))
        found = {slot: self.pick("numbers" if slot == "number" else slot) for slot in SLOT.findall(past + thing)}
        filled = [with_articles(" ".join(f"{verb} {thing}".format(**found).split())) for verb in (base, past)]
        friend = self.name(self.dice.random() < 0.5) if self.dice.random() < 0.6 else ""
        date = self.date(born + self.dice.randint(10, 60))
        return Doing(base=filled[0], past=filled[1], year=date, town=self.pick("town"), friend=friend, number=found.get("number", ""))

    def dialogue(self, little: Little) -> list[Pair]:
        """One to three questions with their answers."""
        kinds: list[tuple[Callable[[Little], Pair], int]] = [
            (self.about_doing, 8), (self.false_claim, 4), (self.true_claim, 4), (self.retelling, 4), (self.taste, 2), (self.who, 2),
            (self.unheard, 2), (self.machine, 1),
        ]  # fmt: skip
        asked, weights = zip(*kinds, strict=True)
        return [ask(little) for ask in self.dice.choices(asked, weights, k=self.dice.choice((1, 1, 2, 3)))]

    def wording(self, kind: str, **filled: str) -> str:
        """A question of a kind; what a question calls a part of a doing stays open where it asks for it."""
        return self.dice.choice(self.words.ask[kind]).format(**filled)

    def about_doing(self, little: Little) -> Pair:
        """When, where, with whom, how many."""
        doing = self.dice.choice(little.doings)
        kinds = ["when", "where", *(["who"] if doing.friend else []), *(["number"] if doing.number else [])]
        kind = self.dice.choice(kinds)
        base = doing.base.replace(doing.number, "so many", 1) if kind == "number" else doing.base
        asked = self.wording(kind, base=base, past=doing.bare if kind == "number" else doing.past)
        short = {
            "when": f"That was in {doing.year}.",
            "where": f"It was in {doing.town}.",
            "who": f"{doing.friend} was with me.",
            "number": "",
        }[kind]
        if self.dice.random() < 0.7 or not short:
            return asked, f"I {doing.clause}."
        return asked, short

    def claim(self, doing: Doing, wrong: bool) -> str:
        """A statement about a doing, with one part changed if it is to be wrong, and another left out at times."""
        parts = {"town": doing.town, "year": doing.year, "friend": doing.friend}
        if wrong:
            part = self.dice.choice([name for name, value in parts.items() if value])
            fresh = {
                "town": self.pick("town"),
                "year": self.date(self.dice.randint(1310, 1990)),
                "friend": self.name(self.dice.random() < 0.5),
            }[part]
            kept = {part, *(name for name in parts if self.dice.random() < 0.4)}
            parts = {name: (fresh if name == part else value) if name in kept else "" for name, value in parts.items()}
            if fresh == getattr(doing, part):
                return self.claim(doing, wrong)
        else:
            parts = {name: value if self.dice.random() < 0.6 else "" for name, value in parts.items()}
        said = [
            doing.past,
            *(f"{word} {parts[name]}" for name, word in (("town", "in"), ("year", "in"), ("friend", "with")) if parts[name]),
        ]
        return " ".join(said)

    def false_claim(self, little: Little) -> Pair:
        """A wrong statement, corrected."""
        doing = self.dice.choice(little.doings)
        return self.wording("claim", claim=self.claim(doing, wrong=True)), f"{self.pick('deny')} I {doing.clause}."

    def true_claim(self, little: Little) -> Pair:
        """A right statement, confirmed."""
        doing = self.dice.choice(little.doings)
        return self.wording("claim", claim=self.claim(doing, wrong=False)), f"{self.pick('affirm')} I {doing.clause}."

    def retelling(self, little: Little) -> Pair:
        """All of a doing, asked for by its year, its place or the friend."""
        doing = self.dice.choice(little.doings)
        wordings = [w for w in self.words.ask["all"] if doing.friend or "{friend}" not in w]
        return self.dice.choice(wordings).format(year=doing.year, town=doing.town, friend=doing.friend), f"I {doing.clause}."

    def taste(self, little: Little) -> Pair:
        """What the person loves or cannot bear."""
        if self.dice.random() < 0.5:
            return self.wording("like", liked=little.liked), f"I love {little.liked}."
        return self.wording("like", liked=little.disliked), f"I cannot bear {little.disliked}."

    def who(self, little: Little) -> Pair:
        """Name, trade, home, birth."""
        asked = self.wording("self")
        if "born" in asked:
            return asked, f"I was born in {little.born}."
        if "live?" in asked:
            return asked, f"I live in {little.home}."
        if "living" in asked or "trade" in asked:
            return asked, f"I am {article(little.trade)}."
        return asked, f"I am {little.name}, {article(little.trade)} in {little.home}."

    def unheard(self, little: Little) -> Pair:
        """Something the person knows nothing of."""
        return self.wording("unknown", thing=f"the {self.pick('thing')} of {self.name(self.dice.random() < 0.5)}"), self.pick("ignorance")

    def machine(self, little: Little) -> Pair:
        """The person is no machine."""
        return self.wording("machine"), f"{self.pick('deny')} I am {little.name}, {article(little.trade)}."


def nursery(count: int, seed: int) -> list[Conversation]:
    """So many conversations; the same for the same seed."""
    nurse = Nurse(seed)
    return [nurse.conversation() for _ in range(count)]


def turns(pairs: list[Pair]) -> list[tuple[str, str]]:
    """Questions and answers as messages."""
    return [message for asked, answered in pairs for message in (("user", asked), ("assistant", answered))]


def made(messages: list[tuple[str, str]]) -> Conversation:
    """A general conversation of these messages."""
    return Conversation(persona="", stage="", kind="general", messages=tuple(Message(role=role, content=text) for role, text in messages))


def turned(text: str, little: Little) -> str:
    """A question or answer about `you` or `I` turned to one about the person."""
    first = little.name.split(" ")[0]
    pairs = {"you were": f"{first} was", "were you": f"was {first}", "are you": f"is {first}", "I am": f"{first} is", "have you": f"has {first}",
             "you have": f"{first} has", "Have you": f"Has {first}", "You have": f"{first} has", "You are": f"{first} is", "Are you": f"Is {first}",
             "do you": f"does {first}", "Do you": f"Does {first}", "I love": f"{first} loves", "I cannot": f"{first} cannot", "I do not": f"{first} does not",
             "with me": f"with {first}", "to me": f"to {first}"}  # fmt: skip
    for old, new in pairs.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return re.sub(r"\b(you|You|I)\b", first, text).replace("your", "the").replace("Your", "The").replace("yourself", "themselves")


def article(noun: str) -> str:
    """`a baker`, `an innkeeper`."""
    return with_articles(f"a {noun}")


def with_articles(text: str) -> str:
    """The text with `a` as `an` where a vowel follows."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)
