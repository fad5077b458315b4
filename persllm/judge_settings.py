"""The section `judge` of a recipe."""

from typing import Literal

from pydantic import Field

from persllm.constructor_settings import ApiSettings
from persllm.parsing import Settings

Aspect = Literal["knowledge", "attitude", "likeness"]
"""What is judged: facts, views and feelings, the manner of this person."""
Preset = Literal["pairs", "scores", "paper_accuracy", "paper_rank"]


class JudgeSettings(Settings):
    """What `persllm judge` asks of a model of its own; nothing is asked while no address is given. It changes no result of a run."""

    api: ApiSettings = ApiSettings(temperature=0.0, max_tokens=400)
    """The judging model. Its address is never taken from the annotator: name it, and better another model than that one."""
    presets: tuple[Preset, ...] = Field(("pairs", "scores"), min_length=1)
    """`pairs`: two takers side by side, in both orders; `scores`: 0 to 5 against the reference; `paper_accuracy`, `paper_rank`: as in the paper."""
    aspects: tuple[Aspect, ...] = Field(("knowledge", "attitude", "likeness"), min_length=1)
    """What `pairs` and `scores` judge, each by itself."""
    takers: tuple[str, ...] = ()
    """Whose answers are judged; empty for all who sat the examination. The judge never learns these names."""
    sets: tuple[str, ...] = Field(("knowledge", "attitude", "shared", "recall", "generalisation"), min_length=1)
    """Test sets that questions are taken from, in turn."""
    items: int = Field(60, ge=1)
    """At most so many questions, spread over sets, persons and stages."""
