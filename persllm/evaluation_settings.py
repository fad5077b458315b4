"""The section `evaluation` of a recipe: who sits the examination, and how much is asked."""

from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from persllm.constructor_settings import AddressSettings, ApiSettings
from persllm.parsing import Settings

TAKERS = ("base", "prompted", "retrieval", "stylised", "sft", "dpo")
"""The takers that a run knows by itself."""


class TakerSettings(Settings):
    """A model from elsewhere that sits the same examination."""

    path: str = ""
    """Its folder, or its Hugging Face name; empty for a model at an address."""
    api: ApiSettings = ApiSettings()
    """Its OpenAI-compatible address. An address tells no likelihoods: what rests on them stays unscored."""
    manner: Literal["plain", "prompted", "trained"] = "prompted"
    """How it learns who answers: not at all, by profile and stage in the system message, or by the template's variables."""
    retrieval: bool = False
    """Whether passages of the materials that a question calls for stand in the system message too."""


class EmbeddingSettings(Settings):
    """What turns a text into a vector by its meaning; with neither `path` nor `api.url` nothing is measured by it."""

    path: str = ""
    """Folder or Hugging Face name of an encoder whose vectors are the mean over its tokens; text is put in as it is, without a prefix."""
    api: AddressSettings = AddressSettings()
    """Or an OpenAI-compatible address that serves `/v1/embeddings`."""
    batch: int = Field(32, ge=1)
    """Texts that are sent in one call, or encoded at once."""

    @property
    def used(self) -> bool:
        """Whether there is an encoder at all."""
        return bool(self.path or self.api.url)

    @model_validator(mode="after")
    def one_place(self) -> Self:
        """Either a path or an address, and an address with a name for the model."""
        if self.path and self.api.url:
            raise ValueError("embeddings has both a path and an api.url; leave one out")
        if self.api.url and not self.api.model:
            raise ValueError("embeddings.api.url is set and embeddings.api.model is empty; name the model that the server knows")
        return self


class EvaluationSettings(Settings):
    """The examination."""

    models: dict[str, TakerSettings] = Field({})
    """Name -> a model from elsewhere: `path` or `api`, `manner` (plain, prompted, trained), `retrieval`; it sits only if `takers` names it."""
    takers: tuple[str, ...] = ("base", "prompted", "sft", "dpo")
    """Who sits it: `base`, `prompted`, `retrieval`, `stylised`, `sft`, `dpo`, and names of `models`."""
    items_per_set: int = Field(60, ge=1)
    """At most so many constructed items are put per test set, spread over persons and stages."""
    gold: bool = True
    """Also put the persons' hand-written `gold.jsonl`, if there is one."""
    gold_items_per_set: int = Field(120, ge=1)
    """At most so many hand-written items per test set."""
    samples: int = Field(2, ge=2)
    """Answers drawn per shared question for the metric `distinction`."""
    temperature: float = Field(0.7, ge=0.0, allow_inf_nan=False)
    """Temperature of these."""
    max_tokens: int = Field(64, ge=1)
    """Longest answer."""
    bootstrap: int = Field(1000, ge=100)
    """Resamplings behind each interval."""
    batch: int = Field(64, ge=1)
    """Items answered or scored at once."""
    embeddings: EmbeddingSettings = EmbeddingSettings()
    """For the figure `cosine`; not measured unless `path` or `api.url` is set."""

    def deciding(self, *without: str) -> dict[str, Any]:
        """The settings that results depend on, but those named; where vectors come from counts by the model, and only if there are any."""
        made = self.model_dump(mode="json", exclude=set(without))
        if not self.embeddings.used:
            del made["embeddings"]
        else:
            made["embeddings"] = {"path": self.embeddings.path, "model": self.embeddings.api.model}
        return made

    @field_validator("models")
    @classmethod
    def models_have_a_place(cls, models: dict[str, TakerSettings]) -> dict[str, TakerSettings]:
        """A model has a name of its own, and either a path or an address."""
        for name, model in models.items():
            if name in (*TAKERS, "reference"):
                raise ValueError(f"{name} is the name of a taker that every run has; give this model another")
            if bool(model.path) == bool(model.api.url):
                raise ValueError(f"{name} needs either a path or an api.url, found {'both' if model.path else 'neither'}")
        return models

    @field_validator("takers")
    @classmethod
    def takers_are_known(cls, takers: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Every taker is one that a run has, or one of `models`."""
        known = (*TAKERS, *info.data.get("models", {}))
        unknown = [name for name in takers if name not in known]
        if unknown:
            raise ValueError(f"no taker {', '.join(unknown)}; there are {', '.join(known)}, and evaluation.models may name more")
        return tuple(dict.fromkeys(takers))
