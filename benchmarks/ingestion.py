"""How fast files of each format are read, and how much memory that takes.

    python benchmarks/ingestion.py [--megabytes 4] [--shared ../shared] [--json]
    python benchmarks/ingestion.py --whole 100      only `persllm ingest`, of a chat and of a text of so many megabytes

Each format is written at two sizes, from the novels of LitBank if they are at hand, else from invented words, and read in
a process of its own. Told are the rate per second of one core (of the file, and of the words in it), the rate against plain decoding of the same
text in the same run, and the peak memory above that of the process before. Memory that stays when the file is four times
as large is flat. The last row is the whole of `persllm ingest` on one novel.
"""

import argparse
import io
import json
import multiprocessing
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

GROWN = 4
"""The large file is so many times the small one."""
REPEATS = 3


def paragraphs(shared: Path | None, size: int) -> Iterator[str]:
    """Paragraphs of about `size` bytes in all."""
    files = sorted((shared / "data" / "novels" / "litbank" / "original").glob("*.txt")) if shared else []
    dice, written = random.Random(0), 0
    while written < size:
        if files:
            blocks = dice.choice(files).read_text(encoding="utf-8").split("\n\n")
        else:
            blocks = [
                " ".join(dice.choices("mill river hill ship letter house rain winter bread road the of and to in".split(), k=60)) + "."
                for _ in range(500)
            ]
        for block in blocks:
            text = " ".join(block.split()).replace(":", ",")
            if written < size and len(text) > 20:
                written += len(text.encode())
                yield text


def plain(texts: list[str]) -> bytes:
    return "\n\n".join(f"CHAPTER {n // 200 + 1}\n\n{text}" if n % 200 == 0 else text for n, text in enumerate(texts)).encode()


def script(texts: list[str]) -> bytes:
    return "\n".join(f"{('ADA', 'BO')[n % 2]}: {text}" for n, text in enumerate(texts)).encode()


def interview(texts: list[str]) -> bytes:
    return "\n".join(f"[00:00:{n % 60:02}] {('Ada', 'Bo')[n % 2]}: {text}" for n, text in enumerate(texts)).encode()


def screenplay(texts: list[str]) -> bytes:
    return "".join(f"          {('ADA', 'BO')[n % 2]}\n     {text}\n\n" for n, text in enumerate(texts)).encode()


def letters(texts: list[str]) -> bytes:
    return "".join(f"3 May {1800 + n % 50}\n\nDear Karl,\n\n{text}\n\nYours ever,\nAda\n\n" for n, text in enumerate(texts)).encode()


def diary(texts: list[str]) -> bytes:
    return "".join(f"{1800 + n % 50}-05-03\n{text}\n\n" for n, text in enumerate(texts)).encode()


def html(texts: list[str]) -> bytes:
    return ("<html><body><article><h1>Title</h1>" + "".join(f"<p>{text}</p>\n" for text in texts) + "</article></body></html>").encode()


def subtitles(texts: list[str]) -> bytes:
    return "".join(
        f"{n}\n00:{n // 60 % 60:02}:{n % 60:02},000 --> 00:{n // 60 % 60:02}:{n % 60:02},900\nADA: {text}\n\n"
        for n, text in enumerate(texts, 1)
    ).encode()


def play(texts: list[str]) -> bytes:
    speeches = "".join(
        f"<SPEECH><SPEAKER>ADA</SPEAKER>\n<LINE>{text.replace('&', '').replace('<', '')}</LINE></SPEECH>\n" for text in texts
    )
    return f"<PLAY><ACT><TITLE>ACT I</TITLE><SCENE><TITLE>SCENE I</TITLE>{speeches}</SCENE></ACT></PLAY>".encode()


def epub(texts: list[str]) -> bytes:
    out = io.BytesIO()
    pages = [texts[start : start + 200] for start in range(0, len(texts), 200)]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("META-INF/container.xml", '<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>')
        items = "".join(f'<item id="p{n}" href="p{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(pages)))
        spine = "".join(f'<itemref idref="p{n}"/>' for n in range(len(pages)))
        book.writestr("b.opf", f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>")
        for number, page in enumerate(pages):
            book.writestr(f"p{number}.xhtml", html(page))
    return out.getvalue()


def docx(texts: list[str]) -> bytes:
    from docx import Document

    document, out = Document(), io.BytesIO()
    for text in texts:
        document.add_paragraph("".join(letter for letter in text if letter.isprintable()))
    document.save(out)
    return out.getvalue()


def pdf(texts: list[str]) -> bytes:
    """Pages of plain lines, without compression."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    rows = [row for text in texts for row in [*(text[start : start + 90] for start in range(0, len(text), 90)), ""]]
    for start in range(0, len(rows), 45):
        shown = " ".join(f"({row.translate({40: None, 41: None, 92: None})}) Tj T*" for row in rows[start : start + 45])
        stream = f"BT /F1 9 Tf 14 TL 60 740 Td {shown} ET".encode("latin-1", "replace")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return out.getvalue()


def whatsapp(texts: list[str]) -> bytes:
    return "".join(
        f"[03.05.20, {n // 60 % 24:02}:{n % 60:02}:00] {('Ada', 'Bo')[n % 2]}: {text}\n" for n, text in enumerate(texts)
    ).encode()


def telegram(texts: list[str]) -> bytes:
    """As Telegram Desktop writes it: each time twice, each text whole and in pieces."""
    messages = [
        {
            "id": n, "type": "message", "date": "2020-05-03T12:00:00", "date_unixtime": "1588507200", "from": ("Ada", "Bo")[n % 2],
            "from_id": f"user{n % 2}", "text": text, "text_entities": [{"type": "plain", "text": text}],
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    return json.dumps({"name": "Bo", "type": "personal_chat", "id": 1, "messages": messages}, indent=1).encode()


def columns(texts: list[str]) -> bytes:
    return "".join(
        json.dumps({"speaker": ("Ada", "Bo")[n % 2], "text": text, "date": "2020-05-03"}) + "\n" for n, text in enumerate(texts)
    ).encode()


FORMATS: dict[str, tuple[str, Callable[[list[str]], bytes], float]] = {
    "text": (".txt", plain, 1), "markdown": (".md", plain, 1), "epub": (".epub", epub, 1), "docx": (".docx", docx, 0.25), "pdf": (".pdf", pdf, 0.25),
    "html": (".html", html, 0.25), "subtitles": (".srt", subtitles, 0.5), "play-xml": (".xml", play, 1), "script": (".txt", script, 1),
    "interview": (".txt", interview, 1), "screenplay": (".txt", screenplay, 1), "letter": (".txt", letters, 1), "diary": (".txt", diary, 1),
    "whatsapp": (".txt", whatsapp, 1), "telegram": (".json", telegram, 1), "columns": (".jsonl", columns, 1),
}  # fmt: skip
"""Format -> ending, maker, share of the size that is tried: formats that are read at once get less."""


def measure(path: Path, form: str) -> None:
    """Read one file; print its figures as JSON."""
    from persllm.passages import Passage
    from persllm.sources import reader, recognise

    known = recognise(path)
    list(zip(range(50), reader(form).read(path), strict=False))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(REPEATS):
        started, words, count = time.process_time(), 0, 0
        for found in reader(form).read(path):
            if isinstance(found, Passage):
                words += len(found.text.encode())
                count += 1
        seconds.append(time.process_time() - started)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    started = time.process_time()
    path.read_bytes().decode("utf-8", "replace").split("\n")
    decoding = time.process_time() - started
    print(json.dumps({
        "recognised": known.format if known else "", "size": path.stat().st_size / 1e6, "words": words / 1e6, "passages": count,
        "seconds": statistics.median(seconds), "decoding": decoding, "memory": memory,
    }))  # fmt: skip


def whole(shared: Path | None, folder: Path, size: int) -> dict[str, float | str]:
    """`persllm ingest` from end to end on a novel."""
    novel = shared / "data" / "novels" / "litbank" / "original" / "158_emma.txt" if shared else folder / "novel.txt"
    if not novel.is_file():
        novel = folder / "novel.txt"
        novel.write_bytes(plain(["Emma said it. " + text for text in paragraphs(None, size)]))
    return ingested("a novel", novel, "Emma", folder / "emma")


def ingested(form: str, source: Path, person: str, into: Path) -> dict[str, float | str]:
    """Time and peak memory of `persllm ingest` in a process of its own."""
    command = [sys.executable, "-m", "persllm.cli", "ingest", str(source), "--person", person, "--into", str(into)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: failed with {status}")
    seconds = time.perf_counter() - started
    return {"format": f"ingest, {form}", "size": source.stat().st_size / 1e6, "seconds": seconds, "peak": used.ru_maxrss / 1024}


def told(row: dict[str, float | str]) -> str:
    return f"{row['format']}: {row['size']:.2f} MB in {row['seconds']:.1f} s, peak of the process {row['peak']:.0f} MB"


def of_large_files(shared: Path | None, folder: Path, size: int) -> Iterator[dict[str, float | str]]:
    """`persllm ingest` of a chat of short messages, and of a text, each of about `size` bytes."""
    maker = multiprocessing.Process(target=write_large_files, args=(shared, folder, size))
    maker.start()  # in a process of its own: a child is charged with what its parent held when it began
    maker.join()
    yield ingested("a chat", folder / "chat.txt", "Ada", folder / "of-chat")
    yield ingested("a text", folder / "text.txt", "Ada", folder / "of-text")


def write_large_files(shared: Path | None, folder: Path, size: int) -> None:
    texts = list(paragraphs(shared, size))
    said = [part for text in texts for part in re.split(r"(?<=[.!?]) ", text) if part.strip()]
    (folder / "chat.txt").write_bytes(whatsapp(said)[:size].rpartition(b"\n")[0])
    (folder / "text.txt").write_bytes(
        plain([f"Ada said nothing. {part}" if number % 3 == 0 else part for number, part in enumerate(texts)])
    )


def main() -> None:
    """Measure every format and print a table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--megabytes", type=float, default=4)
    options.add_argument("--shared", type=Path, default=Path(__file__).parent.parent.parent / "shared")
    options.add_argument("--json", action="store_true")
    options.add_argument("--whole", type=float)
    options.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.measure:
        measure(Path(given.measure[0]), given.measure[1])
        return
    shared = given.shared if (given.shared / "data").is_dir() else None
    if given.whole:
        with tempfile.TemporaryDirectory() as place:
            for row in of_large_files(shared, Path(place), int(given.whole * 1e6)):
                print(told(row), flush=True)
        return
    rows = []
    print(
        f"{'format':12} {'MB':>6} {'MB/s':>7} {'words MB/s':>10} {'x decoding':>10} {'memory MB':>10} {'of x' + str(GROWN):>8}   recognised as"
    )
    with tempfile.TemporaryDirectory() as place:
        for form, (suffix, make, share) in FORMATS.items():
            found = []
            for times in (1, GROWN):
                path = Path(place) / f"a{suffix}"
                path.write_bytes(make(list(paragraphs(shared, int(given.megabytes * share * times * 1e6 / GROWN)))))
                command = [sys.executable, __file__, "--measure", str(path), form]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            small, large = found
            rows.append({"format": form, **large, "memory_of_small": small["memory"]})
            print(
                f"{form:12} {large['size']:6.2f} {large['size'] / large['seconds']:7.1f} {large['words'] / large['seconds']:10.1f} "
                f"{large['seconds'] / large['decoding']:10.0f} {small['memory']:10.1f} {large['memory']:8.1f}   {large['recognised']}"
            )
        rows.append(whole(shared, Path(place), int(given.megabytes * 1e6 / GROWN)))
        print(told(rows[-1]))
    if given.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
