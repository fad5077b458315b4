"""Spoilt exports: whatever happens to the bytes, a reader yields passages and what it dropped, or refuses in one line."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import reader

CHATS = Path(__file__).parent / "chats"
FILES = {
    "WhatsApp Chat with Harbour House.txt": "whatsapp", "result.json": "telegram", "Harbour - boats [1].json": "discord", "wechat-all.csv": "wechat",
    "letters.tsv": "columns", "talks.jsonl": "columns", "conversations.json": "openai", "messages.jsonl": "openai", "sharegpt.json": "sharegpt",
}  # fmt: skip
NASTY = (
    b"null", b"[]", b"{}", b'"', b"\x00", b"\xff\xfe", b"\\ud800", b"1e999", b"-1", b"99999999999999999999", b"\n" * 9, b"[" * 300, b'{"a":' * 300,
    "：".encode(), b'""', b"=cmd()", b"true", b"\r", b"\xe2\x80\xa8", b"0000-00-00T99:99:99", b"9" * 6000,
)  # fmt: skip


def spoilt(content: bytes, cuts: list[tuple[float, float, bytes]]) -> bytes:
    """Bytes with pieces put in place of others, at shares of the length."""
    for start, length, piece in cuts:
        place = int(start * len(content))
        content = content[:place] + piece + content[place + int(length * 40) :]
    return content


changes = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.one_of(st.sampled_from(NASTY), st.binary(max_size=12))), min_size=1, max_size=4
)


def check(format: str, path: Path) -> None:
    """Read a file to its end; nothing but passages, dropped places, or one clear line."""
    refused = ""
    try:
        for found in reader(format).read(path):
            assert isinstance(found, (Passage, Dropped))
            found.model_dump_json().encode("utf-8")
    except MaterialError as error:
        refused = str(error)
    assert "\n" not in refused


@pytest.mark.parametrize(("file", "format"), FILES.items())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=changes)
def test_a_spoilt_file_is_read_or_refused(file: str, format: str, cuts: list[tuple[float, float, bytes]], tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_bytes(spoilt((CHATS / file).read_bytes(), cuts))
    check(format, path)


@pytest.mark.parametrize("member", ["users.json", "channels.json", "workshop/2024-05-06.json"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=changes)
def test_a_spoilt_folder_is_read_or_refused(member: str, cuts: list[tuple[float, float, bytes]], tmp_path: Path) -> None:
    folder = tmp_path / "slack"
    shutil.copytree(CHATS / "slack", folder, dirs_exist_ok=True)
    (folder / member).write_bytes(spoilt((CHATS / "slack" / member).read_bytes(), cuts))
    check("slack", folder)
