"""A book of dated letters to materials: one for each letter, or for five paragraphs of a long one.

Letters begin at numbers that stand alone on a line and count up (`12.`, `XII.`, `LETTER 12.`), or, in a book
without numbers, at headings in capitals (`TO SOMEBODY.`). Heading, date line, salutation, signature, footnotes and
the editor's insertions in square brackets are taken out of the words; what is left is what the person wrote.

Limits: English books of the letters of one person, such as Project Gutenberg has many. A letter whose date,
writer or language is not clear is not guessed at: it is left out, with the reason.
"""

import re
from collections.abc import Iterator, Sequence

from persllm.languages import language
from persllm.records import Dropped, Material, MaterialKind, Persona, Record, Turn
from persllm.sources import addressees, letter_dates
from persllm.sources.gutenberg import BACK_MATTER, own_lines, paragraphs, tidy, without_notes
from persllm.sources.letter_dates import Dating

NUMBER = re.compile(r"\s*(?:LETTER|Letter|No\.)?\s*(\d{1,4}|[IVXLCDM]+)[.:]?(?:\[\d+\])?\.?(?:\s*[.—-]+\s*(?=TO\s))?(TO\s.*)?\s*")
HEADING = re.compile(r"\s*TO\s+[^a-z]{2,}\s*")
CONTENTS = re.compile(r"\s*(\d{1,4})\.\s+(\S.*)")
SALUTATION = re.compile(
    r"(?:(?:my|most|very|ever|dear|dearest|esteemed|respected|hon(?:ou)?red|good|beloved|sir|sirs|madam|gentlemen|friend)\b[ ,]*)+"
    r"[^.!?]{0,40}?[,:!—]*",
    re.IGNORECASE,
)
RUN_IN = re.compile(r"^(?:My )?(?:dear|Dear|dearest|Dearest)(?: [A-Z][\w.]*){1,3},?\s*—\s*(?=[A-Z])")
CLOSING = re.compile(
    r"(?:(?:now|in haste|as ever|ever|always|sir|farewell|and)\b[,!.]?\s*)*(?:I am|I remain|We remain|Yours?|From your|Votre|Ever)\b.*",
    re.IGNORECASE,
)
YOURS = re.compile(r"[^.!?]*\byours(?: \w+){0,2}[.!]|(?:From )?[Yy]our,? (?:[\w-]+ ){0,3}(?:friend|servant|[Ss]erv|&c)\b.*")
"""A closing that ends in a full stop."""
LEADING = re.compile(
    r"[,;—]?\s*\b(?:and )?(?:(?:I|we) (?:ever )?(?:am|are|remain|have the honou?r to (?:be|remain))|believe me|and remain)\b[^.!?]*$",
    re.IGNORECASE,
)
"""Words inside a sentence that lead to the signature."""
FINISHED = re.compile(r"(?:[.!?]|:—)[\"')]*$")
FUNCTION_WORDS = set(
    "the of to and in is i you that it my for with be not have your this at so but if was are am we he she they his her our from by "
    "will shall would can no one which who when what there has had been do did all any more".split()
)
ENGLISH = 0.2
"""Share of the commonest words below which a text of some length is not English (letters in English 0.4 to 0.6, in French 0.05)."""
FEWEST_JUDGED = 12
"""Words from which on the language is judged."""
PIECE = 5
"""Paragraphs of one material."""
FEWEST_WORDS = 4
FEWEST_CUT = 5
"""Words that a sentence cut before `I am, with esteem, your` must keep to stay."""
LONGEST_HEADING = 160
LONGEST_CLOSING = 90


class Letter(Record):
    """One letter as it stands in the book."""

    line: int
    """Where it begins."""
    heading: str = ""
    writer: str = ""
    """Empty if nobody is named in the heading."""
    to: str = ""
    dating: Dating = Dating()
    greeted: bool = False
    """It has a salutation."""
    signature: str = ""
    body: tuple[tuple[int, str], ...] = ()
    """(line, text) of the paragraphs the person wrote."""


def read_letters(text: str) -> list[Letter]:
    """All letters of a book, with addressees of one person under one name."""
    lines = own_lines(text)
    starts = numbered(lines) or [place for place, line in enumerate(lines) if HEADING.fullmatch(line) and after_blank(lines, place)]
    listed = contents(lines[: starts[0]]) if starts else {}
    end = back_matter(lines, starts[-1]) if starts else len(lines)
    found: list[Letter] = []
    for start, stop in zip(starts, [*starts[1:], end]):
        number, inline = heading_of(lines[start])
        block = "\n".join([inline, *lines[start + 1 : stop]])
        letter = read_letter(block, start + 1, listed.get(number, ""))
        same = letter.to == SAME
        found.append(letter.model_copy(update={"to": found[-1].to if found else ""}) if same else letter)
    known = {letter.dating.place for letter in found if letter.dating.year or letter.dating.month} - {""}
    found = [place_only(letter, known) for letter in found]
    names = addressees.united([letter.to for letter in found])
    return [letter.model_copy(update={"to": names.get(letter.to, "")}) for letter in found]


SAME = "\0same"
"""Stands for the addressee of the letter before until all letters are read."""


def heading_of(line: str) -> tuple[str, str]:
    """The number of a letter and what stands beside it; a heading without number is all heading."""
    match = NUMBER.fullmatch(line)
    return (match[1], match[2] or "") if match and match[1] else ("", line)


def numbered(lines: Sequence[str]) -> list[int]:
    """The places of the longest chain of numbers alone on a line, each at most three above the one before.

    Of two chains of one length the later one is taken: the earlier is the table of contents.
    """
    marks = [(place, value(match[1])) for place, line in enumerate(lines) if line.strip() and (match := NUMBER.fullmatch(line))]
    marks = [(place, number) for place, number in marks if number and after_blank(lines, place)]
    best: dict[int, tuple[int, int]] = {}
    """Mark -> (length of the best chain that ends there, the mark before)."""
    last: dict[int, int] = {}
    """Number -> the mark that ends the longest chain at this number so far."""
    for mark, (_, number) in enumerate(marks):
        before = [last[number - step] for step in (1, 2, 3) if number - step in last]
        previous = max(before, key=lambda m: best[m][0], default=-1)
        best[mark] = (best[previous][0] + 1 if previous >= 0 else 1, previous)
        if number not in last or best[mark][0] >= best[last[number]][0]:
            last[number] = mark
    chain: list[int] = []
    mark = max(best, key=lambda m: (best[m][0], m), default=-1)
    while mark >= 0:
        chain.append(marks[mark][0])
        mark = best[mark][1]
    return chain[::-1] if len(chain) > 1 else []


def after_blank(lines: Sequence[str], place: int) -> bool:
    """Whether a line begins a paragraph."""
    return place == 0 or not lines[place - 1].strip()


def value(number: str) -> int:
    """The value of Arabic or Roman digits; 0 if they are neither."""
    if number.isdigit():
        return int(number)
    digits = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[digit] for digit in number]
    return sum(-digit if any(other > digit for other in digits[place + 1 :]) else digit for place, digit in enumerate(digits))


def contents(lines: Sequence[str]) -> dict[str, str]:
    """Number -> heading, from a table of contents in front of the letters."""
    listed: dict[str, str] = {}
    heading = ""
    for line in lines:
        if match := CONTENTS.match(line):
            heading = heading if re.match(r"To the Same", match[2], re.IGNORECASE) else match[2]
            listed[match[1]] = heading
    return listed


def back_matter(lines: Sequence[str], start: int) -> int:
    """Where the index, the notes or the end of the book begins after the last letter."""
    return next((place for place in range(start, len(lines)) if BACK_MATTER.fullmatch(lines[place])), len(lines))


def read_letter(block: str, line: int, listed: str) -> Letter:
    """One letter from its lines; `listed` is its heading in the table of contents."""
    pieces = [(at, raw) for at, raw in paragraphs(without_notes(block), line) if tidy(raw) or bracketed_date(raw)]
    heading = ""
    if pieces and is_heading(tidy(pieces[0][1])):
        heading = tidy(pieces.pop(0)[1])
    who = addressees.parties(heading)
    if not who.to and not who.same and listed.startswith("To "):
        heading = heading or listed
        who = who.model_copy(update={"to": addressees.parties(listed).to})
    dating, greeted = Dating(), False
    for _ in range(6):
        text = tidy(pieces[0][1]) if pieces else ""
        dated = dating_of(pieces[0][1]) if pieces and not (dating.date or dating.month) else None
        if dated is not None:
            dating = dated
        elif len(pieces) > 1 and is_salutation(text):
            greeted = True
        elif not text.startswith("(") or len(text) > 40 or not text.endswith(")"):
            break
        pieces.pop(0)
    body, signature = body_of(pieces)
    return Letter(
        line=line, heading=heading, writer=who.writer, to=SAME if who.same else who.to, dating=dating, greeted=greeted,
        signature=signature, body=body,
    )  # fmt: skip


def is_heading(text: str) -> bool:
    """Whether a first paragraph is the editor's heading and not a salutation."""
    if re.match(r"TO\s", text) and capitals(text) and len(text) <= LONGEST_HEADING:
        return True
    words = [word for word in re.findall(r"[^\W\d_]+", text) if word.lower() not in addressees.SMALL]
    if re.match(r"To [A-Z]", text) and len(text) <= 80 and all(word[0].isupper() for word in words):
        return True
    greets = text.endswith(("—", "!")) and " BY " not in text
    return capitals(text) and len(text) <= LONGEST_HEADING and not greets


def capitals(text: str) -> bool:
    """Whether a text is set in capitals, a few letters such as the e of an umlaut apart."""
    letters = [letter for letter in text if letter.isalpha()]
    return bool(letters) and sum(letter.isupper() for letter in letters) >= 0.75 * len(letters)


def bracketed_date(raw: str) -> Dating | None:
    """A date line that the editor put into brackets."""
    text = raw.strip()
    dating = letter_dates.read_dating(text[1:-1]) if text.startswith("[") and text.endswith("]") else None
    return dating if dating and (dating.year or dating.month) else None


def dating_of(raw: str) -> Dating | None:
    """What a paragraph says as a date line."""
    return bracketed_date(raw) or letter_dates.read_dating(tidy(raw))


def is_salutation(text: str) -> bool:
    """Whether a paragraph at the head greets the addressee."""
    return (capitals(text) and len(text) <= 120) or (len(text) <= 60 and bool(SALUTATION.fullmatch(text)))


def body_of(pieces: Sequence[tuple[int, str]]) -> tuple[tuple[tuple[int, str], ...], str]:
    """The person's own paragraphs, and the signature."""
    kept: list[tuple[int, str]] = []
    signature = ""
    ends = True
    """Whether what follows is a signature or nothing."""
    for place in range(len(pieces) - 1, -1, -1):
        line, text = pieces[place][0], tidy(pieces[place][1])
        if is_signature(pieces, place, ends):
            signature, ends = signature or text, True
        elif is_date(text) or (ends and is_closing(text, alone=not place)):
            continue
        else:
            kept.append((line, finished(text) if ends else text))
            ends = False
    return tuple((line, RUN_IN.sub("", text)) for line, text in reversed(kept) if text), signature


def is_signature(pieces: Sequence[tuple[int, str]], place: int, ends: bool) -> bool:
    """Whether a paragraph is a name in capitals, or a title in italics below one or at the end."""
    text = tidy(pieces[place][1])
    if len(pieces) == 1 or len(text) > LONGEST_CLOSING:
        return False
    italics = re.fullmatch(r"_[^_]+_[.,]?", pieces[place][1].strip())
    below = place > 0 and capitals(tidy(pieces[place - 1][1]))
    return capitals(text) or bool(italics and len(text) <= 60 and (ends or below))


def is_date(text: str) -> bool:
    """Whether a paragraph is a date line that names a year or a month."""
    dating = letter_dates.read_dating(text)
    return bool(dating and (dating.month or dating.year))


def is_closing(text: str, alone: bool) -> bool:
    """Whether a short last paragraph leads to the signature; one that is `alone` is the letter unless it clearly does."""
    if len(text) > LONGEST_CLOSING or len(language("en").sentences(text)) > 1:
        return False
    if FINISHED.search(text):
        return bool(YOURS.fullmatch(text))
    return not alone or bool(CLOSING.fullmatch(text))


def finished(text: str) -> str:
    """A last paragraph without the words that lead to the signature."""
    sentences = language("en").sentences(text)
    last = sentences[-1]
    if not FINISHED.search(last):
        shorter = re.sub(r"[\s,;:—]+$", "", LEADING.sub("", last))
        enough = LEADING.search(last) and len(shorter.split()) >= FEWEST_CUT and shorter.split()[-1] not in FUNCTION_WORDS
        sentences[-1:] = [shorter if FINISHED.search(shorter) else f"{shorter}."] if enough or len(sentences) == 1 else []
    elif len(sentences) > 1 and len(last) <= LONGEST_CLOSING and YOURS.fullmatch(last):
        sentences.pop()
    return " ".join(sentences)


def place_only(letter: Letter, known: set[str]) -> Letter:
    """A letter whose first line names only a place: it was one if the place is known from other letters."""
    place = letter.dating.place
    if not place or letter.dating.year or letter.dating.month or place in known:
        return letter
    first = (letter.body[0][0] if letter.body else letter.line, f"{place}.")
    return letter.model_copy(update={"dating": Dating(), "body": (first, *letter.body)})


class Book:
    """Turns the letters of one file into materials of one person."""

    def __init__(self, name: str, kind: MaterialKind, author: str, persona: Persona):
        self.name, self.kind, self.persona = name, kind, persona
        self.own = frozenset().union(*(addressees.core(form) for form in (author, persona.name, *persona.aliases)))

    def outcome(self, letters: Sequence[Letter]) -> tuple[list[Material], list[Dropped]]:
        """The materials in the order of the book, and the letters left out with the reason."""
        materials: list[Material] = []
        dropped: list[Dropped] = []
        first, last = self.years()
        others = {addressees.core(letter.to) for letter in letters} - {frozenset()}
        datings = letter_dates.resolve([letter.dating for letter in letters], first, last)
        for letter, dating in zip(letters, datings):
            reason = self.refused(letter, others)
            stage = self.stage(dating.date) if dating else None
            if not reason and dating is None:
                reason = "no clear date"
            if not reason and stage is None:
                reason = "in no stage"
            if reason:
                detail = f"{self.title(letter)}, {dating.date if dating else 'undated'}"
                dropped.append(Dropped(item=f"{self.name}:{letter.line}", reason=reason, detail=detail))
            elif dating and stage:
                materials += self.materials(letter, dating, stage)
        return materials, dropped

    def years(self) -> tuple[int, int]:
        """The first and last year the person can have written in."""
        starts = [int(stage.start[:4]) for stage in self.persona.stages if stage.start[:4].isdigit()]
        ends = [int(stage.end[:4]) for stage in self.persona.stages if stage.end[:4].isdigit()]
        return min(starts, default=1000), max(ends, default=2099)

    def refused(self, letter: Letter, others: set[frozenset[str]]) -> str:
        """Why a letter cannot be the person's words; empty if it can."""
        words = self.words(letter)
        if len(words) < FEWEST_WORDS:
            return "no words"
        writer, to, signed = addressees.core(letter.writer), addressees.core(letter.to), addressees.core(letter.signature)
        signed_by_other = len(signed) > 1 and not signed & self.own and signed in others
        if (writer and not writer & self.own) or (to and to <= self.own) or signed_by_other:
            return "by somebody else"
        if not (letter.heading or letter.greeted or letter.signature):
            return "no writer"
        english = sum(word in FUNCTION_WORDS for word in words) >= ENGLISH * len(words)
        if self.persona.language == "en" and len(words) >= FEWEST_JUDGED and not english:
            return "another language"
        return ""

    def words(self, letter: Letter) -> list[str]:
        """The words of a letter."""
        return language(self.persona.language).words(" ".join(text for _, text in letter.body))

    def stage(self, date: str) -> str | None:
        """The stage a date lies in; None if it is not one alone."""
        dated = [stage for stage in self.persona.stages if stage.start or stage.end]
        if not dated and len(self.persona.stages) == 1:
            return self.persona.stages[0].id
        found = [stage.id for stage in dated if letter_dates.inside(date, stage.start, stage.end)]
        return found[0] if len(found) == 1 else None

    def title(self, letter: Letter) -> str:
        """`Letter to X`, or the heading of what is not a letter."""
        if letter.to or not letter.heading or letter.heading.startswith("TO "):
            return f"Letter to {letter.to}" if letter.to else "Letter"
        title = addressees.headline(letter.heading.strip(" .?—,"))
        return title[:1].upper() + title[1:]

    def materials(self, letter: Letter, dating: Dating, stage: str) -> Iterator[Material]:
        """A letter, or each five paragraphs of a long one."""
        starts = list(range(0, len(letter.body), PIECE))
        if len(starts) > 1 and len(letter.body) - starts[-1] == 1:
            starts.pop()
        when = letter_dates.spoken(dating.date)
        for number, start in enumerate(starts, 1):
            stop = starts[number] if number < len(starts) else len(letter.body)
            part = letter.body[start:stop]
            text = "\n".join(paragraph for _, paragraph in part)
            mark = f" ({number} of {len(starts)})" if len(starts) > 1 else ""
            spoken = self.kind == "speech"
            yield Material(
                persona=self.persona.id, kind=self.kind, stage=stage, title=f"{self.title(letter)}, {when}{mark}",
                text=f"{self.persona.name}: {text}" if spoken else text,
                turns=(Turn(speaker=self.persona.name, to=letter.to, text=text),) if spoken else (),
                date=dating.date, situation=", ".join(filter(None, (self.title(letter), dating.place, when))) + mark,
                source=f"{self.name}:{letter.line if number == 1 else part[0][0]}",
            )  # fmt: skip


Found = tuple[list[Material], list[Dropped]]


def letter_materials(text: str, name: str, kind: MaterialKind, author: str, persona: Persona) -> Found | None:
    """Materials and left-out letters of one file; None if there is no letter in it.

    `name` is the file as materials name it, `author` the writer's name as the letters are signed (empty: the person's).
    """
    letters = read_letters(text)
    return Book(name, kind, author, persona).outcome(letters) if letters else None
