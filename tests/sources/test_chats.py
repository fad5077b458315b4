"""Chat exports to passages: who, to whom, when, in which thread, in answer to what; what is no message is dropped by name."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from persllm.errors import ConfigError, MaterialError
from persllm.passages import Passage
from persllm.records import Dropped
from persllm.sources import columns, json_items, read_path, recognise, whatsapp
from persllm.sources.json_items import Item, items_of

CHATS = Path(__file__).parent / "chats"
FORMATS = {
    "WhatsApp Chat with Harbour House.txt": "whatsapp", "_chat.txt": "whatsapp", "result.json": "telegram", "Harbour - boats [1].json": "discord",
    "slack": "slack", "wechat-all.csv": "wechat", "wechat-pywxdump.csv": "wechat", "wechat-chatlog.csv": "wechat", "wechat-memotrace.csv": "wechat",
    "letters.tsv": "columns", "conversations.json": "openai", "messages.jsonl": "openai", "sharegpt.json": "sharegpt",
}  # fmt: skip


def found(name: str) -> tuple[list[Passage], list[Dropped]]:
    everything = list(read_path(CHATS / name))
    return [p for p in everything if isinstance(p, Passage)], [d for d in everything if isinstance(d, Dropped)]


@pytest.mark.parametrize(("file", "format"), FORMATS.items())
def test_every_format_is_recognised_and_keeps_speaker_thread_and_place(file: str, format: str) -> None:
    known = recognise(CHATS / file)
    assert known
    assert known.format == format
    passages, _ = found(file)
    assert passages
    assert all(p.speaker and p.thread and p.form == "message" and p.source.startswith(Path(file).name) for p in passages)


def test_whatsapp_of_android_in_english() -> None:
    passages, dropped = found("WhatsApp Chat with Harbour House.txt")
    assert [(p.date, p.speaker, p.source.rsplit(":", 1)[1]) for p in passages] == [
        ("2024-03-14T09:05:00", "Ben Oduya", "3"),
        ("2024-03-14T09:06:00", "Ben Oduya", "4"),
        ("2024-03-14T09:40:00", "Ida Fenwick", "5"),
        ("2024-03-14T09:43:00", "Cleo Marsh", "8"),
        ("2024-03-14T18:12:00", "Ida Fenwick", "10"),
        ("2024-03-14T18:30:00", "Cleo Marsh", "11"),
    ]
    assert passages[1].text == "who has the number: the plumber's I mean?"
    assert passages[2].text.endswith("magnet.\nIt has been there since January, Ben.")
    assert passages[3].to == ("Ida Fenwick",)
    assert (passages[5].text, passages[5].edited) == ("Thank you!", "2024-03-14T18:45:00")
    assert {p.thread for p in passages} == {"Harbour House"}
    assert [d.reason for d in dropped] == ["system line", "system line", "media", "deleted message"]


def test_whatsapp_of_ios_in_chinese() -> None:
    passages, dropped = found("_chat.txt")
    assert [(p.date, p.speaker) for p in passages] == [
        ("2024-03-14T09:05:40", "阿本"), ("2024-03-14T18:12:02", "林依达"), ("2024-03-14T20:15:00", "阿本"),
    ]  # fmt: skip
    assert passages[0].text == "锅炉又坏了\n谁有师傅的电话？"
    assert [d.reason for d in dropped] == ["system line", "media"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("31.12.23, 21:41 - ", "01.01.24, 00:10 - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("31/12/2023 21:41 - ", "01/01/2024 00:10 - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("12/31/23, 9:41 PM - ", "1/1/24, 12:10 AM - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("31/12/23, 9:41 p. m. - ", "1/1/24, 12:10 a. m. - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("[31/12/2023, 21:41:05] ", "[01/01/2024, 00:10:06] ", ["2023-12-31T21:41:05", "2024-01-01T00:10:06"]),
        ("[12.3.2022 klo 14.08.18] ", "[12.3.2022 klo 14.09.00] ", ["2022-03-12T14:08:18", "2022-03-12T14:09:00"]),
        ("2023-12-31 21:41 - ", "2024-01-01 00:10 - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("2023/12/31 晚上9:41 - ", "2024/1/1 凌晨12:10 - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("2023年12月31日 下午9:41 - ", "2024年1月1日 上午12:10 - ", ["2023-12-31T21:41:00", "2024-01-01T00:10:00"]),
        ("11/12/23, 21:41 - ", "01/01/24, 00:10 - ", ["2023-12-11T21:41:00", "2024-01-01T00:10:00"]),  # time does not run backwards
    ],
)
def test_whatsapp_dates_of_many_regions(first: str, second: str, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "chat.txt"
    file.write_text(f"{first}Ben: one\n{second}Ida: two\n", encoding="utf-8")
    assert [p.date for p in whatsapp.read(file) if isinstance(p, Passage)] == expected


def test_whatsapp_says_when_day_and_month_cannot_be_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "chat.txt"
    file.write_text("3/4/24, 21:41 - Ben: one\n5/6/24, 21:41 - Ida: two\n")
    read = list(whatsapp.read(file))
    assert [d.reason for d in read if isinstance(d, Dropped)] == ["day and month look alike"]
    assert [p.date[:10] for p in read if isinstance(p, Passage)] == ["2024-04-03", "2024-06-05"]


def test_telegram_keeps_replies_edits_forwards_and_drops_quotations() -> None:
    passages, dropped = found("result.json")
    by_id = {p.identity_in_thread: p for p in passages}
    assert by_id["2"].text == "Did you read the notice?"
    assert by_id["3"].edited == "2024-05-04T20:40:00"
    assert by_id["4"].reply_to == "2"
    assert by_id["5"].forwarded_from == "Harbour Office"
    assert by_id["6"].text == "Then so do I."
    assert by_id["8"].to == ("Ida Fenwick",)
    assert {p.thread for p in passages} == {"Ben Oduya"}
    assert [d.reason for d in dropped] == ["system line", "media"]
    lines = (CHATS / "result.json").read_text().split("\n")
    assert '"id": 4' in lines[int(by_id["4"].source.split(":")[1])], "the place is the line of the message"


def test_telegram_of_all_chats_tells_them_apart(tmp_path: Path) -> None:
    one = json.loads((CHATS / "result.json").read_text())
    other = {**one, "id": 99, "messages": one["messages"][1:2]}
    nameless = {"type": "personal_chat", "id": 5, "messages": one["messages"][1:2]}
    file = tmp_path / "result.json"
    file.write_text(
        json.dumps({"about": "x", "personal_information": {"messages": [1]}, "chats": {"about": "y", "list": [one, other, nameless]}})
    )
    passages = [p for p in read_path(file) if isinstance(p, Passage)]
    assert list(dict.fromkeys(p.thread for p in passages)) == ["Ben Oduya", "Ben Oduya (99)", "chat 5"]


def test_telegram_of_an_older_export_is_recognised(tmp_path: Path) -> None:
    """It gives each time once, numbers of people without a word before, and texts without pieces."""
    message = {
        "id": 1,
        "type": "message",
        "date": "2019-05-04T20:15:00",
        "edited": "1970-01-01T01:00:00",
        "from": "Ben Oduya",
        "from_id": 7,
        "text": "Tea?",
    }
    chat = {"name": "Ben Oduya", "type": "personal_chat", "id": 7, "messages": [message]}
    (tmp_path / "result.json").write_text(json.dumps(chat, indent=1))
    assert recognise(tmp_path / "result.json").format == "telegram"
    [passage] = read_path(tmp_path / "result.json")
    assert (passage.speaker, passage.text, passage.date, passage.thread) == ("Ben Oduya", "Tea?", "2019-05-04T20:15:00", "Ben Oduya")


def test_discord_keeps_nicknames_replies_and_mentions() -> None:
    passages, dropped = found("Harbour - boats [1].json")
    late = passages[-1]
    assert (late.speaker, late.to, late.reply_to, late.date) == ("Ida Fenwick", ("Cleo Marsh",), "102", "2024-05-04T23:40:00")
    assert (late.edited, late.thread) == ("2024-05-04T23:41:00", "Harbour #boats")
    assert [d.reason for d in dropped] == ["system line", "media"]


def test_slack_as_folder_and_as_zip_are_the_same(tmp_path: Path) -> None:
    passages, dropped = found("slack")
    question = next(p for p in passages if "lathe free" in p.text)
    assert question.text == "@Ida Fenwick is the lathe free? see the plan & tell me"
    assert (question.to, question.date, question.thread) == (("Ida Fenwick",), "2024-05-06T08:36:40", "#workshop")
    answer = next(p for p in passages if p.text.startswith("Free until"))
    assert (answer.thread, answer.reply_to) == ("#workshop / thread 1714981000.000200", question.identity_in_thread)
    assert next(p for p in passages if p.text.startswith("Tea")).date == "2024-05-06T02:38:20", "the writer's own time of day"
    assert next(p for p in passages if p.text.startswith("It has had")).thread == "Ida Fenwick, Ben Oduya"
    assert sorted(d.reason for d in dropped) == ["media", "system line"]
    packed = tmp_path / "slack.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for member in sorted((CHATS / "slack").rglob("*.json")):
            file.write(member, member.relative_to(CHATS / "slack"))
    assert recognise(packed).format == "slack"
    assert [p.model_copy(update={"source": ""}) for p in read_path(packed) if isinstance(p, Passage)] == [
        p.model_copy(update={"source": ""}) for p in passages
    ]


def test_slack_below_one_more_folder(tmp_path: Path) -> None:
    members = {member.relative_to(CHATS / "slack"): member.read_bytes() for member in sorted((CHATS / "slack").rglob("*.json"))}
    packed, folder = tmp_path / "slack.zip", tmp_path / "slack"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("__MACOSX/._Harbour", b"")
        for member, content in members.items():
            file.writestr(f"Harbour export/{member}", content)
            (folder / "Harbour export" / member).parent.mkdir(parents=True, exist_ok=True)
            (folder / "Harbour export" / member).write_bytes(content)
    (folder / ".DS_Store").touch()
    passages, dropped = found("slack")
    for path in (packed, folder):
        assert recognise(path).format == "slack"
        read = list(read_path(path))
        assert [p.text for p in read if isinstance(p, Passage)] == [p.text for p in passages]
        assert [p.thread for p in read if isinstance(p, Passage)] == [p.thread for p in passages]
        places = [p.source for p in read if isinstance(p, Passage)]
        assert places == [p.source.replace("slack/", f"{path.name}/Harbour export/", 1) for p in passages]
        assert len(read) == len(passages) + len(dropped)
    (folder / "a book.txt").write_text("CHAPTER I")
    assert recognise(folder) is None, "a folder that holds an export among other things is walked"


def test_wechat_of_four_exporters() -> None:
    passages, dropped = found("wechat-all.csv")
    assert [(p.speaker, p.text) for p in passages] == [("阿本", "锅炉又坏了"), ("me", "在冰箱上，\n鹭鸶磁铁下面。"), ("me", "它比我还老。")]
    assert {p.thread for p in passages} == {"阿本"}
    assert [d.reason for d in dropped] == ["media", "system line"]
    assert [p.source for p in passages] == ["wechat-all.csv:2", "wechat-all.csv:4", "wechat-all.csv:7"]
    assert [(p.speaker, p.thread) for p in found("wechat-pywxdump.csv")[0]] == [("wxid_b", "88@chatroom"), ("me", "88@chatroom")]
    assert [(p.speaker, p.thread) for p in found("wechat-chatlog.csv")[0]] == [("阿本", "海边小屋"), ("林依达", "海边小屋")]
    assert [p.speaker for p in found("wechat-memotrace.csv")[0]] == ["阿本", "林依达"]


def test_columns_by_usual_names_and_by_a_mapping() -> None:
    passages, _ = found("letters.tsv")
    assert passages[1].text == "=SUM(A1) is what you call it?", "a formula is a text"
    assert (passages[1].to, passages[1].date) == (("Ben Oduya",), "2024-05-04T20:16:00")
    mapping = columns.read_mapping("speaker=author.name,text=said,date=at,thread=room")
    read = list(columns.Columns(mapping).read(CHATS / "talks.jsonl"))
    assert [(p.speaker, p.text, p.date, p.thread) for p in read[:2]] == [
        ("Ben Oduya", "Is it tonight?", "2024-05-04T20:15:00", "kitchen"),
        ("Ida Fenwick", "It is always tonight.", "2024-05-04T20:16:00", "kitchen"),
    ]
    assert (read[2].item, read[2].reason) == ("talks.jsonl:3", "not as the format has it")


def test_a_wrong_mapping_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PART is one of speaker, text"):
        columns.read_mapping("who=from")
    with pytest.raises(MaterialError, match="no column sender; there are from, to, ts"):
        list(columns.Columns({"speaker": "sender", "text": "body"}).read(CHATS / "letters.tsv"))
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(MaterialError, match="--map speaker=COLUMN"):
        list(columns.Columns().read(file))


def test_a_csv_cell_without_end_is_one_broken_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('speaker,text\nBen,one\nBen,"open\n' + "x" * 900_000 + "\n" + "y" * 900_000 + "\nIda,two\n")
    read = list(columns.read(file))
    assert [p.text for p in read if isinstance(p, Passage)] == ["one", "two"]
    assert [d.reason for d in read if isinstance(d, Dropped)] == ["broken row"]


def test_openai_follows_the_branch_that_was_seen_last() -> None:
    passages, dropped = found("conversations.json")
    assert [(p.speaker, p.text) for p in passages] == [
        ("user", "Which knot for a wet rope?"), ("assistant", "A bowline."), ("user", "I asked for wet, not for easy."),
    ]  # fmt: skip
    assert (passages[0].thread, passages[0].date) == ("Knots", "2024-05-04T20:15:01")
    assert [d.reason for d in dropped] == ["another branch", "system line"]
    spoken, _ = found("messages.jsonl")
    assert [(p.speaker, p.text, p.situation) for p in spoken] == [
        ("user", "Is she dry?", "In the boat shed, at dusk."), ("assistant", "Dry enough to lie about.", "In the boat shed, at dusk."),
    ]  # fmt: skip


def test_sharegpt_drops_a_broken_turn_by_name() -> None:
    passages, dropped = found("sharegpt.json")
    assert [p.speaker for p in passages] == ["user", "assistant", "Ben Oduya"]
    assert [d.reason for d in dropped] == ["media"]


def test_json_items_are_the_same_however_the_file_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "name": "x",
        "n": {"messages": 3},
        "messages": [{"i": i, "t": 'a"}]{é😀\\' * (i % 5), "d": [{"q": 1.5e3}]} for i in range(40)],
        "z": [1],
    }
    for chunk in (1, 2, 3, 7, 64, 1 << 16):
        monkeypatch.setattr(json_items, "CHUNK", chunk)
        for indent in (None, 1):
            text = json.dumps(value, indent=indent)
            items = list(json_items.json_items(io.StringIO(text), "f", lambda path: path[-2:] == ("messages", "*")))
            assert [item.value for item in items] == value["messages"]
            lines = text.split("\n")
            assert indent is None or all(f'"i": {item.value["i"]},' in lines[item.line] for item in items)


def test_a_broken_item_is_passed_over_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"a": 1},\n{"a": tru, "b": [{"c": "]}"}]},\n{"a": "\\ud83d"},\n{"a": 3')
    read = list(items_of(file, lambda path: path == ("*",)))
    assert [(item.value, item.line) for item in read if isinstance(item, Item)] == [({"a": 1}, 1), ({"a": "\ufffd"}, 3)]
    assert [(d.item, d.reason) for d in read if isinstance(d, Dropped)] == [
        ("a.json:2", "broken JSON"), ("a.json:4", "broken JSON"), ("a.json:4", "the file ends too early"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, '[{"a":' + "[" * 100_000, '"abc', "", "nothing"])
def test_hostile_json_is_refused_in_bounds(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    try:
        read = list(items_of(file, lambda path: path == ("*",)))
    except MaterialError:
        return
    assert not any(isinstance(item, Item) for item in read)


def table(path: Path, rows: list[list[str]], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


DATES = [
    (["13.03.2024 20:15", "14.03.2024, 08:16:10"], ["2024-03-13T20:15:00", "2024-03-14T08:16:10"]),
    (["3/4/2024 8:15 PM", "3/13/2024 12:20 AM"], ["2024-03-04T20:15:00", "2024-03-13T00:20:00"]),
    (["3/4/24", "13/4/24"], ["2024-04-03", "2024-04-13"]),
    (["2/3/2024", "3/2/2024"], ["2024-02-03", "2024-03-02"]),
    (["2024/5/4 8:15 PM", "2024/5/4 下午8:16"], ["2024-05-04T20:15:00", "2024-05-04T20:16:00"]),
    (["Tue, 13 Feb 2024 20:15:00 +0100", "Feb 13, 2024, 8:16 p.m."], ["2024-02-13T20:15:00", "2024-02-13T20:16:00"]),
]


@pytest.mark.parametrize(("written", "read"), DATES)
def test_columns_have_the_dates_of_many_countries(written: list[str], read: list[str], tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", [["sender", "text", "date"], ["Ben", "Is she dry?", written[0]], ["Ida", "Dry enough.", written[1]]])
    found = list(columns.read(file))
    assert [p.date for p in found if isinstance(p, Passage)] == read
    assert not [d for d in found if isinstance(d, Dropped)]


def test_dates_in_doubt_and_dates_that_are_none_are_told(tmp_path: Path) -> None:
    file = table(
        tmp_path / "a.csv", [["sender", "text", "date"], ["Ben", "one", "3/4/2024"], ["Ben", "two", "some day"], ["Ben", "three", ""]]
    )
    found = list(columns.read(file))
    assert [p.date for p in found if isinstance(p, Passage)] == ["2024-04-03", "", ""]
    assert [(d.reason, d.detail) for d in found if isinstance(d, Dropped)] == [
        ("day and month look alike", "read as dmy; no date of the file tells them apart"),
        ("date not understood", "1 messages stand without a date, the first at a.csv:3, some day"),
    ]


@pytest.mark.parametrize(
    ("suffix", "encoding", "delimiter"), [("tsv", "utf-16", "\t"), ("csv", "gb18030", ","), ("csv", "utf-8-sig", ";"), ("csv", "big5", ",")]
)
def test_a_table_is_recognised_in_the_encodings_of_office_programs(suffix: str, encoding: str, delimiter: str, tmp_path: Path) -> None:
    rows = [["sender" if encoding == "big5" else "发送人", "text"], ["老周", "魚買了沒有？明天幾點出發呢？"]]
    file = table(tmp_path / f"a.{suffix}", [*rows, ["Ida", "買了兩條，夠吃三天。"]], encoding, delimiter)
    known = recognise(file)
    assert known is not None
    assert known.format == "columns"
    assert [p.text for p in columns.read(file) if isinstance(p, Passage)] == ["魚買了沒有？明天幾點出發呢？", "買了兩條，夠吃三天。"]


def test_the_other_exports_are_recognised_in_other_encodings_too(tmp_path: Path) -> None:
    file = table(
        tmp_path / "a.csv",
        [["消息ID", "时间", "发送人", "类型", "内容"], ["1", "2024-02-01 10:00:00", "老周", "文本", "鱼买了没有？"]],
        "gb18030",
    )
    known = recognise(file)
    assert known is not None
    assert known.format == "wechat"
    chat = tmp_path / "chat.txt"
    chat.write_text("03.05.20, 12:01 - Ben: Is she dry?\n03.05.20, 12:02 - Ida: Dry enough.\n", encoding="utf-16")
    known = recognise(chat)
    assert known is not None
    assert known.format == "whatsapp"


def test_lines_of_the_app_itself_are_nobodys_words(tmp_path: Path) -> None:
    """A title with a colon makes no speaker of the line that tells of it; places and what never came are no words."""
    file = tmp_path / "WhatsApp Chat with Ben.txt"
    file.write_text(
        '1/2/23, 10:01 AM - Ben: One?\n1/2/23, 10:06 AM - Ben changed the subject from "A" to "B: C"\n1/2/23, 10:07 AM - Ben hat die Gruppe „Boot: Rom“ erstellt\n'
        "1/2/23, 10:08 AM - Ida: live location shared\n1/13/23, 10:09 AM - Ben: location: https://maps.google.com/?q=54.3,-10.1\n"
        '1/13/23, 10:10 AM - Ben: Waiting for this message\n1/13/23, 10:11 AM - Ben "Benny" Oduya: Two: three.\n'
    )
    found = list(whatsapp.read(file))
    assert [(p.speaker, p.text) for p in found if isinstance(p, Passage)] == [("Ben", "One?"), ('Ben "Benny" Oduya', "Two: three.")]
    assert [d.reason for d in found if isinstance(d, Dropped)] == ["system line", "system line", "media", "media", "media"]
