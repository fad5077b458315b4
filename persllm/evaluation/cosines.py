"""Cosines of answers and references, from the vectors of an encoder at an address or in a folder.

Vectors are kept by content, one file for each encoder, `kept/vectors/FINGERPRINT.jsonl`: a folder is known by its weights, a
name by the name, an address by its URL and the name of the model. A text is kept as it was sent, behind masks if there are
any. Failures are not kept. Vectors of one encoder have one length: the commonest, and those of another are failures.

Limits: behind one URL and name another model may come to stand, and nobody can tell; remove `kept/vectors` then. Vectors
that were made in other company may differ in their last digits; cosines are kept to six.
"""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from persllm.chat import Embedded, EmbeddingModel, Encoder
from persllm.evaluation_settings import EmbeddingSettings
from persllm.metrics import Cosine
from persllm.metrics.cosine import METRICS, other_questions
from persllm.metrics.sitting import Said
from persllm.records import Answer, Record, TestItem, fingerprint
from persllm.store import read_records, replace_records

NUMBERS = np.dtype("<f4")
"""How vectors are kept."""
NO_OTHER = "no other question of this person and set"


class Vector(Record):
    """A kept vector."""

    text: str
    """Fingerprint of the text."""
    numbers: str
    """The vector, of length 1, as 32-bit numbers, little-endian, in base64."""


def encoder_of(settings: EmbeddingSettings, threads: int) -> Encoder:
    """The encoder that the settings name. ModelError if it is not to be had."""
    if settings.api.url:
        return EmbeddingModel(settings.api, settings.batch)
    from persllm.encoder import LocalEncoder

    return LocalEncoder(settings.path, settings.batch, threads)


def compare(
    takers: Sequence[str], items: Sequence[TestItem], answers: Sequence[Answer], encoder: Encoder, kept: Path,
    masked: Callable[[str], str] = str,
) -> list[Cosine]:  # fmt: skip
    """The cosines of every taker's greedy answers, and of the references of other questions; a pair without two vectors has the
    reason. `masked` is what a text becomes before the encoder gets it.
    """
    said = {(one.taker, one.item): one.text.strip() for one in answers if one.sample == 0 and not one.error and one.text.strip()}
    others = other_questions(item for item in items if item.set != "general")
    pairs: dict[tuple[str, str, Said], tuple[str, str]] = {}
    for taker, item, kind in product(takers, items, METRICS):
        if (taker, item.id) in said and (kind == "answer" or item.id in others):
            text = said[taker, item.id] if kind == "answer" else others[item.id].reference
            pairs[taker, item.id, kind] = masked(text), masked(item.reference)
    vectors = vectors_of([text for pair in pairs.values() for text in pair], encoder, kept)
    return [
        cosine(Cosine(taker=taker, item=item.id, said=kind), pairs.get((taker, item.id, kind)), vectors)
        for taker, item, kind in product(takers, items, METRICS)
        if (taker, item.id) in said
    ]


def cosine(blank: Cosine, pair: tuple[str, str] | None, vectors: Mapping[str, Embedded]) -> Cosine:
    """The cosine of two texts, or why there is none."""
    if pair is None:
        return blank.model_copy(update={"error": NO_OTHER})
    one, other = (vectors[text] for text in pair)
    if one.error or other.error:
        return blank.model_copy(update={"error": one.error or other.error})
    return blank.model_copy(update={"value": round(float(np.dot(one.numbers, other.numbers)), 6)})


def vectors_of(texts: Sequence[str], encoder: Encoder, folder: Path) -> dict[str, Embedded]:
    """Text -> its vector; the encoder is asked for those that are not kept, each once, and good ones are kept."""
    file = folder / f"{fingerprint(encoder.name)}.jsonl"
    kept = {one.text: one for one in read_records(file, Vector)} if file.is_file() else {}
    keys = {text: fingerprint(text) for text in texts}
    known = {text: Embedded(numbers=unpacked(kept[key])) for text, key in keys.items() if key in kept}
    owed = [text for text in keys if text not in known]
    fresh = dict(zip(owed, encoder.vectors(owed), strict=True)) if owed else {}
    found = of_one_length({**known, **fresh})
    made = {keys[text]: found[text] for text in owed if not found[text].error}
    if made:
        merged = {**kept, **{key: Vector(text=key, numbers=packed(one.numbers)) for key, one in made.items()}}
        replace_records(file, [merged[key] for key in sorted(merged)])
    return found


def of_one_length(vectors: Mapping[str, Embedded]) -> dict[str, Embedded]:
    """The vectors, those left out that are not as long as most: of a text whose vector is another space's nothing can be said."""
    lengths = Counter(len(one.numbers) for one in vectors.values() if not one.error)
    usual = lengths.most_common(1)[0][0] if lengths else 0
    return {
        text: one
        if one.error or len(one.numbers) == usual
        else Embedded(error=f"a vector of {len(one.numbers)} numbers, others have {usual}")
        for text, one in vectors.items()
    }


def packed(numbers: Sequence[float]) -> str:
    """Numbers as they are kept."""
    return b64encode(np.asarray(numbers, dtype=NUMBERS).tobytes()).decode("ascii")


def unpacked(vector: Vector) -> tuple[float, ...]:
    """The numbers of a kept vector."""
    return tuple(np.frombuffer(b64decode(vector.numbers), dtype=NUMBERS).tolist())
