"""Files of strangers: encodings, long lines, binary, archives and JSON that mean harm. Memory stays flat."""

import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from persllm.errors import MaterialError
from persllm.records import Dropped
from persllm.sources.archives import archive
from persllm.sources.bounded import Line, decoded, encoding_of, lines, parse_json, whole

CHINESE = "她走到窗前，看了看外面的雨，说：“今天不去了，明天再说吧。”他没有回答，只是点了点头。\n" * 3
TRADITIONAL = "她走到窗前，看了看外面的雨，說：「今天不去了，明天再說吧。」他沒有回答，只是點了點頭。\n" * 3
WESTERN = "Der Bär lief über die Straße, und das Café blieb geschlossen.\n" * 3


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", CHINESE), ("utf-8-sig", CHINESE), ("utf-16", CHINESE), ("utf-16-le", WESTERN), ("utf-16-be", WESTERN),
        ("utf-32", WESTERN), ("gb18030", CHINESE), ("big5", TRADITIONAL), ("latin-1", WESTERN), ("cp1252", "“Yes,” she said, “it’s Zoë’s.”\n" * 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascii_before", [0, 300_000])
def test_encodings_are_told(encoding: str, text: str, ascii_before: int, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    text = "plain words\n" * (ascii_before // 12) + text
    file.write_bytes(text.encode(encoding))
    assert "".join(f"{line.text}\n" for line in lines(file)) == text
    assert decoded(file.read_bytes(), "a.txt") == text


def test_a_broken_byte_costs_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(CHINESE.encode() + b"bad \xff\xfe byte\nnext\n")
    found = list(lines(file))
    assert found[-2:] == [Dropped(item="a.txt:4", reason="unreadable characters", detail="bad \ufffd\ufffd byte"), Line(5, "next")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(end: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(f"one{end}two{end}{end}three".encode())
    assert list(lines(file)) == [Line(1, "one"), Line(2, "two"), Line(3, ""), Line(4, "three")]


def test_a_line_without_end_is_dropped_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with open(file, "w") as handle:
        handle.write("first\n")
        for _ in range(64):
            handle.write("a" * (1 << 20))
        handle.write("\nlast\n")
    tracemalloc.start()
    found = list(lines(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [Line(1, "first"), Dropped(item="a.txt:2", reason="line too long", detail="over 1000000 characters"), Line(3, "last")]
    assert peak < 16 << 20


@pytest.mark.parametrize("content", [bytes(range(256)) * 50, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + os.urandom(5000), b"\0" * 5000])
def test_binary_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(MaterialError, match="not a text file"):
        encoding_of(file)


def test_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for name, message in (("pipe.txt", "not a plain file"), ("none.txt", "cannot be read")):
        with pytest.raises(MaterialError, match=message):
            list(lines(tmp_path / name))


def test_whole_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(b"a" * 1001)
    with pytest.raises(MaterialError, match="larger than"):
        whole(tmp_path / "a.srt", 1000)


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "C:\\evil", "..\\evil"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match="leads out"), archive(zipped(tmp_path / "a.zip", {name: b"x"})):
        pass


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(MaterialError, match="holds a link"), archive(tmp_path / "a.zip"):
        pass


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match="zip bomb"), archive(zipped(tmp_path / "a.zip", {"a": b"0" * (50 << 20)})):
        pass


def test_a_zip_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": b"0" * (30 << 20)})
    content = path.read_bytes().replace((30 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(MaterialError, match=r"damaged|unpacks to more"), archive(path) as file:
        file.read("a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_too_many_members_and_not_a_zip(tmp_path: Path) -> None:
    with (
        pytest.raises(MaterialError, match="more than 10000 files"),
        archive(zipped(tmp_path / "a.zip", {f"{i}": b"" for i in range(10_001)})),
    ):
        pass
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MaterialError, match="not a ZIP archive"), archive(tmp_path / "b.zip"):
        pass


def test_one_line_of_json_has_a_depth_too() -> None:
    assert parse_json('{"a": "[[[[{{{\\"[["}') == {"a": '[[[[{{{"[['}
    assert parse_json(json.dumps(["[" * 1000])) == ["[" * 1000]
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json("[" * 100_000 + "]" * 100_000)
