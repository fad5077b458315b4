"""Meetings: who speaks, what each sees, ends, resume, transcripts, figures with known answers, comparison and scans."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_server import FakeServer
from toy_base import ADA, BO
from toy_run import build_run

from persllm.agent import Agent
from persllm.chat import ScriptedModel
from persllm.errors import ConfigError, RunError
from persllm.meeting import Turn, meet, read_scene, results_of, scan
from persllm.meeting.comparison import table_of
from persllm.meeting.course import LEFT, Meeting, ending_of, hold, own_words
from persllm.meeting.folder import hold_in, taken, transcript
from persllm.meeting.ground import Grounds
from persllm.meeting.measures import Mark, differences_of, figures_of, marks_of
from persllm.meeting.policies import choose
from persllm.meeting.scene import Scene, SeatSettings, bundled
from persllm.meeting.seats import Hall, Seat
from persllm.meeting.transcripts import as_html, as_markdown
from persllm.records import Material, Reply

SEATS = (SeatSettings(persona="ada@late"), SeatSettings(persona="bo@late"))
REPOSITORY = Path(__file__).parent.parent


def scene(**changes: object) -> Scene:
    return Scene(**{"title": "Bees at sea", "goal": "Agree.", "seats": SEATS, **changes})


def seat(name: str, says: object, persona=ADA, **changes: object) -> Seat:
    model = ScriptedModel(says if callable(says) or isinstance(says, list) else (lambda request: says))
    agent = Agent(model=model, persona=persona, stage="late", kept=1000)
    return Seat(**{"name": name, "agent": agent, "taker": "dpo", "run": "r", "told": False, **changes})


def met(seats: list[Seat], **changes: object) -> Meeting:
    meeting = Meeting(scene(**changes), seats, seed=changes.get("seed", 0))
    hold([meeting], lambda one, turn: None)
    return meeting


def said(meeting: Meeting) -> list[tuple[str, str]]:
    return [(turn.name, turn.text) for turn in meeting.turns]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("meeting"))


# What each sees and says ---------------------------------------------------------------------------------


def test_everybody_sees_the_meeting_with_their_own_eyes() -> None:
    ada, bo, cy = (seat(name, f"{name} speaks.", persona) for name, persona in (("Ada", ADA), ("Bo", BO), ("Cy", BO)))
    meeting = met([ada, bo, cy], opening="Begin!", end={"turns": 5}, kept=4)
    assert [name for name, _ in said(meeting)] == ["Ada", "Bo", "Cy", "Ada", "Bo"]
    seen = [(message.role, message.content) for message in ada.agent.model.requests[-1].messages]
    assert seen == [("user", "Begin!"), ("assistant", "Ada speaks."), ("user", "Bo: Bo speaks.\nCy: Cy speaks.")]
    last = [message.content for message in bo.agent.model.requests[-1].messages]
    assert last == ["Ada: Ada speaks.", "Bo speaks.", "Cy: Cy speaks.\nAda: Ada speaks."]


def test_only_the_end_of_a_meeting_is_remembered() -> None:
    ada, bo = seat("Ada", "One."), seat("Bo", "Two.", BO)
    met([ada, bo], end={"turns": 9, "silence": 9}, kept=1)
    assert [len(request.messages) for request in ada.agent.model.requests] == [1] * 5


def test_goal_and_setting_are_told_to_those_who_can_read_them() -> None:
    ada, bo = seat("Ada", "One.", told=True), seat("Bo", "Two.", BO)
    met([ada, bo], setting="A {goal} boat.", end={"turns": 2})
    [brief] = [message for message in ada.agent.model.requests[0].messages if message.role == "system"]
    assert "Agree." in brief.content
    assert "boat" in brief.content
    assert "Bo" in brief.content
    assert all(message.role != "system" for message in bo.agent.model.requests[0].messages)


def test_nobody_speaks_for_others() -> None:
    ada, bo = seat("Ada", "Ada: I see.\nBo: I do not."), seat("Bo", "Two.", BO)
    assert own_words("Ada: I see.\nBo: I do not.", ada, [ada, bo]) == "I see."
    assert own_words("Ada Lind：好。\n\n Bo Karl：不。", ada, [ada, bo]) == "好。"
    assert own_words("So Bo: well.", ada, [ada, bo]) == "So Bo: well."


def test_a_failure_is_silence_and_says_why() -> None:
    meeting = met([seat("Ada", Reply(finish="error", error="gone")), seat("Bo", "", BO)], end={"silence": 2})
    assert meeting.ending == "silence"
    assert [turn.error for turn in meeting.turns] == ["gone", ""]


# Who speaks next -----------------------------------------------------------------------------------------


def test_whoever_is_named_speaks() -> None:
    seats = [seat("Ada", "And Cy?"), seat("Bo", "Boat.", BO, run=""), seat("Cy", ["Bo Karl!", "Nobody."], BO, run="")]
    seats[1] = replace(seats[1], name="Bo Karl")
    meeting = met(seats, policy="named", end={"turns": 5})
    assert [(turn.name, turn.why) for turn in meeting.turns] == [
        ("Ada", "waited longest"), ("Cy", "named"), ("Bo Karl", "named"), ("Ada", "waited longest"), ("Cy", "named"),
    ]  # fmt: skip


def test_names_are_whole_words() -> None:
    assert seat("Bo", "", BO, run="").named_at("The boat, Bob, Bo.") == 15
    assert seat("Bo", "", BO, run="").named_at("The Boat.") == -1
    assert seat("李白", "", BO, run="").named_at("请问李白先生") == 2


def test_the_rule_gives_the_word_to_whoever_said_least() -> None:
    meeting = met([seat("Ada", "one two three"), seat("Bo", "one", BO), seat("Cy", "one two", BO)], policy="moderator", end={"turns": 6})
    assert [name for name, _ in said(meeting)] == ["Ada", "Bo", "Cy", "Bo", "Cy", "Bo"]


def test_an_agent_moderates_and_the_rule_helps_out() -> None:
    seats = [seat("Ada", "A."), seat("Bo", "B.", BO, run=""), seat("Cy", "C.", BO, run="")]
    chair = seat("Chair", ["Cy", "I say Cy again, no, Bo", "weather"])
    meeting = Meeting(scene(policy="moderator", end={"turns": 3}), seats, 0, moderator=chair)
    hold([meeting], lambda one, turn: None)
    assert [(turn.name, turn.why) for turn in meeting.turns] == [
        ("Cy", "moderator"), ("Bo", "moderator"), ("Ada", "moderator named nobody"),
    ]  # fmt: skip
    assert "Who should speak next: Ada, Bo?" in chair.agent.model.requests[1].messages[-1].content


def materials(text: str, persona: str) -> tuple[Material, ...]:
    return (Material(persona=persona, kind="knowledge", stage=None, text=text, source="m:1"),)


def test_the_urge_to_speak_follows_what_one_knows() -> None:
    seats = [
        seat("Ada", "Let us talk of sails and anchors.", materials=materials("Bees and honey.", "ada")),
        seat("Bo", "Aye.", BO, materials=materials("Sails and anchors of a boat.", "bo")),
        seat("Cy", "Yes.", BO, materials=materials("Bread and butter.", "bo")),
    ]
    meeting = Meeting(scene(policy="urge", opening="Of honey and bees?"), seats, 0)
    assert choose(meeting).seat == 0
    meeting.add(choose(meeting), "Let us talk of sails and anchors.")
    assert choose(meeting).seat == 1
    assert [choose(meeting) for _ in range(3)] == [choose(meeting)] * 3
    only_luck = {"urge": {"relevance": 0, "waiting": 0, "named": 0, "chance": 1}}
    firsts = {choose(Meeting(scene(policy="urge", **only_luck), seats, seed)).seat for seed in range(20)}
    assert firsts == {0, 1, 2}


# When it is over -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "lines", "ending", "after"),
    [
        ({"turns": 3}, ["a", "b", "c", "d"], "turns", 3),
        ({"silence": 2}, ["a", "", "", "b"], "silence", 3),
        ({"phrases": ["Farewell"]}, ["a", "well, FAREWELL then"], "phrase", 2),
        ({"phrases": ["agreed"], "phrase_by": 2}, ["agreed", "hm", "agreed", "agreed"], "phrase", 4),
        ({"no_new_words": 2}, ["red bee", "blue bee", "red bee", "bee blue", "x"], "no new words", 4),
    ],
)
def test_ends(end: dict, lines: list[str], ending: str, after: int) -> None:
    script = iter(lines)
    meeting = met([seat("Ada", lambda request: next(script)), seat("Bo", lambda request: next(script), BO)], end={"turns": 20, **end})
    assert (meeting.ending, len(meeting.turns)) == (ending, after)
    assert not ending_of(meeting.scene, meeting.turns[:-1])


def test_a_human_takes_part_and_leaves() -> None:
    typed = iter(["Hello.", None])
    meeting = Meeting(scene(), [seat("Ada", "Bee."), Seat(name="Kim", agent=None)], 0)
    hold([meeting], lambda one, turn: None, lambda one, who: next(typed))
    assert [(turn.by, turn.text) for turn in meeting.turns] == [("model", "Bee."), ("human", "Hello."), ("model", "Bee."), ("human", "")]
    assert (meeting.turns[-1].error, meeting.ending) == (LEFT, "left")


# Scenes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled())
def test_bundled_scenes_seat_persons_of_the_bundled_world(name: str) -> None:
    for one in read_scene(name).seats:
        persona, _, stage = one.persona.partition("@")
        assert f"- id: {stage}" in (REPOSITORY / "persllm" / "world" / persona / "persona.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: x\nseats: [{persona: a}, {persona: b}]\npolicyy: round", "unknown key policyy; did you mean policy"),
        ("title: x\nseats: [{persona: a}, {persoona: b}]", "unknown key seats.1.persoona; did you mean persona"),
        ("title: x\nseats: [{persona: a}, {human: true}]", "seats.1: name is missing"),
        ("title: x\nseats: [{persona: a}, {persona: b, profile: c}]", "seats.1: give one of"),
        ("title: x\nseats: [{persona: a}]", "seats"),
        ("title: x\nseats: [{persona: a}, {persona: b, address: 'http://127.0.0.1:1/v1'}]", "address needs model"),
    ],
)
def test_errors_of_a_scene_say_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        read_scene(str(file))


def test_unknown_names_of_a_scene_say_the_ways_on(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bundled scene of that name"):
        read_scene("nowhere")
    for persona, message in (("eve", "no person"), ("ada@war", 'stage "war" is not a stage')):
        with pytest.raises(ConfigError, match=message):
            Hall().seats(scene(run=str(run), seats=(SEATS[0], SeatSettings(persona=persona))))
    with pytest.raises(ConfigError, match="two seats are called"):
        Hall().seats(scene(run=str(run), seats=(SEATS[0], SEATS[0])))


# On disk -------------------------------------------------------------------------------------------------


def toy(run: Path, **changes: object) -> Scene:
    return scene(run=str(run), **{"end": {"turns": 6, "silence": 9}, "max_tokens": 8, "temperature": 1.0, "kept": 3, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"
    }


def test_meetings_side_by_side_share_batches_and_seeds_differ(run: Path, tmp_path: Path) -> None:
    hall, sizes = Hall(), []
    meetings = table_of(toy(run), hall, 4)
    model = meetings[0].seats[0].agent.model
    assert all(seat.agent.model is model for seat in meetings[0].seats)
    whole = model.replies
    model.replies = lambda requests: sizes.append(len(requests)) or whole(requests)
    hold_in(tmp_path, meetings, lambda meeting, turn: None)
    assert sizes == [4] * 6
    texts = {tuple(turn.text for turn in meeting.turns) for meeting in meetings}
    assert len(texts) == 4


def test_a_killed_meeting_ends_like_an_undisturbed_one(run: Path, tmp_path: Path) -> None:
    meet(toy(run), tmp_path / "whole", lambda meeting, turn: None, count=3)

    class Stopped(Exception):
        pass

    def stop(meeting: Meeting, turn) -> None:
        if (meeting.seed, turn.number) == (1, 4):
            raise Stopped

    with pytest.raises(Stopped):
        meet(toy(run), tmp_path / "killed", stop, count=3)
    torn = tmp_path / "killed" / "as-set" / "seed-0.jsonl"
    torn.write_bytes(torn.read_bytes() + b'{"number": 5, "se')
    heard = []
    meet(toy(run), tmp_path / "killed", lambda meeting, turn: heard.append(turn.number), count=3)
    assert heard == [4, 4, 4, 5, 5, 5, 6, 6, 6]
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_what_is_over_is_not_held_again_and_other_scenes_are_refused(run: Path, tmp_path: Path) -> None:
    heard: list[Turn] = []
    for _ in range(2):
        meet(toy(run), tmp_path / "out", lambda meeting, turn: heard.append(turn))
    assert len(heard) == 6
    with pytest.raises(RunError, match="another scene or with other settings"):
        meet(toy(run, title="Else"), tmp_path / "out", lambda meeting, turn: None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="holds other files"):
        meet(toy(run), tmp_path / "mine", lambda meeting, turn: None)


def test_a_folder_of_meetings_is_kept_from_others_from_the_first_moment(tmp_path: Path) -> None:
    for _ in range(2):
        with taken(tmp_path / "out", {"title": "x"}):
            with pytest.raises(RunError, match=r"another persllm is at work here.* --out FOLDER"), taken(tmp_path / "out", {"title": "x"}):
                pass
            with pytest.raises(RunError, match="another persllm is at work here"), taken(tmp_path / "out", {"title": "y"}):
                pass
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["made-with"]


def test_what_a_human_said_is_never_taken_back(tmp_path: Path) -> None:
    def table() -> list[Meeting]:
        return [Meeting(scene(end={"turns": 6}), [seat("Ada", "Bee."), Seat(name="Kim", agent=None)], 0)]

    class Stopped(Exception):
        pass

    def stop(meeting: Meeting, turn) -> None:
        if turn.number == 4:
            raise Stopped

    with pytest.raises(Stopped):
        hold_in(tmp_path, table(), stop, lambda meeting, who: "Well.")
    again = table()
    hold_in(tmp_path, again, lambda meeting, turn: None, lambda meeting, who: "More.")
    assert [turn.text for turn in again[0].turns] == ["Bee.", "Well.", "Bee.", "Well.", "Bee.", "More."]


def test_transcripts_are_escaped_and_say_that_a_model_spoke(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script> **bold** ![x](http://e)"
    meeting = met([seat("<b>Ada", bad), seat("Bo", "", BO)], title="<i>T", end={"turns": 2, "silence": 5})
    page, text = as_html(meeting), as_markdown(meeting)
    assert "<script" not in page
    assert "<b>Ada" not in page
    assert "AI label" in page
    assert "AI label" in text
    assert "**bold**" not in text.replace("\\", "\\ ")
    assert "<script" not in text
    mixed = met([seat("Ada", "x"), seat("Bo", "y", BO)], language="zh", title="会", end={"turns": 2})
    assert "AI 标识" in as_html(mixed)
    mixed.seats = [mixed.seats[0], Seat(name="Kim", agent=None)]
    assert "（Kim的话除外）" in as_markdown(mixed)


# Other ways to fill a seat -------------------------------------------------------------------------------


def test_addresses_and_described_persons_take_seats(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with FakeServer(answer=lambda asked: "From afar. <|stage:x|>") as server:
        far = SeatSettings(persona="ada@early", address=server.url, model="m", taker="prompted")
        words = SeatSettings(name="Judge", profile="Judges bees.")
        meeting = table_of(toy(run, seats=(far, words, SEATS[1]), end={"turns": 4, "silence": 9}), Hall())[0]
        hold([meeting], lambda one, turn: None)
        told = server.bodies[-1]["messages"]
    assert [turn.name for turn in meeting.turns] == ["Ada Lind", "Judge", "Bo Karl", "Ada Lind"]
    assert meeting.turns[0].text.startswith("From afar.")
    assert "Ada keeps bees." in told[0]["content"]
    assert "Agree." in told[0]["content"]
    judge = meeting.seats[1]
    assert "Judges bees." in meeting.request(1).messages[0].content
    assert (judge.persona, judge.taker) == ("", "prompted")


def test_a_person_meets_the_older_self_under_two_names(run: Path) -> None:
    seats = Hall().seats(scene(run=str(run), seats=(SeatSettings(persona="ada@early"), SeatSettings(persona="ada@late"))))
    assert [seat.name for seat in seats] == ["Ada Lind (girl)", "Ada Lind (old woman)"]
    assert [[material.source for material in seat.known] for seat in seats] == [["m.md:1"], ["m.md:1", "m.md:9"]]


# Figures -------------------------------------------------------------------------------------------------


def measured(run: Path, early: str, late: str) -> dict[str, list[float]]:
    """Ada young says `early`, Ada old says `late`, twice each; the values by metric and turn."""
    seats = [
        replace(seat, agent=replace(seat.agent, model=ScriptedModel(lambda request, text=text: text)))
        for seat, text in zip(
            Hall().seats(scene(run=str(run), seats=(SeatSettings(persona="ada@early"), SeatSettings(persona="ada@late")))),
            (early, late),
            strict=True,
        )
    ]
    meeting = met(seats, end={"turns": 4})
    found: dict[str, dict[int, float]] = {}
    for mark in marks_of([meeting], Grounds()):
        found.setdefault(mark.metric, {})[mark.turn] = mark.value
    return {metric: [values[turn] for turn in sorted(values)] for metric, values in found.items()}


def test_marks_with_known_answers(run: Path) -> None:
    right = measured(run, "A red bee.", "A black bee.")
    assert right["identified_stage"] == [1, 1, 1, 1]
    assert right["likeness"] == [1, 1, 1, 1]
    assert right["repeated"] == [0, 0, 1, 1]
    assert right["silent"] == [0, 0, 0, 0]
    wrong = measured(run, "A black bee.", "A red bee.")
    assert wrong["identified_stage"] == [0, 0, 0, 0]
    assert wrong["own_terms"] == [0, 0, 0, 0]
    assert right["own_terms"] == [0, 1, 0, 0], "only the old woman knows something (black) that the girl does not"
    assert measured(run, "", "A black bee.")["silent"] == [1, 0, 1, 0]


def mark(value: float, seed: int, turn: int = 1, part: int = 0, variant: str = "a") -> Mark:
    return Mark(metric="identified", variant=variant, seed=seed, turn=turn, part=part, value=value)


def test_figures_drift_and_differences() -> None:
    marks = [mark(1.0, seed, 1, 0) for seed in range(8)] + [mark(float(seed < 2), seed, 2, 3) for seed in range(8)]
    share, drift = figures_of(marks, {"identified": 0.5})
    assert (share.value, share.n, share.meetings, share.over, share.chance) == (0.625, 16, 8, "meetings", 0.5)
    assert share.low < 0.625 < share.high
    assert (drift.metric, drift.value) == ("drift of identified", -0.75)
    assert drift.low < -0.75 < drift.high < 0
    [sure] = figures_of([mark(1.0, seed) for seed in range(8)], {})
    assert (sure.low, sure.high) == (0.625, 1.0)
    same = [*marks, *(one.model_copy(update={"variant": "b"}) for one in marks)]
    [difference] = differences_of(same, "a", "b")
    assert (difference.value, difference.low, difference.high) == (0, 0, 0), "paired by seeds"
    [figure] = figures_of([mark(float(turn % 2), 0, turn) for turn in range(20)], {})
    assert figure.over == "utterances"


# From end to end -----------------------------------------------------------------------------------------


def command(*words: str, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "persllm.cli", "meet", *words], capture_output=True, text=True, timeout=120, **options)


def scene_file(folder: Path, run: Path, turns: int = 4) -> str:
    file = folder / "boat.yaml"
    file.write_text(
        f"title: Boat\nrun: {run}\nseats: [{{persona: ada@early}}, {{persona: bo@late}}]\nend: {{turns: {turns}, silence: 99}}\n"
        "max_tokens: 8\ntemperature: 1.0\n",
        encoding="utf-8",
    )
    return str(file)


def test_compare_prints_a_table_and_writes_it(run: Path, tmp_path: Path) -> None:
    done = command(scene_file(tmp_path, run), "--out", str(tmp_path / "out"), "--meetings", "5", "--compare", "prompted")
    assert done.returncode == 0, done.stderr
    assert "less prompted" in done.stdout
    kept = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {figure["variant"] for figure in kept["figures"]} == {"as-set", "prompted"}
    assert {difference["meetings"] for difference in kept["differences"]} == {5}
    assert len(list((tmp_path / "out").rglob("seed-*.html"))) == 10


def test_a_scan_over_stages_holds_every_combination(run: Path, tmp_path: Path) -> None:
    meetings = scan(toy(run, end={"turns": 2}), tmp_path, lambda meeting, turn: None, count=2)
    assert {meeting.variant for meeting in meetings} == {"ada-early+bo-late", "ada-early+bo-after", "ada-late+bo-late", "ada-late+bo-after"}
    assert len(meetings) == 8
    assert all(len(transcript(tmp_path, meeting).read_text().splitlines()) == 2 for meeting in meetings)
    results = results_of(meetings, tmp_path)
    assert {figure.variant for figure in results.figures} == {meeting.variant for meeting in meetings}


def test_a_killed_process_goes_on(run: Path, tmp_path: Path) -> None:
    file, whole, killed = scene_file(tmp_path, run, turns=60), tmp_path / "whole", tmp_path / "killed"
    words = [sys.executable, "-m", "persllm.cli", "meet", file, "--no-measure", "--out"]
    process = subprocess.Popen([*words, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = killed / "as-set" / "seed-0.jsonl"
    for _ in range(6000):
        if log.is_file() and log.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    assert 3 <= log.read_bytes().count(b"\n") < 60
    for folder in (killed, whole):
        assert command(file, "--no-measure", "--out", str(folder)).returncode == 0
    assert files(killed) == files(whole)


def test_a_human_at_the_keyboard_of_the_command(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "human.yaml"
    file.write_text(f"title: T\nrun: {run}\nseats: [{{name: Kim, human: true}}, {{persona: ada@late}}]\nmax_tokens: 4\n", encoding="utf-8")
    done = command(str(file), "--out", str(tmp_path / "out"), "--no-measure", input="Hello, Ada.\n")
    assert done.returncode == 0, done.stderr
    turns = [json.loads(line) for line in (tmp_path / "out" / "as-set" / "seed-0.jsonl").read_text().splitlines()]
    assert (turns[0]["by"], turns[0]["text"], turns[-1]["error"]) == ("human", "Hello, Ada.", "left")


def test_errors_of_the_command_are_one_line(run: Path, tmp_path: Path) -> None:
    for words in ([scene_file(tmp_path, run), "--compare", "x"], [scene_file(tmp_path, run), "--runner", "x"], ["nowhere"]):
        done = command(*words, "--out", str(tmp_path / "o"))
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("persllm: ")
        assert "Traceback" not in done.stderr
