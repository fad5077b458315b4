"""Find the forms by which an English novel names persons, with counts and what speaks for a person behind them.

No list of names is needed: a word is a name if the book writes it with a capital inside sentences too, and a person's if
it has a title, acts as one who speaks, or is spoken to. Limits: a place that speaks (`London replied`) passes for a
person; a person who is only ever spoken of, without title, does not.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from persllm.novels.book import Piece
from persllm.novels.places import is_place, whereabouts
from persllm.novels.words import NAME_WORD, PARTICLE, PARTICLES, english, speech_pattern

WORD = re.compile(r"[A-Za-zÀ-ÿ]+(?:-[A-Za-zÀ-ÿ]+)*")
TITLE = r"(?:Mr|Mrs|Ms|Dr|St|Capt|Col|Lieut|Prof|Rev|Mme|Mlle|M)\."
INITIAL = r"[A-Z]\.(?=,? [A-Z][a-z]|,? [a-z]|[,;?!])"
"""Within a name (`Mr. J. Smith`, `Mr. E.`), never at its beginning."""
SEQUENCE = re.compile(
    rf"(?P<the>\b[Tt]he )?(?P<name>(?:\b(?:old|young|poor|little|dear) (?=[A-Z]))?(?:{TITLE}|\b{NAME_WORD})"
    rf"(?:(?:(?<=[a-zA-Z.]) (?:(?:{PARTICLE}) (?:(?:{PARTICLE}) )?(?=[A-Z])|of (?=[A-Z]))?)(?:{TITLE}|{NAME_WORD}|{INITIAL}))*)"
)
START = re.compile(r"(?:^|[.!?:;—(\"“”‘«]|--|\.\.\.|['’](?= ))[\s_'\"“‘(]*$")
VERB_BEFORE = re.compile(rf"\b({speech_pattern()})(?: (?:the|old|poor|young|little))?\s+$")
VERB_AFTER = re.compile(rf"\s*,?\s+(?:[a-z]+ly |then |only |had |again |at last |at once |also |now )?({speech_pattern()})\b")
VOCATIVE = re.compile(r"^\s*[,!?.;…—]|^\s*$|^-")
ADJECTIVES = {"old", "young", "poor", "little", "dear"}
"""Words before a name that are no part of it."""
ALONE = {"mother", "father", "aunt", "uncle", "granny", "grandmamma", "grandma", "grandmother", "grandfather", "nurse"}
"""Titles of kin that name somebody without a name after them."""
NO_NAME_AFTER = re.compile(r" (?:I|you|he|she|it|we|they|the|not|God)\b")
"""After a word at the head of a sentence that is a verb there: `May I`, `Will you`."""
LONG_WORD = 4
"""Letters of words that have a capital in a heading whatever they are."""
LONGEST_HEADING = 120
"""Characters."""
FEWEST_OF_HEADING = 3
FEWEST_SPOKEN = 3
"""So often a word that is also a name must stand beside a verb of speech."""
FEWEST_CAPITALS = 3
"""So often a given name that is also a word (Rose) must have a capital inside sentences."""
ALL_CAPITALS = re.compile(r"[A-Z\W\d]+")


class Form(NamedTuple):
    """A name as the book writes it."""

    text: str
    """With `the ` before it where it is used with the article."""
    count: int
    told: int
    """How often it stands in the narration."""
    speaks: int
    """How often it stands beside a verb of speech in the narration."""
    addressed: int
    """How often somebody is spoken to by it."""


class Occurrence(NamedTuple):
    """A place where a form stands."""

    paragraph: int
    start: int
    end: int
    text: str
    quoted: bool


def quoted_mask(paragraphs: Sequence[str], pieces: Iterable[Piece]) -> list[list[tuple[int, int]]]:
    """For each paragraph the spans that are spoken."""
    spans: list[list[tuple[int, int]]] = [[] for _ in paragraphs]
    for piece in pieces:
        spans[piece.paragraph].append((piece.start, piece.end))
    return spans


def inside(spans: Sequence[tuple[int, int]], place: int) -> bool:
    """Whether a place is within one of the spans."""
    return any(start <= place < end for start, end in spans)


def is_heading(text: str) -> bool:
    """Whether a paragraph is in capitals, or short with a capital in every word that counts: `In Which Captain Dale Buys a Horse`."""
    if len(text) > LONGEST_HEADING or ALL_CAPITALS.fullmatch(text):
        return bool(ALL_CAPITALS.fullmatch(text))
    words = [word for word in WORD.findall(text) if len(word) >= LONG_WORD]
    unended = not text.rstrip("_* ").endswith((".", "!", "?", ",", ";", ":", '"', "”", "’", "'"))
    return unended and len(words) >= FEWEST_OF_HEADING and all(word[0].isupper() for word in words)


def word_habits(paragraphs: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """(how often a word stands in lower case, how often with a capital inside a sentence)."""
    lower: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    for text in paragraphs:
        if is_heading(text):
            continue
        for match in WORD.finditer(text):
            word = match[0]
            if word[0].islower():
                lower[word] += 1
            elif not START.search(text, max(0, match.start() - 8), match.start()):
                capital[word] += 1
    return lower, capital


class NameFinder:
    """Finds forms of names in one book."""

    def __init__(self, paragraphs: Sequence[str]):
        self.words = english()
        self.lower, self.capital = word_habits(paragraphs)

    def namelike(self, word: str) -> bool:
        """Whether the book uses a word as a name."""
        if word in self.words.never_names or word in self.words.sentence_words:
            return False
        usual = self.lower[word.lower()]
        if (word in self.words.given or word in self.words.short_forms) and (not usual or self.capital[word] >= FEWEST_CAPITALS):
            return True
        return self.capital[word] >= 1 and self.capital[word] > 0.5 * usual

    def form(self, match: re.Match[str], text: str) -> tuple[int, int, str] | None:
        """(start, end, form) of the name in a capitalised sequence; None if there is none."""
        tokens = [(m.start(), m.end(), m[0]) for m in re.finditer(r"\S+", match["name"])]
        at_start = bool(START.search(text, max(0, match.start() - 8), match.start()))
        if at_start and tokens[0][2] in self.words.also_words and NO_NAME_AFTER.match(text, match.start("name") + tokens[0][1]):
            tokens.pop(0)
        while tokens and not self.leads(tokens[0][2], len(tokens) > 1, at_start and not match["the"]):
            tokens.pop(0)
            at_start = False
        while tokens and not (len(tokens) > 1 and tokens[-2][2] == "St.") and not self.trails(tokens[-1][2], len(tokens)):
            tokens.pop()
        for place in range(1, len(tokens)):  # two names in one run: Mr. Crawley Miss Sharp
            if tokens[place][2].lower() in self.words.titles and tokens[place - 1][2].lower() not in {*self.words.titles, *PARTICLES}:
                tokens = tokens[:place] if len(tokens) - place > 1 else tokens
                break
        if len(tokens) > 3 and self.lower[tokens[-1][2].lower()] > self.capital[tokens[-1][2]]:  # a heading: Miss Ann Lee Drive Out
            tokens.pop()
        if not tokens:
            return None
        while len(tokens) > 1 and tokens[0][2].lower() in ADJECTIVES:
            tokens.pop(0)
        words = [token[2] for token in tokens]
        if words[0].lower() in ADJECTIVES:
            return None
        offset = match.start("name")
        start, end = offset + tokens[0][0], offset + tokens[-1][1]
        titled = words[0].lower() in self.words.titles
        if len(words) == 1 and titled and not match["the"] and words[0].lower() not in ALONE:
            return None
        with_article = bool(match["the"]) and tokens[0][0] == 0
        return (match.start() if with_article else start), end, ("the " if with_article else "") + " ".join(words)

    def leads(self, word: str, more: bool, at_start: bool) -> bool:
        """Whether a word can begin a name."""
        if word.lower() in self.words.titles:
            return more or word.lower() in self.words.bare_titles or word[0].isupper()
        if word in self.words.sentence_words or word in self.words.never_names:
            return False
        if word.isupper() and len(word) > 1:
            return False
        return self.namelike(word) or (more and not at_start)

    def trails(self, word: str, length: int) -> bool:
        """Whether a word can end a name."""
        if word in PARTICLES or word == "of":
            return False
        if word.lower() in self.words.titles and length > 1:
            return word.lower() in self.words.kin_titles
        if word.isupper() and len(word) > 1:
            return word[-1] == "." and length == 2
        return length == 1 or (word not in self.words.sentence_words and word not in {"I", "God", "Sunday", "Monday", "Street", "Road"})

    def occurrences(self, paragraphs: Sequence[str], spoken: Sequence[Sequence[tuple[int, int]]]) -> list[Occurrence]:
        """Every place of every form, headings in capitals apart."""
        found = []
        for place, text in enumerate(paragraphs):
            if is_heading(text):
                continue
            for match in SEQUENCE.finditer(text):
                form = self.form(match, text)
                if form:
                    found.append(Occurrence(place, form[0], form[1], form[2], inside(spoken[place], form[0])))
        return found


def find_forms(paragraphs: Sequence[str], spoken: Sequence[Sequence[tuple[int, int]]], known: Container[str] = ()) -> list[Form]:
    """The forms that name persons, the most frequent first; those `known` need no proof."""
    words = english()
    count: Counter[str] = Counter()
    told: Counter[str] = Counter()
    speaks: Counter[str] = Counter()
    addressed: Counter[str] = Counter()
    standing: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for at in NameFinder(paragraphs).occurrences(paragraphs, spoken):
        text = paragraphs[at.paragraph]
        count[at.text] += 1
        standing[at.text].append((text, at.start, at.end))
        if at.quoted:
            before = text[max(0, at.start - 2) : at.start]
            addressed[at.text] += bool(VOCATIVE.match(text[at.end : at.end + 1]) and before.endswith((", ", '"', "“", "! ", "? ", "—")))
        else:
            told[at.text] += 1
            speaks[at.text] += beside_speech(text, at)
    families = {form.split()[-1] for form in count if form.split()[0].lower() in words.titles and len(form.split()) == 2}
    located = {form for form in count if is_place(form, speaks[form], whereabouts(standing[form]))} - families
    kept = []
    for form, number in count.most_common():
        if form in located and form not in known:
            continue
        tokens = form.removeprefix("the ").split()
        title = tokens[0].lower() in words.titles and len(tokens) > 1
        given = (tokens[0] in words.given or tokens[0] in words.short_forms) and (number > 1 or tokens[-1] in families)
        speaking = speaks[form] >= (2 if form.startswith("the ") else 1) and number > 1
        if tokens[0] in words.also_words and len(tokens) == 1 and speaks[form] < FEWEST_SPOKEN:
            continue
        if form.endswith("s") and len(tokens) > 1 - form.startswith("the ") and plural(form, count):
            continue
        if (
            form in known
            or (title and (not form.startswith("the ") or tokens[0].lower() in words.bare_titles))
            or given
            or speaking
            or (addressed[form] > 1 and not form.startswith("the "))
        ):
            kept.append(Form(form, number, told[form], speaks[form], addressed[form]))
    return kept + [form for form in parts_of_names(kept, count, told, speaks, addressed) if form.text not in located]


def beside_speech(text: str, at: Occurrence) -> bool:
    """Whether a verb of speech stands beside a name: `said Rose`, `Rose said`."""
    return bool(VERB_BEFORE.search(text, max(0, at.start - 40), at.start) or VERB_AFTER.match(text, at.end, at.end + 40))


def plural(form: str, count: Counter[str]) -> bool:
    """Whether a form names a family: the Emersons."""
    single = form.removesuffix("s")
    return any(count[other] > count[form] for other in (single, single.removeprefix("the "))) or (
        form.startswith("the ") and count[f"Mr. {single[4:]}"] > 0
    )


def parts_of_names(kept: Sequence[Form], *counts: Counter[str]) -> list[Form]:
    """Forms that are a part of a name already found: a surname or a given name that stands alone, a name without its title."""
    words = english()
    unsure = {word for word in words.also_words if counts[2][word] < FEWEST_SPOKEN}
    parts = {token for form in kept if len(form.text.split()) < 4 for token in form.text.split()} - words.never_names - unsure
    have = {form.text for form in kept}
    families = {text.split()[-1] for text in have if len(text.split()) > 1 and not text.startswith("the ")}
    heads = {form.text.split()[-1] for form in kept if form.text.startswith("the ")}
    fronts = {tokens[1] for form in counts[0] if len(tokens := form.split()) == 3 and tokens[0] == "the" and tokens[2] in heads}
    singles = {form.text for form in kept if " " not in form.text}
    surnames = {text.split()[-1] for text in have if text.split()[0].lower() in words.titles and len(text.split()) == 2}
    untitled = {text.partition(" ")[2] for text in have if text.split()[0].lower() in words.titles}
    lone = []
    for form in counts[0]:
        tokens = form.removeprefix("the ").split()
        article = form.startswith("the ")
        part = form in parts or form in untitled if not article else tokens[0] in fronts and len(tokens) == 1
        surname_first = tokens[0] in surnames and tokens[-1] not in surnames
        longer = len(tokens) > 1 and (tokens[-1] in heads if article else len(tokens) < 4 and tokens[0] in singles and not surname_first)
        member = (
            len(tokens) == 2 and not article and tokens[-1] in families and (tokens[0] in words.given or tokens[0] in words.short_forms)
        )
        if form not in have and (part or longer or member):
            lone.append(form)
    return [Form(form, *(count[form] for count in counts)) for form in lone]
