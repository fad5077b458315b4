"""persllm: put a person into a language model, and know whether it worked."""

__version__ = "0.1.0"
