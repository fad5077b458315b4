"""ZIP archives given to `persllm ingest`: what is in them is read as it lies there, within bounds; what is not read is named."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import docx
import pytest
from test_ingestion import STORY, asked

from persllm.errors import MaterialError
from persllm.forgetting import forget
from persllm.ingestion import ingest
from persllm.materials import read_folder
from persllm.passages import Passage
from persllm.sources import read_path, recognise
from persllm.sources.archives import Archive, Member, archive

CHAT = (
    "[03.05.20, 12:01:02] Karl Holm: Is the mill still yours?\n"
    "[03.05.20, 12:01:22] Ada Lorn: Every stone of it, and the rats too.\n"
    "[03.05.20, 12:02:02] Karl Holm: \u200e<attached: 00000003-PHOTO-2020-05-03-12-02-02.jpg>\n"
    "[03.05.20, 12:03:09] Ada Lorn: You have grown thin.\n"
)
ANDROID = "03/05/2020, 12:01 - Karl Holm: Is the mill yours?\n03/05/2020, 12:02 - Ada Lorn: Every stone of it.\n13/05/2020, 12:02 - Karl Holm: Good.\n"
PHOTO = b"\xff\xd8\xff\xe0" + os.urandom(3000)


def packed(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def iphone(tmp_path: Path) -> Path:
    return packed(tmp_path / "WhatsApp Chat - Karl Holm.zip", {"00000003-PHOTO-2020-05-03-12-02-02.jpg": PHOTO, "_chat.txt": CHAT})


def dropped(folder: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in (folder / "dropped.jsonl").read_text().splitlines()]
    return [(row["item"], row["reason"]) for row in rows]


def test_a_whatsapp_export_of_an_iphone_is_read_as_it_is(iphone: Path, tmp_path: Path) -> None:
    made = ingest(asked(iphone), tmp_path / "ada")
    assert [(s.name, s.format, s.materials) for s in made.sources] == [(f"{iphone.name}/_chat.txt", "whatsapp", 1)]
    materials = read_folder(tmp_path / "ada").materials
    assert [m.turns[-1].text for m in materials] == ["Every stone of it, and the rats too.\nYou have grown thin."]
    assert materials[0].origin == f"{iphone.name}/_chat.txt:1-4"
    assert "Karl Holm" in materials[0].situation
    assert ".zip" not in materials[0].situation
    photo = "00000003-PHOTO-2020-05-03-12-02-02.jpg"
    assert dropped(tmp_path / "ada") == [(f"{iphone.name}/{photo}", "media file"), (f"{iphone.name}/_chat.txt:3", "media")]


def test_the_archive_and_what_lies_in_it_say_the_same(iphone: Path, tmp_path: Path) -> None:
    (tmp_path / "plain" / iphone.stem).mkdir(parents=True)
    file = tmp_path / "plain" / iphone.stem / "_chat.txt"
    file.write_text(CHAT)
    with archive(iphone) as zipped:
        inside = list(read_path(Member(zipped, "_chat.txt")))
    assert inside == list(read_path(file))
    made = ingest(asked(iphone, file), tmp_path / "ada")
    assert (len(made.sources), made.dropped["the same file twice"]) == (1, 1)
    again = ingest(asked(iphone), tmp_path / "ada")
    assert (again.written, again.kept) == (False, (f"{iphone.name}/_chat.txt",))


def test_a_whatsapp_export_of_an_android_phone_from_the_command_line(tmp_path: Path) -> None:
    packed(
        tmp_path / "chat.zip",
        {"WhatsApp Chat with Karl Holm.txt": ANDROID, "IMG-20200503-WA0001.jpg": PHOTO, "PTT-20200503-WA0002.opus": PHOTO},
    )
    command = [sys.executable, "-m", "persllm.cli", "ingest", "chat.zip", "--person", "Ada Lorn", "--into", "ada"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert "chat.zip/WhatsApp Chat with Karl Holm.txt: whatsapp, 1 materials" in told
    assert "left out: 2, media file" in told
    assert forget(tmp_path / "ada", "WhatsApp Chat with Karl Holm.txt").written
    assert not list((tmp_path / "ada" / "materials").rglob("*.jsonl"))


def held_by(folder: Path) -> str:
    """All that a persona folder says, but for the draft of the person."""
    return "".join(file.read_text() for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.endswith(".yaml"))


def test_forgetting_takes_a_whole_archive_with_all_that_was_left_out_in_it(tmp_path: Path) -> None:
    two = packed(
        tmp_path / "two chats.zip", {"a.txt": ANDROID, "b.txt": ANDROID.replace("2020", "2021"), "IMG-Holm.jpg": PHOTO, "c.txt": ANDROID}
    )
    story = tmp_path / "story.txt"
    story.write_text(STORY)
    ingest(asked(two, story), tmp_path / "ada")
    assert "IMG-Holm.jpg" in held_by(tmp_path / "ada")
    done = forget(tmp_path / "ada", "two chats.zip")
    assert done.members == ("two chats.zip/a.txt", "two chats.zip/b.txt")
    assert done.files["dropped.jsonl"] >= 2
    assert "two chats" not in held_by(tmp_path / "ada")
    assert "story.txt" in held_by(tmp_path / "ada")


def test_what_was_left_out_in_an_archive_goes_with_the_last_of_its_files(tmp_path: Path) -> None:
    two = packed(tmp_path / "two.zip", {"a.txt": ANDROID, "b.txt": ANDROID.replace("2020", "2021"), "IMG-Holm.jpg": PHOTO})
    copy = tmp_path / "copy.txt"
    copy.write_text(ANDROID)
    ingest(asked(two, copy), tmp_path / "ada")
    assert "copy.txt" in held_by(tmp_path / "ada"), "left out as the same as a.txt"
    forget(tmp_path / "ada", "a.txt")
    left = held_by(tmp_path / "ada")
    assert ("two.zip/a.txt" in left, "copy.txt" in left, "two.zip/IMG-Holm.jpg" in left, "two.zip/b.txt" in left) == (
        False,
        False,
        True,
        True,
    )
    forget(tmp_path / "ada", "two.zip/b.txt")
    assert "two.zip" not in held_by(tmp_path / "ada")


def test_any_readable_files_may_lie_in_an_archive(tmp_path: Path) -> None:
    document, held = docx.Document(), io.BytesIO()
    document.add_paragraph("Ada Lorn came back in winter and found the mill burnt down.")
    document.save(held)
    talk = {"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "Nobody."}]}
    members = {
        "books/story.txt": STORY, "books/winter.docx": held.getvalue(), "conversations.jsonl": json.dumps(talk) + "\n", "__MACOSX/._story.txt": b"\0\5\x16\7",
        "books/README.txt": "Ada Lorn may be copied.", "table.xls": b"\xd0\xcf\x11\xe0", "inner.zip": packed(tmp_path / "i.zip", {"a.txt": STORY}).read_bytes(),
    }  # fmt: skip
    (tmp_path / "all").mkdir()
    packed(tmp_path / "all" / "many.zip", members)
    made = ingest(asked(tmp_path / "all"), tmp_path / "ada")
    assert [(s.name, s.format) for s in made.sources] == [
        ("all/many.zip/books/story.txt", "text"), ("all/many.zip/books/winter.docx", "docx"), ("all/many.zip/conversations.jsonl", "openai"),
    ]  # fmt: skip
    assert sorted(dropped(tmp_path / "ada"))[:3] == [
        ("all/many.zip/books/README.txt", "a licence or a note, no material"), ("all/many.zip/conversations.jsonl:1 message 1", "not answered there"),
        ("all/many.zip/inner.zip", "an archive in an archive"),
    ]  # fmt: skip


def test_what_stands_in_an_archive_keeps_its_bounds(tmp_path: Path) -> None:
    """A member is counted as it comes out, also where the archive declares less, and its lines have a bound."""
    path = packed(tmp_path / "a.zip", {"story.txt": STORY.encode() + b"0" * (30 << 20)})
    path.write_bytes(path.read_bytes().replace((len(STORY) + (30 << 20)).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(MaterialError, match=r"nothing can be read.*(damaged|unpacks to more)"):
        ingest(asked(path), tmp_path / "ada")
    path = packed(tmp_path / "b.zip", {"story.txt": STORY.encode() + os.urandom(700_000).hex().encode() + b"\n\nAda laughed.\n"})
    ingest(asked(path), tmp_path / "ada")
    assert ("b.zip/story.txt:14", "line too long") in dropped(tmp_path / "ada")


REFUSED = {
    "nothing readable": (
        {"a.jpg": PHOTO, "b.xls": b"\xd0\xcf"},
        r"no reader knows anything. It holds 2 files \(a.zip/a.jpg, a.zip/b.xls\)",
    ),
    "empty": ({}, "with nothing in it"),
    "a bomb": ({"story.txt": b"0" * (50 << 20)}, "zip bomb"),
    "a name that leads out": ({"_chat.txt": CHAT, "../evil.txt": CHAT}, "leads out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_archive_of_no_use_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    members, message = REFUSED[name]
    path = packed(tmp_path / "a.zip", members)
    with pytest.raises(MaterialError, match=message) as caught:
        ingest(asked(path), tmp_path / "ada")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ada").exists()


def test_a_locked_archive_says_so(iphone: Path, tmp_path: Path) -> None:
    content = bytearray(iphone.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    iphone.write_bytes(content)
    with pytest.raises(MaterialError, match="locked with a password"):
        ingest(asked(iphone), tmp_path / "ada")


def test_media_may_be_larger_than_what_an_archive_may_unpack_to(iphone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persllm.sources.archives.LARGEST_ARCHIVE", 2000)
    with zipfile.ZipFile(iphone) as file:
        assert [len(list(Archive(file, "a.zip", lambda name: name.endswith(".jpg")).members))] == [1]
        with pytest.raises(MaterialError, match="unpacks to more"):
            Archive(file, "a.zip")


def test_two_sources_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for place, word in (("one", "stone"), ("two", "brick")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "_chat.txt").write_text(CHAT.replace("stone", word))
    made = ingest(asked(tmp_path / "one" / "_chat.txt", tmp_path / "two" / "_chat.txt"), tmp_path / "ada")
    assert [(s.name, s.materials) for s in made.sources] == [("_chat.txt", 1), ("two/_chat.txt", 1)]
    origins = [m.origin for m in read_folder(tmp_path / "ada").materials if "brick" in m.turns[-1].text]
    assert origins == ["two/_chat.txt:1-4"]


def test_a_member_is_a_path_for_every_reader(tmp_path: Path) -> None:
    """Text, JSON and tables are read as a stream, the rest whole: the same passages as from the disk."""
    chats = Path(__file__).parent / "sources" / "chats"
    files = [file for file in sorted(chats.iterdir()) if file.is_file() and recognise(file)]
    assert len(files) > 8
    path = packed(tmp_path / "chats.zip", {file.name: file.read_bytes() for file in files})
    with archive(path) as zipped:
        for file in files:
            inside, outside = (
                [found.model_copy(update={"thread": ""}) if isinstance(found, Passage) else found for found in read_path(place)]
                for place in (Member(zipped, file.name), file)
            )
            assert inside == outside
            assert len(inside) >= 2


def test_an_archive_of_many_files_is_opened_once_and_not_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list of files is read anew whenever it is opened: with thousands of letters that took hours."""
    path = packed(tmp_path / "a.zip", {f"{n}.txt": f"Ada Lorn came back in winter {n} and found the mill burnt down." for n in range(200)})
    opened: list[Path] = []

    def counted(place: Path, *more):
        opened.append(place)
        return archive(place, *more)

    monkeypatch.setattr(sys.modules["persllm.ingestion.collect"], "archive", counted)
    made = ingest(asked(path), tmp_path / "ada")
    assert sum(source.materials for source in made.sources) == 200
    assert len(opened) == 2
