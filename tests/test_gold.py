"""The hand-written examination: strict reading, answers of others as wrong answers, groups kept whole."""

import json
from pathlib import Path

import pytest
from planted import ADA, BEN

from persllm import gold
from persllm.errors import MaterialError
from persllm.gold import gold_items, read_gold, spread_gold
from persllm.materials import read_folder

WORLD = Path(gold.__file__).parent / "world"


def line(name: str, set_: str, stage: str, **more) -> dict:
    return {"id": name, "set": set_, "stage": stage, "question": f"{name}?", "reference": f"This is {name}.", **more}


def write(folder: Path, *lines: dict | str) -> Path:
    folder.mkdir(exist_ok=True)
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    (folder / "gold.jsonl").write_text(text + "\n", encoding="utf-8")
    return folder


def shared(name: str, stage: str, reference: str, changed: bool) -> dict:
    return line(name, "shared", stage, group="shared-01", changed=changed) | {"reference": reference, "question": "Songs?"}


def test_a_shared_question_gets_the_answers_of_others(tmp_path: Path) -> None:
    ada = write(tmp_path / "ada", shared("a1", "early", "Songs, yes.", True), shared("a2", "late", "No songs.", True))
    ben = write(tmp_path / "ben", shared("b1", "early", "Never mind songs.", False), shared("b2", "late", "Never mind songs!", False))
    items = {item.id: item for item in gold_items([ada, ben], [ADA, BEN], ())}
    assert [(c.kind, c.text) for c in items["ada/a1"].candidates] == [("other_stage", "No songs."), ("other_person", "Never mind songs.")]
    assert [(c.kind, c.text) for c in items["ben/b2"].candidates] == [("other_person", "No songs.")]
    assert items["ada/a1"].changed is True
    assert items["ben/b2"].origin == "gold"


def test_an_attack_of_several_turns_with_a_prefill(tmp_path: Path) -> None:
    attack = line(
        "i",
        "induction",
        "late",
        wrong={"accepting": "Yes, it was so."},
        facts=["this"],
        family="pressure",
        earlier=["Was it so?", "No."],
        prefill="Yes,",
    )
    [item] = gold_items([write(tmp_path / "ada", attack, "")], [ADA], ["pressure"])
    assert [(m.role, m.content) for m in item.messages] == [("user", "Was it so?"), ("assistant", "No."), ("user", "i?")]
    assert (item.prefill, item.family, item.trained_family, item.facts) == ("Yes,", "pressure", True, ("this",))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ('{"id": "x",', "line 2: not valid JSON (Expecting property name enclosed in double quotes at character 12)."),
        (line("x", "attitude", "war", wrong={"opposite": "o"}), 'line 2: stage "war" is not a stage of Ada (early, late).'),
        (line("x", "attitude", "late"), "line 2: a question of the set attitude needs a wrong answer of the kind opposite."),
        (line("x", "attitude", "late", wrong={"oposite": "o"}), 'line 2: wrong: unknown kind "oposite". Known: confusion, opposite,'),
        (line("x", "attitude", "late", wrong={"opposite": "This is x."}), "line 2: a wrong answer is the reference itself."),
        (line("x", "shared", "late"), "line 2: a shared question needs a group"),
        (line("x", "riddle", "late"), "line 2: set: Input should be 'shared', 'knowledge'"),
        (line("x", "attitude", "late", fact=["1"]), "line 2: unknown key fact. Known: id, set, stage,"),
        (line("good", "control", "late", wrong={"denying": "d"}), "line 2: id good occurs twice."),
        (line("x", "control", "late", wrong={"denying": "d"}, earlier=["Hm?"]), "line 2: earlier must hold user and assistant turns"),
        ({"id": "x"}, "line 2: stage is missing."),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, bad: dict | str, said: str) -> None:
    folder = write(tmp_path / "ada", line("good", "past", "late", wrong={"stuck": "s"}), bad)
    with pytest.raises(MaterialError) as caught:
        read_gold(folder, ADA)
    assert f"{folder / 'gold.jsonl'}, {said}" in str(caught.value)


def test_all_complaints_come_at_once_and_encoding_is_told(tmp_path: Path) -> None:
    ada = write(tmp_path / "ada", "[]", '{"id": 1}')
    (write(tmp_path / "ben", "") / "gold.jsonl").write_bytes(b'{"id": "\xff"}')
    with pytest.raises(MaterialError) as caught:
        gold_items([ada, tmp_path / "ben"], [ADA, BEN], ())
    assert "line 1:" in str(caught.value)
    assert "line 2:" in str(caught.value)
    assert "not UTF-8 at byte 8" in str(caught.value)


def test_no_file_is_no_examination(tmp_path: Path) -> None:
    assert read_gold(tmp_path, ADA) == []


def test_groups_are_taken_whole_and_persons_in_turn(tmp_path: Path) -> None:
    words = [line(f"{g}{n}", "paraphrase", "late", wrong={"opposite": "o"}, group=g) for g in ("p", "q") for n in range(4)]
    attitudes = [line(f"t{n}", "attitude", "late", wrong={"opposite": "o"}) for n in range(5)]
    folders = [write(tmp_path / name, *words, *attitudes) for name in ("ada", "ben")]
    chosen = spread_gold(gold_items(folders, [ADA, BEN], ()), 6)
    assert len([i for i in chosen if i.set == "paraphrase"]) == 4
    assert [i.persona for i in chosen if i.set == "attitude"] == ["ada"] * 3 + ["ben"] * 3


def test_the_bundled_examination_is_whole() -> None:
    folders = sorted(folder for folder in WORLD.iterdir() if (folder / "persona.yaml").is_file())
    personas = [read_folder(folder).persona for folder in folders]
    items = gold_items(folders, personas, ("false_premise",))
    counts = {name: sum(i.set == name for i in items) for name in {i.set for i in items}}
    assert counts["shared"] == counts["paraphrase"] == 144
    assert counts["induction"] == counts["control"] == 96
    assert all({c.kind for c in i.candidates} >= {"other_person"} for i in items if i.set == "shared")
    assert all("other_stage" in {c.kind for c in i.candidates} for i in items if i.changed)
    assert sum(i.trained_family for i in items) == 12
    assert len({i.id for i in items}) == len(items)
