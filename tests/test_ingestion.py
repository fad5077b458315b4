"""From sources to a persona folder: what is made runs, nothing of the user's is overwritten, doubts are listed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from persllm.errors import MaterialError
from persllm.ingestion import Ingested, Request, ingest, request_of
from persllm.materials import read_folder

STORY = """CHAPTER I

Ada Lorn kept the mill. She had learnt it from her father in 1801.

The river was low that year.

CHAPTER II

Ada sold the mill to a stranger. She wept, and then she laughed.

CHAPTER III

Nobody in the valley spoke of it again.
"""


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    return file


def asked(*sources: Path, **options) -> Request:
    values = {"person": "Ada Lorn", "aliases": ["Ada"], "format_": "", "language": "", "stages": "", "kind": ""} | options
    return request_of(sources, **values)


def state(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(str(f.relative_to(folder)).encode() + f.read_bytes() for f in files)).hexdigest()


def review(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "review.jsonl").read_text().splitlines()]


def test_a_story_becomes_a_folder_that_reads(story: Path, tmp_path: Path) -> None:
    made = ingest(asked(story, stages="early:1-1,late:2-"), tmp_path / "ada")
    folder = read_folder(tmp_path / "ada")
    assert [(s.id, s.start) for s in folder.persona.stages] == [("early", ""), ("late", "")]
    assert [(m.stage, m.kind, m.title) for m in folder.materials] == [
        ("early", "experience", "CHAPTER I"),
        ("late", "experience", "CHAPTER II"),
    ]
    assert made.counts == {"early": {"experience": 1}, "late": {"experience": 1}}
    assert [row["origin"] for row in review(tmp_path / "ada")] == ["story.txt:13"]


def test_every_material_leads_back_to_file_and_line(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    lines = STORY.split("\n")
    rows = [json.loads(line) for file in (tmp_path / "ada" / "materials").rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert rows
    for row in rows:
        name, _, number = row["origin"].partition(":")
        assert name == "story.txt"
        assert lines[int(number) - 1] in row["text"]


def test_the_journal_names_sources_options_and_files(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    journal = json.loads((tmp_path / "ada" / "ingest.json").read_text())
    (source,) = journal["sources"]
    assert source["sha256"] == hashlib.sha256(story.read_bytes()).hexdigest()
    for name, digest in source["files"].items():
        assert hashlib.sha256((tmp_path / "ada" / name).read_bytes()).hexdigest() == digest
    assert journal["options"] == {"aliases": "Ada"}


def test_a_dry_run_changes_nothing(story: Path, tmp_path: Path) -> None:
    before = state(tmp_path)
    made = ingest(asked(story), tmp_path / "ada", dry_run=True)
    assert (made.written, made.counts["life"]) == (False, {"experience": 2})
    assert state(tmp_path) == before


def test_the_same_source_again_changes_nothing(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    before = state(tmp_path / "ada")
    made = ingest(asked(story), tmp_path / "ada")
    assert (made.added, made.kept, made.written) == ((), ("story.txt",), False)
    assert state(tmp_path / "ada") == before


def test_another_source_is_added_and_edits_stay(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    file = tmp_path / "ada" / "persona.yaml"
    file.write_text(file.read_text() + "# mine\n")
    (tmp_path / "more.txt").write_text("Ada Lorn came back in winter.\n")
    made = ingest(asked(story, tmp_path / "more.txt"), tmp_path / "ada")
    assert (made.added, made.kept) == (("more.txt",), ("story.txt",))
    assert file.read_text().endswith("# mine\n")
    assert len(read_folder(tmp_path / "ada").materials) == 3
    assert [s.name for s in made.sources] == ["story.txt", "more.txt"]


def test_a_changed_source_is_refused_with_the_way_on(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    story.write_text(STORY + "\nAda is dead.\n")
    before = state(tmp_path / "ada")
    ways = r"story\.txt: .*ada holds another content as story\.txt already \(\d materials\).* persllm forget .*ada --source story\.txt\. .*rename it, or give"
    with pytest.raises(MaterialError, match=ways):
        ingest(asked(story), tmp_path / "ada")
    assert state(tmp_path / "ada") == before


def test_another_source_of_the_same_name_comes_in_by_its_folder_as_the_message_says(story: Path, tmp_path: Path) -> None:
    ingest(asked(story), tmp_path / "ada")
    other = tmp_path / "winter" / story.name
    other.parent.mkdir()
    other.write_text("Ada Lorn came back in winter.\n")
    with pytest.raises(MaterialError, match="give the folder or ZIP that it is in"):
        ingest(asked(other), tmp_path / "ada")
    assert ingest(asked(other.parent), tmp_path / "ada").added == ("winter/story.txt",)


BAD = {
    "nobody": ({"person": "Karl Holm", "aliases": []}, r"story\.txt: Karl Holm does not occur"),
    "stages not understood": ({"stages": "young and old"}, "not understood"),
    "a stage twice": ({"stages": "a:1-2,a:3-"}, "two stages have one name"),
    "an unknown format": ({"format_": "clay"}, "unknown format clay; known are"),
    "an unknown kind": ({"kind": "poems"}, "--kind poems: not known"),
    "an empty name": ({"person": " "}, "--person is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(name: str, story: Path, tmp_path: Path) -> None:
    options, message = BAD[name]
    before = state(tmp_path)
    with pytest.raises(MaterialError, match=message) as caught:
        ingest(asked(story, **options), tmp_path / "ada")
    assert "\n" not in str(caught.value)
    assert state(tmp_path) == before


def test_a_new_folder_is_there_whole_or_not_at_all(story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(tmp_path)

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        ingest(asked(story), tmp_path / "ada")
    assert state(tmp_path) == before
    assert not (tmp_path / "ada").exists()


@pytest.mark.parametrize("moved", range(5))
def test_an_addition_that_was_interrupted_is_finished_by_the_next_call(
    moved: int, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(asked(story), tmp_path / "ada")
    (tmp_path / "more.txt").write_text("Ada Lorn came back in winter.\n")
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "ada", whole)
    ingest(asked(tmp_path / "more.txt"), whole)
    real, left = os.replace, [moved + 1]  # the journal is written before anything is moved

    def stops(*places: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(*places)

    monkeypatch.setattr(os, "replace", stops)
    try:
        ingest(asked(tmp_path / "more.txt"), tmp_path / "ada")
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    ingest(asked(tmp_path / "more.txt"), tmp_path / "ada")
    assert state(tmp_path / "ada") == state(whole)


def test_a_folder_of_something_else_is_left_alone(story: Path, tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "mine.txt").write_text("mine")
    with pytest.raises(MaterialError, match="exists and is no persona folder"):
        ingest(asked(story), tmp_path / "ada")
    assert [file.name for file in (tmp_path / "ada").iterdir()] == ["mine.txt"]


def test_the_folder_of_another_person_is_refused(story: Path, starter: Path) -> None:
    with pytest.raises(MaterialError, match="the folder of Hanne Lund"):
        ingest(asked(story), starter)


def test_a_folder_is_walked_but_not_left(story: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "deep").mkdir(parents=True)
    story.rename(sources / "deep" / "story.txt")
    (tmp_path / "secret.txt").write_text("Ada Lorn has a secret.")
    os.symlink(tmp_path / "secret.txt", sources / "link.txt")
    os.symlink(tmp_path, sources / "up")
    os.symlink(sources, sources / "loop")
    (sources / "copy.txt").write_text(STORY)
    (sources / "LICENSE.txt").write_text("Ada Lorn may be copied.")
    (sources / "picture.bin").write_bytes(b"\x00\x01")
    (sources / "renamed.txt").write_bytes(bytes(range(256)))
    made = ingest(asked(sources), tmp_path / "ada")
    assert [(s.name, s.materials) for s in made.sources] == [("sources/copy.txt", 2), ("sources/renamed.txt", 0)]
    assert made.dropped == {
        "a licence or a note, no material": 1,
        "a link that leads out of the folder": 2,
        "the same file twice": 1,
        "unknown format": 1,
        "cannot be read": 1,
    }
    assert "secret" not in "".join(m.text for m in read_folder(tmp_path / "ada").materials)


NOVEL = """CHAPTER I

The rain beat on the windows of the mill all evening long, and nobody had come up the hill.

Karl Holm was a sailor. Karl Holm had come a long way, and he was wet.

"Who goes there?" asked Ada Lorn.

"Only I," said Karl Holm. "Will you let me in, Ada?"

"Come in," said Ada. "But leave your boots at the door."

Ada went to the fire and she put the kettle on. She had kept the mill since the death of her father in 1801.

"I sold my boat," said Karl.

"Then you are a fool," said Ada.
"""


def test_a_novel_gives_exchanges_with_situation_and_experiences(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text(NOVEL)
    ingest(asked(tmp_path / "novel.txt", aliases=["Ada"]), tmp_path / "ada")
    materials = read_folder(tmp_path / "ada").materials
    speech = [m for m in materials if m.kind == "speech"]
    assert ("Karl Holm", "Ada Lorn", "I sold my boat.") in [(t.speaker, t.to, t.text) for m in speech for t in m.turns]
    assert {"Then you are a fool.", "Who goes there?"} <= {t.text for m in speech for t in m.turns if t.speaker == "Ada Lorn"}
    assert speech[0].situation
    assert speech[0].origin.startswith("novel.txt:")
    assert any("since the death of her father" in m.text for m in materials if m.kind == "experience")


def test_letters_of_others_are_left_out(tmp_path: Path) -> None:
    text = "3 May 1813\n\nDear Karl,\n\nThe mill is sold, and I am going away from here.\n\nYours,\nAda\n\n4 June 1814\n\nDear Ada,\n\nYou should not have sold it.\n\nYours,\nKarl\n"
    (tmp_path / "letters.txt").write_text(text)
    made = ingest(asked(tmp_path / "letters.txt", stages="early:1801-1813,late:1814-"), tmp_path / "ada")
    (material,) = read_folder(tmp_path / "ada").materials
    assert (material.stage, material.date, material.turns[0].to) == ("early", "1813-05-03", "Karl")
    assert made.dropped == {"written to the person": 1}


def test_what_has_no_date_waits_for_review_where_stages_go_by_dates(story: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("".join(f"{day} May 1813\nI saw the river again, for the {day}th time.\n\n" for day in range(1, 6)))
    ingest(asked(story, tmp_path / "diary.txt", stages="early:1801-1813,late:1814-"), tmp_path / "ada")
    assert {row["doubt"] for row in review(tmp_path / "ada")} >= {"no date, and stages go by dates"}
    assert [stage.id for stage in read_folder(tmp_path / "ada").persona.stages] == ["early"]


def test_stages_are_proposed_with_reasons(tmp_path: Path) -> None:
    words = {1810: "mill wheel flour miller stone grain sack meal".split(), 1820: "sea ship sail harbour anchor storm mast captain".split()}
    entries = [(year, month, day) for year in words for month in range(1, 13) for day in (3, 17)]
    text = "".join(
        f"{year}-{month:02}-{day:02}\nI thought of the {' and the '.join(words[year])} again, {' '.join(words[year][::-1])} as ever it was.\n\n"
        * 1
        for year, month, day in entries
    )
    (tmp_path / "diary.txt").write_text(text)
    made = ingest(asked(tmp_path / "diary.txt", stages="propose"), tmp_path / "ada")
    folder = read_folder(tmp_path / "ada")
    assert len(folder.persona.stages) == 2
    assert any("words that come" in reason and "sea" in reason for reason in made.reasons)
    assert {m.stage for m in folder.materials if m.date < "1815"}.isdisjoint({m.stage for m in folder.materials if m.date > "1815"})


def test_the_command_tells_what_it_did(story: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "persllm.cli", "ingest", "story.txt", "--person", "Ada Lorn", "--alias", "Ada", "--into", "ada"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert "story.txt: text, 2 materials" in told
    assert "persllm run ada/recipe.yaml" in told
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert Ingested.model_validate_json(again).kept == ("story.txt",)
    plan = subprocess.run([sys.executable, "-m", "persllm.cli", "run", "ada/recipe.yaml", "--dry-run"], capture_output=True, text=True, cwd=tmp_path, check=True)  # fmt: skip
    assert "Ada Lorn: life; 2 materials" in plan.stdout


def test_a_table_of_unknown_columns_says_how_to_map_them(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    file = tmp_path / "all" / "sms.csv"
    file.write_text("Who,Words,When\nBo,Is the mill yours?,3.5.2020\nAda Lorn,Every stone of it.,3.5.2020\n")
    with pytest.raises(MaterialError, match=r"sms.csv: its columns are not known; there are Who, Words, When. Say which is which: --map"):
        ingest(asked(file), tmp_path / "ada")
    (tmp_path / "all" / "story.txt").write_text(STORY)
    ingest(asked(tmp_path / "all"), tmp_path / "ada")
    lost = json.loads((tmp_path / "ada" / "dropped.jsonl").read_text().splitlines()[0])
    assert (lost["item"], lost["reason"]) == ("all/sms.csv", "unknown format")
    assert "--map" in lost["detail"]


def test_file_names_that_are_no_text_and_names_that_steer_a_terminal(tmp_path: Path) -> None:
    """Names of old disks are not UTF-8: they used to end in a traceback."""
    (tmp_path / "all").mkdir()
    talk = "Ada Lorn: Who goes there?\nBo: Only I.\nAda Lorn: Come in.\nBo: No.\n"
    for number, name in enumerate((b"caf\xe9.txt", b"x\x1b[2J\ny.txt", "t\u202etxt.txt".encode())):
        with open(os.fsencode(tmp_path / "all") + b"/" + name, "w") as file:
            file.write(talk + f"Ada Lorn: {number}.\n")
    made = ingest(asked(tmp_path / "all"), tmp_path / "ada")
    assert sorted(source.name for source in made.sources) == ["all/caf\ufffd.txt", "all/t\ufffdtxt.txt", "all/x\ufffd[2J\ufffdy.txt"]
    assert {m.origin.partition(":")[0] for m in read_folder(tmp_path / "ada").materials} == {source.name for source in made.sources}


def test_a_list_of_words_is_no_prose(tmp_path: Path) -> None:
    """Prose is held in memory whole, each paragraph at many times its length."""
    (tmp_path / "a.txt").write_text("Ada Lorn wept.\n\n" + "a\n\n" * 200_000)
    with pytest.raises(MaterialError, match=r"a.txt: 200001 paragraphs with 1 characters each: a list, no prose"):
        ingest(asked(tmp_path / "a.txt"), tmp_path / "ada")
