"""Character cards in and out, as JSON and PNG, of all versions."""

import base64
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persllm.cards import Card, Entry, card_of, png, read_card, tree_of, write_card
from persllm.cards.folder import card_to_folder
from persllm.errors import MaterialError
from persllm.exporting import export_card
from persllm.materials import read_folder

HEDDA = {
    "spec": "chara_card_v3", "spec_version": "3.0",
    "data": {
        "name": "Hedda Vik", "nickname": "Hedda", "description": "{{char}} keeps the lighthouse at Skarv. She was born there.",
        "personality": "Dry, patient, fond of fog.", "scenario": "{{user}} has climbed the stairs of the lighthouse.",
        "first_mes": "You are out of breath, {{user}}.", "alternate_greetings": ["Mind the lamp."], "system_prompt": "Write two paragraphs.",
        "mes_example": "<START>\n{{user}}: Is it lonely?\n{{char}}: Only in company.\nAnd then not long.\n<START>\n{{user}}: Do you read?\n{{char}}: The weather.",
        "character_book": {"extensions": {}, "entries": [
            {"keys": ["lamp"], "content": "@@depth 4\nThe lamp of Skarv was lit in 1871. {{char}} trims it.", "enabled": True, "insertion_order": 2, "extensions": {}, "use_regex": False},
            {"keys": ["off"], "content": "Hidden.", "enabled": False, "insertion_order": 1, "extensions": {}, "use_regex": False},
        ]},
        "tags": ["sea"], "creator": "A", "character_version": "2", "creator_notes": "n", "extensions": {"other": {"depth": 3}}, "post_history_instructions": "",
        "group_only_greetings": [], "assets": [{"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}],
    },
}  # fmt: skip


@pytest.fixture
def hedda(tmp_path: Path) -> Path:
    file = tmp_path / "hedda.json"
    file.write_text(json.dumps(HEDDA))
    return file


def test_a_card_becomes_a_folder_that_can_be_read(hedda: Path, tmp_path: Path) -> None:
    made = card_to_folder(hedda, tmp_path / "vik", "Jon")
    assert (made.exchanges, made.knowledge, made.ignored) == (4, 1, ("system_prompt",))
    folder = read_folder(tmp_path / "vik")
    assert (folder.persona.name, folder.persona.aliases) == ("Hedda Vik", ("Hedda",))
    assert folder.persona.profile == "Hedda keeps the lighthouse at Skarv. She was born there.\nDry, patient, fond of fog."
    assert folder.persona.stages[0].summary == "Jon has climbed the stairs of the lighthouse."
    example = next(m for m in folder.materials if len(m.turns) == 2 and m.turns[1].text.startswith("Only"))
    assert [(t.speaker, t.to, t.text) for t in example.turns] == [
        ("Jon", "Hedda Vik", "Is it lonely?"), ("Hedda Vik", "Jon", "Only in company.\nAnd then not long."),
    ]  # fmt: skip
    assert (example.situation, example.origin) == ("Jon has climbed the stairs of the lighthouse.", "hedda.json")
    [article] = [m for m in folder.materials if m.kind == "knowledge"]
    assert (article.title, article.text) == ("lamp", "The lamp of Skarv was lit in 1871. Hedda trims it.")
    assert any(m.turns and m.turns[0].text == "You are out of breath, Jon." for m in folder.materials)


def test_a_card_that_came_in_goes_out_with_all_it_had(hedda: Path, tmp_path: Path) -> None:
    card_to_folder(hedda, tmp_path / "vik")
    for name in ("out.json", "out.png"):
        assert export_card(tmp_path / "vik", tmp_path / name) == "Hedda Vik"
        again, first = read_card(tmp_path / name), read_card(hedda)
        assert again.model_dump() == first.model_dump()
    data = json.loads((tmp_path / "out.json").read_text())["data"]
    assert {key: data[key] for key in HEDDA["data"] if key != "character_book"} == {
        key: v for key, v in HEDDA["data"].items() if key != "character_book"
    }


def test_a_png_carries_both_versions_in_a_given_picture(hedda: Path, tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    picture.write_bytes(png.with_texts(png.plain("x"), "x", {"chara": b"old", "Author": b"someone"}))
    write_card(read_card(hedda), tmp_path / "out.png", picture)
    found = png.texts((tmp_path / "out.png").read_bytes(), "out.png")
    assert found["Author"] == b"someone"
    two, three = (json.loads(base64.b64decode(found[keyword])) for keyword in ("chara", "ccv3"))
    assert (two["spec"], three["spec"]) == ("chara_card_v2", "chara_card_v3")
    assert "Character Card V3" in two["data"]["creator_notes"]
    pixels = [data for kind, data in png.chunks((tmp_path / "out.png").read_bytes(), "x") if kind == b"IDAT"]
    assert pixels == [data for kind, data in png.chunks(picture.read_bytes(), "x") if kind == b"IDAT"]
    matplotlib = pytest.importorskip("matplotlib.image")
    assert matplotlib.imread(tmp_path / "out.png").shape[:2] == (256, 256)


def test_a_person_of_ours_becomes_a_card(starter: Path, tmp_path: Path) -> None:
    assert export_card(starter, tmp_path / "h.json", stage="young") == "Hanne Lund"
    card = read_card(tmp_path / "h.json")
    assert card.description == read_folder(starter).persona.profile
    assert card.examples.startswith("<START>\n{{user}}: ")
    assert "{{char}}: " in card.examples
    assert len(card.book) == 5
    with pytest.raises(MaterialError, match='stage "middle" is not a stage of Hanne Lund: young, old'):
        export_card(starter, tmp_path / "h.json", stage="middle")


def test_older_and_flat_cards_are_read(tmp_path: Path) -> None:
    flat = card_of({"name": "Old", "description": "d", "personality": "p", "scenario": "", "first_mes": "hi", "mes_example": ""}, "f")
    assert (flat.name, flat.greetings) == ("Old", ("hi",))
    assert (
        card_of({"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Two", "tags": None, "character_book": None}}, "f").name
        == "Two"
    )
    file = tmp_path / "zh.json"
    file.write_text(
        json.dumps(
            {
                "name": "林依达",
                "description": "她住在海边。",
                "first_mes": "{{user}}，你好。",
                "mes_example": "<START>\n{{user}}：冷吗？\n{{char}}：习惯了。",
            }
        )
    )
    card_to_folder(file, tmp_path / "lin")
    folder = read_folder(tmp_path / "lin")
    assert folder.persona.language == "zh"
    assert [t.text for m in folder.materials if len(m.turns) == 2 for t in m.turns] == ["冷吗？", "习惯了。"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.png", b"GIF89a", "not a PNG"), ("a.png", png.plain("x"), "no character card in this PNG"), ("a.png", png.plain("x")[:200], "ends too early|damaged"),
    ("a.png", png.with_texts(png.plain("x"), "x", {"ccv3": b"%%%"}), "no JSON|damaged"), ("a.json", b"{", "no JSON"), ("a.json", b"[1]", "no character card"),
    ("a.json", b'{"data": {"name": 3}}', "no character card"), ("a.json", b"[" * 5000, "no JSON"), ("a.charx", b"PK", "not a ZIP"),
    ("a.png", png.SIGNATURE + struct.pack(">I", 0xFFFFFFFF) + b"tEXt" + b"x" * 20, "damaged"),
])  # fmt: skip
def test_what_is_no_card_is_one_clear_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MaterialError, match=message):
        card_to_folder(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_in_a_png_do_more_than_be_refused(junk: bytes, place: int) -> None:
    whole = png.with_texts(png.plain("x"), "x", {"chara": base64.b64encode(b'{"name": "A"}')})
    try:
        png.texts(whole[:place] + junk + whole[place + len(junk) :], "x")
    except MaterialError:
        return


@settings(max_examples=60, deadline=None)
@given(
    st.text(min_size=1).filter(lambda t: t.strip() == t and "\r" not in t and "\0" not in t),
    st.lists(st.text(min_size=1).map(str.strip).filter(bool), max_size=3),
)
def test_any_text_survives_the_way_through_json_and_png(name: str, texts: list[str]) -> None:
    if any("\r" in text for text in texts):
        return
    card = Card(
        name=name, description=" ".join(texts), greetings=tuple(texts), book=tuple(Entry(title=t, content="x", keys=(t,)) for t in texts)
    )
    tree = json.loads(json.dumps(tree_of(card)))
    again = card_of(tree, "x")
    assert (again.name, again.greetings, again.book) == (card.name, card.greetings, card.book)
    assert zlib.crc32(png.with_texts(png.plain("x"), "x", {"chara": json.dumps(tree).encode()})) >= 0


def test_the_command_takes_and_gives_cards(hedda: Path, tmp_path: Path) -> None:
    run = lambda *words: subprocess.run([sys.executable, "-m", "persllm.cli", *words], capture_output=True, text=True, check=True).stdout  # noqa: E731
    assert "Hedda Vik, 4 exchanges, 1 articles" in run("new", str(tmp_path / "vik"), "--card", str(hedda), "--user", "Jon")
    assert "the card of Hedda Vik" in run("export", str(tmp_path / "vik"), str(tmp_path / "out.png"))
    assert read_card(tmp_path / "out.png").name == "Hedda Vik"
