"""Whatever bytes a file holds, a reader yields passages and drops, or refuses it in one line. `make fuzz` tries longer."""

import os
import zipfile
from datetime import timedelta
from pathlib import Path

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persllm.errors import MaterialError
from persllm.passages import Passage, SourceReader
from persllm.records import Dropped
from persllm.sources import READERS, recognise
from persllm.sources.bounded import lines
from persllm.sources.dates import date_line

TRIES = int(os.environ.get("PERSLLM_FUZZ", "12"))
"""Inputs for each reader."""
SUFFIXES = {
    "epub": ".epub", "docx": ".docx", "pdf": ".pdf", "subtitles": ".srt", "play-xml": ".xml", "html": ".html", "markdown": ".md",
    "telegram": ".json", "discord": ".json", "openai": ".json", "sharegpt": ".json", "slack": ".json", "wechat": ".csv", "columns": ".csv",
}  # fmt: skip
TEXT = (
    "3 May 1813\n\nDear Karl,\n\nThe mill is sold.\n\nYours,\nAda\n\n4 May 1813\nIt rained.\n\nQ: Why?\nA: For this.\n[00:12:01] Ada: Words.\n\n"
    "INT. MILL - NIGHT\n\nADA\n(softly)\nWho goes there?\n\nBO: Only I.\nADA: Come in.\n## Heading\n```\ncode\n```\nCHAPTER I\n第一回 磨坊\n一九二五年三月十一日 晴\n"
    "阿达：谁？\n1.\n\nTO KARL.\n\nRiga, May 3, 1813.\n\nWords.\n"
)
JSON = '{"name": "x", "messages": [{"id": 1, "type": "message", "date": "2020-01-01T00:00:00", "from": "Ada", "text": ["a", {"text": "b"}], "author": {"name": "Ada"}, "content": "c", "timestamp": "2020-01-01T00:00:00+00:00", "reply_to_message_id": 0}]}'
SAMPLES = {
    "subtitles": "1\n00:00:01,000 --> 00:00:02,000\n<i>ADA: Who</i>\n\nWEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada>Hi\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.00,D,Ada,0,0,0,,{\\b1}Hi\n",
    "play-xml": '<?xml version="1.0"?><PLAY><ACT><TITLE>I</TITLE><SCENE><SPEECH><SPEAKER>A</SPEAKER><LINE>x<STAGEDIR>y</STAGEDIR></LINE></SPEECH></SCENE></ACT></PLAY>',
    "html": "<!DOCTYPE html><html><body><h1>T</h1><p>Words &amp; words<br>more</p><table><tr><td>x</table><script>1</script></body></html>",
    "whatsapp": "[03.05.20, 12:01:02] Ada: Hello\n03/05/2020, 12:01 - Bo: Hi\nand more\n",
    "columns": "speaker,text,date\nAda,=1+1,2020-01-01\n\"Bo\",\"x\ny\",\n", "wechat": "时间,发送人,内容\n2020-01-01 00:00:00,阿达,你好\n",
    "telegram": JSON, "discord": JSON, "slack": JSON, "openai": JSON, "sharegpt": JSON,
    "pdf": "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [4 0 R] /Count 1 >>\nendobj\n3 0 obj\n<< /Length 30 >>\nstream\nBT /F1 12 Tf 1 1 Td (Hi) Tj ET\nendstream\nendobj\n4 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 3 0 R >>\nendobj\ntrailer << /Root 1 0 R >>\n",
}  # fmt: skip


def zipped(path: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path.read_bytes()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small sound file of each format."""
    folder = tmp_path_factory.mktemp("samples")
    document = docx.Document()
    document.add_heading("T", 1)
    document.add_paragraph("Words.")
    document.save(str(folder / "a.docx"))
    package = b'<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    container = b'<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'
    page = b"<html><body><h1>T</h1><p>Words.</p></body></html>"
    made = {name: text.encode() for name, text in SAMPLES.items()}
    made["docx"] = (folder / "a.docx").read_bytes()
    made["epub"] = zipped(folder / "a.epub", {"META-INF/container.xml": container, "b.opf": package, "a.xhtml": page})
    return {reader.name: made.get(reader.name, TEXT.encode()) for reader in READERS}


ODD = st.sampled_from([
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n" * 50, b"\r", b"\x1b", b"{" * 300, b"[" * 300, b"<a>" * 300, b"&x;", b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
    b"..\\/", b"99999999999999999999", b"-1", b"\xf0\x9f\x98\x80", "第".encode(), b"1e999", b"NaN", b"\\ud800", b'"', b",", b":" * 20, b"%PDF-", b"PK\x03\x04",
    b"\xe2\x80\xa8", b"A" * 3000, b"( " * 200, b"* " * 200, b"[" * 200 + b"]" * 200, b"00:00:00", b"31 Feb 0000",
])  # fmt: skip
CHANGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.one_of(ODD, st.binary(max_size=20)))


def changed(sample: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """A sample with pieces cut out and others put in."""
    for place, cut, new in changes:
        at = int(place * len(sample))
        sample = sample[:at] + new + sample[at + cut :]
    return sample


def check(reader: SourceReader, path: Path) -> None:
    """Everything a reader may do with a file."""
    with open(path, "rb") as file:
        reader.recognises(path, file.read(65536))
    try:
        for found in reader.read(path):
            assert isinstance(found, Passage | Dropped)
            place = found.source if isinstance(found, Passage) else found.item
            assert place.startswith(path.name), place
            if isinstance(found, Passage):
                assert found.text.strip()
                assert "\0" not in found.text
                found.text.encode()
    except MaterialError as error:
        refusal = str(error)
    else:
        return
    assert refusal.strip()
    assert "\n" not in refusal


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused(reader: SourceReader, samples: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"a{SUFFIXES.get(reader.name, '.txt')}"

    @settings(
        max_examples=TRIES, deadline=timedelta(seconds=20), suppress_health_check=list(HealthCheck), derandomize=TRIES < 100, database=None
    )
    @given(st.one_of(st.lists(CHANGE, max_size=6).map(lambda changes: changed(samples[reader.name], changes)), st.binary(max_size=300)))
    def tried(content: bytes) -> None:
        path.write_bytes(content)
        check(reader, path)

    tried()


@settings(max_examples=10 * TRIES, deadline=None, database=None)
@given(st.text(max_size=60))
def test_any_line_is_a_date_or_none(line: str) -> None:
    found = date_line(line)
    assert found is None or found.year is None or 1000 <= found.year < 2100


@settings(max_examples=5 * TRIES, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes_are_recognised_without_an_error(tmp_path: Path, content: bytes) -> None:
    for suffix in (".txt", ".json", ".csv", ".md", ".xml", "", ".zip"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        recognise(path)


@pytest.mark.skipif(TRIES < 100, reason="writes two gigabytes: make fuzz")
def test_a_line_of_two_gigabytes(tmp_path: Path) -> None:
    import tracemalloc

    with open(tmp_path / "a.txt", "wb") as file:
        file.write(b"first\n")
        for _ in range(2048):
            file.write(b"a" * (1 << 20))
        file.write(b"\nlast\n")
    tracemalloc.start()
    found = list(lines(tmp_path / "a.txt"))
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()
    assert [getattr(line, "text", getattr(line, "reason", "")) for line in found] == ["first", "line too long", "last"]
    (tmp_path / "a.txt").unlink()


FOUND = {
    "a header that ends in a carriage return": ("columns", b"speaker,text\rAda,Hello\r"),
    "the same in an exporter's layout": ("wechat", b"a,b\rc,d\r"),
    "a superscript for a day": ("diary", "May ²\nWords.\n\nMay ³\nWords.\n\nMay ¹\nWords.\n".encode()),
    "a section of HTML without a name": ("html", b"<html><body><p>Words.</p><![[x]]><![odd[y]]><p>More.</p>"),
}
"""What fuzzing found."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name: str, tmp_path: Path) -> None:
    form, content = FOUND[name]
    path = tmp_path / f"a{SUFFIXES.get(form, '.txt')}"
    path.write_bytes(content)
    check(next(reader for reader in READERS if reader.name == form), path)
