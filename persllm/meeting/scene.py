"""What a meeting is: a scene with a goal, a setting, and seats, read from strict YAML."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from persllm.errors import ConfigError
from persllm.parsing import Settings, apply_override, parse, read_yaml

SCENES = Path(__file__).parent.parent / "scenes"
"""The bundled scenes."""


class SeatSettings(Settings):
    """Who sits in a seat: a person of a run, somebody described in words, or a human at the keyboard."""

    persona: str = ""
    """A person of a run as `ID@STAGE`; without a stage, the last one."""
    run: str = ""
    """The run folder the person or the base comes from; the scene's run if empty."""
    taker: str = ""
    """`dpo`, `sft`, `prompted` or `base`; the best trained one if empty."""
    name: str = ""
    """How the others call whoever sits here; a person of a run has a name."""
    profile: str = ""
    """With `name`: a prompted model that plays whoever these words describe."""
    human: bool = False
    """Somebody at the keyboard."""
    address: str = ""
    """OpenAI-compatible address that plays the seat instead of the run's own models."""
    model: str = ""
    """The model's name at the address."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key for the address."""
    told: bool | None = None
    """Whether goal and setting are in the system message; if not given, for all but models too small to have learnt to read them."""


class UrgeSettings(Settings):
    """What makes somebody speak up."""

    relevance: float = Field(1.0, ge=0)
    """Weight of how near the last utterance is to the person's materials (cosine, 0 to 1)."""
    waiting: float = Field(0.5, ge=0)
    """Weight of the turns since one's last, as a share of the number of seats; grows beyond 1."""
    named: float = Field(1.0, ge=0)
    """Weight of being named in the last utterance."""
    chance: float = Field(0.1, ge=0)
    """Weight of luck, drawn from the seed."""


class EndSettings(Settings):
    """When a meeting is over."""

    turns: int = Field(20, ge=1, le=10_000)
    """At the latest after so many turns."""
    silence: int = Field(3, ge=1)
    """After so many turns in a row in which nothing was said."""
    phrases: tuple[str, ...] = ()
    """When one of these was said, in any case of letters."""
    phrase_by: int = Field(1, ge=1)
    """By so many different seats in their latest utterances: more than one makes it an agreement."""
    no_new_words: int = Field(0, ge=0)
    """After so many turns in a row without a word that was not said before; 0 for never."""


class Scene(Settings):
    """A scene file."""

    title: str = Field(min_length=1)
    """What the meeting is called."""
    goal: str = ""
    """What the seats are to reach, in one sentence."""
    setting: str = ""
    """Where, when, and why they meet."""
    opening: str = ""
    """What is said to all before the first turn, by nobody in a seat."""
    language: Literal["en", "zh"] = "en"
    """Language of the words that are ours: notices, and how goal and setting are told."""
    run: str = "runs/demo"
    """The run folder of all seats that name no other."""
    seats: tuple[SeatSettings, ...] = Field(min_length=2)
    """Who meets, in the order of the round."""
    policy: Literal["round", "named", "moderator", "urge"] = "round"
    """Who speaks next: in turn; whoever was named; whoever the moderator picks; whoever most wants to."""
    moderator: SeatSettings | None = None
    """The agent that picks; without one, a rule: whoever has said the fewest words."""
    urge: UrgeSettings = UrgeSettings()
    """For the policy `urge`."""
    end: EndSettings = EndSettings()
    """When it is over."""
    kept: int = Field(4, ge=1, le=1000)
    """Utterances that a seat sees again; all of them its own or heard."""
    temperature: float | None = Field(None, ge=0, le=2)
    """How to draw utterances; as suits each model if not given."""
    max_tokens: int = Field(64, ge=1, le=4096)
    """Longest utterance."""
    seed: int = Field(0, ge=0)
    """Seed of the first meeting; the next ones count on."""


def bundled() -> list[str]:
    """Names of the bundled scenes."""
    return sorted(file.stem for file in SCENES.glob("*.yaml"))


def read_scene(target: str, overrides: tuple[str, ...] = (), run: str = "") -> Scene:
    """The scene of a file, or a bundled one by name. ConfigError names file, key, what was found, and the ways on."""
    file = SCENES / f"{target}.yaml" if target in bundled() else Path(target)
    if not file.is_file():
        raise ConfigError(f"{target}: no such scene file, and no bundled scene of that name ({', '.join(bundled())}).")
    tree = read_yaml(file)
    for override in overrides:
        try:
            apply_override(tree, override)
        except yaml.YAMLError:
            raise ConfigError(f"--set {override}: the value is not valid YAML.") from None
    if run:
        tree["run"] = run
    scene = parse(Scene, tree, str(file))
    for place, seat in enumerate(scene.seats):
        check_seat(seat, f"{file}: seats.{place}")
    if scene.moderator:
        check_seat(scene.moderator, f"{file}: moderator")
        if scene.moderator.human:
            raise ConfigError(f"{file}: moderator: a human cannot moderate; give a model, or none for the rule.")
    return scene


def check_seat(seat: SeatSettings, place: str) -> None:
    """ConfigError unless the settings name exactly one who can sit there."""
    kinds = [bool(seat.persona), bool(seat.profile), seat.human]
    if sum(kinds) != 1:
        raise ConfigError(f"{place}: give one of persona (ID@STAGE), name with profile, or human: true with a name.")
    if not seat.persona and not seat.name:
        raise ConfigError(f"{place}: name is missing.")
    if seat.address and not seat.model:
        raise ConfigError(f"{place}: address needs model, the name that the server knows the model by.")
    if seat.human and (seat.address or seat.taker or seat.run):
        raise ConfigError(f"{place}: a human has no address, taker or run.")
