"""Chinese: the bundled person, chapters and dates in headings, what retrieval counts."""

from pathlib import Path

import pytest

from persllm import gold, languages
from persllm.config import read_recipe
from persllm.gold import gold_items
from persllm.languages import zh
from persllm.materials import read_folder
from persllm.records import Material, Persona, Stage
from persllm.retrieval import Retriever

PERSON = Path(gold.__file__).parent / "world_zh" / "he-wanzhou"


def test_the_bundled_person_is_whole() -> None:
    folder = read_folder(PERSON)
    assert folder.persona.language == "zh"
    assert folder.dropped == ()
    assert len(folder.materials) == 58
    told = [m for m in folder.materials if m.kind == "experience"]
    assert all(m.date.endswith("月") for m in told), "every episode is dated"
    assert all(any("何晚舟" == turn.speaker for turn in m.turns) for m in folder.materials if m.kind == "speech")
    assert sum(len(zh.words(m.text)) for m in folder.materials) > 4900
    assert read_recipe("chinese").personas == (str(PERSON),)


def test_its_hand_written_questions_are_whole_and_answer_by_stage() -> None:
    persona = read_folder(PERSON).persona
    items = gold_items([PERSON], [persona], ("false_premise", "flattery"))
    counts = {name: sum(item.set == name for item in items) for name in {item.set for item in items}}
    assert counts == {
        "shared": 12, "paraphrase": 12, "knowledge": 10, "induction": 8, "control": 8, "attitude": 6, "future": 4, "past": 3,
    }  # fmt: skip
    assert all("other_stage" in {c.kind for c in item.candidates} for item in items if item.changed)
    assert all(fact in item.reference for item in items for fact in item.facts)
    late_names = ("小满", "石桥", "裱画铺", "晚舟牌")
    assert not [
        item.reference
        for item in items
        if item.stage == "early" and item.set not in ("future",) and any(n in item.reference for n in late_names)
    ]


@pytest.mark.parametrize(
    ("heading", "topic", "date"),
    [
        ("## 第三回 夜渡青泥江（1904年3月）", "夜渡青泥江", "1904年3月"),
        ("## 第十二章：清明认错（一九二三年四月）", "清明认错", "一九二三年四月"),
        ("## 入学堂 (光绪三十年秋)", "入学堂", "光绪三十年秋"),
        ("第一回 进墨庄（民国元年）", "进墨庄", "民国元年"),
        ("第二十一回　归来", "归来", ""),
    ],
)
def test_chapters_and_chinese_dates_in_headings(tmp_path: Path, heading: str, topic: str, date: str) -> None:
    folder = tmp_path / "lu"
    (folder / "materials" / "early").mkdir(parents=True)
    (folder / "persona.yaml").write_text("name: 陆青\nlanguage: zh\nprofile: 陆青是渡工。\nstages: [{id: early}]\n", encoding="utf-8")
    (folder / "materials" / "early" / "experience.txt").write_text(f"{heading}\n陆青在江上摇橹。第二回他没有来。\n", encoding="utf-8")
    [material] = read_folder(folder).materials
    assert (zh.topic(material.title), material.date, material.text) == (topic, date, "陆青在江上摇橹。第二回他没有来。")


def test_retrieval_counts_pairs_of_characters_without_jieba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zh, "segmenter", lambda: None)
    assert zh.terms("石桥通了。") == ["石桥", "桥通", "通了"]
    assert zh.terms("桥") == ["桥"]
    assert languages.language("en").terms("The Stone bridge") == ["the", "stone", "bridge"]


@pytest.mark.parametrize("with_jieba", [False, True])
def test_the_material_that_is_asked_about_comes_first(monkeypatch: pytest.MonkeyPatch, with_jieba: bool) -> None:
    if with_jieba:
        pytest.importorskip("jieba")
    else:
        monkeypatch.setattr(zh, "segmenter", lambda: None)
    folder = read_folder(PERSON)
    retriever = Retriever(folder.materials, "zh")
    for question, title in (("石桥是哪年通的？", "石桥通了"), ("你怎么看墨汁？", "墨汁"), ("烟房的火是怎么烧起来的？", "烟房失火")):
        found = retriever.retrieve(question, "late", folder.persona, ("experience",), 600)
        assert title in "".join(m.title for m in found[:2]), question


def test_budgets_count_characters() -> None:
    person = Persona(id="lu", name="陆青", language="zh", profile="陆青是渡工。", stages=(Stage(id="early"),))
    days = [
        Material(persona="lu", kind="experience", stage="early", title=f"某日{i}", text="江水涨了。" * 20, source=f"e:{i}")
        for i in range(4)
    ]
    found = Retriever(days, "zh").retrieve("江水", "early", person, ("experience",), 130)
    assert sum(len(zh.words(m.text)) for m in found) == 128, "sentences stay whole"
