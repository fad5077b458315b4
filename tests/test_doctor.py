"""The doctor: exact counts on small folders, a verdict that follows its thresholds, and memory that does not follow the text."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from persllm import doctor, packed
from persllm.config import DoctorSettings
from persllm.doctor import examine, examined, overlaps
from persllm.errors import MaterialError
from persllm.packed import Rows
from persllm.sketches import SIZE, like_earlier, likeness, sketch

PERSONA = "name: Ada\nprofile: Ada mends clocks.\nstages:\n  - id: early\n  - id: late\n"


def make(folder: Path, speech: list[list[tuple[str, str]]], told: str = "Ada mends clocks in a narrow street.") -> Path:
    """A folder with these exchanges at the early stage, and a little of everything else."""
    for stage in ("early", "late"):
        (folder / "materials" / stage).mkdir(parents=True)
        (folder / "materials" / stage / "experience.md").write_text(f"## A day\n{told} It was {stage}.\n")
    (folder / "persona.yaml").write_text(PERSONA)
    lines = [json.dumps({"turns": [{"speaker": who, "text": text} for who, text in turns]}) for turns in speech]
    (folder / "materials" / "early" / "speech.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_turns_situations_and_one_word_replies_are_counted(tmp_path: Path) -> None:
    found = examine(make(tmp_path / "ada", [
        [("Guest", "Is it late?"), ("Ada", "It is four o'clock, as always.")],
        [("Guest", "Is it late?"), ("Ada", "Later than you think, my friend.")],
        [("Guest", "And now?"), ("Ada", "It is four o'clock, as always."), ("Guest", "Really?"), ("Ada", "Yes.")],
        [("Ada", "Nobody asked me, but I speak.")],
        [("Guest", "Nobody answers."), ("Other", "No.")],
    ]))  # fmt: skip
    assert (found.turns, found.usable_turns, found.situations) == (5, 2, 1), "repeated, one-word and unprompted turns are not usable"
    assert found.one_word_replies == 1 / 5
    assert any("1 pieces of speech are not by Ada" in warning and "(Guest, Other)" in warning for warning in found.warnings)


def test_counts_of_kinds_words_and_dropped(starter: Path) -> None:
    found = examine(starter)
    old = next(stage for stage in found.stages if stage.stage == "old")
    assert old.materials == {"experience": 3, "knowledge": 2, "speech": 3}
    assert old.tokens["speech"] == round(1.35 * old.words["speech"])
    assert any("young is thin" in warning for warning in found.warnings)
    file = starter / "materials" / "old" / "knowledge.md"
    file.write_text(file.read_text() + file.read_text())
    assert examine(starter).dropped == {"repeated": 2}


def test_one_stage_only(starter: Path) -> None:
    text = (starter / "persona.yaml").read_text()
    (starter / "persona.yaml").write_text(text[: text.index("  - id: old")])
    for file in (starter / "materials" / "old").iterdir():
        file.unlink()
    assert any("one stage only" in warning for warning in examine(starter).warnings)


VERDICTS = [
    (30, 600, "style and knowledge"),
    (30, 10, "style only"),
    (2, 600, "knowledge only"),
    (2, 10, "not enough"),
]


@pytest.mark.parametrize(("turns", "words", "verdict"), VERDICTS)
def test_the_verdict_follows_the_thresholds(turns: int, words: int, verdict: str, tmp_path: Path) -> None:
    speech = [[("Guest", f"What about number {n}?"), ("Ada", f"The clock of house {n} is mine to mend.")] for n in range(turns)]
    folder = make(tmp_path / "ada", speech, " ".join(["Ada mends."] * (words // 2)))
    settings = DoctorSettings(usable_turns=20, situations=10, told_words=500)
    assert examine(folder, settings).verdict == verdict
    own = examine(folder, settings.model_copy(update={"verdict": "style only"}))
    assert own.verdict == "style only"
    assert (verdict == "style only") or f"by the figures it would be: {verdict}" in own.reasons[0]


def test_near_duplicates_and_overlap(tmp_path: Path) -> None:
    long = " ".join(f"The {n}th clock stood still in the winter of the flood and Ada went to see it." for n in range(8))
    one = make(tmp_path / "ada", [[("Guest", "Why?"), ("Ada", long)], [("Guest", "Why?"), ("Ada", long + " Indeed.")]], told="A.")
    other = make(tmp_path / "eva", [[("Guest", "Why?"), ("Ada", long + " So.")]], told="Something else altogether, in a far country.")
    first, second = examined(one), examined(other)
    assert first.diagnosis(DoctorSettings()).near_duplicates == 1
    [shared] = overlaps([first, second])
    assert shared.share == 1 / 3, "one of the three materials of the smaller"


def rows(*sketches: np.ndarray) -> Rows:
    """Sketches as the doctor keeps them."""
    kept = Rows(SIZE)
    for one in sketches:
        kept.add(one)
    return kept


@pytest.mark.parametrize(
    "text",
    [
        "The clock stood still in the winter of the flood, and nobody went to see it for a year. ",
        "钟在发大水的那个冬天停了，一年里没有人去看它。大家都说它不会再走了。",
    ],
)
def test_likeness_of_sketches(text: str) -> None:
    pages = [f"{text} {n} {text[n % 7 :]} {chr(0x4E00 + 37 * n) * 5} {n * 7919}" for n in range(200)]
    whole = " ".join(pages)
    assert likeness(sketch(whole), sketch(whole.upper())) == 1.0
    assert likeness(sketch(whole), sketch(" ".join(pages[:190]))) > 0.6
    assert likeness(sketch("an entirely different matter"), sketch(text)) == 0.0
    assert list(like_earlier([rows(sketch(whole), sketch("other")), rows(sketch(whole + "!"))])) == [(2, 0)]


def test_personal_data_is_counted_and_warned_of(tmp_path: Path) -> None:
    speech = [
        [("Guest", "Where?"), ("Ada", "Write to ada.bell@example.org, or ring +44 20 7946 0958.")],
        [("Guest", "When?"), ("Ada", "In 1801, at nine.")],
    ]
    found = examine(make(tmp_path / "ada", speech))
    assert found.personal_data == {"mail": 1, "phone": 1}
    assert any("personal data in the materials: 1 mail, 1 phone" in warning for warning in found.warnings)


def test_complaints_come_before_a_verdict(starter: Path) -> None:
    (starter / "materials" / "old" / "speech.jsonl").write_text("{\n")
    with pytest.raises(MaterialError, match=r"speech\.jsonl, line 1: broken JSON"):
        examine(starter)


def test_several_processes_find_the_same(starter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = examine(starter)
    monkeypatch.setattr(doctor, "LARGE", 0)
    monkeypatch.setattr(doctor, "BATCH", 3)
    assert examine(starter) == alone


def name(number: int) -> str:
    """A word of three letters for a number."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(3))


def test_memory_hardly_follows_the_number_of_materials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks, sizes = [], (300, 3_000)
    for module, setting, value in ((doctor, "BATCH", 20), (doctor, "SAMPLE", 20), (packed, "IN_MEMORY", 1), (packed, "FRESH", 1_000)):
        monkeypatch.setattr(module, setting, value)
    monkeypatch.setattr(packed, "AT_ONCE", 500)
    monkeypatch.setattr(packed, "BLOCK", 10_000)
    for size in sizes:
        folder = make(tmp_path / f"ada{size}", [[("Guest", f"And {name(n)}?"), ("Ada", f"It is {name(n)} by now.")] for n in range(size)])
        tracemalloc.start()
        examine(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    each = (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
    assert each < 60, f"{each:.0f} bytes a material"


def test_memory_does_not_follow_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = []
    monkeypatch.setattr(doctor, "BATCH", 20)
    monkeypatch.setattr(doctor, "SAMPLE", 20)
    for number, size in enumerate((60, 600)):
        folder = make(tmp_path / f"ada{number}", [])
        with open(folder / "materials" / "early" / "speech.jsonl", "w") as file:
            for n in range(size):
                turns = [{"speaker": "Guest", "text": f"And {name(n)}?"}, {"speaker": "Ada", "text": f"tick {name(n)} " * 200}]
                file.write(json.dumps({"turns": turns}) + "\n")
        tracemalloc.start()
        examine(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000, f"ten times the text (1 MB more) took {peaks[1] - peaks[0]} bytes more"
