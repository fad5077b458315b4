"""One turn of a meeting: a line of its transcript."""

from typing import Literal

from persllm.records import Record


class Turn(Record):
    """Who spoke, what was said, and why it was their turn."""

    number: int
    """From 1."""
    seat: int
    """Place of the seat in the scene, from 0."""
    name: str
    """How the others call the speaker."""
    by: Literal["model", "human"]
    """Whether a language model or a human being said it."""
    text: str
    """Empty if nothing was said."""
    error: str = ""
    """Why nothing was said, if something went wrong."""
    why: str = ""
    """Why it was their turn."""
