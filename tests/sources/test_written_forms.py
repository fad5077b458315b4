"""Who speaks and when, in plain text: interviews, scripts, plays, letters, diaries, subtitles; English and Chinese."""

from pathlib import Path

import pytest

from persllm.errors import MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import read_path, recognise
from persllm.sources.dates import date_line


def passages(folder: Path, text: str, name: str = "a.txt") -> tuple[str, list[Passage]]:
    """The format told, and the passages."""
    (folder / name).write_text(text, encoding="utf-8")
    found = recognise(folder / name)
    assert found is not None
    return found.format, [p for p in read_path(folder / name) if isinstance(p, Passage)]


def test_questions_and_answers(tmp_path: Path) -> None:
    text = "The Valley Herald\nInterview with Ada Lorn\n\nQ: Why the mill?\nA: My father had it.\nAnd his father.\n\nQ: And now?\nA: Now it is sold.\n"
    form, found = passages(tmp_path, text)
    assert form == "interview"
    assert [(p.speaker, p.text, p.source) for p in found] == [
        ("Q", "Why the mill?", "a.txt:4"), ("Ada Lorn", "My father had it. And his father.", "a.txt:5"),
        ("Q", "And now?", "a.txt:8"), ("Ada Lorn", "Now it is sold.", "a.txt:9"),
    ]  # fmt: skip


def test_a_chinese_interview(tmp_path: Path) -> None:
    form, found = passages(tmp_path, "专访：林阿达\n问：为什么留下磨坊？\n答：那是父亲的。\n问：现在呢？\n答：卖了。\n")
    assert form == "interview"
    assert [(p.speaker, p.text) for p in found][1] == ("林阿达", "那是父亲的。")


@pytest.mark.parametrize(
    "line",
    [
        "[00:12:01] Ada: Words {n}.",
        "00:12 Ada: Words {n}.",
        "Ada (00:12:01): Words {n}.",
        "Ada  00:12:01\nWords {n}.",
        "(1:02:03.5) - Ada: Words {n}.",
    ],
)
def test_transcripts_with_times(line: str, tmp_path: Path) -> None:
    text = "\n".join(line.replace("Ada", who).replace("{n}", str(n)) for n, who in enumerate(["Ada", "Bo Holm"] * 3))
    form, found = passages(tmp_path, text)
    assert form == "interview"
    assert [(p.speaker, p.text) for p in found][:2] == [("Ada", "Words 0."), ("Bo Holm", "Words 1.")]


SCRIPT = """ACT ONE

Scene 1. The mill

(Evening. Ada is alone.)
ADA: Who goes there?
BO (softly): Only I,
and nobody else.
ADA: Come in. [She opens.] Sit down.
BO: I will not stay.

Scene 2
BO: I stayed.
"""


def test_a_script_with_names_before_the_words(tmp_path: Path) -> None:
    form, found = passages(tmp_path, SCRIPT)
    assert form == "script"
    assert [(p.speaker, p.text, p.situation, p.heading) for p in found] == [
        ("ADA", "Who goes there?", "Evening. Ada is alone.", "ACT ONE / Scene 1. The mill"),
        ("BO", "Only I, and nobody else.", "softly", "ACT ONE / Scene 1. The mill"),
        ("ADA", "Come in. Sit down.", "", "ACT ONE / Scene 1. The mill"),
        ("BO", "I will not stay.", "", "ACT ONE / Scene 1. The mill"),
        ("BO", "I stayed.", "", "ACT ONE / Scene 2"),
    ]
    assert len({p.thread for p in found}) == 2


def test_a_chinese_script(tmp_path: Path) -> None:
    form, found = passages(tmp_path, "第一场 磨坊\n（傍晚。）\n阿达：谁在那里？\n阿博：是我。\n阿达：进来吧。\n阿博（小声）：我不久留。\n")
    assert form == "script"
    assert [(p.speaker, p.text, p.situation) for p in found] == [
        ("阿达", "谁在那里？", "傍晚。"), ("阿博", "是我。", ""), ("阿达", "进来吧。", ""), ("阿博", "我不久留。", "小声"),
    ]  # fmt: skip


SCREENPLAY = """FADE IN:

INT. MILL - EVENING

Ada sweeps the floor.

                    ADA
          Who goes there?

                    BO (O.S.)
          (softly)
          Only I.

                    ADA
          Come in.

EXT. HILL - NIGHT

                    BO
          I did not stay.

CUT TO:
"""


def test_a_film_script(tmp_path: Path) -> None:
    form, found = passages(tmp_path, SCREENPLAY)
    assert form == "screenplay"
    assert [(p.form, p.speaker, p.text, p.situation) for p in found] == [
        ("prose", "", "Ada sweeps the floor.", ""),
        ("utterance", "ADA", "Who goes there?", "Ada sweeps the floor."),
        ("utterance", "BO", "Only I.", ""),
        ("utterance", "ADA", "Come in.", ""),
        ("utterance", "BO", "I did not stay.", ""),
    ]
    assert found[-1].heading == "EXT. HILL - NIGHT"


PLAY = b"""<?xml version="1.0"?><!DOCTYPE PLAY SYSTEM "play.dtd">
<PLAY><TITLE>The Mill</TITLE><ACT><TITLE>ACT I</TITLE><SCENE><TITLE>SCENE I. The mill.</TITLE>
<STAGEDIR>Enter ADA</STAGEDIR>
<SPEECH><SPEAKER>ADA</SPEAKER>
<LINE>Who goes there?</LINE>
<LINE><STAGEDIR>Aside</STAGEDIR>I fear it.</LINE></SPEECH>
<SPEECH><SPEAKER>BO</SPEAKER><SPEAKER>CY</SPEAKER><LINE>We.</LINE></SPEECH>
</SCENE></ACT></PLAY>"""


def test_a_play_in_xml(tmp_path: Path) -> None:
    (tmp_path / "mill.xml").write_bytes(PLAY)
    found = [p for p in read_path(tmp_path / "mill.xml") if isinstance(p, Passage)]
    assert [(p.speaker, p.text, p.source, p.heading) for p in found] == [
        ("ADA", "Who goes there? I fear it.", "mill.xml:4", "ACT I / SCENE I. The mill."),
        ("BO", "We.", "mill.xml:7", "ACT I / SCENE I. The mill."),
        ("CY", "We.", "mill.xml:7", "ACT I / SCENE I. The mill."),
    ]
    assert found[0].situation.startswith("Enter ADA")


def test_a_play_that_means_harm(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE PLAY [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><PLAY>&b;</PLAY>'
    for content, message in ((bomb, "declares entities"), (b"<PLAY>" + b"<A>" * 1000, "nested deeper"), (PLAY[:300], "broken XML")):
        (tmp_path / "a.xml").write_bytes(content)
        with pytest.raises(MaterialError, match=message):
            list(read_path(tmp_path / "a.xml"))


def test_every_speech_of_the_real_plays(shared: Path) -> None:
    for play in sorted((shared / "plays" / "nltk" / "shakespeare").glob("*.xml")):
        text = play.read_text(encoding="utf-8")
        found = [p for p in read_path(play) if isinstance(p, Passage)]
        assert len(found) == text.count("<SPEAKER>"), play.name
        assert all(p.heading for p in found)


LETTERS = """Riga, 3 May 1813.

My dear Karl,

The mill is sold.
I am sorry for it.

It rained again.

Yours ever,

Ada Lorn

June 5th, 1813

Dear Mother,

Nobody came to the sale.

With love,
Ada
"""


def test_letters(tmp_path: Path) -> None:
    form, found = passages(tmp_path, LETTERS)
    assert form == "letter"
    assert [(p.date, p.to, p.source) for p in found] == [("1813-05-03", ("Karl",), "a.txt:1"), ("1813-06-05", ("Mother",), "a.txt:14")]
    assert found[0].text == "The mill is sold. I am sorry for it.\nIt rained again."
    assert found[1].text.startswith("Nobody came to the sale.")


def test_a_chinese_letter_with_the_date_at_its_end(tmp_path: Path) -> None:
    form, found = passages(
        tmp_path,
        "亲爱的母亲：\n　　磨坊已经卖了。\n　　下了三天雨。\n此致\n敬礼\n阿达\n一九二五年三月十一日\n\n广平兄：\n　　来信收到了。\n祝好\n1925年4月2日\n",
    )
    assert form == "letter"
    assert [(p.date, p.to, p.text) for p in found] == [
        ("1925-03-11", ("母亲",), "磨坊已经卖了。\n下了三天雨。"), ("1925-04-02", ("广平兄",), "来信收到了。"),
    ]  # fmt: skip


DIARY = """The diary of Ada Lorn

1813

Monday, 3 May
The mill is sold.

It rained.

4th May
Nobody came.

May 6, 1814. Fine.
I have moved to Riga.
"""


def test_a_diary(tmp_path: Path) -> None:
    form, found = passages(tmp_path, DIARY)
    assert form == "diary"
    assert [(p.date, p.text, p.source) for p in found] == [
        ("1813-05-03", "The mill is sold.\nIt rained.", "a.txt:5"), ("1813-05-04", "Nobody came.", "a.txt:10"), ("1814-05-06", "I have moved to Riga.", "a.txt:13"),
    ]  # fmt: skip


def test_a_chinese_diary(tmp_path: Path) -> None:
    form, found = passages(
        tmp_path, "民国十四年三月十一日 星期三 晴\n磨坊卖了。\n\n三月十二日 雨\n没有人来。\n\n1926年1月2日\n到了里加。\n"
    )
    assert form == "diary"
    assert [(p.date, p.text) for p in found] == [("1925-03-11", "磨坊卖了。"), ("1925-03-12", "没有人来。"), ("1926-01-02", "到了里加。")]


DATES = {
    "3 May 1813": "1813-05-03", "May 3rd, 1813.": "1813-05-03", "Monday, May 3, 1813": "1813-05-03", "1813-05-03": "1813-05-03",
    "3.5.1813": "1813-05-03", "1813/5/3": "1813-05-03", "13/5/1813": "1813-05-13", "5/13/1813": "1813-05-13", "3/5/1813": "1813",
    "1813年5月3日": "1813-05-03", "一八一三年五月三日 星期一 晴": "1813-05-03", "民国十四年三月十一日": "1925-03-11", "1813年5月": "1813-05",
    "二〇〇八年十二月二十五日": "2008-12-25", "民国元年": "1912", "Riga, 3 May 1813": "1813-05-03", "腊月廿三": "",
    "31/31/1813": None, "1813年13月3日": None, "He came on 3 May 1813 and left.": None, "五月的一天": None, "12:30": None, "Chapter 3": None, "": None, "May ²": None,
}  # fmt: skip


@pytest.mark.parametrize("line", DATES)
def test_lines_that_are_dates(line: str) -> None:
    found = date_line(line)
    assert (found.date if found else None) == DATES[line]


SRT = """1
00:00:01,000 --> 00:00:02,000
ADA: Who goes

2
00:00:02,100 --> 00:00:03,000
<i>there?</i>

3
00:00:05,000 --> 00:00:06,000
- Only I.
- And I.

4
00:00:07,000 --> 00:00:08,000
[thunder]

5
00:00:09,000 --> 00:00:10,000
Subtitles by www.example.org
"""


def test_subtitles(tmp_path: Path) -> None:
    form, found = passages(tmp_path, SRT, "a.srt")
    assert form == "subtitles"
    assert [(p.speaker, p.text, p.source) for p in found] == [
        ("ADA", "Who goes there?", "a.srt:cue 1 (00:00:01)"), ("", "Only I.", "a.srt:cue 3 (00:00:05)"), ("", "And I.", "a.srt:cue 3 (00:00:05)"),
    ]  # fmt: skip
    assert [d.reason for d in read_path(tmp_path / "a.srt") if isinstance(d, Dropped)] == ["advertisement"]


def test_webvtt_and_ass_name_their_speakers(tmp_path: Path) -> None:
    _, vtt = passages(tmp_path, "WEBVTT\n\n00:01.000 --> 00:02.000\n<v.loud Ada Lorn>Who &amp; why?</v>\n", "a.vtt")
    assert [(p.speaker, p.text) for p in vtt] == [("Ada Lorn", "Who & why?")]
    head = (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
    _, ass = passages(tmp_path, head + "Dialogue: 0,0:00:01.00,0:00:02.00,Default,Ada,0,0,0,,{\\b1}Who{\\b0}\\Ngoes?\n", "a.ass")
    assert [(p.speaker, p.text) for p in ass] == [("Ada", "Who goes?")]


def test_the_book_of_letters(shared: Path) -> None:
    file = shared / "real_persons" / "beethoven_letters_v1_13065.txt"
    found = recognise(file)
    assert found is not None
    assert found.format == "letters"
    read = [p for p in read_path(file) if isinstance(p, Passage)]
    assert (len(read), sum(bool(p.date) for p in read) > 200, sum(bool(p.to) for p in read) > 180) == (215, True, True)


def test_novels_are_no_letters(shared: Path) -> None:
    told = {file.name: found.format for file in (shared / "novels" / "litbank" / "original").glob("*.txt") if (found := recognise(file))}
    assert len(told) > 90
    assert {name: form for name, form in told.items() if form != "text"} == {
        "238_dear_enemy.txt": "letter",
        "1327_elizabeth_and_her_german_garden.txt": "diary",
    }


def test_what_is_heard_in_a_film_stands_before_what_is_said_next(tmp_path: Path) -> None:
    cues = ["[rain]\nBO: Who is there?", "ADA: Only I,", "and the wind. (laughs)", "[a door]", "BO: Come in.", "ADA: No."]
    text = "\n\n".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{cue}" for n, cue in enumerate(cues, 1))
    _, found = passages(tmp_path, text, "a.srt")
    assert [(p.speaker, p.text, p.situation) for p in found] == [
        ("BO", "Who is there?", "[rain]"), ("ADA", "Only I, and the wind.", ""), ("BO", "Come in.", "[a door]"), ("ADA", "No.", ""),
    ]  # fmt: skip


def test_a_place_before_a_date_in_figures_and_a_date_of_the_next_letter(tmp_path: Path) -> None:
    """Where dates stand above the greeting, one below a letter is that of the next; words after the closing are the writer's too."""
    text = (
        "Kept Bay, 3 May 1998\n\nDear Karl,\n\nThe mill is sold.\n\nYours,\nAda\n\nKept Bay, 2001-06-02\n\nMy dear Bo,\n\nI shall not come.\n\n"
        "Ever yours,\nAda\nP.S. Feed the cat.\n\nDear Cy,\n\nIt rains.\n\nYours,\nAda\n\n\nRiga, 13.9.2003\n\nDear Karl,\n\nI have the key.\n\nYours,\nAda\n"
    )
    form, found = passages(tmp_path, text)
    assert form == "letter"
    assert [(p.to, p.date, p.text, p.situation) for p in found] == [
        (("Karl",), "1998-05-03", "The mill is sold.", "Letter to Karl, Kept Bay"),
        (("Bo",), "2001-06-02", "I shall not come.\nP.S. Feed the cat.", "Letter to Bo, Kept Bay"),
        (("Cy",), "", "It rains.", "Letter to Cy"), (("Karl",), "2003-09-13", "I have the key.", "Letter to Karl, Riga"),
    ]  # fmt: skip


def test_a_day_that_can_be_two_days_is_an_entry_of_its_own(tmp_path: Path) -> None:
    """Nothing of it stands under the day before; only its year is sure."""
    form, found = passages(tmp_path, "3 May 1813\nIt rained.\n\n1/12/1814\nNothing.\n\n4/4/1814\nFog.\n\n2/3/1814: The pump froze over.\n")
    assert form == "diary"
    assert [(p.date, p.text) for p in found] == [
        ("1813-05-03", "It rained."), ("1814", "Nothing."), ("1814-04-04", "Fog."), ("1814", "The pump froze over."),
    ]  # fmt: skip
