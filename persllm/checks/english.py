"""What an English text claims: names, years, days, numbers with what is counted, relatives; and its stems.

Limits: rules on capitals and number words. A name that stands only at the beginning of sentences is seen only if
it has two words; `two` and below are no claims, since they are mostly turns of speech.
"""

import re
from functools import lru_cache

from persllm.checks.marks import marks
from persllm.languages import en
from persllm.languages.en import MONTHS, NAME, NOT_NAMES, NUMBERS

__all__ = [
    "RUN",
    "UNCOUNTED",
    "capitals",
    "days",
    "experiences",
    "flat",
    "names",
    "neutral",
    "numbers",
    "plain",
    "relatives",
    "sentences",
    "stems",
    "words",
    "years",
]

RUN = 6
"""Words in a row that nobody writes twice by chance."""
YEAR = re.compile(
    r"(?<![\d.,])(1\d{3}|20\d{2})(?![\d]|[.,]\d)(?! (?:marks?|pounds?|florins?|ducats?|coins?|steps?|miles?|men|people|souls|times)\b)"
)
DIGITS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)|(?<![\d.,])\d+(?![\d]|[.,]\d)")
TENS = {word: 10 * place for place, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
UNITS = {word: place for place, word in enumerate(["one", *NUMBERS[:18]], 1)}
VALUE = UNITS | TENS
SCALE = {"dozen": 12, "hundred": 100, "thousand": 1000}
SPELT = re.compile(
    rf"\b(?:{'|'.join(sorted(VALUE, key=len, reverse=True))})(?:[- ](?:{'|'.join(sorted(VALUE, key=len, reverse=True))}|dozen|hundred|thousand|and))*\b",
    re.IGNORECASE,
)
DAY = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({MONTHS})\b|\b({MONTHS}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?! ?\d)")
HIGH = set(
    "God Lord Christ Christmas Easter Heaven Hell Devil Bible Latin Amen Nature Fate Providence Mother Father Master Mistress Doctor Sir Madam Mr Mrs Miss Ms Dr St Saint Lady Captain Ho Ha Ah Oh".split()
)
"""Capitals that claim nobody."""
ORDINALS = set(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
    "nineteenth twentieth thirtieth".split()
) | set(NUMBERS)  # fmt: skip
MONTH_NAMES = frozenset(MONTHS.split("|"))
BEGINS = re.compile(r"(?:[.!?:;…\"'“‘(\[\n—–-]|^)\s*$")
FREE = set(
    "yes no aye oh ah ha well so why how what who where when which whose i i'm i've i'd i'll let do don't go come tell ask look listen mark".split()
)
TAG = re.compile(
    r"\b(?:is|was|do|did|does|have|has|had|wo|would|could|ca|are|were|should)n't (?:it|that|i|you|we|he|she|they|this|there)\b"
)
"""A negative question says yes."""
PAST = re.compile(
    r"\b(?:I|we|We)(?:'d| had)? (?:\w+ly |once |never |also |then |first |even )?"
    r"(?:\w+ed|was|were|had|went|came|saw|took|made|gave|got|found|kept|lost|left|sold|bought|brought|told|met|ran|rode|sat|stood|fell|fought|drove|wrote|won|"
    r"built|grew|knew|slept|spoke|spent|swam|threw|wore|sang|drank|ate|broke|caught|chose|flew|hid|held|led|paid|read|rose|sent|shot|stole|struck|taught)\b"
)
OWN = re.compile(
    r"\b[Mm]y (?:(?:own|dear|poor|late|old|little|elder|younger|eldest|youngest|first|second|only|twin|dead|beloved) )*([a-zé]+)\b"
)


once = lru_cache(maxsize=4096)
"""Many conversations share an answer, and several checks read it: each text is read once."""


@once
def words(text: str) -> tuple[str, ...]:
    """The words of a text as the language cuts them."""
    return tuple(en.words(text))


@once
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text as the language cuts them."""
    return tuple(en.sentences(text))


@once
def plain(text: str) -> str:
    """A text as the marks are looked for in it: lower case, straight apostrophes, single blanks."""
    return TAG.sub("", re.sub(r"\s+", " ", text.lower().replace("’", "'")).strip())


@once
def flat(text: str) -> str:
    """The words with single blanks between and around them, to look for one text in another."""
    return f" {' '.join(words(text))} ".replace("'s ", " ")


NEUTRAL = dict.fromkeys(
    "i me my mine myself he him his himself she her hers herself they them their theirs themselves you your yours yourself".split(), ""
) | {"am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "i'm": "is", "i've": "has"}  # fmt: skip


def neutral(text: str, own: frozenset[str]) -> list[str]:
    """The words as they are in every person: without pronouns and the person's own names, `were` as `was`."""
    found = (NEUTRAL.get(word, word) for word in words(text) if word.removesuffix("'s") not in own)
    return [word for word in found if word]


def stem(word: str) -> str:
    """A word without its commonest endings."""
    word = word.removesuffix("'s")
    for ending in ("ings", "ing", "ers", "ies", "ied", "ed", "es", "er", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word


UNCOUNTED = frozenset(map(stem, "year day night week month hour minute time second".split())) | {""}
"""Stems of what is counted so often in talk that a small number of it claims nothing."""


@once
def stems(text: str) -> frozenset[str]:
    """The words with a matter of their own, without endings."""
    common = marks("en").common
    kept = (word for word in words(text) if word.removesuffix("n't") not in common and not word[:1].isdigit() and len(word) > 2)
    return frozenset(map(stem, kept))


@once
def names(text: str) -> list[str]:
    """The names in a text; a single capitalised word at the beginning of a sentence or quotation is none."""
    found = []
    for match in NAME.finditer(text.replace("’", "'")):
        parts = match[0].split()
        if BEGINS.search(text[: match.start()]) and (
            parts[0] in NOT_NAMES or parts[0].lower() in FREE or (len(parts) > 1 and parts[0].lower() in marks("en").common)
        ):
            parts = parts[1:]
        elif BEGINS.search(text[: match.start()]) and len(parts) == 1:
            continue
        parts = [part for part in parts if part.lower() not in ORDINALS and part not in MONTH_NAMES]
        while parts and (parts[0] in NOT_NAMES or parts[0] in HIGH or parts[0].lower() in FREE or not parts[0][0].isupper()):
            parts = parts[1:]
        if parts:
            found.append(" ".join(parts))
    return found


def capitals(text: str) -> set[str]:
    """The words that are written with a capital inside a sentence, in lower case."""
    return {word.lower().removesuffix("'s") for name in names(text) for word in name.split()}


@once
def years(text: str) -> set[int]:
    """The years in a text; four digits that count something are none."""
    return {int(match[1]) for match in YEAR.finditer(text)}


def days(text: str) -> set[str]:
    """The days in a text, as `3 May`."""
    return {f"{m[1]} {m[2]}" if m[1] else f"{m[4]} {m[3]}" for m in DAY.finditer(text)}


@once
def numbers(text: str) -> list[tuple[int, str]]:
    """Every number of three and more with the stem of the word behind it; years and days are none."""
    bare = DAY.sub(" ", YEAR.sub(" ", text))
    found = []
    for match in [*DIGITS.finditer(bare), *SPELT.finditer(bare)]:
        value = int(match[0].replace(",", "")) if match[0][0].isdigit() else spelt(match[0].lower())
        if value > 2:
            behind = re.match(r"[- ]?([A-Za-z]+)", bare[match.end() :])
            what = behind[1].lower() if behind else ""
            found.append((value, "" if what in marks("en").common else stem(what)))
    return found


def spelt(text: str) -> int:
    """The value of number words: `three hundred and five` is 305."""
    total = current = 0
    for word in re.split(r"[- ]", text):
        if word in SCALE:
            total, current = total + max(current, 1) * SCALE[word], 0
        else:
            current += VALUE.get(word, 0)
    return total + current


def relatives(text: str) -> set[str]:
    """The relatives that the speaker claims as own: `my late husband`."""
    return {match[1] for match in OWN.finditer(text) if match[1] in marks("en").kin}


@once
def experiences(text: str) -> list[str]:
    """The sentences in which the speaker tells what was done or met with."""
    return [sentence for sentence in sentences(text) if PAST.search(sentence)]
