"""A blind study: balanced, blind also in the page's source, private, resumable; figures that can be worked out by hand."""

import html
import json
import re
import threading
from collections import Counter
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from persllm.errors import ConfigError
from persllm.listening import in_background
from persllm.records import Reply
from persllm.store import replace_records, replace_text
from persllm.study import results, write_results
from persllm.study.app import OpenStudy, study_app
from persllm.study.assignment import Task, tasks_for
from persllm.study.design import StudyItem, StudySettings, read_study
from persllm.study.results import as_csv, bradley_terry, harmless, mean_by_rater
from persllm.study.storage import Judgement, Storage

TAKERS = ("taker-one", "taker-two")


def make_study(folder: Path, items: int = 6, **settings) -> Path:
    """A study of invented answers that nobody could tell a taker from."""
    found = [
        StudyItem(
            id=f"item-{n}", persona="ada", name="Ada", stage="late", about="Ada mends clocks.",
            messages=({"role": "user", "content": f"Question {n}?"},), reference=f"Truth {n}.",
            answers={"taker-one": f"First words {n}.", "taker-two": f"<script>alert({n})</script> Second words {n}."},
        )
        for n in range(items)
    ]  # fmt: skip
    tree = {
        "title": "Who is Ada?",
        "run": "runs/ada",
        "takers": list(TAKERS),
        "dimensions": ["likeness", "knowledge"],
        "tasks_per_rater": 4,
        **settings,
    }
    replace_text(folder / "study.yaml", json.dumps(tree))
    replace_records(folder / "items.jsonl", found)
    return folder


class Browser:
    """A rater's browser: keeps cookies, follows redirects, fills the form that it sees."""

    def __init__(self, link: str):
        self.link = link
        self.jar = CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.jar))
        self.pages: list[str] = []

    def get(self, path: str = "") -> str:
        return self.take(self.opener.open(self.link + path, timeout=30))

    def post(self, path: str, **fields: str) -> str:
        try:
            return self.take(self.opener.open(self.link + path, urlencode(fields).encode(), timeout=60))
        except HTTPError as error:
            return self.take(error)

    def take(self, answer) -> str:
        self.pages.append(answer.read().decode())
        return self.pages[-1]

    def begin(self, language: str = "en") -> str:
        return self.post("begin", consent="yes", language=language)

    def judge(self, page: str, choose) -> str:
        place = re.search(r'name="place" value="(\d+)"', page)[1]
        check = re.search(r'class="check">[^<]*“([^”]*)”', page)
        names = list(dict.fromkeys(re.findall(r'type="radio" name="(\w+)"', page)))
        value = {"Answer A": "left", "Answer B": "right"}[check[1]] if check else choose(page)
        return self.post("task", place=place, **dict.fromkeys(names, value))

    def finish(self, choose) -> int:
        page, done = self.get("task"), 0
        while 'name="place"' in page:
            page, done = self.judge(page, choose), done + 1
        return done


def prefers_first(page: str) -> str:
    """A rater who likes the answers that begin with `First`."""
    sides = re.findall(r'class="said">([^<]*)<', page.split('class="sides"')[1])
    return "left" if html.unescape(sides[0]).startswith("First") else "right"


def test_two_raters_take_a_study_to_its_end(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s"))
    with in_background(study_app([study])) as url:
        raters = [Browser(f"{url}/s/{study.key}/") for _ in range(2)]
        for rater in raters:
            assert "by language models, not by human beings" in rater.begin()
            assert rater.finish(prefers_first) == 6, "four tasks and two checks"
            assert "Thank you" in rater.pages[-1]
    found = write_results(tmp_path / "s")
    assert (found.began, found.finished, found.left_out, found.judgements) == (2, 2, 0, 16)
    assert [(p.dimension, p.wins, p.ties, p.losses, p.share.value) for p in found.preferences] == [
        ("likeness", 8, 0, 0, 1.0), ("knowledge", 8, 0, 0, 1.0),
    ]  # fmt: skip
    assert "taker-one is preferred to taker-two for likeness" in (tmp_path / "s" / "results.html").read_text()
    assert (tmp_path / "s" / "judgements.csv").read_text().count("\n") == 1 + 2 * 6 * 2


def test_no_page_tells_who_is_who(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", talk="fixed"))
    with in_background(study_app([study])) as url:
        rater = Browser(f"{url}/s/{study.key}/")
        rater.begin()
        rater.finish(lambda page: "same")
    source = "\n".join([*rater.pages, *(f"{cookie.name}={cookie.value}" for cookie in rater.jar)])
    assert not re.search(r"taker|one\b|item-\d|expected|check\W", source.replace('class="check"', "").replace("any time", "")), (
        "a name got out"
    )
    assert "<script" not in source, "an answer with a tag is shown as text"
    assert "&lt;script&gt;alert(" in source


def test_sides_and_units_are_balanced() -> None:
    settings = StudySettings(title="t", run="r", takers=TAKERS, tasks_per_rater=4, attention_checks=0)
    items = [StudyItem(id=f"i{n}", persona="p", name="P", stage="s", about="", answers=dict.fromkeys(TAKERS, "x")) for n in range(6)]
    given: list[Task] = []
    for rater in range(30):
        mine = tasks_for(f"rater-{rater}", settings, items, given)
        assert len({task.item for task in mine}) == 4, "nobody judges an item twice"
        given += mine
    assert set(Counter(task.unit for task in given).values()) == {20}, "120 tasks on six units"
    assert set(Counter((task.unit, task.left) for task in given).values()) == {10}, "each taker stands left as often as right"


def test_pairs_and_ratings_together_are_balanced() -> None:
    settings = StudySettings(title="t", run="r", takers=TAKERS, tasks="both", tasks_per_rater=6, attention_checks=0)
    items = [StudyItem(id=f"i{n}", persona="p", name="P", stage="s", about="", answers=dict.fromkeys(TAKERS, "x")) for n in range(12)]
    given: list[Task] = []
    for rater in range(12):
        given += tasks_for(f"rater-{rater}", settings, items, given)
    counts = Counter(task.unit for task in given)
    assert len(counts) == 36
    assert set(counts.values()) == {2}


def test_resume_elsewhere_double_sending_and_wrong_values(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", attention_checks=0))
    with in_background(study_app([study])) as url:
        rater = Browser(f"{url}/s/{study.key}/")
        page = rater.begin()
        after = rater.judge(page, lambda page: "left")
        assert "2 of 4" in after
        assert "2 of 4" in rater.judge(page, lambda page: "right"), "the first page sent again counts once"
        assert "One row has no choice yet" in rater.post("task", place="1", likeness="left")
        assert "One row has no choice yet" in rater.post("task", place="1", likeness="left", knowledge="taker-one")
        code = re.search(r"<b>([A-Z2-9]{8})</b>", after)[1]
        other = Browser(f"{url}/s/{study.key}/")
        assert "no such code" in other.post("resume", code="NOBODY22")
        assert "2 of 4" in other.post("resume", code=code.lower())
    assert [(j.place, j.value) for j in Storage(tmp_path / "s").judgements()] == [(0, "left"), (0, "left")]


def test_quota_consent_and_places_of_those_who_left(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", raters=1))
    with in_background(study_app([study])) as url:
        assert "I agree" in Browser(f"{url}/s/{study.key}/").post("begin", language="en"), "no consent, no task"
        Browser(f"{url}/s/{study.key}/").begin()
        assert "all the raters it needs" in Browser(f"{url}/s/{study.key}/").begin()
        with study.storage.writing() as base:
            base.execute("UPDATE raters SET seen = seen - 7200")
        assert "1 of 6" in Browser(f"{url}/s/{study.key}/").begin(), "the place of one who left is given on"
        assert "第 1 项" not in Browser(f"{url}/s/{study.key}/").get("?language=zh")


def test_the_pages_speak_chinese(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", language="zh"))
    with in_background(study_app([study])) as url:
        rater = Browser(f"{url}/s/{study.key}/")
        assert "我同意，开始" in rater.get()
        page = rater.begin("zh")
        assert "第 1 项，共 6 项" in page
        assert "哪一个更像这个人？" in page


def test_studies_cannot_read_each_other(tmp_path: Path) -> None:
    one, other = OpenStudy(make_study(tmp_path / "one")), OpenStudy(make_study(tmp_path / "other"))
    with in_background(study_app([one, other])) as url:
        rater = Browser(f"{url}/s/{one.key}/")
        code = re.search(r"<b>([A-Z2-9]{8})</b>", rater.begin())[1]
        stranger = Browser(f"{url}/s/{other.key}/")
        assert "no such code" in stranger.post("resume", code=code)
        with pytest.raises(HTTPError, match="404"):
            Browser(f"{url}/s/{one.key[:-1]}x/").get()
        with pytest.raises(HTTPError, match="404"):
            Browser(f"{url}/s/").get("..%2f..%2fetc%2fpasswd/")
    assert other.storage.counts()["began"] == 0


def test_who_fails_a_check_is_left_out(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", attention_checks=1))
    with in_background(study_app([study])) as url:
        good = Browser(f"{url}/s/{study.key}/")
        good.begin()
        good.finish(prefers_first)
        bad = Browser(f"{url}/s/{study.key}/")
        page = bad.begin()
        while 'name="place"' in page:
            place = re.search(r'name="place" value="(\d+)"', page)[1]
            page = bad.post("task", place=place, likeness="same", knowledge="same")
    found = results(tmp_path / "s")
    assert (found.left_out, found.judgements) == (1, 8)
    assert all(p.ties == 0 for p in found.preferences)


class Echo:
    """A company whose takers say what they are told, each in its manner."""

    def agent(self, persona: str, stage: str, taker: str) -> "Echo":
        self.taker, self.talk = taker, []
        return self

    def say(self, text: str) -> Reply:
        return Reply(text=f"{'Loud' if self.taker == TAKERS[0] else 'Soft'}: {text} ({len(self.talk) // 2} before)")


def test_a_free_talk_is_judged_after_its_turns(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", talk="free", turns=2, attention_checks=0, tasks_per_rater=1), Echo())
    with in_background(study_app([study])) as url:
        rater = Browser(f"{url}/s/{study.key}/")
        assert "After 2 messages" in rater.begin()
        page = rater.post("say", place="0", text="Hello <b>there</b>")
        assert "Loud: Hello &lt;b&gt;there&lt;/b&gt; (0 before)" in page
        assert 'type="radio"' not in page
        assert "too long" in rater.post("say", place="0", text="x" * 601)
        page = rater.post("say", place="0", text="And now?")
        assert "Soft: And now? (1 before)" in page
        assert "Thank you" in rater.judge(page, lambda page: "left")


def test_thirty_at_once(tmp_path: Path) -> None:
    study = OpenStudy(make_study(tmp_path / "s", items=12, tasks_per_rater=5, attention_checks=1))
    done: list[int] = []
    with in_background(study_app([study])) as url:

        def take() -> None:
            rater = Browser(f"{url}/s/{study.key}/")
            rater.begin()
            done.append(rater.finish(prefers_first))

        threads = [threading.Thread(target=take) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert done == [6] * 30
    found = results(tmp_path / "s")
    assert (found.finished, found.judgements) == (30, 300)
    units = Counter(j.task.unit for j in study.storage.judgements() if j.task.kind == "pair" and j.dimension == "likeness")
    assert max(units.values()) - min(units.values()) <= 1, "also at once every unit is judged equally often"


def judgement(rater: str, item: str, value: str, left: str = "a", right: str = "b") -> Judgement:
    return Judgement(
        rater=rater, place=0, task=Task(kind="pair", item=item, left=left, right=right), dimension="likeness", value=value, seconds=1.0
    )


def test_figures_by_hand() -> None:
    assert mean_by_rater([("x", 1.0), ("x", 0.0), ("y", 0.5)]).value == 0.5
    assert mean_by_rater([("x", 1.0)]).note == "one rater: no interval"
    three = [judgement(f"r{n}", "i", value) for n, value in enumerate(["left"] * 3 + ["right"])]
    strengths = bradley_terry(three, ("a", "b"))
    assert strengths["a"].value == pytest.approx(0.75, abs=1e-4), "won 3 of 4: a strength of 3 to 1"
    assert strengths["b"].value == pytest.approx(0.25, abs=1e-4)


def test_a_cell_is_no_formula() -> None:
    assert harmless("=1+1") == "'=1+1"
    assert "'=evil" in as_csv([judgement("r", "=evil", "left")], {})


def test_bad_studies(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no study here"):
        read_study(tmp_path)
    folder = make_study(tmp_path / "s", takers=["taker-one", "taker-one"])
    with pytest.raises(ConfigError, match="the same taker twice"):
        read_study(folder)
    folder = make_study(tmp_path / "t", takers=["taker-one", "nobody"])
    with pytest.raises(ConfigError, match="has no answer of nobody"):
        read_study(folder)
    with pytest.raises(ConfigError, match="nobody has taken part"):
        results(make_study(tmp_path / "u"))
