"""General conversations without any persona: bundled ones by language, a user's own files, or datasets.

They keep a persona from forgetting how to talk about everything else (paper section 3.3), and a part of them
is held out to measure that.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from persllm.config import MixtureSettings
from persllm.errors import MaterialError
from persllm.general.datasets import read_dataset
from persllm.records import Conversation, Dropped, Message, Persona, fingerprint

HERE = Path(__file__).parent


def bundled_files(languages: set[str]) -> list[Path]:
    """The bundled files of some languages."""
    return sorted(file for code in languages for file in HERE.glob(f"*.{code}.jsonl"))


def talk(mixture: MixtureSettings, personas: Sequence[Persona]) -> list[Conversation]:
    """The general conversations of a recipe: its files and datasets, or the bundled ones in the languages of the persons."""
    return talk_and_dropped(mixture, personas)[0]


def talk_and_dropped(mixture: MixtureSettings, personas: Sequence[Persona]) -> tuple[list[Conversation], list[Dropped]]:
    """The same, with what was left out of the datasets."""
    if not mixture.general_files and not mixture.general_datasets:
        return read_general(bundled_files({persona.language for persona in personas})), []
    found, dropped = read_general([Path(file) for file in mixture.general_files]), []
    for wanted in mixture.general_datasets:
        more, lost = read_dataset(wanted)
        found, dropped = [*found, *more], [*dropped, *lost]
    return found, dropped


def read_general(files: list[Path]) -> list[Conversation]:
    """The conversations in JSONL files of `{"messages": [...]}`; MaterialError with file and line if one is broken."""
    found: list[Conversation] = []
    for file in files:
        if not file.is_file():
            raise MaterialError(f"{file}: no such file of general conversations (mixture.general_files).")
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            if line.strip():
                found.append(read_line(file, number, line))
    return found


def is_held_out(conversation: Conversation) -> bool:
    """Whether a general conversation is kept for the metric `forgetting`: every tenth, by content, for every run."""
    return int(fingerprint([[message.role, message.content] for message in conversation.messages]), 16) % 10 == 0


def read_line(file: Path, number: int, line: str) -> Conversation:
    """One conversation."""
    try:
        messages = [Message(role=m["role"], content=m["content"]) for m in json.loads(line)["messages"]]
    except (ValueError, KeyError, TypeError) as error:
        raise MaterialError(f'{file}, line {number}: expected {{"messages": [{{"role", "content"}}, ...]}}: {error}.') from None
    if len(messages) < 2 or messages[-1].role != "assistant":
        raise MaterialError(f"{file}, line {number}: the last message is not the assistant's.")
    return Conversation(persona="", stage="", kind="general", messages=tuple(messages))
