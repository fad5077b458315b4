"""A character card of one person, as PNG and JSON, with the model card of the model that plays the person."""

from persllm.cards import write_card
from persllm.cards.folder import persona_to_card
from persllm.errors import ConfigError
from persllm.release import Contents, Release
from persllm.release.model_card import model_card

USE = """\
`card.png` (V3, with V2 inside for older programs) and `card.json` tell a chat program who the character is. They hold no weights: any model can
play the card; the figures below are of the trained model, exported with `persllm export RUN --to merged`.
"""


def contents(release: Release) -> Contents:
    """The card in both forms. ConfigError if there are several persons and none is named."""
    wanted = [persona for persona in release.personas if release.wishes.persona in ("", persona.id)]
    if len(wanted) != 1:
        raise ConfigError(f"{release.run}: which person? Give --persona: {', '.join(persona.id for persona in wanted)}.")
    card = persona_to_card(wanted[0], release.materials, release.wishes.stage)
    made = {f"card.{form}": (4096, lambda file: write_card(card, file)) for form in ("png", "json")}
    return Contents(texts={"README.md": model_card(release, USE)}, made=made)
