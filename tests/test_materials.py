"""A persona folder to materials, or to one clear line per complaint that changes nothing."""

import hashlib
from pathlib import Path

import pytest

from persllm.errors import ConfigError, MaterialError
from persllm.languages import detect
from persllm.materials import read_folder


def state(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(str(f).encode() + f.read_bytes() for f in files)).hexdigest()


def test_the_starter_is_read_whole(starter: Path) -> None:
    folder = read_folder(starter)
    assert folder.persona.name == "Hanne Lund"
    assert {(m.stage, m.kind) for m in folder.materials} == {
        (s, k) for s in ("young", "old") for k in ("speech", "experience", "knowledge")
    }
    swarm = next(m for m in folder.materials if "swarm" in m.title)
    assert (swarm.date, swarm.source, swarm.stage) == ("May 1964", "materials/young/experience.md:4", "young")
    talk = next(m for m in folder.materials if m.turns)
    assert all([talk.turns[0].to, talk.situation, talk.source.endswith(".jsonl:1")])


def test_speech_may_be_a_script_and_front_matter_wins(starter: Path) -> None:
    (starter / "materials" / "notes.md").write_text(
        "---\nkind: speech\nstage: old\n---\n## In the yard (1990)\nA child: Why?\nHanne Lund: Because.\n"
    )
    script = next(m for m in read_folder(starter).materials if m.source == "materials/notes.md:5")
    assert (script.stage, [turn.speaker for turn in script.turns], script.date) == ("old", ["A child", "Hanne Lund"], "1990")


def test_a_long_exchange_is_cut_into_segments_of_five_turns(starter: Path) -> None:
    lines = "\n".join(f"{'A child' if n % 2 == 0 else 'Hanne Lund'}: line {n}" for n in range(12))
    (starter / "materials" / "old" / "speech-long.md").write_text(f"## A talk\n{lines}\n")
    pieces = [m for m in read_folder(starter).materials if m.title == "A talk"]
    assert [len(piece.turns) for piece in pieces] == [5, 5, 2]
    assert sum((piece.turns for piece in pieces), ())[7].text == "line 7"


def test_materials_say_where_they_were_taken_from(starter: Path) -> None:
    before = {(m.stage, m.title, m.text) for m in read_folder(starter).materials}
    file = starter / "materials" / "young" / "experience.md"
    head, _, rest = file.read_text().partition("\n")
    file.write_text(f"{head}\n<!-- from: diary.epub:chapter-1.xhtml:12 -->\n{rest}")
    speech = starter / "materials" / "young" / "speech.jsonl"
    speech.write_text(speech.read_text().replace('{"', '{"origin": "chat.txt:3-7", "', 1))
    folder = read_folder(starter)
    assert {m.origin for m in folder.materials} == {"", "diary.epub:chapter-1.xhtml:12", "chat.txt:3-7"}
    assert {(m.stage, m.title, m.text) for m in folder.materials} == before
    taken = next(m for m in folder.materials if m.origin)
    assert taken.identity == taken.model_copy(update={"origin": ""}).identity, "the place is no part of what a material is"


def test_timeless_materials_have_no_stage(starter: Path) -> None:
    (starter / "materials" / "timeless").mkdir()
    (starter / "materials" / "timeless" / "knowledge.txt").write_text("Bees have six legs.\n\nHoney keeps for ever.\n")
    assert [m.stage for m in read_folder(starter).materials if "timeless" in m.source] == [None, None]


BAD = {
    "broken line": ("materials/old/speech.jsonl", b'{"turns": [\n', r"hanne/materials/old/speech\.jsonl, line 1: broken JSON"),
    "wrong shape": ("materials/old/speech.jsonl", b'{"turns": []}\n{"words": 1}\n', r"speech\.jsonl, line 2: expected"),
    "empty file": ("materials/old/experience.md", b" \n", r"experience\.md: the file is empty"),
    "wrong encoding": ("materials/old/experience.md", b"## A day\nplain\ncaf\xe9\n", r"experience\.md, line 3: not UTF-8"),
    "binary": ("materials/old/experience.md", b"## A\n\0\0\0", r"experience\.md, line 2: holds a NUL"),
    "unknown stage": ("materials/war/experience.md", b"## A day\nHanne slept.\n", r'stage "war" is not a stage of Hanne Lund \(young, old'),
    "unknown kind": ("materials/old/things.md", b"## A day\nHanne slept.\n", r"things\.md: the kind is not clear"),
    "unknown format": ("materials/old/experience.xls", b"x", r"cannot read \.xls"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_materials_are_one_clear_line_and_change_nothing(name: str, starter: Path) -> None:
    file, content, message = BAD[name]
    (starter / file).parent.mkdir(exist_ok=True)
    (starter / file).write_bytes(content)
    before = state(starter)
    with pytest.raises(MaterialError, match=message):
        read_folder(starter)
    assert state(starter) == before


def test_all_complaints_come_at_once(starter: Path) -> None:
    (starter / "materials/old/experience.md").write_bytes(b"")
    (starter / "materials/young/speech.jsonl").write_bytes(b"{\n")
    with pytest.raises(MaterialError) as caught:
        read_folder(starter)
    assert len(str(caught.value).split("\n")) == 2


def test_no_materials_and_an_empty_stage(starter: Path) -> None:
    for file in (starter / "materials" / "old").iterdir():
        file.unlink()
    with pytest.raises(MaterialError, match='stage "old" of Hanne Lund has no materials'):
        read_folder(starter)
    for file in (starter / "materials" / "young").iterdir():
        file.unlink()
    with pytest.raises(MaterialError, match="no materials"):
        read_folder(starter)


def test_a_folder_without_persona_yaml_or_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MaterialError, match=r"persona\.yaml is missing"):
        read_folder(tmp_path)
    with pytest.raises(MaterialError, match="no such folder"):
        read_folder(tmp_path / "nobody")


def test_unknown_keys_and_double_stages_of_persona_yaml(starter: Path) -> None:
    file = starter / "persona.yaml"
    text = file.read_text()
    file.write_text(text.replace("pronouns:", "pronoun:"))
    with pytest.raises(ConfigError, match="unknown key pronoun; did you mean pronouns"):
        read_folder(starter)
    file.write_text(text.replace("id: old", "id: young"))
    with pytest.raises(ConfigError, match="stage young occurs twice"):
        read_folder(starter)


def test_the_language_of_a_text() -> None:
    assert (detect("A plain day."), detect("今天天气很好, ok"), detect("")) == ("en", "zh", "en")
