"""A book of letters to materials: an invented book with an exact end, and a real one where it is at hand."""

import re
import shutil
from pathlib import Path

import pytest

from persllm.materials import PersonaSettings, make_persona
from persllm.parsing import parse, read_yaml
from persllm.records import Dropped, Material, Persona, Stage
from persllm.sources.addressees import parties, united
from persllm.sources.declared import SourceSettings, read_source
from persllm.sources.letter_dates import Dating, inside, read_dating, resolve, spoken
from persllm.sources.letters import read_letters

BEETHOVEN = Path(__file__).parent.parent / "personas" / "beethoven"

BOOK = """The Project Gutenberg EBook of Letters, by Ada Brandt

Title: Letters

*** START OF THIS PROJECT GUTENBERG EBOOK LETTERS ***

Produced by some kind people.

PREFACE.

The editor is proud of
12.
letters.

CONTENTS.

1. To Karl Holm, Riga
2. To the Same
3. To her Sister
4. To her Sister
5. To Karl Holm
6. Notice

1.

TO MR. KARL HOLM,--RIGA.[1]

Riga, Nov. 16, 1800.

MY DEAR FRIEND,--

The organ [in the cathedral] is _out of tune_; Mr. B[rahe] says so--and
he must know. Oh! if only I had
a tuner.

I am, with esteem, your friend,

ADA BRANDT.

P.S. Send paper.

[Footnote 1: Holm was a merchant [born in 1760], and

a friend of her father.]


2.

TO THE SAME.

July 7.

Nobody came. I shall wait one more day and remain, as ever, your

A. BRANDT.


3.

TO HER SISTER LENE.

[1801]

DEAR LENE,--

The river is frozen, and the boys skate on it the whole day.


4.

DEAR SISTER,--

One.

Two of them are here.

Three of them are there.

Four of them are nowhere.

Five of them sleep.

Six of them are awake.

Seven of them sing, I believe.

Your

ADA.


5.

TO HOLM.

Sept. 3, 1802.

Your bill is paid. Do not write again.

BRANDT.


6.

NOTICE.

Riga, 1805.

I sell no organs on Sundays and I never did.

ADA BRANDT.


7.

HOLM TO ADA BRANDT.

Riga, May 1, 1806.

You did sell me one on a Sunday, my dear lady.

KARL HOLM.


8.

TO LENE.

I have not the time to tell you all that happened.

ADA.


9.

TO LENE.

June 1, 1850.

The garden is full of weeds and of children.

ADA.

INDEX.

Organs, 1, 6.

*** END OF THIS PROJECT GUTENBERG EBOOK LETTERS ***

Donations are welcome.
"""


@pytest.fixture
def ada() -> Persona:
    """A person with two dated stages."""
    stages = (Stage(id="young", start="1790", end="1801-12-31"), Stage(id="old", start="1802", end="1806"))
    return Persona(id="ada", name="Ada Brandt", aliases=("Ada",), profile="An organ builder.", stages=stages)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ada's folder with the invented book."""
    (tmp_path / "ada" / "letters").mkdir(parents=True)
    (tmp_path / "ada" / "letters" / "book.txt").write_text(BOOK.replace("\n", "\r\n"), encoding="utf-8", newline="")
    return tmp_path / "ada"


SOURCE = SourceSettings(files="letters/*.txt", format="letters", author="Brandt")


def read(folder: Path, persona: Persona, **changes) -> tuple[list[Material], list[Dropped], list[str]]:
    complaints: list[str] = []
    materials, dropped = read_source(SOURCE.model_copy(update=changes), folder, persona, complaints)
    return materials, dropped, complaints


def line_of(number: int) -> int:
    return BOOK.split("\n").index(f"{number}.") + 1


def test_a_letter_is_what_the_person_wrote(folder: Path, ada: Persona) -> None:
    materials, _, complaints = read(folder, ada)
    first = materials[0]
    assert complaints == []
    assert (
        first.turns[0].text == "The organ is out of tune; Mr. Brahe says so—and he must know. Oh! if only I had a tuner.\nP.S. Send paper."
    )
    assert (first.turns[0].speaker, first.turns[0].to) == ("Ada Brandt", "Mr. Karl Holm")
    assert (first.date, first.stage, first.kind) == ("1800-11-16", "young", "speech")
    assert first.title == "Letter to Mr. Karl Holm, 16 November 1800"
    assert first.situation == "Letter to Mr. Karl Holm, Riga, 16 November 1800"
    assert first.source == f"letters/book.txt:{line_of(1)}"
    assert first.text == f"Ada Brandt: {first.turns[0].text}"


def test_dates_addressees_and_stages(folder: Path, ada: Persona) -> None:
    assert [(m.date, m.turns[0].to, m.stage) for m in read(folder, ada)[0]] == [
        ("1800-11-16", "Mr. Karl Holm", "young"),
        ("1801-07-07", "Mr. Karl Holm", "young"),
        ("1801", "Lene", "young"),
        ("1802-09-03", "Mr. Karl Holm", "old"),
        ("1805", "", "old"),
    ]


def test_the_way_to_the_signature_is_cut_off(folder: Path, ada: Persona) -> None:
    assert read(folder, ada)[0][1].turns[0].text == "Nobody came. I shall wait one more day."


def test_what_is_left_out_has_a_place_and_a_reason(folder: Path, ada: Persona) -> None:
    assert [(d.item, d.reason, d.detail) for d in read(folder, ada)[1]] == [
        (f"letters/book.txt:{line_of(4)}", "no clear date", "Letter to Lene, undated"),
        (f"letters/book.txt:{line_of(7)}", "by somebody else", "Letter to Ada Brandt, 1806-05-01"),
        (f"letters/book.txt:{line_of(8)}", "no clear date", "Letter to Lene, undated"),
        (f"letters/book.txt:{line_of(9)}", "in no stage", "Letter to Lene, 1850-06-01"),
    ]


def test_a_long_letter_becomes_pieces_of_five_paragraphs(folder: Path, ada: Persona) -> None:
    (folder / "letters" / "book.txt").write_text(BOOK.replace("4.\n\nDEAR SISTER", "4.\n\nMay 1801.\n\nDEAR SISTER"), encoding="utf-8")
    pieces = [m for m in read(folder, ada)[0] if m.date == "1801-05"]
    assert [m.turns[0].text.count("\n") + 1 for m in pieces] == [5, 2]
    assert [m.title for m in pieces] == ["Letter to Lene, May 1801 (1 of 2)", "Letter to Lene, May 1801 (2 of 2)"]
    text = (folder / "letters" / "book.txt").read_text().split("\n")
    assert text[int(pieces[1].source.split(":")[1]) - 1] == "Six of them are awake."
    assert pieces[1].turns[0].text.endswith("Seven of them sing, I believe.")


def test_letters_of_other_years_are_in_no_stage(folder: Path, ada: Persona) -> None:
    late = ada.model_copy(update={"stages": (Stage(id="old", start="1802-01", end="1809"),)})
    materials, dropped, _ = read(folder, late)
    assert [m.date for m in materials] == ["1802-09-03", "1805"]
    assert [d.detail for d in dropped if d.reason == "in no stage"] == [
        "Letter to Mr. Karl Holm, 1800-11-16", "Letter to Mr. Karl Holm, 1801-07-07", "Letter to Lene, 1801", "Letter to Lene, 1850-06-01",
    ]  # fmt: skip


def test_a_year_that_two_stages_share_decides_nothing(folder: Path, ada: Persona) -> None:
    halves = (Stage(id="a", start="1790", end="1801-06"), Stage(id="b", start="1801-07", end="1806"))
    materials, dropped, _ = read(folder, ada.model_copy(update={"stages": halves}))
    assert [(m.date, m.stage) for m in materials] == [("1800-11-16", "a"), ("1801-07-07", "b"), ("1802-09-03", "b"), ("1805", "b")]
    assert "Letter to Lene, 1801" in [d.detail for d in dropped if d.reason == "in no stage"]


def test_other_kinds_have_no_turns(folder: Path, ada: Persona) -> None:
    material = read(folder, ada, kind="experience")[0][0]
    assert (material.kind, material.turns) == ("experience", ())
    assert material.text.startswith("The organ is out of tune")


def test_a_book_without_numbers_and_markers(folder: Path, ada: Persona) -> None:
    (folder / "letters" / "book.txt").write_text(
        "TO MY UNCLE.\n\nRiga, 3 May 1799\n\nDear Uncle,\n\nWe have built a new bridge over the river.\n\nADA BRANDT\n\n"
        "TO KARL HOLM.\n\n1799-06-01\n\nMy dear Holm,--Nobody uses the bridge that we built.\n\nYours,\n\nA. B.\n",
        encoding="utf-8",
    )
    assert [(m.date, m.turns[0].to, m.turns[0].text) for m in read(folder, ada)[0]] == [
        ("1799-05-03", "the Uncle", "We have built a new bridge over the river."),
        ("1799-06-01", "Karl Holm", "Nobody uses the bridge that we built."),
    ]


def test_roman_numbers_with_the_heading_beside_them(folder: Path, ada: Persona) -> None:
    letters = [
        f"{number}.—TO KARL HOLM.\n\nRiga, May {day}, 1799.\n\nThis is what I had to tell, number {day}."
        for number, day in (("I", 1), ("II", 2), ("IV", 4))
    ]
    (folder / "letters" / "book.txt").write_text("\n\n".join(letters), encoding="utf-8")
    found = read(folder, ada)[0]
    assert [(m.date, m.turns[0].to) for m in found] == [(f"1799-05-0{day}", "Karl Holm") for day in (1, 2, 4)]
    assert found[1].turns[0].text == "This is what I had to tell, number 2."


def test_a_french_letter_is_left_out(folder: Path, ada: Persona) -> None:
    text = BOOK.replace(
        "Your bill is paid. Do not write again.", "Votre lettre est venue hier et je vous en remercie beaucoup, cher Monsieur."
    )
    (folder / "letters" / "book.txt").write_text(text, encoding="utf-8")
    assert ("another language", "Letter to Mr. Karl Holm, 1802-09-03") in [(d.reason, d.detail) for d in read(folder, ada)[1]]


BAD = {
    "no file": (None, r"ada/letters/\*\.txt: no such file\. Put plain text"),
    "no letters": (b"A novel.\n\nIt was a dark night.\n", r"ada/letters/book\.txt: no letters found; looked for numbers"),
    "encoding": (b"1.\n\nTO HOLM.\n\ncaf\xe9\n", r"ada/letters/book\.txt, line 5: not UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_must_be_mended_is_a_complaint(name: str, folder: Path, ada: Persona) -> None:
    content, message = BAD[name]
    book = folder / "letters" / "book.txt"
    book.unlink()
    if content is not None:
        book.write_bytes(content)
    materials, dropped, complaints = read(folder, ada)
    assert (materials, dropped, len(complaints)) == ([], [], 1)
    assert re.search(message, complaints[0])


def test_an_absolute_pattern_names_files_without_their_folder(folder: Path, ada: Persona, tmp_path: Path) -> None:
    materials, _, _ = read(tmp_path, ada, files=str(folder / "letters" / "*.txt"))
    assert materials[0].source == f"ada/letters/book.txt:{line_of(1)}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert read(elsewhere, ada, files=str(folder / "letters" / "*.txt"))[0][0].source == f"book.txt:{line_of(1)}"


DATES = {
    "Vienna, Nov. 16, 1800.": Dating(year=1800, month=11, day=16, place="Vienna"),
    "July 7.": Dating(month=7, day=7),
    "October, 1800": Dating(year=1800, month=10),
    "1793.": Dating(year=1793),
    "Summer of 1803.": Dating(year=1803),
    "Late in the Autumn of 1813.": Dating(year=1813),
    "Bonn, 1787. Autumn.": Dating(year=1787, place="Bonn"),
    "Vienna, Jan. 15 (or thereabouts), 1801.": Dating(year=1801, month=1, day=15, place="Vienna"),
    "Vienna 14. December 1816--1055 Sailerstette.": Dating(year=1816, month=12, day=14, place="Vienna"),
    "Vienne, le 3. Febr. den 1816": Dating(year=1816, month=2, day=3, place="Vienne"),
    "Baden, near Vienna, September 17, 1824.": Dating(year=1824, month=9, day=17, place="Baden"),
    "Wednesday, May 3rd": Dating(month=5, day=3),
    "GNEIXENDORF, October 13, 1826.": Dating(year=1826, month=10, day=13, place="Gneixendorf"),
    "1812-05-03": Dating(year=1812, month=5, day=3),
    "Noon, 1 o'clock.": Dating(day=1),
    "Come to me in May.": None,
    "The end is near, my friend.": None,
    "To-day is Friday, to-morrow Saturday.": None,
    "I was born in 1770.": None,
    "MY DEAR FRIEND,--": None,
}


@pytest.mark.parametrize("line", DATES)
def test_date_lines(line: str) -> None:
    assert read_dating(line) == DATES[line]


def test_missing_years_come_from_the_letters_around() -> None:
    given = [
        "Nov. 1824",
        "Dec. 2",
        "Jan. 3",
        "June 1, 1825",
        "",
        "June 9, 1825",
        "",
        "Aug. 1825",
        "Sept. 1841",
        "Oct. 1825",
        "May 5",
        "1827",
        "May 6",
    ]
    found = resolve([read_dating(line) or Dating() for line in given], 1770, 1827)
    assert [dating.date if dating else None for dating in found] == [
        "1824-11", "1824-12-02", "1825-01-03", "1825-06-01", "1825-06", "1825-06-09", "1825", "1825-08", "1825-09", "1825-10", None, "1827", None,
    ]  # fmt: skip


def test_dates_within_bounds_of_any_precision() -> None:
    assert inside("1802", "1770", "1802")
    assert inside("1802-05", "1770", "1802-05")
    assert not inside("1802", "1770", "1802-10-06")
    assert inside("1802-10-06", "", "1802-10-06")
    assert not inside("1803-01", "", "1802")
    assert [spoken(date) for date in ("1800-11-16", "1800-11", "1800")] == ["16 November 1800", "November 1800", "1800"]


HEADINGS = {
    "TO ELEONORE VON BREUNING,--BONN.": "Eleonore von Breuning",
    "TO HERR COLLIN, COURT SECRETARY AND POET.": "Herr Collin",
    "TO HIS IMPERIAL HIGHNESS THE ARCHDUKE RUDOLPH.": "the Archduke Rudolph",
    "TO HIS SCHOLAR, FERDINAND RIES.": "Ferdinand Ries",
    "TO HIS NEPHEW.": "the nephew",
    "TO STEINER & CO.": "Steiner & Co.",
    "WRITTEN IN ENGLISH TO MR. BIRCHALL, MUSIC SELLER, LONDON.": "Mr. Birchall",
    "TO HERR ROeCKEL.": "Herr Roeckel",
    "TO FREIHERR V. HAMMER-PURGSTALL.": "Freiherr v. Hammer-Purgstall",
    "TO * * *": "",
    "NOTICE.": "",
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_addressees(heading: str) -> None:
    found = parties(heading)
    assert (found.to, found.writer, found.same) == (HEADINGS[heading], "", False)


def test_writers_other_than_the_person() -> None:
    assert parties("GOETHE TO BETTINA.").writer == "Goethe"
    assert parties("FROM BETTINA.").writer == "Bettina"
    assert parties("TO THE SAME.").same


def test_one_person_under_several_names() -> None:
    names = [
        "Ries",
        "Herr Ries",
        "Herr Ries",
        "F. Ries",
        "Princess Kinsky",
        "Prince Kinsky",
        "Tobias",
        "Tobias Haslinger",
        "Haslinger",
        "Haslinger",
    ]
    found = united(names)
    assert {found[name] for name in ("Ries", "Herr Ries", "F. Ries")} == {"Herr Ries"}
    assert {found[name] for name in ("Tobias", "Tobias Haslinger", "Haslinger")} == {"Haslinger"}
    assert found["Prince Kinsky"] != found["Princess Kinsky"]


@pytest.fixture(scope="module")
def beethoven(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beethoven's folder with the two volumes in it."""
    folder = tmp_path_factory.mktemp("real") / "beethoven"
    shutil.copytree(BEETHOVEN, folder, ignore=shutil.ignore_patterns("letters"))
    (folder / "letters").mkdir()
    for volume in sorted((shared / "real_persons").glob("beethoven*.txt")):
        shutil.copy(volume, folder / "letters")
    return folder


@pytest.fixture(scope="module")
def real(beethoven: Path) -> tuple[list[Material], list[Dropped]]:
    """Materials and left-out letters of Beethoven."""
    settings = parse(PersonaSettings, read_yaml(beethoven / "persona.yaml"), "persona.yaml")
    complaints: list[str] = []
    found = read_source(settings.sources[0], beethoven, make_persona("beethoven", settings), complaints)
    assert complaints == []
    return found


def test_every_numbered_letter_of_the_real_book_is_found(beethoven: Path) -> None:
    volumes = [read_letters(file.read_text(encoding="utf-8")) for file in sorted((beethoven / "letters").iterdir())]
    assert [len(letters) for letters in volumes] == [215, 261]


def test_the_real_book_gives_words_of_all_stages_and_no_boilerplate(real: tuple[list[Material], list[Dropped]]) -> None:
    materials, dropped = real
    assert len(materials) == 457
    assert {stage: sum(m.stage == stage for m in materials) for stage in ("early", "middle", "late")} == {
        "early": 24,
        "middle": 105,
        "late": 328,
    }
    assert len(dropped) == 27
    markers = ("Gutenberg", "Footnote", "[", "]", "_", "Lady Wallace", "Nohl", "EBook", "BEETHOVEN", "PART", "INDEX", "TO THE", "CONTENTS")
    assert [(m.source, marker) for m in materials for marker in markers if marker in m.text] == []


def test_known_dates_of_the_real_book(real: tuple[list[Material], list[Dropped]]) -> None:
    dates = {m.source.split("_")[2] + m.source[m.source.index(":") :]: (m.date, m.turns[0].to) for m in real[0]}
    assert dates["v1:1705"] == ("1802-10-06", "the brothers Carl and Johann Beethoven")
    assert dates["v1:4998"] == ("1814-09-21", "Count Moritz Lichnowsky"), "the letter says 1841, a slip of the pen"
    assert dates["v2:7131"] == ("1825-10-05", "the nephew"), "the letter names no year"
    assert dates["v2:7997"] == ("1827-03-23", "")


def test_twice_the_same(real: tuple[list[Material], list[Dropped]], beethoven: Path) -> None:
    persona = make_persona("beethoven", parse(PersonaSettings, read_yaml(beethoven / "persona.yaml"), "persona.yaml"))
    again = read_source(SourceSettings(files="letters/*.txt", format="letters", author="Beethoven"), beethoven, persona, [])
    assert [m.identity for m in again[0]] == [m.identity for m in real[0]]
