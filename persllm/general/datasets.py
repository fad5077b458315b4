"""General conversations from Hugging Face datasets: by a name on the hub, or a folder on the disk.

The columns tell the form: a list of messages (`role` and `content`, or `from` and `value`), or a question beside its
answer under one of the usual names. What is no conversation of text that ends with an answer is left out, with the
reason; nothing is cut.

Limits: text only; the rows are downloaded whole before `most` of them are drawn.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from persllm.config import GeneralDataset
from persllm.errors import MaterialError
from persllm.records import Conversation, Dropped, Message

ROLES = {
    "user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant",
    "bot": "assistant", "model": "assistant", "system": "system",
}  # fmt: skip
"""How datasets call who speaks -> how we do."""
TALKS = ("messages", "conversations", "conversation")
ASKED = ("prompt", "instruction", "question", "query")
ANSWERED = ("completion", "response", "output", "answer")

Turns = list[tuple[str, str]]
"""(role as it is called there, text) of each message."""


def read_dataset(wanted: GeneralDataset) -> tuple[list[Conversation], list[Dropped]]:
    """The conversations of a dataset, and what was left out; MaterialError if it is not to be had or of an unknown form."""
    rows = load(wanted)
    turns_of = form_of(rows.column_names, wanted)
    if len(rows) > wanted.most:
        rows = rows.shuffle(seed=0).select(range(wanted.most))
    found: list[Conversation] = []
    dropped: list[Dropped] = []
    for place, row in enumerate(rows):
        made = conversation(turns_of(row))
        if isinstance(made, Conversation):
            found.append(made)
        else:
            dropped.append(Dropped(item=f"{wanted.name}:{place}", reason=f"general: {made}", detail=str(row)[:200]))
    if not found:
        raise MaterialError(
            f"{told(wanted)}: none of its {len(dropped)} rows is a conversation ({dropped[0].reason if dropped else 'no rows'})."
        )
    return found, dropped


def load(wanted: GeneralDataset) -> Any:
    """The rows, from a folder or through the hub's cache."""
    from datasets import load_dataset, load_from_disk
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder = Path(wanted.name)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            kept = load_from_disk(str(folder))
            return kept[wanted.split] if isinstance(kept, Mapping) else kept
        return load_dataset(wanted.name, wanted.config or None, split=wanted.split, revision=wanted.revision or None)
    except Exception as error:
        # The library raises a dozen kinds of errors for what is wrong with a name, a split, a file or the network.
        reason = (str(error).strip() or type(error).__name__).split("\n")[0][:200]
        raise MaterialError(
            f"{told(wanted)}: not to be had ({reason}). Give a folder that holds the dataset, let this machine reach the hub once "
            "(what is downloaded is kept), or give JSONL files as mixture.general_files."
        ) from None


def told(wanted: GeneralDataset) -> str:
    """A dataset in an error."""
    return f"mixture.general_datasets: {wanted.name}{f' ({wanted.config})' if wanted.config else ''}, split {wanted.split}"


def form_of(columns: Sequence[str], wanted: GeneralDataset) -> Callable[[Mapping[str, Any]], Turns | str]:
    """How to read a row, by its columns; MaterialError if they have no known form."""
    talk = next((name for name in TALKS if name in columns), "")
    if talk:
        return lambda row: with_system(row, listed(row[talk]))
    asked, answered = (next((name for name in names if name in columns), "") for names in (ASKED, ANSWERED))
    if asked and answered:
        return lambda row: pair_of(row, asked, answered)
    raise MaterialError(
        f"{told(wanted)}: columns {', '.join(columns)} have no known form. Known: {', '.join(TALKS)} (lists of messages), or one of "
        f"{', '.join(ASKED)} beside one of {', '.join(ANSWERED)}. Rename the columns, or write mixture.general_files."
    )


def listed(messages: Any) -> Turns | str:
    """The turns of a list of messages; why not if it is none."""
    if not isinstance(messages, Iterable) or isinstance(messages, (str, Mapping)):
        return "not a list of messages"
    turns: Turns = []
    for message in messages:
        if not isinstance(message, Mapping):
            return "not a list of messages"
        turns.append((str(message.get("role") or message.get("from") or ""), message.get("content") or message.get("value") or ""))
    return turns


def pair_of(row: Mapping[str, Any], asked: str, answered: str) -> Turns | str:
    """The turns of a question and its answer, each a text or a list of messages; `input` belongs to an instruction."""
    given = row.get("input") if asked == "instruction" else ""
    before = row[asked] if not isinstance(row[asked], str) else [{"role": "user", "content": "\n".join(filter(None, [row[asked], given]))}]
    after = row[answered] if not isinstance(row[answered], str) else [{"role": "assistant", "content": row[answered]}]
    parts = [listed(before), listed(after)]
    wrong = next((part for part in parts if isinstance(part, str)), "")
    return wrong or with_system(row, [turn for part in parts for turn in part])


def with_system(row: Mapping[str, Any], turns: Turns | str) -> Turns | str:
    """The turns after the system message that a column of its own holds."""
    system = row.get("system") or ""
    return [("system", system), *turns] if isinstance(turns, list) and isinstance(system, str) and system.strip() else turns


def conversation(turns: Turns | str) -> Conversation | str:
    """A conversation, or why the turns are none that can be trained on."""
    if isinstance(turns, str):
        return turns
    if any(not isinstance(text, str) or not text.strip() for _, text in turns):
        return "a message without text"
    roles = [ROLES.get(role.lower(), "") for role, _ in turns]
    if "" in roles:
        return f"role {turns[roles.index('')][0] or 'missing'}"
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if spoken != [("user", "assistant")[place % 2] for place in range(len(spoken))]:
        return "user and assistant do not take turns"
    if not spoken or spoken[-1] != "assistant":
        return "the last message is not the assistant's"
    messages = tuple(Message(role=role, content=text.strip()) for role, (_, text) in zip(roles, turns, strict=True))
    return Conversation(persona="", stage="", kind="general", messages=messages)
