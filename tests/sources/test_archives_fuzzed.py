"""ZIP archives that mean harm, walked as `persllm ingest` walks them: read in bounds or refused in one line, nothing else."""

import io
import json
import os
import random
import struct
import tracemalloc
import unicodedata
import zipfile
from datetime import timedelta
from pathlib import Path

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persllm.errors import MaterialError
from persllm.ingestion import Ingested, ingest, request_of
from persllm.sources.archives import LARGEST_DIRECTORY

TRIES = int(os.environ.get("PERSLLM_FUZZ", "12"))
STORY = "Ada Lorn came back in winter and found the mill burnt down. She wept.\n\nAda Lorn did not speak for days.\n"
CHAT = "[03.05.20, 12:01:02] Karl Holm: Is the mill yours?\n[03.05.20, 12:01:22] Ada Lorn: Every stone of it.\n"


TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def steers(text: str) -> bool:
    """Whether a text holds what steers a terminal or turns the order of the letters."""
    return any(unicodedata.category(letter) == "Cc" or unicodedata.bidirectional(letter) in TURNING for letter in text)


def taken_in(path: Path) -> Ingested | str:
    """What comes of an archive: a folder, not written, or the refusal in one line."""
    try:
        return ingest(request_of([path], "Ada Lorn", [], "", "", "", "", ""), path.parent / "ada", dry_run=True)
    except MaterialError as error:
        refusal = str(error)
    assert refusal.strip()
    assert len(refusal.splitlines()) == 1
    assert not steers(refusal)
    return refusal


def packed(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes | str]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def swollen(member: str, filler: bytes) -> bytes:
    """A Word document with a filler in one of its parts."""
    document, held, found = docx.Document(), io.BytesIO(), io.BytesIO()
    document.add_paragraph(STORY)
    document.save(held)
    with zipfile.ZipFile(held) as source, zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"</w:p>", b"</w:p>" + filler, 1) if name == member else source.read(name))
    return found.getvalue()


def unlike(unit: bytes, times: int) -> bytes:
    """A unit again and again, with numbers between, so that it does not shrink to nothing."""
    numbers = random.Random(1)
    return b"".join(unit * 100 + b"<!--%d-->" % numbers.getrandbits(40) for _ in range(times // 100))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive of what people have."""
    document, held = docx.Document(), io.BytesIO()
    document.add_paragraph(STORY)
    document.save(held)
    inner = packed(tmp_path_factory.mktemp("inner") / "b.zip", [("story.txt", STORY)]).read_bytes()
    users, day = [{"id": "U1", "name": "Ada Lorn"}], [{"type": "message", "user": "U1", "text": "Every stone.", "ts": "1704182400.1"}]
    path = tmp_path_factory.mktemp("sample") / "a.zip"
    packed(path, [
        ("_chat.txt", CHAT), ("books/story.txt", STORY), ("books/winter.docx", held.getvalue()), ("inner.zip", inner), ("photo.jpg", b"\xff\xd8\xff"),
        ("s/users.json", json.dumps(users)), ("s/general/2024-01-02.json", json.dumps(day)), ("t.csv", "speaker,text\nAda Lorn,One.\n"), ("d/", b""),
    ], zipfile.ZIP_STORED)  # fmt: skip
    return path.read_bytes()


CHANGE = st.tuples(
    st.floats(0, 1), st.integers(0, 30),
    st.one_of(
        st.binary(max_size=20), st.integers(0, 2**32 - 1).map(lambda n: struct.pack("<I", n)),
        st.sampled_from([
            b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\xff\xff\xff\xff", b"\0\0\0\0", b"../x", b"/etc/x", b"\x08\0", b"\x0c\0",
            b"\x0e\0", b"\x09\0", b"\x01\0", b"\x01\x08", b"\x1b[2J", b"\n", b"\xe2\x80\xae", b"\x01\0\x18\0" + b"\xff" * 24,
        ]),
    ),
)  # fmt: skip


def test_a_damaged_archive_is_read_or_refused(sample: bytes, tmp_path: Path) -> None:
    @settings(
        max_examples=4 * TRIES,
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
        derandomize=TRIES < 100,
        database=None,
    )
    @given(st.lists(CHANGE, min_size=1, max_size=5), st.booleans())
    def tried(changes: list[tuple[float, int, bytes]], at_the_end: bool) -> None:
        content = sample
        for place, cut, new in changes:
            first = content.find(b"PK\x01\x02") if at_the_end else 0
            at = max(first, 0) + int(place * (len(content) - max(first, 0)))
            content = content[:at] + new + content[at + (cut if cut < 15 else len(new)) :]
        (tmp_path / "a.zip").write_bytes(content)
        taken_in(tmp_path / "a.zip")

    tried()


NAMES = st.text(
    st.one_of(
        st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=["Cs"]),
        st.sampled_from("/\\.:\n\r\x1b\u202e\u2066\u200e~ "),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=4 * TRIES, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, st.sampled_from([".txt", ".csv", ".json", ".docx", ".zip", "", "/"])), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_names_in_an_archive(tmp_path: Path, names: list[tuple[str, str]]) -> None:
    packed(tmp_path / "a.zip", [(name + suffix, f"{STORY} {number}") for number, (name, suffix) in enumerate(names)])
    made = taken_in(tmp_path / "a.zip")
    if not isinstance(made, str):
        assert not any(steers(source.name) for source in made.sources)


def linked() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("story.txt")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


REFUSED = {
    "a name that climbs": ([("a/../../story.txt", STORY)], "leads out"),
    "an absolute name": ([("/etc/story.txt", STORY)], "leads out"),
    "a name of a drive": ([("C:\\story.txt", STORY)], "leads out"),
    "a link": ([(linked(), "/etc/passwd")], "holds a link"),
    "60,000 empty files": ([(f"{n:050}.txt", b"") for n in range(60_000)], "the list of its files takes more than 4 MiB"),
    "11,000 empty files": ([(f"{n}.txt", b"") for n in range(11_000)], "more than 10000 files"),
    "a bomb": ([("story.txt", b"Ada Lorn\n" * (6 << 20))], "zip bomb"),
    "an archive in an archive only": ([("b.zip", b"PK\5\6" + b"\0" * 18)], "no reader knows anything"),
    "a document that is a bomb": ([("a.docx", swollen("word/document.xml", b"<w:p/>" * (5 << 20)))], "zip bomb"),
    "a document of empty elements": (
        [("a.docx", swollen("word/document.xml", unlike(b"<w:p/>", 2_200_000)))],
        "more than 2000000 elements",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_archive_that_means_harm_is_refused_in_one_line_and_little_memory(name: str, tmp_path: Path) -> None:
    members, message = REFUSED[name]
    path = packed(tmp_path / "a.zip", members)
    tracemalloc.start()
    refusal = taken_in(path)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(refusal, str)
    assert message in refusal
    assert held < 128 << 20


def test_a_book_that_is_a_bomb_costs_only_itself(tmp_path: Path) -> None:
    package = b'<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    container = b'<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'
    page = b"<html><body>" + unlike(b"<p>a", 1_100_000) + b"</body></html>"
    packed(tmp_path / "a.epub", [("META-INF/container.xml", container), ("b.opf", package), ("a.xhtml", page)])
    path = packed(tmp_path / "a.zip", [("a.epub", (tmp_path / "a.epub").read_bytes()), ("story.txt", STORY)])
    made = taken_in(path)
    assert isinstance(made, Ingested)
    assert [(source.name, source.materials) for source in made.sources] == [("a.zip/a.epub", 0), ("a.zip/story.txt", 1)]
    assert sum(made.dropped.values()) == 1


def test_of_two_files_of_one_name_the_last_is_read_and_the_other_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = packed(tmp_path / "a.zip", [("story.txt", "First."), ("story.txt", STORY)])
    made = taken_in(path)
    assert isinstance(made, Ingested)
    assert [(source.name, source.materials) for source in made.sources] == [("a.zip/story.txt", 1)]
    assert made.dropped == {"another file of the same name in the archive": 1}


def test_files_that_overlap_give_no_more_than_they_declare(tmp_path: Path) -> None:
    """Many names for one place in the archive: each declares its size, and all of them together have a bound."""
    path = packed(tmp_path / "a.zip", [("story.txt", STORY + "\n".join(str(n) for n in range(300_000)))])
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.find(b"PK\x05\x06")
    entry = content[start:end]
    entries = b"".join(entry.replace(b"story.txt", b"st%03d.txt" % n) for n in range(900))
    path.write_bytes(content[:start] + entries + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 900, 900, len(entries), start, 0))
    refusal = taken_in(path)
    assert isinstance(refusal, str)
    assert "unpacks to more than 1024 MiB" in refusal


def test_a_large_archive_of_the_newer_kind_is_read(tmp_path: Path) -> None:
    """ZIP64, as programs write it that do not know the size beforehand."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("story.txt", "w", force_zip64=True) as member:
        member.write(STORY.encode())
    content = path.read_bytes()
    end = content.find(b"PK\x05\x06")
    _, _, _, _, count, size, start, _ = struct.unpack("<4s4H2LH", content[end:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    path.write_bytes(
        content[:end] + record + locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )
    made = taken_in(path)
    assert isinstance(made, Ingested)
    assert made.sources[0].materials == 1
    huge = record[:40] + struct.pack("<Q", 1 << 40) + record[48:]
    path.write_bytes(
        content[:end] + huge + locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )
    assert isinstance(taken_in(path), str)
    assert LARGEST_DIRECTORY < 1 << 40


def test_names_that_steer_a_terminal_are_shown_without(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", [("x\x1b[2J\ny\u202etxt.txt", STORY)])
    made = taken_in(path)
    assert isinstance(made, Ingested)
    assert [(source.name, source.materials) for source in made.sources] == [("a.zip/x\ufffd[2J\ufffdy\ufffdtxt.txt", 1)]
