"""English: words, sentences, persons, and what can be asked of a sentence.

Third person is turned to the first by the person's names and pronouns. That is safe only where the pronouns
can mean nobody else, so a sentence is turned only if the person was named before in the same text and no
other single person was named in between; anything else returns None. So does a sentence in the present tense
with a second verb (`keeps bees and sells honey`), and one in which the same person would be subject and object.
"""

import re

from persllm.languages import Span, Who

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)*")
TITLES = "Mr|Mrs|Ms|Messrs|Mme|Mlle|Dr|St|Prof|Rev|Hon|Capt|Col|Gen|Lieut|Lt|Maj|Sergt|Sgt|Gov"
TITLE = re.compile(rf"(?:{TITLES})\.")
BEFORE_NAME = re.compile(rf"(?<![^\W_])(?i:{TITLES}|e\.g|i\.e|viz|vs)\.$")
"""What never ends a sentence: a title, and what something follows."""
BEFORE_NUMBER = re.compile(r"(?<![^\W_])(?:[Nn]os?|[Vv]ols?|[Oo]p|[Cc]h|[Ff]ig|pp?)\.$")
BEFORE_SMALL = re.compile(r"(?<![^\W_])(?:Esq|Jr|Sr|Co|Bros|Inc|Ltd|etc|&c|[ap]\.m|A\.D|B\.C)\.[\"')\]]*$")
"""What ends a sentence unless the next word begins small."""
INITIAL = re.compile(r"(?:(?P<before>[\w.]+)\W+)?\b(?P<letter>[A-Z])\.$")
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
SEASON = "spring|summer|autumn|winter|midsummer|midwinter"
YEAR = re.compile(
    rf"(?:\b(?:in|on|since|until|by|during|from) )?(?:the )?(?:\b(?:\d{{1,2}} )?(?:{MONTHS}|{SEASON})(?: of)? )?\b(?:1\d{{3}}|20\d{{2}})\b"
)
NUMBERS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety"
).split()
DIGITS = "one|two|three|four|five|six|seven|eight|nine"
NUMBER = re.compile(rf"\b(?i:{'|'.join(NUMBERS)})(?:-(?:{DIGITS}))?\b(?!-)|(?<![\d.,])\b\d{{1,3}}(?:,\d{{3}})*\b(?![.,]?\d)")
CAPITAL = "[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+"
NAME = re.compile(rf"\b(?!(?:{TITLES})\.){CAPITAL}(?:(?: (?:of|the|van|von|de))? {CAPITAL})*\b")
TITLED = re.compile(rf"(?:\b(?:{TITLES})\. )?(?:\b[A-Z]\. ?)*{NAME.pattern}")
"""A name with what belongs before it, so that no gap parts `Mr.` from it."""
PLACE_BEFORE = re.compile(r"\b(?:in|at|to|from|near|towards|across|above|below|into|outside|around) (?:the |old |lower |upper )*$")
NOT_NAMES = set(
    "The A An In On At By For From With When While After Before During Every Each All Both Some No Not And But Or If "
    "Then There This That These Those It Its They Their Our Your My We You I She He Her His As Once Only Later Since Until "
    "Over Under Two Three Four Five Six Seven Eight Nine Ten Twelve Twice God Sunday Monday Tuesday Wednesday "
    "Thursday Friday Saturday Sundays Mondays Tuesdays Wednesdays Thursdays Fridays Saturdays".split()
) | set(MONTHS.split("|"))  # fmt: skip
PRESENT = {
    "is": "am", "has": "have", "does": "do", "isn't": "am not", "hasn't": "haven't", "doesn't": "don't", "goes": "go",
}  # fmt: skip
"""Third person of the present tense, and the first; other verbs lose their s."""
NOT_VERBS = set(
    "was as its his this thus perhaps sometimes always besides afterwards towards upwards downwards forwards backwards indoors outdoors "
    "upstairs downstairs nowadays yes less ours hers yours theirs means".split()
)
ADVERBS = set("always never often still now also only sometimes seldom ever just even then rarely hardly soon again perhaps".split())
PREPOSITIONS = set(
    "to for with by of from on about against beside behind before after near without between than like past upon at in into "
    "toward towards over under around among beyond except".split()
)
OBJECT_BEFORE = set(
    "to for with by of from at on about against beside behind before after near without between than like past upon "
    "toward towards over under around among beyond except told gave made let asked taught showed called helped saw "
    "left sent brought paid thanked struck kept sold offered promised found met and".split()
)
NOUN_STOPS = set(
    "to and or but in on at by for from with as that when while if so than then because until about into over again "
    "the a an this these those every each all out up down off away back there here how what where why not never "
    "without through across before after during twice once alone".split()
)
BODY = {"back"}
"""Words that are a noun after `his`, and an adverb elsewhere."""


def words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case: the unit of budgets, retrieval and overlap."""
    return [word.lower() for word in WORD.findall(text.replace("’", "'"))]


def terms(text: str) -> list[str]:
    """What retrieval counts: the words."""
    return words(text)


def sentences(text: str) -> list[str]:
    """A text cut at full stops, question and exclamation marks that end a sentence; `Oh! if only` is one piece."""
    found: list[str] = []
    start = 0
    flat = re.sub(r"\s+", " ", text).strip()
    for mark in re.finditer(r"[.!?]+[\"')\]]*(?= |$)", flat):
        piece = flat[start : mark.end()].strip()
        rest = flat[mark.end() :].lstrip()
        if rest and ((mark[0] != "." and rest[0].islower()) or goes_on(piece, rest)):
            continue
        if piece:
            found.append(piece)
        start = mark.end()
    rest = flat[start:].strip()
    return [*found, rest] if rest else found


def goes_on(piece: str, rest: str) -> bool:
    """Whether a full stop after a piece belongs to an abbreviation or an initial, and the sentence goes on with the rest."""
    if (
        BEFORE_NAME.search(piece)
        or (BEFORE_NUMBER.search(piece) and rest[0].isdigit())
        or (BEFORE_SMALL.search(piece) and rest[0].islower())
    ):
        return True
    initial = INITIAL.search(piece)
    if not initial or re.split(r"\W", rest, maxsplit=1)[0] in NOT_NAMES:
        return False
    return initial["letter"] != "I" or not initial["before"] or not initial["before"].islower()


def first_person(text: str, who: Who) -> list[str | None]:
    """The sentences of a third-person text as the person would say them; None where a rule cannot be sure."""
    third = {"she": "she her hers herself", "he": "he him his himself", "they": "they them their theirs themself"}[who.pronouns].split()
    turned: list[str | None] = []
    subject: str | None = None
    own = any(re.search(rf"\b{re.escape(name)}\b", text) for name in who.names)
    for sentence in sentences(text):
        if not own and {"i", "my", "me"} & set(words(text)):
            turned.append(sentence)
            continue
        mentions = [name for name in NAME.findall(sentence) if name not in NOT_NAMES]
        named = any(re.search(rf"\b{re.escape(name)}\b", sentence) for name in who.names)
        pronoun = bool(set(third) & set(words(sentence)))
        if named:
            alone = who.pronouns != "they" or all(name in who.names for name in mentions)
            subject = who.names[0] if alone else None
        if pronoun and subject != who.names[0]:
            turned.append(None)
        else:
            turned.append(sentence_to_first(sentence, who, third))
        if not named and not pronoun and len(mentions) == 1 and sentence.startswith(mentions[0]) and subject is None:
            subject = mentions[0]
    return turned


def sentence_to_first(sentence: str, who: Who, third: list[str]) -> str | None:
    """One sentence with names and pronouns of the person replaced; None if a verb or an object leaves a doubt."""
    text = sentence
    for name in who.names:
        text = re.sub(rf"\b{re.escape(name)}'s\b", "\0my", text)
        text = re.sub(rf"\b{re.escape(name)}\b", "\0name", text)
    tokens = re.findall(r"\0?[A-Za-z]+(?:'[A-Za-z]+)?|\d+|[^\sA-Za-z\d\0]|\s+", text)
    for place, token in enumerate(tokens):
        before = next((t.lower() for t in reversed(tokens[:place]) if not t.isspace()), "")
        after = next((t for t in tokens[place + 1 :] if not t.isspace()), "")
        replaced = first_form(token, before, after, third)
        if replaced is None:
            continue
        tokens[place] = replaced
        if replaced == "I" and not agree(tokens, place):
            return None
    result = "".join(tokens)
    twice = re.search(r"\bI ((?:[\w']+ ){1,2})me\b", result)
    if twice and not PREPOSITIONS & set(twice[1].split()):
        return None
    result = re.sub(r"\bI and ([A-Z][a-z]+(?: [A-Z][a-z]+)?)\b", r"\1 and I", result)
    return result[:1].upper() + result[1:]


def agree(tokens: list[str], place: int) -> bool:
    """Give the verb of the `I` at a place its first person; False where that cannot be sure."""
    ahead = [i for i in range(place + 1, len(tokens)) if not tokens[i].isspace()]
    behind = [i for i in range(place) if not tokens[i].isspace()]
    if behind and tokens[behind[-1]].lower() in PRESENT:
        first = tokens[behind[0]].lower()
        if len(behind) == 1:
            tokens[behind[0]] = PRESENT[first].capitalize()
        return len(behind) == 1
    while ahead and (tokens[ahead[0]].lower() in ADVERBS or tokens[ahead[0]].endswith("ly")):
        ahead = ahead[1:]
    verb = tokens[ahead[0]] if ahead else ""
    if verb == "," and len(ahead) > 2 and tokens[ahead[1]] == "who" and present(tokens[ahead[2]]):
        return False
    if verb == "were":
        tokens[ahead[0]] = "was"
    if not present(verb):
        return True
    tokens[ahead[0]] = first_of(verb)
    linked = [i for i, at in enumerate(ahead[:-1]) if tokens[at] in {"and", "but", "or", "nor", "then"}]
    return not any(present(tokens[ahead[i + 1]]) for i in linked)


def present(word: str) -> bool:
    """Whether a word looks like a verb in the third person of the present tense."""
    regular = word.islower() and len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us"))
    return word in PRESENT or (regular and word not in NOT_VERBS)


def first_of(verb: str) -> str:
    """The first person of a verb in the third: `carries` gives `carry`."""
    if verb in PRESENT:
        return PRESENT[verb]
    if verb.endswith("ies"):
        return f"{verb[:-3]}y" if len(verb) > 4 else verb[:-1]
    return verb[:-2] if verb.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")) else verb[:-1]


def first_form(token: str, before: str, after: str, third: list[str]) -> str | None:
    """The first-person form of one token, or None if it stays."""
    subject, object_, possessive = third[0], third[1], third[2]
    low = token.lower()
    starts_clause = after[:1].islower() and after.lower() not in {"and", "or"} and after.lower() not in NOUN_STOPS
    if token == "\0my":
        return "my"
    if token == "\0name":
        if before in OBJECT_BEFORE and not (before in {"and", "after", "before", "than"} and starts_clause):
            return "me"
        return "I" if starts_clause or not before or before in {",", ";", "that", "when"} else "me"
    if low == subject:
        return "I"
    if low == third[-1]:
        return "myself"
    if low == "her" and object_ == "her":
        stops = NOUN_STOPS - BODY if before in OBJECT_BEFORE else NOUN_STOPS
        return "my" if after[:1].isalnum() and after.lower() not in stops else "me"
    if low == "his" and possessive == "his":
        return "my" if after[:1].isalnum() and after.lower() not in NOUN_STOPS - BODY else "mine"
    if low == object_:
        return "me"
    if low in {"hers", "theirs"} and subject != "he":
        return "mine"
    return "my" if low == "their" and subject == "they" else None


SECOND = {"i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are"}


def second_person(sentence: str) -> str:
    """A first-person sentence as a clause said to that person: lower first letter, no full stop."""
    text = re.sub(r"\bI was\b", "you were", sentence)
    text = re.sub(r"\b[Ww]as I\b", "were you", text)
    text = re.sub(r"\bI'm\b", "you're", text)
    if text.startswith(("I ", "you were")) and not re.search(r"\b(?:which|who|that|because|when|while|where)\b", text):
        text = re.sub(r"\b(and|but|or) was\b", r"\1 were", text)
    text = re.sub(r"\b(?:I|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself|am)\b", lambda match: SECOND[match[0].lower()], text)
    text = text.rstrip(".!? ")
    first = text.split(" ", 1)[0].rstrip(",")
    keep = first == "I" or TITLE.fullmatch(first)
    keep = keep or (NAME.fullmatch(first.removesuffix("'s")) and first not in NOT_NAMES and not is_common(first))
    return text if keep else text[:1].lower() + text[1:]


def is_common(word: str) -> bool:
    """Whether a capitalised first word is an ordinary one."""
    return (
        word in NOT_NAMES
        or word.lower() in NUMBERS
        or word.lower() in SEASON.split("|")
        or word.endswith("ing")
        or word.endswith("ly")
        or word in {"You", "Your"}
    )


def spans(sentence: str, who: Who) -> list[Span]:
    """What can be asked of a sentence or falsified in it: years, numbers, names, places."""
    found = [Span(start=m.start(), end=m.end(), kind="year", text=m[0].strip()) for m in YEAR.finditer(sentence)]
    taken = [(span.start, span.end) for span in found]
    for match in NUMBER.finditer(sentence):
        if not any(a <= match.start() < b for a, b in taken):
            found.append(Span(start=match.start(), end=match.end(), kind="number", text=match[0]))
    for match in TITLED.finditer(sentence):
        first = match[0].split()[0]
        if match[0] in who.names or first in NOT_NAMES or any(a <= match.start() < b for a, b in taken):
            continue
        titled = bool(TITLE.match(first)) and first != "St."
        if sentence[: match.start()].endswith("-") or (match.start() == 0 and not titled and match[0] not in who.known):
            continue
        before = sentence[: match.start()]
        kind = (
            "name"
            if titled
            else "place"
            if PLACE_BEFORE.search(before)
            else "thing"
            if re.search(r"\b(?:the|a|an|old) $", before)
            else "name"
        )
        found.append(Span(start=match.start(), end=match.end(), kind=kind, text=match[0]))
    return sorted(found, key=lambda span: span.start)


def names_inside(text: str) -> set[str]:
    """The names in a text that do not stand at the beginning of a sentence."""
    return {m[0] for s in sentences(text) for m in NAME.finditer(s) if m.start() and m[0].split()[0] not in NOT_NAMES}


def lowered(text: str) -> str:
    """A year or number as it stands inside a sentence."""
    return text[:1].lower() + text[1:]


def topic(title: str, who: Who | None = None) -> str:
    """A heading as it stands inside a sentence: no date in parentheses, no capital but for names."""
    text = re.sub(r"\s*\([^)]*\)\s*$", "", title).strip()
    first, _, rest = text.partition(" ")
    low = first in {"The", "A", "An", "How", "What", "Why", "Where", "When", "My", "Her", "His", "Two", "Three"} or is_common(first)
    low = low or (who is not None and not any(first in name.split() for name in {*who.known, *who.names}) and not rest[:1].isupper())
    return (first.lower() if low else first) + (f" {rest}" if rest else "")


def question_like(title: str) -> bool:
    """Whether a heading is an indirect question, such as `how a bell is cast`."""
    return topic(title).split(" ")[0] in {"how", "what", "why", "where", "when", "who"}


def nameable(topic: str) -> bool:
    """Whether a heading can stand where a name can: `at the foundry wall` cannot."""
    return not re.match(r"(?:at|on|in|to|from|before|after|under|over|behind|with|without|by|into)\b", topic, re.IGNORECASE)


def join(*parts: str) -> str:
    """Sentences put one after the other."""
    return " ".join(part for part in parts if part)


def before_gap(sentence: str, span: Span) -> int:
    """Where a gap begins that takes the preposition of a place or date with it."""
    match = re.search(
        r"\b(?:in|at|to|from|near|towards|across|above|below|into|outside|around|on|since|until|by)(?: the| old| lower| upper)* $",
        sentence[: span.start],
        re.IGNORECASE,
    )
    return match.start() if match else span.start


def tidy(sentence: str) -> str:
    """A sentence without the doubled blanks and stray commas that a gap leaves."""
    text = re.sub(r"\s+", " ", sentence)
    text = re.sub(r" ([.,;:!?])", r"\1", text)
    return re.sub(r"^[,;: ]+", "", text).strip()


def spoken_date(date: str) -> str:
    """A date as it stands in a sentence: `1800-11-16` is `16 November 1800`; anything else as it is."""
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", date)
    if not match:
        return date
    month = MONTHS.split("|")[int(match[2]) - 1]
    return f"{int(match[3])} {month} {match[1]}" if match[3] else f"{month} {match[1]}"


def with_article(sentence: str, span: Span) -> str:
    """A name as it stands in a sentence, with the article if it has one there."""
    return f"the {span.text}" if re.search(r"\bthe $", sentence[: span.start], re.IGNORECASE) else span.text
