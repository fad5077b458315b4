"""Scales from files: one JSON file, or a folder with one sub-folder per language.

A file is an object with `items`, or a bare list of items: `id`, `text` (words, or language -> words), `domain`, and `key`
(1, -1) or `keyed` (plus, minus). Items with two poles have `left` and `right`, and the file then has `scores`: domain ->
`weights` (item -> 1 or -1). `options` (or `choices`) names the five labels, the lowest first. A folder has
`LANGUAGE/questions.json` and, if it likes, `LANGUAGE/choices.json` or `choices.js`; items go together by their id.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from persllm.errors import ConfigError
from persllm.scales.inventory import SELF, Scale, Statement

SHORT = "short"
WIDTH = 5
"""Options of every item."""
LABEL = re.compile(r"text:\s*(['\"])(?P<text>.+?)\1\s*,\s*score:\s*(?P<score>\d)")
"""A label in a choices.js."""
LARGEST = 5_000_000
"""Bytes of a file that are read at most."""


def read_scale(source: str = SHORT) -> Scale:
    """The bundled scale `short`, or that of a JSON file or folder. ConfigError says what is wrong, and where."""
    if source == SHORT:
        return scale_of(json.loads((files("persllm.scales") / "short.json").read_text(encoding="utf-8")), SHORT)
    path = Path(source)
    return of_folder(path) if path.is_dir() else scale_of(parsed(path), source)


def parsed(path: Path) -> Any:
    """The JSON of a file."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST:,} bytes; that is no scale.")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a scale that can be read ({error}); give `{SHORT}`, a JSON file or a folder.") from None


def scale_of(found: Any, source: str) -> Scale:
    """A scale from parsed JSON."""
    whole: Mapping[str, Any] = found if isinstance(found, dict) else {"items": found}
    rows = whole.get("items")
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{source}: no items; a scale is an object with a list `items`, or such a list.")
    keys = keys_of(whole.get("scores") or {}, source)
    items = tuple(statement(row, place, source, keys) for place, row in enumerate(rows, 1))
    if len({item.id for item in items}) < len(items):
        raise ConfigError(f"{source}: two items have the same id; give each its own.")
    options = {code: labels(values, source) for code, values in by_language(whole.get("options") or whole.get("choices") or {}).items()}
    return Scale(
        name=str(whole.get("name") or Path(source).stem), items=items, options=options, names=whole.get("names") or {},
        fragments=are_fragments(items),
    )  # fmt: skip


def keys_of(scores: Mapping[str, Any], source: str) -> dict[str, tuple[str, int]]:
    """Item -> domain and key, from sums with weights. ConfigError for weights that are more than a direction."""
    found: dict[str, tuple[str, int]] = {}
    for domain, score in scores.items():
        for item, weight in (score.get("weights") or {}).items():
            if weight not in (1, -1):
                raise ConfigError(f"{source}: the weight of item {item} in {domain} is {weight!r}; only 1 and -1 can be scored.")
            found[str(item)] = (domain, weight)
    return found


def statement(row: Any, place: int, source: str, keys: Mapping[str, tuple[str, int]]) -> Statement:
    """One item."""
    try:
        number = str(row["id"])
        domain, key = keys[number] if number in keys else (row["domain"], key_of(row))
        if "left" in row:
            return Statement(id=number, domain=domain, key=key, text=by_language(row["left"]), opposite=by_language(row["right"]))
        return Statement(id=number, domain=domain, key=key, text=by_language(row["text"]))
    except (KeyError, TypeError, ValueError):
        needs = "id, text, domain, and key (1 or -1) or keyed (plus or minus)"
        raise ConfigError(
            f"{source}: item {place} needs {needs}; one with two poles id, left, right, and its weight in `scores`."
        ) from None


def key_of(row: Mapping[str, Any]) -> int:
    """The direction of an item."""
    return row["key"] if "key" in row else {"plus": 1, "minus": -1}[row["keyed"]]


def by_language(value: Any) -> dict[str, Any]:
    """A table by language; what is given for none serves all."""
    return value if isinstance(value, dict) else {"": value}


def labels(values: Any, source: str) -> tuple[str, ...]:
    """The labels of the options, the lowest first."""
    if isinstance(values, list) and all(isinstance(one, dict) for one in values):
        values = [one.get("text") for one in sorted(values, key=lambda one: one.get("score", 0))]
    if not isinstance(values, list) or len(values) != WIDTH or not all(isinstance(one, str) and one for one in values):
        raise ConfigError(f"{source}: options must be {WIDTH} labels, the lowest first.")
    return tuple(values)


def are_fragments(items: tuple[Statement, ...]) -> bool:
    """Whether no English statement names the person at its beginning: then they are all predicates without a subject."""
    told = [text for item in items if not item.opposite for code, text in item.text.items() if code in ("", "en")]
    return bool(told) and not any(text.startswith(SELF["en"]) for text in told)


# Folders -------------------------------------------------------------------------------------------------


def of_folder(path: Path) -> Scale:
    """A scale whose languages are sub-folders; `zh-cn` counts as `zh`. An item needs a wording in the first of them only."""
    found = {sub.name.split("-")[0]: sub for sub in sorted(path.iterdir()) if (sub / "questions.json").is_file()}
    if not found:
        raise ConfigError(f"{path}: no LANGUAGE/questions.json in this folder.")
    parts = {code: scale_of(parsed(sub / "questions.json"), str(sub / "questions.json")) for code, sub in found.items()}
    first = "en" if "en" in parts else next(iter(parts))
    others = {code: {item.id: item for item in part.items} for code, part in parts.items()}
    items = [
        item.model_copy(update={"text": {code: own[item.id].text[""] for code, own in others.items() if item.id in own}})
        for item in parts[first].items
    ]
    options = {code: given for code, sub in found.items() if (given := choices(sub))}
    return Scale(name=path.name, items=tuple(items), options=options, fragments=are_fragments(tuple(items)))


def choices(folder: Path) -> tuple[str, ...]:
    """The labels of one language; none if there is no file of them."""
    if (file := folder / "choices.json").is_file():
        found = parsed(file)
        return labels(found.get("plus") if isinstance(found, dict) else found, str(file))
    if not (file := folder / "choices.js").is_file():
        return ()
    upward = file.read_text(encoding="utf-8").partition("minus:")[0]
    return labels([{"text": one["text"], "score": int(one["score"])} for one in LABEL.finditer(upward)], str(file))
