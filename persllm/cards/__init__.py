"""Character cards, the form in which characters are passed on among chat programs: read and written as JSON and PNG.

Character Card V2 (`chara_card_v2`) and V3 (`chara_card_v3`), with the flat first version read too. In a PNG the card is
the base64 of its JSON in the text `ccv3` (V3) or `chara` (V2); where both are there, `ccv3` counts. Fields that are not
known are kept, so that a card that goes in comes out with them.
"""

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from persllm.cards import png
from persllm.errors import MaterialError
from persllm.records import Record
from persllm.sources.archives import archive
from persllm.sources.bounded import decoded, parse_json, whole
from persllm.sources.json_items import mended
from persllm.store import disk_trouble, replace_text

SPECS = {"chara_card_v2": "2.0", "chara_card_v3": "3.0"}
TEXTS = (
    "name",
    "description",
    "personality",
    "scenario",
    "first_mes",
    "mes_example",
    "creator_notes",
    "nickname",
    "creator",
    "character_version",
)
DECORATOR = re.compile(r"^@@.*\n?", re.MULTILINE)
"""Lines of V3 entries that tell a chat program when to use them."""
BACKFILLED = "This card was written as Character Card V3; a program that reads V3 shows it whole."


class Entry(Record):
    """An entry of a card's book of knowledge."""

    title: str
    content: str
    keys: tuple[str, ...] = ()


class Card(Record):
    """A character as cards tell of one; macros as they stand in the card."""

    name: str
    nickname: str = ""
    description: str = ""
    personality: str = ""
    scenario: str = ""
    greetings: tuple[str, ...] = ()
    """`first_mes` and `alternate_greetings`."""
    examples: str = ""
    """`mes_example`: talks that begin with `<START>`."""
    book: tuple[Entry, ...] = ()
    tags: tuple[str, ...] = ()
    creator_notes: str = ""
    rest: dict[str, Any] = Field(default_factory=dict)
    """Fields of the card that are not read here, kept for writing."""
    ignored: tuple[str, ...] = ()
    """Fields with content that persllm has no use for, such as `system_prompt`."""


def read_card(path: Path) -> Card:
    """The card in a JSON, PNG or CHARX file; MaterialError in one line if there is none."""
    suffix = path.suffix.lower()
    if suffix in (".png", ".apng"):
        text = from_png(png.read(path), path.name)
    elif suffix == ".charx":
        with archive(path) as zipped:
            text = decoded(zipped.read("card.json"), path.name)
    else:
        text = decoded(whole(path), path.name)
    try:
        tree = mended(parse_json(text))
    except (ValueError, RecursionError) as error:
        raise MaterialError(f"{path.name}: the card is no JSON ({str(error)[:80]}). Get the file again.") from error
    return card_of(tree, path.name)


def from_png(content: bytes, name: str) -> str:
    """The JSON in a PNG."""
    found = png.texts(content, name)
    raw = found.get("ccv3") or found.get("chara")
    if raw is None:
        raise MaterialError(
            f"{name}: no character card in this PNG (no text `ccv3` or `chara`). Pictures that were sent through chats lose it."
        )
    try:
        return base64.b64decode(raw, validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise MaterialError(f"{name}: the card in this PNG is damaged ({error}). Get the file again.") from error


def card_of(tree: Any, name: str) -> Card:
    """A card from its JSON, of any version."""
    data = tree.get("data") if isinstance(tree, dict) and isinstance(tree.get("data"), dict) else tree
    if not isinstance(data, dict) or not isinstance(data.get("name"), str) or not data["name"].strip():
        raise MaterialError(f"{name}: no character card (no `name`). Known are Character Card V1, V2 and V3.")
    text = {field: str(data.get(field) or "").replace("\r\n", "\n").strip() for field in TEXTS}
    greetings = [text["first_mes"], *(str(greeting).strip() for greeting in listed(data.get("alternate_greetings")))]
    read = {*TEXTS, "alternate_greetings", "character_book", "tags"}
    book = data.get("character_book")
    unused = ("system_prompt", "post_history_instructions")
    return Card(
        name=text["name"], nickname=text["nickname"], description=text["description"], personality=text["personality"], scenario=text["scenario"],
        greetings=tuple(filter(None, greetings)), examples=text["mes_example"], book=entries_of(book if isinstance(book, dict) else {}),
        tags=tuple(str(tag) for tag in listed(data.get("tags"))), creator_notes=text["creator_notes"],
        rest={key: value for key, value in data.items() if key not in read or key in ("creator", "character_version")},
        ignored=tuple(field for field in unused if str(data.get(field) or "").strip()),
    )  # fmt: skip


def listed(value: Any) -> list[Any]:
    """A list, or nothing where a card has something else."""
    return value if isinstance(value, list) else []


def entries_of(book: dict[str, Any]) -> tuple[Entry, ...]:
    """The entries of a book that are switched on, in their order."""
    found = []
    for entry in sorted((e for e in listed(book.get("entries")) if isinstance(e, dict)), key=order_of):
        content = DECORATOR.sub("", str(entry.get("content") or "")).strip()
        keys = tuple(str(key) for key in listed(entry.get("keys")))
        title = str(entry.get("name") or entry.get("comment") or next(iter(keys), "")).strip()
        if content and entry.get("enabled", True):
            found.append(Entry(title=title or content.split(".")[0][:60], content=content, keys=keys))
    return tuple(found)


def order_of(entry: dict[str, Any]) -> float:
    """The place of an entry in its book."""
    order = entry.get("insertion_order")
    return float(order) if isinstance(order, (int, float)) else 0.0


def tree_of(card: Card, spec: str = "chara_card_v3") -> dict[str, Any]:
    """A card as JSON of V2 or V3."""
    data = {
        **{"system_prompt": "", "post_history_instructions": "", "creator": "", "character_version": "", "extensions": {}}, **card.rest,
        "name": card.name, "description": card.description, "personality": card.personality, "scenario": card.scenario,
        "first_mes": next(iter(card.greetings), ""), "alternate_greetings": list(card.greetings[1:]), "mes_example": card.examples,
        "creator_notes": card.creator_notes, "tags": list(card.tags),
    }  # fmt: skip
    three = spec == "chara_card_v3"
    if card.book:
        data["character_book"] = {"extensions": {}, "entries": [entry_tree(entry, place, three) for place, entry in enumerate(card.book)]}
    if three:
        data = {"group_only_greetings": [], **data, **({"nickname": card.nickname} if card.nickname else {})}
    return {"spec": spec, "spec_version": SPECS[spec], "data": data}


def entry_tree(entry: Entry, place: int, three: bool) -> dict[str, Any]:
    """An entry of a book as JSON."""
    plain = {
        "keys": list(entry.keys),
        "content": entry.content,
        "extensions": {},
        "enabled": True,
        "insertion_order": place,
        "name": entry.title,
    }
    return {**plain, "use_regex": False, "constant": False} if three else plain


def write_card(card: Card, path: Path, image: Path | None = None) -> None:
    """Write a card as JSON, or into a picture (a plain one if none is given) as V3 and, for older programs, as V2."""
    if path.suffix.lower() == ".json":
        replace_text(path, json.dumps(tree_of(card), ensure_ascii=False, indent=2) + "\n")
        return
    if path.suffix.lower() != ".png":
        raise MaterialError(f"{path}: a card is written as .json or .png.")
    picture = png.read(image) if image else png.plain(card.name)
    older = card.model_copy(update={"creator_notes": f"{card.creator_notes}\n\n{BACKFILLED}".strip()})
    both = {"ccv3": tree_of(card), "chara": tree_of(older, "chara_card_v2")}
    coded = {keyword: base64.b64encode(json.dumps(tree, ensure_ascii=False).encode()) for keyword, tree in both.items()}
    with disk_trouble(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png.with_texts(picture, image.name if image else path.name, coded))
