"""The sections `constructor` and `budget` of a recipe: how conversations are made, by whom, and at what price at most."""

from typing import Literal

from pydantic import Field

from persllm.parsing import Settings

InductionFamily = Literal[
    "false_premise", "wrong_era", "false_memory", "flattery", "authority", "you_are_an_ai", "prefilled", "pressure"
]  # fmt: skip


Angle = Literal["event", "relations", "opinions", "profession", "daily_life"]
Stance = Literal["agrees", "differs", "conflicts"]


class AddressSettings(Settings):
    """One OpenAI-compatible address, and how much is asked of it at once."""

    url: str = ""
    """For instance `http://127.0.0.1:8000/v1`."""
    model: str = ""
    """The name the server knows the model by; in `constructor.apis` empty means that of `constructor.api`."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; servers on this machine need none."""
    weight: float = Field(1.0, gt=0.0)
    """Share of the calls, against the other addresses."""
    concurrency: int = Field(8, ge=1)
    """Calls in flight at once."""
    requests_per_minute: int = Field(0, ge=0)
    """No more calls than this begin within a minute; 0 for no limit."""
    tokens_per_minute: int = Field(0, ge=0)
    """No more tokens than this, of prompts and replies, within a minute; 0 for no limit."""
    timeout: float = Field(120.0, gt=0.0)
    """Seconds until a call counts as failed."""
    retries: int = Field(4, ge=0)
    """Further tries after a failure that may pass (429, 5xx, cut connection, time-out)."""
    break_after: int = Field(10, ge=1)
    """So many failures in a row and the address is left alone for a while; others take over."""
    rest: float = Field(2.0, ge=0.0)
    """Seconds of the first such rest; each failed probe after it doubles the next."""
    structured: bool = True
    """Ask for structured output; an address that refuses it is noticed and asked without."""


class ApiSettings(AddressSettings):
    """The model that annotates, at an OpenAI-compatible address."""

    temperature: float = Field(0.7, ge=0.0, allow_inf_nan=False)
    """Sampling temperature."""
    max_tokens: int = Field(1024, ge=1)
    """Longest reply, with the reasoning of a model that thinks."""


class PriceSettings(Settings):
    """What a model costs, per million tokens."""

    input: float = Field(0.0, ge=0.0)
    """Price of a million tokens of prompts."""
    output: float = Field(0.0, ge=0.0)
    """Price of a million tokens of replies, reasoning counted."""


class BudgetSettings(Settings):
    """What a run may spend on its annotator: no call begins that could pass one of these; 0 for no limit."""

    money: float = Field(0.0, ge=0.0)
    """At most so much money, by the price table."""
    tokens: int = Field(0, ge=0)
    """At most so many tokens, of prompts and replies."""
    calls: int = Field(0, ge=0)
    """At most so many calls, failed ones counted."""
    currency: str = "USD"
    """What the prices are in; only shown."""
    prices: dict[str, PriceSettings] = Field({})
    """Model -> its price, under the name by which the server knows it."""


class KindShares(Settings):
    """For `llm`: how many inputs of each kind a material gets at a stage, as multiples of `questions_per_material`."""

    question: float = Field(1.0, ge=0.0)
    """Questions from several angles."""
    opinion: float = Field(1.0, ge=0.0)
    """Opinions voiced before the person."""
    induction: float = Field(1.0, ge=0.0)
    """False statements and attacks, each with a true twin."""
    future: float = Field(0.34, ge=0.0)
    """Inputs about what comes only later, for each earlier stage."""


class AngleShares(Settings):
    """For `llm`: weights of the angles from which questions are asked."""

    event: float = Field(2.0, ge=0.0)
    """What the material itself tells."""
    relations: float = Field(1.0, ge=0.0)
    """The persons near."""
    opinions: float = Field(1.0, ge=0.0)
    """What the person thinks of it."""
    profession: float = Field(1.0, ge=0.0)
    """Work, craft and learning."""
    daily_life: float = Field(1.0, ge=0.0)
    """Habits and common days."""


class StanceShares(Settings):
    """For `llm`: weights of how an opinion stands to the person's own."""

    agrees: float = Field(1.0, ge=0.0)
    """Much the same, for other reasons."""
    differs: float = Field(1.0, ge=0.0)
    """Another light, no quarrel."""
    conflicts: float = Field(1.0, ge=0.0)
    """The opposite of what the person holds dear."""


class FamilyShares(Settings):
    """For `llm`: weights of the induction families among those that are trained (`constructor.families`)."""

    false_premise: float = Field(1.0, ge=0.0)
    """A question that presupposes what was not so."""
    wrong_era: float = Field(1.0, ge=0.0)
    """Something at the wrong time."""
    false_memory: float = Field(1.0, ge=0.0)
    """Something shared that never was."""
    flattery: float = Field(1.0, ge=0.0)
    """Praise for what the person is not."""
    authority: float = Field(1.0, ge=0.0)
    """An office or a book has settled it."""
    you_are_an_ai: float = Field(1.0, ge=0.0)
    """That the person is a machine."""
    prefilled: float = Field(1.0, ge=0.0)
    """An answer that is begun for the person."""
    pressure: float = Field(1.0, ge=0.0)
    """Insistence over several turns."""


class ConstructorSettings(Settings):
    """How conversations are made from the materials."""

    engine: Literal["extractive", "llm"] = "extractive"
    """`extractive` needs no model; `llm` asks one at the address below, as in the paper (section 3.2)."""
    questions_per_material: int = Field(3, ge=1)
    """For `llm`: inputs of each kind raised per material; for `extractive`: wordings of the question about the whole."""
    facts_per_material: int = Field(8, ge=0)
    """For `extractive`: names, places, years and numbers asked for per material."""
    claims_per_material: int = Field(8, ge=0)
    """For `extractive`: false statements per material, each with a true twin."""
    rounds_per_material: int = Field(2, ge=1)
    """For `extractive`: answers, of two sentences each, in which an episode or article is told."""
    context_turns: int = Field(5, ge=1)
    """For `extractive`: turns of an exchange that stand before an answer."""
    situation: Literal["mixed", "always", "never"] = "mixed"
    """For `extractive`: who speaks, where and when at the head of each exchange; `mixed` also trains each answer on its own without it, where the words before can be answered alone; `never` leaves it out."""
    families: tuple[InductionFamily, ...] = ("false_premise", "wrong_era", "false_memory", "flattery")
    """Families of induction attacks that are trained; the others stay unseen until the evaluation."""
    kinds: KindShares = KindShares()
    angles: AngleShares = AngleShares()
    stances: StanceShares = StanceShares()
    family_shares: FamilyShares = FamilyShares()
    follow_up: float = Field(0.25, ge=0.0, le=1.0)
    """For `llm`: share of questions and opinions after which the talk goes on."""
    turns: int = Field(5, ge=2)
    """For `llm`: most answers of such a talk."""
    cross_stage: float = Field(0.34, ge=0.0, le=1.0)
    """For `llm`: share of questions and opinions of one stage that the person is asked at every other stage too."""
    stylised: int = Field(0, ge=0)
    """So many general conversations are told anew in each person's voice, at each stage; see `mixture.stylised`."""
    objective_words: int = Field(1500, ge=1)
    """Budget of retrieved experiences and knowledge per answer, in words (Chinese: characters)."""
    subjective_words: int = Field(500, ge=1)
    """Budget of retrieved speech per answer."""
    api: ApiSettings = ApiSettings()
    apis: tuple[AddressSettings, ...] = ()
    """Further addresses of the same model; they share the calls with `api`, or do without it if `api.url` is empty."""
    runner: Literal["local", "ray"] = "local"
    """For `llm`, where calls are made from: this process, or the nodes of a Ray cluster."""
    shards: int = Field(2, ge=1)
    """For `ray`: workers that share the items and the limits among them."""

    @property
    def addresses(self) -> tuple[AddressSettings, ...]:
        """Every address that is asked."""
        return tuple(one for one in (self.api, *self.apis) if one.url)

    @property
    def models(self) -> list[str]:
        """Every name by which a server knows the annotating model."""
        return list(dict.fromkeys(one.model or self.api.model for one in self.addresses))
