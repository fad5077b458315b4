"""Stub."""

from persllm.records import Conversation


def nursery(count: int, seed: int) -> list[Conversation]:
    return []
