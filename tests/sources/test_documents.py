"""EPUB, DOCX, PDF, HTML, Markdown: small documents made here, sound and damaged."""

import io
import zipfile
from pathlib import Path

import docx
import pytest

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import read_path, recognise
from persllm.sources.blocks import blocks


def shown(path: Path, name: str = "") -> list[tuple[str, str, str]]:
    return [(p.text, p.source, p.heading) for p in read_path(path, name) if isinstance(p, Passage)]


def lost(path: Path, name: str = "") -> list[tuple[str, str]]:
    return [(d.item, d.reason) for d in read_path(path, name) if isinstance(d, Dropped)]


CONTAINER = b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="one" href="one%20page.xhtml" media-type="application/xhtml+xml"/>
<item id="two" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="three" href="three.xhtml" media-type="application/xhtml+xml"/>
</manifest><spine><itemref idref="nav"/><itemref idref="two"/><itemref idref="one"/><itemref idref="three"/></spine></package>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>No</title></head>
<body><h1>{title}</h1>
<p>The <i>mill</i> stood&nbsp;on
the hill.<sup>1</sup></p><script>no()</script>
<h2>Evening</h2><p>It rained.<br/>Nobody came.</p>
<div id="pg-footer"><p>Donations are welcome.</p></div>
</body></html>"""


def epub(path: Path, **changes: bytes) -> Path:
    members = {
        "mimetype": b"application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/book.opf": PACKAGE.encode(),
        "OEBPS/nav.xhtml": b"<html><body><p>Contents</p></body></html>", "OEBPS/one page.xhtml": PAGE.format(title="Two").encode(),
        "OEBPS/two.xhtml": PAGE.format(title="One").encode(),
    } | changes  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return path


def test_an_epub_in_the_order_of_its_spine(tmp_path: Path) -> None:
    book = epub(tmp_path / "hill.epub")
    assert shown(book) == [
        ("The mill stood on the hill.", "hill.epub:OEBPS/two.xhtml:5", "One"),
        ("It rained. Nobody came.", "hill.epub:OEBPS/two.xhtml:7", "One / Evening"),
        ("The mill stood on the hill.", "hill.epub:OEBPS/one page.xhtml:5", "Two"),
        ("It rained. Nobody came.", "hill.epub:OEBPS/one page.xhtml:7", "Two / Evening"),
    ]
    assert lost(book) == [("hill.epub:OEBPS/three.xhtml", "unreadable chapter")]


def test_an_epub_is_known_without_its_ending(tmp_path: Path) -> None:
    found = recognise(epub(tmp_path / "hill"))
    assert found is not None
    assert found.format == "epub"


BAD_EPUBS = {
    "copy protection": ({"META-INF/encryption.xml": b'<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'}, "copy protection"),
    "entities": ({"OEBPS/book.opf": b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><package>&b;</package>'}, "declares entities"),
    "an outside file": ({"OEBPS/book.opf": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><package>&a;</package>'}, "declares entities"),
    "broken package": ({"OEBPS/book.opf": b"<package><manifest>"}, "broken XML"),
    "deep package": ({"OEBPS/book.opf": b"<a>" * 5000}, "nested deeper"),
    "no pages": ({"OEBPS/book.opf": b"<package/>"}, "lists no pages"),
    "no container": ({"META-INF/container.xml": b"<container/>"}, "names no book"),
    "a way out": ({"../evil.xhtml": b""}, "leads out"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_EPUBS)
def test_a_bad_epub_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    changes, message = BAD_EPUBS[name]
    with pytest.raises(MaterialError, match=message) as caught:
        list(read_path(epub(tmp_path / "a.epub", **changes)))
    assert "\n" not in str(caught.value)


def test_a_deep_or_climbing_page_costs_one_chapter(tmp_path: Path) -> None:
    book = epub(tmp_path / "a.epub", **{"OEBPS/two.xhtml": b"<div>" * 50_000})
    assert ("a.epub:OEBPS/two.xhtml", "unreadable chapter") in lost(book)
    assert len(shown(book)) == 2
    climbing = epub(tmp_path / "b.epub", **{"OEBPS/book.opf": PACKAGE.replace("two.xhtml", "../../../../etc/passwd").encode()})
    assert ("b.epub:../../../etc/passwd", "unreadable chapter") in lost(climbing)


def document(path: Path) -> Path:
    made = docx.Document()
    made.add_heading("The Hill", 0)
    made.add_heading("One", 2)
    made.add_paragraph("The mill stood on the hill.")
    made.add_paragraph("")
    table = made.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "It rained.", "Nobody came."
    made.save(str(path))
    return path


def test_a_word_document(tmp_path: Path) -> None:
    assert shown(document(tmp_path / "hill.docx")) == [
        ("The mill stood on the hill.", "hill.docx:paragraph 3", "The Hill / One"),
        ("It rained.", "hill.docx:paragraph 5", "The Hill / One"),
        ("Nobody came.", "hill.docx:paragraph 6", "The Hill / One"),
    ]


def test_a_word_document_that_is_an_interview(tmp_path: Path) -> None:
    made = docx.Document()
    for line in ("Interview with Ada Lorn", "Q: Why the mill?", "A: My father had it.", "Q: And now?", "A: Now it is sold."):
        made.add_paragraph(line)
    made.save(str(tmp_path / "talk.docx"))
    found = [p for p in read_path(tmp_path / "talk.docx") if isinstance(p, Passage)]
    assert [(p.speaker, p.text) for p in found][-1] == ("Ada Lorn", "Now it is sold.")


@pytest.mark.parametrize("content", [b"PK\x03\x04 no", b"PK" + b"\0" * 100])
def test_a_damaged_word_document(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(content)
    with pytest.raises(MaterialError, match=r"a\.docx: "):
        list(read_path(tmp_path / "a.docx"))


def test_a_word_document_with_entities_is_harmless(tmp_path: Path) -> None:
    source = document(tmp_path / "a.docx")
    bomb = (
        b'<!DOCTYPE a [<!ENTITY a "'
        + b"a" * 1000
        + b'">'
        + b"".join(b'<!ENTITY b%d "%s">' % (i, (b"&b%d;" % (i - 1) if i else b"&a;") * 10) for i in range(9))
        + b"]>"
    )
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "b.docx", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "word/document.xml":
                content = content.replace(b"<w:document", bomb + b"<w:document", 1).replace(b"It rained.", b"&b8;")
            new.writestr(name, content)
    try:
        texts = [text for text, _, _ in shown(tmp_path / "b.docx")]
    except MaterialError:
        return
    assert max(map(len, texts)) < 10_000


def pdf(path: Path, pages: list[list[str]], break_page: int = -1) -> Path:
    """A PDF with lines of text on each page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for number, rows in enumerate(pages):
        text = "BT /F1 12 Tf 14 TL 72 720 Td " + " ".join(f"({row}) Tj T*" for row in rows) + " ET"
        stream = b"x\x9c broken" if number == break_page else text.encode("latin-1")
        coded = b" /Filter /FlateDecode" if number == break_page else b""
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(stream), coded, stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = io.BytesIO(b""), []
    out.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    path.write_bytes(out.getvalue())
    return path


LONG = "The mill stood on the hill and nobody in the valley knew why it was ever built there"


def test_a_pdf_without_running_heads_and_page_numbers(tmp_path: Path) -> None:
    pages = [
        ["THE HILL", f"{word} {LONG}", "at all.", f"{LONG} {word}-", f"where {word}.", str(number)]
        for number, word in enumerate(("some", "any", "no", "every", "else"), 1)
    ]
    found = shown(pdf(tmp_path / "hill.pdf", pages))
    assert found[0] == (f"some {LONG} at all.", "hill.pdf:page 1", "")
    assert found[1] == (f"{LONG} somewhere some.", "hill.pdf:page 1", "")
    assert found[-1][1] == "hill.pdf:page 5"
    assert not any("THE HILL" in text for text, _, _ in found)


def test_a_page_that_cannot_be_read_costs_one_page(tmp_path: Path) -> None:
    book = pdf(tmp_path / "a.pdf", [[LONG, "One."], [LONG, "Two."], [], [LONG, "Four."]], break_page=1)
    assert [item for item, _ in lost(book)] == ["a.pdf:page 2", "a.pdf:page 3"]
    assert [source for _, source, _ in shown(book)] == ["a.pdf:page 1", "a.pdf:page 4"]


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.4\n",
        b"%PDF-1.7 " + bytes(range(256)) * 20,
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 1 0 R /Kids [1 0 R] >>\nendobj\ntrailer << /Root 1 0 R >>",
    ],
)
def test_a_damaged_pdf(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(content)
    try:
        found = shown(tmp_path / "a.pdf")
    except MaterialError as error:
        found = []
        assert str(error).startswith("a.pdf: damaged")  # noqa: PT017 either is right
    assert found == []


WEB = """<!DOCTYPE html><html><head><title>T</title></head><body><nav><a href="x">Home</a> <a href="y">Shop</a></nav>
<article><h1>The Hill</h1>
<p>The mill stood on the hill, and nobody in the valley knew why it had ever been built up there, of all places.</p>
<h2>Evening</h2>
<p>It rained for three days and three nights, and at the end of the third night the wheel began to turn by itself.</p></article>
<footer>Copyright by somebody, all rights reserved</footer></body></html>"""


def test_a_web_page(tmp_path: Path) -> None:
    (tmp_path / "hill.html").write_text(WEB)
    found = shown(tmp_path / "hill.html")
    assert [(source, heading) for _, source, heading in found] == [("hill.html:3", "The Hill"), ("hill.html:5", "The Hill / Evening")]
    assert not any("Copyright" in text or "Shop" in text for text, _, _ in found)


def test_a_web_page_in_another_encoding(tmp_path: Path) -> None:
    text = "<html><body><h1>磨坊</h1><p>山上有一座磨坊，磨坊里住着一位老人，他从来不下山。</p></body></html>"
    (tmp_path / "a.html").write_bytes(text.encode("gb18030"))
    assert shown(tmp_path / "a.html") == [("山上有一座磨坊，磨坊里住着一位老人，他从来不下山。", "a.html:1", "磨坊")]


def test_a_nul_in_a_page_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(
        b"\xef\xbb\xbf<html><body>\n<p>\0</p>\n<p>The mill stood\0 still.</p>\n<p>It rained all night.</p></body></html>"
    )
    found = list(read_path(tmp_path / "a.html"))
    assert [(one.item, one.reason) for one in found if isinstance(one, Dropped)] == [
        ("a.html:2", "unreadable characters"), ("a.html:3", "unreadable characters"),
    ]  # fmt: skip
    assert shown(tmp_path / "a.html") == [("It rained all night.", "a.html:4", "")]


def test_a_page_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html>" + "<div>" * 100_000 + "words")
    with pytest.raises(MaterialError, match="nested deeper"):
        list(read_path(tmp_path / "a.html"))


def test_markdown(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "---\ntitle: no\n---\n# The **Hill**\n\nThe [mill](http://x.org) stood\non _the_ hill.\n\n- It rained.\n- Nobody came.\n\n```\ncode\n```\n## Evening\n> It ended.\n"
    )
    assert shown(tmp_path / "a.md") == [
        ("The mill stood on the hill.", "a.md:6", "The Hill"),
        ("It rained.", "a.md:9", "The Hill"),
        ("Nobody came.", "a.md:10", "The Hill"),
        ("It ended.", "a.md:16", "The Hill / Evening"),
    ]
    assert lost(tmp_path / "a.md") == [("a.md:12", "code")]


def test_markdown_as_people_write_it(tmp_path: Path) -> None:
    """A year at the end of a sentence is no mark of a list; boxes, tables, notes and pictures leave no marks behind."""
    (tmp_path / "a.md").write_text(
        "She was born in 1961. Then it rained, and it was 3) or - she said - 4 o'clock.[^1]\n\n- [ ] oil the lamp\n- [x] ask Bo\n\n"
        "| year | boat |\n|------|:----:|\n| 1979 | Grey |\n\n![a photo](a.jpg) ![[b.png]]\n\nSee [[The pier|the pier]] and [[Bo]].\n\n[^1]: By her watch.\n"
    )
    assert [text for text, _, _ in shown(tmp_path / "a.md")] == [
        "She was born in 1961. Then it rained, and it was 3) or - she said - 4 o'clock.", "oil the lamp", "ask Bo", "year, boat", "1979, Grey",
        "See the pier and Bo.", "By her watch.",
    ]  # fmt: skip


def test_an_old_page_that_ends_no_paragraph_is_read(tmp_path: Path) -> None:
    """Paragraphs, items and cells that nothing ends are beside each other, not within."""
    page = "".join(f"<p>Ada walked {n} miles to the <i>mill</i> that day." for n in range(300))
    lists = "<ul>" + "".join(f"<li>Item {n} of <b>the list" for n in range(300)) + "</ul>"
    cells = "<table>" + "".join(f"<tr><td>Row {n}<td>cell" for n in range(300)) + "</table>"
    found = [block.text for block in blocks(f"<html><body><h1>T</h1>{page}{lists}{cells}<div class=copyright><p>no<p>no</div><p>End.", "a")]
    assert [*found[:2], found[301], *found[600:603], found[-1]] == [
        "T", "Ada walked 0 miles to the mill that day.", "Item 0 of the list", "Item 299 of the list", "Row 0", "cell", "End.",
    ]  # fmt: skip
    assert "no" not in found
    (tmp_path / "a.html").write_text(f"<html><body><h1>T</h1>{page}")
    assert len(shown(tmp_path / "a.html")) == 300
