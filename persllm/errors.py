"""The errors a user can act on.

Every message says what was found, where, and the ways on, in the user's words. The command line prints
the message without a traceback; anything that is not a `PersllmError` is a fault of ours and keeps its
traceback.
"""


class PersllmError(Exception):
    """Base of everything the user can mend."""


class ConfigError(PersllmError):
    """A recipe or persona.yaml holds something that cannot be used."""


class MaterialError(PersllmError):
    """The materials of a person cannot be read, or are not enough."""


class RunError(PersllmError):
    """A run folder cannot be used as asked: other settings, unfinished, locked, no space."""


class BaseModelError(PersllmError):
    """The base model or its tokenizer is missing or does not fit."""


class ModelError(PersllmError):
    """A model one talks to does not answer as it should: address, key, refusal, time-out."""


class BudgetError(PersllmError):
    """What a run may spend on its annotator is spent."""


class TrainingError(PersllmError):
    """Training cannot go on: loss is not a number, no samples, no memory."""
