"""What depends on the language: exact sentences in, exact sentences out, and None where a rule cannot be sure."""

import pytest

from persllm.construct_extractive import Constructor
from persllm.constructor_settings import ConstructorSettings
from persllm.languages import Who, en, language, zh
from persllm.records import Material, Persona, Stage
from persllm.wordings import Forms, wordings

HANNE = Who(names=("Hanne Lund", "Hanne"), pronouns="she", known=frozenset({"Per", "Marta"}))
TOLK = Who(names=("Tolk",), pronouns="he")
REYL = Who(names=("Reyl",), pronouns="they")
ALIAN = Who(names=("沈阿莲", "阿莲"), pronouns="she", known=frozenset({"林海生"}))
DAHAI = Who(names=("周大海", "大海"), pronouns="he")

ENGLISH = [
    (HANNE, "Hanne lost a swarm in May 1964.", ["I lost a swarm in May 1964."]),
    (HANNE, "Hanne Lund has two hives. She was tired.", ["I have two hives.", "I was tired."]),
    (HANNE, "Per taught Hanne the trade.", ["Per taught me the trade."]),
    (HANNE, "Hanne and Per walked to the chapel.", ["Per and I walked to the chapel."]),
    (HANNE, "Hanne's bees were angry.", ["My bees were angry."]),
    (HANNE, "Hanne hurt herself.", ["I hurt myself."]),
    (HANNE, "When Hanne was ten, her uncle died.", ["When I was ten, my uncle died."]),
    (HANNE, "Hanne said that she would stay.", ["I said that I would stay."]),
    (HANNE, "Per told her that Hanne was right.", ["Per told me that I was right."]),
    (HANNE, "Hanne doesn't smoke.", ["I don't smoke."]),
    (HANNE, "Hanne isn't old.", ["I am not old."]),
    (HANNE, "Only Hanne knows it.", ["Only I know it."]),
    (HANNE, "Hanne always carries a knife.", ["I always carry a knife."]),
    (HANNE, "Did Hanne know?", ["Did I know?"]),
    (HANNE, "Has Hanne slept?", ["Have I slept?"]),
    (HANNE, "Hanne watches the ferry.", ["I watch the ferry."]),
    (HANNE, "The bees know Hanne.", ["The bees know me."]),
    (TOLK, "Tolk lost his hammer. The hammer was his.", ["I lost my hammer.", "The hammer was mine."]),
    (TOLK, "Tolk sold his house. It had cost him much.", ["I sold my house.", "It had cost me much."]),
    (REYL, "Reyl moved. Their boat sank with them.", ["I moved.", "My boat sank with me."]),
    (HANNE, "I sat on the quay. My knife was wet.", ["I sat on the quay.", "My knife was wet."]),
    (HANNE, "The ferry was late.", ["The ferry was late."]),
    (HANNE, "She slept.", [None]),
    (HANNE, "Marta came from Oslo. She stayed a week.", ["Marta came from Oslo.", None]),
    (HANNE, "Hanne gave her the knife.", [None]),
    (HANNE, "Hanne keeps bees and sells honey.", [None]),
    (HANNE, "Hanne, who is old, sleeps.", [None]),
    (HANNE, "Never has Hanne lied.", [None]),
    (REYL, "The boats came. They were old.", ["The boats came.", None]),
    (REYL, "Reyl met Moe. They talked.", ["I met Moe.", None]),
]

CHINESE = [
    (ALIAN, "阿莲在1151年离开了青石镇。", ["我在1151年离开了青石镇。"]),
    (ALIAN, "沈阿莲是船匠。她造了十二艘船。", ["我是船匠。", "我造了十二艘船。"]),
    (ALIAN, "阿莲的母亲去世了。", ["我的母亲去世了。"]),
    (ALIAN, "阿莲走了。她的船还在。", ["我走了。", "我的船还在。"]),
    (ALIAN, "阿莲自己修好了船。", ["我自己修好了船。"]),
    (ALIAN, "阿莲和王婶去了集市。", ["我和王婶去了集市。"]),
    (ALIAN, "她名叫阿莲，是船匠。", ["我名叫阿莲，是船匠。"]),
    (ALIAN, "沈阿莲住在海边。人们叫她阿莲。", ["我住在海边。", "人们叫我阿莲。"]),
    (ALIAN, "阿莲写了《海上记》。她花了两年。", ["我写了《海上记》。", "我花了两年。"]),
    (ALIAN, "其他人都走了，只有阿莲留下。", ["其他人都走了，只有我留下。"]),
    (ALIAN, "阿莲弹吉他。", ["我弹吉他。"]),
    (ALIAN, "林海生教阿莲造船。", ["林海生教我造船。"]),
    (ALIAN, "阿莲她不说话。", ["我不说话。"]),
    (ALIAN, "阿莲带走了母亲的草帽。她没有回头。", ["我带走了母亲的草帽。", "我没有回头。"]),
    (ALIAN, "那天下雨了。", ["那天下雨了。"]),
    (ALIAN, "我坐在码头上。我的刀湿了。", ["我坐在码头上。", "我的刀湿了。"]),
    (DAHAI, "周大海怕黑。他点了灯。", ["我怕黑。", "我点了灯。"]),
    (DAHAI, "大海丢了锤子，后来他找到了。", ["我丢了锤子，后来我找到了。"]),
    (ALIAN, "她睡了。", [None]),
    (ALIAN, "王婶是邻居。她很高。", ["王婶是邻居。", None]),
    (ALIAN, "母亲说她不该去。", [None]),
    (ALIAN, "阿莲走了。王婶把刀还给她。", ["我走了。", None]),
    (ALIAN, "林海生找到阿莲。她哭了。", ["林海生找到我。", None]),
    (ALIAN, "他们不喜欢阿莲。", [None]),
    (ALIAN, "阿莲说：“我走了。”", [None]),
    (ALIAN, "阿莲师傅来了。", [None]),
    (ALIAN, "阿莲桥很旧。", [None]),
    (ALIAN, "师傅叫阿莲来帮忙。", [None]),
    (ALIAN, "阿莲和其父不和。", [None]),
    (Who(names=("阿莲",)), "阿莲走了。她没有回头。", ["我走了。", None]),
]


@pytest.mark.parametrize(("who", "text", "turned"), ENGLISH, ids=[row[1] for row in ENGLISH])
def test_english_in_the_first_person(who: Who, text: str, turned: list[str | None]) -> None:
    assert en.first_person(text, who) == turned


@pytest.mark.parametrize(("who", "text", "turned"), CHINESE, ids=[row[1] for row in CHINESE])
def test_chinese_in_the_first_person(who: Who, text: str, turned: list[str | None]) -> None:
    assert zh.first_person(text, who) == turned


SAID_TO_YOU = [
    (en, "I lost a swarm in May 1964.", "you lost a swarm in May 1964"),
    (en, "My uncle told me so.", "your uncle told you so"),
    (en, "I was tired and was cold.", "you were tired and were cold"),
    (en, "Per gave me the knife that was mine.", "Per gave you the knife that was yours"),
    (en, "In 1964 I was ten, and I knew myself.", "in 1964 you were ten, and you knew yourself"),
    (en, "I'm tired.", "you're tired"),
    (en, "Was I wrong?", "were you wrong"),
    (en, "I am the bell-founder.", "you are the bell-founder"),
    (zh, "我在1151年离开了青石镇。", "你在1151年离开了青石镇"),
    (zh, "我们造了一艘船！", "你们造了一艘船"),
    (zh, "咱们走吧。", "你们走吧"),
    (zh, "母亲说：“我不去。”我听了很难过。", "母亲说：“我不去。”你听了很难过"),
    (zh, "我学会了自我安慰。", "你学会了自我安慰"),
]


@pytest.mark.parametrize(("tools", "sentence", "clause"), SAID_TO_YOU, ids=[row[1] for row in SAID_TO_YOU])
def test_a_sentence_said_to_the_person(tools, sentence: str, clause: str) -> None:
    assert tools.second_person(sentence) == clause


SPANS = [
    (en, HANNE, "Hanne found it in May 1964 near Oslo.", [("year", "in May 1964"), ("place", "Oslo")]),
    (en, HANNE, "Per had twenty-three hives and two dogs.", [("name", "Per"), ("number", "twenty-three"), ("number", "two")]),
    (en, HANNE, "In 1151 the old Bell of Fenn broke.", [("year", "1151"), ("thing", "Bell of Fenn")]),
    (en, HANNE, "I met Jörg Müller in Köln.", [("name", "Jörg Müller"), ("place", "Köln")]),
    (en, HANNE, "Nobody came on Monday.", []),
    (zh, ALIAN, "我在1151年从青石镇走到北京。", [("year", "1151年"), ("place", "青石镇")]),
    (zh, ALIAN, "一九四九年十月一日我在北京。", [("year", "一九四九年十月一日"), ("place", "北京")]),
    (zh, ALIAN, "公元前221年春，我读了《海上记》。", [("year", "公元前221年春"), ("thing", "海上记")]),
    (zh, ALIAN, "我跟李师傅学了三年。", [("name", "李师傅"), ("number", "三")]),
    (zh, ALIAN, "林海生造了十二艘船。", [("name", "林海生"), ("number", "十二")]),
    (zh, ALIAN, "我见过路德维希·凡·贝多芬。", []),
    (zh, ALIAN, "我和路德维希·凡·贝多芬说过话。", [("name", "路德维希·凡·贝多芬")]),
    (zh, ALIAN, "第三个人来了，我有一个儿子。", []),
    (zh, ALIAN, "我住在白石岛。", []),
]


@pytest.mark.parametrize(("tools", "who", "sentence", "found"), SPANS, ids=[row[2] for row in SPANS])
def test_what_can_be_asked_of_a_sentence(tools, who: Who, sentence: str, found: list[tuple[str, str]]) -> None:
    spans = tools.spans(sentence, who)
    assert [(span.kind, span.text) for span in spans] == found
    assert all(sentence[span.start : span.end].strip() == span.text for span in spans)


@pytest.mark.parametrize(("tools", "text", "pieces"), [
    (en, 'He met Mr. Holm. "Go!" he said. It was 3.5 miles.', ["He met Mr. Holm.", '"Go!" he said.', "It was 3.5 miles."]),
    (en, "Oh! if I knew...  Really?!\nEnd", ["Oh! if I knew...", "Really?!", "End"]),
    (zh, "她说：“走吧。我等你。”然后走了！真的吗？？完", ["她说：“走吧。我等你。”", "然后走了！", "真的吗？？", "完"]),
    (zh, "“走吧。”，他说。\n 他 走了。", ["“走吧。”，他说。", "他走了。"]),
])  # fmt: skip
def test_sentences(tools, text: str, pieces: list[str]) -> None:
    assert tools.sentences(text) == pieces


def test_words_are_the_unit_of_budgets() -> None:
    assert en.words("It’s 3.5 miles; naïve, 1,000.") == ["it's", "3.5", "miles", "naïve", "1,000"]
    assert zh.words("在Vienna住了12年。") == ["在", "vienna", "住", "了", "12", "年"]


@pytest.mark.parametrize(("tools", "sentence", "kind", "left"), [
    (en, "In 1151 the old bell broke.", "year", "the old bell broke."),
    (en, "I left for Oslo, near Moss, in May 1964.", "year", "I left for Oslo, near Moss."),
    (zh, "我在1151年离开了村子。", "year", "我离开了村子。"),
    (zh, "1151年，我离开了村子。", "year", "我离开了村子。"),
    (zh, "我从青石镇来。", "place", "我来。"),
])  # fmt: skip
def test_a_gap_takes_its_preposition_along(tools, sentence: str, kind: str, left: str) -> None:
    span = next(span for span in tools.spans(sentence, HANNE) if span.kind == kind)
    rest = f"{sentence[: tools.before_gap(sentence, span)].rstrip()} {sentence[span.end :]}"
    assert tools.tidy(rest).replace(",.", ".") == left


def test_headings_inside_a_sentence() -> None:
    assert [en.topic(title, HANNE) for title in ("The great storm (1171)", "Per and the swarm", "Honey")] == [
        "the great storm", "Per and the swarm", "honey",
    ]  # fmt: skip
    assert zh.topic("大风暴（1171年）") == "大风暴"
    assert [tools.question_like(title) for tools, title in ((en, "How a bell is cast"), (en, "The bell"), (zh, "怎样铸钟"), (zh, "铸钟"))] == [
        True, False, True, False,
    ]  # fmt: skip


def test_names_that_are_sure() -> None:
    assert en.names_inside("The boy met Anna Berg. Monday came Per.") == {"Anna Berg", "Per"}
    assert zh.names_inside("有个叫林海生的渔夫。王婶说，阿福在家。张三来了。") == {"林海生", "王婶", "阿福"}


def test_both_languages_have_the_same_functions() -> None:
    asked = (
        "words",
        "sentences",
        "first_person",
        "second_person",
        "spans",
        "names_inside",
        "lowered",
        "topic",
        "question_like",
        "join",
        "before_gap",
        "tidy",
    )
    assert all(callable(getattr(language(code), name)) for code in ("en", "zh") for name in asked)


def test_both_wordings_ask_for_the_same_words() -> None:
    english, chinese = wordings("en"), wordings("zh")
    assert set(english.claims) == set(chinese.claims)
    for name in type(english).model_fields:
        braces = [
            sorted({part.split("}")[0].lower() for part in str(getattr(words, name)).split("{")[1:] if part[0].isalpha()})
            for words in (english, chinese)
        ]
        assert braces[0] == braces[1], name
    forms = [getattr(chinese, name) for name in type(chinese).model_fields if isinstance(getattr(chinese, name), Forms)]
    assert not any(set(form.train) & set(form.test) for form in [*forms, *chinese.claims.values()])


def test_a_chinese_person_is_asked_in_chinese() -> None:
    persona = Persona(
        id="alian", name="沈阿莲", aliases=("阿莲",), pronouns="she", language="zh", profile="船匠。", stages=(Stage(id="early"),)
    )
    told = [("离开青石镇", "阿莲在1151年离开了青石镇。她跟李师傅学了三年。"), ("回乡", "阿莲在1160年回来了。她造了十二艘船。")]
    materials = [
        Material(persona="alian", kind="experience", stage="early", title=title, text=text, source=f"x:{n}")
        for n, (title, text) in enumerate(told)
    ]
    constructor = Constructor(persona, materials, (), ConstructorSettings(questions_per_material=1))
    questions = [question for _, (raised, _) in constructor.raise_questions(materials) for question in raised]
    made = [conversation for _, (found, _) in constructor.answer_questions(questions) for conversation in found]
    counted = {c.messages[-2].content for c in made if c.form == "number"}
    assert any("你跟李师傅学了多少年" in text for text in counted)
    assert all("我跟李师傅学了三年。" == c.answer.content for c in made if c.form == "number" and "李师傅" in c.messages[-2].content)
    false = [c for c in made if c.form == "wrong_era" and c.kind == "induction" and "青石镇" in c.answer.content]
    assert false
    assert all("你在1160年离开了青石镇" in c.messages[-2].content and c.answer.content.endswith("我在1151年离开了青石镇。") for c in false)


CUT = [
    ("Mr. Knightley came. Mrs. Weston and Dr. Brand did not.", 2),
    ("It was Lieut. Brand, of St. John, and Messrs. Holm vs. Lund.", 1),
    ("I met Mr. Weston, Esq. of the hill, at 5 p.m. on Monday. He ran.", 2),
    ("She saw J. K. Lorn. He ran.", 2),
    ("It was I. Karl knew it.", 2),
    ("We took plan B. It failed.", 2),
    ("_Mr. Lorn_ came. He ran.", 2),
    ("MR. LORN came.", 1),
    ("See No. 5. No. He ran.", 3),
    ("I... there was a plank. It gave way.", 2),
    ("Oh! if only he knew.", 1),
]


@pytest.mark.parametrize(("text", "pieces"), CUT)
def test_a_title_or_an_initial_ends_no_english_sentence(text: str, pieces: int) -> None:
    found = en.sentences(text)
    assert (len(found), " ".join(found)) == (pieces, text)


def test_a_gap_takes_the_title_with_the_name_and_the_number_whole() -> None:
    sentence = "Mr. Holm told me of 8,640 sheep at Mrs. Weston's mill, and of 12 more, 1.5 miles off."
    found = [(span.kind, span.text) for span in en.spans(sentence, HANNE)]
    assert found == [("name", "Mr. Holm"), ("number", "8,640"), ("name", "Mrs. Weston"), ("number", "12")]
    assert en.second_person("Mr. Holm told me of it.") == "Mr. Holm told you of it"
