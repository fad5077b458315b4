"""An encoder of sentences in memory: the mean of the last hidden states over a text's tokens, of length 1.

Loaded through plain Transformers: weights in safetensors, no code from the folder. What a folder of sentence-transformers
says of itself is heeded: another pooling, or layers behind it, are refused, since the vectors would be others than
its makers'. A text too long for the encoder is cut at its end, as theirs is.

Limits: a prefix that some encoders want before a text (`query: `) stands in no file that all have, and is not put in; serve
such a model and give its address. An encoder that says nothing of its pooling is given the mean.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from persllm.chat import Embedded
from persllm.chat.vectors import checked
from persllm.errors import ModelError
from persllm.weights import weights_of

PLAIN = {"Transformer", "Pooling", "Normalize"}
"""Parts of an encoder that are done here."""
ADDRESS = "Give the address of a server that serves it (evaluation.embeddings.api), or another encoder"


class LocalEncoder:
    """The encoder of a folder or Hugging Face name, on a GPU if there is one. ModelError if it cannot be used."""

    def __init__(self, source: str, batch: int, threads: int):
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        torch.set_num_threads(threads)
        self.batch = batch
        self.name = weights_of(Path(source)) if Path(source).is_dir() else source
        with missing(source):
            check_pooling(source)
            self.tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            self.model = AutoModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False).eval()
        if self.tokenizer.pad_token is None or self.model.config.is_encoder_decoder:
            raise ModelError(f"evaluation.embeddings.path {source}: not an encoder whose vectors are a mean over its tokens. {ADDRESS}.")
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.longest = min(self.tokenizer.model_max_length, longest_row(self.model))

    def vectors(self, texts: Sequence[str]) -> list[Embedded]:
        """The vectors of texts, in their order; texts of like length are encoded together."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        found: dict[int, Embedded] = {}
        for start in range(0, len(order), self.batch):
            places = order[start : start + self.batch]
            rows = self.encoded([texts[place] for place in places]).tolist()
            found |= zip(places, map(checked, rows), strict=True)
        return [found[place] for place in range(len(texts))]

    @torch.inference_mode()
    def encoded(self, texts: list[str]) -> torch.Tensor:
        """Means over the tokens that are no padding, (texts, width)."""
        rows = self.tokenizer(texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt").to(self.model.device)
        states = self.model(**rows).last_hidden_state
        mask = rows["attention_mask"].unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


@contextmanager
def missing(source: str) -> Iterator[None]:
    """Turn what Transformers says of an encoder that it cannot load into one line with the ways on."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"evaluation.embeddings.path {source}: no encoder with safetensors that plain Transformers can load, neither in a folder nor in the "
            f"Hugging Face cache ({reason}). {ADDRESS}."
        ) from None


def check_pooling(source: str) -> None:
    """ModelError if the encoder says that its vectors are made otherwise than here."""
    parts = [str(part.get("type", "")).rpartition(".")[2] for part in said(source, "modules.json") or []]
    pooling = said(source, "1_Pooling/config.json") or {}
    wanted = pooling.get("pooling_mode") or [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on]
    if set(parts) - PLAIN or wanted not in ([], "mean", ["mean"], ["pooling_mode_mean_tokens"]):
        how = ", ".join([*sorted(set(parts) - PLAIN), *([wanted] if isinstance(wanted, str) else wanted)])
        raise ModelError(f"evaluation.embeddings.path {source}: its vectors are not the plain mean over its tokens ({how}). {ADDRESS}.")


def said(source: str, name: str) -> Any:
    """What a JSON file of the encoder holds; None if there is no such file."""
    from transformers.utils import cached_file

    file = cached_file(source, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False)
    return json.loads(Path(file).read_text(encoding="utf-8")) if file else None


def longest_row(model: Any) -> int:
    """Tokens that a model holds; some count their places from behind the padding's, and hold so many fewer."""
    places = getattr(model.config, "max_position_embeddings", None) or 1 << 20
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    behind = getattr(table, "padding_idx", None)
    return places if behind is None else places - behind - 1
