"""A persona folder or a run in forms that other programs read: a character card, a data set of Hugging Face."""

from pathlib import Path

from persllm.cards import write_card
from persllm.cards.folder import KEPT, persona_to_card
from persllm.errors import MaterialError
from persllm.materials import read_folder
from persllm.records import Material, Persona
from persllm.store import Run

CARDS = (".json", ".png")


def persons_of(target: Path) -> tuple[list[Persona], list[Material], Path | None]:
    """Persons and materials of a folder or a run, and the card.json a folder was made of."""
    if (target / "config.json").is_file():
        step = Run.open(target).step("1-materials")
        return step.records(Persona, "personas.jsonl"), step.records(Material), None
    folder = read_folder(target)
    return [folder.persona], list(folder.materials), target / KEPT


def export_card(target: Path, out: Path, persona: str = "", stage: str = "", image: Path | None = None) -> str:
    """Write the card of one person of a folder or run, and return the name; MaterialError if it is not clear who."""
    persons, materials, kept = persons_of(target)
    chosen = [person for person in persons if persona in ("", person.id, person.name)]
    if len(chosen) != 1:
        known = ", ".join(person.id for person in persons)
        raise MaterialError(f"{target}: {'which person? Give --persona' if chosen else f'no person {persona}'}; there are {known}.")
    card = persona_to_card(chosen[0], materials, stage, kept)
    write_card(card, out, image)
    return card.name
